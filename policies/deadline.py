"""The mark of an instance without tags: what is done to it, and when.

A tag can be set by whoever may tag. So a mark carries a seal, and one without it, or from another instance, is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from policies.instance import Act

# (the instance's id, what is sealed) → the seal
Seal = Callable[[str, str], str]

# What is over for longer nobody has watched: the rule was switched off meanwhile, and it begins again with a warning.
STALE_AFTER = timedelta(days=3)

_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_MARK = re.compile(rf"(?P<text>(?P<act>stop|terminate) (?P<at>{_TIME}))( ~(?P<seal>[0-9a-f]+))?")


def unsealed(instance_id: str, text: str) -> str:
    return ""


def deadline_tag(act: Act, deadline: datetime, *, instance_id: str = "", seal: Seal = unsealed) -> str:
    """Write the value of the deadline tag, e.g. "stop 2026-12-04T09:00:00Z ~0123456789ab"."""
    text = f"{act} {deadline.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sealed = seal(instance_id, text)
    return f"{text} ~{sealed}" if sealed else text


def deadline_of(value: str, *, instance_id: str = "", seal: Seal = unsealed) -> tuple[Act, datetime] | None:
    """Read the value of a deadline tag, or return None if it is none, or not this instance's."""
    mark = _MARK.fullmatch(value)
    if mark is None or (mark["seal"] or "") != seal(instance_id, mark["text"]):
        return None
    try:
        return Act(mark["act"]), datetime.fromisoformat(mark["at"])
    except ValueError:
        return None
