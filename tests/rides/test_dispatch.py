"""Asking for a ride: who comes, what is stored, and what it costs."""

from __future__ import annotations

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

from portal import aws
from portal.dynamo.values import from_item
from rides import dispatch
from rides.dispatch import KeyReused, NoneFree, cancel, find_ride, history, nearby, request_ride
from rides.ride import Stage, rides
from rides.rules import Place, curve_keys, distance
from tests.rides.conftest import Somebody

HERE = Place(47.6, -122.3)


def the_only(cloud: Any, table: str) -> dict[str, Any]:
    (item,) = cloud.items(table)
    return from_item(item)


def unicorn(cloud: Any, unicorn_id: str) -> dict[str, Any]:
    return next(one for one in map(from_item, cloud.items("fleet")) if one["UnicornId"] == unicorn_id)


# --- Who comes --------------------------------------------------------------------------------------------------------


def test_the_nearest_free_unicorn_comes(fleet, ada, now, consistent) -> None:
    fleet("far", Latitude=47.9)
    fleet("near", Latitude=47.61)
    fleet("nearest but busy", Latitude=47.601, BusyUntil=int(now.timestamp()) + 1, RideId="another")
    ride = request_ride(HERE, by=ada, now=now)
    assert ride.unicorn_id == "near"
    assert ride.start == Place(47.61, -122.3)


def test_a_unicorn_is_free_again_at_the_second_it_was_busy_until(fleet, ada, now) -> None:
    fleet("angel", BusyUntil=int(now.timestamp()), RideId="an earlier one")
    assert request_ride(HERE, by=ada, now=now).unicorn_id == "angel"


def test_a_unicorn_that_makes_no_sense_is_passed_over(fleet, ada, now) -> None:
    for n, wrong in enumerate([{"Speed": 0}, {"Speed": -90}, {"Speed": "fast"}, {"Name": 7}]):
        fleet(f"wrong-{n}", Latitude=47.601, **wrong)
    fleet("right", Latitude=47.7)
    assert request_ride(HERE, by=ada, now=now).unicorn_id == "right"


def test_a_unicorn_that_was_moved_is_found_where_it_is_now(cloud, fleet, ada, now) -> None:
    fleet("moved", Latitude=10, Longitude=10)
    fleet("near", Latitude=47.7)
    fleet("moved", Latitude=47.601)  # the same id: an operator's edit
    ride = request_ride(HERE, by=ada, now=now)
    assert (ride.unicorn_id, ride.start) == ("moved", Place(47.601, -122.3))


