"""Whatever DynamoDB does, the tables tell one story: no unicorn claimed without a ride, no ride lost, none double."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

import portal.aws_json
from portal import aws
from rides.dispatch import NoneFree, cancel, find_ride, history, request_ride
from rides.ride import Ride, Stage
from rides.rules import Place
from tests.rides.conftest import Somebody

HERE = Place(47.6, -122.3)
KINDS = ["throttle", "error", "lost_reply"]
WRITE, READ, GET = "TransactWriteItems", "Query", "GetItem"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait for a reply for a moment only, so that a test of timeouts takes no seconds."""
    monkeypatch.setattr(portal.aws_json, "READ_SECONDS", 0.2)
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", [READ, WRITE])
@pytest.mark.parametrize("times", [1, 2])
def test_a_fault_that_passes_goes_unnoticed(
    kind: str, action: str, times: int, cloud, fleet, ada, now, consistent
) -> None:
    fleet("angel")
    fleet("gil")
    cloud.faults.add(service="dynamodb", action=action, kind=kind, times=times)
    ride = request_ride(HERE, by=ada, now=now)
    assert find_ride(ride.ride_id, by=ada) == ride
    assert len(cloud.items("rides")) == 1
    consistent(now)


@pytest.mark.parametrize("kind", ["throttle", "error"])
@pytest.mark.parametrize("action", [READ, WRITE])
def test_a_fault_that_stays_is_told_and_changes_nothing(
    kind: str, action: str, cloud, fleet, ada, now, consistent
) -> None:
    fleet("angel")
    before = cloud.items("fleet")
    cloud.faults.add(service="dynamodb", action=action, kind=kind)
    with pytest.raises(ClientError) as raised:
        request_ride(HERE, by=ada, now=now, idempotency_key="k")
    assert aws.is_transient(raised.value)
    cloud.faults.clear()
    assert (cloud.items("fleet"), cloud.items("rides"), cloud.items("idempotency")) == (before, [], [])
    assert request_ride(HERE, by=ada, now=now, idempotency_key="k").unicorn_id == "angel"
    consistent(now)


def test_a_ride_whose_every_reply_is_lost_is_found_with_its_key(cloud, fleet, ada, now, consistent) -> None:
    fleet("angel")
    fleet("gil")
    cloud.faults.add(service="dynamodb", action=WRITE, kind="lost_reply")
    with pytest.raises(HTTPClientError) as raised:
        request_ride(HERE, by=ada, now=now, idempotency_key="k")
    assert aws.is_transient(raised.value)
    cloud.faults.clear()
    consistent(now)
    (stored,) = history(by=ada).records
    assert request_ride(HERE, by=ada, now=now, idempotency_key="k") == stored
    assert len(cloud.items("rides")) == 1
    consistent(now)


@pytest.mark.parametrize("action", [READ, WRITE])
def test_a_reply_that_comes_too_late_is_asked_for_again(
    action: str, cloud, fleet, ada, now, consistent, impatient
) -> None:
    fleet("angel")
    fleet("gil")
    cloud.faults.add(service="dynamodb", action=action, kind="delay", delay_seconds=0.6, times=1)
    ride = request_ride(HERE, by=ada, now=now)
    assert find_ride(ride.ride_id, by=ada) == ride
    assert len(cloud.items("rides")) == 1
    consistent(now)


@pytest.mark.parametrize("action", [READ, WRITE])
def test_replies_that_all_come_too_late_are_told(action: str, cloud, fleet, ada, now, consistent, impatient) -> None:
    fleet("angel")
    cloud.faults.add(service="dynamodb", action=action, kind="delay", delay_seconds=0.6)
    with pytest.raises(HTTPClientError) as raised:
        request_ride(HERE, by=ada, now=now)
    assert aws.is_transient(raised.value)
    cloud.faults.clear()
    consistent(now)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", [GET, WRITE])
@pytest.mark.parametrize("times", [1, 2])
def test_cancelling_survives_a_fault_that_passes(
    kind: str, action: str, times: int, cloud, fleet, ada, now, consistent
) -> None:
    fleet("angel", Latitude=47.7)
    ride = request_ride(HERE, by=ada, now=now)
    cloud.faults.add(service="dynamodb", action=action, kind=kind, times=times)
    assert cancel(ride.ride_id, by=ada, now=now).stage(now) is Stage.CANCELLED
    consistent(now)
    assert request_ride(HERE, by=ada, now=now).unicorn_id == "angel"


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_cancelling_under_a_fault_that_stays_changes_nothing(kind: str, cloud, fleet, ada, now, consistent) -> None:
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    before = cloud.items("fleet"), cloud.items("rides")
    cloud.faults.add(service="dynamodb", action=WRITE, kind=kind)
    with pytest.raises(ClientError):
        cancel(ride.ride_id, by=ada, now=now)
    assert (cloud.items("fleet"), cloud.items("rides")) == before
    consistent(now)


def test_a_crowd_in_a_storm(cloud, fleet, now, consistent) -> None:
    """48 riders ask, half of them cancel, while calls are throttled, fail and lose their replies."""
    for n in range(12):
        fleet(f"u{n}", Latitude=round(47.6 + n / 1_000, 3))
    for skip, kind in enumerate(KINDS * 4):
        cloud.faults.add(service="dynamodb", action=WRITE, kind=kind, skip=skip * 4, times=2)
        cloud.faults.add(service="dynamodb", action=READ, kind=kind, skip=skip * 6, times=2)

    def ask(n: int) -> Any:
        rider = Somebody(f"sub-{n}", f"rider-{n}")
        try:
            ride = request_ride(HERE, by=rider, now=now, idempotency_key="k")
            return cancel(ride.ride_id, by=rider, now=now) if n % 2 else ride
        except NoneFree:
            return None
        except (ClientError, HTTPClientError, aws.Busy) as error:
            return error

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(48)))
    cloud.faults.clear()
    consistent(now)
    stored = {item["RideId"]["S"] for item in cloud.items("rides")}
    told = {answer.ride_id for answer in answers if isinstance(answer, Ride)}
    assert told, "nobody got a ride"
    assert told <= stored, "a ride was lost"
    assert all(aws.is_transient(answer) for answer in answers if isinstance(answer, Exception))
    consistent(now + timedelta(hours=1))
