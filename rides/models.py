"""The fleet, which operators edit, and the rides' place in the admin."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from portal.dynamo.fields import EpochField
from portal.dynamo.items import Item
from portal.dynamo.records import Screen
from portal.dynamo.values import from_item
from rides.rules import Place, between, curve_keys
from rides.search import HERD

FREE_SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> str:
    return secrets.token_hex(4)


def degrees(*, name: str, column: str, limit: int) -> Any:
    """Return a field of degrees from -limit to limit, exactly as typed."""
    return models.DecimalField(
        name,
        db_column=column,
        # DynamoDB's numbers have 38 digits, and what is there must pass.
        max_digits=38,
        decimal_places=35,
        validators=[MinValueValidator(-limit), MaxValueValidator(limit)],
        help_text=f"Degrees from −{limit} to {limit}, for example {'47.6205' if limit == 90 else '-122.3493'}.",
    )


class Unicorn(Item):
    """A unicorn of the fleet: who it is, where it waits, and until when it serves a ride."""

    unicorn_id = models.CharField(
        "id",
        db_column="UnicornId",
        primary_key=True,
        blank=True,
        max_length=64,
        validators=[RegexValidator(r"\A[\w-]+\Z", "Letters, digits, hyphens and underscores only.")],
    )
    name = models.CharField(db_column="Name", max_length=60)
    color = models.CharField("colour", db_column="Color", max_length=40)
    gender = models.CharField(db_column="Gender", max_length=40, help_text="For example Female or Male.")
    latitude = degrees(name="latitude", column="Latitude", limit=90)
    longitude = degrees(name="longitude", column="Longitude", limit=180)
    speed = models.DecimalField(
        db_column="Speed",
        max_digits=7,
        decimal_places=2,
        default=90,
        validators=[MinValueValidator(1), MaxValueValidator(2000)],
        help_text="Kilometres per hour.",
    )
    busy_until = EpochField(db_column="BusyUntil", default=FREE_SINCE_EVER, editable=False)
    ride_id = models.CharField("ride", db_column="RideId", null=True, editable=False, max_length=64)

    class Meta(Item.Meta):
        db_table = "fleet"
        verbose_name = "unicorn"
        verbose_name_plural = "unicorns"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name or self.unicorn_id

    def clean(self) -> None:
        self.unicorn_id = self.unicorn_id or new_id()

    def is_busy(self, now: datetime) -> bool:
        """Tell whether it serves a ride, or is on its way to one."""
        return self.busy_until is not None and self.busy_until > now

    def position(self, now: datetime) -> Place | None:
        """Return where it is; None where that makes no sense. What is stored of one on its way is where it goes."""
        try:
            stored = Place(latitude=self.latitude, longitude=self.longitude)
        except ValueError:
            return None
        leg: Any = from_item(self.item).get("Leg") if self.is_busy(now) else None
        try:
            start = Place(latitude=leg["Latitude"], longitude=leg["Longitude"])
            left_at, arrives_at = (datetime.fromisoformat(leg[name]) for name in ("LeftAt", "ArrivesAt"))
            return between(start, stored, (now - left_at) / (arrives_at - left_at))
        except (ArithmeticError, KeyError, TypeError, ValueError):
            return stored  # not on its way, or another program's words

    def derived(self) -> dict[str, Any]:
        curve_a, curve_b = curve_keys(Place(latitude=float(self.latitude), longitude=float(self.longitude)))
        # An item without BusyUntil, or with one that is no time, is in no index that tells who is free.
        busy_until = int((self.busy_until or FREE_SINCE_EVER).timestamp())
        return {"Herd": HERD, "CurveA": curve_a, "CurveB": curve_b, "BusyUntil": busy_until}

    @classmethod
    def say(cls, field: models.Field[Any, Any], value: Any) -> str:
        if field.name == "busy_until" and value is not None and value <= datetime.now(UTC):
            return "free"
        return super().say(field, value)


class Ride(Screen):
    """The rides in the admin; a ride itself is rides.ride.Ride."""

    class Meta(Screen.Meta):
        verbose_name = "ride"
        verbose_name_plural = "rides"
