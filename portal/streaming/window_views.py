"""An application in a page of the portal: the stream is in a frame, and its URL in the memory of the page alone."""

from __future__ import annotations

from typing import cast

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from portal.streaming import launching, own
from portal.streaming.asked import SignedIn, refused_in_words
from portal.streaming.models import Application

# It says that the page was asked for by pressing "Start" a moment ago: reloading it, or coming back, starts nothing.
START_COOKIE = "portico-start"
START_SECONDS = 30


def opening(application: Application) -> HttpResponse:
    """Lead on to the application's window, which then starts it."""
    address = reverse("streaming:window", args=[application.application_id])
    answer = HttpResponse(status=303, headers={"Location": address, "Cache-Control": "no-store"})
    answer.set_cookie(
        START_COOKIE,
        "now",
        max_age=START_SECONDS,
        path=address,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return answer


@login_required
@require_safe
@refused_in_words
def window(request: SignedIn, application_id: str) -> HttpResponse:
    """Show the page around an application's stream."""
    found = launching.find(application_id, by=request.user)
    if not launching.opens_in_frame(found):
        return redirect("streaming:application", application_id)
    is_asked_for = request.method == "GET" and bool(request.COOKIES.get(START_COOKIE))
    context = {"application": found, "is_asked_for": is_asked_for, "allow": _allowed()}
    framing = csp_update({"frame-src": settings.STREAMING_ORIGINS})
    answer = cast("HttpResponse", framing(lambda asked: render(asked, "streaming/window.html", context))(request))
    answer["Cache-Control"] = "private, no-store"
    if is_asked_for:
        answer.delete_cookie(START_COOKIE, path=request.path, samesite="Strict")
    return answer


def _allowed() -> str:
    """Return the frame's permissions. They name the origin: a frame without `src` has none that they could be for.

    Reference: https://www.w3.org/TR/permissions-policy/#algo-declared-origin
    """
    origins = " ".join(settings.STREAMING_ORIGINS)
    return "; ".join(f"{one} {origins}" for one in ("clipboard-read", "clipboard-write", "fullscreen", "autoplay"))


@login_required
@require_safe
def standing(request: SignedIn, application_id: str) -> HttpResponse:
    """Tell the window whether the person has a session there: one GetItem, one Query, and one DescribeSessions for
    each stack and fleet on which something that they launched may still run."""
    try:
        found = launching.find(application_id, by=request.user)
    except (LookupError, launching.NotForYou) as error:
        raise Http404 from error
    return JsonResponse({"Running": own.runs(application_id, found.place, by=request.user)})
