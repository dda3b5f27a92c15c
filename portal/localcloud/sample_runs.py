"""Three weeks of a sample company's runs, so that there is something to see of compliance over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from policies.runs import Kind, State, TagCount, new
from portal.dynamo.values import to_item

DAYS = 21
INSTANCES = 48
# Of a hundred instances, how many had the tag three weeks ago and yesterday. In between somebody moved a team's
# instances over, without tags.
SHARES = {"ProjectCode": (18, 58), "CreatedBy": (8, 67), "Environment": (34, 62), "CostCentre": (12, 44)}
MOVED_ON, MOVED = 9, 17


def items(rules: Sequence[Mapping[str, Any]], *, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield an item of the runs' table for each of the last days. They have no findings: those instances are gone."""
    for day in range(DAYS):
        at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS - day)
        run = new(Kind.ENFORCE, now=at, suffix="sample", rules=rules)
        tags = {key: _count(*share, day) for key, share in SHARES.items()}
        missing = max(one.missing for one in tags.values())
        over = run.over(
            State.DONE,
            now=at + timedelta(seconds=9),
            tags=tags,
            read=INSTANCES,
            matched=INSTANCES,
            to_change=min(missing, 4),
            changed=min(missing, 4),
        )
        yield to_item(over.model_dump(by_alias=True))


def _count(first: int, last: int, day: int) -> TagCount:
    share = first + (last - first) * day / (DAYS - 1) - (MOVED if MOVED_ON <= day < MOVED_ON + 3 else 0)
    present = max(0, round(INSTANCES * share / 100))
    return TagCount(present=present, missing=INSTANCES - present)
