"""The rides and the audit log in the admin: every page is one Query, and every ride is found by a key."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.conf import settings

from portal.dynamo import audit
from portal.dynamo.values import to_item
from rides.ride import Assigned, Ride, rides
from rides.rules import Place

LIST = "/admin/rides/ride/"
LOG = "/admin/dynamo/auditentry/"
NOW = datetime.now(UTC)
MONTH = f"{NOW:%Y-%m}"


def text(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def add(ride_id, person, **attributes):
    # The first of the month, so that some minutes later is still in it.
    start = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    attributes = {"request_time": start, "request_month": MONTH, **attributes}
    ride = Ride(
        ride_id=ride_id,
        user=person.username,
        rider_sub=person.sub,
        unicorn=Assigned(name="Angel", color="White", gender="Female"),
        unicorn_id="angel",
        pickup=Place(latitude=47.6, longitude=-122.3),
        **attributes,
    )
    rides.add(ride)
    return ride


@pytest.fixture
def asks(client_for, auditor):
    return client_for(auditor)


def ids(response):
    return [record.ride_id for record in response.context["listing"].page.records]


def walk(asks, path, name):
    """Follow the links to older or newer pages and return what each shows."""
    response = asks.get(path)
    pages = [response]
    while query := getattr(response.context["listing"].page, name):
        response = asks.get(path.partition("?")[0] + query)
        pages.append(response)
    return pages


@pytest.fixture
def many(cloud, rider, monkeypatch):
    monkeypatch.setattr("portal.dynamo.records.page.__kwdefaults__", {"index": None, "limit": 3})
    start = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for number in range(8):
        add(f"ride_{number}", rider, request_time=start + timedelta(minutes=number))


def test_a_months_rides_are_walked_page_by_page_and_back(asks, many):
    there = walk(asks, LIST, "older")
    assert [ids(page) for page in there] == [
        ["ride_7", "ride_6", "ride_5"],
        ["ride_4", "ride_3", "ride_2"],
        ["ride_1", "ride_0"],
    ]
    query = there[-1].wsgi_request.META["QUERY_STRING"]
    back = walk(asks, f"{LIST}?{query}", "newer")
    assert [ids(page) for page in back] == [ids(page) for page in reversed(there)]
    assert not back[-1].context["listing"].page.newer


def test_a_page_of_rides_is_one_query_and_never_a_scan(cloud, asks, many):
    for page in ("", "?q=rider"):
        response = asks.get(LIST + page)
        cloud.forget_calls()
        asks.get(LIST + response.context["listing"].page.older)
        calls = cloud.calls()
        assert calls["dynamodb", "Query"] == 1
        assert calls["dynamodb", "Scan"] == 0
        assert calls["dynamodb", "GetItem"] <= 2  # the session and, for a search, the ride of that id


def test_other_months_are_reached_by_links_and_an_empty_one_says_so(cloud, asks, rider):
    old = datetime(2025, 12, 31, 23, 0, tzinfo=UTC)
    add("older", rider, request_time=old, request_month="2025-12")
    response = asks.get(LIST)
    assert f"No rides in {NOW:%B %Y}." in text(response)
    assert not response.context["listing"].later
    response = asks.get(f"{LIST}?month=2026-01")
    assert "No rides in January 2026." in text(response)
    response = asks.get(LIST + response.context["listing"].earlier)
    assert ids(response) == ["older"]
    assert "December 2025" in text(response)
    assert response.context["listing"].later == "?month=2026-01"
    for nonsense in ("2026-13", "x", "0001-01", ""):
        assert f"{NOW:%B %Y}" in text(asks.get(f"{LIST}?month={nonsense}"))


def test_a_ride_is_found_by_its_id_its_rider_and_the_riders_sub(cloud, asks, rider, author):
    add("ride_a", rider)
    add("ride_b", author)
    assert asks.get(f"{LIST}?q=ride_a")["Location"] == "/admin/rides/ride/ride_5Fa/change/"
    for who in (rider.username, rider.sub, rider.email):
        assert ids(asks.get(LIST, {"q": who})) == ["ride_a"]
    assert "Nothing found for “nobody”." in text(asks.get(f"{LIST}?q=nobody"))


def test_a_ride_has_a_page_with_all_that_is_known(cloud, asks, rider):
    add("ride_a", rider, cancelled_at=NOW)
    response = asks.get("/admin/rides/ride/ride_5Fa/change/")
    said = text(response)
    for fact in ("ride_a", "cancelled", "rider", "Angel", "47.6, -122.3"):
        assert fact in said
    assert "/admin/rides/unicorn/angel/change/" in response.content.decode()
    gone = asks.get("/admin/rides/ride/nothing/change/", follow=True)
    assert "There is no such ride." in text(gone)


def test_a_ride_of_the_published_tutorial_has_a_page_too(cloud, asks):
    item = {
        "RideId": "old",
        "User": "the_username",
        "Unicorn": {"Name": "Angel", "Color": "White", "Gender": "Female"},
        "RequestTime": "2017-01-01T00:00:00.000Z",
    }
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["rides"], Item=to_item(item))
    said = text(asks.get(f"{LIST}?q=old", follow=True))
    assert "the_username" in said
    assert "completed" in said


@pytest.mark.parametrize("cursor", ["x", "eyJhIjoxfQ:x:y"])
def test_a_cursor_that_was_made_up_is_refused(asks, cursor):
    assert asks.get(f"{LIST}?after={cursor}").status_code == 400


def test_a_cursor_of_one_list_does_not_open_another(asks, many):
    older = asks.get(LIST).context["listing"].page.older
    assert asks.get(f"{LIST}{older}&q=rider").status_code == 400
    assert asks.get(f"{LIST}{older}&month=2026-01").status_code == 400


def test_the_audit_log_is_read_by_month_by_object_and_by_actor(cloud, asks, operator, auditor):
    audit.record("changed", by=operator, object="rides.unicorn/angel", object_name="Angel")
    audit.record("looked at", by=auditor, object="rides.unicorn/gil", object_name="Gil")

    def shown(path):
        return [record.object_name for record in asks.get(LOG + path).context["listing"].page.records]

    cloud.forget_calls()
    assert shown("") == ["Gil", "Angel"]
    assert cloud.calls() == {("dynamodb", "Query"): 1, ("dynamodb", "GetItem"): 1}
    assert shown("?q=rides.unicorn/angel") == ["Angel"]
    assert shown("?q=operator") == shown(f"?q={operator.sub}") == ["Angel"]
    assert "Nothing found" in text(asks.get(f"{LOG}?q=rides.unicorn/nobody"))
    (entry,) = audit.of_object("rides.unicorn/angel").records
    link = asks.get(LOG).context["rows"][1][0]
    path = re.search(r'href="([^"]+)"', link)[1]
    said = text(asks.get(path))
    assert operator.sub in said
    assert "changed" in said
    assert entry.object in said
