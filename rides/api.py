"""Rides as JSON: the contract of the published tutorial, and what was added to it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Header, Query, Router, Schema
from ninja.errors import HttpError
from ninja.responses import Status
from pydantic import Field

from portal.dynamo.table import Instant
from portal.errors import Failure
from portal.middleware import reference
from rides import dispatch, rules
from rides.ride import Ride, Stage

router = Router(tags=["Rides"])


class Location(Schema):
    Latitude: rules.Latitude = Field(examples=[47.6])
    Longitude: rules.Longitude = Field(examples=[-122.3])


class RideRequest(Schema):
    """Where to be picked up. Further keys are ignored: the tutorial's own page may send some."""

    PickupLocation: Location


class UnicornAnswer(Schema):
    Name: str
    Color: str
    Gender: str


class RideAnswer(Schema):
    RideId: str
    Unicorn: UnicornAnswer
    Eta: str = Field(description="How long until the unicorn is there, in words", examples=["4 minutes"])
    EtaSeconds: int
    Rider: str
    Stage: Stage
    RequestTime: Instant
    ArrivesAt: Instant | None
    EndsAt: Instant | None
    CancelledAt: Instant | None
    PickupLocation: Location | None
    From: Location | None = Field(description="Where the unicorn comes from")


class RidesAnswer(Schema):
    Rides: list[RideAnswer]
    Cursor: str | None = Field(description="Fetches the next page; null on the last one")


class NoneFree(Failure):
    NextFreeAt: Instant | None = Field(description="When the next unicorn will be free; null if there are none")


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="A request that is sent again with the key it had, within a day, gets the same ride.",
    ),
]


@router.post(
    "",
    response={201: RideAnswer, 409: NoneFree, 422: Failure},
    summary="Ask for the nearest free unicorn",
)
def request_ride(
    request: HttpRequest, response: HttpResponse, body: RideRequest, idempotency_key: IdempotencyKey = None
) -> Status[Any]:
    """The unicorn is claimed with the ride: nobody else gets it. 409: none is free; NextFreeAt and Retry-After say when
    one will be. 422: the Idempotency-Key came before, with another pickup point.
    """
    # Reference: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    place = rules.Place(latitude=body.PickupLocation.Latitude, longitude=body.PickupLocation.Longitude)
    now = timezone.now()
    try:
        ride = dispatch.request_ride(place, by=_caller(request), now=now, idempotency_key=idempotency_key)
    except dispatch.NoneFree as none_free:
        # Not a 503: nothing is out of order, and nobody should be woken.
        if none_free.next_at:
            response["Retry-After"] = str(math.ceil((none_free.next_at - now).total_seconds()))
        refusal = NoneFree(Error=str(none_free), Reference=reference.get(), NextFreeAt=none_free.next_at)
        return Status(409, refusal)
    except dispatch.KeyReused as error:
        raise HttpError(422, "This Idempotency-Key was sent before, with another pickup point.") from error
    # As of when it was asked for, so that a request that is sent again is answered alike.
    return Status(201, _answer(ride, ride.request_time))


@router.get("", response=RidesAnswer, summary="List my rides, newest first")
def list_rides(
    request: HttpRequest,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> RidesAnswer:
    page = dispatch.history(by=_caller(request), cursor=cursor, limit=limit)
    now = timezone.now()
    return RidesAnswer(Rides=[_answer(ride, now) for ride in page.records], Cursor=page.cursor)


@router.get("/{ride_id}", response=RideAnswer, summary="Look at one of my rides")
def get_ride(request: HttpRequest, ride_id: str) -> RideAnswer:
    ride = dispatch.find_ride(ride_id, by=_caller(request))
    if ride is None:
        raise Http404("You have no such ride.")
    return _answer(ride, timezone.now())


@router.delete("/{ride_id}", response={200: RideAnswer, 409: Failure}, summary="Cancel one of my rides")
def cancel_ride(request: HttpRequest, ride_id: str) -> RideAnswer:
    """A ride that is cancelled already stays as it is. 409: it is completed."""
    now = timezone.now()
    try:
        ride = dispatch.cancel(ride_id, by=_caller(request), now=now)
    except dispatch.Missing as error:
        raise Http404("You have no such ride.") from error
    except dispatch.TooLate as error:
        raise HttpError(409, "The ride is completed and cannot be cancelled any more.") from error
    return _answer(ride, now)


def _caller(request: HttpRequest) -> dispatch.Rider:
    return request.auth  # type: ignore[attr-defined,no-any-return]  # ninja puts there what `auth` returned


def _answer(ride: Ride, now: datetime) -> RideAnswer:
    eta = ride.eta(now)
    return RideAnswer(
        RideId=ride.ride_id,
        Unicorn=UnicornAnswer(Name=ride.unicorn.name, Color=ride.unicorn.color, Gender=ride.unicorn.gender),
        Eta=rules.words(eta),
        EtaSeconds=math.ceil(eta.total_seconds()),
        Rider=ride.user,
        Stage=ride.stage(now),
        RequestTime=ride.request_time,
        ArrivesAt=ride.arrives_at,
        EndsAt=ride.ends_at,
        CancelledAt=ride.cancelled_at,
        PickupLocation=_location(ride.pickup),
        From=_location(ride.start),
    )


def _location(place: rules.Place | None) -> Location | None:
    return Location(Latitude=place.latitude, Longitude=place.longitude) if place else None
