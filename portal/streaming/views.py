"""The page of applications: what can be started, starting it, and the end of a session."""

from __future__ import annotations

from contextlib import nullcontext

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from portal import aws
from portal.aws_json import time_of_its_own
from portal.streaming import launching, models, own, window_views
from portal.streaming.asked import SignedIn, act, refused_in_words
from portal.streaming.offers import offers
from portal.streaming.own import Own

# With more applications than these there is a box to find one.
MANY = 12
PAGE_SECONDS = 6


@login_required
@require_safe
def apps(request: SignedIn) -> HttpResponse:
    """Show somebody's sessions and what they can start. htmx gets the part that renews itself; 204 where it is as it
    `was`."""
    if not request.headers.get("HX-Request"):
        return _page(request)
    found = offers(request.user)
    if request.GET.get("was") == found.mark:
        return HttpResponse(status=204)
    return render(request, "streaming/partials/offers.html", {"offers": found})


def _page(request: SignedIn, *, problem: str = "", status: int = 200) -> HttpResponse:
    # A request whose time is up, because AppStream did not answer, is to say so.
    with time_of_its_own(PAGE_SECONDS) if problem else nullcontext():
        found = offers(request.user)
    context = {"offers": found, "problem": problem, "is_many": len(found.tiles) > MANY}
    answer = render(request, "streaming/apps.html", context, status=status)
    if status == 503:
        answer["Retry-After"] = "2"
    return answer


@login_required
@require_safe
@refused_in_words
def application(request: SignedIn, application_id: str) -> HttpResponse:
    """Lead an old bookmark to the application's place on the page."""
    found = launching.find(application_id, by=request.user)
    return redirect(f"{reverse('streaming:apps')}#app-{found.application_id}")


@sensitive_variables()
@act
@refused_in_words
def launch(request: SignedIn, application_id: str) -> HttpResponse:
    """Start an application, or come back to it: lead on to its stream, or to the page that has it in a frame."""
    try:
        found = launching.find(application_id, by=request.user)
        if "tab" not in request.POST and launching.opens_in_frame(found):
            return window_views.opening(found)
        url = launching.launch_url(found, by=request.user, now=timezone.now())
    except launching.CannotStart as error:
        return _page(request, problem=str(error), status=409)
    except Exception as error:
        if not aws.is_transient(error):
            raise
        problem = "AppStream did not answer in time. Nothing was started. Please try again in a moment."
        return _page(request, problem=problem, status=503)
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return HttpResponse(status=303, headers=headers)


@act
def end(request: SignedIn, application_id: str) -> HttpResponse:
    """End a session of the person who asks: the one that is named, or the one that the application runs in."""
    try:
        ended = _end(request, application_id)
    except Exception as error:
        if not aws.is_transient(error):
            raise
        problem = "AppStream did not answer in time. Perhaps the session goes on: look below, and end it again if so."
        return _page(request, problem=problem, status=503)
    if ended:
        messages.success(request, f"Your session with {ended.launch.title} has ended.")
    else:
        messages.info(request, "That session was over already.")
    return redirect("streaming:apps")


def _end(request: SignedIn, application_id: str) -> Own | None:
    if session_id := request.POST.get("session", ""):
        return own.end(session_id, by=request.user)
    found = models.find(application_id)
    return own.end_application(application_id, found.place if found else "", by=request.user)
