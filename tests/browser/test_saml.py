"""The company's SAML door, from the company's page to the portal's and back, in a browser.

The company is at localhost and the portal at 127.0.0.1, which are two sites for a browser: cookies that are Lax do not
come along with what the company's page posts.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_look import shown


@pytest.fixture(autouse=True)
def company(context, cloud, portal_url, settings):
    """The address of the sample company's sign-in, which the browser may go to."""
    address = cloud.endpoint.replace("127.0.0.1", "localhost")
    settings.SAML_SIGN_IN_URL = f"{address}/_portico/saml-provider/sso"
    context.unroute_all()
    ours = (portal_url, address, "data:")
    context.route(lambda url: not url.startswith(ours), lambda route: route.abort())
    return f"{address}/_portico/saml-provider/"


def at_the_company(page, name):
    page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Continue").click()


def arrive(page, company):
    page.goto(company)
    page.get_by_role("link", name="Portico").click()
    at_the_company(page, "Grace Newcomer")
    expect(page.get_by_role("heading", name="Continue as Grace Newcomer?")).to_be_visible()


def test_from_the_portal_nobody_is_asked_twice(page, portal_url):
    page.goto("/rides/")
    page.get_by_role("link", name="Sign in with the company (SAML)").click()
    at_the_company(page, "Grace Newcomer")
    page.wait_for_url(f"{portal_url}/rides/")
    expect(page.locator("details.menu summary")).to_contain_text("Grace")


def test_from_the_company_somebody_is_asked(page, company, portal_url):
    arrive(page, company)
    expect(page.get_by_text("grace.newcomer@acme.example")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{portal_url}/")
    page.goto("/profile/")
    expect(page.get_by_role("definition").filter(has_text="Acme_grace.newcomer@acme.example")).to_be_visible()


def test_somebody_elses_assertion_signs_nobody_out(page, sign_in, rider, company, portal_url):
    sign_in(rider)
    arrive(page, company)
    expect(page.get_by_text("You are signed in as rider in this browser.")).to_be_visible()
    page.goto("/profile/")
    expect(page.locator("details.menu summary")).to_contain_text("Ada")


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", {"width": 390, "height": 844}), ("dark", {"width": 1440, "height": 900})]
)
def test_its_pages_look_right(context, company, sign_in, rider, page, scheme, size):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    arrive(page, company)
    problems = shown(page, "arrival")
    sign_in(rider)
    arrive(page, company)
    expect(page.get_by_text("You are signed in as rider")).to_be_visible()
    problems += shown(page, "arrival of somebody else")
    # Not `page`: the browser notes in the console that it was refused.
    refused = context.new_page()
    refused.set_viewport_size(size)
    refused.goto(company)
    refused.get_by_role("link", name="Portico").click()
    refused.get_by_role("button", name="Grace Newcomer").click()
    refused.locator("input[name=SAMLResponse]").evaluate("(field) => { field.value = 'x' }")
    refused.get_by_role("button", name="Continue").click()
    expect(refused.get_by_role("heading", name="You are not signed in")).to_be_visible()
    problems += shown(refused, "refused")
    assert not problems
