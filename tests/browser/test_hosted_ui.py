"""Through Cognito's hosted UI and the company Acme with a browser, from the first click to the last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from portal.accounts.doors import federation
from tests.browser.test_look import shown
from tests.conftest import SignedUp, TestCloud


@pytest.fixture(autouse=True)
def _apart(cloud: TestCloud, rider: SignedUp) -> Iterator[None]:
    """Take away what the company's people have become in another test."""
    federation.forget_providers()
    yield
    for number in ("acme-1001", "acme-1002"):
        identity = federation.Identity("Acme", number)
        federation.delete_profile(identity)
        federation.unlink(identity)


def as_employee(page: Page, name: str) -> None:
    """Sign in on the company's pages."""
    page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Continue").click()


def on_cognitos_page(page: Page, person: SignedUp) -> None:
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()


def test_signing_in_and_out_on_cognitos_page(page: Page, rider: SignedUp) -> None:
    page.goto("/sign-in/?next=/rides/")
    page.get_by_role("link", name="Sign in on Cognito's page").click()
    on_cognitos_page(page, rider)
    expect(page).to_have_url(re.compile("/rides/$"))
    page.goto("/profile/")
    sign_out(page)
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/sign-in/\?stay$"))
    page.get_by_role("link", name="Sign in on Cognito's page").click()
    expect(page.get_by_label("Username")).to_be_visible()


def test_a_newcomer_signs_in_with_the_company(page: Page) -> None:
    page.goto("/sign-in/?next=/profile/")
    page.get_by_role("link", name="Sign in with Acme").click()
    as_employee(page, "Grace Newcomer")
    expect(page.get_by_role("heading", name="Grace Newcomer")).to_be_visible()
    expect(page.get_by_text("Your company looks after it.")).to_be_visible()


def test_straight_to_the_company_and_out_again(page: Page, settings: Any) -> None:
    settings.SIGN_IN_PROVIDER = "Acme"
    page.goto("/profile/")
    as_employee(page, "Grace Newcomer")
    expect(page.get_by_role("heading", name="Grace Newcomer")).to_be_visible()
    sign_out(page)
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("User name or e-mail address")).to_be_visible()


def test_whoever_comes_through_the_company_joins_their_account(page: Page, rider: SignedUp) -> None:
    page.goto("/sign-in/")
    page.get_by_role("link", name="Sign in with Acme").click()
    as_employee(page, "Ada Lovelace")
    expect(page.get_by_role("heading", name="Is this you, too?")).to_be_visible()
    page.get_by_label("Password of that account").fill("Wrong-2026!!")
    page.get_by_role("button", name="Join them").click()
    expect(page.get_by_text("do not belong together").first).to_be_visible()
    assert not shown(page, "joining")
    page.get_by_label("Password of that account").fill(rider.password)
    page.get_by_role("button", name="Join them").click()
    expect(page.get_by_text("Your accounts are joined.")).to_be_visible()
    page.goto("/profile/")
    expect(page.locator("dd", has_text=re.compile("^rider$"))).to_be_visible()
    page.goto("/profile/connections/")
    assert not shown(page, "ways to sign in")
    page.get_by_role("button", name="Disconnect Acme").click()
    expect(page.get_by_text("That way is disconnected")).to_be_visible()


def test_connecting_the_company_to_ones_own_account(page: Page, rider: SignedUp, sign_in: Callable[..., None]) -> None:
    page.emulate_media(color_scheme="dark")
    sign_in(rider)
    page.goto("/profile/")
    page.get_by_role("link", name="Your ways to sign in").click()
    assert not shown(page, "ways to sign in")
    page.get_by_role("link", name="Connect Acme").click()
    as_employee(page, "Ada Lovelace")
    expect(page.get_by_role("heading", name="Connect Acme?")).to_be_visible()
    assert not shown(page, "connecting")
    page.get_by_role("button", name="Connect it").click()
    expect(page.get_by_text("Acme is connected.")).to_be_visible()
    sign_out(page)
    page.get_by_role("link", name="Sign in with Acme").click()
    as_employee(page, "Ada Lovelace")
    page.goto("/profile/")
    expect(page.locator("dd", has_text=re.compile("^rider$"))).to_be_visible()


def test_a_mistake_on_the_way_leads_back_to_signing_in(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/sign-in/hosted/callback/?state=x&error=access_denied")
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    assert not shown(page, "a refusal")
    page.get_by_role("link", name="Back to signing in").click()
    expect(page.get_by_label("Password")).to_be_visible()
