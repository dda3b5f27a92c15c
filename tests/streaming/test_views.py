"""The page of applications: what is shown to whom, starting, coming back, ending, pictures; and GET changes nothing."""

from __future__ import annotations

import base64
import logging
import re

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from portal.streaming import launching, rules
from portal.streaming.offers import NO_FLEETS, NO_SESSIONS
from portal.streaming.pictures import Picture, keep
from tests.approvals.conftest import user
from tests.html import page_problems, problems

PAGES = ["", "studio/", "studio/window/", "studio/standing/", "studio/picture/"]
ACTS = ["studio/launch/", "studio/end/"]
STREAM = re.compile(r"http://127\.0\.0\.1:\d+/streaming/authenticate\?parameters=\S{40,}")
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\r\x00\x00\x00/\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"


def text(answer):
    return answer.content.decode()


def good(answer, status=200):
    """Return a page's text, after a look at its status and its markup."""
    assert answer.status_code == status, text(answer)
    assert not page_problems(text(answer))
    return text(answer)


def tile(page: str, application_id: str) -> str:
    """Return the markup of an application's tile."""
    found = re.search(rf'<li class="tile" id="app-{application_id}".*?</li>', page, re.DOTALL)
    assert found, page
    return found[0]


def stored(cloud):
    return [cloud.items(table) for table in ("streaming_applications", "streaming_launches", "audit")]


@pytest.fixture
def rides(client_for, rider):
    return client_for(rider)


@pytest.fixture
def studio(streaming):
    streaming.fleet()
    streaming.application(Title="Design studio", Application="Photoshop")
    return streaming


def picture():
    """Store a picture, and return its id."""
    made = Picture(picture_id="0123456789abcdef" * 2, data=base64.b64encode(WEBP).decode())
    keep(made)
    return made.picture_id


def launch(client, streaming, application_id="studio"):
    """Start an application on the page, and open the stream as the browser does that is led there."""
    answer = client.post(f"/apps/{application_id}/launch/")
    assert answer.status_code == 303, text(answer)
    page = streaming.open(answer["Location"])
    assert page.status == 200
    streaming.settle()
    return page.data.decode()


# --- Who, and how -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*PAGES, *ACTS])
def test_a_stranger_signs_in_first(studio, address):
    for method in ("get", "post"):
        answer = getattr(Client(), method)(f"/apps/{address}")
        assert answer.status_code == 302, (method, address)
        assert answer["Location"].startswith("/sign-in/?next=/apps/"), (method, address)
        if address in ACTS:
            assert answer["Location"] == "/sign-in/?next=/apps/", "there is no page at the address of an act"
    assert studio.cloud.items("streaming_launches") == []


@pytest.mark.parametrize("address", PAGES)
def test_looking_changes_nothing(rides, studio, cloud, address):
    before = stored(cloud)
    for method in ("get", "head"):
        assert getattr(rides, method)(f"/apps/{address}").status_code in (200, 302, 404)
    assert rides.post(f"/apps/{address}").status_code == 405
    assert stored(cloud) == before
    assert studio.sessions() == []


@pytest.mark.parametrize("address", ACTS)
def test_an_act_is_a_post_with_a_csrf_token(rides, rider, client_for, studio, cloud, address):
    for method in ("put", "delete"):
        assert getattr(rides, method)(f"/apps/{address}").status_code == 405
    # The address of a page that an act has answered with, as a bookmark.
    for method in ("get", "head"):
        assert getattr(rides, method)(f"/apps/{address}")["Location"] == "/apps/"
    strict = client_for(rider)
    strict.handler.enforce_csrf_checks = True
    assert strict.post(f"/apps/{address}").status_code == 403
    assert cloud.items("streaming_launches") == []


@pytest.mark.parametrize("name", ["nothing", "a" * 3000, "..%2f..", "Ünïcode-🦄", "%00", "*", "<b>"])
def test_what_is_not_there_is_a_page_that_says_so(rides, studio, name):
    for method, address in [("get", ""), ("get", "window/"), ("get", "standing/"), ("get", "picture/")]:
        assert getattr(rides, method)(f"/apps/{name}/{address}").status_code == 404, address
    assert rides.post(f"/apps/{name}/launch/").status_code == 404
    assert rides.post(f"/apps/{name}/end/").status_code in (302, 404)


