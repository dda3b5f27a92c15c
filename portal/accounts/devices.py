"""From where somebody signs in, in words: the browser and its system, the address, and the place if it is known."""

from __future__ import annotations

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest

# The first that fits. Browsers claim to be their ancestors: Edge and Opera say Chrome, Chrome says Safari.
_BROWSERS = (
    ("Edge", r"Edg(e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrom(e|ium)/|CriOS/"),
    ("Safari", r"Version/[\d.]+ .*Safari/"),
)
_SYSTEMS = (
    ("Windows", r"Windows"),
    ("Android", r"Android"),
    ("an iPhone", r"iPhone"),
    ("an iPad", r"iPad"),
    ("a Mac", r"Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux|X11"),
)


def device(user_agent: str) -> str:
    """Return e.g. "Firefox on Windows". It is what the browser says of itself, and no proof of anything."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if browser and system:
        return f"{browser} on {system}"
    return browser or (f"A browser on {system}" if system else "A program" if user_agent else "Unknown device")


def address(request: HttpRequest) -> str:
    """Return the IP address that a request came from, as whoever is trusted to know it says; "" if nobody does.

    X-Forwarded-For is what a client writes. API Gateway puts the address beside the request, where no client can
    write; CloudFront in front of it, if the deployment has it, puts the viewer's into a header of its own.
    """
    event = request.META.get("apig_wsgi.full_event") or {}
    context = event.get("requestContext") or {}
    seen = (context.get("identity") or context.get("http") or {}).get("sourceIp") or ""
    if not event:
        seen = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_CLOUDFRONT:
        # 198.51.100.10:46532, 2001:db8::1:46532
        seen = request.headers.get("CloudFront-Viewer-Address", "").rpartition(":")[0].strip("[]") or seen
    try:
        return str(ipaddress.ip_address(seen))
    except ValueError:
        return ""


def place(request: HttpRequest) -> str:
    """Return the place that an address belongs to, as CloudFront knows it, or "" where there is no CloudFront."""
    found = ipaddress.ip_address(address(request) or "0.0.0.0")  # noqa: S104 - nowhere
    if found.is_loopback:
        return "This computer"
    if found.is_private and not found.is_unspecified:
        return "A private network"
    if not settings.BEHIND_CLOUDFRONT:
        return ""
    parts = (request.headers.get(f"CloudFront-Viewer-{name}", "") for name in ("City", "Country-Name"))
    return ", ".join(part[:60] for part in parts if part)


def _first(patterns: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for name, pattern in patterns if re.search(pattern, user_agent)), "")
