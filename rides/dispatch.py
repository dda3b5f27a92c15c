"""Give a rider a unicorn and take it back, each in one DynamoDB transaction over the unicorn and the ride."""

from __future__ import annotations

import hashlib
import math
import random
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import ClientError
from django.conf import settings

from portal import aws
from portal.dynamo.table import Missing, Page, Record, Table
from portal.dynamo.values import to_item
from rides.ride import Assigned, Ride, rides
from rides.rules import Place, choose, curve_keys
from rides.search import NoneFree, Offer, nearest_free, offer_of

__all__ = [
    "KeyReused",
    "Missing",
    "NoneFree",
    "TooLate",
    "cancel",
    "cancel_anyones",
    "find_ride",
    "history",
    "nearby",
    "request_ride",
]

# No try starts later than this: one may take 15 seconds of its own, and API Gateway gives up after 29.
BUDGET_SECONDS = 10
SEARCHES = 12
TRIES_PER_SEARCH = 4  # then what the search saw is too old: simulated, this costs a crowd the fewest calls
TRIES_TO_CANCEL = 8
IDEMPOTENCY_VALIDITY = timedelta(hours=24)

_random = random.SystemRandom()


class Rider(Protocol):
    """Whoever asks: `sub` is who they are, `username` is what the published tutorial calls User."""

    @property
    def sub(self) -> str: ...
    @property
    def username(self) -> str: ...


class KeyReused(Exception):
    """The idempotency key came before, with another pickup point."""


class TooLate(Exception):
    """The ride is completed."""


class Receipt(Record):
    """Which ride answered a request that carried an idempotency key."""

    idempotency_key: str
    fingerprint: str
    ride_id: str
    expires_at: int


receipts = Table(Receipt, name="idempotency", key=("IdempotencyKey",))


def nearby(place: Place, now: datetime, *, limit: int = 5) -> list[Offer]:
    """Return the nearest free unicorns, to show before one is asked for. Raises NoneFree."""
    return nearest_free(place, now=now)[:limit]


def find_ride(ride_id: str, *, by: Rider) -> Ride | None:
    """Return one's own ride, or None."""
    # A page that follows a POST must see what it wrote. DynamoDB refuses keys of more than 2,048 bytes.
    ride = rides.find(ride_id, consistent=True) if 0 < len(ride_id) <= 128 else None
    return ride if ride and ride.rider_sub == by.sub else None


def history(*, by: Rider, cursor: str | None = None, limit: int = 20) -> Page[Ride]:
    """Return a page of one's own rides, newest first. Raises BadCursor."""
    return rides.query(by.sub, index="ByRider", limit=limit, cursor=cursor)


# --- Asking for a ride --------------------------------------------------------------------------------------


def request_ride(place: Place, *, by: Rider, now: datetime, idempotency_key: str | None = None) -> Ride:
    """Claim the nearest free unicorn for a ride, or return the ride that the idempotency key brought before.

    Raises NoneFree, KeyReused, and aws.Busy where so many want the same few unicorns that the time runs out.
    """
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as the table holds it
    key = hashlib.sha256(f"{by.sub} {idempotency_key}".encode()).hexdigest() if idempotency_key else None
    fingerprint = hashlib.sha256(repr(place).encode()).hexdigest()
    try:
        return _claim_nearest(place, by=by, now=now, key=key, fingerprint=fingerprint)
    except (NoneFree, aws.Busy):
        receipt = receipts.find(key, consistent=True) if key else None
        if receipt is None or receipt.expires_at <= now.timestamp():
            raise
    if receipt.fingerprint != fingerprint:
        raise KeyReused(idempotency_key)
    return rides.get(receipt.ride_id, consistent=True)


class _KeyTaken(aws.Busy):
    """Another request with this key was faster."""