def test_an_application_of_others_is_hidden_or_refused_in_words(rides, streaming, rider):
    streaming.fleet()
    streaming.application("shown", Title="Design <studio>", Groups="designers", ShownToAll=True, Picture=picture())
    streaming.application("hidden", Groups="designers", Picture=picture())
    words = "Design &lt;studio&gt; is not for you. Ask an operator to add you to designers."
    page = good(rides.get("/apps/"))
    assert words in tile(page, "shown")
    assert "<form" not in tile(page, "shown")
    assert "hidden" not in re.findall(r'id="app-(\w+)"', page)
    for method, address in [("get", ""), ("get", "window/"), ("post", "launch/")]:
        assert words in good(getattr(rides, method)(f"/apps/shown/{address}"), 403), address
        assert getattr(rides, method)(f"/apps/hidden/{address}").status_code == 404, address
    assert rides.get("/apps/shown/standing/").status_code == 404
    assert (rides.get("/apps/shown/picture/").status_code, rides.get("/apps/hidden/picture/").status_code) == (200, 404)
    assert streaming.cloud.items("streaming_launches") == []


def test_an_old_bookmark_leads_to_the_tile(rides, studio):
    answer = rides.get("/apps/studio/")
    assert (answer.status_code, answer["Location"]) == (302, "/apps/#app-studio")
    assert 'id="app-studio"' in good(rides.get("/apps/"))


# --- The page ---------------------------------------------------------------------------------------------------------


def test_nothing_to_start_says_what_to_do(rides, client_for, operator, streaming):
    page = good(rides.get("/apps/"))
    assert "No applications for you yet" in page
    assert "Ask an operator to add you to a group" in page
    assert "/admin/streaming" not in page
    assert "Open the catalogue" in good(client_for(operator).get("/apps/"))


def test_what_people_wrote_is_escaped(rides, streaming):
    streaming.fleet(embed=True)
    nasty = "<script>alert('1')</script>\"'&"
    streaming.application("nasty", Title=nasty, Summary=nasty, Opens="frame", Picture=nasty[:60])
    page = good(rides.get("/apps/"))
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 3
    streaming.open(rides.post("/apps/nasty/launch/", {"tab": "1"})["Location"])
    for address in ("", "nasty/window/"):
        assert "<script>alert" not in good(rides.get(f"/apps/{address}"))
    assert "<script>alert" not in good(rides.post("/apps/nasty/end/", follow=True))


def test_the_picture_has_its_hash_in_its_address_and_a_letter_stands_in_for_one(rides, streaming):
    streaming.fleet()
    streaming.application("one", Picture=picture())
    streaming.application("two")
    page = good(rides.get("/apps/"))
    address = re.search(r'src="(/apps/one/picture/\?v=\w{32})"', page)[1]
    assert '<span class="tile-picture letter"' in tile(page, "two")
    answer = rides.get(address)
    assert (answer.content, answer["Content-Type"], answer["X-Content-Type-Options"]) == (WEBP, "image/webp", "nosniff")
    assert answer["Cache-Control"] == "private, max-age=86400, immutable"
    assert rides.get("/apps/one/picture/?v=old")["Cache-Control"] == "private, no-store"
    assert rides.get("/apps/two/picture/").status_code == 404


def test_a_box_to_find_one_is_there_for_more_than_a_dozen(rides, streaming):
    streaming.fleet()
    for n in range(12):
        streaming.application(f"app-{n}")
    assert 'id="find-words"' not in good(rides.get("/apps/"))
    streaming.application("app-12")
    assert 'id="find-words"' in good(rides.get("/apps/"))


def test_the_part_that_renews_itself_comes_only_when_it_is_another(rides, studio):
    page = good(rides.get("/apps/"))
    was = re.search(r'hx-get="(/apps/\?was=\w{16})"', page)[1]
    assert "data-changing" not in page
    assert rides.get(was, headers={"HX-Request": "true"}).status_code == 204
    launch(rides, studio)
    part = rides.get(was, headers={"HX-Request": "true"})
    assert (part.status_code, problems(text(part))) == (200, [])
    assert text(part).startswith("{#") is False
    assert 'data-state="running"' in text(part)
    assert "<html" not in text(part)


