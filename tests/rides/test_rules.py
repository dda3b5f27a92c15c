import math
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rides.rules import (
    AFTER_ALL,
    BEFORE_ALL,
    EARTH_RADIUS_METRES,
    Place,
    between,
    choose,
    curve_keys,
    distance,
    eta,
    proves_nearest,
    words,
)

CURVES = {"CurveA": 0, "CurveB": 1}
latitudes = st.floats(-90, 90) | st.sampled_from([-90.0, -89.9999, 0.0, 60.0, 89.9999, 90.0])
longitudes = st.floats(-180, 180) | st.sampled_from([-180.0, -179.9999, -60.0, 0.0, 60.0, 179.9999, 180.0])
places = st.builds(Place, latitude=latitudes, longitude=longitudes)
PARIS, LONDON = Place(48.8566, 2.3522), Place(51.5074, -0.1278)


# --- Places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("good", [(0, 0), (-90, -180), (90, 180), (Decimal("47.6"), Decimal("-122.3")), (1, 2.5)])
def test_place_takes_numbers_in_range(good: tuple[Any, Any]) -> None:
    place = Place(*good)
    assert (place.latitude, place.longitude) == (float(good[0]), float(good[1]))


@pytest.mark.parametrize(
    "bad", [90.000001, -91, math.nan, math.inf, -math.inf, "47.6", "", True, False, None, [47.6], 10**400]
)
def test_place_refuses_all_else(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"(?i)latitude"):
        Place(latitude=bad, longitude=0)
    with pytest.raises(ValueError, match=r"(?i)longitude"):
        Place(latitude=0, longitude=bad if bad != 90.000001 and bad != -91 else bad * 2)


# --- Distance and time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "kilometres"),
    [
        (PARIS, PARIS, 0),
        (PARIS, LONDON, 343.5),
        (Place(0, 0), Place(0, 1), 111.195),
        (Place(0, 179.5), Place(0, -179.5), 111.195),
        (Place(90, 17), Place(90, -120), 0),
        (Place(0, 0), Place(0, 180), math.pi * EARTH_RADIUS_METRES / 1000),
        (Place(90, 0), Place(-90, 0), math.pi * EARTH_RADIUS_METRES / 1000),
    ],
)
def test_distance(a: Place, b: Place, kilometres: float) -> None:
    assert distance(a, b) / 1000 == pytest.approx(kilometres, rel=1e-3, abs=1e-9)


@given(places, places)
def test_distance_is_the_same_both_ways_and_at_most_half_way_round(a: Place, b: Place) -> None:
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-6)
    assert 0 <= distance(a, b) <= math.pi * EARTH_RADIUS_METRES + 1e-6
    assert distance(a, a) == 0


@pytest.mark.parametrize(
    ("metres", "speed_kmh", "seconds"), [(0, 90, 0), (25, 90, 1), (26, 90, 2), (1_000, 3.6, 1_000), (90_000, 90, 3_600)]
)
def test_eta_is_rounded_up_to_seconds(metres: float, speed_kmh: float, seconds: int) -> None:
    assert eta(metres, speed_kmh=speed_kmh) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 minutes"),
        (1, "1 minute"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (240, "4 minutes"),
        (3_600, "1 hour"),
        (3_601, "1 hour 1 minute"),
        (7_500, "2 hours 5 minutes"),
        (90_000, "1 day 1 hour"),
        (86_400 * 9 + 3_660, "9 days 1 hour"),
    ],
)
def test_durations_are_said_as_a_person_would(seconds: int, said: str) -> None:
    assert words(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("start", "end", "fraction", "there"),
    [
        (Place(10, 10), Place(20, 30), 0, Place(10, 10)),
        (Place(10, 10), Place(20, 30), -1, Place(10, 10)),
        (Place(10, 10), Place(20, 30), 0.5, Place(15, 20)),
        (Place(10, 10), Place(20.1234567, 30), 1, Place(20.1234567, 30)),
        (Place(10, 10), Place(20, 30), 7, Place(20, 30)),
        (Place(0, 170), Place(0, -170), 0.75, Place(0, -175)),
        (Place(0, -170), Place(0, 170), 0.25, Place(0, -175)),
    ],
)
def test_position_on_the_way(start: Place, end: Place, fraction: float, there: Place) -> None:
    assert between(start, end, fraction) == there


@given(places, places, st.floats(0, 1))
def test_every_position_on_the_way_is_a_place(start: Place, end: Place, fraction: float) -> None:
    there = between(start, end, fraction)
    low, high = sorted((start.latitude, end.latitude))
    assert low - 1e-6 <= there.latitude <= high + 1e-6


