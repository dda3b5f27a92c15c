"""The pages about rides, as a browser without JavaScript sees them, and the parts that htmx asks for."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from portal.dynamo.values import from_item
from rides import dispatch
from rides.ride import rides
from rides.rules import Place
from rides.views import how_far
from tests.html import page_problems, problems

HERE = {"latitude": "47.6", "longitude": "-122.3"}


@pytest.fixture
def riding(client_for, rider):
    return client_for(rider)


def ask(client, **fields):
    return client.post("/rides/", HERE | fields)


def later(cloud, ride, by):
    """Set a ride back in time, as if it had been asked for earlier."""
    moved = {name: getattr(ride, name) - by for name in ("request_time", "arrives_at", "ends_at")}
    cloud.admin("dynamodb").put_item(
        **{
            key: value
            for key, value in rides.putting(ride.model_copy(update=moved)).items()
            if key in ("TableName", "Item")
        }
    )


# --- Asking for a unicorn ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/rides/", "/rides/near/", "/rides/live/", "/rides/earlier/", "/rides/a-ride-of-somebody/"]
)
def test_somebody_unknown_is_sent_to_sign_in(cloud, path):
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=")


def test_the_first_visit_has_an_empty_state_and_a_place_to_start_from(riding):
    page = riding.get("/rides/").content.decode()
    assert not page_problems(page)
    assert "No rides yet" in page
    assert 'value="47.6062"' in page


def test_the_page_costs_one_read_for_the_session_and_one_query(riding, cloud):
    riding.get("/rides/")
    assert cloud.calls() == {("dynamodb", "GetItem"): 1, ("dynamodb", "Query"): 1}


def test_asking_claims_the_unicorn_and_shows_the_ride(riding, cloud, fleet, rider):
    fleet("rocinante", Name="Rocinante", Color="Yellow", Latitude=47.65, Longitude=-122.2)
    answer = ask(riding)
    assert answer.status_code == 302
    (item,) = map(from_item, cloud.items("rides"))
    assert answer["Location"] == f"/rides/{item['RideId']}/"
    assert (item["User"], item["RiderSub"]) == (rider.username, rider.sub)
    page = riding.get(answer["Location"]).content.decode()
    assert not page_problems(page)
    assert "Rocinante" in page
    assert "Yellow female unicorn" in page
    assert "47.6500, -122.2000" in page, "where it comes from"
    assert "47.6000, -122.3000" in page, "where it goes"
    assert "until Rocinante is with you" in page


def test_asking_twice_with_one_form_gives_one_ride(riding, cloud, fleet):
    fleet("angel")
    fleet("gil")
    key = re.search(r'name="idempotency_key" value="([^"]+)"', riding.get("/rides/").content.decode())[1]
    first, second = ask(riding, idempotency_key=key), ask(riding, idempotency_key=key)
    assert first["Location"] == second["Location"]
    assert len(cloud.items("rides")) == 1


def test_a_form_that_was_sent_before_asks_again_for_another_place(riding, cloud, fleet):
    fleet("angel")
    fleet("gil")
    ask(riding, idempotency_key="the-same")
    answer = ask(riding, idempotency_key="the-same", latitude="47.7")
    assert answer.status_code == 409
    page = answer.content.decode()
    assert not page_problems(page)
    assert 'value="47.7"' in page
    assert 'value="the-same"' not in page, "the next press is a new request"
    assert len(cloud.items("rides")) == 1


def test_a_form_whose_ride_was_cancelled_says_so_and_asks_again(riding, cloud, fleet, rider):
    fleet("angel")
    ask(riding, idempotency_key="the-same")
    (item,) = map(from_item, cloud.items("rides"))
    dispatch.cancel(item["RideId"], by=rider, now=timezone.now())
    answer = ask(riding, idempotency_key="the-same")
    assert answer.status_code == 409
    page = answer.content.decode()
    assert not page_problems(page)
    assert "You have asked with this form before." in page
    key = re.search(r'name="idempotency_key" value="([^"]+)"', page)[1]
    assert key != "the-same"
    assert ask(riding, idempotency_key=key).status_code == 302
    assert len(cloud.items("rides")) == 2


def test_each_form_has_a_key_of_its_own(riding):
    keys = {
        re.search(r'name="idempotency_key" value="([^"]+)"', riding.get("/rides/").content.decode())[1]
        for _ in range(3)
    }
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latitude": "95"}, "Latitudes go from -90, the South Pole, to 90, the North Pole."),
        ({"latitude": "nan"}, "“nan” is not a latitude: write a number such as 47.6."),
        ({"latitude": "inf"}, "“inf” is not a latitude"),
        ({"latitude": "1e999"}, "“1e999” is not a latitude"),
        ({"latitude": "47,6,"}, "“47,6,” is not a latitude"),
        ({"latitude": "x" * 99}, "“xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…” is not a latitude"),
        ({"latitude": ""}, "Pick a place on the map, or type its latitude."),
        ({"longitude": "-180.1"}, "Longitudes go from -180 in the west to 180 in the east."),
        ({"longitude": "west"}, "“west” is not a longitude: write a number such as -122.3."),
    ],
)
def test_a_wrong_number_is_kept_and_explained_beside_its_field(riding, cloud, fleet, fields, message):
    fleet("angel")
    answer = ask(riding, **fields)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert not page_problems(page)
    ((name, value),) = fields.items()
    field = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)[0]
    assert 'aria-invalid="true"' in field
    assert f'aria-describedby="id_{name}_error"' in field
    assert not value or f'value="{value}"' in field
    error = re.search(rf'<ul[^>]*id="id_{name}_error"[^>]*>(.*?)</ul>', page)[1]
    assert message in error
    assert f'<a href="#id_{name}">' in page, "the summary leads to the field"
    assert not cloud.items("rides")


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ("47,6", "\u2212122,3"),
        ("47.6° N", "122.3° W"),
        ("47.6, -122.3", "0"),
        ("0", " (47.6,-122.3) "),
        ("47,6 \u2212122,3", ""),
        ("47.6 N; 122.3 W", "not a number"),
    ],
)
def test_a_place_is_read_as_people_write_it(riding, cloud, fleet, latitude, longitude):
    fleet("angel")
    assert ask(riding, latitude=latitude, longitude=longitude).status_code == 302
    (item,) = map(from_item, cloud.items("rides"))
    assert {name: float(value) for name, value in item["Pickup"].items()} == {"Latitude": 47.6, "Longitude": -122.3}
    near = riding.get("/rides/near/", {"latitude": latitude, "longitude": longitude}).content.decode()
    assert "No unicorn is free right now." in near


def test_a_pair_that_is_out_of_range_comes_back_as_two_numbers(riding, cloud, fleet):
    page = ask(riding, latitude="-122.3, 47.6").content.decode()
    assert 'value="-122.3"' in page
    assert 'value="47.6"' in page
    assert "Latitudes go from -90" in page


def test_a_ride_that_is_under_way_is_said_above_the_form(riding, cloud, fleet, rider):
    assert "Follow the ride" not in riding.get("/rides/").content.decode()
    fleet("angel", Name="Angel", Latitude=47.7)
    ride = dispatch.request_ride(Place(47.6, -122.3), by=rider, now=timezone.now())
    page = riding.get("/rides/").content.decode()
    assert not page_problems(page)
    assert f'Angel</strong> is on the way to you. <a href="/rides/{ride.ride_id}/">Follow the ride</a>' in page
    now = timezone.now()
    later(cloud, ride, ride.arrives_at - now + timedelta(seconds=1))
    page = riding.get("/rides/").content.decode()
    assert "Angel</strong> is with you." in page
    assert ">with you</span>" in page
    later(cloud, ride, timedelta(hours=5))
    assert "Follow the ride" not in riding.get("/rides/").content.decode()


def test_a_ride_that_is_not_there_leads_back_to_the_rides(riding, cloud):
    page = riding.get("/rides/a-ride-of-somebody/").content.decode()
    assert not page_problems(page)
    assert '<a class="button quiet" href="/rides/">Your rides</a>' in page
    nav = re.search(r'<nav class="nav".*?</nav>', page)[0]
    assert 'href="/"' in nav
    assert 'href="/rides/"' in nav


def test_when_none_is_free_it_says_when_the_next_one_will_be_and_keeps_the_place(riding, cloud, fleet):
    free_at = timezone.now().replace(microsecond=0) + timedelta(minutes=7)
    fleet("angel", BusyUntil=int(free_at.timestamp()), RideId="another")
    answer = ask(riding, latitude="47.123")
    assert answer.status_code == 409
    page = answer.content.decode()
    assert not page_problems(page)
    assert "No unicorn is free right now." in page
    assert f"{free_at:%H:%M} UTC" in page
    assert f'data-retry-at="{free_at.isoformat()}"' in page
    assert 'value="47.123"' in page
    assert not cloud.items("rides")


def test_an_empty_fleet_is_said_to_be_empty(riding, cloud):
    assert "There are no unicorns yet." in ask(riding).content.decode()


def test_a_request_without_a_csrf_token_is_refused(client_for, rider, cloud, fleet):
    fleet("angel")
    client = client_for(rider, enforce_csrf_checks=False)
    client.handler.enforce_csrf_checks = True
    assert ask(client).status_code == 403
    assert not cloud.items("rides")


def test_get_changes_nothing(riding, cloud, fleet, rider):
    fleet("angel")
    ride = dispatch.request_ride(Place(47.6, -122.3), by=rider, now=timezone.now())
    before = cloud.items("fleet"), cloud.items("rides"), cloud.items("idempotency")
    for path in (
        "/rides/?latitude=1&longitude=2",
        "/rides/near/?latitude=47.6&longitude=-122.3&idempotency_key=x",
        "/rides/live/",
        "/rides/earlier/",
        f"/rides/{ride.ride_id}/",
        f"/rides/{ride.ride_id}/status/",
    ):
        assert riding.get(path).status_code == 200
    assert riding.get(f"/rides/{ride.ride_id}/cancel/").status_code == 405
    assert (cloud.items("fleet"), cloud.items("rides"), cloud.items("idempotency")) == before


# --- Who is near ------------------------------------------------------------------------------------------------------


def test_near_lists_who_is_free_nearest_first(riding, fleet):
    fleet("far", Name="Farfara", Latitude=48.6)
    fleet("near", Name="Gil", Color="White", Latitude=47.6189)
    fleet("busy", Name="Busy", BusyUntil=2**33, RideId="another")
    part = riding.get("/rides/near/", HERE).content.decode()
    assert not problems(part)
    assert part.index("Gil") < part.index("Farfara")
    assert "Nearest free ones" in part
    assert "2.1 km, about 2 minutes" in part
    assert "Busy" not in part


def test_who_is_on_the_spot_is_right_there(riding, fleet):
    fleet("gil", Name="Gil", Latitude=47.6, Longitude=-122.3)
    part = riding.get("/rides/near/", HERE).content.decode()
    assert "right there" in part
    assert "0 m" not in part


@pytest.mark.parametrize("query", [{}, {"latitude": "x", "longitude": "y"}, {"latitude": "91", "longitude": "0"}])
def test_near_without_a_place_asks_for_one(riding, cloud, query):
    answer = riding.get("/rides/near/", query)
    assert answer.status_code == 200
    assert "Pick a place" in answer.content.decode()
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}


def test_near_says_when_the_next_one_is_free(riding, fleet):
    fleet("busy", BusyUntil=2**33, RideId="another")
    assert "No unicorn is free right now." in riding.get("/rides/near/", HERE).content.decode()


@pytest.mark.parametrize(
    ("metres", "said"), [(4, "0 m"), (346, "350 m"), (2100, "2.1 km"), (19_960, "20.0 km"), (1_234_567, "1,235 km")]
)
def test_distances_are_said_as_people_say_them(metres, said):
    assert how_far(metres) == said


# --- One ride ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ride(fleet, rider):
    fleet("angel", Name="Angel", Latitude=47.7)
    return dispatch.request_ride(Place(47.6, -122.3), by=rider, now=timezone.now())


def test_somebody_elses_ride_is_not_there(ride, client_for, outsider, operator, cloud):
    for person in (outsider, operator):
        client = client_for(person)
        for path in (f"/rides/{ride.ride_id}/", f"/rides/{ride.ride_id}/status/"):
            assert client.get(path).status_code == 404
        assert client.post(f"/rides/{ride.ride_id}/cancel/").status_code == 404
        assert ride.ride_id not in client.get("/rides/").content.decode()
    assert not dispatch.rides.get(ride.ride_id).cancelled_at


def test_a_live_ride_renews_itself_and_can_be_cancelled(ride, riding):
    part = riding.get(f"/rides/{ride.ride_id}/status/").content.decode()
    assert not problems(part)
    assert 'hx-trigger="every ' in part
    assert "Cancel" not in part, "an open confirmation is not swapped away"
    page = riding.get(f"/rides/{ride.ride_id}/").content.decode()
    assert "Cancel this ride" in page
    assert "Yes, cancel it" in page


def test_cancelling_frees_the_unicorn_and_says_so(ride, riding, cloud):
    answer = riding.post(f"/rides/{ride.ride_id}/cancel/", follow=True)
    page = answer.content.decode()
    assert not page_problems(page)
    assert "The ride is cancelled and the unicorn is free again." in page
    assert "Cancel this ride" not in page
    assert 'hx-trigger="every' not in page
    (unicorn,) = map(from_item, cloud.items("fleet"))
    assert unicorn["BusyUntil"] <= timezone.now().timestamp()


def test_a_ride_that_is_over_stops_renewing_and_cannot_be_cancelled(ride, riding, cloud):
    later(cloud, ride, timedelta(hours=5))
    part = riding.get(f"/rides/{ride.ride_id}/status/").content.decode()
    assert "hx-trigger" not in part
    assert 'hx-swap-oob="true"' in part, "the buttons change with the last renewal"
    assert "Ask for another" in part
    page = riding.post(f"/rides/{ride.ride_id}/cancel/", follow=True).content.decode()
    assert "This ride was over already." in page
    assert not dispatch.rides.get(ride.ride_id).cancelled_at


def test_a_ride_of_the_tutorial_is_shown_with_what_it_has(riding, cloud, rider):
    item = {
        "RideId": {"S": "an-old-ride-of-2017"},
        "User": {"S": rider.username},
        "Unicorn": {"M": {"Name": {"S": "Shadowfax"}, "Color": {"S": "White"}, "Gender": {"S": "Male"}}},
        "RequestTime": {"S": "2017-06-01T10:00:00.000Z"},
        "RiderSub": {"S": rider.sub},
    }
    cloud.admin("dynamodb").put_item(TableName=rides.name, Item=item)
    page = riding.get("/rides/an-old-ride-of-2017/").content.decode()
    assert not page_problems(page)
    assert "Shadowfax" in page
    assert "1 Jun 2017" in page
    assert 'id="follow-map"' not in page
    assert "Shadowfax" in riding.get("/rides/").content.decode()


@pytest.mark.parametrize("ride_id", ["short", "x" * 129, "semi;colon-and-more", "dots..dots..dots"])
def test_what_cannot_be_a_ride_is_not_looked_up(riding, cloud, ride_id):
    assert riding.get(f"/rides/{ride_id}/").status_code == 404
    assert cloud.calls().total() <= 1


# --- Earlier rides ----------------------------------------------------------------------------------------------------


@pytest.fixture
def many(fleet, rider, cloud):
    start = timezone.now()
    made = []
    for n in range(12):
        fleet(f"unicorn-{n:02}", Name=f"Unicorn {n:02}")
        ride = dispatch.request_ride(Place(47.6, -122.3), by=rider, now=start)
        later(cloud, ride, timedelta(days=n + 1))
        made.append(ride)
    return made


def test_earlier_rides_are_paged_newest_first(many, riding):
    page = riding.get("/rides/").content.decode()
    listed = re.findall(r'href="/rides/([\w-]+)/">', page)
    assert listed == [ride.ride_id for ride in many[:10]]
    older = re.search(r'href="(/rides/\?cursor=[^"#]+)#earlier"', page)[1]
    part = re.search(r'hx-get="(/rides/earlier/\?cursor=[^"]+)"', page)[1]
    second = riding.get(older).content.decode()
    assert not page_problems(second)
    assert re.findall(r'href="/rides/([\w-]+)/">', second) == [ride.ride_id for ride in many[10:]]
    assert "Newest rides" in second
    assert re.findall(r'href="/rides/([\w-]+)/">', riding.get(part).content.decode()) == [
        ride.ride_id for ride in many[10:]
    ]


def test_a_cursor_that_was_changed_or_belongs_to_somebody_else_is_refused(many, riding, client_for, author):
    cursor = re.search(r'href="/rides/\?cursor=([^"#]+)#earlier"', riding.get("/rides/").content.decode())[1]
    for path in ("/rides/", "/rides/earlier/"):
        assert riding.get(f"{path}?cursor={cursor}x").status_code == 400
        assert client_for(author).get(f"{path}?cursor={cursor}").status_code == 400


# --- The ride on the home page ----------------------------------------------------------------------------------------


def test_the_home_page_asks_for_the_ride_that_is_under_way(ride, riding, cloud):
    assert 'hx-get="/rides/live/"' in riding.get("/").content.decode()
    part = riding.get("/rides/live/").content.decode()
    assert f'href="/rides/{ride.ride_id}/"' in part
    assert "Angel" in part
    later(cloud, ride, timedelta(hours=5))
    assert not riding.get("/rides/live/").content.strip()


def test_the_home_page_shows_a_ride_that_is_under_way_beneath_a_cancelled_one(ride, riding, rider, fleet):
    fleet("gil", Name="Gil", Latitude=47.6, Longitude=-122.3)
    newer = dispatch.request_ride(Place(latitude=47.6, longitude=-122.3), by=rider, now=timezone.now())
    dispatch.cancel(newer.ride_id, by=rider, now=timezone.now())
    part = riding.get("/rides/live/").content.decode()
    assert f'href="/rides/{ride.ride_id}/"' in part
    assert newer.ride_id not in part


def test_a_busy_database_is_said_to_be_busy(riding, cloud, fleet):
    fleet("angel")
    riding.raise_request_exception = False
    cloud.faults.add(service="dynamodb", action="Query", kind="throttle", times=50)
    answer = riding.get("/rides/")
    assert answer.status_code == 503
    assert "Busy right now" in answer.content.decode()