def _claim_nearest(place: Place, *, by: Rider, now: datetime, key: str | None, fingerprint: str) -> Ride:
    deadline = time.monotonic() + BUDGET_SECONDS
    tries = 0
    for search in range(SEARCHES):
        offers = nearest_free(place, now=now)
        for _ in range(TRIES_PER_SEARCH):
            if not offers or time.monotonic() > deadline:
                break
            offer = offers.pop(choose(len(offers), tries=tries, random=_random))
            # BusyUntil is in whole seconds.
            ends_at = math.ceil((now + offer.eta + timedelta(minutes=settings.RIDE_MINUTES)).timestamp())
            until = datetime.fromtimestamp(ends_at, UTC)
            ride = _ride(offer, place, by=by, now=now, until=until)
            parts = [
                {"Update": _claiming(offer, ride, place, now=now, until=until)},
                {"Put": rides.putting(ride)},
            ]
            if key:
                parts.append({"Put": _noting(key, fingerprint, ride, now=now)})
            refused = _transact(parts)
            if refused is None:
                return ride
            tries += 1
            if key and refused[2].get("Code") == "ConditionalCheckFailed":
                raise _KeyTaken
            # Moved meanwhile, but still free: the refusal says where it is now.
            current = refused[0].get("Item")
            if current and (moved := offer_of(current, place, now=now)):
                offers = sorted([*offers, moved], key=lambda offer: offer.metres)
            if not all(reason.get("Code") in ("None", "ConditionalCheckFailed") for reason in refused):
                _pause(search)
        if time.monotonic() > deadline:
            break
        _pause(search)
    raise aws.Busy("Every unicorn that was free was claimed by someone else.")


def _ride(offer: Offer, place: Place, *, by: Rider, now: datetime, until: datetime) -> Ride:
    return Ride(
        ride_id=secrets.token_urlsafe(16),
        user=by.username,
        unicorn=Assigned(name=offer.name, color=offer.color, gender=offer.gender),
        request_time=now,
        rider_sub=by.sub,
        request_month=f"{now:%Y-%m}",
        unicorn_id=offer.unicorn_id,
        pickup=place,
        From=offer.place,
        arrives_at=now + offer.eta,
        ends_at=until,
    )


def _claiming(offer: Offer, ride: Ride, place: Place, *, now: datetime, until: datetime) -> dict[str, Any]:
    """Return the update that makes the unicorn busy, if it is still free and still there. It is put where it
    will be when it is free again: at the pickup point. Leg says from where it is on its way there."""
    leg = {
        "Latitude": offer.place.latitude,
        "Longitude": offer.place.longitude,
        "LeftAt": now,
        "ArrivesAt": ride.arrives_at,
    }
    values = {":ride": ride.ride_id, ":until": int(until.timestamp()), ":now": int(now.timestamp()), ":leg": leg}
    return _updating_unicorn(
        offer.unicorn_id,
        f"SET RideId = :ride, BusyUntil = :until, Leg = :leg, {_MOVING}",
        "BusyUntil <= :now AND Latitude = :was_latitude AND Longitude = :was_longitude",
        {
            **_moving(place),
            **to_item(values),
            ":was_latitude": offer.item["Latitude"],
            ":was_longitude": offer.item["Longitude"],
        },
    )


def _noting(key: str, fingerprint: str, ride: Ride, *, now: datetime) -> dict[str, Any]:
    expires_at = int((now + IDEMPOTENCY_VALIDITY).timestamp())
    receipt = Receipt(idempotency_key=key, fingerprint=fingerprint, ride_id=ride.ride_id, expires_at=expires_at)
    return {
        **receipts.putting(receipt),
        # DynamoDB deletes what has expired within days, not at once.
        "ConditionExpression": "attribute_not_exists(#key) OR ExpiresAt <= :now",
        "ExpressionAttributeValues": to_item({":now": int(now.timestamp())}),
    }


# --- Cancelling ---------------------------------------------------------------------------------------------


