"""The schedule: reminders with longer and longer pauses, escalation, heartbeats, and what was left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from approvals import deciding, requests, tasks, watching
from approvals.approval import Approval, Problem, State
from approvals.assignment import How
from approvals.models import promotion
from tests.approvals.conftest import Group, Workflows, user
from tests.conftest import SignedUp, TestCloud


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 300_000


def watched(workflows: Workflows, hours: float, since: datetime) -> None:
    workflows.watch(since + timedelta(hours=hours))
    workflows.work("approval-mails")


def test_reminders_come_after_twice_the_pause_each_and_end(
    workflows: Workflows, approver: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type(ReminderHours=2, Reminders=2, DeadlineHours=1000, Escalation="")
    asked_at = workflows.asked().asked_at
    told = []
    for hours in (1, 1.9, 2.1, 3, 5.9, 6.1, 13, 14.1, 40):
        watched(workflows, hours, asked_at)
        told.append(len(workflows.mails()))
    # It was asked, and is reminded of after 2 and after 2 + 4 hours.
    assert told == [1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert {mail.to for mail in workflows.mails()} == {approver.email}
    assert workflows.mails()[-1].subject == "Reminder, please decide: Employee promotion: Ada"


def test_a_schedule_that_comes_twice_reminds_once(workflows: Workflows, request_type: Callable[..., None]) -> None:
    request_type(ReminderHours=2)
    approval = workflows.asked()
    for _ in range(3):
        workflows.watch(approval.asked_at + timedelta(hours=3))
    workflows.work("approval-mails")
    assert len(workflows.mails()) == 2


def test_a_schedule_that_was_away_for_a_week_sends_one_reminder_at_a_time(
    workflows: Workflows, request_type: Callable[..., None]
) -> None:
    request_type(ReminderHours=2, Reminders=5, DeadlineHours=2000)
    approval = workflows.asked()
    watched(workflows, 24 * 7, approval.asked_at)
    assert len(workflows.mails()) == 2


def test_at_the_deadline_more_people_are_asked(
    workflows: Workflows, operator: SignedUp, approver: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type(DeadlineHours=3, ReminderHours=0, Escalation="group:operators")
    approval = workflows.asked()
    watched(workflows, 2.9, approval.asked_at)
    assert "operator" not in workflows.people(approval.approval_id)
    watched(workflows, 3.1, approval.asked_at)
    asked = workflows.people(approval.approval_id)
    assert (asked["operator"].how, asked["operator"].group) == (How.ESCALATION, "operators")
    assert asked["approver"].may_decide
    assert workflows.mails()[-1].to == operator.email
    later = workflows.approval(approval.approval_id)
    assert later.escalated_at is not None
    assert later.deadline_at == later.escalated_at + timedelta(hours=3)
    assert later.stuck is None
    # The next deadline has nobody left to ask.
    watched(workflows, 6.3, approval.asked_at)
    late = workflows.approval(approval.approval_id)
    assert (late.problem_kind, late.stuck, late.is_open) == (Problem.DEADLINE, "stuck", True)
    assert watching.stuck() == 1


def test_without_an_escalation_operators_see_it_at_the_deadline(
    workflows: Workflows, request_type: Callable[..., None]
) -> None:
    request_type(DeadlineHours=3, Escalation="")
    approval = workflows.asked()
    watched(workflows, 3.1, approval.asked_at)
    assert workflows.approval(approval.approval_id).problem_kind is Problem.DEADLINE


def test_a_workflow_hears_every_hour_that_somebody_waits_with_it(workflows: Workflows, cloud: TestCloud) -> None:
    approval = workflows.asked()
    cloud.forget_calls()
    workflows.watch(approval.asked_at + timedelta(minutes=59))
    assert ("stepfunctions", "SendTaskHeartbeat") not in cloud.calls()
    workflows.watch(approval.asked_at + timedelta(minutes=61))
    workflows.watch(approval.asked_at + timedelta(minutes=90))
    assert cloud.calls()["stepfunctions", "SendTaskHeartbeat"] == 1
    assert workflows.approval(approval.approval_id).heartbeat_at == approval.asked_at + timedelta(minutes=61)


def test_an_execution_that_is_gone_is_found_without_any_event(workflows: Workflows, cloud: TestCloud) -> None:
    approval = workflows.asked()
    cloud.end_executions()
    workflows.watch(approval.asked_at + timedelta(minutes=61))
    workflows.work("approval-answers")
    stored = workflows.approval(approval.approval_id)
    assert (stored.state, stored.shelf) == (State.EXPIRED, None)


def test_who_came_into_the_group_later_is_asked_with_the_reminder(
    workflows: Workflows, rider: SignedUp, auditor: SignedUp, deciders: Group, request_type: Callable[..., None]
) -> None:
    deciders.add(auditor)
    request_type(Approver=f"group:{deciders.name}", ReminderHours=2)
    approval = workflows.asked()
    deciders.add(rider)
    watched(workflows, 2.1, approval.asked_at)
    assert workflows.people(approval.approval_id)["rider"].group == deciders.name
    assert {mail.to for mail in workflows.mails()} == {rider.email, auditor.email}


def test_one_that_cannot_be_looked_after_does_not_keep_the_others_waiting(
    workflows: Workflows, request_type: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    request_type(ReminderHours=2)
    bad, good = workflows.asked(), workflows.asked()
    remind = watching._remind

    def some(approval: Approval, *, now: datetime) -> None:
        if approval.approval_id == bad.approval_id:
            raise RuntimeError("This one is broken.")
        remind(approval, now=now)

    monkeypatch.setattr(watching, "_remind", some)
    at = good.asked_at + timedelta(hours=3)
    assert workflows.watch(at) == 2
    assert workflows.approval(good.approval_id).reminded == 1
    assert workflows.approval(bad.approval_id).next_at == at + timedelta(minutes=10)


def test_the_alarm_hears_how_many_hang(
    workflows: Workflows, capsys: pytest.CaptureFixture[str], request_type: Callable[..., None], cloud: TestCloud
) -> None:
    request_type(Approver="person:nobody-at-all")
    workflows.asked()
    capsys.readouterr()
    tasks.watch({}, Context())
    [line] = [one for one in capsys.readouterr().out.splitlines() if one.startswith("{")]
    said = json.loads(line)
    assert said["StuckApprovals"] == 1
    [metric] = said["_aws"]["CloudWatchMetrics"]
    [alarm] = [
        one
        for one in cloud.admin("cloudwatch").describe_alarms()["MetricAlarms"]
        if one["MetricName"] == metric["Metrics"][0]["Name"]
    ]
    assert alarm["Namespace"] == metric["Namespace"]
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {"Table": said["Table"]}


def test_a_workflow_that_was_not_started_is_started_by_the_schedule(
    workflows: Workflows, cloud: TestCloud, rider: SignedUp
) -> None:
    cloud.faults.add(service="stepfunctions", action="StartExecution", kind="error")
    with pytest.raises(Exception, match="StartExecution"):
        requests.ask(promotion(), {"employeeName": "Ada"}, manager="", key="once", by=user(rider), now=timezone.now())
    cloud.faults.clear()
    [one] = requests.of(rider.sub).records
    assert one.state is State.STARTING
    workflows.watch(timezone.now() + timedelta(minutes=6))
    approval = workflows.question_of(one.execution_arn)
    assert (approval.approval_id, approval.state) == (one.approval_id, State.OPEN)
    assert approval.requester_sub == rider.sub


def test_an_answer_that_its_workflow_does_not_take_for_long_is_seen(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    approval = workflows.asked()
    deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())
    cloud.faults.add(service="stepfunctions", action="SendTaskSuccess", kind="error")
    at = timezone.now() + timedelta(minutes=5)
    workflows.watch(at)
    assert workflows.approval(approval.approval_id).stuck is None, "it is tried again first"
    workflows.watch(at + timedelta(minutes=11))
    stored = workflows.approval(approval.approval_id)
    assert (stored.problem_kind, stored.stuck) == (Problem.ANSWER, "stuck")
    cloud.faults.clear()
    workflows.watch(at + timedelta(minutes=22))
    stored = workflows.approval(approval.approval_id)
    assert (stored.problem_kind, stored.stuck) == (None, None)
    assert stored.finished_at is not None
    assert workflows.ended(approval.execution_arn)["status"] == "SUCCEEDED"
