"""The requests to sign in that a browser took to the company, so that it alone may bring back their answers."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from portal.accounts.doors import cookies

COOKIE = "saml"
SECONDS = 15 * 60
MOST = 4  # tabs


def add(request: HttpRequest, response: HttpResponse, request_id: str) -> None:
    _put(response, [*_all(request), request_id])


def has(request: HttpRequest, request_id: str) -> bool:
    return request_id in _all(request)


def remove(request: HttpRequest, response: HttpResponse, request_id: str) -> None:
    _put(response, [one for one in _all(request) if one != request_id])


def _all(request: HttpRequest) -> list[str]:
    return cookies.find(request, COOKIE, seconds=SECONDS) or []


def _put(response: HttpResponse, ids: list[str]) -> None:
    if ids:
        cookies.put(response, COOKIE, ids[-MOST:], seconds=SECONDS)
    else:
        cookies.drop(response, COOKIE)
