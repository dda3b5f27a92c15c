"""An approval as one person sees it at one moment: what the pages say about it, and who may see it at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from django.http import Http404, HttpRequest
from django.utils import timezone

from approvals import assignment, deciding, mailing, rules
from approvals.approval import Approval, State
from approvals.assignment import Assignment, Mail
from approvals.deciding import Standing
from approvals.timeline import Step, steps
from approvals.words import ago, how_long, listed, roughly
from portal.accounts.models import User

# How long after a change the next one is waited for, and how often it is asked for meanwhile.
_WATCHED = timedelta(hours=1)
_SOON = ((timedelta(seconds=20), 1), (timedelta(minutes=1), 2), (timedelta(minutes=5), 5))


class SignedIn(HttpRequest):
    """What login_required lets through."""

    user: User


@dataclass(frozen=True)
class Seen:
    """An approval in a list, as it is at one moment."""

    approval: Approval
    now: datetime
    assignment: Assignment | None = None

    @property
    def is_late(self) -> bool:
        return self.approval.is_overdue(self.now)

    @property
    def requester(self) -> str:
        return self.approval.requester_name or self.approval.requester_username or "A workflow"

    @property
    def asked_ago(self) -> str:
        return ago(self.approval.asked_at, self.now)

    @property
    def decided_ago(self) -> str:
        return ago(self.approval.decided_at or self.approval.updated_at, self.now)

    @property
    def left(self) -> str:
        """How long it is until the deadline, or since."""
        deadline_at = self.approval.deadline_at
        return how_long(abs(deadline_at - self.now)) if deadline_at else ""

    @property
    def late_by(self) -> str:
        """About how long the deadline has passed."""
        return roughly(self.now - self.approval.deadline_at) if self.approval.deadline_at else ""

    @property
    def word(self) -> str:
        """Where it stands, in a word or two."""
        if self.is_late:
            return "late"
        words = {State.OPEN: "waiting", State.EXPIRED: "unanswered", State.FAILED: "not started"}
        return words.get(self.approval.state, self.approval.state.value)

    @property
    def colour(self) -> str:
        if self.approval.state is State.APPROVED:
            return "good"
        return "warm" if self.is_late or self.approval.state in (State.REJECTED, State.FAILED) else ""


class Line(NamedTuple):
    """A line of what has happened."""

    step: Step
    who: str
    when: str


@dataclass(frozen=True, kw_only=True)
class SeenBy(Seen):
    """An approval on its own page, as one person sees it."""

    user: User
    standing: Standing

    @property
    def may_decide(self) -> bool:
        return self.approval.is_open and self.standing.may_decide

    @property
    def may_withdraw(self) -> bool:
        return rules.may_withdraw(self.approval, sub=self.user.sub)

    @property
    def decided_by(self) -> str:
        return "You" if self.approval.decided_by == self.user.sub else self.approval.decided_by_name or "Somebody"

    @property
    def ending(self) -> str:
        """What whoever ended it did: "approved it"."""
        verbs = {State.APPROVED: "approved", State.REJECTED: "rejected"}
        verbs |= {State.WITHDRAWN: "withdrew", State.CANCELLED: "cancelled"}
        return f"{verbs.get(self.approval.state, 'answered')} it"

    @cached_property
    def asked(self) -> list[Assignment]:
        """Who may answer, the first asked first."""
        found = [one for one in assignment.of(self.approval.approval_id) if one.may_decide]
        return sorted(found, key=lambda one: (one.asked_at, one.name))

    @property
    def waits_for(self) -> str:
        others = [one.name or one.username for one in self.asked if one.sub != self.user.sub]
        return listed(others)

    @property
    def waits_for_one_of(self) -> bool:
        return len(self.asked) > 1

    @property
    def undelivered(self) -> str:
        """Whom no mail has reached."""
        return listed([one.name or one.username for one in self.asked if one.mail is Mail.UNDELIVERED])

    @property
    def resend_at(self) -> datetime | None:
        """When the mails can be sent again, or None where they can be now."""
        last = max((one.mail_at for one in self.asked if one.mail_at), default=None)
        at = last + mailing.BETWEEN_RESENDS if last else None
        return at if at and at > self.now else None

    @property
    def steps(self) -> list[Line]:
        """What has happened, oldest first, with people's names instead of their user names."""
        names = {one.username: one.name for one in self.asked if one.name}
        names[self.approval.requester_username] = self.approval.requester_name
        names[self.user.username] = self.user.get_full_name()
        return [Line(one, names.get(one.who) or one.who, ago(one.at, self.now)) for one in steps(self.approval)]

    @property
    def poll_seconds(self) -> int:
        """How soon it is worth asking again: never where nothing is about to change."""
        approval = self.approval
        is_changing = approval.state is State.STARTING or (approval.is_answered and not approval.finished_at)
        since = self.now - approval.updated_at
        if approval.is_open and not self.may_decide and since < _WATCHED:
            return 15
        return next((seconds for within, seconds in _SOON if is_changing and since < within), 0)

    @property
    def mark(self) -> str:
        """What differs where the page has something else to show."""
        finished = "finished" if self.approval.finished_at else ""
        return f"{self.approval.state.value}-{finished}-{self.poll_seconds}"


def seen_by(user: User, approval_id: str) -> SeenBy:
    """Return an approval as somebody sees it. Raises Http404 for who is neither asked nor asks."""
    approval = deciding.find(approval_id)
    standing = deciding.standing(approval, user) if approval else None
    if approval is None or standing is None or not standing.may_see:
        raise Http404
    return SeenBy(approval, timezone.now(), standing.assignment, user=user, standing=standing)


def is_look(request: HttpRequest) -> bool:
    """Tell whether somebody looks at what is asked for: not by HEAD, and not a browser that only looks ahead."""
    # request.method of a HEAD to the JSON API is GET by now.
    return request.META["REQUEST_METHOD"] == "GET" and not is_prefetch(request)


def is_prefetch(request: HttpRequest) -> bool:
    """Tell whether a browser or a mail program looks ahead, for somebody who may never look."""
    purposes = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return any(purpose.startswith(("prefetch", "preview")) for purpose in purposes)