def cancel(ride_id: str, *, by: Rider, now: datetime) -> Ride:
    """Cancel one's own ride and free its unicorn where it is now; what is cancelled already stays as it is.

    Raises Missing, TooLate, and aws.Busy where the unicorn is being changed all the time.
    """
    return _cancel(ride_id, lambda: find_ride(ride_id, by=by), now=now)


def cancel_anyones(ride_id: str, *, now: datetime, together_with: Sequence[Any]) -> Ride:
    """Cancel a ride as an operator may, `together_with` other writes or not at all. Raises as `cancel` does."""
    return _cancel(ride_id, lambda: rides.find(ride_id, consistent=True), now=now, together_with=together_with)


def _cancel(ride_id: str, find: Callable[[], Ride | None], *, now: datetime, together_with: Sequence[Any] = ()) -> Ride:
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    is_assigned = True
    for tries in range(TRIES_TO_CANCEL):
        ride = find()
        if ride is None:
            raise Missing(ride_id)
        if ride.cancelled_at:
            return ride
        if not ride.may_cancel(now):
            raise TooLate(ride_id)
        parts = [*together_with, {"Update": _cancelling(ride, now=now)}]
        where = ride.position(now)
        if is_assigned and ride.unicorn_id and where:
            parts.append({"Update": _freeing(ride.unicorn_id, ride_id, where, now=now)})
        refused = _transact(parts)
        if refused is None:
            return ride.model_copy(update={"cancelled_at": now})
        if refused[-1].get("Code") == "ConditionalCheckFailed":
            is_assigned = False  # the unicorn serves another ride by now, or is gone
        else:
            _pause(tries)
    raise aws.Busy("The unicorn is being changed.")


def _cancelling(ride: Ride, *, now: datetime) -> dict[str, Any]:
    return {
        "TableName": rides.name,
        "Key": to_item({"RideId": ride.ride_id}),
        "UpdateExpression": "SET CancelledAt = :now",
        "ConditionExpression": "attribute_exists(RideId) AND attribute_not_exists(CancelledAt)",
        "ExpressionAttributeValues": to_item({":now": now}),
    }


def _freeing(unicorn_id: str, ride_id: str, where: Place, *, now: datetime) -> dict[str, Any]:
    return _updating_unicorn(
        unicorn_id,
        f"SET BusyUntil = :now, {_MOVING} REMOVE RideId, Leg",
        "RideId = :ride",
        {**_moving(where), **to_item({":now": int(now.timestamp()), ":ride": ride_id})},
    )


# --- Writing ------------------------------------------------------------------------------------------------

_CONTENTION = {
    "None",
    "ConditionalCheckFailed",
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
}
_MOVING = "Latitude = :latitude, Longitude = :longitude, CurveA = :curve_a, CurveB = :curve_b"


def _moving(place: Place) -> dict[str, Any]:
    """Return the values of _MOVING: the place to 0.1 m, and its keys."""
    place = Place(latitude=round(place.latitude, 6), longitude=round(place.longitude, 6))
    a, b = curve_keys(place)
    values = {":latitude": place.latitude, ":longitude": place.longitude, ":curve_a": a, ":curve_b": b}
    return to_item(values)


def _updating_unicorn(unicorn_id: str, update: str, condition: str, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "TableName": settings.TABLES["fleet"],
        "Key": to_item({"UnicornId": unicorn_id}),
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _transact(parts: list[Any]) -> list[Any] | None:
    """Write all parts or none. Return None or, where others were faster, DynamoDB's reason for each part."""
    try:
        aws.client("dynamodb").transact_write_items(TransactItems=parts)
    except ClientError as error:
        reasons: list[Any] = error.response.get("CancellationReasons", [])
        if not reasons or any(reason.get("Code") not in _CONTENTION for reason in reasons):
            raise
        return reasons
    return None


def _pause(tries: int) -> None:
    time.sleep(_random.uniform(0, 0.02 * 2 ** min(tries, 4)))
