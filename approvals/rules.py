"""What follows from the rules alone: whom a request type names, what is shown, when what is due, who may decide."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from approvals.approval import Approval, Fact, State, Terms
from approvals.assignment import Assignment, How

MOST_FIELDS = 30
MOST_NAME = 200
MOST_LABEL, MOST_VALUE, MOST_REASON, MOST_COMMENT = 80, 2_000, 2_000, 2_000  # characters
# A workflow that waits hears at least this often that somebody still waits with it. The template's HeartbeatSeconds is
# six times as long.
HEARTBEAT_EVERY = timedelta(hours=1)
# Step Functions has a year for an execution; nothing is looked at later than that.
LONGEST = timedelta(days=365)

_FIELD = re.compile(r"\s*(?P<name>[A-Za-z_][\w.-]{0,79})\s*(:\s*(?P<label>.*\S)\s*)?")
_APPROVER = re.compile(r"(?P<kind>person|group):(?P<name>\S{1,128})")
# They turn round the text that follows them, or hide something.
_JOINERS = frozenset("\u200c\u200d")  # emoji and Persian need them
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Malformed(ValueError):
    """What somebody wrote makes no sense; the sentence says why."""


class Named(NamedTuple):
    """Whom a request type names: ("person", "ana"), ("group", "managers"), ("manager", "") or ("nobody", "")."""

    kind: Literal["person", "group", "manager", "nobody"]
    name: str = ""


def fields(text: str) -> list[tuple[str, str]]:
    """Read the lines "name: label" of a request type. Raises Malformed."""
    found: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Malformed(f"“{line.strip()[:80]}” is not a name, a colon and a label.")
        label = match["label"] or match["name"]
        if len(label) > MOST_LABEL:
            raise Malformed(f"A label has at most {MOST_LABEL} characters.")
        if match["name"] in found:
            raise Malformed(f"{match['name']} is there twice.")
        found[match["name"]] = label
    if len(found) > MOST_FIELDS:
        raise Malformed(f"There are at most {MOST_FIELDS} fields.")
    return list(found.items())


def approver(text: str, *, is_needed: bool = True, may_be_manager: bool = True) -> Named:
    """Read whom a request type or a message names. Raises Malformed."""
    text = text.strip()
    if not text and not is_needed:
        return Named("nobody")
    if text == "manager" and may_be_manager:
        return Named("manager")
    match = _APPROVER.fullmatch(text)
    if match is None:
        choice = "manager, " if may_be_manager else ""
        raise Malformed(f"Write {choice}person: and a user name or an e-mail address, or group: and a name.")
    return Named("person" if match["kind"] == "person" else "group", match["name"])


def plain(value: Any, most: int = MOST_VALUE) -> str:
    """Return what people are shown of a value that anybody may have written: one line, nothing that cannot be seen or
    turns the text round, and not more than so many characters."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    # Before the loop: a hundred kilobytes are not looked at for two thousand characters.
    text = text[: most * 4]
    text = "".join(" " if one.isspace() else one for one in text)
    text = "".join(one for one in text if unicodedata.category(one) not in _UNSEEN or one in _JOINERS)
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def facts(wanted: Iterable[tuple[str, str]], given: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return what an approver is shown of a workflow's input. What it does not have is left out."""
    found = [(label, plain(given[name])) for name, label in wanted if name in given]
    return tuple(Fact(label=label, value=value) for label, value in found if value)


# --- When -------------------------------------------------------------------------------------------------------------


def reminder_at(terms: Terms, *, asked_at: datetime, reminded: int) -> datetime | None:
    """Return when the next reminder is due: after the first pause, then after twice, four times … that pause."""
    if not terms.reminder_hours or reminded >= terms.reminders:
        return None
    due = asked_at + timedelta(hours=terms.reminder_hours) * (2 ** (reminded + 1) - 1)
    return due if due < asked_at + LONGEST else None


def look_at(approval: Approval) -> datetime | None:
    """Return when something is next due of an approval that is open."""
    if not approval.is_open:
        return approval.next_at
    heartbeat_at = approval.heartbeat_at or approval.asked_at
    due = [heartbeat_at + HEARTBEAT_EVERY, approval.next_reminder_at]
    if approval.overdue_at is None:
        due.append(approval.deadline_at)
    return min(one for one in due if one is not None)


# --- Who --------------------------------------------------------------------------------------------------------------


def may_decide(approval: Approval, assignment: Assignment | None, *, sub: str, groups: Collection[str]) -> bool:
    """Tell whether somebody is one of those who may answer, now that they try to: asked in person, or a member of a
    group that was asked, and never who asked for it. Whether it is open is another question."""
    if not sub or sub == approval.requester_sub:
        return False
    if assignment is not None and assignment.ended_at is not None:
        return False
    if assignment is not None and assignment.may_decide and not assignment.group:
        return True
    return any(group in groups for group in approval.groups)


def may_see(approval: Approval, assignment: Assignment | None, *, sub: str, groups: Collection[str]) -> bool:
    """Tell whether somebody may see an approval: who asked for it, and everybody who may or might have answered."""
    if sub and sub == approval.requester_sub:
        return True
    if assignment is not None and assignment.how is not How.REQUESTER and assignment.ended_at is None:
        return not assignment.group or assignment.group in groups or approval.is_over
    return any(group in groups for group in approval.groups)


def may_withdraw(approval: Approval, *, sub: str) -> bool:
    return bool(sub) and sub == approval.requester_sub and approval.state in (State.OPEN, State.STARTING)
