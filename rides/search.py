"""Find the nearest free unicorns in the Fleet table, at a cost that does not grow with the fleet."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

from django.conf import settings

from portal import aws
from rides.rules import AFTER_ALL, BEFORE_ALL, Place, curve_keys, distance, eta, proves_nearest

logger = logging.getLogger(__name__)

HERD = "all"  # the one partition of the fleet's indexes
# An item of these indexes takes about 150 bytes, and up to 4 KB of them cost half a read unit.
LIMIT = 25
# With 98 % busy, 50 neighbours are all busy once in three times, 500 once in 24,000. These cost up to ten read units.
WIDE_LIMIT = 250

Item = Mapping[str, Any]
Curve = Literal["CurveA", "CurveB"]
LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC)
CURVES: tuple[Curve, Curve] = ("CurveA", "CurveB")


class Stretch(NamedTuple):
    """What was read of an index: some of its items, and the value that it was read up to, or None for its end."""

    items: Sequence[Item]
    end: str | None


class Ask(Protocol):
    def __call__(
        self,
        attribute: Curve | Literal["BusyUntil"],
        operator: Literal["<", ">="],
        value: str,
        *,
        free_at: int | None = None,
    ) -> Stretch:
        """Read LIMIT items of the index over this attribute, from a value on in that direction; or WIDE_LIMIT, and
        return those that are free at a second."""


class NoneFree(Exception):
    """No unicorn is free. `next_at` is when the next one will be, or None where the fleet is empty."""

    def __init__(self, next_at: datetime | None) -> None:
        super().__init__("No unicorn is free." if next_at else "There are no unicorns.")
        self.next_at = next_at


class Where(NamedTuple):
    """Where a unicorn is. Not a Place, whose checks cost more than the rest: a search reads dozens."""

    latitude: float
    longitude: float


@dataclass(frozen=True)
class Offer:
    """A free unicorn and how far it is from the pickup point; `item` as DynamoDB returned it."""

    item: Item
    metres: float

    @property
    def unicorn_id(self) -> str:
        return self._text("UnicornId")

    @property
    def name(self) -> str:
        return self._text("Name")

    @property
    def color(self) -> str:
        return self._text("Color")

    @property
    def gender(self) -> str:
        return self._text("Gender")

    @property
    def place(self) -> Place:
        return Place(*_where(self.item))

    @property
    def eta(self) -> timedelta:
        return eta(self.metres, speed_kmh=float(self.item["Speed"]["N"]))

    def _text(self, attribute: str) -> str:
        text: str = self.item[attribute]["S"]
        return text


def nearest_free(place: Place, *, now: datetime, ask: Ask | None = None) -> list[Offer]:
    """Return free unicorns, nearest first. Raises NoneFree.

    Asks one query each way along a curve, and two more on the other curve unless the first two have proven that none
    nearer is free. Where all that the first two found are busy, one more tells whether anybody is free anywhere, and
    then the curves are asked again for more.
    """
    ask = ask or _query
    offers: dict[str, Offer] = {}
    free_at = None

    def note(items: Iterable[Item]) -> None:
        found = (offer_of(item, place, now=now) for item in items)
        offers.update({offer.unicorn_id: offer for offer in found if offer})

    def look(curve: Curve, key: str) -> tuple[str, str]:
        """Note who is on both sides of the key, and return the keys between which all are known now."""
        below, above = ask(curve, "<", key, free_at=free_at), ask(curve, ">=", key, free_at=free_at)
        note((*below.items, *above.items))
        return below.end or BEFORE_ALL, above.end or AFTER_ALL

    for curve, key in zip(CURVES, curve_keys(place), strict=True):
        low, high = look(curve, key)
        if not offers:
            longest_free = ask("BusyUntil", ">=", "0")
            note(longest_free.items)
            next_at = _next_free(longest_free.items, place, now=now)
            if not offers and (next_at or longest_free.end is None):
                raise NoneFree(next_at)
            free_at = math.floor(now.timestamp())
            if (low, high) != (BEFORE_ALL, AFTER_ALL):
                low, high = look(curve, key)
            if not offers:
                # Those who wait longest are malformed, and hide who comes after them.
                raise NoneFree(_next_free(ask("BusyUntil", ">=", str(free_at + 1)).items, place, now=now))
        if (low, high) == (BEFORE_ALL, AFTER_ALL):
            break  # that was the whole fleet
        nearest = min(offer.metres for offer in offers.values())
        if proves_nearest(place, nearest, curve=curve, low=low, high=high):
            break
    return sorted(offers.values(), key=lambda offer: offer.metres)


def _next_free(items: Iterable[Item], place: Place, *, now: datetime) -> datetime | None:
    """Return when the first of these that is busy now, and makes sense, will be free."""
    moments = (
        datetime.fromtimestamp(float(item["BusyUntil"]["N"]), UTC)
        for item in items
        if now.timestamp() < float(item["BusyUntil"]["N"]) and offer_of(item, place, now=LAST_MOMENT)
    )
    return min(moments, default=None)


def offer_of(item: Item, place: Place, *, now: datetime) -> Offer | None:
    """Return what this item of the fleet offers, or None where it is busy or makes no sense."""
    try:
        busy_until = float(item["BusyUntil"]["N"])
        if busy_until > LAST_MOMENT.timestamp():
            raise ValueError("busy for longer than there are years")
        if busy_until > now.timestamp():
            return None
        where = _where(item)
        if not (-90 <= where.latitude <= 90 and -180 <= where.longitude <= 180):
            raise ValueError("nowhere on the globe")
        if float(item["Speed"]["N"]) < 1:
            raise ValueError("too slow to arrive")
        for attribute in ("UnicornId", "Name", "Color", "Gender"):
            item[attribute]["S"]
        return Offer(item, distance(where, place))
    except (KeyError, ValueError):
        logger.warning("Unicorn %s is malformed and gets no rides.", item.get("UnicornId"))
        return None


def _where(item: Item) -> Where:
    return Where(float(item["Latitude"]["N"]), float(item["Longitude"]["N"]))


def _query(attribute: str, operator: str, value: str, *, free_at: int | None = None) -> Stretch:
    how_far: dict[str, Any] = {"Limit": LIMIT}
    values = {":herd": {"S": HERD}, ":value": {"N": value} if attribute == "BusyUntil" else {"S": value}}
    if free_at is not None:
        how_far = {"Limit": WIDE_LIMIT, "FilterExpression": "BusyUntil <= :free_at"}
        values[":free_at"] = {"N": str(free_at)}
    answer = aws.client("dynamodb").query(
        TableName=settings.TABLES["fleet"],
        IndexName=f"By{attribute}",
        KeyConditionExpression=f"Herd = :herd AND {attribute} {operator} :value",
        ExpressionAttributeValues=values,
        ScanIndexForward=operator == ">=",
        **how_far,
    )
    last = answer.get("LastEvaluatedKey")
    return Stretch(answer["Items"], next(iter(last[attribute].values())) if last else None)
