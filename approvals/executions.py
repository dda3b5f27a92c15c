"""What executions say of the approvals that they wait for: those that end, and those that ask with an activity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from approvals import finishing, queue, requests, workflow
from approvals.approval import Approval, State, approvals, id_of, of_execution
from approvals.models import PROMOTION
from approvals.workflow import Task

# How AWS calls what a question says of itself; other input is the published article's.
_KEYS = {"Type", "Execution", "Input"}


def ended(detail: Mapping[str, Any], *, now: datetime) -> None:
    """Close what an execution waited for when it was stopped, failed or timed out.

    Reference: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    if detail.get("status") == "RUNNING":
        return
    for approval in of_execution(detail["executionArn"]):
        if approval.is_open:
            _close(approval, now=now)
        elif approval.state is State.STARTING:
            requests.fail(approval.approval_id, "The workflow was over before it asked for a decision.", now=now)


def _close(approval: Approval, *, now: datetime) -> None:
    token = approval.task_token or ""
    try:
        workflow.heartbeat(token)  # it may have been redriven since
    except workflow.Gone:
        finishing.expire(approval.approval_id, token, now=now)


def any_unasked() -> bool:
    """Tell whether an execution runs that may wait for its activity's task to be taken: one call for each state
    machine, and one for what those of the portal's own have asked already."""
    page = workflow.executions(settings.MANUAL_PROMOTION_STATE_MACHINE_ARN, status="RUNNING")
    own = [id_of(one.arn, PROMOTION, 0) for one in page.executions]
    waiting = sum(one.is_open for one in approvals.find_many((one,) for one in own))
    return (
        bool(page.more)
        or waiting < len(own)
        or any(workflow.executions(arn, status="RUNNING").executions for arn in settings.ACTIVITY_STATE_MACHINE_ARNS)
    )


@sensitive_variables()
def ask(task: Task) -> None:
    """Put an activity's task into the queue of questions. Where that fails, so does the task, which its workflow may
    retry: nobody else has its token."""
    try:
        queue.send_question(question(task))
    except Exception:  # whatever it was: it is raised on
        workflow.fail(task.token, error="Approvals.NotAsked", cause="The portal could not put it into its queue.")
        raise


def question(task: Task) -> dict[str, Any]:
    """Return an activity's task as the message of a workflow that asks by itself. The published article's input is only
    the question's input, and says nothing of an execution."""
    says_all = task.input.keys() >= _KEYS and isinstance(task.input["Input"], dict)
    asked = dict(task.input) if says_all else {"Type": PROMOTION, "Input": task.input}
    return {**asked, "TaskToken": task.token}
