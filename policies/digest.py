"""What a run did, sorted by whom it concerns: a digest for each owner, and what the operators' summary names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlencode

from django.utils import dateformat

from policies.instance import DEADLINE_KEY, Act, Change, Finding, Outcome

MOST = 50  # instances that one part of a message names; the others are counted
_ENDS = {Act.STOP: "stopped", Act.TERMINATE: "terminated"}
# They turn round the text that follows them.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance in a message, and what there is to say about it."""

    instance_id: str
    name: str
    region: str
    facts: tuple[str, ...]

    @property
    def url(self) -> str:
        """Its page in the EC2 console."""
        suffix = "amazonaws.cn" if self.region.startswith("cn-") else "aws.amazon.com"
        where = urlencode({"region": self.region})
        return f"https://console.{suffix}/ec2/home?{where}#InstanceDetails:instanceId={quote(self.instance_id)}"


@dataclass(slots=True)
class Part:
    """Some instances of which the same is to be said. `more` are those that are not named."""

    entries: list[Entry] = field(default_factory=list)
    more: int = 0

    def add(self, finding: Finding, facts: Iterable[str]) -> None:
        if len(self.entries) == MOST:
            self.more += 1
            return
        name, facts = shown(finding.name), tuple(shown(one, 300) for one in facts)
        self.entries.append(Entry(finding.instance_id, name, finding.region, facts))

    def __len__(self) -> int:
        return len(self.entries) + self.more


@dataclass(slots=True)
class Digest:
    """What one owner is told."""

    warned: Part = field(default_factory=Part)  # are stopped or terminated at a deadline
    ended: Part = field(default_factory=Part)  # were stopped or terminated
    changed: Part = field(default_factory=Part)
    noted: Part = field(default_factory=Part)  # what the rules found and did not change

    @property
    def is_news(self) -> bool:
        """Whether this run did anything. What it only noted, the run before it did, too."""
        return bool(self.warned or self.ended or self.changed)

    @property
    def is_urgent(self) -> bool:
        return bool(self.warned or self.ended)


@dataclass(slots=True)
class Sorted:
    """The findings of a run by whom they concern: every owner, and the operators."""

    owners: dict[str, Digest] = field(default_factory=dict)
    all: Digest = field(default_factory=Digest)
    failed: Part = field(default_factory=Part)


def sort(findings: Iterable[Finding]) -> Sorted:
    """Go through the findings of a run once."""
    found = Sorted()
    for one in findings:
        _sort_into(found.all, one)
        if one.owner:
            _sort_into(found.owners.setdefault(one.owner, Digest()), one)
        if errors := list(_errors(one)):
            found.failed.add(one, errors)
    return found


def _sort_into(digest: Digest, one: Finding) -> None:
    if one.act_outcome is Outcome.DONE:
        if one.act is Act.MARK and one.deadline:
            verb = _ENDS.get(one.planned_act or Act.STOP, "stopped")
            digest.warned.add(one, [f"is {verb} after {moment(one.deadline)}, unless it has tags by then"])
        elif one.act in _ENDS:
            digest.ended.add(one, [f"was {_ENDS[one.act]}, because it still had no tags"])
    if any(_was_given(change) for change in one.changes):
        # Made only for those that are named.
        digest.changed.add(one, (_given(change) for change in one.changes if _was_given(change)))
    if one.notes:
        digest.noted.add(one, one.notes)


def _was_given(change: Change) -> bool:
    return change.outcome is Outcome.DONE and change.new is not None and change.key != DEADLINE_KEY


def _given(change: Change) -> str:
    return f"{shown(change.key)} = {shown(change.new or '')}" + (f" ({shown(change.why, 160)})" if change.why else "")


def _errors(one: Finding) -> Iterable[str]:
    for change in one.changes:
        if change.outcome is Outcome.FAILED:
            yield f"{shown(change.key)}: {change.error}"
    if one.act and one.act_outcome is Outcome.FAILED:
        yield f"{one.act}: {one.act_error}"


def shown(text: str, most: int = 80) -> str:
    """Return a text from outside on one line and no longer than `most` characters."""
    if len(text) <= most and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    text = "".join(
        " " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in text if one not in _TURNING
    )
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def moment(at: datetime) -> str:
    """Return a time as people read it."""
    return f"{dateformat.format(at, 'j M Y, H:i')} UTC"
