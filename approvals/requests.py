"""People ask: a form or the API starts a workflow, and what it will ask is written down before that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from approvals import people, queue, workflow
from approvals.approval import (
    OPEN_SHELF,
    Approval,
    Problem,
    State,
    amend,
    approvals,
    entry,
    id_of,
    month_of,
)
from approvals.models import RequestType, request_types
from approvals.rules import MOST_NAME, facts, fields, plain
from portal.accounts.models import User
from portal.dynamo import audit
from portal.dynamo.table import Conflict, Page
from portal.people.directory import Person

# The field of the published article's input that names who approves.
MANAGER_FIELD = "managerEmailAddress"
MOST_VALUE = 200  # characters of what is filled in
MOST_AN_HOUR = 50  # requests of one person
# A workflow that was to start by then, and has asked nothing, is started once more.
START_AGAIN_AFTER = timedelta(minutes=5)


class NotPossible(Exception):
    """It cannot be asked for like this; the sentence says why, and `field` what it is about."""

    def __init__(self, sentence: str, field: str | None = None) -> None:
        self.sentence, self.field = sentence, field
        super().__init__(sentence)


def offered() -> list[RequestType]:
    """Return the request types that people can ask for with a form."""
    return [one for one in request_types() if one.enabled and one.workflow]


def manager_of(user: User) -> Person | None:
    """Return whom the user pool names as somebody's manager, or None."""
    person = people.of_sub(user.sub)
    return people.manager_of(person) if person else None


def of(sub: str, *, cursor: str | None = None, limit: int = 20) -> Page[Approval]:
    """Return a page of what somebody has asked for, newest first. Raises BadCursor."""
    return approvals.query(sub, index="ByRequester", cursor=cursor, limit=limit)


def ask(kind: RequestType, given: Mapping[str, str], *, manager: str, key: str, by: User, now: datetime) -> Approval:
    """Start a request type's workflow with what was filled in. The same person's same key is the same request, however
    often it comes. Raises NotPossible."""
    if ":" in by.sub:
        # Who decides is compared with who asks, and both are known by their account in the user pool.
        raise NotPossible("Only people of the user pool can ask. Connect your account with one there first.")
    wanted = fields(kind.fields or "")
    answers: dict[str, str] = {}
    for name, label in wanted:
        value = plain(given.get(name, ""), MOST_VALUE + 1)
        if name == MANAGER_FIELD:
            continue
        if not value:
            raise NotPossible(f"{label}: please fill this in.", name)
        if len(value) > MOST_VALUE:
            raise NotPossible(f"{label}: at most {MOST_VALUE} characters, please.", name)
        answers[name] = value
    if kind.approver == "manager":
        answers[MANAGER_FIELD] = _manager(manager, by).email
    answers["requester"] = by.sub
    machine = _machine(kind)
    name = hashlib.sha256(f"{by.sub}\n{kind.type_id}\n{key}".encode()).hexdigest()[:32]
    arn = workflow.execution_arn(machine, name)
    new = Approval(
        approval_id=id_of(arn, kind.type_id, 0),
        state=State.STARTING,
        type_id=kind.type_id,
        title=plain(kind.title, 80),
        facts=facts(wanted, answers),
        terms=kind.terms(),
        month=month_of(now),
        asked_at=now,
        updated_at=now,
        requester_sub=by.sub,
        requester_username=by.username,
        requester_name=plain(by.get_full_name(), MOST_NAME),
        requester_email=by.email,
        state_machine_arn=machine,
        input=json.dumps(answers, ensure_ascii=False, sort_keys=True),
        execution_arn=arn,
        shelf=OPEN_SHELF,
        next_at=now + START_AGAIN_AFTER,
    )
    _check_rate(by.sub, now=now)
    try:
        approvals.add(new, together_with=[audit.putting(entry("asked for it", new, by=by, now=now))])
    except Conflict:
        return approvals.get(new.approval_id, consistent=True)
    return start(new, now=now)


def _check_rate(sub: str, *, now: datetime) -> None:
    """Each request is a mail to somebody. Raises NotPossible for who asks for very many."""
    recent = of(sub, limit=MOST_AN_HOUR).records
    if len(recent) == MOST_AN_HOUR and recent[-1].asked_at > now - timedelta(hours=1):
        raise NotPossible(f"You have asked for {MOST_AN_HOUR} things within an hour. Wait a little, please.")


def start(approval: Approval, *, now: datetime) -> Approval:
    """Start the workflow of a request, or leave it running. One that cannot be started is over, and says why."""
    name = (approval.execution_arn or "").rpartition(":")[2]
    try:
        workflow.start(approval.state_machine_arn, name=name, input=approval.input)
    except workflow.NotStarted as error:
        return fail(approval.approval_id, str(error), now=now)
    return approval


def fail(approval_id: str, why: str, *, now: datetime) -> Approval:
    """Write down that a workflow did not come to ask, and have who asked for it told."""

    def failed(one: Approval) -> Approval | None:
        if one.state is not State.STARTING:
            return None
        return one.over(State.FAILED, now=now).with_problem(Problem.START, why, now=now)

    over = amend(approval_id, failed)
    if over.state is State.FAILED:
        queue.send_answer(approval_id)
    return over


def _manager(typed: str, by: User) -> Person:
    """Return who approves what somebody asks for: whom the user pool names, and only where it names nobody, whom they
    name themselves."""
    person = people.of_sub(by.sub)
    known = people.manager_of(person) if person else None
    if known is None:
        if person and person.manager:
            raise NotPossible("Your manager in the user pool cannot decide. Ask an operator.", MANAGER_FIELD)
        if not typed.strip():
            raise NotPossible("Please say who your manager is.", MANAGER_FIELD)
        known = people.known(typed)
    if known is None:
        raise NotPossible("Nobody in the user pool has this address.", MANAGER_FIELD)
    if known.sub == by.sub or known.email.lower() == by.email.lower():
        raise NotPossible("You cannot approve what you ask for yourself.", MANAGER_FIELD)
    if not (known.email and known.is_email_verified):
        raise NotPossible(f"{people.called(known)} has no verified e-mail address.", MANAGER_FIELD)
    return known


def _machine(kind: RequestType) -> str:
    if not kind.workflow:
        raise NotPossible("Only workflows ask for this.")
    return workflow.machines().get(kind.workflow, kind.workflow)
