"""What comes after an answer: the workflow is given it, the inboxes are cleared and the requester hears of it.

All of it can be done twice. The answer is in the table before any of it begins, so that nothing is lost in between.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from approvals import assignment, queue, workflow
from approvals.approval import WORKFLOW, Approval, Problem, State, amend, approvals, entry
from approvals.letters import Letter
from portal import aws
from portal.dynamo.table import Conflict

# The names of the errors that a workflow can catch.
# Longer than an execution's history lags behind what has happened.
_HISTORY_LAGS = timedelta(minutes=1)
ERRORS = {State.REJECTED: "Rejected", State.WITHDRAWN: "Withdrawn", State.CANCELLED: "Cancelled"}


def finish(approval_id: str, *, now: datetime) -> Approval:
    """Bring an approval that is over to its end. What fails at AWS is raised, and everything is done once more."""
    approval = approvals.get(approval_id, consistent=True)
    if not approval.is_over or approval.finished_at:
        return approval
    may_have = approval.sent_at is not None
    if not may_have:
        # Before it is sent: whoever comes after a crash knows that it may have arrived.
        try:
            approvals.replace(approval.model_copy(update={"sent_at": now}), was=approval)
        except Conflict:
            return approval  # somebody else is at it; the schedule sees to it that they come to the end
    if approval.is_answered and not _tell_workflow(approval, may_have=may_have, now=now):
        approval = _too_late(approval, now=now)
    assignment.close(approval_id, round=approval.round)
    _tell_people(approval)
    return amend(
        approval_id,
        lambda one: _finished(one, approval, now=now),
        saying=lambda one: entry(_said(one), one, by=WORKFLOW, now=now),
    )


def expire(approval_id: str, token: str, *, now: datetime) -> Approval:
    """Write down that a workflow does not wait any longer with this token, and have the people told."""
    approval = amend(approval_id, lambda one: _expired(one, token, now=now))
    if approval.state is State.EXPIRED and not approval.finished_at:
        queue.send_answer(approval_id)
    return approval


def _expired(approval: Approval, token: str, *, now: datetime) -> Approval | None:
    if approval.task_token != token or not approval.is_open:
        return None
    return approval.over(State.EXPIRED, now=now).unstuck()


def _tell_workflow(approval: Approval, *, may_have: bool, now: datetime) -> bool:
    """Give a workflow its answer, which it may have already, and return whether it has it. Raises aws.Busy where that
    cannot be told yet."""
    token = approval.task_token
    if token is None:
        # It was ended before it was asked: the workflow has hardly begun.
        workflow.stop(approval.execution_arn or "", error=ERRORS[approval.state], cause=_cause(approval))
        return True
    try:
        if approval.state is State.APPROVED:
            workflow.succeed(token, answer(approval))
        else:
            workflow.fail(token, error=ERRORS[approval.state], cause=_cause(approval))
    except workflow.Gone as error:
        # Of an answer that it has already, Step Functions says the same as of one that is too late.
        return _has_arrived(approval, may_have=may_have or not error.is_first_try, now=now)
    return True


def _has_arrived(approval: Approval, *, may_have: bool, now: datetime) -> bool:
    """Tell whether an answer has arrived that may have been sent before."""
    if not approval.execution_arn:
        # Nobody can tell. The workflow waited when it was decided, and something may have been sent to it then.
        return may_have
    since = approval.decided_at or approval.updated_at
    if workflow.has(approval.execution_arn, approval.decision_id, since=since):
        return True
    if may_have and now < (approval.sent_at or now) + _HISTORY_LAGS:
        raise aws.Busy
    return False


def answer(approval: Approval) -> dict[str, str]:
    """Return what a workflow gets as the task's output; a task that fails has it in its cause."""
    return {
        "Decision": approval.state.value,
        "DecidedBy": approval.decided_by_name,
        "DecidedAt": approval.decided_at.isoformat() if approval.decided_at else "",
        "Reason": approval.reason,
        "ApprovalId": approval.approval_id,
        "DecisionId": approval.decision_id,
    }


def _cause(approval: Approval) -> str:
    return json.dumps(answer(approval))


def _too_late(approval: Approval, *, now: datetime) -> Approval:
    def change(one: Approval) -> Approval | None:
        if one.decision_id != approval.decision_id or not one.is_answered or one.finished_at:
            return None
        return one.over(State.EXPIRED, now=now, is_late=True)

    return amend(approval.approval_id, change)


def _tell_people(approval: Approval) -> None:
    if approval.requester_sub and approval.state is not State.WITHDRAWN:
        queue.send_mail(
            approval.approval_id, approval.requester_sub, Letter.OUTCOME.key(approval.state.value, approval.round)
        )
    if approval.is_late and approval.decided_by != approval.requester_sub:
        queue.send_mail(approval.approval_id, approval.decided_by, Letter.LATE.key(approval.round))


def _finished(one: Approval, told: Approval, *, now: datetime) -> Approval | None:
    if one.finished_at or one.state is not told.state or one.round != told.round:
        return None
    done = one.model_copy(update={"finished_at": now, "updated_at": now, "shelf": None, "next_at": None})
    if one.is_late:
        late = "The workflow did not wait any longer when the answer came."
        return done.with_problem(Problem.LATE, late, now=now)
    if one.state is State.EXPIRED:
        return done.with_problem(
            Problem.EXPIRED, "Nobody answered, and the workflow does not wait any longer.", now=now
        )
    # That a workflow could not be started is still to be looked at.
    return done if one.state is State.FAILED else done.unstuck()


def _said(approval: Approval) -> str:
    if approval.state is State.FAILED:
        return "was not started"
    return "has got the answer" if approval.is_answered else "did not wait any longer"