@pytest.mark.parametrize("to", [47.5, 47.6, 10])
def test_a_unicorn_that_is_moved_between_search_and_claim_comes_from_where_it_is(
    to: float, fleet, cloud, ada, now, monkeypatch, consistent
) -> None:
    fleet("angel", Latitude=47.7)
    search = dispatch.nearest_free

    def search_then_move(place: Place, *, now: datetime) -> Any:
        found = search(place, now=now)
        fleet("angel", Latitude=to)
        return found

    monkeypatch.setattr(dispatch, "nearest_free", search_then_move)
    ride = request_ride(HERE, by=ada, now=now)
    assert ride.start == Place(to, -122.3)
    assert ride.arrives_at == now + timedelta(seconds=-(-distance(HERE, Place(to, -122.3)) // 25))
    # What DynamoDB refuses with says where it is; a second search might still see it where it was.
    assert cloud.calls() == Counter({("dynamodb", "TransactWriteItems"): 2})
    consistent(now)


def test_a_unicorn_that_is_deleted_between_search_and_claim_does_not_come(
    cloud, fleet, ada, now, monkeypatch, consistent
) -> None:
    fleet("near", Latitude=47.601)
    fleet("far", Latitude=47.7)
    search = dispatch.nearest_free

    def search_then_delete(place: Place, *, now: datetime) -> Any:
        found = search(place, now=now)
        cloud.admin("dynamodb").delete_item(TableName=settings.TABLES["fleet"], Key={"UnicornId": {"S": "near"}})
        return found

    monkeypatch.setattr(dispatch, "nearest_free", search_then_delete)
    assert request_ride(HERE, by=ada, now=now).unicorn_id == "far"
    assert [item["UnicornId"]["S"] for item in cloud.items("fleet")] == ["far"]
    consistent(now)


def test_when_all_are_busy_the_answer_says_when_the_next_is_free(cloud, fleet, ada, now) -> None:
    for minutes in (9, 4, 7):
        fleet(f"in-{minutes}", BusyUntil=int(now.timestamp()) + 60 * minutes, RideId="another")
    with pytest.raises(NoneFree) as raised:
        request_ride(HERE, by=ada, now=now)
    assert raised.value.next_at == now.replace(microsecond=0) + timedelta(minutes=4)
    assert cloud.items("rides") == []


@pytest.mark.parametrize("odd", ["1767225600000000", "5.0", "1e30", "-1e30"])
def test_an_odd_time_on_one_unicorn_does_not_hide_when_the_next_is_free(fleet, ada, now, odd: str) -> None:
    fleet("odd", BusyUntil=Decimal(odd), Speed=0)
    fleet("angel", BusyUntil=int(now.timestamp()) + 60, RideId="another")
    with pytest.raises(NoneFree) as raised:
        request_ride(HERE, by=ada, now=now)
    assert raised.value.next_at == now.replace(microsecond=0) + timedelta(minutes=1)


def test_when_only_odd_times_are_known_nothing_is_promised(fleet, ada, now, caplog) -> None:
    fleet("odd", BusyUntil=1_767_225_600_000_000)
    with pytest.raises(NoneFree) as raised:
        request_ride(HERE, by=ada, now=now)
    assert raised.value.next_at is None
    assert "is malformed and gets no rides" in caplog.text


@pytest.mark.parametrize("next_is_free", [True, False])
def test_malformed_unicorns_that_wait_longest_hide_nobody(fleet, ada, now, next_is_free: bool) -> None:
    for n in range(30):
        fleet(f"wrong-{n}", Speed=0, Latitude=47.6 + n / 1000)
        fleet(f"wrong-south-{n}", Speed=0, Latitude=47.5 - n / 1000)
    fleet("angel", Latitude=47.7, BusyUntil=int(now.timestamp()) + (0 if next_is_free else 60))
    if next_is_free:
        assert request_ride(HERE, by=ada, now=now).unicorn_id == "angel"
    else:
        with pytest.raises(NoneFree) as raised:
            request_ride(HERE, by=ada, now=now)
        assert raised.value.next_at == now.replace(microsecond=0) + timedelta(minutes=1)


def test_without_a_fleet_nobody_comes_ever(cloud, ada, now) -> None:
    with pytest.raises(NoneFree) as raised:
        request_ride(HERE, by=ada, now=now)
    assert raised.value.next_at is None
    assert str(raised.value) == "There are no unicorns."


def test_the_unicorns_nearby_are_shown_nearest_first_and_not_claimed(cloud, fleet, now) -> None:
    for n in range(8):
        fleet(f"u{n}", Latitude=47.6 + n / 100)
    before = cloud.items("fleet")
    offers = nearby(HERE, now, limit=3)
    assert [offer.unicorn_id for offer in offers] == ["u0", "u1", "u2"]
    assert offers[1].metres == pytest.approx(1_112, abs=1)
    assert offers[1].eta == timedelta(seconds=45)  # at 90 km/h
    assert cloud.items("fleet") == before


# --- What is stored ---------------------------------------------------------------------------------------------------


def test_the_stored_ride_has_the_tutorials_attributes_and_ours(cloud, fleet, ada, now) -> None:
    fleet("roci", Name="Rocinante", Color="Yellow", Gender="Female", Latitude=47.61)
    ride = request_ride(HERE, by=ada, now=now)
    item = the_only(cloud, "rides")
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", item["RideId"])
    assert item == {
        "RideId": ride.ride_id,
        "User": "ada",
        "Unicorn": {"Name": "Rocinante", "Color": "Yellow", "Gender": "Female"},
        "RequestTime": "2031-05-04T12:30:15.250Z",
        "RiderSub": "sub-of-ada",
        "RequestMonth": "2031-05",
        "UnicornId": "roci",
        "Pickup": {"Latitude": Decimal("47.6"), "Longitude": Decimal("-122.3")},
        "From": {"Latitude": Decimal("47.61"), "Longitude": Decimal("-122.3")},
        "ArrivesAt": "2031-05-04T12:31:00.250Z",
        "EndsAt": "2031-05-04T12:41:01.000Z",
    }
    assert find_ride(ride.ride_id, by=ada) == ride


def test_the_claimed_unicorn_is_busy_and_where_it_will_be_free_again(cloud, fleet, ada, now, consistent) -> None:
    fleet("angel", Latitude=47.61, Temper="mild")
    ride = request_ride(Place(47.59999949, -122.30000051), by=ada, now=now)
    item = unicorn(cloud, "angel")
    assert item["RideId"] == ride.ride_id
    assert ride.ends_at is not None
    assert item["BusyUntil"] == int(ride.ends_at.timestamp())
    assert (item["Latitude"], item["Longitude"]) == (Decimal("47.599999"), Decimal("-122.300001"))
    assert (item["CurveA"], item["CurveB"]) == curve_keys(Place(47.599999, -122.300001))
    assert item["Temper"] == "mild"
    consistent(now)


def test_a_ride_after_the_first_starts_where_the_first_ended(fleet, ada, grace, now, consistent) -> None:
    fleet("angel", Latitude=47.9)
    first = request_ride(HERE, by=ada, now=now)
    assert first.ends_at is not None
    second = request_ride(Place(47.61, -122.3), by=grace, now=first.ends_at)
    assert (second.unicorn_id, second.start) == ("angel", HERE)
    consistent(first.ends_at)


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_a_ride_costs_two_queries_and_a_transaction_where_one_curve_proves_the_nearest(cloud, fleet, ada, now) -> None:
    for n in range(60):
        fleet(f"u{n}", Latitude=40 + n / 4)
    fleet("near", Latitude=47.60001)
    cloud.forget_calls()
    assert request_ride(HERE, by=ada, now=now, idempotency_key="k").unicorn_id == "near"
    assert cloud.calls() == Counter({("dynamodb", "Query"): 2, ("dynamodb", "TransactWriteItems"): 1})


def test_that_nobody_is_free_costs_three_queries(cloud, fleet, ada, now) -> None:
    for n in range(60):
        fleet(f"u{n}", Latitude=40 + n / 4, BusyUntil=int(now.timestamp()) + 60, RideId="another")
    cloud.forget_calls()
    with pytest.raises(NoneFree):
        request_ride(HERE, by=ada, now=now)
    assert cloud.calls() == Counter({("dynamodb", "Query"): 3})


def test_where_all_near_are_busy_a_wider_look_finds_the_nearest_before_the_longest_free(cloud, fleet, ada, now) -> None:
    for n in range(60):
        fleet(f"busy-{n}", Latitude=47.57 + n / 1000, BusyUntil=int(now.timestamp()) + 60, RideId="another")
    for n in range(30):
        fleet(f"antipode-{n}", Latitude=-47.6, Longitude=57.7)  # free longer than the near one
    fleet("near", Latitude=47.65, BusyUntil=int(now.timestamp()) - 1)
    cloud.forget_calls()
    assert request_ride(HERE, by=ada, now=now).unicorn_id == "near"
    assert cloud.calls()["dynamodb", "Query"] <= 7


# --- Asking twice -----------------------------------------------------------------------------------------------------


def test_the_same_key_brings_the_same_ride(cloud, fleet, ada, now, consistent) -> None:
    fleet("angel")
    fleet("gil")
    first = request_ride(HERE, by=ada, now=now, idempotency_key="k")
    assert request_ride(HERE, by=ada, now=now + timedelta(seconds=30), idempotency_key="k") == first
    assert the_only(cloud, "rides")["RideId"] == first.ride_id
    consistent(now)


def test_the_same_key_brings_the_same_ride_where_none_is_free_any_more(cloud, fleet, ada, now) -> None:
    fleet("angel")
    first = request_ride(HERE, by=ada, now=now, idempotency_key="k")
    assert request_ride(HERE, by=ada, now=now, idempotency_key="k") == first


def test_the_same_key_brings_the_same_ride_after_it_was_cancelled(fleet, ada, now) -> None:
    fleet("angel")
    first = request_ride(HERE, by=ada, now=now, idempotency_key="k")
    cancelled = cancel(first.ride_id, by=ada, now=now)
    again = request_ride(HERE, by=ada, now=now, idempotency_key="k")
    assert again == cancelled
    assert again.stage(now) is Stage.CANCELLED


@pytest.mark.parametrize("free", [0, 1])
def test_the_same_key_for_another_place_is_refused(cloud, fleet, ada, now, free: int) -> None:
    fleet("angel")
    for _ in range(free):
        fleet("gil")
    request_ride(HERE, by=ada, now=now, idempotency_key="k")
    with pytest.raises(KeyReused):
        request_ride(Place(47.7, -122.3), by=ada, now=now, idempotency_key="k")
    assert len(cloud.items("rides")) == 1


def test_keys_of_different_people_have_nothing_to_do_with_each_other(fleet, ada, grace, now) -> None:
    fleet("angel")
    fleet("gil")
    hers = request_ride(HERE, by=ada, now=now, idempotency_key="k")
    other = request_ride(HERE, by=grace, now=now, idempotency_key="k")
    assert other.ride_id != hers.ride_id
    assert (hers.rider_sub, other.rider_sub) == (ada.sub, grace.sub)


def test_a_key_is_forgotten_after_a_day(cloud, fleet, ada, now) -> None:
    fleet("angel")
    first = request_ride(HERE, by=ada, now=now, idempotency_key="k")
    assert the_only(cloud, "idempotency")["ExpiresAt"] == int(now.timestamp()) + 24 * 60 * 60
    later = now + timedelta(days=1)
    second = request_ride(HERE, by=ada, now=later, idempotency_key="k")
    assert second.ride_id != first.ride_id
    assert request_ride(HERE, by=ada, now=later, idempotency_key="k") == second


def test_a_refused_request_does_not_use_up_its_key(fleet, ada, now) -> None:
    with pytest.raises(NoneFree):
        request_ride(HERE, by=ada, now=now, idempotency_key="k")
    fleet("angel")
    assert request_ride(HERE, by=ada, now=now, idempotency_key="k").unicorn_id == "angel"


def test_the_same_key_at_the_same_time_brings_one_ride(cloud, fleet, ada, now, consistent) -> None:
    for n in range(8):
        fleet(f"u{n}")
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(request_ride, HERE, by=ada, now=now, idempotency_key="k") for _ in range(8)]
    assert len({one.result().ride_id for one in asked}) == 1
    assert len(cloud.items("rides")) == 1
    consistent(now)


# --- Many at a time ---------------------------------------------------------------------------------------------------


def test_two_riders_who_race_for_one_unicorn_do_not_both_get_it(
    fleet, ada, grace, now, monkeypatch, consistent
) -> None:
    fleet("angel")
    both_have_searched = threading.Barrier(2)
    search, first_search = dispatch.nearest_free, threading.local()

    def search_together(place: Place, *, now: datetime) -> Any:
        found = search(place, now=now)
        if not hasattr(first_search, "done"):
            first_search.done = True
            both_have_searched.wait(10)
        return found

    monkeypatch.setattr(dispatch, "nearest_free", search_together)
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(request_ride, HERE, by=person, now=now) for person in (ada, grace)]
    failed = [one.exception() for one in asked if one.exception()]
    assert len(failed) == 1
    assert isinstance(failed[0], NoneFree)
    assert failed[0].next_at is not None
    consistent(now)


