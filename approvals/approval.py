"""An approval: one question of one workflow to people, from when it is asked until the workflow has the answer."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from portal import aws
from portal.dynamo import audit
from portal.dynamo.table import Conflict, Instant, Record, Table
from portal.dynamo.values import instant

# What is watched: questions that are open, and answers that the workflow does not have yet. Others have no shelf.
OPEN_SHELF, UNFINISHED_SHELF = "open", "unfinished"
STUCK = "stuck"
_TRIES = 8


class State(StrEnum):
    STARTING = "starting"  # the portal has started the workflow, or is about to; it has asked nothing yet
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"  # by who asked for it
    CANCELLED = "cancelled"  # by an operator
    EXPIRED = "expired"  # the workflow did not wait any longer
    FAILED = "failed"  # the workflow could not be started


# States that are an answer to the workflow.
ANSWERS = frozenset({State.APPROVED, State.REJECTED, State.WITHDRAWN, State.CANCELLED})


class ReasonDue(StrEnum):
    NEVER = "never"
    REJECT = "reject"
    ALWAYS = "always"


class Problem(StrEnum):
    """What keeps an approval from going on, and what an operator can do about it."""

    NOBODY = "nobody"  # nobody may answer: reassign
    MAIL = "mail"  # a mail could not be delivered: mend the address, resend, reassign
    DEADLINE = "deadline"  # nobody answered in time, and nobody is left to escalate to: resend, reassign
    ANSWER = "answer"  # the answer could not be given to the workflow
    LATE = "late"  # the workflow did not wait any longer when the answer came: start it anew
    START = "start"  # the workflow could not be started
    EXPIRED = "expired"  # nobody answered, and the workflow does not wait any longer
    HEARTBEAT = "heartbeat"  # the workflow could not be told that somebody waits with it


class Fact(Record):
    """What an approver is shown of the workflow's input: "Employee", "Ada Lovelace"."""

    label: str
    value: str


class Terms(Record):
    """What the request type said when the question was asked; what it says later changes nothing."""

    deadline_hours: int
    reminder_hours: int = 0  # until the first reminder; none where it is 0
    reminders: int = 0  # how many there are at most
    escalation: str = ""  # whom to ask besides at the deadline, as RequestType.approver
    reason_due: ReasonDue = ReasonDue.REJECT


class Approval(Record):
    """An item of the Approvals table. The task token is in it, and nowhere else: no page, mail or log has it."""

    approval_id: str
    state: State
    type_id: str
    title: str
    facts: tuple[Fact, ...] = ()
    terms: Terms
    month: str  # e.g. "2026-11", the partition of the operators' list
    asked_at: Instant
    updated_at: Instant
    # Who asked for it; empty where a workflow did without saying for whom.
    requester_sub: str | None = None
    requester_username: str = ""
    requester_name: str = ""
    requester_email: str = ""  # whoever has the same may be the same person
    # Of a workflow that the portal starts: which, and its input in JSON.
    state_machine_arn: str = ""
    input: str = ""
    execution_arn: str | None = None
    task_token: str | None = None
    round: int = 0  # how often the workflow has asked
    asked_key: str = ""  # which mail asks in this round: "asked-1"
    resent_at: Instant | None = None  # when somebody last had the mails sent again
    groups: tuple[str, ...] = ()  # groups whose members may decide
    deadline_at: Instant | None = None
    reminded: int = 0
    next_reminder_at: Instant | None = None
    escalated_at: Instant | None = None
    overdue_at: Instant | None = None  # when nobody had answered by the deadline, and nobody else was left to ask
    heartbeat_at: Instant | None = None  # when the workflow last said that it is waiting
    # The answer.
    decided_at: Instant | None = None
    decided_by: str = ""  # sub
    decided_by_name: str = ""
    reason: str = ""
    decision_id: str = ""  # finds the answer in the workflow's history
    sent_at: Instant | None = None  # when it was first sent to the workflow
    is_late: bool = False  # it came when the workflow did not wait any longer
    finished_at: Instant | None = None  # when the workflow had it and everybody was told
    # What keeps it from going on, and the same in words; operators have a list of those.
    problem_kind: Problem | None = None
    problem: str = ""
    stuck: str | None = None
    shelf: str | None = None
    next_at: Instant | None = None  # when it is to be looked at again

    @property
    def is_open(self) -> bool:
        return self.state is State.OPEN

    @property
    def is_over(self) -> bool:
        return self.state not in (State.STARTING, State.OPEN)

    @property
    def is_answered(self) -> bool:
        return self.state in ANSWERS

    @property
    def called(self) -> str:
        """What people call it: its title, and the first thing that is known of it."""
        return f"{self.title}: {self.facts[0].value}" if self.facts else self.title

    def is_overdue(self, now: datetime) -> bool:
        return self.is_open and self.deadline_at is not None and self.deadline_at <= now

    def reason_is_due(self, verdict: State) -> bool:
        due = self.terms.reason_due
        return due is ReasonDue.ALWAYS or (due is ReasonDue.REJECT and verdict is State.REJECTED)

    def over(self, state: State, *, now: datetime, **more: Any) -> Approval:
        """Return it with its end: what is left is to tell the workflow and the people."""
        return self.model_copy(
            update={
                "state": state,
                "updated_at": now,
                "shelf": UNFINISHED_SHELF,
                "next_at": now + AGAIN_AFTER,
                "next_reminder_at": None,
                **more,
            }
        )

    def answered(self, state: State, *, by: audit.Actor, name: str, reason: str, now: datetime) -> Approval:
        """Return it with an answer, which the workflow does not have yet."""
        return self.over(
            state,
            now=now,
            decided_at=now,
            decided_by=by.sub,
            decided_by_name=name,
            reason=reason,
            decision_id=secrets.token_hex(8),
        ).unstuck()

    def with_problem(self, kind: Problem, problem: str, *, now: datetime) -> Approval:
        """Return it among those that operators have to look at."""
        return self.model_copy(
            update={"problem_kind": kind, "problem": problem[:500], "stuck": STUCK, "updated_at": now}
        )

    def unstuck(self, *kinds: Problem) -> Approval:
        """Return it without its problem, or, with kinds, without one of these kinds."""
        if self.problem_kind is None or (kinds and self.problem_kind not in kinds):
            return self
        return self.model_copy(update={"problem_kind": None, "problem": "", "stuck": None})


