"""A browser, and the portal served to it over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

from tests.browser.chromium import ARGUMENTS, CHROMIUM
from tests.conftest import TestCloud


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    assert CHROMIUM, "The browser tests need Chromium: sh infrastructure/system.sh chromium"
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def portal_url(cloud: TestCloud) -> Iterator[str]:
    """Serve the portal at the address that Cognito sends people back to, as this process with its settings."""
    from portal.wsgi import application

    server = make_server(
        "127.0.0.1", urlsplit(settings.PORTAL_URL).port, application, server_class=_Server, handler_class=_Quiet
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield settings.PORTAL_URL
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def context(browser: Browser, portal_url: str, cloud: TestCloud) -> Iterator[BrowserContext]:
    """A fresh browser profile in which the portal and the local cloud's pages are the whole internet."""
    context = browser.new_context(base_url=portal_url, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    known = (f"{portal_url}/", f"{cloud.endpoint}/", "data:")
    context.route(lambda url: not url.startswith(known), lambda route: route.abort())
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test on a script error, a CSP violation or a request that fails."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    # htmx says so when somebody leaves the page before an answer is there.
    left = ("htmx:sendAbort", "htmx:afterRequest")

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(left):
            problems.append(f"console: {message.text}")

    page.on("console", note)
    yield page
    assert not problems, problems


@pytest.fixture
def sign_in(page: Page) -> Callable[..., None]:
    """Return a function that signs a person in through the form."""

    def fill(person: object) -> None:
        page.goto("/sign-in/")
        page.get_by_label("User name or e-mail").fill(person.username)  # type: ignore[attr-defined]
        page.get_by_label("Password", exact=True).fill(person.password)  # type: ignore[attr-defined]
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/sign-in/" not in url)

    return fill
