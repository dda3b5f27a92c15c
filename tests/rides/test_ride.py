from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rides.ride import Assigned, Ride, Stage, rides
from rides.rules import Place

ASKED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TUTORIAL = {
    "RideId": {"S": "SvLnijIAtg6inAFUBRT+Fg"},
    "User": {"S": "the_username"},
    "Unicorn": {"M": {"Name": {"S": "Rocinante"}, "Color": {"S": "Yellow"}, "Gender": {"S": "Female"}}},
    "RequestTime": {"S": "2017-05-12T05:22:02.123Z"},
}


def a_ride(**changes: Any) -> Ride:
    attributes = {
        "ride_id": "r",
        "user": "ada",
        "unicorn": Assigned(name="Angel", color="White", gender="Female"),
        "request_time": ASKED,
        "rider_sub": "sub-of-ada",
        "pickup": Place(47.0, -122.0),
        "start": Place(48.0, -120.0),
        "arrives_at": ASKED + timedelta(minutes=10),
        "ends_at": ASKED + timedelta(minutes=20),
    }
    return Ride.model_validate(attributes | changes)


@pytest.mark.parametrize(
    ("minutes", "stage", "wait", "may_cancel", "where"),
    [
        (-1, Stage.ON_THE_WAY, 11, True, Place(48.0, -120.0)),
        (0, Stage.ON_THE_WAY, 10, True, Place(48.0, -120.0)),
        (5, Stage.ON_THE_WAY, 5, True, Place(47.5, -121.0)),
        (10, Stage.RIDING, 0, True, Place(47.0, -122.0)),
        (15, Stage.RIDING, 0, True, Place(47.0, -122.0)),
        (20, Stage.COMPLETED, 0, False, Place(47.0, -122.0)),
        (999, Stage.COMPLETED, 0, False, Place(47.0, -122.0)),
    ],
)
def test_a_ride_through_time(minutes: int, stage: Stage, wait: int, may_cancel: bool, where: Place) -> None:
    ride, now = a_ride(), ASKED + timedelta(minutes=minutes)
    assert ride.stage(now) is stage
    assert ride.eta(now) == timedelta(minutes=wait)
    assert ride.may_cancel(now) is may_cancel
    assert ride.position(now) == where


def test_a_cancelled_ride_stays_where_it_was_cancelled() -> None:
    ride = a_ride(cancelled_at=ASKED + timedelta(minutes=5))
    for minutes in (5, 7, 999):
        now = ASKED + timedelta(minutes=minutes)
        assert ride.stage(now) is Stage.CANCELLED
        assert ride.eta(now) == timedelta(0)
        assert not ride.may_cancel(now)
        assert ride.position(now) == Place(47.5, -121.0)


def test_a_unicorn_that_is_there_already_needs_no_time() -> None:
    ride = a_ride(start=Place(47.0, -122.0), arrives_at=ASKED)
    assert ride.stage(ASKED) is Stage.RIDING
    assert ride.position(ASKED) == Place(47.0, -122.0)


def test_a_ride_of_the_tutorial_loads_and_is_over() -> None:
    ride = rides.load(TUTORIAL)
    assert ride.unicorn == Assigned(name="Rocinante", color="Yellow", gender="Female")
    assert ride.request_time == datetime(2017, 5, 12, 5, 22, 2, 123_000, tzinfo=UTC)
    assert ride.stage(ASKED) is Stage.COMPLETED
    assert ride.eta(ASKED) == timedelta(0)
    assert ride.position(ASKED) is None
    assert not ride.may_cancel(ASKED)
