"""One local cloud per test process, without a state directory; tests make resources of their own in it."""

import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.localcloud.running_cloud import RunningCloud, start_cloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[RunningCloud]:
    """Return a running cloud that sweeps expired items several times a second."""
    running = start_cloud(CLOUD_TTL_SWEEP_SECONDS="0.2")
    yield running
    assert running.stop() == 0


@pytest.fixture
def start() -> Iterator[Callable[..., RunningCloud]]:
    """Return a function that starts a cloud of the test's own, stopped at its end whatever happens."""
    clouds = []

    def begin(*arguments: Any, **settings: Any) -> RunningCloud:
        clouds.append(start_cloud(*arguments, **settings))
        return clouds[-1]

    yield begin
    for running in clouds:
        if running.process.poll() is None:
            running.stop(signal.SIGKILL)


@pytest.fixture
def name() -> str:
    """Return a name no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def region(name: str) -> str:
    """Return a region of the test's own: each has its own instances, rules, events and limits."""
    return f"eu-{name}"


@pytest.fixture
def dynamodb(cloud: RunningCloud) -> Any:
    return cloud.client("dynamodb")
