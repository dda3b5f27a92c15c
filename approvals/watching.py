"""What is due: workflows hear that somebody waits with them, people are reminded, deadlines pass, and what a crash has
left behind goes on. Nothing here moves a deadline: the moments are in the table, in UTC."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from approvals import absence, assignment, delegating, finishing, people, queue, requests, workflow
from approvals.approval import (
    OPEN_SHELF,
    PORTAL,
    STUCK,
    UNFINISHED_SHELF,
    Approval,
    Problem,
    State,
    amend,
    approvals,
    entry,
)
from approvals.assignment import How, Mail
from approvals.letters import Letter
from approvals.people import Asked
from approvals.rules import Named, approver, look_at, reminder_at
from portal.dynamo.table import Missing

_PAGE = 100
# What could not be dealt with now is looked at again, but not at once.
_AFTER_A_FAILURE = timedelta(minutes=10)
# The queue would have given the message again by then.
_WITHOUT_MAIL = timedelta(minutes=30)
# An answer that its workflow does not have by then is something for operators to look at.
UNDELIVERED_AFTER = timedelta(minutes=15)
# So is a workflow that has not heard for so long that somebody waits with it; it gives up after six hours.
UNHEARD_AFTER = timedelta(hours=2)
MOST_STUCK = 1000  # that are counted

log = logging.getLogger(__name__)


def watch(*, now: datetime, seconds: float) -> int:
    """Do all that is due, for as long as there is time, and return how many approvals that were."""
    began = time.monotonic()
    for away in absence.beginning(now=now):
        delegating.hand_over(away, now=now)
    # Neither keeps the other waiting.
    done = _shelf(UNFINISHED_SHELF, _go_on, now=now, until=began + seconds / 2)
    return done + _shelf(OPEN_SHELF, _look, now=now, until=began + seconds)


def stuck() -> int:
    """Return how many approvals operators have to look at."""
    found, cursor = 0, None
    while True:
        page = approvals.query(STUCK, index="ByStuck", limit=200, cursor=cursor)
        found += len(page.records)
        cursor = page.cursor
        if not cursor or found >= MOST_STUCK:
            return found


def _shelf(shelf: str, act: Callable[..., None], *, now: datetime, until: float) -> int:
    done: set[str] = set()
    cursor: str | None = None
    while time.monotonic() < until:
        page = approvals.query(shelf, index="ByShelf", limit=_PAGE, cursor=cursor, newest_first=False)
        for one in page.records:
            if one.next_at is None or one.next_at > now or time.monotonic() >= until:
                return len(done)
            if one.approval_id in done:
                continue
            done.add(one.approval_id)
            try:
                act(one, now=now)
            except Missing:
                continue  # the index lags behind
            except Exception:  # one that cannot be dealt with does not keep the others waiting
                log.exception("approval %s could not be looked after", one.approval_id)
                _put_off(one, now=now)
        cursor = page.cursor
        if not cursor:
            break
    return len(done)


def _put_off(approval: Approval, *, now: datetime) -> None:
    def later(one: Approval) -> Approval:
        again = one.model_copy(update={"next_at": now + _AFTER_A_FAILURE})
        if one.is_over and not one.stuck and now > one.updated_at + UNDELIVERED_AFTER:
            return again.with_problem(Problem.ANSWER, "The workflow could not be given the answer so far.", now=now)
        if one.is_open and not one.stuck and one.heartbeat_at and now > one.heartbeat_at + UNHEARD_AFTER:
            why = "The workflow could not be told for hours that somebody waits with it."
            return again.with_problem(Problem.HEARTBEAT, why, now=now)
        return again

    try:
        amend(approval.approval_id, later)
    except Exception:  # it is due still, and the others wait
        log.exception("approval %s could not be put off", approval.approval_id)


def _go_on(approval: Approval, *, now: datetime) -> None:
    """Bring an answer to its workflow that nobody has brought there."""
    finishing.finish(approval.approval_id, now=now)


def _look(approval: Approval, *, now: datetime) -> None:
    approval = approvals.get(approval.approval_id, consistent=True)
    if approval.next_at is None or approval.next_at > now:
        return
    if approval.state is State.STARTING:
        requests.start(approval, now=now)
        amend(approval.approval_id, lambda one: _started_again(one, now=now))
        return
    if not approval.is_open:
        return
    try:
        workflow.heartbeat(approval.task_token or "")
    except workflow.Gone:
        finishing.expire(approval.approval_id, approval.task_token or "", now=now)
        return
    _mail_who_had_none(approval, now=now)
    if approval.is_overdue(now) and approval.overdue_at is None:
        _deadline(approval, now=now)
    elif approval.next_reminder_at and approval.next_reminder_at <= now:
        _remind(approval, now=now)
    amend(approval.approval_id, lambda one: _looked_at(one, approval.round, now=now))


def _started_again(approval: Approval, *, now: datetime) -> Approval | None:
    """Return a request whose workflow has been started once more, and has asked nothing yet."""
    if approval.state is not State.STARTING:
        return None
    again = approval.model_copy(update={"next_at": now + timedelta(hours=1), "updated_at": now})
    late = now > approval.asked_at + timedelta(hours=1)
    why = "Its workflow was started, and has asked nothing so far."
    return again.with_problem(Problem.START, why, now=now) if late else again


def _looked_at(approval: Approval, number: int, *, now: datetime) -> Approval | None:
    if not approval.is_open or approval.round != number:
        return None
    new = approval.unstuck(Problem.HEARTBEAT).model_copy(update={"heartbeat_at": now})
    return new.model_copy(update={"next_at": look_at(new)})


def _mail_who_had_none(approval: Approval, *, now: datetime) -> None:
    """Send a mail to who is asked and has had none for long: what was to send it has ended in between."""
    for one in assignment.of(approval.approval_id):
        is_waiting = one.mail in (Mail.NONE, Mail.SENDING) and (one.mail_at or one.asked_at) < now - _WITHOUT_MAIL
        if one.may_decide and one.shelf and not one.mailed and is_waiting:
            queue.send_mail(approval.approval_id, one.sub, approval.asked_key)


def _remind(approval: Approval, *, now: datetime) -> None:
    """Send reminders, the next ones after a longer pause."""
    _ask_new_members(approval, now=now)
    key = Letter.REMINDER.key(approval.round, approval.reminded + 1)
    for one in assignment.of(approval.approval_id):
        if one.may_decide and one.shelf:
            queue.send_mail(approval.approval_id, one.sub, key)

    def reminded(one: Approval) -> Approval | None:
        if not one.is_open or (one.round, one.reminded) != (approval.round, approval.reminded):
            return None
        began_at = (one.deadline_at or now) - timedelta(hours=one.terms.deadline_hours)
        number = one.reminded + 1
        next_at = reminder_at(one.terms, asked_at=began_at, reminded=number)
        return one.model_copy(
            update={"reminded": number, "next_reminder_at": next_at if next_at is None else max(next_at, now)}
        )

    amend(approval.approval_id, reminded)


def _ask_new_members(approval: Approval, *, now: datetime) -> None:
    """Ask who came into a group after the question was put to it."""
    for group in approval.groups:
        asked = Asked.of(approval, now=now)
        asked.add_named(Named("group", group), manager=None)
        for sub, one in asked.assignments.items():
            if one.group and people.assignment_of(approval, sub) is None:
                people.put(one)


def _deadline(approval: Approval, *, now: datetime) -> None:
    """Ask whom the request type escalates to; where there is nobody left, operators have to see it."""
    asked = Asked.of(approval, now=now)
    if approval.terms.escalation and approval.escalated_at is None:
        asked.add_named(approver(approval.terms.escalation), manager=None, how=How.ESCALATION)
    if asked.assignments:
        for sub, one in asked.assignments.items():
            was = people.assignment_of(approval, sub)
            if was is None:
                people.put(one)
            if was is None or was.may_decide:
                queue.send_mail(approval.approval_id, sub, Letter.ESCALATED.key(approval.round))
        later = now + timedelta(hours=approval.terms.deadline_hours)
        change = {
            "escalated_at": now,
            "deadline_at": later,
            "groups": tuple(dict.fromkeys([*approval.groups, *asked.groups])),
            "updated_at": now,
        }
        said = "nobody had answered by the deadline, so more people are asked"
    else:
        change, said = {"overdue_at": now}, "nobody has answered by the deadline"

    def passed(one: Approval) -> Approval | None:
        if not one.is_open or (one.round, one.deadline_at) != (approval.round, approval.deadline_at):
            return None
        new = one.model_copy(update=change)
        if "overdue_at" not in change:
            return new.unstuck(Problem.NOBODY)
        return new.with_problem(Problem.DEADLINE, "Nobody has answered by the deadline.", now=now)

    amend(approval.approval_id, passed, saying=lambda one: entry(said, one, by=PORTAL, now=now))
