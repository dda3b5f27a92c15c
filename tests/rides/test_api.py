"""`/ride` as programs see it. Tokens are the business of tests/accounts; here, who is signed in is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from portal.api import api

BODY = {"PickupLocation": {"Latitude": 47.6, "Longitude": -122.3}}


@pytest.fixture
def ask(rider):
    """Return a function that sends a request with the rider's ID token, or another's."""

    def send(method: str, path: str, body: Any = None, *, person: Any = rider, raw: Any = None, **headers: str) -> Any:
        data = raw if raw is not None else b"" if body is None else json.dumps(body)
        return Client(raise_request_exception=False).generic(
            method,
            path,
            data,
            content_type=headers.pop("content_type", "application/json"),
            headers={"Authorization": person.id_token, **headers},
        )

    return send


def assert_failure(answer: Any, status: int, about: str) -> None:
    assert answer.status_code == status, answer.content
    failure = answer.json()
    assert set(failure) >= {"Error", "Reference"}
    assert failure["Reference"] == answer["X-Reference"]
    assert re.search(about, failure["Error"]), failure["Error"]


def test_a_ride_is_answered_with_the_tutorials_keys_and_ours(cloud, fleet, rider, ask) -> None:
    fleet("roci", Name="Rocinante", Color="Yellow", Gender="Female", Latitude=47.65)
    answer = ask("POST", "/ride", BODY)
    assert answer.status_code == 201
    ride = answer.json()
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", ride["RideId"])
    assert ride["Unicorn"] == {"Name": "Rocinante", "Color": "Yellow", "Gender": "Female"}
    assert ride["Rider"] == "rider"
    assert (ride["Eta"], ride["EtaSeconds"]) == ("4 minutes", 223)
    assert ride["Stage"] == "on the way"
    assert ride["PickupLocation"] == BODY["PickupLocation"]
    assert ride["From"] == {"Latitude": 47.65, "Longitude": -122.3}
    assert ride["CancelledAt"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ride["RequestTime"])
    asked, arrives = (datetime.fromisoformat(ride[name]) for name in ("RequestTime", "ArrivesAt"))
    assert arrives - asked == timedelta(seconds=223)
    (item,) = cloud.items("rides")
    assert (item["RideId"]["S"], item["User"]["S"], item["RiderSub"]["S"]) == (ride["RideId"], "rider", rider.sub)


def test_the_one_who_asks_is_not_named_in_the_body(cloud, fleet, ask) -> None:
    fleet("angel")
    answer = ask("POST", "/ride", BODY | {"User": "another", "Rider": "another", "RiderSub": "x", "RideId": "mine"})
    assert answer.status_code == 201
    assert answer.json()["Rider"] == "rider"
    (item,) = cloud.items("rides")
    assert item["User"]["S"] == "rider"


@pytest.mark.parametrize(
    ("pickup", "about"),
    [
        ({}, "PickupLocation"),
        ({"PickupLocation": None}, "PickupLocation"),
        ({"PickupLocation": []}, "PickupLocation"),
        ({"PickupLocation": {"Latitude": 47.6}}, r"PickupLocation\.Longitude"),
        ({"PickupLocation": {"Longitude": 47.6}}, r"PickupLocation\.Latitude"),
        ({"PickupLocation": {"latitude": 47.6, "longitude": 1}}, "PickupLocation"),
        ({"PickupLocation": {"Latitude": "47.6", "Longitude": 0}}, r"PickupLocation\.Latitude.*number"),
        ({"PickupLocation": {"Latitude": True, "Longitude": 0}}, r"PickupLocation\.Latitude.*number"),
        ({"PickupLocation": {"Latitude": None, "Longitude": 0}}, r"PickupLocation\.Latitude.*number"),
        ({"PickupLocation": {"Latitude": [1], "Longitude": 0}}, r"PickupLocation\.Latitude.*number"),
        ({"PickupLocation": {"Latitude": 90.1, "Longitude": 0}}, r"PickupLocation\.Latitude.*90"),
        ({"PickupLocation": {"Latitude": 0, "Longitude": -180.5}}, r"PickupLocation\.Longitude.*-180"),
        ({"PickupLocation": {"Latitude": 10**400, "Longitude": 0}}, r"PickupLocation\.Latitude"),
        ([], ""),
        ("x", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_and_nothing_is_stored(
    cloud, fleet, ask, pickup: Any, about: str
) -> None:
    fleet("angel")
    before = cloud.items("fleet")
    assert_failure(ask("POST", "/ride", raw=json.dumps(pickup)), 400, about)
    assert (cloud.items("rides"), cloud.items("fleet")) == ([], before)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"PickupLocation": {"Latitude": NaN, "Longitude": 0}}',
        b'{"PickupLocation": {"Latitude": 0, "Longitude": -Infinity}}',
        b'{"PickupLocation": {"Latitude": 1e999, "Longitude": 0}}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused(cloud, fleet, ask, raw: bytes) -> None:
    fleet("angel")
    assert_failure(ask("POST", "/ride", raw=raw), 400, "")
    assert cloud.items("rides") == []


def test_a_body_that_is_too_large_or_of_another_type_is_refused(cloud, fleet, ask) -> None:
    fleet("angel")
    assert_failure(ask("POST", "/ride", raw=b" " * 5_000_000), 413, "large")
    assert_failure(ask("POST", "/ride", BODY, content_type="text/plain"), 415, "application/json")
    assert cloud.items("rides") == []


def test_without_a_token_nobody_rides(cloud, fleet) -> None:
    fleet("angel")
    for method, path in (("POST", "/ride"), ("GET", "/ride"), ("GET", "/ride/x"), ("DELETE", "/ride/x")):
        answer = Client().generic(method, path, json.dumps(BODY), content_type="application/json")
        assert_failure(answer, 401, "ID token")
    assert cloud.items("rides") == []


def test_when_none_is_free_the_answer_says_when_one_will_be(fleet, ask) -> None:
    free_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    fleet("angel", BusyUntil=int(free_at.timestamp()), RideId="another")
    answer = ask("POST", "/ride", BODY)
    assert_failure(answer, 409, "No unicorn is free")
    assert datetime.fromisoformat(answer.json()["NextFreeAt"]) == free_at
    assert 290 <= int(answer["Retry-After"]) <= 300


def test_without_a_fleet_there_is_no_next_time(cloud, ask) -> None:
    answer = ask("POST", "/ride", BODY)
    assert_failure(answer, 409, "There are no unicorns")
    assert answer.json()["NextFreeAt"] is None
    assert "Retry-After" not in answer


def test_the_same_idempotency_key_gets_the_same_answer(cloud, fleet, ask) -> None:
    fleet("angel", Latitude=47.7)
    fleet("gil", Latitude=47.7)
    first = ask("POST", "/ride", BODY, **{"Idempotency-Key": "once only"})
    second = ask("POST", "/ride", BODY, **{"Idempotency-Key": "once only"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(cloud.items("rides")) == 1


def test_an_idempotency_key_with_another_body_is_refused(fleet, ask) -> None:
    fleet("angel")
    ask("POST", "/ride", BODY, **{"Idempotency-Key": "k"})
    other = {"PickupLocation": {"Latitude": 1, "Longitude": 2}}
    assert_failure(ask("POST", "/ride", other, **{"Idempotency-Key": "k"}), 422, "Idempotency-Key")


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "é"])
def test_an_idempotency_key_that_makes_no_sense_is_refused(cloud, fleet, ask, key: str) -> None:
    fleet("angel")
    assert_failure(ask("POST", "/ride", BODY, **{"Idempotency-Key": key}), 400, "Idempotency-Key")
    assert cloud.items("rides") == []


def test_my_rides_are_listed_in_pages(fleet, ask, outsider) -> None:
    mine = []
    for n in range(3):
        fleet(f"u{n}")
        mine.append(ask("POST", "/ride", BODY).json()["RideId"])
    fleet("theirs")
    ask("POST", "/ride", BODY, person=outsider)
    first = ask("GET", "/ride?limit=2").json()
    second = ask("GET", f"/ride?limit=2&cursor={first['Cursor']}").json()
    assert [ride["RideId"] for ride in first["Rides"] + second["Rides"]] == mine[::-1]
    assert second["Cursor"] is None
    assert_failure(ask("GET", f"/ride?limit=2&cursor={first['Cursor']}", person=outsider), 400, "cursor")
    assert_failure(ask("GET", "/ride?cursor=nonsense"), 400, "cursor")
    for limit in ("0", "101", "-1", "many"):
        assert_failure(ask("GET", f"/ride?limit={limit}"), 400, "limit")


def test_one_ride_is_shown_to_its_rider_only(fleet, ask, outsider) -> None:
    fleet("angel")
    ride = ask("POST", "/ride", BODY).json()
    shown = ask("GET", f"/ride/{ride['RideId']}")
    assert shown.status_code == 200
    assert shown.json()["RideId"] == ride["RideId"]
    assert_failure(ask("GET", f"/ride/{ride['RideId']}", person=outsider), 404, "no such ride")
    assert_failure(ask("GET", "/ride/no-such-ride"), 404, "no such ride")


def test_a_ride_is_cancelled_once_and_by_its_rider_only(cloud, fleet, ask, outsider, consistent) -> None:
    fleet("angel", Latitude=47.7)
    ride = ask("POST", "/ride", BODY).json()
    assert_failure(ask("DELETE", f"/ride/{ride['RideId']}", person=outsider), 404, "no such ride")
    first = ask("DELETE", f"/ride/{ride['RideId']}")
    second = ask("DELETE", f"/ride/{ride['RideId']}")
    assert (first.status_code, first.json()["Stage"]) == (200, "cancelled")
    assert first.json() == second.json()
    consistent(datetime.now(UTC))


def test_a_completed_ride_is_not_cancelled(cloud, fleet, rider, ask) -> None:
    item = {
        "RideId": {"S": "old"},
        "User": {"S": "rider"},
        "Unicorn": {"M": {"Name": {"S": "Angel"}}},
        "RequestTime": {"S": "2017-05-12T05:22:02.123Z"},
        "RiderSub": {"S": rider.sub},
    }
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["rides"], Item=item)
    shown = ask("GET", "/ride/old").json()
    assert (shown["Stage"], shown["PickupLocation"], shown["ArrivesAt"]) == ("completed", None, None)
    assert_failure(ask("DELETE", "/ride/old"), 409, "completed")


@pytest.mark.parametrize("action", ["Query", "TransactWriteItems"])
def test_a_fault_that_stays_is_a_503_with_a_reference(cloud, fleet, ask, action: str) -> None:
    fleet("angel")
    cloud.faults.add(service="dynamodb", action=action, kind="throttle")
    assert_failure(ask("POST", "/ride", BODY), 503, "try again")
    cloud.faults.clear()
    assert cloud.items("rides") == []


def test_the_document_says_what_a_place_and_a_key_may_be() -> None:
    document = api.get_openapi_schema()
    location = document["components"]["schemas"]["Location"]
    assert location["required"] == ["Latitude", "Longitude"]
    for axis, limit in (("Latitude", 90), ("Longitude", 180)):
        schema = location["properties"][axis]
        assert (schema["type"], schema["minimum"], schema["maximum"]) == ("number", -limit, limit)
    (key,) = document["paths"]["/ride"]["post"]["parameters"]
    assert (key["name"], key["in"], key["required"]) == ("Idempotency-Key", "header", False)
    assert "255" in str(key["schema"])
