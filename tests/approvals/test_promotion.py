"""The employee promotion, from its execution to its end: asked, decided, and the workflow goes on with the answer."""

from __future__ import annotations

import json

from django.conf import settings
from django.utils import timezone

from approvals import deciding, executions, queue, workflow
from approvals.approval import State
from tests.approvals.conftest import Workflows, until, user
from tests.conftest import SignedUp


def test_an_approved_promotion_succeeds_with_who_approved_it(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked({"managerEmailAddress": approver.email, "employeeName": "Ada Lovelace"})
    assert approval.called == "Employee promotion: Ada Lovelace"
    [mail] = workflows.mails()
    assert (mail.to, mail.subject) == (approver.email, "Please decide: Employee promotion: Ada Lovelace")
    deciding.decide(approval.approval_id, State.APPROVED, reason="Long due", by=user(approver), now=timezone.now())
    workflows.work()
    end = workflows.ended(approval.execution_arn)
    assert end["status"] == "SUCCEEDED"
    output = json.loads(end["output"])
    assert (output["Decision"], output["DecidedBy"], output["Reason"]) == ("approved", "Grace Hopper", "Long due")
    stored = workflows.approval(approval.approval_id)
    assert stored.finished_at is not None
    assert (stored.shelf, stored.next_at) == (None, None)
    assert workflows.people(approval.approval_id)["approver"].shelf == f"{approver.sub}#closed"


def test_a_rejected_promotion_fails_with_the_error_rejected(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    deciding.decide(approval.approval_id, State.REJECTED, reason="Too early", by=user(approver), now=timezone.now())
    workflows.work()
    end = workflows.ended(approval.execution_arn)
    assert (end["status"], end["error"]) == ("FAILED", "Rejected")
    assert json.loads(end["cause"])["Reason"] == "Too early"


def test_the_activity_style_shares_everything_after_the_token(workflows: Workflows, approver: SignedUp) -> None:
    arn = workflows.start(
        {"managerEmailAddress": approver.email, "employeeName": "Ada"},
        machine=settings.MANUAL_PROMOTION_STATE_MACHINE_ARN,
    )
    until(lambda: "ActivityScheduled" in workflows.kinds(arn))
    tasks_taken(workflows)
    approval = workflows.question_of(arn)
    [mail] = workflows.mails()
    assert mail.to == approver.email
    deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())
    workflows.work()
    assert workflows.ended(arn)["status"] == "SUCCEEDED"


def tasks_taken(workflows: Workflows) -> None:
    """Take one task as the schedule does, without waiting a minute for another."""
    task = workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
    assert task
    queue.send_question(executions.question(task))
