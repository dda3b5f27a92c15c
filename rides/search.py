"""Find the nearest free unicorns in the Fleet table, at a cost that does not grow with the fleet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from django.conf import settings

from portal import aws
from rides.rules import AFTER_ALL, BEFORE_ALL, Place, curve_keys, distance, eta, proves_nearest

logger = logging.getLogger(__name__)

HERD = "all"  # the one partition of the fleet's indexes
# An item of these indexes takes about 150 bytes, and up to 4 KB of them cost half a read unit.
LIMIT = 25

Item = Mapping[str, Any]
Curve = Literal["CurveA", "CurveB"]
CURVES: tuple[Curve, Curve] = ("CurveA", "CurveB")
# Answers up to LIMIT items of the index over this attribute, from a value on in that direction.
Ask = Callable[[Curve | Literal["BusyUntil"], Literal["<", ">="], str], Sequence[Item]]


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
    nearer is free. Where all that the first two found are busy, one more tells who is free anywhere.
    """
    ask = ask or _query
    offers: dict[str, Offer] = {}

    def note(items: Iterable[Item]) -> None:
        found = (offer_of(item, place, now=now) for item in items)
        offers.update({offer.unicorn_id: offer for offer in found if offer})

    for curve, key in zip(CURVES, curve_keys(place), strict=True):
        sides = ask(curve, "<", key), ask(curve, ">=", key)
        note((*sides[0], *sides[1]))
        if not offers:
            first_to_be_free = ask("BusyUntil", ">=", "0")
            note(first_to_be_free)
        if not offers:
            busy_until = (int(item["BusyUntil"]["N"]) for item in first_to_be_free)
            next_free = min((moment for moment in busy_until if moment > now.timestamp()), default=None)
            raise NoneFree(datetime.fromtimestamp(next_free, UTC) if next_free else None)
        low, high = (
            side[-1][curve]["S"] if len(side) >= LIMIT else end
            for side, end in zip(sides, (BEFORE_ALL, AFTER_ALL), strict=True)
        )
        if (low, high) == (BEFORE_ALL, AFTER_ALL):
            break  # that was the whole fleet
        nearest = min(offer.metres for offer in offers.values())
        if proves_nearest(place, nearest, curve=curve, low=low, high=high):
            break
    return sorted(offers.values(), key=lambda offer: offer.metres)


def offer_of(item: Item, place: Place, *, now: datetime) -> Offer | None:
    """Return what this item of the fleet offers, or None where it is busy or makes no sense."""
    try:
        if float(item["BusyUntil"]["N"]) > now.timestamp():
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


def _query(attribute: str, operator: str, value: str) -> Sequence[Item]:
    items: list[Item] = aws.client("dynamodb").query(
        TableName=settings.TABLES["fleet"],
        IndexName=f"By{attribute}",
        KeyConditionExpression=f"Herd = :herd AND {attribute} {operator} :value",
        ExpressionAttributeValues={
            ":herd": {"S": HERD},
            ":value": {"N": value} if attribute == "BusyUntil" else {"S": value},
        },
        ScanIndexForward=operator == ">=",
        Limit=LIMIT,
    )["Items"]
    return items
