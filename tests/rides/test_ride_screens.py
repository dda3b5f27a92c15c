"""The rides and the audit log in the admin: every page is one Query, and every ride is found by a key."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.conf import settings
from django.contrib.admin.utils import quote
from django.test import Client

from portal.dynamo import audit, records
from portal.dynamo.values import from_item, to_item
from rides import dispatch
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
    monkeypatch.setitem(records.page.__kwdefaults__, "limit", 3)
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


def test_a_name_that_is_somebodys_sub_finds_the_rides_of_that_sub(cloud, asks, rider, monkeypatch):
    """Who signs up under another's sub as a name does not hide the other's rides."""
    add("ride_a", rider)
    monkeypatch.setattr("portal.accounts.cognito.find_sub", lambda name: "somebody-else")
    assert ids(asks.get(LIST, {"q": rider.sub})) == ["ride_a"]


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


# --- An operator cancels a ride ---------------------------------------------------------------------------------------

PLACE = Place(latitude=47.6, longitude=-122.3)


@pytest.fixture
def live(fleet, rider):
    fleet("angel", Name="Angel", Latitude=47.9)
    return dispatch.request_ride(PLACE, by=rider, now=datetime.now(UTC))


def page_of(ride):
    return f"{LIST}{quote(ride.ride_id)}/change/"


def cancel_at(ride):
    return f"{LIST}{quote(ride.ride_id)}/cancel/"


def test_an_operator_gets_from_a_busy_unicorn_to_its_ride_and_frees_it(cloud, client_for, operator, rider, live):
    asks = client_for(operator)
    assert f'href="{page_of(live)}"' in asks.get("/admin/rides/unicorn/angel/change/").content.decode()
    page = asks.get(page_of(live)).content.decode()
    assert f'action="{cancel_at(live)}"' in page
    cloud.forget_calls()
    response = asks.post(cancel_at(live))
    assert cloud.calls()["dynamodb", "TransactWriteItems"] == 1
    said = text(asks.get(response["Location"]))
    assert "The ride is cancelled and Angel is free again." in said
    assert "operator cancelled the ride stage: on the way → cancelled" in said
    assert "Cancel this ride" not in said
    (unicorn,) = map(from_item, cloud.items("fleet"))
    assert "RideId" not in unicorn
    assert unicorn["BusyUntil"] <= datetime.now(UTC).timestamp()
    assert dispatch.find_ride(live.ride_id, by=rider).cancelled_at
    (entry,) = audit.of_object(f"rides.ride/{live.ride_id}").records
    assert (entry.action, entry.actor_sub) == ("cancelled the ride", operator.sub)


def test_cancelling_again_or_too_late_changes_nothing_and_is_said(cloud, client_for, operator, rider, live):
    asks = client_for(operator)
    asks.post(cancel_at(live))
    before = cloud.items("fleet"), cloud.items("rides"), cloud.items("audit")
    assert "This ride was cancelled already." in text(asks.post(cancel_at(live), follow=True))
    assert (cloud.items("fleet"), cloud.items("rides"), cloud.items("audit")) == before
    over = add("ride_over", rider)
    assert "This ride was over already." in text(asks.post(cancel_at(over), follow=True))
    assert "Cancel this ride" not in text(asks.get(page_of(over)))
    assert cloud.items("audit") == before[2]
    assert "There is no such ride." in text(asks.post(f"{LIST}nothing/cancel/", follow=True))


def test_only_who_may_change_rides_cancels_them_and_only_from_the_form(
    cloud, client_for, client, operator, auditor, rider, live
):
    before = cloud.items("fleet"), cloud.items("rides")
    assert client_for(auditor).post(cancel_at(live)).status_code == 403
    assert "Cancel this ride" not in text(client_for(auditor).get(page_of(live)))
    assert client_for(rider).post(cancel_at(live)).status_code == 403
    assert client.post(cancel_at(live))["Location"].startswith("/sign-in/")
    assert client_for(operator).get(cancel_at(live)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client_for(operator).cookies
    assert strict.post(cancel_at(live)).status_code == 403
    assert (cloud.items("fleet"), cloud.items("rides"), cloud.items("audit")) == (*before, [])


def test_a_ride_that_is_not_cancelled_is_not_said_to_be(cloud, client_for, operator, live):
    asks = client_for(operator)
    asks.raise_request_exception = False
    before = cloud.items("fleet"), cloud.items("rides")
    cloud.faults.add(service="dynamodb", action="TransactWriteItems", kind="error")
    assert asks.post(cancel_at(live)).status_code == 503
    cloud.faults.clear()
    assert (cloud.items("fleet"), cloud.items("rides"), cloud.items("audit")) == (*before, [])
