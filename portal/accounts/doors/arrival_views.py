"""The page on which someone whom another party names continues as that person, or does not."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal import aws
from portal.accounts import credentials, session
from portal.accounts.doors import arrival as arrivals
from portal.accounts.doors import joining, saml_requests
from portal.accounts.doors.arrival import Arrival
from portal.accounts.models import Claims, User
from portal.accounts.refusals import ArrivalExpired, AssertionRefused, Refused
from portal.accounts.views import start_again

log = logging.getLogger(__name__)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def arrive(request: HttpRequest) -> HttpResponse:
    """Ask who has come whether that is them, and sign them in. Only the answer to this browser's own request goes on
    without being asked."""
    arrival = arrivals.find(request)
    if arrival is None:
        return start_again(request, ArrivalExpired())
    was_asked_here = bool(arrival.in_response_to) and saml_requests.has(request, arrival.in_response_to)
    try:
        if arrival.in_response_to and not was_asked_here:
            raise AssertionRefused("another browser asked for it")
        claims = arrivals.whose(arrival)
        # Another site may have put another arrival in its place while the person looked at the page.
        if request.method == "POST" and constant_time_compare(request.POST.get("seen", ""), arrival.seen):
            return enter(request, arrival, claims)
    except Refused as error:
        return refused(request, error, door=arrival.door)
    return render(
        request,
        "accounts/arrival.html",
        {
            "arrival": arrival,
            "person": User.from_claims(claims),
            "is_linked": claims["sub"] != arrival.person_id,
            "goes_on": was_asked_here and request.method != "POST",
        },
    )


def enter(request: HttpRequest, arrival: Arrival, claims: Claims) -> HttpResponse:
    """Start the session. Raises ArrivalExpired, SignedOut, IdentityInUse."""
    arrivals.use(arrival, now=datetime.now(UTC))
    session.sign_in_as(request, claims, door=arrival.door, until=datetime.fromtimestamp(arrival.until, UTC))
    target = joining.offer(request, arrival.target)
    # Someone who may still join their account gets no identity of their own in AWS before that: two are never merged.
    if arrival.door == "vouched" and target == arrival.target:
        try:
            credentials.of(request)
        except Refused:
            session.sign_out(request)
            raise
        except Exception as error:
            # They are in; the first page that needs credentials asks again.
            if not aws.is_transient(error):
                raise
    response = HttpResponseRedirect(target)
    arrivals.forget(response)
    if arrival.in_response_to:
        saml_requests.remove(request, response, arrival.in_response_to)
    return response


def await_person(arrival: Arrival) -> HttpResponse:
    """Send the browser on to the page that asks, with what it needs there."""
    response = HttpResponse(status=303, headers={"Location": reverse("accounts:arrival")})
    arrivals.wait(response, arrival)
    return response


def refused(request: HttpRequest, error: Refused, *, door: str) -> HttpResponse:
    """Say that a word was not accepted, and log why, without a word of it."""
    log.warning("Somebody was not let in by the door %r: %s.", door, error.reason or type(error).__name__)
    response = render(request, "accounts/arrival_refused.html", {"sentence": str(error), "door": door}, status=403)
    arrivals.forget(response)
    return response
