"""What a person or a program is told when a request fails: a page or {"Error", "Reference"}, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from ninja import Schema
from pydantic import Field

from portal import aws
from portal.middleware import reference


class Failure(Schema):
    """What every request to the JSON API that fails is answered."""

    Error: str = Field(description="What went wrong, for people")
    Reference: str = Field(description="What finds it in the logs")


JSON_PATHS = ("/ride", "/me", "/api/", "/preview", "/documents", "/approvals", "/streaming-url")

_WORDS = {
    400: ("That request was not understood", "Something in it is missing or malformed."),
    403: ("That is not allowed", "You are signed in, but this is not yours to see or do."),
    404: ("There is nothing here", "The address may be mistyped, or what was here is gone, or is not yours."),
    500: ("Something broke on our side", "It has been logged. Trying again may help."),
    503: (
        "Busy right now",
        "A service that Portico needs did not answer in time. Please try again in a moment.",
    ),
}


def is_api(request: HttpRequest) -> bool:
    """Tell whether the request is for one of the JSON paths, e.g. /ride or /ride/abc, but not the page /rides/."""
    # The pages about documents and approvals end in a slash, and no id does.
    is_page = request.path.startswith(("/documents/", "/approvals/")) and request.path.endswith("/")
    return not is_page and any(
        request.path == path or request.path.startswith(path if path.endswith("/") else path + "/")
        for path in JSON_PATHS
    )


def refuse(request: HttpRequest, status: int, message: str = "") -> HttpResponse:
    """Answer with an error: JSON on the JSON paths, a page elsewhere."""
    title, text = _WORDS[status]
    if is_api(request):
        answer: HttpResponse = JsonResponse(
            {"Error": message or f"{title}. {text}", "Reference": reference.get()}, status=status
        )
    else:
        context = {"title": title, "text": message or text, "reference": reference.get(), "status": status}
        answer = render(request, "error.html", context, status=status)
    if status == 503:
        answer["Retry-After"] = "2"
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, SessionInterrupted) and not is_api(request):
        # It was ended elsewhere while this request was under way.
        return HttpResponseRedirect(settings.LOGIN_URL)
    return refuse(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 where an AWS service failed in a way that passes, else 500."""
    return refuse(request, 503 if aws.is_transient(sys.exc_info()[1]) else 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return refuse(
        request,
        403,
        "This form was open for too long, or came from another site. Go back, reload and send it again.",
    )


def json_not_allowed(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Say as JSON what ninja says as text: that a path has no such method."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code != 405 or not is_api(request):
            return response
        message = f"{request.path} has no {request.method}, only {response['Allow']}."
        answer = JsonResponse({"Error": message, "Reference": reference.get()}, status=405)
        answer["Allow"] = response["Allow"]
        return answer

    return middleware
