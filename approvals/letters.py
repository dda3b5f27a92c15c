"""What the mails about approvals say. All that others wrote is one line of text here, and escaped in HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from approvals.approval import Approval, State
from approvals.assignment import Assignment, How
from approvals.rules import plain
from portal.people.directory import Person

_MOST_SUBJECT = 150  # characters


class Letter(StrEnum):
    """A kind of mail. Its key in the tables and queues says which one of the kind: "asked-1"."""

    ASKED = "asked"
    ESCALATED = "escalated"
    REMINDER = "reminder"
    AGAIN = "again"
    COMMENT = "comment"
    OUTCOME = "outcome"
    LATE = "late"  # to who answered when the workflow did not wait any longer

    @classmethod
    def of(cls, key: str) -> Letter:
        return cls(key.partition("-")[0])

    def key(self, *parts: object) -> str:
        said = [str(int(one.timestamp())) if isinstance(one, datetime) else str(one) for one in parts]
        return "-".join([self.value, *said])

    @property
    def done(self) -> str:
        """What the audit log calls it, with whom it went to as who did it."""
        return _DONE[self]


_DONE = {
    Letter.ASKED: "was asked by mail",
    Letter.ESCALATED: "was asked by mail, because nobody had answered",
    Letter.REMINDER: "was reminded by mail",
    Letter.AGAIN: "was sent the mail again",
    Letter.COMMENT: "was told of a comment by mail",
    Letter.OUTCOME: "was told of the outcome by mail",
    Letter.LATE: "was told by mail that the answer came too late",
}
# Those that ask, and so have links.
QUESTIONS = frozenset({Letter.ASKED, Letter.ESCALATED, Letter.REMINDER, Letter.AGAIN})
_OUTCOMES = {
    State.APPROVED: "Approved",
    State.REJECTED: "Rejected",
    State.CANCELLED: "Cancelled",
    State.WITHDRAWN: "Withdrawn",
    State.EXPIRED: "Not decided",
    State.FAILED: "Could not be started",
}


def compose(
    letter: Letter, approval: Approval, to: Assignment, person: Person, *, secret: str = "", said: str = ""
) -> EmailMultiAlternatives:
    """Make a mail. With a secret it has the two links that lead to the decision; `said` is a comment, and whose."""
    page = address("approvals:approval", approval.approval_id)
    requester = plain(approval.requester_name or approval.requester_username, 200) or "A workflow"
    facts = {
        "letter": letter.value,
        "approval": approval,
        "called": plain(approval.called, 300),
        "outcome": _OUTCOMES.get(approval.state, ""),
        "name": plain(person.given_name or person.username, 100),
        "requester": requester,
        "said": said,
        "why": _why(to, requester),
        "decided_by": plain(approval.decided_by_name, 200),
        "reason": plain(approval.reason),
        "until": moment(approval.deadline_at),
        "approve_url": address("approvals:link", secret, "approve") if secret else "",
        "reject_url": address("approvals:link", secret, "reject") if secret else "",
        "page_url": page,
        "portal_url": settings.PORTAL_URL,
    }
    message = EmailMultiAlternatives(
        subject=_subject(letter, approval),
        body=render_to_string("approvals/mail/letter.txt", facts),
        to=[person.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string("approvals/mail/letter.html", facts), "text/html")
    return message


def address(name: str, *args: str) -> str:
    return f"{settings.PORTAL_URL}{reverse(name, args=args)}"


def moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%A, %d %B %Y, %H:%M} UTC" if at else ""


def _subject(letter: Letter, approval: Approval) -> str:
    begins = {
        Letter.ASKED: "Please decide",
        Letter.ESCALATED: "Please decide, nobody has yet",
        Letter.REMINDER: "Reminder, please decide",
        Letter.AGAIN: "Please decide",
        Letter.COMMENT: "A comment",
        Letter.OUTCOME: _OUTCOMES.get(approval.state, "News"),
        Letter.LATE: "Your answer came too late",
    }[letter]
    return plain(f"{begins}: {approval.called}", _MOST_SUBJECT)


def _why(to: Assignment, requester: str) -> str:
    """Say why somebody gets a mail, to end it with."""
    match to.how:
        case How.MANAGER:
            return f"{requester} names you as the manager"
        case How.GROUP:
            return f"you are in the group {plain(to.group, 100)}"
        case How.ESCALATION:
            return "nobody else had answered by the deadline"
        case How.DELEGATE:
            return f"you answer for {plain(to.for_name, 100)}, who is away"
        case How.OPERATOR:
            return "an operator of the portal named you"
        case How.REQUESTER:
            return "you asked for it"
    return "you are named as the one who decides"
