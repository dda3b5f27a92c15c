"""A workflow asks: its question becomes an approval, or goes on with the one that it is, and the people get their mail.

The same message may come twice, and a workflow that has waited in vain asks again with another token.
docs/decisions/0017-approvals.md says which of the two it is.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.views.decorators.debug import sensitive_variables

from approvals import assignment, finishing, mailing, workflow
from approvals.approval import (
    OPEN_SHELF,
    WORKFLOW,
    Actor,
    Approval,
    Problem,
    State,
    approvals,
    entry,
    id_of,
    month_of,
)
from approvals.assignment import How
from approvals.letters import Letter
from approvals.models import RequestType, request_type
from approvals.people import Asked, called, known, manager_of, of_sub
from approvals.question import NotAQuestion, Question, read
from approvals.rules import Named, approver, facts, fields, look_at, plain, reminder_at
from portal import aws
from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.people.directory import Person

_TRIES = 5
# What one execution asks of a kind, one after the other or at once, before only its token tells it from the others.
_MOST_OF_A_KIND = 25

log = logging.getLogger(__name__)


@sensitive_variables()
def receive(body: str, *, now: datetime) -> Approval | None:
    """Put a workflow's question before people. A message that is none fails the workflow's task at once, where it says
    which that is. Raises NotAQuestion where not even that can be done, and what AWS fails at."""
    try:
        return _receive(body, now=now)
    except NotAQuestion as error:
        if not error.token:
            raise
        log.warning("A workflow's question was refused: %s", error)
        try:
            workflow.fail(error.token, error="Approvals.BadQuestion", cause=str(error))
        except workflow.Gone:
            log.info("It does not wait any longer.")
        return None


@sensitive_variables()
def _receive(body: str, *, now: datetime) -> Approval | None:
    question = read(body)
    kind = request_type(question.type_id)
    if kind is None:
        raise NotAQuestion(f"There is no request type {plain(question.type_id, 80)}.", question.task_token)
    for _ in range(_TRIES):
        found = _standing_for(question)
        if found is None:
            log.info("Nobody waits for an answer to this question any more.")
            return None
        try:
            return _ask(question, kind, found, now=now)
        except Conflict:
            continue  # somebody has answered, or the message came twice at once
    raise aws.Busy


def _standing_for(question: Question) -> tuple[str, Approval | None] | None:
    """Return the id of the approval that a question is, and the approval where there is one; or None where nobody waits
    for an answer to it any more.

    What an execution asks is counted: a question is the first of its kind, or the one after those that have an answer
    or that the workflow still waits for. One that the workflow has given up is asked once more.
    """
    token, kind = question.task_token, question.step or question.type_id
    if not question.execution:
        own = id_of(token)
        return own, approvals.find(own, consistent=True)
    is_fresh = False
    for number in range(_MOST_OF_A_KIND):
        own = id_of(question.execution, kind, number)
        was = approvals.find(own, consistent=True)
        if was is None or was.task_token in (None, token):
            return own, was
        # A message that was late, because the portal was away or the queue slow, asks for nothing any more.
        if not is_fresh and not _still_waits(token):
            return None
        is_fresh = True
        if was.state in (State.EXPIRED, State.FAILED):
            return own, was
        if was.is_open and not _still_waits(was.task_token or ""):
            return own, was
    own = id_of(question.execution, kind, token)
    return own, approvals.find(own, consistent=True)


@sensitive_variables()
def _still_waits(token: str) -> bool:
    try:
        workflow.heartbeat(token)
    except workflow.Gone:
        return False
    return True


def _ask(question: Question, kind: RequestType, found: tuple[str, Approval | None], *, now: datetime) -> Approval:
    approval_id, was = found
    if was and was.task_token == question.task_token:
        _mail_the_rest(was, now=now)
        return was
    if was and was.is_over and was.task_token is None:
        return _ended_before_it_asked(was, question, now=now)
    new, asked = _opened(question, kind, approval_id, was, now=now)
    _store(new, was, asked)
    for one in asked.assignments.values():
        mailing.deliver(new, one, asked.people[one.sub], tries=0, now=now)
    return new


def _ended_before_it_asked(was: Approval, question: Question, *, now: datetime) -> Approval:
    """Give a question its answer whose request was withdrawn, cancelled or stopped before it came."""
    if not was.is_answered:
        return was
    again = was.over(was.state, now=now, task_token=question.task_token, finished_at=None, sent_at=None)
    approvals.replace(again, was=was)
    finishing.finish(again.approval_id, now=now)
    return again


def _opened(
    question: Question, kind: RequestType, approval_id: str, was: Approval | None, *, now: datetime
) -> tuple[Approval, Asked]:
    """Return the approval as the question makes it, and whom it goes to."""
    requester = _requester(question, was)
    terms = kind.terms()
    number = was.round + 1 if was else 1
    requester_sub = requester.sub if requester else was.requester_sub if was else None
    email = requester.email if requester else was.requester_email if was else ""
    asked = Asked(approval_id, but=requester_sub, but_email=email, round=number, now=now)
    is_escalation = question.escalate and bool(terms.escalation)
    usual = question.named or [approver(kind.approver or "manager")]
    named = [approver(terms.escalation)] if is_escalation else usual
    manager = _manager(question, requester) if any(one.kind == "manager" for one in named) else None
    for one in named:
        asked.add_named(one, manager=manager, how=How.ESCALATION if is_escalation else None)
    if was:
        asked.go_on(assignment.of(approval_id, consistent=True), keeps_all=is_escalation)
    letter = Letter.ESCALATED if is_escalation else Letter.ASKED if number == 1 else Letter.AGAIN
    asked.mail(letter.key(number))
    new = Approval(
        approval_id=approval_id,
        state=State.OPEN,
        type_id=question.type_id,
        title=plain(kind.title, 80),
        facts=facts(fields(kind.fields or ""), question.input),
        terms=terms,
        month=was.month if was else month_of(now),
        asked_at=was.asked_at if was else now,
        updated_at=now,
        requester_sub=requester_sub,
        requester_username=requester.username if requester else was.requester_username if was else "",
        requester_name=called(requester) if requester else was.requester_name if was else "",
        requester_email=email,
        state_machine_arn=was.state_machine_arn if was else "",
        input=was.input if was else "",
        execution_arn=question.execution or None,
        task_token=question.task_token,
        round=number,
        asked_key=letter.key(number),
        groups=tuple(dict.fromkeys([*asked.groups, *(one.group for one in asked.assignments.values() if one.group)])),
        deadline_at=now + timedelta(hours=terms.deadline_hours),
        next_reminder_at=reminder_at(terms, asked_at=now, reminded=0),
        escalated_at=now if is_escalation else None,
        heartbeat_at=now,
        shelf=OPEN_SHELF,
    )
    if not asked.assignments:
        whom = ", ".join(_in_words(one, question) for one in named)
        why = f"Nobody may decide this. It names {whom}: not in the user pool, disabled, or who asks for it."
        new = new.with_problem(Problem.NOBODY, why, now=now)
    return new.model_copy(update={"next_at": look_at(new)}), asked


def _in_words(named: Named, question: Question) -> str:
    if named.kind == "manager":
        return (
            f"the manager {plain(question.manager_name, 128)}" if question.manager_name else "the requester's manager"
        )
    return f"the {named.kind} {plain(named.name, 128)}"


def _manager(question: Question, requester: Person | None) -> Person | None:
    """Return whom the input names as the manager, or else whom the user pool does."""
    if question.manager_name:
        return known(question.manager_name)
    return manager_of(requester) if requester else None


def _requester(question: Question, was: Approval | None) -> Person | None:
    """Return for whom a workflow asks. A form has said it already; a workflow's message may. Raises NotAQuestion for
    somebody whom nobody knows: they could decide it themselves."""
    if was and was.requester_sub:
        return of_sub(was.requester_sub)
    if not question.requester_name:
        return None
    person = known(question.requester_name)
    if person is None:
        raise NotAQuestion("The user pool does not know who asks for it: Requester.", question.task_token)
    return person


def _store(new: Approval, was: Approval | None, asked: Asked) -> None:
    """Write an approval that is open, and who may answer it, all or nothing. Raises Conflict."""
    now = new.updated_at
    if was is None:
        actor = Actor(new.requester_username, new.requester_sub) if new.requester_sub else WORKFLOW
        changes = [audit.Change(field=one.label, new=one.value[:200]) for one in new.facts]
        said = entry("asked for it", new, by=actor, changes=changes, now=now)
    elif new.round == 1:
        said = entry("asked for a decision", new, by=WORKFLOW, now=now)
    else:
        said = entry("did not wait any longer, and asked once more", new, by=WORKFLOW, now=now)
    written = [audit.putting(said), *asked.writes()]
    if was is None:
        approvals.add(new, together_with=written)
    else:
        approvals.replace(new, was=was, together_with=written)


def _mail_the_rest(approval: Approval, *, now: datetime) -> None:
    """Send what an earlier delivery of the same message wrote down, and may not have sent."""
    if not approval.is_open:
        return
    for one in assignment.of(approval.approval_id, consistent=True):
        if one.may_decide and one.round == approval.round and approval.asked_key not in one.mailed:
            mailing.send(approval.approval_id, one.sub, approval.asked_key, tries=0, now=now)
