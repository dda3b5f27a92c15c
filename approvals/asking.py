"""A workflow asks: its question becomes an approval, or goes on with the one that it is, and the people get their mail.

The same message may come twice, and a workflow that has waited in vain asks again with another token.
docs/decisions/0017-approvals.md says which of the two it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.views.decorators.debug import sensitive_variables

from approvals import assignment, finishing, mailing, workflow
from approvals.approval import (
    OPEN_SHELF,
    WORKFLOW,
    Approval,
    Problem,
    State,
    approvals,
    entry,
    id_of,
    month_of,
)
from approvals.assignment import Assignment, How, Mail, assignments
from approvals.letters import Letter
from approvals.models import RequestType, request_type
from approvals.people import Asked, called, known, manager_of, of_sub
from approvals.question import NotAQuestion, Question, read
from approvals.rules import approver, facts, fields, look_at, plain, reminder_at
from portal import aws
from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.people.directory import Person

_TRIES = 5

log = logging.getLogger(__name__)


@sensitive_variables()
def receive(body: str, *, now: datetime) -> Approval | None:
    """Put a workflow's question before people. A message that is none fails the workflow's task at once, where it says
    which that is. Raises NotAQuestion where not even that can be done, and what AWS fails at."""
    try:
        question = read(body)
        kind = request_type(question.type_id)
        if kind is None:
            raise NotAQuestion(f"There is no request type {plain(question.type_id, 80)}.", question.task_token)
    except NotAQuestion as error:
        if not error.token:
            raise
        log.warning("A workflow's question was refused: %s", error)
        try:
            workflow.fail(error.token, error="Approvals.BadQuestion", cause=str(error))
        except workflow.Gone:
            log.info("It does not wait any longer.")
        return None
    for _ in range(_TRIES):
        was = _standing_for(question)
        try:
            return _ask(question, kind, was, now=now)
        except Conflict:
            continue  # somebody has answered, or the message came twice at once
    raise aws.Busy


def _standing_for(question: Question) -> tuple[str, Approval | None]:
    """Return the id of the approval that a question is, and the approval where there is one."""
    token = question.task_token
    if not question.execution:
        own = id_of(token)
        return own, approvals.find(own, consistent=True)
    first = id_of(question.execution)
    was = approvals.find(first, consistent=True)
    if was is None or was.task_token in (None, token):
        return first, was
    own = id_of(question.execution, token)
    other = approvals.find(own, consistent=True)
    if other is not None:
        return own, other
    # The workflow asks a second time. Either it has given up the first question, and this is the same one; or it asks
    # something else: after an answer, or beside the first one.
    if was.state in (State.EXPIRED, State.FAILED) or (was.is_over and not was.finished_at):
        return first, was
    if was.is_over or _still_waits(was.task_token or ""):
        return own, None
    return first, was


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
    if was and was.is_over and not was.is_answered and not _still_waits(question.task_token):
        return was  # it was stopped before its question came
    if was and was.is_answered:
        # The answer was given while the workflow gave up waiting, and asked again: it has it now.
        again = was.over(
            was.state, now=now, task_token=question.task_token, round=was.round + 1, finished_at=None, is_late=False
        )
        approvals.replace(again, was=was)
        finishing.finish(approval_id, now=now)
        return again
    new, asked = _opened(question, kind, approval_id, was, now=now)
    _store(new, was, asked, now=now)
    for one in asked.assignments.values():
        mailing.deliver(new, one, asked.people[one.sub], tries=0, now=now)
    return new


def _opened(
    question: Question, kind: RequestType, approval_id: str, was: Approval | None, *, now: datetime
) -> tuple[Approval, Asked]:
    """Return the approval as the question makes it, and whom it goes to."""
    requester = _requester(question, was)
    requester_sub = requester.sub if requester else was.requester_sub if was else None
    terms = kind.terms()
    asked = Asked(approval_id, but=requester_sub, now=now)
    is_escalation = question.escalate and bool(terms.escalation)
    usual = question.named or [approver(kind.approver or "manager")]
    named = [approver(terms.escalation)] if is_escalation else usual
    manager = _manager(question, requester) if any(one.kind == "manager" for one in named) else None
    for one in named:
        asked.add_named(one, manager=manager, how=How.ESCALATION if is_escalation else None)
    if was:
        _as_before(asked, assignment.of(approval_id), now=now)
    number = was.round + 1 if was else 1
    letter = Letter.ESCALATED if is_escalation else Letter.ASKED if number == 1 else Letter.AGAIN
    mail = {"mail": Mail.SENDING, "mail_key": letter.key(number), "mail_at": now}
    asked.assignments = {sub: one.model_copy(update=mail) for sub, one in asked.assignments.items()}
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
        state_machine_arn=was.state_machine_arn if was else "",
        input=was.input if was else "",
        execution_arn=question.execution,
        task_token=question.task_token,
        round=number,
        groups=tuple(dict.fromkeys([*(was.groups if was else ()), *asked.groups])),
        deadline_at=now + timedelta(hours=terms.deadline_hours),
        next_reminder_at=reminder_at(terms, asked_at=now, reminded=0),
        escalated_at=now if is_escalation else None,
        heartbeat_at=now,
        shelf=OPEN_SHELF,
    )
    if not asked.assignments:
        why = "Nobody may decide this: whom it names is not in the user pool, is disabled, or asks for it themselves."
        new = new.with_problem(Problem.NOBODY, why, now=now)
    return new.model_copy(update={"next_at": look_at(new)}), asked


def _manager(question: Question, requester: Person | None) -> Person | None:
    """Return whom the input names as the manager, or else whom the user pool does."""
    if question.manager_name:
        return known(question.manager_name)
    return manager_of(requester) if requester else None


def _as_before(asked: Asked, before: list[Assignment], *, now: datetime) -> None:
    """Keep what operators and absences have made of who is asked: those who were replaced stay replaced, and those who
    were added are asked again."""
    for one in before:
        if one.ended_at is not None:
            asked.assignments.pop(one.sub, None)
        elif one.may_decide and one.sub not in asked.assignments:
            person = of_sub(one.sub)
            if person:
                asked.add(person, one.how, group=one.group, for_name=one.for_name)


def _requester(question: Question, was: Approval | None) -> Person | None:
    """Return for whom a workflow asks. A form has said it already; a workflow's input may."""
    if was and was.requester_sub:
        return of_sub(was.requester_sub)
    return known(question.requester_name) if question.requester_name else None


