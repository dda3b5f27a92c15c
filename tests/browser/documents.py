"""The editor in a browser: its fixtures, and what its tests do again and again."""

from __future__ import annotations

import io

import pytest
from django.conf import settings
from PIL import Image
from playwright.sync_api import expect

from tests.documents.conftest import bucket_events, catch_up, corner_of  # noqa: F401 - fixtures


@pytest.fixture
def page(context):
    """A page that fails the test on a script error or a CSP violation; that a request failed is what is tested here."""
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("console", lambda message: problems.append(message.text) if _is_problem(message) else None)
    yield page
    assert not problems, problems


def _is_problem(message):
    return message.type == "error" and not message.text.startswith("Failed to load resource")


@pytest.fixture
def corner(author, corner_of):  # noqa: F811
    return corner_of(author)


@pytest.fixture
def signed_in(context, client_for, author, portal_url):
    """The author is signed in: through the form, but not with the browser, which takes a second longer."""
    cookie = client_for(author).cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": portal_url, "httpOnly": True}])


@pytest.fixture
def writes(page, signed_in, corner):
    """Return a function that opens the editor on a document that is put into the corner."""

    def open_(text="", document_id="plan"):
        corner.put(f"{document_id}.md", text.encode())
        return opened(page, document_id)

    return open_


def opened(page, document_id="plan"):
    page.goto(f"/documents/edit/{document_id}/")
    expect(page.locator("#editor")).to_have_attribute("data-ready", "")
    return page.get_by_label("Text, in Markdown")


def type_at_end(page, text):
    page.get_by_label("Text, in Markdown").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type(text)


def is_saved(page):
    expect(page.locator("#saved")).to_contain_text("Saved ·")


def save(page):
    page.keyboard.press("Control+s")
    is_saved(page)


def is_not_saved(page):
    page.keyboard.press("Control+s")
    expect(page.locator("#saved")).to_have_text("Not saved")


@pytest.fixture
def saves_fail(context):
    """Return a function that cuts the way of what is saved, or mends it. Where the whole connection came back, a page
    that is being closed would hear of it and save."""
    address = "**/documents/plan"

    def switch(is_cut):
        if is_cut:
            context.route(address, lambda route: route.abort())
        else:
            context.unroute(address)

    return switch


def choice(page, title, name):
    """Open the menu of a document in the list, and return one of its choices."""
    page.get_by_label(f"What to do with {title}").click()
    return page.locator(".documents .menu[open]").get_by_text(name, exact=True).first


def picture(width=240, height=120, kind="PNG", noise=False):
    image = (
        Image.effect_noise((width, height), 90).convert("RGB")
        if noise
        else Image.new("RGB", (width, height), "#1b6a5e")
    )
    data = io.BytesIO()
    image.save(data, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return data.getvalue()


def drafts(page):
    return page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('portico:draft:'))")
