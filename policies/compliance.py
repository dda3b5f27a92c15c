"""How many instances had the tags that the rules ask for: run after run, and tag by tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policies.runs import Kind, Run, State, TagCount
from portal.dynamo.values import instant

# A line each; more cannot be told from each other.
MOST_LINES = 6


@dataclass(frozen=True)
class Point:
    """What one run of all rules found."""

    at: datetime
    run_id: str
    counts: dict[str, TagCount] = field(default_factory=dict)
    is_capped: bool = False  # it changed nothing, so what it found is found again

    @property
    def present(self) -> int:
        return sum(one.present for one in self.counts.values())

    @property
    def missing(self) -> int:
        return sum(one.missing for one in self.counts.values())

    @property
    def percent(self) -> float | None:
        return percent(self.present, self.missing)


def points(history: Iterable[Run]) -> list[Point]:
    """Return what the runs of the whole scope found, oldest first."""
    whole = [
        one
        for one in history
        if one.kind is Kind.ENFORCE and one.state in (State.DONE, State.CAPPED)
        if one.tags and not one.vpc_ids and not one.is_partial
    ]
    return [Point(one.started_at, one.run_id, dict(one.tags), one.state is State.CAPPED) for one in reversed(whole)]


def percent(present: int, missing: int) -> float | None:
    return round(100 * present / (present + missing), 1) if present + missing else None


def by_tag(some: Sequence[Point]) -> list[tuple[str, int, int, float | None]]:
    """Return each tag key of the last run with how many have it, how many do not, and the share; the worst first."""
    if not some:
        return []
    rows = [(key, one.present, one.missing, percent(one.present, one.missing)) for key, one in some[-1].counts.items()]
    return sorted(rows, key=lambda row: (row[3] if row[3] is not None else 101, row[0].casefold()))


def chart(some: Sequence[Point]) -> dict[str, Any]:
    """Return what the charts are drawn from."""
    rows = by_tag(some)
    return {
        "times": [instant(one.at) for one in some],
        "capped": [one.is_capped for one in some],
        "all": [one.percent for one in some],
        "lines": [
            {
                "key": key,
                "percent": [
                    percent(one.counts[key].present, one.counts[key].missing) if key in one.counts else None
                    for one in some
                ],
            }
            for key, *_ in rows[:MOST_LINES]
        ],
        "tags": [{"key": key, "present": present, "missing": missing} for key, present, missing, _ in rows],
    }
