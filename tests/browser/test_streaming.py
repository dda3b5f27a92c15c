"""Applications in a browser: whose they are, starting, coming back, ending, the frame, no URL opened twice."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.streaming.conftest import ask, streaming

__all__ = ["ask", "streaming"]  # fixtures

STREAM = re.compile(r"/streaming/authenticate\?")
USED = "This link was used already"


@pytest.fixture
def studio(streaming):
    streaming.fleet()
    streaming.application(Title="Design studio", Application="Photoshop", Summary="Drawings and models.")
    return streaming


@pytest.fixture
def framed(streaming):
    streaming.fleet(embed=True)
    streaming.application(Title="Design studio", Application="Photoshop", Opens="frame")
    return streaming


@pytest.fixture
def plain(browser, portal_url, rider):
    """The rider's browser without JavaScript."""
    context = browser.new_context(base_url=portal_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/sign-in/")
    page.get_by_label("User name or e-mail address").fill(rider.username)
    page.get_by_label("Password").fill(rider.password)
    page.get_by_role("button", name="Sign in").click()
    yield page
    context.close()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def in_frame(page):
    return page.frame_locator("iframe")


def urls_given(streaming):
    return streaming.cloud.calls()[("appstream", "CreateStreamingURL")]


# --- The page ---------------------------------------------------------------------------------------------------------


def test_two_people_see_what_their_groups_may_start(page, context, sign_in, streaming, rider, author):
    streaming.fleet()
    streaming.group("sample-designers", author)
    streaming.application("studio", Title="Design studio", Groups="sample-designers")
    streaming.application("ledger", Title="Ledger", Groups="*")
    streaming.application("payroll", Title="Payroll", Groups="sample-payroll", ShownToAll=True)
    sign_in(rider)
    page.get_by_role("link", name="Apps").click()
    expect(page.locator(".tile h3")).to_have_text(["Ledger", "Payroll"])
    expect(page.get_by_text("Payroll is not for you. Ask an operator to add you to sample-payroll.")).to_be_visible()
    context.clear_cookies()
    sign_in(author)
    page.goto("/apps/")
    expect(page.locator(".tile h3")).to_have_text(["Design studio", "Ledger", "Payroll"])


def test_what_an_operator_edits_the_next_visitor_sees(page, context, sign_in, studio, rider, operator):
    sign_in(operator)
    page.goto("/admin/streaming/application/studio/change/")
    page.get_by_label("Title").fill("Drawing room")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    context.clear_cookies()
    sign_in(rider)
    page.goto("/apps/")
    expect(page.locator(".tile h3")).to_have_text(["Drawing room"])


def test_starting_takes_the_tab_and_back_opens_no_url_again(page, sign_in, studio, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(page).to_have_url(STREAM)
    expect(page.get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    expect(page.get_by_text("Running since")).to_be_visible()
    assert urls_given(studio) == 1


def test_rejoining_is_another_link_into_the_same_session(page, sign_in, studio, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(page).to_have_url(STREAM)
    [session] = studio.sessions()
    page.goto("/apps/")
    page.locator(".session").get_by_role("button", name="Rejoin Design studio").click()
    expect(page).to_have_url(STREAM)
    expect(page.get_by_text(session["Id"])).to_be_visible()
    page.go_back()
    page.locator(".tile").get_by_role("button", name="Rejoin Design studio").click()
    expect(page.get_by_text(session["Id"])).to_be_visible()
    expect(page.get_by_text(USED)).to_have_count(0)


def test_ending_asks_first_and_says_that_it_is_done(page, sign_in, studio, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(page).to_have_url(STREAM)
    page.goto("/apps/")
    page.locator(".session summary").press("Enter")
    expect(page.get_by_text("what you have not saved is lost")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("what you have not saved is lost")).to_be_hidden()
    assert len(studio.sessions()) == 1
    page.locator(".session summary").click()
    press(page, "Yes, end it")
    expect(page.get_by_text("Your session with Design studio has ended.")).to_be_visible()
    expect(page.get_by_role("button", name="Start Design studio")).to_be_visible()
    assert studio.sessions() == []
    page.go_back()
    expect(page.get_by_role("heading", name="Applications")).to_be_attached()


def test_full_and_stopped_say_what_to_do_and_have_no_button(page, sign_in, streaming, rider, author, ask):
    streaming.fleet("sample-full", stack="sample-full", instances=1)
    streaming.fleet("sample-stopped", stack="sample-stopped", running=False)
    streaming.application("planner", Stack="sample-full", Fleet="sample-full")
    streaming.application("statistics", Stack="sample-stopped", Fleet="sample-stopped")
    streaming.open(ask(author, Application="planner").json()["Message"])
    streaming.settle()
    sign_in(rider)
    page.goto("/apps/")
    expect(page.get_by_text("Planner is full: everybody who fits in is in.")).to_be_visible()
    expect(page.get_by_text("Statistics is stopped. Ask an operator to start its fleet.")).to_be_visible()
    expect(page.locator(".tile button")).to_have_count(0)


def test_what_was_stopped_meanwhile_is_said_in_words(browser, portal_url, studio, rider):
    # A page of its own: the browser notes the 409 in its console.
    context = browser.new_context(base_url=portal_url)
    page = context.new_page()
    page.goto("/sign-in/?next=/apps/")
    page.get_by_label("User name or e-mail address").fill(rider.username)
    page.get_by_label("Password").fill(rider.password)
    press(page, "Sign in")
    expect(page.get_by_role("button", name="Start Design studio")).to_be_visible()
    studio.cloud.admin("appstream").stop_fleet(Name="sample-fleet")
    studio.settle()
    press(page, "Start Design studio")
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("Design studio is stopped. Ask an operator to start its fleet.")
    expect(alert).to_be_focused()
    expect(page.locator(".tile .tag")).to_have_text("Stopped")
    context.close()


def test_a_fleet_that_has_started_is_seen_without_reloading(page, sign_in, streaming, rider):
    streaming.fleet("sample-other", stack="sample-other")
    streaming.pace(fleet_start_seconds=900)
    streaming.fleet()
    streaming.application(Title="Design studio")
    streaming.application("ledger", Stack="sample-other", Fleet="sample-other")
    page.clock.install()
    sign_in(rider)
    page.goto("/apps/")
    expect(page.get_by_text("Design studio is being started.")).to_be_visible()
    button = page.get_by_role("button", name="Start Ledger")
    button.focus()
    streaming.pace(elapse_seconds=901)
    page.clock.run_for(10_500)
    expect(page.get_by_role("button", name="Start Design studio")).to_be_visible()
    expect(page.locator("#changed")).to_have_text("Design studio: Ready.")
    expect(button).to_be_focused()
    expect(page.locator("[data-changing]")).to_have_count(0)


def test_a_tab_that_nobody_looks_at_and_one_that_was_left_open_ask_no_more(page, sign_in, streaming, rider):
    streaming.pace(fleet_start_seconds=9000)
    streaming.fleet()
    streaming.application(Title="Design studio")
    page.clock.install()
    sign_in(rider)
    page.goto("/apps/")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "?was=" in request.url else None)
    with page.expect_response(re.compile("was=")):
        page.clock.run_for(10_500)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.clock.run_for(60_000)
    page.evaluate("delete document.hidden")
    assert len(asked) == 1
    with page.expect_response(re.compile("was=")):
        page.clock.run_for(10_000)
    page.clock.fast_forward(20 * 60_000)
    page.wait_for_load_state("networkidle")
    before = len(asked)
    page.clock.run_for(120_000)
    page.wait_for_load_state("networkidle")
    assert len(asked) == before


def test_a_question_that_is_open_stays_open_while_the_page_would_renew_itself(page, sign_in, streaming, rider):
    streaming.pace(session_start_seconds=600)
    streaming.fleet()
    streaming.application(Title="Design studio")
    page.clock.install()
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(page).to_have_url(STREAM)
    page.goto("/apps/")
    expect(page.get_by_text("being prepared")).to_be_visible()
    page.locator(".session summary").click()
    streaming.pace(elapse_seconds=601)
    page.clock.run_for(30_500)
    expect(page.get_by_text("what you have not saved is lost")).to_be_visible()
    page.locator(".session summary").click()
    page.clock.run_for(10_500)
    expect(page.get_by_text("· connected")).to_be_visible()


def test_one_of_many_is_found_by_its_words(page, sign_in, streaming, rider):
    streaming.fleet()
    for n in range(14):
        streaming.application(f"app-{n}", Title=f"Number {n}", Summary="The ledger of 1998" if n == 7 else "")
    sign_in(rider)
    page.goto("/apps/")
    page.get_by_label("Find an application").fill("1998 LEDGER")
    expect(page.locator(".tile:visible h3")).to_have_text(["Number 7"])
    expect(page.get_by_text("1 of 14")).to_be_visible()
    page.get_by_label("Find an application").fill("")
    expect(page.locator(".tile:visible")).to_have_count(14)


def test_without_javascript_all_of_it_works(plain, framed):
    plain.goto("/apps/")
    press(plain, "Start Design studio")
    expect(plain.locator("noscript p")).to_contain_text("In this page Design studio needs JavaScript.")
    plain.locator("noscript button").click()
    expect(plain.get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    plain.goto("/apps/")
    plain.locator(".session summary").click()
    press(plain, "Yes, end it")
    expect(plain.get_by_text("has ended.")).to_be_visible()
    assert framed.sessions() == []


# --- In a frame -------------------------------------------------------------------------------------------------------


def test_the_frame_shows_the_stream_and_its_url_is_nowhere_in_the_page(page, sign_in, framed, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(page).to_have_url(re.compile("/apps/studio/window/$"))
    expect(in_frame(page).get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    kept = page.evaluate(
        """() => [document.documentElement.outerHTML, JSON.stringify(localStorage), JSON.stringify(sessionStorage),
          document.cookie, JSON.stringify(history.state)].join()"""
    )
    assert "authenticate" not in kept
    assert urls_given(framed) == 1


def test_reloading_the_frames_page_starts_nothing_until_somebody_presses_start(page, sign_in, framed, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(in_frame(page).get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    [session] = framed.sessions()
    page.reload()
    expect(page.get_by_role("button", name="Rejoin", exact=True)).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)
    assert urls_given(framed) == 0
    press(page, "Rejoin")
    expect(in_frame(page).get_by_text(session["Id"])).to_be_visible()
    assert urls_given(framed) == 1


def test_back_and_forward_open_no_url_again(page, sign_in, framed, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(in_frame(page).get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile("/apps/$"))
    page.go_forward()
    expect(page).to_have_url(re.compile("/window/$"))
    expect(page.get_by_role("button", name="Rejoin", exact=True)).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)
    page.get_by_role("link", name="Back to Apps").click()
    expect(page.get_by_text("Running since")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Rejoin", exact=True)).to_be_visible()
    assert urls_given(framed) == 1
    assert not any(USED in frame.content() for frame in page.frames)


def test_a_page_out_of_the_browsers_memory_has_an_empty_frame(page, sign_in, framed, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(in_frame(page).get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("iframe")).to_have_count(0)
    expect(page.get_by_role("button", name="Rejoin", exact=True)).to_be_visible()


def test_a_session_that_ends_in_the_frame_leaves_no_broken_page(page, sign_in, framed, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    with page.expect_response(re.compile("/standing/")):
        expect(in_frame(page).get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    in_frame(page).get_by_role("button", name="Disconnect").click()
    expect(in_frame(page).get_by_text("You are disconnected")).to_be_visible()
    expect(page.locator("iframe")).to_have_count(1)
    page.get_by_text("End session", exact=True).click()
    press(page, "Yes, end it")
    expect(page.get_by_text("Your session with Design studio has ended.")).to_be_visible()
    press(page, "Start Design studio")
    with page.expect_response(re.compile("/standing/")):
        expect(in_frame(page).get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    in_frame(page).get_by_role("button", name="End session").click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)


def test_the_whole_tab_rejoins_what_runs_in_the_frame(page, sign_in, framed, rider):
    sign_in(rider)
    page.goto("/apps/")
    press(page, "Start Design studio")
    expect(in_frame(page).get_by_role("heading", name="Streaming · Photoshop")).to_be_visible()
    [session] = framed.sessions()
    press(page, "Open as whole tab")
    expect(page).to_have_url(STREAM)
    expect(page.get_by_text(session["Id"])).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Rejoin", exact=True)).to_be_visible()


def test_what_goes_wrong_is_said_in_the_page_and_can_be_tried_again(browser, portal_url, framed, rider, cloud):
    # A page of its own: the browser notes failures in its console.
    context = browser.new_context(base_url=portal_url)
    page = context.new_page()
    page.goto("/sign-in/?next=/apps/studio/window/")
    page.get_by_label("User name or e-mail address").fill(rider.username)
    page.get_by_label("Password").fill(rider.password)
    press(page, "Sign in")
    detail = page.locator("#detail")
    cloud.faults.add(service="appstream", action="CreateStreamingURL", kind="throttle")
    press(page, "Start")
    expect(detail).to_contain_text("AppStream did not answer in time.")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    cloud.faults.clear()
    framed.cloud.admin("appstream").stop_fleet(Name="sample-fleet")
    framed.settle()
    press(page, "Try again")
    expect(detail).to_contain_text("Design studio is stopped. Ask an operator to start its fleet.")
    framed.application(Title="Design studio", Groups="sample-designers", ShownToAll=True)
    press(page, "Try again")
    expect(detail).to_contain_text("Design studio is not for you. Ask an operator to add you to sample-designers.")
    context.set_offline(True)
    press(page, "Try again")
    expect(detail).to_contain_text("Portico could not be reached. Are you offline?")
    context.set_offline(False)
    framed.application(Title="Design studio", Opens="frame")
    framed.cloud.admin("appstream").start_fleet(Name="sample-fleet")
    framed.settle()
    press(page, "Try again")
    expect(in_frame(page).get_by_role("heading", name="Streaming")).to_be_visible()
    context.clear_cookies()
    page.goto("/apps/studio/window/")
    expect(page).to_have_url(re.compile("/sign-in/"))
    context.close()


def test_the_end_of_a_session_that_runs_stays_there_when_an_older_answer_comes(page, sign_in, streaming, rider):
    streaming.fleet(embed=True)
    streaming.application(Title="Design studio", Application="Photoshop", Opens="frame")
    sign_in(rider)
    held = []
    page.route(re.compile("/standing/"), lambda route: held.append(route) if not held else route.continue_())
    page.goto("/apps/studio/window/")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_selector("iframe")
    page.wait_for_timeout(1500)
    assert page.locator("#ending").is_visible()
    held[0].fulfill(json={"Running": False})
    page.wait_for_timeout(500)
    assert len(streaming.sessions()) == 1
    assert page.locator("#ending").is_visible()


def test_after_a_session_in_the_frame_has_ended_the_keyboard_is_in_the_page(page, sign_in, streaming, rider):
    streaming.fleet(embed=True)
    streaming.application(Title="Design studio", Application="Photoshop", Opens="frame")
    sign_in(rider)
    page.goto("/apps/studio/window/")
    with page.expect_response(re.compile("/standing/")):
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_selector("iframe")
    page.wait_for_timeout(1000)
    [one] = streaming.sessions()
    streaming.cloud.admin("appstream").expire_session(SessionId=one["Id"])
    page.evaluate("document.querySelector('iframe').dispatchEvent(new Event('load'))")
    page.wait_for_selector("text=Your session has ended")
    assert page.evaluate("document.activeElement.id") == "start"
