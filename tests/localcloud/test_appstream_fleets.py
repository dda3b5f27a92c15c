"""Contract of appstream_fleets.py and appstream_sessions.py: what follows from the time and the numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.localcloud.standins.appstream_fleets import DEFAULTS, Fleet, capacity, free_instance
from portal.localcloud.standins.appstream_sessions import Session, digest, new_secret
from tests.localcloud.appstream import ELASTIC, FLEET


def fleet(given: dict[str, Any] = FLEET, **properties: Any) -> Fleet:
    return Fleet("f", "arn", 0.0, {**DEFAULTS, **given, **properties})


def multi_session(sessions: int, per_instance: int) -> Fleet:
    return fleet(ComputeCapacity={"DesiredSessions": sessions}, MaxSessionsPerInstance=per_instance)


def test_fleet_takes_its_time() -> None:
    one = fleet()
    assert one.state(0) == "STOPPED"
    one.tell(start=True, now=100, pace_seconds=10)
    assert [one.state(now) for now in (100, 109.9, 110, 10**9)] == ["STARTING", "STARTING", "RUNNING", "RUNNING"]
    one.tell(start=False, now=200, pace_seconds=10)
    assert [one.state(now) for now in (200, 209.9, 210)] == ["STOPPING", "STOPPING", "STOPPED"]
    one.tell(start=True, now=300, pace_seconds=0)
    assert one.state(300) == "RUNNING"


@pytest.mark.parametrize(
    ("kind", "state", "sessions", "numbers"),
    [
        # Desired, running, in use, available.
        ("ALWAYS_ON", "STOPPED", [], (2, 0, 0, 0)),
        ("ALWAYS_ON", "STARTING", [], (2, 0, 0, 0)),
        ("ALWAYS_ON", "RUNNING", [], (2, 2, 0, 2)),
        ("ALWAYS_ON", "RUNNING", ["i-1"], (2, 2, 1, 1)),
        ("ALWAYS_ON", "RUNNING", ["i-1", "i-2"], (2, 2, 2, 0)),
        ("ALWAYS_ON", "RUNNING", ["i-1", "i-2", "i-3"], (2, 3, 3, 0)),
        ("ALWAYS_ON", "STOPPING", [], (2, 0, 0, 0)),
        ("ON_DEMAND", "STOPPED", [], (2, 0, 0, 0)),
        ("ON_DEMAND", "RUNNING", [], (2, 0, 0, 2)),
        ("ON_DEMAND", "RUNNING", ["i-1"], (2, 1, 1, 1)),
    ],
)
def test_capacity_is_counted(kind: str, state: str, sessions: list[str], numbers: tuple[int, ...]) -> None:
    status = capacity(fleet(FleetType=kind), state, sessions)
    assert tuple(status[name] for name in ("Desired", "Running", "InUse", "Available")) == numbers
    assert set(status) == {"Desired", "Running", "InUse", "Available"}


def test_capacity_of_an_elastic_fleet_is_its_sessions() -> None:
    status = capacity(fleet(ELASTIC), "RUNNING", ["i-1"])
    assert status == {"Desired": 2, "Running": 1, "InUse": 1, "Available": 1}


def test_capacity_of_a_fleet_of_many_sessions_is_whole_instances() -> None:
    status = capacity(multi_session(5, 2), "RUNNING", ["i-1", "i-1", "i-2"])
    assert status | {"Draining": 0} == {
        "Desired": 3, "Running": 3, "InUse": 2, "Available": 1,
        "DesiredUserSessions": 6, "AvailableUserSessions": 3, "ActiveUserSessions": 3, "ActualUserSessions": 6,
        "Draining": 0, "DrainModeActiveUserSessions": 0, "DrainModeUnusedUserSessions": 0,
    }  # fmt: skip


KINDS = st.sampled_from(["ALWAYS_ON", "ON_DEMAND", "ELASTIC"])
STATES = st.sampled_from(["STARTING", "RUNNING", "STOPPING", "STOPPED"])
SESSIONS = st.lists(st.sampled_from([f"i-{n}" for n in range(6)]), max_size=12)


@given(KINDS, st.integers(0, 5), STATES, st.sets(st.sampled_from([f"i-{n}" for n in range(9)])))
def test_numbers_agree(kind: str, desired: int, state: str, sessions: set[str]) -> None:
    one = fleet(FleetType=kind, ComputeCapacity={"DesiredInstances": desired}, MaxConcurrentSessions=desired)
    status = capacity(one, state, sessions)
    assert min(status.values()) >= 0
    assert status["Available"] == (max(0, desired - len(sessions)) if state == "RUNNING" else 0)
    is_free = free_instance(one, state, sessions, "new") is not None
    assert is_free == (status["Available"] > 0) == (state == "RUNNING" and len(sessions) < desired)


@given(st.integers(1, 12), st.integers(1, 5), STATES, SESSIONS)
def test_numbers_of_many_sessions_agree(wanted: int, per_instance: int, state: str, sessions: list[str]) -> None:
    one = multi_session(wanted, per_instance)
    status = capacity(one, state, sessions)
    assert min(status.values()) >= 0
    assert status["ActualUserSessions"] == status["AvailableUserSessions"] + status["ActiveUserSessions"]
    assert wanted <= status["DesiredUserSessions"] < wanted + per_instance


@given(st.integers(1, 12), st.integers(1, 5))
def test_as_many_come_in_as_there_is_room_for(wanted: int, per_instance: int) -> None:
    one, sessions = multi_session(wanted, per_instance), list[str]()
    while (instance := free_instance(one, "RUNNING", sessions, f"i-{len(sessions)}")) is not None:
        sessions.append(instance)
    assert len(sessions) == capacity(one, "RUNNING", [])["AvailableUserSessions"]
    assert max(sessions.count(instance) for instance in sessions) <= per_instance


def session(**changes: Any) -> Session:
    given: dict[str, Any] = {"started_at": 0, "active_at": 5, "expires_at": 1000, "disconnect_seconds": 60}
    return Session("id", "s", "f", "ada", "i-1", **{**given, **changes})


def test_session_is_pending_active_and_over() -> None:
    one = session()
    assert [one.state(now) for now in (0, 4.9, 5, 999.9, 1000)] == ["PENDING", "PENDING", "ACTIVE", "ACTIVE", "EXPIRED"]
    assert [one.is_connected(now) for now in (0, 5, 1000)] == [False, True, False]


def test_session_ends_when_it_is_told_to() -> None:
    assert [session(ended_at=7).state(now) for now in (6, 7)] == ["ACTIVE", "EXPIRED"]


def test_session_waits_for_who_was_disconnected() -> None:
    one = session(disconnected_at=10)
    assert [one.state(now) for now in (10, 69.9, 70)] == ["ACTIVE", "ACTIVE", "EXPIRED"]
    assert not one.is_connected(20)


def test_secret_is_long_fit_for_an_address_and_kept_as_a_digest() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(one) >= 43 and one.replace("-", "a").replace("_", "a").isalnum() for one in secrets)
    assert not any(one in digest(one) for one in secrets)
