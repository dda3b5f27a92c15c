"""People who ask for rides, and what must hold for the tables whatever happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from portal.dynamo.values import from_item
from rides.ride import rides


@dataclass(frozen=True)
class Somebody:
    sub: str
    username: str


@pytest.fixture
def ada() -> Somebody:
    return Somebody("sub-of-ada", "ada")


@pytest.fixture
def grace() -> Somebody:
    return Somebody("sub-of-grace", "grace")


@pytest.fixture
def now() -> datetime:
    """A moment in the future: nobody who looks at the clock on the wall passes by accident."""
    return datetime(2031, 5, 4, 12, 30, 15, 250_000, tzinfo=UTC)


@pytest.fixture
def consistent(cloud) -> Callable[[datetime], None]:
    """Return a function that reads both tables and asserts that they tell one story."""

    def check(now: datetime) -> None:
        fleet = {one["UnicornId"]: one for one in map(from_item, cloud.items("fleet"))}
        all_rides = {ride.ride_id: ride for ride in map(rides.load, cloud.items("rides"))}
        live = [ride for ride in all_rides.values() if ride.may_cancel(now)]
        twice = [unicorn for unicorn, times in Counter(ride.unicorn_id for ride in live).items() if times > 1]
        assert not twice, f"unicorns with two live rides: {twice}"
        for ride in live:
            unicorn = fleet[ride.unicorn_id]
            assert unicorn["RideId"] == ride.ride_id, "a live ride has lost its unicorn"
            assert unicorn["BusyUntil"] == ride.ends_at.timestamp()
        for unicorn in fleet.values():
            if unicorn["BusyUntil"] > now.timestamp():
                assert unicorn["RideId"] in {ride.ride_id for ride in live}, "a unicorn is claimed without a live ride"

    return check
