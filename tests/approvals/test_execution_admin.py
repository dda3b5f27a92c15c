"""Operators see the workflows' executions: which there are, what each did, and why one failed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import quote_plus

import pytest
from django.conf import settings
from django.contrib.admin.utils import quote
from django.utils import timezone

from approvals import deciding, execution_admin, history, operator_words, workflow
from approvals.approval import State
from approvals.workflow import Event
from tests.approvals.build import put_approval
from tests.approvals.conftest import until
from tests.approvals.test_promotion import user
from tests.html import page_problems

LIST = "/admin/approvals/execution/"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def url(arn, **query):
    return f"{LIST}{quote(arn)}/change/" + "".join(f"?{name}={value}" for name, value in query.items())


def text(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def names(response):
    return [row.execution.name for row in response.context["rows"]]


@pytest.fixture
def asks(client_for, operator):
    """The operator's browser."""
    return client_for(operator)


# --- The list ---------------------------------------------------------------------------------------------------------


def test_the_executions_of_each_state_machine_are_listed_with_one_call(cloud, asks, workflows):
    workflows.start({"employeeName": "Ada"}, name="first")
    gone = workflows.start({"employeeName": "Ada"}, name="second")
    workflows.stop(gone)
    workflows.ended(gone)
    workflows.start({"employeeName": "Ada"}, machine=settings.MANUAL_PROMOTION_STATE_MACHINE_ARN, name="by-hand")
    cloud.forget_calls()
    page = asks.get(LIST)
    assert {name: n for name, n in cloud.calls().items() if name[1] == "ListExecutions"} == {
        ("stepfunctions", "ListExecutions"): 1
    }
    assert sorted(names(page)) == ["first", "second"]
    assert "stopped" in text(page)
    assert "so far" in text(page)
    assert not page_problems(page.content.decode())
    assert names(asks.get(f"{LIST}?status=ABORTED")) == ["second"]
    assert names(asks.get(f"{LIST}?status=RUNNING")) == ["first"]
    page = asks.get(f"{LIST}?machine=promotion-by-activity")
    assert names(page) == ["by-hand"]
    assert names(asks.get(f"{LIST}?machine=nonsense&status=nonsense")) == names(asks.get(LIST))
    page = asks.get(f"{LIST}?status=SUCCEEDED")
    assert "None. Step Functions keeps executions for 90 days after their end." in text(page)
    assert not page_problems(page.content.decode())


def test_the_executions_are_walked_page_by_page(asks, workflows, monkeypatch):
    monkeypatch.setattr(workflow, "PAGE", 2)
    for number in range(3):
        workflows.start({"employeeName": "Ada"}, name=f"number-{number}")
    first = asks.get(f"{LIST}?status=RUNNING")
    assert len(names(first)) == 2
    second = asks.get(LIST + first.context["more"])
    assert sorted(names(first) + names(second)) == ["number-0", "number-1", "number-2"]
    assert "More ›" not in text(second)
    assert names(asks.get(LIST + second.context["first"])) == names(first)


@pytest.mark.parametrize("more", ["nonsense", "x" * 5_000])
def test_a_page_that_is_no_page_leads_to_the_first_one(asks, workflows, more):
    page = asks.get(f"{LIST}?status=RUNNING&more={more}", follow=True)
    assert page.redirect_chain[-1][0] == f"{LIST}?machine=promotion&status=RUNNING"
    assert "That page was left open for too long." in text(page)


def test_where_no_state_machine_is_set_it_is_said(asks, settings):
    settings.PROMOTION_STATE_MACHINE_ARN = settings.MANUAL_PROMOTION_STATE_MACHINE_ARN = ""
    page = asks.get(LIST)
    assert "The portal knows no state machine" in text(page)
    assert not page_problems(page.content.decode())


# --- An execution's page ----------------------------------------------------------------------------------------------


def test_an_execution_that_waits_says_for_what_and_leads_to_its_approval(asks, workflows):
    approval = workflows.asked()
    page = asks.get(url(approval.execution_arn))
    said = text(page)
    for fact in ("running", "so far", "Ask", "waits for an answer", "not over", "Employee promotion: Ada"):
        assert fact in said, fact
    html = page.content.decode()
    assert f'href="/admin/approvals/approval/{approval.approval_id}/change/"' in html
    assert approval.task_token not in html
    assert not page_problems(html)
    there = asks.get(f"/admin/approvals/approval/{approval.approval_id}/change/").content.decode()
    assert f'href="{url(approval.execution_arn)}"' in there
    assert approval.task_token not in there


