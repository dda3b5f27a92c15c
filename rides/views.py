"""The pages about rides: ask for a unicorn, follow it, find the earlier ones."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal.accounts.models import User
from portal.dynamo.table import BadCursor, Page
from rides import dispatch
from rides.forms import PickupForm
from rides.ride import Ride, Stage
from rides.rules import Place, words

# Where the map looks when somebody has never had a ride: Seattle, where the tutorial's unicorns are.
START = Place(latitude=47.6062, longitude=-122.3321)
PAGE_SIZE = 10


class SignedIn(HttpRequest):
    """What login_required lets through."""

    user: User


@dataclass(frozen=True)
class Moment:
    """A ride as it is at one moment."""

    ride: Ride
    now: datetime

    @property
    def stage(self) -> Stage:
        return self.ride.stage(self.now)

    @property
    def is_live(self) -> bool:
        return self.stage in (Stage.ON_THE_WAY, Stage.RIDING)

    @property
    def wait(self) -> str:
        return words(self.ride.eta(self.now))

    @property
    def may_cancel(self) -> bool:
        return self.ride.may_cancel(self.now)

    @property
    def poll_seconds(self) -> int:
        """How soon it is worth asking again: often when the unicorn is near, seldom when it comes from far away."""
        return max(5, min(60, round(self.ride.eta(self.now).total_seconds() / 20)))

    @property
    def percent(self) -> int:
        """How much of the way to the pickup point is done."""
        whole = (self.ride.arrives_at - self.ride.request_time) if self.ride.arrives_at else None
        if not whole:
            return 100
        until = min(self.now, self.ride.cancelled_at or self.now)
        return max(0, min(100, round(100 * ((until - self.ride.request_time) / whole))))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: SignedIn) -> HttpResponse:
    """Show the map and the earlier rides, or ask for a unicorn."""
    if request.method == "POST":
        return _request(request)
    listed = _earlier(request)
    last = next((moment.ride.pickup for moment in listed["moments"] if moment.ride.pickup), START)
    initial = {
        "latitude": request.GET.get("latitude", last.latitude),
        "longitude": request.GET.get("longitude", last.longitude),
    }
    return _page(request, PickupForm(initial=initial | {"idempotency_key": _new_key()}), **listed)


def _request(request: SignedIn) -> HttpResponse:
    form = PickupForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422, **_earlier(request))
    place = form.place()
    now = timezone.now()
    try:
        ride = dispatch.request_ride(
            place,
            by=request.user,
            now=now,
            idempotency_key=form.cleaned_data["idempotency_key"] or None,
        )
        sent_before = not ride.may_cancel(now)
    except dispatch.NoneFree as none_free:
        return _page(request, _again(form), status=409, none_free=none_free, **_earlier(request))
    except dispatch.KeyReused:
        sent_before = True
    if sent_before:
        # The form was brought back by "Back", and its place changed or its ride is over.
        return _page(request, _again(form), status=409, sent_before=True, **_earlier(request))
    return redirect("rides:ride", ride.ride_id)


def _again(form: PickupForm) -> PickupForm:
    """Return the form as it was filled in, ready to be sent as a new request."""
    return PickupForm(initial=form.cleaned_data | {"idempotency_key": _new_key()})


def _new_key() -> str:
    return secrets.token_urlsafe(16)


def _page(request: SignedIn, form: PickupForm, *, status: int = 200, **context: Any) -> HttpResponse:
    return render(request, "rides/home.html", {"form": form, **context}, status=status)


def _earlier(request: SignedIn) -> dict[str, Any]:
    now = timezone.now()
    cursor = request.GET.get("cursor") or None
    try:
        page: Page[Ride] = dispatch.history(by=request.user, cursor=cursor, limit=PAGE_SIZE)
    except BadCursor as error:
        raise BadRequest("This list of rides cannot be continued from there.") from error
    return {"moments": [Moment(ride, now) for ride in page.records], "cursor": page.cursor, "is_older": bool(cursor)}


@login_required
@require_GET
def earlier(request: SignedIn) -> HttpResponse:
    """Show the next page of earlier rides: the part that "Older rides" adds to the list."""
    return render(request, "rides/partials/earlier.html", _earlier(request))


@login_required
@require_GET
def near(request: SignedIn) -> HttpResponse:
    """Show which unicorns are near a place. Nothing is reserved."""
    form = PickupForm(request.GET)
    context: dict[str, Any] = {}
    if form.is_valid():
        try:
            offers = dispatch.nearby(form.place(), timezone.now(), limit=5)
            context["offers"] = [(offer, how_far(offer.metres), words(offer.eta)) for offer in offers]
        except dispatch.NoneFree as none_free:
            context["none_free"] = none_free
    return render(request, "rides/partials/near.html", context)


def how_far(metres: float) -> str:
    """Say a distance as a person would, e.g. "350 m", "2.1 km", "1,200 km"."""
    if metres < 950:
        return f"{round(metres, -1):.0f} m"
    return f"{metres / 1000:.1f} km" if metres < 20_000 else f"{metres / 1000:,.0f} km"


@login_required
@require_GET
def live(request: SignedIn) -> HttpResponse:
    """Show the ride that is under way, if there is one: a part of the portal's home page."""
    moments = [Moment(ride, timezone.now()) for ride in dispatch.history(by=request.user, limit=10).records]
    moment = next((moment for moment in moments if moment.is_live), None)
    return render(request, "rides/partials/live.html", {"moment": moment})


@login_required
@require_GET
def ride(request: SignedIn, ride_id: str) -> HttpResponse:
    """Show one ride: who comes, from where and when, and on the map."""
    moment = _moment(request, ride_id)
    return render(request, "rides/ride.html", {"moment": moment, "ride": moment.ride, "way": _way(moment)})


@login_required
@require_GET
def status(request: SignedIn, ride_id: str) -> HttpResponse:
    """Show how a ride stands now: the part of its page that renews itself."""
    moment = _moment(request, ride_id)
    return render(request, "rides/partials/status.html", {"moment": moment, "ride": moment.ride, "is_renewal": True})


@login_required
@require_POST
def cancel(request: SignedIn, ride_id: str) -> HttpResponse:
    try:
        dispatch.cancel(ride_id, by=request.user, now=timezone.now())
    except dispatch.Missing as missing:
        raise Http404 from missing
    except dispatch.TooLate:
        messages.warning(request, "This ride was over already.")
    else:
        messages.success(request, "The ride is cancelled and the unicorn is free again.")
    return redirect("rides:ride", ride_id)


def _moment(request: SignedIn, ride_id: str) -> Moment:
    ride = dispatch.find_ride(ride_id, by=request.user)
    if ride is None:
        raise Http404
    return Moment(ride, timezone.now())


def _way(moment: Moment) -> dict[str, Any] | None:
    """Return what rides/static/rides/follow.js needs to know, times in milliseconds since 1970."""
    ride = moment.ride
    if not ride.pickup:
        return None
    start = ride.start or ride.pickup
    times = {
        "leavesAt": ride.request_time,
        "arrivesAt": ride.arrives_at or ride.request_time,
        "stoppedAt": ride.cancelled_at,
        "now": moment.now,
    }
    return {
        "unicorn": {"name": ride.unicorn.name, "color": ride.unicorn.color},
        "from": {"latitude": start.latitude, "longitude": start.longitude},
        "pickup": {"latitude": ride.pickup.latitude, "longitude": ride.pickup.longitude},
        **{name: round(time.timestamp() * 1000) if time else None for name, time in times.items()},
    }
