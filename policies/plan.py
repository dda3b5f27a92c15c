"""The fewest calls that give many instances their tags.

A call gives the same tags to up to 1,000 instances. One call for each whole set of tags is best where there are few
sets; one for each key and value where many values meet; and mixes in between. To find the fewest is to cover a
bipartite graph with the fewest bicliques, which is NP-hard, so this tries what is known to come near and takes the
best.

Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

Pair = tuple[str, str]
Pairs = frozenset[Pair]
Group = tuple[Pairs, list[str]]  # instances that need the same
Blocks = list[Pairs]  # pairs that share calls

# What takes more steps than this, each of about a microsecond, is not tried.
_BUDGET = 400_000
_MOST_KEYS = 5  # there are 52 ways to put 5 keys into blocks, and 203 for 6


class Call(NamedTuple):
    """One create_tags call."""

    tags: dict[str, str]
    instance_ids: list[str]


def calls(needs: Mapping[str, Mapping[str, str]], most: int = 1000) -> list[Call]:
    """Return calls that give each instance exactly the tags it needs, each to at most so many instances. The same needs
    in any order give the same calls."""
    by_set: dict[Pairs, list[str]] = defaultdict(list)
    for instance_id in sorted(needs):
        by_set[frozenset(needs[instance_id].items())].append(instance_id)
    by_set.pop(frozenset(), None)

    along = _along(by_set)
    reduced: dict[Pairs, list[str]] = defaultdict(list)
    for pairs, ids in by_set.items():
        reduced[pairs - {other for pair in pairs for other in along[pair]}].extend(ids)

    planned: list[Group] = []
    for groups in _components(reduced):
        for pairs, ids in _cover(groups, most):
            planned.append((pairs.union(*(along[pair] for pair in pairs)), sorted(ids)))
    planned.sort(key=lambda call: (sorted(call[0]), call[1]))
    planned = _without_spare(planned, {one: pairs for pairs, ids in by_set.items() for one in ids}, most)
    return sorted(
        (Call(dict(sorted(pairs)), ids) for pairs, ids in planned),
        key=lambda call: (list(call.tags.items()), call.instance_ids),
    )


def _without_spare(planned: list[Group], needs: Mapping[str, Pairs], most: int) -> list[Group]:
    """Leave out calls, small ones first, whose instances can be put into others that have room."""
    if len(planned) * sum(len(ids) for _, ids in planned) > _BUDGET:
        return planned
    kept = [(pairs, set(ids)) for pairs, ids in planned]
    for spare in sorted(kept, key=lambda call: (len(call[1]), sorted(call[0]), sorted(call[1]))):
        others = [call for call in kept if call is not spare]
        moves = _moves(spare, others, needs, most)
        if moves is not None:
            for index, instance_id in moves:
                others[index][1].add(instance_id)
            kept = others
    return [(pairs, sorted(ids)) for pairs, ids in kept]


def _moves(
    spare: tuple[Pairs, set[str]], others: Sequence[tuple[Pairs, set[str]]], needs: Mapping[str, Pairs], most: int
) -> list[tuple[int, str]] | None:
    """Return which instances to add to which other calls to make up for one, or None if that cannot be."""
    moves: list[tuple[int, str]] = []
    room = [most - len(ids) for _, ids in others]
    for instance_id in sorted(spare[1]):
        unmet = set(spare[0]).difference(*(pairs for pairs, ids in others if instance_id in ids))
        for index, (pairs, ids) in enumerate(others):
            if not unmet.isdisjoint(pairs) and room[index] and instance_id not in ids and pairs <= needs[instance_id]:
                room[index] -= 1
                moves.append((index, instance_id))
                unmet -= pairs
        if unmet:
            return None
    return moves


def _along(by_set: Mapping[Pairs, object]) -> dict[Pair, Pairs]:
    """Return which pairs can come along with each one at no cost: those that every instance needs that needs this one.

    Of two that come along with each other, the first one leads.
    """
    common: dict[Pair, Pairs] = {}
    for pairs in by_set:
        for pair in pairs:
            common[pair] = common.get(pair, pairs) & pairs
    return {
        pair: frozenset(other for other in others if other != pair and (pair not in common[other] or pair < other))
        for pair, others in common.items()
    }


def _components(by_set: Mapping[Pairs, list[str]]) -> Iterator[list[Group]]:
    """Part the groups into those that are connected by pairs: no call can reach across."""
    root: dict[Pair, Pair] = {}

    def find(pair: Pair) -> Pair:
        while (parent := root.setdefault(pair, pair)) != pair:
            root[pair] = pair = root[parent]
        return pair

    for pairs in by_set:
        first, *others = pairs
        for other in others:
            root[find(other)] = find(first)
    parts: dict[Pair, list[Group]] = defaultdict(list)
    for pairs, ids in by_set.items():
        parts[find(next(iter(pairs)))].append((pairs, ids))
    for part in parts.values():
        yield sorted(part, key=lambda group: sorted(group[0]))


def _cover(groups: Sequence[Group], most: int) -> Iterator[Group]:
    """Yield calls for connected groups, by the best of the ways tried."""
    demand = _Demand(groups)
    blocks = min(_ways(demand, most), key=lambda way: sum(_cost(demand.within(block), most) for block in way))
    for block in blocks:
        members: dict[Pairs, list[str]] = defaultdict(list)
        for pairs in demand.touched(block):
            members[pairs & block].extend(demand.ids[pairs])
        inside = {pairs: len(ids) for pairs, ids in members.items()}
        is_by_pair = _rest_by_pair(inside, most) < _rest_by_set(inside, most)
        left: dict[Pairs, list[str]] = defaultdict(list)
        for pairs, ids in members.items():
            full = len(ids) - len(ids) % most
            yield from _chunks(pairs, ids[:full], most)
            for part in (frozenset({pair}) for pair in pairs) if is_by_pair else (pairs,):
                left[part].extend(ids[full:])
        for pairs, ids in left.items():
            yield from _chunks(pairs, ids, most)


def _chunks(pairs: Pairs, ids: list[str], most: int) -> Iterator[Group]:
    for start in range(0, len(ids), most):
        yield pairs, ids[start : start + most]


class _Demand:
    """Which instances need which pairs, in a form in which a block's part of it is found fast."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.ids = dict(groups)
        self.having: dict[Pair, list[Pairs]] = defaultdict(list)
        for pairs, _ in groups:
            for pair in pairs:
                self.having[pair].append(pairs)

    def touched(self, block: Pairs) -> Iterable[Pairs]:
        """Return the sets of pairs that have any of the block's."""
        return dict.fromkeys(pairs for pair in sorted(block) for pairs in self.having[pair])

    def within(self, block: Pairs) -> Mapping[Pairs, int]:
        """Return how many instances need what of a block."""
        inside: Counter[Pairs] = Counter()
        for pairs in self.touched(block):
            inside[pairs & block] += len(self.ids[pairs])
        return inside


