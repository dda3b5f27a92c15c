"""The mark of an instance without tags: what is done to it, and when."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from policies.instance import Act

_MARK = re.compile(r"(stop|terminate) ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)")


def deadline_tag(act: Act, deadline: datetime) -> str:
    """Write the value of the deadline tag, e.g. "stop 2026-12-04T09:00:00Z"."""
    return f"{act} {deadline.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def deadline_of(value: str) -> tuple[Act, datetime] | None:
    """Read the value of a deadline tag, or return None if it is none."""
    mark = _MARK.fullmatch(value)
    if mark is None:
        return None
    try:
        return Act(mark[1]), datetime.fromisoformat(mark[2])
    except ValueError:
        return None
