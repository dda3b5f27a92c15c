"""The author's browser, and a document in it."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.browser.documents.editor import opened
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


def _is_problem(message):
    return message.type == "error" and not message.text.startswith("Failed to load resource")
