"""What every request has: a reference that finds its log lines, a deadline, and a page instead of JSON in a browser."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.cache import patch_vary_headers

from portal.aws_json import deadline

REQUEST_SECONDS = 20  # API Gateway gives up after 29

reference: ContextVar[str] = ContextVar("reference", default="-")


class Reference:
    """Give each request a reference: Lambda's request id, or a random one. It is in every log line, in the
    X-Reference header and on every error page. Also set the time by which its DynamoDB calls must be done."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        context = request.META.get("apig_wsgi.context")
        value = getattr(context, "aws_request_id", "") or str(uuid.uuid4())
        request.reference = value  # type: ignore[attr-defined]
        tokens = reference.set(value), deadline.set(time.monotonic() + REQUEST_SECONDS)
        try:
            response = self.get_response(request)
        finally:
            reference.reset(tokens[0])
            deadline.reset(tokens[1])
        response["X-Reference"] = value
        return response


class NotForCaches:
    """Keep what only one person may see, and every JSON answer, out of all caches: a shared one, and the browser's when
    somebody goes back after signing out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_json = response.get("Content-Type", "").startswith("application/json")
        is_personal = request.session.accessed and settings.SESSION_COOKIE_NAME in request.COOKIES
        if (is_json or is_personal) and "Cache-Control" not in response:
            response["Cache-Control"] = "private, no-store"
        return response


class HeadLikeGet:
    """Answer HEAD wherever GET is answered (RFC 9110, 9.3.2): the JSON API's operations know only their own method."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method == "HEAD" and response.status_code == 405:
            request.method = "GET"
            response = self.get_response(request)
            length, response.content = len(response.content), b""
            response["Content-Length"] = str(length)
        return response


class PagesForBrowsers:
    """Send a browser that asks for HTML at a JSON path to the page about the same: /ride/abc is /rides/abc/."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        page = _page_of(request.path) if request.method == "GET" else None
        if page is None:
            return self.get_response(request)
        # Programs that take anything (*/*) get JSON.
        wants_page = (
            "text/html" in request.headers.get("Accept", "")
            and request.get_preferred_type(["application/json", "text/html"]) == "text/html"
            and "Authorization" not in request.headers
        )
        response = HttpResponseRedirect(page) if wants_page else self.get_response(request)
        patch_vary_headers(response, ["Accept", "Authorization"])
        return response


_PAGES = {
    "/ride": "/rides/",
    "/me": "/profile/",
    "/documents": "/documents/",
    "/approvals": "/approvals/",
    "/approvals/types": "/approvals/new/",
    "/approvals/link": "/approvals/link/",
    "/streaming-url": "/apps/",
}


def _page_of(path: str) -> str | None:
    if path in _PAGES:
        return _PAGES[path]
    if ride := re.fullmatch(r"/ride/([\w-]+)", path):
        return f"/rides/{ride[1]}/"
    if approval := re.fullmatch(r"/approvals/([0-9a-f]{32})", path):
        return f"/approvals/{approval[1]}/"
    document = re.fullmatch(r"/documents/(.*[^/])", path)
    return f"/documents/edit/{quote(document[1])}/" if document else None


class ReferenceFilter(logging.Filter):
    """Put the reference of the request at hand on each log record, and leave the traceback to what is our fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Django logs a request's end when the middleware is done with it, but with the request.
        record.reference = getattr(getattr(record, "request", None), "reference", None) or reference.get()
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
        return True