def test_sixty_requests_on_a_fleet_of_twelve(cloud, fleet, now, consistent) -> None:
    for n in range(12):
        fleet(f"u{n}", Latitude=round(47.6 + n / 1_000, 3))

    def ask(n: int) -> str | None:
        try:
            return request_ride(HERE, by=Somebody(f"sub-{n}", f"rider-{n}"), now=now).unicorn_id
        except NoneFree as none_free:
            return "none free yet" if none_free.next_at else "none at all"

    with ThreadPoolExecutor(20) as threads:
        got = Counter(threads.map(ask, range(60)))
    assert got == Counter({f"u{n}": 1 for n in range(12)} | {"none free yet": 48})
    assert len(cloud.items("rides")) == 12
    consistent(now)


def test_without_end_to_the_contention_the_answer_is_busy_within_bounds(fleet, ada, now, monkeypatch, cloud) -> None:
    fleet("angel")
    monkeypatch.setattr(dispatch, "_transact", lambda parts: [{"Code": "TransactionConflict"}, {"Code": "None"}])
    monkeypatch.setattr(dispatch, "_pause", lambda tries: None)
    with pytest.raises(aws.Busy):
        request_ride(HERE, by=ada, now=now)
    assert aws.is_transient(aws.Busy())
    assert cloud.calls() == Counter({("dynamodb", "Query"): 2 * dispatch.SEARCHES})


