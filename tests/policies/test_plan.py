import time
from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.plan import Call, calls

Needs = dict[str, dict[str, str]]


def needed(size: int, most: int) -> int:
    return -(-size // most)


def by_set(needs: Needs, most: int) -> int:
    sizes = Counter(frozenset(tags.items()) for tags in needs.values() if tags)
    return sum(needed(size, most) for size in sizes.values())


def by_pair(needs: Needs, most: int) -> int:
    sizes = Counter(pair for tags in needs.values() for pair in tags.items())
    return sum(needed(size, most) for size in sizes.values())


def given_by(planned: list[Call]) -> Needs:
    tags: Needs = {}
    for call in planned:
        for instance_id in call.instance_ids:
            tags.setdefault(instance_id, {}).update(call.tags)
    return tags


def fewest(needs: Needs, most: int) -> int:
    """Find the fewest calls by trying all."""
    pairs = sorted({pair for tags in needs.values() for pair in tags.items()})
    possible = set()
    for size in range(1, len(pairs) + 1):
        for some in combinations(pairs, size):
            who = [one for one in needs if needs[one].items() >= set(some)]
            for ids in combinations(who, min(most, len(who))):
                possible.add(frozenset((one, pair) for one in ids for pair in some))
    left = {frozenset((one, pair) for one in needs for pair in needs[one].items())}
    count = 0
    while frozenset() not in left:
        left = {rest - call for rest in left for call in possible if min(rest) in call}
        count += 1
    return count


values = st.fixed_dictionaries({}, optional={key: st.sampled_from("xyz") for key in "ABCD"})
fleets = st.lists(values, max_size=30).map(lambda tags: {f"i-{number}": one for number, one in enumerate(tags)})
small = st.lists(
    st.fixed_dictionaries({}, optional={"A": st.just("x"), "B": st.sampled_from("xy"), "C": st.just("x")}), max_size=5
).map(lambda tags: {f"i-{number}": one for number, one in enumerate(tags)})


@settings(deadline=None)
@given(fleets, st.sampled_from([1, 2, 7, 1000]))
@example({}, 1000)
@example({"i-1": {}}, 1000)
@example({"i-1": {"": ""}, "i-2": {"A": ""}}, 1)
def test_each_gets_exactly_what_it_needs_in_no_more_calls_than_by_set_or_by_pair(needs: Needs, most: int) -> None:
    planned = calls(needs, most)
    assert given_by(planned) == {one: tags for one, tags in needs.items() if tags}
    assert all(call.tags and 1 <= len(set(call.instance_ids)) == len(call.instance_ids) <= most for call in planned)
    assert len(planned) <= min(by_set(needs, most), by_pair(needs, most))


@settings(deadline=None)
@given(fleets, st.sampled_from([2, 1000]), st.randoms(use_true_random=False))
def test_the_order_of_what_is_needed_changes_nothing(needs: Needs, most: int, random: Random) -> None:
    mixed = [(one, dict(random.sample(list(tags.items()), len(tags)))) for one, tags in needs.items()]
    random.shuffle(mixed)
    assert calls(dict(mixed), most) == calls(needs, most)


@given(small, st.sampled_from([1, 2, 3, 1000]))
@settings(max_examples=60, deadline=None)
def test_small_plans_are_at_most_one_call_from_the_best(needs: Needs, most: int) -> None:
    assert fewest(needs, most) <= len(calls(needs, most)) <= fewest(needs, most) + 1


def test_small_plans_are_nearly_always_the_best() -> None:
    random = Random(1)
    fleets = [
        {
            f"i-{n}": {k: random.choice("xy") for k in "ABC" if random.random() < 0.6}
            for n in range(random.randrange(1, 6))
        }
        for _ in range(150)
    ]
    assert sum(len(calls(needs)) for needs in fleets) <= 1.01 * sum(fewest(needs, 1000) for needs in fleets)


@pytest.mark.parametrize(
    ("sizes", "best"),
    [
        # Few sets: one call each.
        ({"A": 300, "B": 300, "A B": 300}, 2),
        ({"A B C": 10, "A B": 10, "A": 10}, 3),
        # Full calls by set, and the rest by pair.
        ({"A": 1300, "A B": 1300, "B": 300}, 4),
        ({"A": 2999, "B": 2999, "A B": 2001}, 8),
        # What everybody needs who needs B comes along.
        ({"A B": 1000, "A": 1000}, 2),
        ({"A B C D": 1000}, 1),
        ({"A B C D": 1001}, 2),
    ],
)
def test_plans_mix_what_is_best(sizes: Mapping[str, int], best: int) -> None:
    needs = {
        f"i-{group}-{number}": dict.fromkeys(keys.split(), "x")
        for group, (keys, size) in enumerate(sizes.items())
        for number in range(size)
    }
    planned = calls(needs)
    assert given_by(planned) == needs
    assert len(planned) == best


def fleet(random: Random, *, creators: int, missing: Mapping[str, float]) -> Needs:
    needs: Needs = {}
    for number in range(10_000):
        tags = {key: "fixed" for key, share in missing.items() if random.random() < share}
        if random.random() < 0.33:
            tags["CreatedBy"] = f"person-{random.randrange(creators)}"
        needs[f"i-{number:05}"] = tags
    return needs


@pytest.mark.parametrize(
    ("creators", "missing", "most_calls"),
    [
        (20, {"ProjectCode": 0.43, "Expires": 0.53}, 29),
        (20, {"ProjectCode": 0.43, "Expires": 0.53, "Team": 0.3}, 35),
        (300, {"ProjectCode": 0.43}, 305),
    ],
)
def test_many_creators_take_a_call_each_and_the_rest_as_few_as_without(
    creators: int, missing: Mapping[str, float], most_calls: int
) -> None:
    needs = fleet(Random(4), creators=creators, missing=missing)
    began = time.process_time()
    planned = calls(needs)
    assert time.process_time() - began < 1
    assert given_by(planned) == {one: tags for one, tags in needs.items() if tags}
    assert len(planned) <= most_calls


def test_values_that_are_all_different_are_planned_in_seconds() -> None:
    random = Random(4)
    needs = {
        f"i-{number}": {"Id": f"{number}", "A": f"{random.randrange(50)}", "B": f"{random.randrange(200)}"}
        for number in range(5_000)
    }
    began = time.process_time()
    assert len(calls(needs)) == 5_000
    for tags in needs.values():
        del tags["Id"]
    assert len(calls(needs)) <= 250
    assert time.process_time() - began < 5