def test_it_renews_itself_while_a_fleet_starts_or_a_session_is_prepared(rides, streaming):
    streaming.pace(fleet_start_seconds=900, session_start_seconds=60)
    streaming.fleet()
    streaming.application()
    page = good(rides.get("/apps/"))
    assert "data-changing" in page
    assert "Studio is being started. Try again in about 15 minutes." in page
    assert "<form" not in tile(page, "studio")
    streaming.pace(elapse_seconds=901)
    assert "data-changing" not in good(rides.get("/apps/"))
    launch(rides, streaming)
    page = good(rides.get("/apps/"))
    assert "being prepared" in page
    assert "data-changing" in page
    streaming.pace(elapse_seconds=61)
    page = good(rides.get("/apps/"))
    assert "· connected" in page
    assert "data-changing" not in page


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_the_page_comes_while_appstream_does_not_answer(rides, studio, cloud, kind):
    launch(rides, studio)
    cloud.faults.add(service="appstream", kind=kind)
    page = good(rides.get("/apps/"))
    assert NO_FLEETS in page
    assert NO_SESSIONS in page
    assert "Try to start" in tile(page, "studio")
    assert "data-changing" in page


# --- Starting ---------------------------------------------------------------------------------------------------------


def test_starting_leads_to_the_stream_and_keeps_its_url_nowhere(rides, rider, studio, cloud, caplog):
    caplog.set_level(logging.DEBUG)
    answer = rides.post("/apps/studio/launch/")
    url = answer["Location"]
    assert answer.status_code == 303
    assert STREAM.fullmatch(url)
    assert answer.content == b""
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert rules.user_id(rider.sub) in studio.open(url).data.decode()
    secret = url.partition("parameters=")[2]
    portals = [one for one in caplog.records if not one.name.startswith(("botocore", "urllib3"))]
    assert secret not in "\n".join(map(str, (one.getMessage() for one in portals)))
    assert secret not in repr([cloud.items(table) for table in settings.TABLES])
    assert secret not in answer.cookies.output()
    assert secret not in text(rides.get("/apps/"))


def test_the_tile_and_the_list_say_what_runs(rides, studio):
    assert "Photoshop" in launch(rides, studio)
    page = good(rides.get("/apps/"))
    assert "Your sessions" in page
    assert re.search(r"Since <time datetime=.*, *\s*until <time datetime=.*at the latest", page)
    assert "Running since <time" in tile(page, "studio")
    assert ">Rejoin<" in tile(page, "studio")


def test_rejoining_leads_back_into_the_same_session(rides, studio):
    launch(rides, studio)
    [first] = studio.sessions()
    launch(rides, studio)
    assert [one["Id"] for one in studio.sessions()] == [first["Id"]]


def test_what_shares_the_stack_and_fleet_opens_in_the_running_session(rides, studio):
    studio.application("ledger")
    launch(rides, studio)
    page = good(rides.get("/apps/"))
    assert "Opens in your running session." in tile(page, "ledger")
    launch(rides, studio, "ledger")
    assert len(studio.sessions()) == 1
    page = good(rides.get("/apps/"))
    assert 'data-state="running"' in tile(page, "ledger")
    assert "Opens in your running session." in tile(page, "studio")


def test_a_stopped_fleet_says_so_before_the_click_and_after(rides, streaming, cloud):
    streaming.fleet(running=False)
    streaming.application(Title="Design studio")
    words = "Design studio is stopped. Ask an operator to start its fleet."
    assert words in tile(good(rides.get("/apps/")), "studio")
    page = good(rides.post("/apps/studio/launch/"), 409)
    assert re.search(rf'role="alert"[^>]*>\s*<p>{words}', page)
    assert 'data-state="stopped"' in tile(page, "studio")
    assert cloud.items("streaming_launches") == []


