"""The history of an execution in words: which states it went through, how long each took, what failed and why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from approvals.workflow import Event

_WORDS = {
    "ActivityScheduled": "waits for somebody to take it",
    "ActivityStarted": "was taken",
    "ActivitySucceeded": "was answered",
    "TaskStarted": "was begun",
    "TaskSubmitted": "was handed over",
    "TaskSucceeded": "was answered",
    "ExecutionStarted": "The workflow was started",
    "ExecutionSucceeded": "The workflow came to its end",
    "ExecutionFailed": "The workflow failed",
    "ExecutionTimedOut": "The workflow took too long",
    "ExecutionAborted": "The workflow was stopped",
}
# What an attempt at a state ends with.
_SUCCEEDED = ("Succeeded",)
_FAILED = ("Failed", "TimedOut", "Aborted")


@dataclass(frozen=True)
class Happening:
    """Something that happened in a state, or to the whole execution."""

    at: datetime
    text: str
    error: str = ""
    cause: str = ""

    @property
    def is_failure(self) -> bool:
        return bool(self.error or self.cause)


@dataclass
class Stage:
    """One time that an execution was in a state; without a name, what happened to the whole of it."""

    at: datetime
    name: str = ""
    kind: str = ""  # e.g. "Task"
    left_at: datetime | None = None
    input: str = ""
    output: str = ""
    happenings: list[Happening] = field(default_factory=list)
    # How the last attempt ended: True, False, or not (yet).
    went_well: bool | None = None

    @property
    def lasted(self) -> str:
        return lasted(self.left_at - self.at) if self.left_at else ""

    @property
    def outcome(self) -> str:
        """Where it failed, or is not left yet, that in words."""
        if self.went_well is False:
            return "failed, and the workflow went on" if self.left_at else "failed"
        return "" if self.left_at or not self.name else "not over"


def stages(events: Iterable[Event]) -> list[Stage]:
    """Put the events of an execution, oldest first, together by state. What happens beside each other, in branches, is
    taken for what happens in the state that was entered last."""
    found: list[Stage] = []
    inside: list[Stage] = []
    for event in events:
        if event.kind.endswith("StateEntered"):
            kind = event.kind.removesuffix("StateEntered")
            inside.append(Stage(event.at, event.state, kind, input=_text(event, "input")))
            found.append(inside[-1])
        elif event.kind.endswith("StateExited"):
            left = next((one for one in reversed(inside) if one.name == event.state), None)
            if left is None:  # it was entered before the first of these events
                left = Stage(event.at, event.state, event.kind.removesuffix("StateExited"))
                found.append(left)
            else:
                inside.remove(left)
            left.left_at, left.output = event.at, _text(event, "output")
        elif event.kind.startswith("Execution"):
            found.append(Stage(event.at, happenings=[_happening(event)]))
        else:
            if not inside:
                inside.append(Stage(event.at, "Before", "earlier"))
                found.append(inside[-1])
            inside[-1].happenings.append(_happening(event))
            if event.kind.endswith((*_SUCCEEDED, *_FAILED)):
                inside[-1].went_well = event.kind.endswith(_SUCCEEDED)
    return found


def _happening(event: Event) -> Happening:
    return Happening(event.at, _words(event), _text(event, "error"), _text(event, "cause"))


def _words(event: Event) -> str:
    resource, worker = _text(event, "resource"), _text(event, "workerName")
    if event.kind == "TaskScheduled":
        service = ":".join(filter(None, [_text(event, "resourceType"), resource.removesuffix(".waitForTaskToken")]))
        waits = ", and waits for an answer" if resource.endswith(".waitForTaskToken") else ""
        return f"calls {service or 'a service'}{waits}"
    if event.kind == "ActivityStarted" and worker:
        return f"was taken by {worker}"
    if event.kind in _WORDS:
        return _WORDS[event.kind]
    for end, said in (("TimedOut", "timed out"), ("Failed", "failed")):
        if event.kind.endswith(end):
            return said
    # A kind of event that is not known here: "MapIterationStarted".
    return " ".join(re.findall(r"[A-Z][a-z]*|[a-z]+", event.kind)).lower()


def _text(event: Event, name: str) -> str:
    value = event.details.get(name)
    return value if isinstance(value, str) else ""


def lasted(duration: timedelta) -> str:
    """Say how long something took: "0.3 s", "12 s", "3 min 5 s", "2 h 3 min", "1 day 4 h"."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole % 86_400 // 3_600, whole % 3_600 // 60
    if days:
        return " ".join(filter(None, [f"{days} day{'' if days == 1 else 's'}", f"{hours} h" if hours else ""]))
    if hours:
        return " ".join(filter(None, [f"{hours} h", f"{minutes} min" if minutes else ""]))
    return " ".join(filter(None, [f"{minutes} min" if minutes else "", f"{whole % 60} s" if whole % 60 else ""]))