def test_an_execution_that_ended_shows_what_came_out_and_how_long_it_took(asks, workflows, approver):
    approval = workflows.asked()
    deciding.decide(approval.approval_id, State.APPROVED, reason="Long due", by=user(approver), now=timezone.now())
    workflows.work()
    workflows.ended(approval.execution_arn)
    page = asks.get(url(approval.execution_arn))
    said = text(page)
    for fact in ("succeeded", "Long due", "Grace Hopper", "Promoted", "The workflow came to its end", "took"):
        assert fact in said, fact
    assert approval.task_token not in page.content.decode()
    assert not page_problems(page.content.decode())


def test_an_execution_that_failed_says_what_failed_and_why(asks, workflows, approver):
    approval = workflows.asked()
    deciding.decide(approval.approval_id, State.REJECTED, reason="Too early", by=user(approver), now=timezone.now())
    workflows.work()
    workflows.ended(approval.execution_arn)
    page = asks.get(url(approval.execution_arn))
    said = text(page)
    for fact in ("failed", "Rejected", "Too early", "The workflow failed"):
        assert fact in said, fact
    assert approval.task_token not in page.content.decode()
    assert not page_problems(page.content.decode())


def test_what_a_workflow_was_given_is_text_and_no_token_in_it_is_shown(asks, workflows):
    given = {"employeeName": "<script>alert(1)</script>", "parent": {"TaskToken": "of-another-workflow"}}
    arn = workflows.start(given)
    html = asks.get(url(arn)).content.decode()
    assert "<script>alert" not in html
    assert "of-another-workflow" not in html
    assert "(not shown)" in html
    assert not page_problems(html)


def test_an_execution_of_another_state_machine_is_not_shown_unless_it_has_an_approval(cloud, asks, workflows, rider):
    known = settings.PROMOTION_STATE_MACHINE_ARN
    other = known.rpartition(":")[0] + ":somebody-elses"
    arn = workflow.execution_arn(other, "e-1")
    for path in (
        url(arn),
        url("nonsense"),
        url("x" * 500),
        url(known),
        url(f"{known}-2:e-1"),
        url(arn, approval="0" * 32),
    ):
        assert asks.get(path).status_code == 404, path
    assert not [call for call in cloud.calls() if call[0] in ("stepfunctions", "states")]
    # Its second question: the execution alone does not lead to it.
    approval = put_approval(rider, execution_arn=arn)
    assert asks.get(url(arn)).status_code == 404
    page = asks.get(url(arn, approval=approval.approval_id))
    assert "Employee promotion: Charles Babbage" in text(page)
    # And that approval opens no other one.
    assert asks.get(url(f"{arn}-2", approval=approval.approval_id)).status_code == 404


def test_one_that_is_gone_says_so_and_leads_to_the_approval(asks, workflows, rider):
    arn = workflow.execution_arn(settings.PROMOTION_STATE_MACHINE_ARN, "long-ago")
    approval = put_approval(rider, execution_arn=arn)
    page = asks.get(url(arn, approval=approval.approval_id))
    assert page.status_code == 404
    assert "It keeps them for 90 days after their end." in text(page)
    assert "Employee promotion: Charles Babbage" in text(page)
    assert not page_problems(page.content.decode())


def test_what_aws_refuses_is_said_and_the_rest_is_shown(asks, workflows, monkeypatch):
    """The portal may see every execution of its account, and none of another."""
    approval = workflows.asked()

    def refused(arn):
        workflow.aws.client("stepfunctions").describe_execution(
            executionArn=arn.replace(":123456789012:", ":210987654321:")
        )

    monkeypatch.setattr(workflow, "find", refused)
    page = asks.get(url(approval.execution_arn))
    assert page.status_code == 200
    assert "AWS refused DescribeExecution: AccessDenied" in text(page)
    assert "waits for an answer" in text(page)
    assert not page_problems(page.content.decode())


