"""People ask: what they fill in starts a workflow once, and their manager, not themselves, is who approves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import deciding, requests
from approvals.approval import Approval, Problem, State
from approvals.models import promotion, request_type, request_types
from approvals.requests import NotPossible
from tests.approvals.conftest import Workflows, until, user
from tests.conftest import SignedUp, TestCloud


def ask(person: SignedUp, *, manager: str = "", key: str = "once", **given: Any) -> Approval:
    return requests.ask(
        promotion(),
        given or {"employeeName": "Ada"},
        manager=manager,
        key=key,
        by=user(person),
        now=timezone.now(),
    )


def test_a_request_starts_the_workflow_with_the_articles_input(workflows: Workflows, rider: SignedUp) -> None:
    asked = ask(rider, employeeName="Ada  Lovelace\n")
    assert asked.state is State.STARTING
    given = json.loads(workflows.describe(asked.execution_arn)["input"])
    assert (given["employeeName"], given["managerEmailAddress"]) == ("Ada Lovelace", "approver@example.com")
    approval = workflows.question_of(asked.execution_arn)
    assert (approval.approval_id, approval.state) == (asked.approval_id, State.OPEN)
    assert approval.requester_name == "Ada Lovelace"
    assert [mail.to for mail in workflows.mails()] == ["approver@example.com"]


def test_a_form_that_is_sent_twice_is_one_request(
    workflows: Workflows, cloud: TestCloud, rider: SignedUp, author: SignedUp
) -> None:
    first, second = ask(rider), ask(rider)
    assert first.approval_id == second.approval_id
    assert ask(rider, key="another").approval_id != first.approval_id
    # The same key of somebody else is another request.
    assert ask(author).approval_id != first.approval_id
    assert len(cloud.items("approvals")) == 3


def test_whom_the_user_pool_names_as_manager_is_asked_whatever_is_typed(
    workflows: Workflows, rider: SignedUp, outsider: SignedUp
) -> None:
    asked = ask(rider, manager=outsider.email)
    assert [one.value for one in asked.facts if one.label == "Manager"] == ["approver@example.com"]


def test_who_has_no_manager_there_names_one(workflows: Workflows, outsider: SignedUp, approver: SignedUp) -> None:
    for typed, said in [
        ("", "who your manager is"),
        ("nobody@example.com", "Nobody in the user pool"),
        (outsider.email, "yourself"),
        (f"{approver.email}\nBcc: x@example.com", "Nobody in the user pool"),
    ]:
        with pytest.raises(NotPossible, match=said) as error:
            ask(outsider, manager=typed)
        assert error.value.field == "managerEmailAddress"
    assert ask(outsider, manager=approver.email).state is State.STARTING


@pytest.mark.parametrize(
    ("given", "said"), [({"employeeName": " "}, "fill this in"), ({"employeeName": "x" * 201}, "200")]
)
def test_what_is_missing_or_too_long_is_said(
    workflows: Workflows, cloud: TestCloud, rider: SignedUp, given: dict[str, str], said: str
) -> None:
    with pytest.raises(NotPossible, match=said) as error:
        ask(rider, **given)
    assert error.value.field == "employeeName"
    assert cloud.items("approvals") == []


def test_a_workflow_that_the_portal_may_not_start_says_so(workflows: Workflows, rider: SignedUp) -> None:
    kind = promotion()
    kind.workflow = "arn:aws:states:eu-west-1:123456789012:stateMachine:somebody-elses"
    asked = requests.ask(kind, {"employeeName": "Ada"}, manager="", key="k", by=user(rider), now=timezone.now())
    workflows.work()
    stored = workflows.approval(asked.approval_id)
    assert (stored.state, stored.problem_kind, stored.stuck) == (State.FAILED, Problem.START, "stuck")
    [mail] = workflows.mails()
    assert (mail.to, mail.subject) == (rider.email, "Could not be started: Employee promotion: Ada")


def test_the_promotion_is_there_before_operators_have_edited_anything(cloud: TestCloud) -> None:
    assert [one.type_id for one in request_types()] == ["employee-promotion"]
    assert [one.type_id for one in requests.offered()] == ["employee-promotion"]


def test_a_type_that_is_not_enabled_is_not_offered(cloud: TestCloud, request_type: Callable[..., None]) -> None:
    request_type(Enabled=False)
    assert requests.offered() == []


def test_a_type_that_is_not_enabled_is_not_found(cloud: TestCloud) -> None:
    assert request_type("employee-promotion")
    assert request_type("no-such-thing") is None


def test_nobody_floods_others_with_requests(
    workflows: Workflows, rider: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST_AN_HOUR", 2)
    for key in ("one", "two"):
        ask(rider, key=key)
    with pytest.raises(NotPossible, match="within an hour"):
        ask(rider, key="three")


def test_asking_costs_so_many_calls(workflows: Workflows, cloud: TestCloud, rider: SignedUp) -> None:
    cloud.forget_calls()
    ask(rider)
    assert dict(cloud.calls()) == {
        ("cognito-idp", "AdminGetUser"): 2,  # who asks, and their manager
        ("dynamodb", "Query"): 1,  # how much they have asked for lately
        ("dynamodb", "TransactWriteItems"): 1,
        ("stepfunctions", "StartExecution"): 1,
    }


def test_a_workflow_that_ends_before_it_asks_is_told_of(
    workflows: Workflows, cloud: TestCloud, rider: SignedUp
) -> None:
    asked = ask(rider)
    until(lambda: cloud.messages(settings.APPROVALS_QUEUE_URL))
    workflows.stop(asked.execution_arn)
    workflows.work("executions", wait_seconds=2)
    workflows.work("approval-answers", "approval-mails")
    stored = workflows.approval(asked.approval_id)
    assert (stored.state, stored.problem_kind) == (State.FAILED, Problem.START)
    assert [mail.to for mail in workflows.mails()] == [rider.email]
    # Its question comes after all, and nobody is asked for nothing.
    workflows.work()
    assert workflows.approval(asked.approval_id).state is State.FAILED
    assert [mail.to for mail in workflows.mails()] == [rider.email]


def test_somebody_who_has_taken_anothers_sub_for_a_user_name_is_not_taken_for_them(
    workflows: Workflows, cloud: TestCloud, rider: SignedUp, approver: SignedUp
) -> None:
    cognito, pool = cloud.admin("cognito-idp"), cloud.outputs["UserPoolId"]
    impostors = [one.sub for one in (rider, approver)]
    for name in impostors:
        attributes = [
            {"Name": "email", "Value": f"{name}@evil.example"},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "custom:manager", "Value": name},
        ]
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS", UserAttributes=attributes)
    try:
        asked = ask(rider)
        approval = workflows.question_of(asked.execution_arn)
        assert approval.requester_sub == rider.sub
        assert set(workflows.people(asked.approval_id)) == {"approver"}
        workflows.watch(approval.asked_at + timedelta(hours=13))
        decided = deciding.decide(asked.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())
        assert decided.decided_by == approver.sub
        workflows.work()
        assert {mail.to for mail in workflows.mails()} == {rider.email, approver.email}
    finally:
        for name in impostors:
            cognito.admin_delete_user(UserPoolId=pool, Username=name)
