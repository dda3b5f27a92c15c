"""From where somebody signs in, in words."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from portal.accounts import devices

CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 {}Safari/537.36{}"
SAMSUNG = CHROME.format("Linux; Android 10; K", "Mobile ", "").replace("Chrome", "SamsungBrowser/28.0 Chrome")
APPLE = "Mozilla/5.0 ({}) AppleWebKit/605.1.15 (KHTML, like Gecko) {} Safari/604.1"


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"),
        (CHROME.format("Macintosh; Intel Mac OS X 10_15_7", "", ""), "Chrome on a Mac"),
        (CHROME.format("X11; CrOS x86_64 14541.0.0", "", ""), "Chrome on ChromeOS"),
        (CHROME.format("X11; Linux x86_64", "", ""), "Chrome on Linux"),
        (CHROME.format("Linux; Android 10; K", "Mobile ", ""), "Chrome on Android"),
        (CHROME.format("Windows NT 10.0; Win64; x64", "", " Edg/142.0.0.0"), "Edge on Windows"),
        (CHROME.format("Windows NT 10.0; Win64; x64", "", " OPR/124.0.0.0"), "Opera on Windows"),
        (SAMSUNG, "Samsung Internet on Android"),
        (APPLE.format("iPhone; CPU iPhone OS 18_6 like Mac OS X", "Version/18.6 Mobile/15E148"), "Safari on an iPhone"),
        (APPLE.format("iPhone; CPU iPhone OS 18_6 like Mac OS X", "CriOS/142.0 Mobile"), "Chrome on an iPhone"),
        (APPLE.format("iPad; CPU OS 18_6 like Mac OS X", "Version/18.6 Mobile/15E148"), "Safari on an iPad"),
        (APPLE.format("Macintosh; Intel Mac OS X 10_15_7", "Version/18.6"), "Safari on a Mac"),
        ("Something (Windows)", "A browser on Windows"),
        ("curl/8.5.0", "A program"),
        ("", "Unknown device"),
        ("<script>alert(1)</script>", "A program"),
    ],
)
def test_browser_and_system_are_named(user_agent: str, said: str) -> None:
    assert devices.device(user_agent) == said


FORGED = {"HTTP_X_FORWARDED_FOR": "203.0.113.66", "HTTP_CLOUDFRONT_VIEWER_ADDRESS": "203.0.113.66:1"}
REST = {"httpMethod": "GET", "requestContext": {"identity": {"sourceIp": "198.51.100.7"}}}
HTTP = {"version": "2.0", "requestContext": {"http": {"sourceIp": "2001:db8::7"}}}


@pytest.mark.parametrize(
    ("meta", "address"),
    [
        ({"REMOTE_ADDR": "198.51.100.9"}, "198.51.100.9"),
        ({"REMOTE_ADDR": "not an address"}, ""),
        # apig-wsgi takes REMOTE_ADDR of a REST API from X-Forwarded-For, whose start is the client's own.
        ({"REMOTE_ADDR": "203.0.113.66", "apig_wsgi.full_event": REST}, "198.51.100.7"),
        ({"REMOTE_ADDR": "203.0.113.66", "apig_wsgi.full_event": HTTP}, "2001:db8::7"),
        ({"REMOTE_ADDR": "203.0.113.66", "apig_wsgi.full_event": {"requestContext": {}}}, ""),
    ],
)
def test_address_is_what_the_gateway_saw_and_not_what_the_client_wrote(meta: dict[str, Any], address: str) -> None:
    assert devices.address(RequestFactory().get("/", **{**FORGED, **meta})) == address


@pytest.mark.parametrize(
    ("viewer", "address"),
    [("203.0.113.5:46532", "203.0.113.5"), ("2001:db8::5:46532", "2001:db8::5"), ("", "198.51.100.7")],
)
def test_cloudfront_is_believed_where_the_deployment_says_so(settings: Any, viewer: str, address: str) -> None:
    settings.BEHIND_CLOUDFRONT = True
    meta = {"apig_wsgi.full_event": REST, "HTTP_CLOUDFRONT_VIEWER_ADDRESS": viewer}
    assert devices.address(RequestFactory().get("/", **meta)) == address


@pytest.mark.parametrize(
    ("address", "is_behind", "place"),
    [
        ("127.0.0.1", False, "This computer"),
        ("::1", False, "This computer"),
        ("192.168.1.20", False, "A private network"),
        ("8.8.8.8", False, ""),
        ("8.8.8.8", True, "Zürich, Switzerland"),
        ("", False, ""),
    ],
)
def test_place_is_known_by_the_address_or_from_cloudfront(
    settings: Any, address: str, is_behind: bool, place: str
) -> None:
    settings.BEHIND_CLOUDFRONT = is_behind
    headers = {"HTTP_CLOUDFRONT_VIEWER_CITY": "Zürich", "HTTP_CLOUDFRONT_VIEWER_COUNTRY_NAME": "Switzerland"}
    assert devices.place(RequestFactory().get("/", REMOTE_ADDR=address, **headers)) == place
