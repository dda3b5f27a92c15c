"""Absences: somebody else answers while a person is away, for what waits already and for what is asked meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from approvals import absence, assignment, people, queue
from approvals.absence import COMING_SHELF, Absence, absences
from approvals.approval import Actor, Approval, Problem, amend, entry
from approvals.approval import approvals as approvals_table
from approvals.assignment import How, assignments
from approvals.deciding import AlreadyOver, NotYours, Refused, find
from approvals.letters import Letter
from approvals.rules import look_at
from portal.accounts.models import User
from portal.dynamo import audit
from portal.dynamo.table import Conflict, Missing
from portal.people.directory import Person

LONGEST = timedelta(days=366)


def go_away(user: User, delegate: Person, *, from_at: datetime, until_at: datetime, now: datetime) -> Absence:
    """Let somebody answer for a person who is away. What waits for them already goes to the delegate as well, once they
    are away. Raises Refused."""
    if delegate.sub == user.sub:
        raise Refused("Somebody else has to answer for you.")
    if not delegate.is_enabled:
        raise Refused("This account is disabled.")
    if until_at <= from_at or until_at <= now:
        raise Refused("The last day must not be before the first one, or past.")
    if until_at - now > LONGEST:
        raise Refused("At most a year, please.")
    new = Absence(
        sub=user.sub,
        from_at=from_at,
        until_at=until_at,
        delegate_sub=delegate.sub,
        delegate_username=delegate.username,
        delegate_name=people.called(delegate),
        expires_at=int((until_at + timedelta(days=7)).timestamp()),
        shelf=COMING_SHELF,
    )
    was = absences.find(user.sub, consistent=True)
    said = audit.entry(
        "let somebody answer approvals while away",
        by=user,
        object=f"approvals.absence/{user.sub}",
        object_name=user.username,
        changes=[audit.Change(field="Who answers", new=delegate.username)],
        now=now,
    )
    try:
        if was:
            absences.replace(new, was=was, together_with=[audit.putting(said)])
        else:
            absences.add(new, together_with=[audit.putting(said)])
    except Conflict as error:
        raise Refused("You have changed this in another tab meanwhile. Look again.") from error
    if new.covers(now):
        hand_over(new, now=now)
    return new


def come_back(user: User, *, now: datetime) -> None:
    """End an absence: who answered meanwhile does not any more."""
    was = absence.find(user.sub, now=now)
    if was is None:
        return
    said = audit.entry("was back", by=user, object=f"approvals.absence/{user.sub}", object_name=user.username, now=now)
    try:
        back = was.model_copy(update={"until_at": now, "shelf": None})
        absences.replace(back, was=was, together_with=[audit.putting(said)])
    except Conflict:
        return  # in two tabs at once
    for approval_id in _waiting_for(user.sub):
        one = assignments.find(approval_id, was.delegate_sub, consistent=True)
        if one and one.may_decide and one.how is How.DELEGATE and one.for_sub == user.sub:
            assignment.end(approval_id, one.sub, now=now)


def _waiting_for(sub: str) -> Iterator[str]:
    cursor = None
    while True:
        page = assignment.inbox(sub, cursor=cursor, limit=100)
        yield from [one.approval_id for one in page.records]
        cursor = page.cursor
        if not cursor:
            return


def hand_over(away: Absence, *, now: datetime) -> int:
    """Ask a delegate about all that waits for somebody who is away, and return how many those are. It can be repeated,
    and the schedule does where it was cut off."""
    absent, delegate = people.of_sub(away.sub), people.of_sub(away.delegate_sub)
    handed = 0
    if absent and delegate:
        handed = sum(_hand_over(one, delegate, absent, now=now) for one in _waiting_for(away.sub))
    with contextlib.suppress(Conflict):  # they have changed it meanwhile: that is handed over in its own turn
        absences.replace(away.model_copy(update={"shelf": None}), was=away)
    return handed


def _hand_over(approval_id: str, delegate: Person, absent: Person, *, now: datetime) -> bool:
    try:
        approval: Approval = approvals_table.get(approval_id, consistent=True)
    except Missing:
        return False
    if not approval.is_open or not people.add_to(approval, delegate, How.DELEGATE, now=now, instead_of=absent):
        return False
    change = audit.Change(field="For", new=people.called(absent))
    audit.entries.add(
        entry("is asked as well", approval, by=Actor(delegate.username, delegate.sub), changes=[change], now=now)
    )
    queue.send_mail(approval_id, delegate.sub, Letter.ASKED.key(approval.round))
    return True


def reassign(approval_id: str, to: Person, *, instead_of: str = "", by: User, now: datetime) -> Approval:
    """Have somebody else answer, as an operator: in addition, or instead of one of those who were asked (their sub).
    Raises Refused, AlreadyOver."""
    approval = find(approval_id)
    if approval is None:
        raise NotYours
    if not approval.is_open:
        raise AlreadyOver(approval)
    if not to.is_enabled:
        raise Refused("This account is disabled.")
    if people.Asked.of(approval, now=now).is_requester(to):
        raise Refused("Who asked for it cannot decide it.")
    if by.sub == approval.requester_sub:
        raise Refused("Somebody else has to reassign what you ask for yourself.")
    was = people.assignment_of(approval, instead_of) if instead_of else None
    if was and was.sub == to.sub:
        raise Refused("They are asked already.")
    changes = [audit.Change(field="Who decides", old=was.username if was else "", new=to.username)]
    # Before it is done, as every act of an operator.
    audit.entries.add(entry("had somebody else decide", approval, by=by, changes=changes, now=now))
    is_new = people.assignment_of(approval, to.sub) is None
    people.add_to(approval, to, How.OPERATOR, now=now)
    if was:
        assignment.end(approval_id, was.sub, now=now)
    audit.entries.add(entry("is asked instead" if was else "is asked as well", approval, by=Actor(to.username, to.sub)))
    queue.send_mail(approval_id, to.sub, Letter.ASKED.key(approval.round) if is_new else Letter.AGAIN.key(now))
    return amend(approval_id, lambda one: _with_time(one, now=now))


def _with_time(approval: Approval, *, now: datetime) -> Approval | None:
    """Return an approval of which somebody new is asked: nothing hangs any more, and they have as long as the others
    had."""
    if not approval.is_open:
        return None
    new = approval.unstuck(Problem.NOBODY, Problem.MAIL, Problem.DEADLINE)
    if new.is_overdue(now):
        later = now + timedelta(hours=new.terms.deadline_hours)
        new = new.model_copy(update={"deadline_at": later, "overdue_at": None})
    return new.model_copy(update={"next_at": look_at(new)})