def test_what_passes_is_a_page_that_can_be_asked_for_again(cloud, client_for, operator, workflows):
    asks = client_for(operator, raise_request_exception=False)
    cloud.faults.add(service="stepfunctions", kind="throttle", times=20)
    cloud.faults.add(service="stepfunctions", kind="throttle", times=20)
    assert asks.get(LIST).status_code == 503


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_auditors_see_it_and_everybody_else_is_sent_away(client, client_for, auditor, rider, workflows):
    arn = workflows.start({"employeeName": "Ada"})
    for path in (LIST, url(arn)):
        assert client_for(auditor).get(path).status_code == 200
        assert client_for(rider).get(path).status_code == 403
        assert client.get(path)["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_pages_take_no_orders(asks, workflows, method):
    arn = workflow.execution_arn(settings.PROMOTION_STATE_MACHINE_ARN, "any")
    for path in (LIST, url(arn), f"{LIST}add/", f"{LIST}{quote(arn)}/delete/"):
        assert getattr(asks, method)(path).status_code == 403


# --- The history in words ---------------------------------------------------------------------------------------------


def event(seconds, kind, **details):
    return Event(NOW + timedelta(seconds=seconds), kind, details)


def test_a_state_that_is_tried_twice_and_caught_says_so():
    found = history.stages(
        [
            event(0, "ExecutionStarted", input="{}"),
            event(0, "TaskStateEntered", name="Ask", input='{"a": 1}'),
            event(0, "TaskScheduled", resourceType="sqs", resource="sendMessage.waitForTaskToken"),
            event(1, "TaskSubmitted"),
            event(61, "TaskTimedOut", error="States.Timeout"),
            event(62, "TaskScheduled", resourceType="sqs", resource="sendMessage.waitForTaskToken"),
            event(125, "TaskFailed", error="Rejected", cause="Too early"),
            event(125, "TaskStateExited", name="Ask", output='{"b": 2}'),
            event(125, "FailStateEntered", name="Over"),
            event(126, "ExecutionFailed", error="Rejected"),
        ]
    )
    start, ask, over, end = found
    assert [one.text for one in start.happenings] == ["The workflow was started"]
    assert (ask.name, ask.kind, ask.lasted, ask.outcome) == (
        "Ask",
        "Task",
        "2 min 5 s",
        "failed, and the workflow went on",
    )
    assert [one.text for one in ask.happenings] == [
        "calls sqs:sendMessage, and waits for an answer",
        "was handed over",
        "timed out",
        "calls sqs:sendMessage, and waits for an answer",
        "failed",
    ]
    assert [one.error for one in ask.happenings if one.is_failure] == ["States.Timeout", "Rejected"]
    assert (ask.input, ask.output) == ('{"a": 1}', '{"b": 2}')
    assert (over.name, over.outcome) == ("Over", "not over")
    assert (end.name, end.happenings[0].error) == ("", "Rejected")


def test_an_activity_says_who_took_it():
    [stage] = history.stages(
        [
            event(0, "TaskStateEntered", name="ManualStep"),
            event(0, "ActivityScheduled", resource="arn:…:activity:ManualStep"),
            event(3, "ActivityStarted", workerName="portico"),
            event(5, "ActivityTimedOut", error="States.Timeout"),
        ]
    )
    assert [one.text for one in stage.happenings] == [
        "waits for somebody to take it",
        "was taken by portico",
        "timed out",
    ]
    assert stage.outcome == "failed"


def test_a_history_that_begins_in_the_middle_or_knows_other_events_is_shown_all_the_same():
    found = history.stages(
        [
            event(0, "TaskSucceeded"),
            event(1, "PassStateExited", name="Earlier", output="{}"),
            event(2, "MapStateEntered", name="Each"),
            event(3, "MapIterationStarted", index=0),
            event(4, "SomethingNew"),
            event(5, "LambdaFunctionFailed", error="E", cause=None),
        ]
    )
    assert [one.name for one in found] == ["Before", "Earlier", "Each"]
    assert [one.text for one in found[2].happenings] == ["map iteration started", "something new", "failed"]
    assert history.stages([]) == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0.0 s"),
        (0.34, "0.3 s"),
        (12, "12 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7_380, "2 h 3 min"),
        (7_200, "2 h"),
        (100_800, "1 day 4 h"),
        (259_200, "3 days"),
    ],
)
def test_how_long_something_took_is_said_in_two_units(seconds, said):
    assert history.lasted(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("", ""),
        ("not JSON", "not JSON"),
        ('"é"', '"é"'),
        ("[" * 100_000, "[" * 20_000 + "\n… and 80,000 characters more"),
        ('{"a": {"TaskToken": "t"}}', '{\n  "a": {\n    "TaskToken": "(not shown)"\n  }\n}'),
        ('{"tokens": 3}', '{\n  "tokens": 3\n}'),
    ],
)
def test_what_goes_in_and_comes_out_is_laid_out(given, shown):
    assert operator_words.pretty(given) == shown


def test_a_long_history_says_that_it_is_cut(asks, workflows, monkeypatch):
    monkeypatch.setattr(execution_admin, "MOST_EVENTS", 1)
    arn = workflows.start({"employeeName": "Ada"})
    until(lambda: len(workflows.kinds(arn)) > 1)
    assert "Only the last 1 events." in text(asks.get(url(arn)))


def test_a_page_is_not_longer_than_what_lambda_may_answer(asks, workflows):
    arn = workflows.start({"employeeName": "x" * 200_000, "quoted": quote_plus("é" * 10_000)})
    page = asks.get(url(arn))
    assert len(page.content) < 200_000
    assert "characters more" in text(page)
    assert json.loads(workflows.describe(arn)["input"])["employeeName"]
