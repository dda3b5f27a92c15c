"""What executions say of the approvals that they wait for: those that end, and those that ask with an activity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from approvals import finishing, requests, workflow
from approvals.approval import State, approvals, id_of
from approvals.models import PROMOTION
from approvals.workflow import Task

# How AWS calls what a question says of itself; other input is the published article's.
_KEYS = {"Type", "Execution", "Input"}


def ended(detail: Mapping[str, Any], *, now: datetime) -> None:
    """Close the approval that an execution waited for when it was stopped, failed or timed out.

    Reference: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    approval = approvals.find(id_of(detail["executionArn"]), consistent=True)
    if approval is None or detail.get("status") == "RUNNING":
        return
    if approval.is_open:
        finishing.expire(approval.approval_id, approval.task_token or "", now=now)
    elif approval.state is State.STARTING:
        requests.fail(approval.approval_id, "The workflow was over before it asked for a decision.", now=now)


def any_running(state_machine_arn: str) -> bool:
    """Tell whether an execution of a state machine runs: one call."""
    return bool(workflow.executions(state_machine_arn, status="RUNNING").executions)


def question(task: Task) -> dict[str, Any]:
    """Return an activity's task as the message of a workflow that asks by itself. The published article's input is only
    the question's input, and says nothing of an execution."""
    says_all = task.input.keys() >= _KEYS and isinstance(task.input["Input"], dict)
    asked = dict(task.input) if says_all else {"Type": PROMOTION, "Input": task.input}
    return {**asked, "TaskToken": task.token}
