"""Another system's people, from its page into the portal, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from portal.accounts import tokens
from tests.browser.test_look import shown


@pytest.fixture(autouse=True)
def _new_keys():
    tokens._keys.cache_clear()


def test_somebody_comes_in_on_the_partners_word(page, portal_url):
    page.goto("/local/")
    page.get_by_role("link", name="Partner system").click()
    page.get_by_role("button", name="Go to Portico as Joan Clarke").click()
    expect(page.get_by_role("heading", name="Continue as Joan Clarke?")).to_be_visible()
    expect(page.get_by_text("partner.example says that this is you.")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{portal_url}/")
    expect(page.locator("details.menu summary")).to_contain_text("Joan")
    page.goto("/profile/password/")
    expect(page.get_by_role("heading", name="Your other system looks after this")).to_be_visible()


def test_a_word_is_good_for_one_time(context, portal_url):
    # Not `page`: the browser notes in the console that it was refused.
    page = context.new_page()
    page.goto("/local/partner/")
    token = page.locator("input[name=token]").last.get_attribute("value")
    page.get_by_role("button", name="Go to Portico as Joan Clarke").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{portal_url}/")
    page.goto("/local/partner/")
    page.locator("input[name=token]").last.evaluate("(field, old) => { field.value = old }", token)
    page.get_by_role("button", name="Go to Portico as Joan Clarke").click()
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", {"width": 390, "height": 844}), ("dark", {"width": 1440, "height": 900})]
)
def test_the_partners_page_looks_right(page, scheme, size):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.goto("/local/partner/")
    assert not shown(page, "partner")
