"""rides.search over fleets in memory: see bench/search.py for more and larger ones."""

import random

import pytest

from bench.search import NOW, WORLDS, Fleet, make_fleet, measure, projected_bytes
from rides import search
from rides.rules import Place, distance
from rides.search import NoneFree, nearest_free


@pytest.mark.parametrize("where", WORLDS)
@pytest.mark.parametrize("busy", [0.0, 0.5])
def test_the_nearest_of_a_thousand_is_found_for_two_read_units(where: str, busy: float) -> None:
    rnd = random.Random(1_000)
    draw = WORLDS[where](rnd)
    result = measure(make_fleet(1_000, draw, rnd, busy=busy), draw, 100)
    assert result.exact >= 97
    assert result.queries < 3
    assert result.most_queries <= 4
    assert result.most_units <= 2


@pytest.mark.parametrize("size", [1, 2, 12, search.LIMIT - 1])
def test_a_small_fleet_is_searched_exactly_with_two_queries(size: int) -> None:
    rnd = random.Random(size)
    draw = WORLDS["whole world"](rnd)
    result = measure(make_fleet(size, draw, rnd), draw, 50)
    assert (result.exact, result.most_queries, result.most_units) == (100, 2, 1)


def test_a_page_of_an_index_costs_half_a_read_unit() -> None:
    """Long names and ids included; DynamoDB counts in steps of 4 KB."""
    rnd = random.Random(1)
    fleet = make_fleet(200, WORLDS["whole world"](rnd), rnd)
    assert max(map(projected_bytes, fleet.items)) * search.LIMIT <= 4096


def test_the_nearest_is_found_across_the_antimeridian() -> None:
    rnd = random.Random(3)
    crowd = make_fleet(500, lambda: Place(round(rnd.uniform(-1, 1), 6), round(rnd.uniform(179, 179.9), 6)), rnd)
    beyond = make_fleet(1, lambda: Place(0.0, -179.9999), rnd).items[0]
    beyond = {**beyond, "UnicornId": {"S": "beyond"}}
    place = Place(0.0, 179.9999)
    found = nearest_free(place, now=NOW, ask=Fleet([*crowd.items, beyond]).ask)
    assert found[0].unicorn_id == "beyond"
    assert found[0].metres == pytest.approx(distance(place, Place(0.0, -179.9999)))


def test_who_is_free_far_away_is_found_behind_a_crowd_of_busy_ones() -> None:
    rnd = random.Random(4)
    crowd = make_fleet(500, lambda: Place(round(rnd.uniform(47, 48), 6), -122.0), rnd, busy=1.0)
    far = {**make_fleet(1, lambda: Place(-33.9, 151.2), rnd).items[0], "UnicornId": {"S": "far"}}
    fleet = Fleet([*crowd.items, far])
    assert [offer.unicorn_id for offer in nearest_free(Place(47.5, -122.0), now=NOW, ask=fleet.ask)] == ["far"]
    assert fleet.queries == 7


@pytest.mark.parametrize("where", WORLDS)
def test_at_peak_load_the_nearest_is_found_too(where: str) -> None:
    rnd = random.Random(5_000)
    draw = WORLDS[where](rnd)
    result = measure(make_fleet(5_000, draw, rnd, busy=0.98), draw, 300)
    assert result.exact >= 85
    assert result.queries < 5
    assert result.most_queries <= 7
    assert result.most_units <= 20


def test_when_all_are_busy_the_first_to_be_free_is_named() -> None:
    rnd = random.Random(5)
    fleet = make_fleet(300, WORLDS["uniform city"](rnd), rnd, busy=1.0)
    with pytest.raises(NoneFree) as raised:
        nearest_free(Place(41.9, 12.5), now=NOW, ask=fleet.ask)
    assert raised.value.next_at is not None
    assert raised.value.next_at.timestamp() == min(int(item["BusyUntil"]["N"]) for item in fleet.items)


def test_an_empty_fleet_has_no_next_time() -> None:
    with pytest.raises(NoneFree) as raised:
        nearest_free(Place(41.9, 12.5), now=NOW, ask=Fleet([]).ask)
    assert raised.value.next_at is None
