"""Cancelling: by whom, when, and what becomes of the unicorn."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

from portal import aws
from portal.dynamo.values import from_item
from rides import dispatch
from rides.dispatch import Missing, TooLate, cancel, find_ride, request_ride
from rides.ride import Stage
from rides.rules import Place, curve_keys

HERE = Place(47.6, -122.3)


def unicorn(cloud: Any) -> dict[str, Any]:
    (item,) = cloud.items("fleet")
    return from_item(item)


def test_a_ride_that_is_cancelled_on_the_way_frees_the_unicorn_where_it_is(cloud, fleet, ada, now, consistent) -> None:
    fleet("angel", Latitude=47.7)
    ride = request_ride(HERE, by=ada, now=now)
    assert ride.arrives_at is not None
    half_way = now + (ride.arrives_at - now) / 2
    cancelled = cancel(ride.ride_id, by=ada, now=half_way)
    assert cancelled.stage(half_way) is Stage.CANCELLED
    assert find_ride(ride.ride_id, by=ada) == cancelled
    there = Place(47.65, -122.3)
    assert unicorn(cloud) == {
        "UnicornId": "angel",
        "Herd": "all",
        "CurveA": curve_keys(there)[0],
        "CurveB": curve_keys(there)[1],
        "Name": "angel",
        "Color": "White",
        "Gender": "Female",
        "Speed": 90,
        "Latitude": Decimal("47.65"),
        "Longitude": Decimal("-122.3"),
        "BusyUntil": int(half_way.timestamp()),
    }
    consistent(half_way)
    assert request_ride(HERE, by=ada, now=half_way).start == there
    consistent(half_way)


def test_a_ride_can_be_cancelled_while_riding(cloud, fleet, ada, now, consistent) -> None:
    fleet("angel", Latitude=47.7)
    ride = request_ride(HERE, by=ada, now=now)
    assert ride.arrives_at is not None
    riding = ride.arrives_at + timedelta(seconds=1)
    assert cancel(ride.ride_id, by=ada, now=riding).stage(riding) is Stage.CANCELLED
    assert unicorn(cloud)["Latitude"] == Decimal("47.6")
    consistent(riding)


def test_a_completed_ride_cannot_be_cancelled(cloud, fleet, ada, now) -> None:
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    before = cloud.items("fleet"), cloud.items("rides")
    assert ride.ends_at is not None
    with pytest.raises(TooLate):
        cancel(ride.ride_id, by=ada, now=ride.ends_at)
    assert (cloud.items("fleet"), cloud.items("rides")) == before


def test_cancelling_twice_is_cancelling_once(cloud, fleet, ada, now) -> None:
    fleet("angel", Latitude=47.7)
    ride = request_ride(HERE, by=ada, now=now)
    first = cancel(ride.ride_id, by=ada, now=now)
    before = cloud.items("fleet")
    assert cancel(ride.ride_id, by=ada, now=now + timedelta(minutes=1)) == first
    assert cancel(ride.ride_id, by=ada, now=now + timedelta(days=1)) == first
    assert cloud.items("fleet") == before


def test_the_second_to_cancel_does_not_free_the_unicorn_from_its_next_ride(
    cloud, fleet, ada, grace, now, consistent
) -> None:
    fleet("angel", Latitude=47.7)
    ride = request_ride(HERE, by=ada, now=now)
    cancel(ride.ride_id, by=ada, now=now)
    following = request_ride(HERE, by=grace, now=now)
    cancel(ride.ride_id, by=ada, now=now)
    assert unicorn(cloud)["RideId"] == following.ride_id
    consistent(now)


@pytest.mark.parametrize("ride_id", ["", "no-such-ride", "x" * 3_000])
def test_what_is_not_there_cannot_be_cancelled(cloud, ada, now, ride_id: str) -> None:
    with pytest.raises(Missing):
        cancel(ride_id, by=ada, now=now)


def test_rides_of_others_cannot_be_cancelled(cloud, fleet, ada, grace, now) -> None:
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    before = cloud.items("fleet"), cloud.items("rides")
    with pytest.raises(Missing):
        cancel(ride.ride_id, by=grace, now=now)
    assert (cloud.items("fleet"), cloud.items("rides")) == before


@pytest.mark.parametrize("change", ["reassigned", "deleted"])
def test_a_ride_whose_unicorn_was_taken_away_is_cancelled_alone(cloud, fleet, ada, now, change: str) -> None:
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    if change == "deleted":
        cloud.empty("fleet")
    else:
        fleet("angel", RideId="another", BusyUntil=99)
    before = cloud.items("fleet")
    assert cancel(ride.ride_id, by=ada, now=now).stage(now) is Stage.CANCELLED
    assert cloud.items("fleet") == before


def test_who_cancels_second_does_not_change_when_it_was_cancelled(
    cloud, fleet, ada, now, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the unicorn gone, only the ride itself can say that it is cancelled already."""
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    cloud.empty("fleet")
    first = cancel(ride.ride_id, by=ada, now=now)
    reads = iter([ride, ride, first])  # the second had read it before the first wrote
    monkeypatch.setattr(dispatch, "find_ride", lambda ride_id, *, by: next(reads))
    assert cancel(ride.ride_id, by=ada, now=now + timedelta(seconds=9)) == first
    monkeypatch.undo()
    assert find_ride(ride.ride_id, by=ada) == first


def test_a_ride_of_the_tutorial_is_over(cloud, ada, now) -> None:
    item = {
        "RideId": {"S": "r"},
        "User": {"S": "ada"},
        "Unicorn": {"M": {"Name": {"S": "Rocinante"}}},
        "RequestTime": {"S": "2017-05-12T05:22:02.123Z"},
        "RiderSub": {"S": ada.sub},
    }
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["rides"], Item=item)
    with pytest.raises(TooLate):
        cancel("r", by=ada, now=now)


def test_cancelling_costs_a_read_and_a_transaction(cloud, fleet, ada, now) -> None:
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    cloud.forget_calls()
    cancel(ride.ride_id, by=ada, now=now)
    assert cloud.calls() == Counter({("dynamodb", "GetItem"): 1, ("dynamodb", "TransactWriteItems"): 1})


def test_many_who_cancel_at_once_all_see_the_ride_cancelled_once(cloud, fleet, ada, now, consistent) -> None:
    fleet("angel", Latitude=47.7)
    ride = request_ride(HERE, by=ada, now=now)
    with ThreadPoolExecutor(6) as threads:
        moments = [now + timedelta(seconds=n) for n in range(6)]
        cancelled = list(threads.map(lambda moment: cancel(ride.ride_id, by=ada, now=moment), moments))
    assert len({one.cancelled_at for one in cancelled}) == 1
    consistent(now + timedelta(seconds=6))


def test_without_end_to_the_contention_the_answer_is_busy(cloud, fleet, ada, now, monkeypatch) -> None:
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    conflict = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    monkeypatch.setattr(dispatch, "_transact", lambda parts: conflict)
    monkeypatch.setattr(dispatch, "_pause", lambda tries: None)
    with pytest.raises(aws.Busy):
        cancel(ride.ride_id, by=ada, now=now)