def _ways(demand: _Demand, most: int) -> Iterator[Blocks]:
    """Yield ways to put the pairs into blocks: all together, each alone, by keys, and each alone but merged as long as
    it helps."""
    pairs = sorted(demand.having)
    yield [frozenset(pairs)]
    alone = [frozenset({pair}) for pair in pairs]
    yield alone
    keys = sorted({key for key, _ in pairs})
    if 2 < len(keys) <= _MOST_KEYS and len(demand.ids) * 52 <= _BUDGET:
        for partition in _partitions(keys):
            yield [frozenset(pair for pair in pairs if pair[0] in block) for block in partition]
    if len(pairs) ** 2 * len(demand.ids) <= _BUDGET:
        yield _merged(alone, demand, most)


def _merged(blocks: Blocks, demand: _Demand, most: int) -> Blocks:
    """Merge the two blocks that save most, again and again."""
    costs = {block: _cost(demand.within(block), most) for block in blocks}
    savings: dict[tuple[Pairs, Pairs], int] = {}
    while len(blocks) > 1:
        for one, other in combinations(blocks, 2):
            if (one, other) not in savings:
                savings[one, other] = costs[one] + costs[other] - _cost(demand.within(one | other), most)
        one, other = max(combinations(blocks, 2), key=savings.__getitem__)
        if savings[one, other] <= 0:
            break
        costs[one | other] = costs[one] + costs[other] - savings[one, other]
        blocks = [*(block for block in blocks if block not in {one, other}), one | other]
    return blocks


def _partitions(keys: Sequence[str]) -> Iterator[list[list[str]]]:
    if not keys:
        yield []
        return
    first, *others = keys
    for partition in _partitions(others):
        yield [[first], *partition]
        for index, block in enumerate(partition):
            yield [*partition[:index], [first, *block], *partition[index + 1 :]]


def _cost(inside: Mapping[Pairs, int], most: int) -> int:
    """Return how many calls a block takes: full ones by set, and the rest by set or by pair."""
    return sum(size // most for size in inside.values()) + min(_rest_by_set(inside, most), _rest_by_pair(inside, most))


def _rest_by_set(inside: Mapping[Pairs, int], most: int) -> int:
    return sum(size % most > 0 for size in inside.values())


def _rest_by_pair(inside: Mapping[Pairs, int], most: int) -> int:
    rest: Counter[Pair] = Counter()
    for pairs, size in inside.items():
        for pair in pairs:
            rest[pair] += size % most
    return sum(-(-size // most) for size in rest.values())
