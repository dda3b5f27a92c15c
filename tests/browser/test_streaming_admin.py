"""Operators in a browser: the catalogue, fleets that start, and sessions, as they see them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from portal.streaming import appstream
from portal.streaming.fleet import Fleet, FleetState, Kind
from tests.browser.test_look import SIZES, shown
from tests.streaming.conftest import ask, streaming
from tests.streaming.test_pictures import encoded, flat, kept

__all__ = ["ask", "streaming"]  # fixtures

ADMIN = "/admin/streaming"


def file(data):
    return {"name": "picture.png", "mimeType": "image/png", "buffer": data}


def test_an_application_is_added_with_its_picture(page, sign_in, operator, streaming):
    streaming.fleet()
    sign_in(operator)
    page.goto(f"{ADMIN}/application/add/")
    page.locator("#id_title").fill("Drawing Room")
    page.locator("#id_application_id").fill("drawing-room")
    page.locator("#id_groups").fill("nobody")
    page.locator("#id_stack").fill("sample-stack")
    page.locator("#id_fleet").fill("sample-fleet")
    page.locator("#id_picture").set_input_files(file(b"x" * 2_000_001))
    expect(page.get_by_text("This picture is larger than 2 MB. Choose a smaller one.")).to_be_visible()
    expect(page.locator("#id_picture")).to_have_value("")
    page.locator("#id_picture").set_input_files(file(encoded(flat())))
    expect(page.get_by_text("This picture is larger")).to_be_hidden()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    page.get_by_role("link", name="Groups", exact=True).click()
    page.locator("#id_groups").fill("operators")
    page.locator("#id_picture").set_input_files(file(encoded(flat())))
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    picture = page.get_by_alt_text("The picture as it is")
    assert picture.evaluate("image => image.naturalWidth") == 128
    page.get_by_label("Remove the picture").check()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(picture).to_have_count(0)


def test_a_fleet_is_started_followed_and_stopped(page, sign_in, operator, streaming):
    streaming.fleet(running=False)
    streaming.application()
    streaming.pace(fleet_start_seconds=600)
    sign_in(operator)
    page.goto(f"{ADMIN}/fleet/sample-fleet/change/")
    page.get_by_role("link", name="Start", exact=True).click()
    page.get_by_role("button", name="Yes, start it").click()
    state, says = page.locator("#fleet .tag"), page.locator("#fleet-says")
    expect(state).to_have_text("being started")
    expect(says).to_have_text("sample-fleet is being started.")
    expect(page.get_by_role("link", name="Stop", exact=True)).to_be_visible()
    streaming.pace(elapse_seconds=601)
    expect(state).to_have_text("running", timeout=10_000)  # it looks every five seconds
    expect(says).to_have_text("sample-fleet is running.")
    page.get_by_role("link", name="Stop", exact=True).click()
    page.get_by_role("button", name="Yes, stop it").click()
    expect(state).to_have_text("being stopped")


def test_somebody_s_session_is_found_and_ended(page, sign_in, operator, rider, ask, streaming):
    streaming.fleet()
    streaming.application()
    streaming.open(ask(rider).json()["Message"])
    sign_in(operator)
    page.goto(f"{ADMIN}/session/")
    page.get_by_label("Whose").fill("rider")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="End the session of Ada Lovelace").click()
    page.get_by_label("Reason").fill("The fleet needs an update.")
    page.get_by_role("button", name="Yes, end it").click()
    expect(page.get_by_text("The session of Ada Lovelace is ended.")).to_be_visible()
    expect(page.get_by_text("No session runs.")).to_be_visible()
    assert streaming.sessions() == []


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_a_fleet_that_does_not_start_says_why_and_is_stopped(
    page, sign_in, operator, streaming, monkeypatch, scheme, size
):
    page.emulate_media(color_scheme=scheme)
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    streaming.application(Fleet="drawing")
    errors = ("The subnet subnet-0123456789abcdef0 has no address left.", "e" * 200)
    stuck = Fleet("drawing", FleetState.STARTING, Kind.ALWAYS_ON, 2, 0, 0, errors=errors)
    monkeypatch.setattr(appstream, "fleets", lambda names: dict.fromkeys(names, stuck))
    sign_in(operator)
    page.goto(f"{ADMIN}/fleet/")
    found = shown(page, "list")
    page.get_by_role("link", name="drawing").click()
    expect(page.locator("#fleet-says")).to_have_text("drawing does not start.")
    expect(page.get_by_text("The subnet subnet-0123456789abcdef0")).to_be_visible()
    found += shown(page, "fleet")
    page.get_by_role("link", name="Stop", exact=True).click()
    expect(page.get_by_text("It does not start, whatever AppStream tries.")).to_be_visible()
    assert not found + shown(page, "stop")


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_axe_finds_nothing_and_nothing_hangs_over(page, sign_in, operator, rider, ask, streaming, scheme, size):
    page.emulate_media(color_scheme=scheme)
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    word = "w" * 80
    streaming.fleet(f"sample-{word}")
    more = {"Title": word, "Groups": f"*\n{word}", "Summary": word, "Picture": kept().picture_id}
    streaming.application("studio", Fleet=f"sample-{word}", **more)
    streaming.application("lost", Picture="0" * 32)
    for number in range(7):
        streaming.application(f"gone-{number}", Fleet=f"sample-{number}{word}", Stack=f"theirs-{number}{word}")
    assert streaming.open(ask(rider, Application="studio").json()["Message"]).status == 200
    sign_in(operator)
    place = f"sample-stack%2Fsample-{word}"
    found = []
    for path in (
        "application/",
        "application/add/",
        "application/studio/change/",
        "application/lost/change/",
        "application/studio/delete/",
        "application/studio/history/",
        "fleet/",
        f"fleet/sample-{word}/change/",
        f"fleet/sample-{word}/stop/",
        f"fleet/sample-0{word}/change/",
        f"session/?place={place}",
        f"session/?place=theirs-0{word}%2Fsample-0{word}",
        "session/?q=rider",
        f"session/?q={word}",
    ):
        page.goto(f"{ADMIN}/{path}")
        page.wait_for_load_state("networkidle")
        found += shown(page, path)
    page.goto(f"{ADMIN}/session/?place={place}")
    page.get_by_role("link", name=re.compile("^End the session")).click()
    found += shown(page, "end")
    assert not found
