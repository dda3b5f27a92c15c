"""Where things are on the globe, how long a way takes, and the two Z-order curves that find what is near.

A Z-order key interleaves the bits of both coordinates, so what lies near mostly sorts near, but neighbours on
either side of a large cell's edge sort far apart. A second curve, offset by a third of a turn, has its edges
elsewhere: a third of a cell away at every level, because a third is 0.010101… in binary.

Reference: G. M. Morton (1966); T. M. Chan, "A minimalist's implementation of an approximate nearest neighbor
algorithm in fixed dimensions" (2006).
"""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_pascal
from pydantic.dataclasses import dataclass

EARTH_RADIUS_METRES = 6_371_008.8  # the mean radius of WGS 84

# Both axes count the same steps to the degree (9.3 mm at the equator): a turn of longitude takes 32 bits, so
# the half turn of latitude takes 31 and, with the second curve's offset added, still fits into 32.
_TURN = 1 << 32
_OFFSET = _TURN // 3  # 0x55555555
KEY_DIGITS = 16
BEFORE_ALL, AFTER_ALL = "", "g"  # what sorts before and after every key


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError("must be a number")
    return value


Number = BeforeValidator(_number)
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False), Number]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False), Number]


@dataclass(frozen=True, config=ConfigDict(alias_generator=to_pascal, populate_by_name=True))
class Place:
    """A point on the globe in degrees. Raises ValueError for anything but two finite numbers in range."""

    latitude: Latitude
    longitude: Longitude


class Point(Protocol):
    @property
    def latitude(self) -> float: ...
    @property
    def longitude(self) -> float: ...


def distance(a: Point, b: Point) -> float:
    """Return the metres between two places along a great circle (haversine)."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half_lat, half_lon = (lat_b - lat_a) / 2, math.radians(b.longitude - a.longitude) / 2
    h = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_METRES * math.asin(math.sqrt(min(1.0, h)))


def eta(metres: float, *, speed_kmh: float) -> timedelta:
    """Return how long the way takes, in whole seconds, rounded up."""
    return timedelta(seconds=math.ceil(metres / speed_kmh * 3.6))


def between(start: Place, end: Place, fraction: float) -> Place:
    """Return the place that fraction (0 to 1) of the way from start to end, in a straight line on the map:
    across the antimeridian where that is shorter."""
    if not 0 < fraction < 1:
        return end if fraction >= 1 else start
    turn = (end.longitude - start.longitude + 540) % 360 - 180
    longitude = start.longitude + turn * fraction
    return Place(
        latitude=round(start.latitude + (end.latitude - start.latitude) * fraction, 6),
        longitude=round((longitude + 540) % 360 - 180, 6),
    )


def words(duration: timedelta) -> str:
    """Say a duration as a person would, e.g. "4 minutes", rounded up to the minute."""
    minutes = math.ceil(duration.total_seconds() / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "day"), (hours, "hour"), (minutes, "minute")]
    said = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count]
    return " ".join(said[:2]) or "0 minutes"


# --- The curves ---------------------------------------------------------------------------------------------


def curve_keys(place: Place) -> tuple[str, str]:
    """Return the place's keys on curve A and on curve B: 16 hexadecimal digits, sorted as it runs."""
    x, y = _steps(place.longitude + 180), _steps(place.latitude + 90)
    return _key(x, y), _key(x + _OFFSET, y + _OFFSET)


def proves_nearest(place: Place, metres: float, *, curve: Literal["CurveA", "CurveB"], low: str, high: str) -> bool:
    """Tell whether whoever has seen all there is between two keys of a curve, both exclusive, has seen all
    there is within that many metres of the place.

    Along a Z-order curve every point of a box lies between its lowest and its highest corner, so it is enough
    that these two corners of the box around the circle lie between the keys.
    """
    offset = 0 if curve == "CurveA" else _OFFSET
    radius = math.degrees(metres / EARTH_RADIUS_METRES) * (1 + 1e-9) + 1e-6
    south, north = place.latitude - radius, place.latitude + radius
    left, right = 0, _TURN - 1
    if south > -90 and north < 90:
        # The meridians that touch the circle. Where it holds a pole, it meets them all.
        sine = math.sin(math.radians(radius)) / math.cos(math.radians(place.latitude))
        reach = math.degrees(math.asin(min(1.0, sine))) + 1e-6
        west = _steps(place.longitude + 180 - reach) + offset
        east = _steps(place.longitude + 180 + reach) + offset
        if east - west < _TURN - 1:
            if west // _TURN != east // _TURN:
                return False  # the curve's seam runs through the box
            left, right = west, east
    bottom, top = _steps(max(south, -90) + 90) + offset, _steps(min(north, 90) + 90) + offset
    return low < _key(left, bottom) and _key(right, top) < high


def _steps(degrees: float) -> int:
    return math.floor(degrees * (_TURN / 360))


def _key(x: int, y: int) -> str:
    return f"{_spaced(x % _TURN) | _spaced(y) << 1:0{KEY_DIGITS}x}"


def _spaced(bits: int) -> int:
    """Put a zero between the bits of a 32-bit number."""
    bits = (bits | bits << 16) & 0x0000FFFF0000FFFF
    bits = (bits | bits << 8) & 0x00FF00FF00FF00FF
    bits = (bits | bits << 4) & 0x0F0F0F0F0F0F0F0F
    bits = (bits | bits << 2) & 0x3333333333333333
    return (bits | bits << 1) & 0x5555555555555555


# --- Whom to ask --------------------------------------------------------------------------------------------


def choose(count: int, *, tries: int, random: Random) -> int:
    """Return which of so many candidates, nearest first, to try after so many tries failed: the nearest, then any
    in a window that grows fourfold. Riders in one spot who all walk down one list collide at each step: 16 of them
    need 8.5 tries each, and so 3.
    """
    return random.randrange(min(count, 4 ** min(tries, 8)))
