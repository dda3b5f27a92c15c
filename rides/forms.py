"""The form that asks for a unicorn."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from rides.rules import Place

# rides/static/rides/degrees.js reads the same.
_ONE = r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_POINTED = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_MARK = r"(?: ?°)?(?: ?[NSEW])?"
_DEGREES = re.compile(rf"({_ONE})(?: ?°)?(?: ?([NSEW]))?")
_PAIR = re.compile(
    rf"(?P<a>{_ONE}{_MARK}) ?; ?(?P<b>{_ONE}{_MARK})|(?P<c>{_ONE}{_MARK}),? (?P<d>{_ONE}{_MARK})|"
    rf"(?P<e>{_POINTED}{_MARK}),(?P<f>{_POINTED}{_MARK})"
)


def degrees(text: str, *, directions: str) -> float | None:
    """Read a number as people write it, e.g. "47.6", "47,6", "−122.3" or "122.3° W"; None where it is none.

    `directions` are the letters that may follow it, the negative one first: "SN" or "WE".
    """
    found = _DEGREES.fullmatch(_plain(text))
    if not found:
        return None
    number, direction = float(found[1].replace(",", ".")), found[2]
    if not math.isfinite(number):
        return None
    if not direction:
        return number
    if direction not in directions or found[1][0] in "+-":
        return None
    return -number if direction == directions[0] else number


def pair(text: str) -> tuple[str, str] | None:
    """Split "47.6, -122.3" as maps elsewhere give it; None for a single number, such as "47,6"."""
    plain = _plain(text).strip("()").strip()
    found = None if _DEGREES.fullmatch(plain) else _PAIR.fullmatch(plain)
    if not found:
        return None
    first, second = (one for one in found.groups() if one is not None)
    return first, second


def _plain(text: str) -> str:
    return " ".join(text.replace("\N{MINUS SIGN}", "-").split())


class DegreesField(forms.FloatField):
    """A coordinate as people write it."""

    def __init__(self, *, directions: str, **kwargs: Any) -> None:
        # Not inputmode="decimal": an iPhone's decimal keys lack the minus.
        widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
        super().__init__(widget=widget, **kwargs)
        self.directions = directions

    def to_python(self, value: Any) -> Any:
        text = str(value if value is not None else "").strip()
        if not text:
            return None
        number = degrees(text, directions=self.directions)
        if number is None:
            shown = text if len(text) <= 30 else f"{text[:29]}…"
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": shown})
        return number


class PickupForm(forms.Form):
    """Where to be picked up. Each form that is shown has an `idempotency_key`, so that sending it twice asks once.

    Either field may hold both numbers, as they are pasted from elsewhere.
    """

    latitude = DegreesField(
        directions="SN",
        min_value=-90,
        max_value=90,
        error_messages={
            "required": "Pick a place on the map, or type its latitude.",
            "invalid": "“%(value)s” is not a latitude: write a number such as 47.6.",
            "min_value": "Latitudes go from -90, the South Pole, to 90, the North Pole.",
            "max_value": "Latitudes go from -90, the South Pole, to 90, the North Pole.",
        },
    )
    longitude = DegreesField(
        directions="WE",
        min_value=-180,
        max_value=180,
        error_messages={
            "required": "Pick a place on the map, or type its longitude.",
            "invalid": "“%(value)s” is not a longitude: write a number such as -122.3.",
            "min_value": "Longitudes go from -180 in the west to 180 in the east.",
            "max_value": "Longitudes go from -180 in the west to 180 in the east.",
        },
    )
    idempotency_key = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        if data is not None:
            both = pair(data.get("latitude") or "") or pair(data.get("longitude") or "")
            if both:
                data = {**{key: data[key] for key in data}, "latitude": both[0], "longitude": both[1]}
        super().__init__(data, **kwargs)
        # Firefox fills in what was typed before a reload, and the old key with it.
        self.fields["idempotency_key"].widget.attrs["autocomplete"] = "off"

    def place(self) -> Place:
        return Place(latitude=self.cleaned_data["latitude"], longitude=self.cleaned_data["longitude"])
