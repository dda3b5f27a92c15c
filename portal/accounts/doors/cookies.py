"""Short-lived signed cookies: what a browser keeps between two steps of coming in.

Not the session: a page of another site may send a browser through these steps, and that must not sign anybody out.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse


def put(response: HttpResponse, name: str, value: Any, *, seconds: int) -> None:
    """Let the browser keep something that JSON can hold. It can be read there, but not changed."""
    response.set_cookie(
        _name(name),
        signing.dumps(value, salt=_salt(name), compress=True),
        max_age=seconds,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        # Not Strict: the way here comes from another site.
        samesite="Lax",
    )


def find(request: HttpRequest, name: str, *, seconds: int) -> Any:
    """Return what the browser kept under this name for no longer than so many seconds, or None."""
    try:
        return signing.loads(request.COOKIES.get(_name(name), ""), salt=_salt(name), max_age=seconds)
    except signing.BadSignature:
        return None


def drop(response: HttpResponse, name: str) -> None:
    response.delete_cookie(_name(name), samesite="Lax")


def _name(name: str) -> str:
    # With this prefix, no page of a neighbouring host can plant one.
    return f"portico-{name}" if settings.LOCAL_CLOUD else f"__Host-portico-{name}"


def _salt(name: str) -> str:
    return f"portal.accounts.doors/{name}"
