"""A person's own sessions and second factors, as they click through them."""

from __future__ import annotations

import re
import secrets
import uuid

import pytest
from django.conf import settings
from playwright.sync_api import expect

from portal.localcloud import sent
from tests.accounts.conftest import Someone, invite, totp
from tests.browser.test_look import violations


@pytest.fixture
def someone(cloud):
    """A person who may change how they sign in."""
    person = Someone(f"p{uuid.uuid4().hex[:12]}")
    invite(cloud, person, MessageAction="SUPPRESS")
    cloud.admin("cognito-idp").admin_set_user_password(
        UserPoolId=settings.USER_POOL_ID, Username=person.username, Password=person.password, Permanent=True
    )
    return person


def sign_in_with_password(page, person):
    page.goto("/sign-in/")
    page.get_by_label("User name or e-mail").fill(person.username)
    page.get_by_label("Password", exact=True).fill(person.password)
    page.get_by_role("button", name="Sign in").click()


def code_to(number):
    [text, *_] = [message.text for message in sent.texts() if message.to == number]
    return re.findall(r"\b\d{6}\b", text)[0]


def test_another_browser_is_seen_and_ended(page, browser, portal_url, sign_in, someone):
    sign_in(someone)
    phone = browser.new_context(
        base_url=portal_url,
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.6 Mobile/15E148 Safari/604.1",
    )
    there = phone.new_page()
    sign_in_with_password(there, someone)
    there.wait_for_url("**/")
    page.goto("/profile/")
    page.get_by_role("link", name="Where you are signed in").click()
    expect(page.get_by_text("Safari on an iPhone")).to_have_count(2)
    expect(page.get_by_role("listitem").filter(has_text="this browser")).to_contain_text("on Linux")
    page.get_by_role("button", name="End Safari on an iPhone").click()
    expect(page.get_by_text("That session is ended.")).to_be_visible()
    expect(page.get_by_text("Safari on an iPhone")).to_have_count(0)
    there.goto("/profile/")
    expect(there.get_by_text("You have been signed out. Sign in again.")).to_be_visible()
    phone.close()
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_text("You are signed out everywhere.")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_both_second_factors_are_set_up_chosen_and_turned_off(page, sign_in, someone, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    number = f"+4477{secrets.randbelow(10**8):08}"
    problems = []

    def look():
        problems.extend(violations(page))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url

    sign_in(someone)
    page.goto("/profile/two-factor/")
    look()
    page.get_by_role("link", name="Use text messages").click()
    page.get_by_label("Phone number").fill(number[:5] + " " + number[5:])
    page.get_by_label("Current password").fill(someone.password)
    look()
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_text(number)).to_be_visible()
    look()
    page.get_by_label("Code from the text message").fill(code_to(number))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_text("signing in asks for a code in a text message")).to_be_visible()

    page.get_by_role("link", name="Set up an app").click()
    page.get_by_label("Current password").fill(someone.password)
    look()
    page.get_by_role("button", name="Show me the picture to scan").click()
    secret = page.locator("#secret").text_content().replace(" ", "")
    look()
    page.get_by_label("Code from your authenticator app").fill(totp(secret))
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_label("Whichever I choose each time").check()
    look()
    page.get_by_role("button", name="Keep this").click()
    expect(page.get_by_text("signing in asks as you said")).to_be_visible()

    page.goto("/profile/sessions/")
    page.get_by_role("button", name="Sign out", exact=True).last.click()
    sign_in_with_password(page, someone)
    page.get_by_label("A code in a text message").check()
    look()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text(number[-4:])).to_be_visible()
    look()
    page.get_by_label("Code from the text message").fill(code_to(number))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")

    page.goto("/profile/two-factor/off/phone/")
    look()
    page.get_by_label("Current password").fill(someone.password)
    page.get_by_role("button", name="Turn it off").click()
    expect(page.get_by_text("That second factor is off.")).to_be_visible()
    assert not problems
