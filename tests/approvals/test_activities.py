"""Workflows that wait with an activity: the schedule takes their tasks, and all after that is as with the others."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import deciding, executions, queue, tasks, workflow
from approvals.approval import State, approvals
from approvals.workflow import Task
from tests.approvals.conftest import Workflows, until, user
from tests.conftest import SignedUp, TestCloud


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 300_000


def by_activity(workflows: Workflows, **given: Any) -> str:
    given = {"managerEmailAddress": "approver@example.com", "employeeName": "Ada", **given}
    return workflows.start(given, machine=settings.MANUAL_PROMOTION_STATE_MACHINE_ARN)


def test_the_schedule_takes_every_task_and_sends_it_to_the_queue(
    workflows: Workflows, cloud: TestCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {by_activity(workflows) for _ in range(3)}
    until(lambda: all("ActivityScheduled" in workflows.kinds(one) for one in some))
    # The last poll of a run waits for a minute, where none comes.
    take, left = workflow.take, [3]

    def take_three(arn: str, *, worker: str) -> Task | None:
        left[0] -= 1
        return take(arn, worker=worker) if left[0] >= 0 else None

    monkeypatch.setattr(workflow, "take", take_three)
    tasks.poll_activities({}, Context())
    assert len(cloud.messages(settings.APPROVALS_QUEUE_URL)) == 3
    workflows.work()
    assert {one["ExecutionArn"]["S"] for one in cloud.items("approvals")} == some
    assert len(workflows.mails()) == 3


def test_a_task_that_is_taken_is_started_and_has_a_worker(workflows: Workflows) -> None:
    arn = by_activity(workflows)
    until(lambda: "ActivityScheduled" in workflows.kinds(arn))
    task = workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
    assert task
    assert task.input["Input"]["employeeName"] == "Ada"
    assert "ActivityStarted" in workflows.kinds(arn)


def test_a_poll_whose_answer_is_lost_is_one_approval_and_one_mail_in_the_end(
    workflows: Workflows, approver: SignedUp
) -> None:
    arn = by_activity(workflows)
    until(lambda: "ActivityScheduled" in workflows.kinds(arn))
    assert workflow.take(settings.MANUAL_STEP_ARN, worker="portico"), "and then its worker ends"
    workflows.wait_in_vain(days=0.3)
    until(lambda: workflows.kinds(arn).count("ActivityScheduled") == 2)
    task = workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
    assert task
    queue.send_question(executions.question(task))
    approval = workflows.question_of(arn)
    assert [mail.to for mail in workflows.mails()] == [approver.email]
    deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())
    workflows.work()
    assert workflows.ended(arn)["status"] == "SUCCEEDED"


def test_a_workflow_of_the_article_as_other_teams_have_it_is_asked_for_as_well(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    states = cloud.admin("stepfunctions")
    definition = {
        "StartAt": "ManualStep",
        "States": {"ManualStep": {"Type": "Task", "Resource": settings.MANUAL_STEP_ARN, "End": True}},
    }
    role = states.describe_state_machine(stateMachineArn=settings.PROMOTION_STATE_MACHINE_ARN)["roleArn"]
    machine = states.create_state_machine(name="article", definition=json.dumps(definition), roleArn=role)
    arn = workflows.start(
        {"managerEmailAddress": approver.email, "employeeName": "Bo"}, machine=machine["stateMachineArn"]
    )
    try:
        task = workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
        assert task
        queue.send_question(executions.question(task))
        workflows.work()
        [item] = cloud.items("approvals")
        approval = approvals.load(item)
        assert (approval.called, approval.execution_arn) == ("Employee promotion: Bo", None)
        deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())
        workflows.work()
        assert workflows.ended(arn)["status"] == "SUCCEEDED"
    finally:
        states.delete_state_machine(stateMachineArn=machine["stateMachineArn"])


@pytest.mark.parametrize("given", ["[1]", '"text"', "7", "null", "{}"])
def test_an_input_that_says_nothing_is_a_question_without_anything(given: str) -> None:
    task = Task("token", json.loads(given) if given == "{}" else {})
    assert executions.question(task) == {"Type": "employee-promotion", "Input": {}, "TaskToken": "token"}


def test_somebody_elses_fields_do_not_pass_for_a_question() -> None:
    assert executions.question(Task("token", {"Type": "x", "employeeName": "Ada"})) == {
        "Type": "employee-promotion",
        "Input": {"Type": "x", "employeeName": "Ada"},
        "TaskToken": "token",
    }


def test_nothing_is_polled_for_where_no_execution_runs(workflows: Workflows, cloud: TestCloud) -> None:
    cloud.forget_calls()
    tasks.poll_activities({}, Context())
    assert dict(cloud.calls()) == {("stepfunctions", "ListExecutions"): 1}


def test_nothing_is_polled_for_where_all_that_runs_has_asked(workflows: Workflows, cloud: TestCloud) -> None:
    arn = by_activity(workflows)
    until(lambda: "ActivityScheduled" in workflows.kinds(arn))
    assert executions.any_unasked()
    task = workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
    assert task
    executions.ask(task)
    assert executions.any_unasked(), "it is in the queue only"
    approval = workflows.question_of(arn)
    cloud.forget_calls()
    tasks.poll_activities({}, Context())
    assert dict(cloud.calls()) == {("stepfunctions", "ListExecutions"): 1, ("dynamodb", "BatchGetItem"): 1}
    # The workflow has given up, and there is a new task to take.
    workflows.wait_in_vain()
    workflows.watch(approval.asked_at + timedelta(minutes=61))
    assert executions.any_unasked()


def test_other_teams_state_machines_are_polled_for_while_they_run(
    workflows: Workflows, cloud: TestCloud, settings: Any
) -> None:
    assert not executions.any_unasked()
    workflows.start({"managerEmailAddress": "approver@example.com", "employeeName": "Ada"})
    assert not executions.any_unasked()
    settings.ACTIVITY_STATE_MACHINE_ARNS = [settings.PROMOTION_STATE_MACHINE_ARN]
    assert executions.any_unasked()


def test_two_pollers_at_once_share_the_tasks(workflows: Workflows) -> None:
    some = {by_activity(workflows) for _ in range(4)}
    until(lambda: all("ActivityScheduled" in workflows.kinds(one) for one in some))
    taken: list[Task | None] = []
    threads = [
        threading.Thread(target=lambda: taken.append(workflow.take(settings.MANUAL_STEP_ARN, worker="w")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({one.token for one in taken if one}) == 4