# After which time an answer that nobody has taken to the workflow is taken there by the schedule.
AGAIN_AFTER = timedelta(minutes=2)

approvals = Table(
    Approval,
    name="approvals",
    key=("ApprovalId",),
    indexes={
        "ByRequester": ("RequesterSub", "AskedAt"),
        "ByMonth": ("Month", "AskedAt"),
        "ByExecution": ("ExecutionArn", "AskedAt"),
        "ByShelf": ("Shelf", "NextAt"),
        "ByStuck": ("Stuck", "UpdatedAt"),
    },
)


class Actor:
    """Who the audit log says has done something, where nobody signed in did: the portal, a workflow, or somebody to
    whom something was done."""

    def __init__(self, username: str, sub: str = "") -> None:
        self.username, self.sub = username, sub or username


PORTAL, WORKFLOW = Actor("portal"), Actor("workflow")


def id_of(*parts: object) -> str:
    """Return the id of an approval: always the same of an execution, what it asks, and the how manieth time."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def of_execution(arn: str) -> list[Approval]:
    """Return what an execution asks, the newest first: one Query of an index that lags behind."""
    return approvals.query(arn, index="ByExecution", limit=100).records


def audit_name(approval_id: str) -> str:
    """Return an approval's name in the audit log."""
    return f"approvals.approval/{approval_id}"


def entry(
    action: str,
    approval: Approval,
    *,
    by: audit.Actor,
    changes: Iterable[audit.Change] = (),
    now: datetime | None = None,
) -> audit.Entry:
    """Make an entry of the audit log, which is the approval's timeline as well."""
    return audit.entry(
        action,
        by=by,
        object=audit_name(approval.approval_id),
        object_name=approval.called,
        changes=changes,
        now=now,
    )


def amend(
    approval_id: str,
    change: Callable[[Approval], Approval | None],
    *,
    saying: Callable[[Approval], audit.Entry] | None = None,
) -> Approval:
    """Change an approval as it is now, whoever else changes it meanwhile; None of `change` leaves it as it is. What
    `saying` says of the new one is written into the audit log together with it. Raises Missing, aws.Busy."""
    for _ in range(_TRIES):
        was = approvals.get(approval_id, consistent=True)
        new = change(was)
        if new is None or new == was:
            return was
        try:
            approvals.replace(new, was=was, together_with=[audit.putting(saying(new))] if saying else ())
        except Conflict:
            continue
        return new
    raise aws.Busy


def month_of(moment: datetime) -> str:
    return instant(moment)[:7]