# --- My rides ---------------------------------------------------------------------------------------------------------


def test_my_rides_are_listed_newest_first_in_pages(fleet, ada, grace, now) -> None:
    mine = []
    for minutes in range(5):
        fleet("angel")
        mine.append(request_ride(HERE, by=ada, now=now + timedelta(minutes=minutes)))
    fleet("angel")
    request_ride(HERE, by=grace, now=now)
    first = history(by=ada, limit=2)
    second = history(by=ada, limit=2, cursor=first.cursor)
    third = history(by=ada, limit=2, cursor=second.cursor)
    assert [*first.records, *second.records, *third.records] == mine[::-1]
    assert third.cursor is None


def test_rides_of_others_and_rides_that_are_not_there_look_alike(fleet, ada, grace, now) -> None:
    fleet("angel")
    ride = request_ride(HERE, by=ada, now=now)
    for ride_id in (ride.ride_id, "no-such-ride", "", "x" * 5_000, "\x00", "é"):
        assert find_ride(ride_id, by=grace) is None


def test_a_ride_of_the_tutorial_is_read_and_is_nobodys_because_a_name_proves_nothing(cloud, ada, now) -> None:
    tutorial = {
        "RideId": {"S": "SvLnijIAtg6inAFUBRT-Fg"},
        "User": {"S": ada.username},
        "Unicorn": {"M": {"Name": {"S": "Rocinante"}}},
        "RequestTime": {"S": "2017-05-12T05:22:02.123Z"},
    }
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["rides"], Item=tutorial)
    ride = rides.get("SvLnijIAtg6inAFUBRT-Fg")
    assert (ride.unicorn.name, ride.unicorn.color) == ("Rocinante", "")
    assert ride.request_time == datetime(2017, 5, 12, 5, 22, 2, 123_000, tzinfo=UTC)
    assert find_ride("SvLnijIAtg6inAFUBRT-Fg", by=ada) is None