# --- The curves -------------------------------------------------------------------------------------------------------


@given(places)
def test_keys_are_of_one_width_and_sort_between_the_ends(place: Place) -> None:
    for key in curve_keys(place):
        assert len(key) == 16
        assert int(key, 16) >= 0
        assert key == key.lower()
        assert BEFORE_ALL < key < AFTER_ALL


@given(latitudes)
def test_the_antimeridian_is_one_line(latitude: float) -> None:
    assert curve_keys(Place(latitude, 180)) == curve_keys(Place(latitude, -180))


def test_neighbours_across_a_seam_of_one_curve_are_near_on_the_other() -> None:
    west, east = curve_keys(Place(10.01, 179.9999)), curve_keys(Place(10.01, -179.9999))
    apart = [abs(int(a, 16) - int(b, 16)) for a, b in zip(west, east, strict=True)]
    assert apart[0] > 2**60
    assert apart[1] < 2**40


@given(st.lists(places, min_size=1, max_size=40), places, st.integers(0, 5), st.sampled_from(sorted(CURVES)))
@example([Place(0, 179.99), Place(-45, 100), Place(0, -179.999)], Place(0, 179.999), 2, "CurveA")
@example([Place(0, 59.999), Place(0, 61)], Place(0, 60.001), 1, "CurveB")
@example([Place(89.99, 180), Place(89.9, 0)], Place(89.99, 0), 1, "CurveA")
@example([Place(5, 5)] * 4, Place(5, 5), 1, "CurveB")
def test_what_a_window_proves_is_true(fleet: list[Place], place: Place, limit: int, curve: Any) -> None:
    """Whoever sees only so many on each side, and takes the proof for it, has seen the nearest of all."""
    n = CURVES[curve]
    key = curve_keys(place)[n]
    ordered = sorted(fleet, key=lambda one: curve_keys(one)[n])
    above = [one for one in ordered if curve_keys(one)[n] >= key]
    below = [one for one in ordered if curve_keys(one)[n] < key][::-1]
    seen = above[:limit] + below[:limit]
    assume(seen)
    high = curve_keys(above[limit - 1])[n] if limit <= len(above) else AFTER_ALL
    low = curve_keys(below[limit - 1])[n] if limit <= len(below) else BEFORE_ALL
    nearest = min(distance(place, one) for one in seen)
    if proves_nearest(place, nearest, curve=curve, low=low, high=high):
        assert nearest == min(distance(place, one) for one in fleet)


@given(places, places)
def test_the_whole_curve_proves_all_but_what_its_seam_cuts(place: Place, other: Place) -> None:
    metres = distance(place, other)
    proven = [
        proves_nearest(place, metres, curve=curve, low=BEFORE_ALL, high=AFTER_ALL) for curve in ("CurveA", "CurveB")
    ]
    if metres < 1_000_000 and abs(place.latitude) < 60:
        assert any(proven)


def test_a_window_that_is_too_narrow_proves_nothing() -> None:
    low, high = (curve_keys(Place(47.6 + step, -122.3 + step))[0] for step in (-0.01, 0.01))
    assert proves_nearest(Place(47.6, -122.3), 100, curve="CurveA", low=low, high=high)
    assert not proves_nearest(Place(47.6, -122.3), 5_000, curve="CurveA", low=low, high=high)


# --- Whom to ask ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 50), st.integers(0, 50), st.integers())
def test_the_first_try_is_the_nearest_and_the_window_grows(count: int, tries: int, seed: int) -> None:
    chosen = choose(count, tries=tries, random=Random(seed))
    assert 0 <= chosen < min(count, 4**tries)


def test_riders_in_one_spot_spread_after_the_first_collision() -> None:
    """16 riders over one list of 40: the nearest-first walk takes 8.5 tries each."""
    rnd = Random(1)
    trials = []
    for _ in range(200):
        free = list(range(40))
        riders: dict[int, list[int]] = {rider: list(range(40)) for rider in range(16)}
        tries = dict.fromkeys(riders, 0)
        waiting = list(riders)
        while waiting:
            rnd.shuffle(waiting)
            for rider in list(waiting):
                wanted = riders[rider].pop(choose(len(riders[rider]), tries=tries[rider], random=rnd))
                tries[rider] += 1
                if wanted in free:
                    free.remove(wanted)
                    waiting.remove(rider)
        trials.append(sum(tries.values()) / len(tries))
    assert sum(trials) / len(trials) < 3.5
