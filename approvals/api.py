"""Approvals as JSON: ask, look, decide."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router
from ninja.errors import HttpError
from ninja.responses import Status

from approvals import assignment, deciding, mailing, requests
from approvals.approval import Approval
from approvals.forms import VERDICTS
from approvals.rules import fields, may_see, may_withdraw
from approvals.schemas import (
    ApprovalAnswer,
    ApprovalsAnswer,
    Box,
    Comment,
    Decision,
    FactAnswer,
    FieldAnswer,
    Listed,
    NewApproval,
    ResentAnswer,
    StepAnswer,
    TypeAnswer,
    TypesAnswer,
)
from approvals.seen import is_look
from approvals.timeline import steps
from portal.accounts.models import User
from portal.errors import Failure

router = Router(tags=["Approvals"])


@router.get("", response=ApprovalsAnswer, summary="List what waits for me, what did, or what I asked for")
def list_approvals(
    request: HttpRequest,
    box: Annotated[Box, Query(alias="Box")] = "inbox",
    cursor: Annotated[str | None, Query(alias="Cursor", max_length=2000)] = None,
) -> ApprovalsAnswer:
    """Newest first. A page may be short and still have a Cursor."""
    by, now = _caller(request), timezone.now()
    if box == "requests":
        asked = requests.of(by.sub, cursor=cursor)
        return ApprovalsAnswer(Approvals=[_listed(one, now) for one in asked.records], Cursor=asked.cursor)
    page = (assignment.inbox if box == "inbox" else assignment.closed)(by.sub, cursor=cursor)
    found = deciding.find_many(one.approval_id for one in page.records)
    seen = [
        approval
        for one in page.records
        if (approval := found.get(one.approval_id))
        and may_see(approval, one, sub=by.sub, groups=by.groups)
        and (approval.is_open or box == "decided")
    ]
    return ApprovalsAnswer(Approvals=[_listed(one, now) for one in seen], Cursor=page.cursor)


@router.get("/types", response=TypesAnswer, summary="What can I ask for")
def list_types(request: HttpRequest) -> TypesAnswer:
    return TypesAnswer(
        Types=[
            TypeAnswer(
                Type=one.type_id,
                Title=one.title,
                Fields=[
                    FieldAnswer(Name=name, Label=label)
                    for name, label in fields(one.fields or "")
                    if name != requests.MANAGER_FIELD
                ],
                NeedsManager=one.approver == "manager",
            )
            for one in requests.offered()
        ]
    )


@router.post("", response={201: ApprovalAnswer, 422: Failure}, summary="Ask for something: start its workflow")
def ask(request: HttpRequest, response: HttpResponse, body: NewApproval) -> Status[Any]:
    """422: there is no such type, a field is missing, or nobody can decide it."""
    kind = next((one for one in requests.offered() if one.type_id == body.Type), None)
    if kind is None:
        raise HttpError(422, "Type: There is nothing of this name to ask for.")
    by = _caller(request)
    try:
        approval = requests.ask(
            kind,
            body.Fields,
            manager=body.ManagerEmailAddress,
            key=body.IdempotencyKey or secrets.token_urlsafe(16),
            by=by,
            now=timezone.now(),
        )
    except requests.NotPossible as error:
        raise HttpError(422, error.sentence) from error
    response["Location"] = f"/approvals/{approval.approval_id}"
    return Status(201, _answer(approval, by))


@router.get("/{approval_id}", response=ApprovalAnswer, summary="Look at an approval")
def get_approval(request: HttpRequest, approval_id: str) -> ApprovalAnswer:
    """For who is asked, and for who asks. That somebody who is asked has looked at it is written into the audit log."""
    by = _caller(request)
    approval, standing = _seen(approval_id, by)
    if is_look(request) and not standing.is_requester:
        deciding.looked(approval, by=by)
    return _answer(approval, by)


@router.post(
    "/{approval_id}/decision",
    response={200: ApprovalAnswer, 409: Failure, 422: Failure},
    summary="Approve or reject what I am asked",
)
def decide(request: HttpRequest, approval_id: str, body: Decision) -> ApprovalAnswer:
    """409: it is over, was asked anew, or the workflow does not wait any longer. 422: a reason is due."""
    by = _caller(request)
    with _refusals():
        approval = deciding.decide(
            approval_id,
            VERDICTS[body.Decision],
            reason=body.Reason,
            by=by,
            now=timezone.now(),
            round=body.Round,
        )
    return _answer(approval, by)


@router.post(
    "/{approval_id}/withdraw", response={200: ApprovalAnswer, 409: Failure}, summary="Take back what I asked for"
)
def withdraw(request: HttpRequest, approval_id: str) -> ApprovalAnswer:
    """409: it is over."""
    by = _caller(request)
    with _refusals():
        return _answer(deciding.withdraw(approval_id, by=by, now=timezone.now()), by)


@router.post(
    "/{approval_id}/resend",
    response={202: ResentAnswer, 409: Failure},
    summary="Send the mails about what I asked for again",
)
def resend(request: HttpRequest, approval_id: str) -> Status[Any]:
    """409: the last ones are too recent, or nobody is asked any more."""
    by = _caller(request)
    approval, standing = _seen(approval_id, by)
    if not standing.is_requester:
        raise Http404(deciding.NotYours.sentence)
    try:
        mails = mailing.resend(approval.approval_id, by=by, now=timezone.now())
    except mailing.TooSoon as error:
        raise HttpError(409, error.sentence) from error
    if not mails:
        raise HttpError(409, "Nobody is asked any more, so no mail was sent.")
    return Status(202, ResentAnswer(Mails=mails))


@router.post("/{approval_id}/comments", response={201: ApprovalAnswer, 422: Failure}, summary="Comment on an approval")
def comment(request: HttpRequest, approval_id: str, body: Comment) -> Status[Any]:
    """Everybody who may see the approval can read it."""
    by = _caller(request)
    approval, _ = _seen(approval_id, by)
    if not body.Text.strip("\x00 \n\r\t"):
        raise HttpError(422, "Text: Write something first.")
    with _refusals():
        deciding.comment(approval, body.Text, by=by, now=timezone.now())
    return Status(201, _answer(approval, by))


@contextmanager
def _refusals() -> Iterator[None]:
    """Say as HTTP why something is not done."""
    try:
        yield
    except deciding.NotYours as error:
        raise Http404(error.sentence) from error
    except (deciding.ReasonDue, deciding.TooLong) as error:
        raise HttpError(422, error.sentence) from error
    except deciding.Refused as error:
        raise HttpError(409, error.sentence) from error


def _caller(request: HttpRequest) -> User:
    return request.auth  # type: ignore[attr-defined,no-any-return]  # ninja puts there what `auth` returned


def _seen(approval_id: str, by: User) -> tuple[Approval, deciding.Standing]:
    approval = deciding.find(approval_id)
    standing = deciding.standing(approval, by) if approval else None
    if approval is None or standing is None or not standing.may_see:
        raise Http404(deciding.NotYours.sentence)
    return approval, standing


def _facts(approval: Approval, now: datetime) -> dict[str, Any]:
    return {
        "Id": approval.approval_id,
        "Type": approval.type_id,
        "Title": approval.title,
        "Facts": [FactAnswer(Label=one.label, Value=one.value) for one in approval.facts],
        "State": approval.state,
        "Requester": approval.requester_name or approval.requester_username,
        "Round": approval.round,
        "AskedAt": approval.asked_at,
        "DeadlineAt": approval.deadline_at,
        "IsOverdue": approval.is_overdue(now),
        "DecidedAt": approval.decided_at,
        "DecidedBy": approval.decided_by_name,
        "Reason": approval.reason,
        "FinishedAt": approval.finished_at,
    }


def _listed(approval: Approval, now: datetime) -> Listed:
    return Listed(**_facts(approval, now))


def _answer(approval: Approval, by: User) -> ApprovalAnswer:
    return ApprovalAnswer(
        **_facts(approval, timezone.now()),
        MayDecide=deciding.standing(approval, by).may_decide,
        MayWithdraw=may_withdraw(approval, sub=by.sub),
        ReasonDue=approval.terms.reason_due,
        Steps=[StepAnswer(At=one.at, Text=one.text, Note=one.note, Kind=one.kind) for one in steps(approval)],
    )
