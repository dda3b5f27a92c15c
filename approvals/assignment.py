"""An assignment: one person who may answer one approval, and what has become of the mails to them about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from portal import aws
from portal.dynamo.table import Conflict, Instant, Page, Record, Table

MOST = 40  # people who are asked one question
_TRIES = 8


class How(StrEnum):
    """Why somebody is asked. A REQUESTER is not: theirs are the mails about what has become of it."""

    PERSON = "person"
    GROUP = "group"
    MANAGER = "manager"
    ESCALATION = "escalation"
    DELEGATE = "delegate"
    OPERATOR = "operator"  # an operator has said so
    REQUESTER = "requester"


class Mail(StrEnum):
    NONE = "none"
    SENDING = "sending"
    SENT = "sent"
    RETRYING = "retrying"
    UNDELIVERED = "undelivered"


class Assignment(Record):
    """An item of the ApprovalAssignments table."""

    approval_id: str
    sub: str
    username: str
    name: str
    how: How
    asked_at: Instant
    round: int = 1  # in which they were last asked
    group: str = ""  # by which they may decide, where it is by a group
    # Of a delegate: instead of whom.
    for_sub: str = ""
    for_name: str = ""
    # "<sub>#open" and "<sub>#closed": what waits for a person, and what did. Nothing where they are not asked any more.
    shelf: str | None = None
    ended_at: Instant | None = None  # somebody else was asked instead
    # The mail that is on its way, or was last: "asked-1", "reminder-1-2", … and those that were sent.
    mail: Mail = Mail.NONE
    mail_key: str = ""
    mail_at: Instant | None = None
    mail_why: str = ""  # why it could not be delivered
    mailed: frozenset[str] = frozenset()
    link_asked_at: Instant | None = None  # when they last had a fresh link sent

    @property
    def may_decide(self) -> bool:
        return self.how is not How.REQUESTER and self.ended_at is None


assignments = Table(
    Assignment,
    name="approval_assignments",
    key=("ApprovalId", "Sub"),
    indexes={"ByPerson": ("Shelf", "AskedAt")},
)


def open_shelf(sub: str) -> str:
    return f"{sub}#open"


def closed_shelf(sub: str) -> str:
    return f"{sub}#closed"


def of(approval_id: str, *, consistent: bool = False) -> list[Assignment]:
    """Return everybody who is or was asked, and the requester where there was a mail to them: one Query."""
    return assignments.query(approval_id, limit=200, newest_first=False, consistent=consistent).records


def inbox(sub: str, *, cursor: str | None = None, limit: int = 25) -> Page[Assignment]:
    """Return a page of what waits for a person, newest first. Raises BadCursor."""
    return assignments.query(open_shelf(sub), index="ByPerson", cursor=cursor, limit=limit)


def closed(sub: str, *, cursor: str | None = None, limit: int = 25) -> Page[Assignment]:
    """Return a page of what waited for a person once, newest first. Raises BadCursor."""
    return assignments.query(closed_shelf(sub), index="ByPerson", cursor=cursor, limit=limit)


def amend(approval_id: str, sub: str, change: Callable[[Assignment], Assignment | None]) -> Assignment | None:
    """Change an assignment as it is now, whoever else changes it meanwhile; None of `change` leaves it as it is. Return
    None where there is none. Raises aws.Busy."""
    for _ in range(_TRIES):
        was = assignments.find(approval_id, sub, consistent=True)
        new = was and change(was)
        if was is None or new is None or new == was:
            return was
        try:
            assignments.replace(new, was=was)
        except Conflict:
            continue
        return new
    raise aws.Busy


def close(approval_id: str, *, round: int) -> None:  # noqa: A002 - the attribute's name
    """Take an approval that is over from everybody's inbox; not from those who were asked in a later round."""

    def change(one: Assignment) -> Assignment | None:
        if one.shelf != open_shelf(one.sub) or one.round > round:
            return None
        return one.model_copy(update={"shelf": closed_shelf(one.sub)})

    for one in of(approval_id):
        if change(one):
            amend(approval_id, one.sub, change)


def end(approval_id: str, sub: str, *, now: datetime) -> Assignment | None:
    """Ask somebody no longer: another was named instead."""
    return amend(approval_id, sub, lambda one: one.model_copy(update={"ended_at": now, "shelf": None}))
