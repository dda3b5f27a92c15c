"""Who asks, for every request that wants to know."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from portal.accounts import session


class FreshTokens(AuthenticationMiddleware):
    """Set request.user from the session's claims, with tokens that are still good.

    Lazily: a request that never asks who is signed in reads no session.
    """

    def process_request(self, request: HttpRequest) -> None:
        request.user = SimpleLazyObject(lambda: session.user_of(request))  # type: ignore[assignment]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Send the whole window to sign in where htmx would put the sign-in page into a part of the page."""
        target = response.headers.get("Location", "")
        if "HX-Request" in request.headers and target.startswith(settings.LOGIN_URL):
            try:
                page = urlsplit(request.headers.get("HX-Current-URL", "")).path or "/"
            except ValueError:  # not an address
                page = "/"
            del response.headers["Location"]
            response.headers["HX-Redirect"] = f"{settings.LOGIN_URL}?{urlencode({'next': page})}"
            response.status_code = 204
        return response
