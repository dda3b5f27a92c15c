"""The page around a stream in a frame: what starts it, and that its URL is nowhere in it."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from portal.streaming.window_views import START_COOKIE
from tests.streaming.test_views import STREAM, good, launch, text


@pytest.fixture
def framed(streaming):
    streaming.fleet(embed=True)
    streaming.application(Title="Design studio", Opens="frame")
    return streaming


@pytest.fixture
def rides(client_for, rider):
    return client_for(rider)


def test_starting_leads_to_the_window_and_the_cookie_says_once_that_it_was_asked_for(rides, framed, cloud):
    answer = rides.post("/apps/studio/launch/")
    assert (answer.status_code, answer["Location"]) == (303, "/apps/studio/window/")
    assert answer["Cache-Control"] == "no-store"
    cookie = answer.cookies[START_COOKIE]
    assert (cookie["path"], cookie["max-age"], cookie["samesite"]) == ("/apps/studio/window/", 30, "Strict")
    assert cookie["httponly"] is True
    assert cloud.items("streaming_launches") == [], "the window asks for the URL, and nothing before it"
    first = rides.get("/apps/studio/window/")
    assert " data-asked" in good(first)
    assert first.cookies[START_COOKIE]["max-age"] == 0
    assert first.cookies[START_COOKIE]["path"] == "/apps/studio/window/"
    for _ in range(2):
        assert " data-asked" not in good(rides.get("/apps/studio/window/")), "reloading starts nothing"


def test_a_look_at_the_head_uses_nothing_up(rides, framed):
    rides.post("/apps/studio/launch/")
    assert START_COOKIE not in rides.head("/apps/studio/window/").cookies
    assert " data-asked" in good(rides.get("/apps/studio/window/"))


def test_no_url_is_in_the_page_and_only_the_streams_may_be_framed(rides, framed, cloud):
    rides.post("/apps/studio/launch/")
    answer = rides.get("/apps/studio/window/")
    assert not STREAM.search(text(answer))
    assert "<iframe" not in text(answer), "it is made when it starts, so that no browser restores what was in it"
    assert cloud.calls()[("appstream", "CreateStreamingURL")] == 0
    policy = dict(
        one.strip().split(" ", 1) for one in answer["Content-Security-Policy"].split(";") if " " in one.strip()
    )
    assert policy["frame-src"] == " ".join(settings.STREAMING_ORIGINS)
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer["Cache-Control"] == "private, no-store"
    assert "frame-src" not in rides.get("/apps/")["Content-Security-Policy"]


def test_the_frames_permissions_name_the_streams_origin(rides, framed):
    allow = re.search(r'data-allow="([^"]*)"', good(rides.get("/apps/studio/window/")))[1]
    [origin] = settings.STREAMING_ORIGINS
    assert allow == "; ".join(
        f"{one} {origin}" for one in ("clipboard-read", "clipboard-write", "fullscreen", "autoplay")
    )


def test_the_whole_tab_is_there_with_and_without_javascript(rides, framed):
    page = good(rides.get("/apps/studio/window/"))
    assert page.count('name="tab" value="1"') == 2
    assert "<noscript>" in page
    answer = rides.post("/apps/studio/launch/", {"tab": "1"})
    assert STREAM.fullmatch(answer["Location"])


def test_where_the_stack_lets_nobody_frame_it_it_is_the_whole_tab(rides, streaming):
    streaming.fleet()
    streaming.application(Opens="frame")
    assert STREAM.fullmatch(rides.post("/apps/studio/launch/")["Location"])


def test_where_the_stack_cannot_be_asked_it_opens_as_the_whole_tab(rides, framed, cloud):
    cloud.faults.add(service="appstream", action="DescribeStacks", kind="throttle")
    answer = rides.post("/apps/studio/launch/")
    assert answer.status_code == 303
    assert framed.open(answer["Location"]).status == 200


def test_the_window_learns_whether_there_is_a_session(client_for, rider, author, framed, cloud):
    rides = client_for(rider, raise_request_exception=False)
    assert rides.get("/apps/studio/standing/").json() == {"Running": False}
    framed.application(Title="Design studio")
    launch(rides, framed)
    cloud.forget_calls()
    answer = rides.get("/apps/studio/standing/")
    assert answer.json() == {"Running": True}
    assert "no-store" in answer["Cache-Control"]
    calls = cloud.calls()
    assert {name: count for name, count in calls.items() if name[0] == "appstream"} == {
        ("appstream", "DescribeSessions"): 1
    }
    assert client_for(author).get("/apps/studio/standing/").json() == {"Running": False}
    cloud.faults.add(service="appstream", kind="error")
    assert rides.get("/apps/studio/standing/").status_code == 503
