"""How good and how dear the search for the nearest free unicorn is, on fleets from 10 to 100,000.

It runs rides.search itself over sorted lists in place of the indexes, so it needs no cloud. The seeds are
fixed: `python -m bench.search` prints the same each time.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import mean

from rides import search
from rides.rules import EARTH_RADIUS_METRES, Place, curve_keys, distance
from rides.search import Item, NoneFree, Stretch, nearest_free

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CITY = Place(latitude=41.9, longitude=12.5)
CITY_DEGREES = 0.5

Draw = Callable[[], Place]


def uniform_city(rnd: random.Random) -> Draw:
    """A box of some 55 by 40 km."""
    half = CITY_DEGREES / 2
    return lambda: Place(
        latitude=round(CITY.latitude + rnd.uniform(-half, half), 6),
        longitude=round(CITY.longitude + rnd.uniform(-half, half), 6),
    )


def clustered_city(rnd: random.Random) -> Draw:
    """Twelve quarters of the same city, each with most of its unicorns within a kilometre."""
    centres = [uniform_city(rnd)() for _ in range(12)]

    def draw() -> Place:
        centre = rnd.choice(centres)
        return Place(
            latitude=round(rnd.gauss(centre.latitude, 0.009), 6),
            longitude=round(rnd.gauss(centre.longitude, 0.009), 6),
        )

    return draw


def uniform_world(rnd: random.Random) -> Draw:
    """The whole globe, its poles and the antimeridian included."""
    return lambda: Place(
        latitude=round(math.degrees(math.asin(rnd.uniform(-1, 1))), 6),
        longitude=round(rnd.uniform(-180, 180), 6),
    )


@dataclass
class Fleet:
    """The Fleet table in memory: three sorted indexes that count what they are asked."""

    items: list[Item]
    queries: int = 0
    read: int = 0
    units: float = 0.0
    _indexes: dict[str, tuple[list[str | int], list[Item]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for attribute in ("CurveA", "CurveB", "BusyUntil"):
            ordered = sorted(self.items, key=lambda item: _key(item, attribute))
            self._indexes[attribute] = [_key(item, attribute) for item in ordered], ordered
        self._south_to_north = sorted(self.items, key=lambda item: _place(item).latitude)
        self._latitudes = [_place(item).latitude for item in self._south_to_north]

    def ask(self, attribute: str, operator: str, value: str, *, free_at: int | None = None) -> Stretch:
        keys, ordered = self._indexes[attribute]
        at = bisect_left(keys, int(value) if attribute == "BusyUntil" else value)
        limit = search.LIMIT if free_at is None else search.WIDE_LIMIT
        found = ordered[at : at + limit] if operator == ">=" else ordered[max(0, at - limit) : at][::-1]
        self.queries += 1
        self.read += len(found)
        self.units += 0.5 * max(1, math.ceil(sum(map(projected_bytes, found)) / 4096))
        end = str(_key(found[-1], attribute)) if len(found) == limit else None
        if free_at is not None:
            found = [item for item in found if int(item["BusyUntil"]["N"]) <= free_at]
        return Stretch(found, end)

    def nearest(self, place: Place) -> float:
        """Return the metres to the nearest free unicorn, looking at every one that could be it."""
        best = math.inf
        start = bisect_left(self._latitudes, place.latitude)
        for way in (range(start, len(self.items)), range(start - 1, -1, -1)):
            for n in way:
                apart = math.radians(abs(self._latitudes[n] - place.latitude)) * EARTH_RADIUS_METRES
                if apart > best:
                    break
                item = self._south_to_north[n]
                if int(item["BusyUntil"]["N"]) <= NOW.timestamp():
                    best = min(best, distance(place, _place(item)))
        return best


def _key(item: Item, attribute: str) -> str | int:
    return int(item[attribute]["N"]) if attribute == "BusyUntil" else str(item[attribute]["S"])


def _place(item: Item) -> Place:
    return Place(latitude=float(item["Latitude"]["N"]), longitude=float(item["Longitude"]["N"]))


def projected_bytes(item: Item) -> int:
    """Return the size of the item in ByCurveA or ByCurveB, by DynamoDB's rules.

    Reference: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    size = 0
    for name, value in item.items():
        if name not in ("CurveB", "RideId"):
            ((kind, plain),) = value.items()
            digits = len(plain.strip("-").replace(".", "").strip("0")) or 1
            size += len(name) + (
                math.ceil(digits / 2) + 1 + plain.startswith("-") if kind == "N" else len(plain.encode())
            )
    return size


def make_fleet(size: int, draw: Draw, rnd: random.Random, *, busy: float = 0.0) -> Fleet:
    def item(n: int) -> Item:
        place = draw()
        a, b = curve_keys(place)
        until = int(NOW.timestamp()) + rnd.randint(1, 900) if rnd.random() < busy else rnd.randint(0, 10**9)
        return {
            "UnicornId": {"S": f"unicorn-{n:06d}"},
            "Herd": {"S": search.HERD},
            "CurveA": {"S": a},
            "CurveB": {"S": b},
            "Name": {"S": f"Rocinante {n}"},
            "Color": {"S": "Yellow"},
            "Gender": {"S": "Female"},
            "Latitude": {"N": repr(place.latitude)},
            "Longitude": {"N": repr(place.longitude)},
            "Speed": {"N": "90"},
            "BusyUntil": {"N": str(until)},
        }

    return Fleet([item(n) for n in range(size)])


@dataclass(frozen=True)
class Result:
    queries: float
    most_queries: int
    items: float
    units: float
    most_units: float
    exact: float
    excess_metres: float


def measure(fleet: Fleet, draw: Draw, requests: int) -> Result:
    """Ask for a unicorn at so many places and compare with the true nearest."""
    queries, items, units, excess = [], [], [], []
    for _ in range(requests):
        place = draw()
        fleet.queries, fleet.read, fleet.units = 0, 0, 0.0
        try:
            found = nearest_free(place, now=NOW, ask=fleet.ask)[0].metres
        except NoneFree:
            found = math.inf
        best = fleet.nearest(place)
        queries.append(fleet.queries)
        items.append(fleet.read)
        units.append(fleet.units)
        excess.append(0.0 if found == best else found - best)
    return Result(
        queries=mean(queries),
        most_queries=max(queries),
        items=mean(items),
        units=mean(units),
        most_units=max(units),
        exact=100 * mean(one < 0.5 for one in excess),
        excess_metres=mean(excess),
    )


WORLDS = {"uniform city": uniform_city, "12 clusters": clustered_city, "whole world": uniform_world}


def table(sizes: list[int], requests: int) -> Iterator[str]:
    yield f"Limit {search.LIMIT}, {requests} requests each"
    yield "where         busy    fleet   queries (max)  items  read units (max)  true nearest  mean excess"
    for where, world in WORLDS.items():
        for busy in (0.0, 0.5, 0.95, 0.98):
            for size in sizes:
                rnd = random.Random(size)
                draw = world(rnd)
                r = measure(make_fleet(size, draw, rnd, busy=busy), draw, requests)
                yield (
                    f"{where:12}  {busy:4.0%}  {size:7,}   {r.queries:7.2f}  {r.most_queries:4} {r.items:6.1f}"
                    f"  {r.units:10.2f} {r.most_units:5.1f}  {r.exact:10.1f} %  {r.excess_metres:9.1f} m"
                )


def main() -> None:
    for line in table([10, 100, 1_000, 10_000, 100_000], 500):
        print(line, flush=True)


if __name__ == "__main__":
    main()