def _store(new: Approval, was: Approval | None, asked: Asked, *, now: datetime) -> None:
    """Write an approval that is open, and who may answer it, all or nothing. Raises Conflict."""
    if was is None:
        actor = _Requester(new) if new.requester_sub else WORKFLOW
        changes = [audit.Change(field=one.label, new=one.value[:200]) for one in new.facts]
        said = entry("asked for it", new, by=actor, changes=changes, now=now)
    elif new.round == 1:
        said = entry("asked for a decision", new, by=WORKFLOW, now=now)
    else:
        said = entry("did not wait any longer, and asked once more", new, by=WORKFLOW, now=now)
    written: list[Any] = [audit.putting(said)]
    written += [_putting(one, was) for one in asked.assignments.values()]
    if was is None:
        approvals.add(new, together_with=written)
    else:
        approvals.replace(new, was=was, together_with=written)


def _putting(one: Assignment, was: Approval | None) -> Mapping[str, Any]:
    put = assignments.putting(one)
    if was is not None:
        # In a later round they were asked before, and are asked anew.
        put = {name: put[name] for name in ("TableName", "Item")}
    return {"Put": put}


class _Requester:
    def __init__(self, approval: Approval) -> None:
        self.sub, self.username = approval.requester_sub or "", approval.requester_username


def _mail_the_rest(approval: Approval, *, now: datetime) -> None:
    """Send what an earlier delivery of the same message wrote down, and may not have sent."""
    if not approval.is_open:
        return
    for one in assignment.of(approval.approval_id):
        if one.may_decide and one.mail is Mail.SENDING:
            mailing.send(approval.approval_id, one.sub, one.mail_key, tries=0, now=now)
