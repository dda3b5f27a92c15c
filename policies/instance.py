"""An EC2 instance as the rules see it, and what a run finds out about one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

# The mark of an instance without tags that is to be stopped or terminated: "stop 2026-12-04T09:00:00Z".
DEADLINE_KEY = "portico:deadline"


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as EC2 describes it. `created_at` is its first launch, which EC2's launchTime is not once an
    instance was stopped and started. `attributes` are those that `instance(…)` can name."""

    instance_id: str
    region: str
    state: str
    created_at: datetime
    tags: Mapping[str, str]
    attributes: Mapping[str, str]


class Act(StrEnum):
    """What happens to an instance without tags, besides tagging."""

    MARK = "mark"  # give it the deadline tag, and warn
    UNMARK = "unmark"  # it has tags now, or no rule asks for more: take the deadline tag away
    STOP = "stop"
    TERMINATE = "terminate"


class Outcome(StrEnum):
    """What became of a planned change."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"  # the error says why
    GONE = "gone"  # the instance vanished or was terminated meanwhile
    CHANGED = "changed meanwhile"  # somebody else set this tag first; it is left alone
    NOT_TRIED = "not tried"  # the run was stopped before
    UNKNOWN = "not known"  # the run was interrupted, or the answer lost, and nobody could look


_OUTCOMES = {str(outcome): outcome for outcome in Outcome}  # four times as fast as Outcome(…)


@dataclass(slots=True)
class Change:
    """A tag that an instance is to get. `old` is None where the tag is missing. `why` is for people and names the
    evidence where there is some. `new` is None where the tag is taken away (undo)."""

    key: str
    old: str | None
    new: str | None
    rule_id: int
    why: str
    outcome: Outcome = Outcome.PLANNED
    error: str = ""


@dataclass(slots=True)
class Lookup:
    """A tag that is to hold who launched the instance, which is not known yet."""

    key: str
    old: str | None
    rule_id: int


@dataclass(slots=True)
class Finding:
    """What the rules say about one instance: what is changed, and what is only reported (`notes`)."""

    instance_id: str
    region: str
    name: str  # the Name tag
    created_at: datetime
    tag_count: int  # the tags that count towards EC2's limit
    changes: list[Change] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    owner: str = ""  # whoever CreatedBy or Owner names, or CloudTrail: for the digest
    act: Act | None = None
    planned_act: Act | None = None  # with MARK: what comes at the deadline, STOP or TERMINATE
    deadline: datetime | None = None
    grace_days: int = 0  # with MARK: from when it is written
    act_outcome: Outcome = Outcome.PLANNED
    act_error: str = ""
    is_untagged: bool = False

    @property
    def will_change(self) -> bool:
        """Whether anything is written for this instance."""
        return bool(self.act) or any(one.outcome is Outcome.PLANNED for one in self.changes)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.changes or self.lookups or self.notes or self.act)

    def as_json(self) -> dict[str, Any]:
        """Return what is stored of it, without what is empty."""
        stored: dict[str, Any] = {"instance": self.instance_id, "region": self.region, "name": self.name}
        stored["created"], stored["tags"] = int(self.created_at.timestamp()), self.tag_count
        if self.changes:
            stored["changes"] = [
                [one.key, one.old, one.new, one.rule_id, one.why, one.outcome, one.error] for one in self.changes
            ]
        if self.lookups:
            stored["lookups"] = [[one.key, one.old, one.rule_id] for one in self.lookups]
        if self.act:
            deadline = self.deadline and int(self.deadline.timestamp())
            stored["act"] = [self.act, self.planned_act, deadline, self.grace_days, self.act_outcome, self.act_error]
        for name in ("notes", "owner", "is_untagged"):
            if value := getattr(self, name):
                stored[name] = value
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Finding:
        """Make a finding of what `as_json` gave."""
        nothing = (None, None, None, 0, Outcome.PLANNED, "")
        act, planned, deadline, grace_days, outcome, error = stored.get("act") or nothing
        return cls(
            instance_id=stored["instance"],
            region=stored["region"],
            name=stored["name"],
            created_at=datetime.fromtimestamp(stored["created"], UTC),
            tag_count=stored["tags"],
            changes=[
                Change(key, old, new, rule_id, why, _OUTCOMES[came], said)
                for key, old, new, rule_id, why, came, said in stored.get("changes", ())
            ],
            lookups=[Lookup(*values) for values in stored.get("lookups", ())],
            notes=list(stored.get("notes", ())),
            owner=stored.get("owner", ""),
            act=act and Act(act),
            planned_act=planned and Act(planned),
            deadline=None if deadline is None else datetime.fromtimestamp(deadline, UTC),
            grace_days=grace_days,
            act_outcome=Outcome(outcome),
            act_error=error,
            is_untagged=bool(stored.get("is_untagged")),
        )