def test_whoever_comes_second_to_the_last_place_is_told(rides, client_for, author, streaming):
    streaming.fleet(instances=1)
    streaming.application()
    second = client_for(author)
    assert ">Start<" in tile(good(second.get("/apps/")), "studio")
    launch(rides, streaming)
    page = good(second.post("/apps/studio/launch/"), 409)
    assert "Studio is full: everybody who fits in is in." in page
    assert 'data-state="full"' in tile(page, "studio")


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_where_appstream_does_not_answer_nothing_was_started(rides, studio, cloud, kind):
    cloud.faults.add(service="appstream", action="CreateStreamingURL", kind=kind)
    answer = rides.post("/apps/studio/launch/")
    assert "Nothing was started. Please try again in a moment." in good(answer, 503)
    assert answer["Retry-After"] == "2"
    assert cloud.items("streaming_launches") == []
    cloud.faults.clear()
    launch(rides, studio)


# --- Ending -----------------------------------------------------------------------------------------------------------


def test_ending_ends_it_and_says_so_and_a_second_time_too(rides, studio, cloud):
    launch(rides, studio)
    [session] = studio.sessions()
    page = good(rides.get("/apps/"))
    assert "what you have not saved is lost" in page
    assert f'name="session" value="{session["Id"]}"' in page
    page = good(rides.post("/apps/studio/end/", {"session": session["Id"]}, follow=True))
    assert "Your session with Design studio has ended." in page
    assert "Your sessions" not in page
    assert studio.sessions() == []
    page = good(rides.post("/apps/studio/end/", {"session": session["Id"]}, follow=True))
    assert "That session was over already." in page
    ended = [one for one in cloud.items("audit") if one["Action"]["S"] == "ended the session"]
    assert len(ended) == 1


def test_the_window_ends_the_session_that_its_application_is_in(rides, studio):
    studio.application("ledger")
    launch(rides, studio)
    assert "has ended" in good(rides.post("/apps/ledger/end/", follow=True))
    assert studio.sessions() == []
    assert "over already" in good(rides.post("/apps/ledger/end/", follow=True))


def test_nobody_ends_anothers_session(rides, client_for, author, studio):
    launch(client_for(author), studio)
    launch(rides, studio)
    theirs = next(one for one in studio.sessions() if one["UserId"] == rules.user_id(author.sub))
    for name in (theirs["Id"], "../etc", "x" * 5000):
        assert "over already" in good(rides.post("/apps/studio/end/", {"session": name}, follow=True))
    assert len(studio.sessions()) == 2


def test_a_session_of_what_is_not_offered_any_more_can_still_be_ended(rides, studio, cloud):
    launch(rides, studio)
    cloud.empty("streaming_applications")
    page = good(rides.get("/apps/"))
    assert "It is not offered to you any more" in page
    assert "Rejoin" not in page
    session_id = re.search(r'name="session" value="([^"]+)"', page)[1]
    assert "has ended" in good(rides.post("/apps/studio/end/", {"session": session_id}, follow=True))


@pytest.mark.parametrize("action", ["DescribeSessions", "ExpireSession"])
def test_an_end_that_appstream_does_not_answer_is_not_said_to_be_one(rides, studio, cloud, action):
    launch(rides, studio)
    [session] = studio.sessions()
    cloud.faults.add(service="appstream", action=action, kind="error")
    page = good(rides.post("/apps/studio/end/", {"session": session["Id"]}), 503)
    assert "Perhaps the session goes on" in page
    cloud.faults.clear()
    assert [one["Id"] for one in studio.sessions()] == [session["Id"]]


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_starting_is_few_calls(rides, studio, cloud):
    rides.post("/apps/studio/launch/")
    calls = dict(cloud.calls())
    assert calls.pop(("dynamodb", "GetItem")) == 2, "the session and the application"
    assert calls == {
        ("appstream", "ListAssociatedFleets"): 1,
        ("appstream", "DescribeFleets"): 1,
        ("appstream", "CreateStreamingURL"): 1,
        ("dynamodb", "TransactWriteItems"): 1,
    }


def test_a_launch_that_the_api_made_is_a_session_here(rides, rider, studio):
    found = launching.find("studio", by=user(rider))
    studio.open(launching.launch_url(found, by=user(rider), now=timezone.now()))
    studio.settle()
    assert "Your sessions" in good(rides.get("/apps/"))
