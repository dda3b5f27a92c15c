"""Runs of the rules: what each was asked for, how far it is, and what came of it."""

from __future__ import annotations

import base64
import json
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import Field

from policies import findings
from policies.creators import Creator
from policies.instance import Finding
from portal.dynamo.table import Instant, Record, Table
from portal.dynamo.values import from_item, to_item

_PER_QUERY = 200

KEPT, PREVIEW_KEPT = timedelta(days=400), timedelta(days=7)


class Kind(StrEnum):
    ENFORCE = "enforce"
    PREVIEW = "preview"  # nothing is written
    LAUNCH = "launch"  # just launched instances
    UNDO = "undo"


class State(StrEnum):
    QUEUED = "queued"
    READING = "reading"
    LOOKING_UP = "looking up"  # who launched them, in CloudTrail
    APPLYING = "applying"
    TELLING = "telling"  # the operators, and the owners
    DONE = "done"
    CAPPED = "stopped by the cap"  # before anything was changed
    CANCELLED = "cancelled"
    FAILED = "failed"


# What all runs that are not over have in common, and all those of all rules in all VPCs: an index finds them.
OPEN, WHOLE = "open", "whole"
OVER = frozenset({State.DONE, State.CAPPED, State.CANCELLED, State.FAILED})


class Launch(NamedTuple):
    """What one RunInstances event launched, and who it was."""

    region: str
    creators: Mapping[str, Creator | None]  # by instance id


class TagCount(Record):
    """How many instances that a rule asks for this tag had it when they were read."""

    present: int = 0
    missing: int = 0  # or empty, or not allowed


class Run(Record):
    """One run of the rules, with the rules as they were, so that a report can be read after they changed."""

    shelf: str | None = None  # OPEN or WHOLE: what ByShelf finds
    run_id: str  # begins with the moment, e.g. "20261127T112000Z-1f3a9c"
    month: str
    kind: Kind
    state: State
    started_at: Instant
    finished_at: Instant | None = None
    verdict: State | None = None  # while it tells of it: what the run will be
    by_sub: str = ""  # empty: the schedule, or EventBridge
    by_name: str = ""
    packed_rules: str = ""
    opened_as: str = ""  # of a preview of a rule that is not saved: what its form was opened on
    is_partial: bool = False  # of rules that somebody chose, not of all those in the table
    malformed: tuple[str, ...] = ()  # "Rule 7: …"
    vpc_ids: tuple[str, ...] = ()  # only these; empty means all
    most_changes: int | None = None  # the cap: stop before anything if more instances than this would change
    most_percent: int | None = None
    most_ended: int | None = None  # or stop or terminate more than this
    read: int = 0  # instances
    matched: int = 0  # that any rule applies to
    to_change: int = 0
    changed: int = 0
    unsure: int = 0  # of which it is not known whether they were changed
    failed: int = 0
    gone: int = 0
    acts: Mapping[str, int] = Field(default_factory=dict)  # Act: how many it was done to
    planned_acts: Mapping[str, int] = Field(default_factory=dict)  # Act: how many it was to be done to
    tags: Mapping[str, TagCount] = Field(default_factory=dict)  # by tag key
    problems: tuple[str, ...] = ()  # what went wrong in general: "CloudTrail did not answer; creators wait …"
    pages: int = 0  # of findings
    cursor: str = ""
    undoes: str = ""  # the run that this one undoes
    undone_by: str = ""
    cancel_asked: bool = False
    packed_launch: str = ""  # of a LAUNCH
    ending: tuple[str, ...] = ()  # the instances that are being stopped or terminated at this moment
    expires_at: int | None = None  # epoch seconds: DynamoDB deletes it

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def may_be_undone(self) -> bool:
        """Whether there is anything that undoing it could put back."""
        is_a_change = self.kind in (Kind.ENFORCE, Kind.LAUNCH)
        return self.is_over and is_a_change and self.changed + self.unsure > 0 and not self.undone_by

    def over(self, state: State, *, now: datetime, **changes: Any) -> Run:
        """Return the run as it is once it is over."""
        is_whole = self.kind is Kind.ENFORCE and not self.vpc_ids and not self.is_partial
        shelf = WHOLE if is_whole and state in (State.DONE, State.CAPPED) else None
        facts = {"state": state, "finished_at": now, "cursor": "", "shelf": shelf, "verdict": None}
        return self.model_copy(update={**facts, **changes})

    @property
    def rules(self) -> tuple[dict[str, Any], ...]:
        """The plain attributes of the rules' items."""
        return tuple(map(from_item, _unpacked(self.packed_rules) or ()))

    @property
    def launch(self) -> Launch | None:
        """What was launched, of a LAUNCH."""
        stored = _unpacked(self.packed_launch)
        return stored and Launch(stored[0], {one: Creator(*creator) for one, creator in stored[1].items()})


runs = Table(
    Run,
    name="policy_runs",
    key=("RunId",),
    indexes={"ByMonth": ("Month", "StartedAt"), "ByShelf": ("Shelf", "StartedAt")},
)


def new(
    kind: Kind,
    *,
    now: datetime,
    suffix: str = "",
    rules: Iterable[Mapping[str, Any]] = (),
    launch: Launch | None = None,
    **facts: Any,
) -> Run:
    """Make a run that begins now. The same moment and suffix make the same id. `rules` are plain attributes."""
    kept = PREVIEW_KEPT if kind is Kind.PREVIEW else KEPT
    return Run(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{suffix or secrets.token_hex(4)}",
        month=f"{now:%Y-%m}",
        kind=kind,
        state=State.QUEUED,
        shelf=OPEN,
        started_at=now,
        expires_at=int((now + kept).timestamp()),
        packed_rules=_packed([to_item(one) for one in rules]),
        packed_launch=_packed(launch) if launch else "",
        **facts,
    )


def _packed(value: object) -> str:
    # An item has at most 400 kB, and lists of runs are read whole.
    return base64.b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode())).decode()


def _unpacked(packed: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(packed))) if packed else None


def open_runs() -> list[Run]:
    """Return the runs that are not over, the oldest first; the first two hundred."""
    return runs.query(OPEN, index="ByShelf", limit=_PER_QUERY, newest_first=False).records


def findings_page(run: Run, number: int) -> list[Finding]:
    """Return one page of a run's findings, from 0 to run.pages - 1."""
    return findings.page(run.run_id, number)


def all_findings(run: Run) -> Iterator[Finding]:
    """Yield a run's findings, one page in memory at a time."""
    for number in range(run.pages):
        yield from findings_page(run, number)


def whole_runs(limit: int) -> list[Run]:
    """Return the newest runs of all rules in all VPCs that came to their end."""
    found: list[Run] = []
    cursor = None
    while len(found) < limit:
        page = runs.query(WHOLE, index="ByShelf", limit=limit - len(found), cursor=cursor)
        found += page.records
        cursor = page.cursor
        if cursor is None:
            break
    return found
