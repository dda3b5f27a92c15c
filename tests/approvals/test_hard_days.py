"""Crashes between two calls, writes that meet, and people who leave: what must hold then."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.conf import settings
from django.test import Client
from django.utils import timezone

from approvals import (
    asking,
    assignment,
    deciding,
    delegating,
    finishing,
    mailing,
    people,
    requests,
    timeline,
    workflow,
)
from approvals.approval import Approval, Problem, State, approvals, id_of
from approvals.assignment import Mail
from approvals.models import promotion
from approvals.workflow import Task
from portal import aws
from portal.accounts.models import User
from tests.approvals.conftest import Group, Workflows, until, user
from tests.conftest import SignedUp, TestCloud

ASKED_BY_AUTHOR = {"managerEmailAddress": "approver@example.com", "employeeName": "Ada", "requester": "author"}


class Crashed(BaseException):
    """The process ends here."""


def crash(*args: Any, **kwargs: Any) -> None:
    raise Crashed


def decided(approval: Approval, person: SignedUp, *groups: str) -> Approval:
    return deciding.decide(
        approval.approval_id, State.APPROVED, reason="", by=user(person, *groups), now=timezone.now()
    )


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_without_an_execution_an_answer_that_was_sent_is_not_called_late(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = workflows.start({"managerEmailAddress": approver.email, "employeeName": "Ada"})
    until(lambda: cloud.messages(settings.APPROVALS_QUEUE_URL))
    said = json.loads(cloud.messages(settings.APPROVALS_QUEUE_URL)[0])
    cloud.empty_queues()
    approval = asking.receive(json.dumps({**said, "Execution": ""}), now=timezone.now())
    assert approval
    decided(approval, approver)
    with monkeypatch.context() as ends:
        ends.setattr(assignment, "close", crash)
        with pytest.raises(Crashed):
            finishing.finish(approval.approval_id, now=timezone.now())
    assert workflows.ended(arn)["status"] == "SUCCEEDED"
    workflows.work()
    stored = workflows.approval(approval.approval_id)
    assert (stored.state, stored.is_late) == (State.APPROVED, False)


def test_an_answer_is_found_behind_many_events(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = cloud.admin("stepfunctions")
    found = states.describe_state_machine(stateMachineArn=settings.PROMOTION_STATE_MACHINE_ARN)
    definition = json.loads(found["definition"])
    definition["States"]["Ask"]["Next"] = "P0"
    definition["States"] |= {f"P{n}": {"Type": "Pass", "Next": f"P{n + 1}"} for n in range(120)}
    definition["States"]["P120"] = {"Type": "Succeed"}
    machine = states.create_state_machine(name="long", definition=json.dumps(definition), roleArn=found["roleArn"])[
        "stateMachineArn"
    ]
    try:
        approval = workflows.asked(machine=machine)
        decided(approval, approver)
        with monkeypatch.context() as ends:
            ends.setattr(assignment, "close", crash)
            with pytest.raises(Crashed):
                finishing.finish(approval.approval_id, now=timezone.now())
        workflows.ended(approval.execution_arn or "")
        workflows.work()
        assert workflows.approval(approval.approval_id).state is State.APPROVED
    finally:
        states.delete_state_machine(stateMachineArn=machine)


def test_an_answer_that_an_older_portal_has_sent_is_not_called_late(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    done = decided(approval, approver)
    workflow.succeed(done.task_token or "", finishing.answer(done))
    workflows.work()
    assert workflows.approval(approval.approval_id).state is State.APPROVED


def test_two_who_deliver_at_once_and_a_history_that_lags_lose_no_answer(
    workflows: Workflows, approver: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = workflows.asked()
    now = timezone.now()
    done = decided(approval, approver)
    approvals.replace(done.model_copy(update={"sent_at": now}), was=done)
    finishing._tell_workflow(done, may_have=False, now=now)
    monkeypatch.setattr(workflow, "has", lambda *args, **kwargs: False)
    with pytest.raises(aws.Busy):
        finishing.finish(approval.approval_id, now=timezone.now())
    assert workflows.approval(approval.approval_id).state is State.APPROVED


def test_the_outcome_of_a_round_that_is_over_is_not_mailed(
    workflows: Workflows, cloud: TestCloud, author: SignedUp
) -> None:
    approval = workflows.asked(ASKED_BY_AUTHOR)
    workflows.wait_in_vain()
    until(lambda: cloud.messages(settings.APPROVALS_QUEUE_URL))
    finishing.expire(approval.approval_id, approval.task_token or "", now=timezone.now())
    finishing.finish(approval.approval_id, now=timezone.now())
    workflows.work("approvals")
    workflows.work()
    assert author.email not in [mail.to for mail in workflows.mails()]


# --- Mails ------------------------------------------------------------------------------------------------------------


def test_the_question_is_mailed_though_a_comment_was_mailed_first(
    workflows: Workflows, cloud: TestCloud, author: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = workflows.start(ASKED_BY_AUTHOR)
    until(lambda: cloud.messages(settings.APPROVALS_QUEUE_URL))
    [body] = cloud.messages(settings.APPROVALS_QUEUE_URL)
    cloud.empty_queues()
    with monkeypatch.context() as ends:
        ends.setattr(mailing, "deliver", crash)
        with pytest.raises(Crashed):
            asking.receive(body, now=timezone.now())
    approval = approvals.get(id_of(arn, "employee-promotion", 0))
    deciding.comment(approval, "By the way", by=user(author), now=timezone.now())
    workflows.work()
    asking.receive(body, now=timezone.now() + timedelta(minutes=16))
    subjects = [mail.subject for mail in workflows.mails()]
    assert subjects == ["A comment: Employee promotion: Ada", "Please decide: Employee promotion: Ada"]
    assert "author: By the way" in workflows.mails()[0].text


def test_two_mails_to_one_person_at_once_are_both_noted(workflows: Workflows, approver: SignedUp) -> None:
    approval, now = workflows.asked(), timezone.now()
    both = [mailing._claim(approval, approver.sub, key, now=now) for key in ("reminder-1-1", "again-7")]
    for claimed in both:
        assert claimed
        mailing.deliver(approval, claimed, people.of_sub(approver.sub), tries=0, now=now)
    workflows.forget_mails()
    for key in ("reminder-1-1", "again-7"):
        mailing.send(approval.approval_id, approver.sub, key, tries=0, now=now)
    assert workflows.mails() == []


def test_who_is_asked_and_was_never_mailed_is_mailed_by_the_schedule(
    workflows: Workflows, author: SignedUp, operator: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = workflows.asked()
    with monkeypatch.context() as ends:
        ends.setattr("approvals.queue.send_mail", crash)
        with pytest.raises(Crashed):
            delegating.reassign(
                approval.approval_id,
                people.known("author"),  # type: ignore[arg-type]
                by=user(operator, "operators"),
                now=timezone.now(),
            )
    workflows.watch(timezone.now() + timedelta(minutes=61))
    workflows.work("approval-mails")
    assert [mail.to for mail in workflows.mails()].count(author.email) == 1


def test_resend_pressed_often_is_one_mail_each(workflows: Workflows, author: SignedUp) -> None:
    approval = workflows.asked(ASKED_BY_AUTHOR)
    later = timezone.now() + timedelta(minutes=11)
    mailing.resend(approval.approval_id, by=user(author), now=later)
    for seconds in range(1, 5):
        with pytest.raises(mailing.TooSoon):
            mailing.resend(approval.approval_id, by=user(author), now=later + timedelta(seconds=seconds))
    workflows.forget_mails()
    workflows.work()
    assert len(workflows.mails()) == 1


def test_a_mail_that_ses_rejects_is_tried_again_and_then_seen(workflows: Workflows, cloud: TestCloud) -> None:
    cloud.faults.add(service="sesv2", action="SendEmail", kind="error", code="MessageRejected", times=1)
    approval = workflows.asked()
    assert workflows.people(approval.approval_id)["approver"].mail is Mail.RETRYING


# --- People who leave -------------------------------------------------------------------------------------------------


def test_who_has_left_the_group_gets_no_more_mails_and_has_nothing_in_the_inbox(
    workflows: Workflows,
    auditor: SignedUp,
    request_type: Callable[..., None],
    deciders: Group,
) -> None:
    deciders.add(auditor)
    request_type(Approver=f"group:{deciders.name}")
    workflows.asked()
    deciders.remove(auditor)
    workflows.forget_mails()
    workflows.watch(timezone.now() + timedelta(hours=13))
    workflows.work("approval-mails")
    assert auditor.email not in [mail.to for mail in workflows.mails()]
    assert assignment.inbox(auditor.sub).records == []


def test_who_answers_for_a_former_member_does_not_decide(
    workflows: Workflows,
    auditor: SignedUp,
    outsider: SignedUp,
    request_type: Callable[..., None],
    deciders: Group,
) -> None:
    deciders.add(auditor)
    request_type(Approver=f"group:{deciders.name}")
    now = timezone.now()
    delegate = people.known("outsider")
    assert delegate
    delegating.go_away(user(auditor), delegate, from_at=now, until_at=now + timedelta(days=2), now=now)
    approval = workflows.asked()
    deciders.remove(auditor)
    with pytest.raises(deciding.NotYours):
        decided(approval, outsider)


def test_who_answered_meanwhile_does_not_any_more_once_somebody_is_back(
    workflows: Workflows, approver: SignedUp, author: SignedUp
) -> None:
    approval, now = workflows.asked(), timezone.now()
    delegate = people.known("author")
    assert delegate
    delegating.go_away(user(approver), delegate, from_at=now, until_at=now + timedelta(days=2), now=now)
    delegating.come_back(user(approver), now=timezone.now())
    with pytest.raises(deciding.NotYours):
        decided(approval, author)
    assert decided(approval, approver).state is State.APPROVED


def test_what_waits_is_handed_over_when_an_absence_begins(
    workflows: Workflows, approver: SignedUp, author: SignedUp
) -> None:
    approval, now = workflows.asked(), timezone.now()
    delegate = people.known("author")
    assert delegate
    delegating.go_away(
        user(approver), delegate, from_at=now + timedelta(hours=3), until_at=now + timedelta(days=2), now=now
    )
    workflows.watch(now + timedelta(hours=2))
    assert "author" not in workflows.people(approval.approval_id)
    workflows.watch(now + timedelta(hours=3, minutes=5))
    assert workflows.people(approval.approval_id)["author"].for_name == "Grace Hopper"


def test_a_late_answer_of_a_member_who_was_not_listed_is_told(
    workflows: Workflows, auditor: SignedUp, deciders: Group, request_type: Callable[..., None]
) -> None:
    request_type(Approver=f"group:{deciders.name}")
    approval = workflows.asked()
    deciders.add(auditor)
    decided(approval, auditor, deciders.name)
    workflows.stop(approval.execution_arn or "")
    workflows.work("approval-answers", "approval-mails")
    assert [mail.to for mail in workflows.mails()] == [auditor.email]


def test_the_timeline_tells_who_asked_nothing_of_others_accounts(
    workflows: Workflows, approver: SignedUp, disable: Callable[[SignedUp], None]
) -> None:
    approval = workflows.asked(ASKED_BY_AUTHOR)
    disable(approver)
    workflows.watch(timezone.now() + timedelta(hours=13))
    workflows.work()
    assert not [step for step in timeline.steps(approval) if "disabled" in step.note]
    assert [step for step in timeline.steps(approval, everything=True) if "disabled" in step.note]


# --- Who asks ---------------------------------------------------------------------------------------------------------


def ask(by: User, manager: str = "") -> Approval:
    return requests.ask(promotion(), {"employeeName": "Ada"}, manager=manager, key="once", by=by, now=timezone.now())


def test_nobody_names_another_account_of_theirs_as_their_manager(workflows: Workflows, approver: SignedUp) -> None:
    saml = User(sub="saml:0123456789", username="Acme_approver", email=approver.email)
    with pytest.raises(requests.NotPossible, match="Only people of the user pool"):
        ask(saml, manager=approver.email)
    twin = User(sub="another-sub", username="Acme_approver", email=approver.email.upper())
    with pytest.raises(requests.NotPossible, match="yourself"):
        ask(twin, manager=approver.email)


def test_another_account_with_the_address_of_who_asks_cannot_decide(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    approvals.replace(
        approval.model_copy(update={"requester_sub": "another-sub", "requester_email": approver.email}), was=approval
    )
    with pytest.raises(deciding.NotYours):
        decided(approval, approver)


def test_where_the_pools_manager_is_disabled_no_friend_can_be_named(
    workflows: Workflows,
    rider: SignedUp,
    approver: SignedUp,
    outsider: SignedUp,
    disable: Callable[[SignedUp], None],
) -> None:
    disable(approver)
    with pytest.raises(requests.NotPossible, match="Ask an operator"):
        ask(user(rider), manager=outsider.email)


# --- What is seen -----------------------------------------------------------------------------------------------------


def test_an_open_one_that_cannot_be_looked_after_is_seen(workflows: Workflows, cloud: TestCloud) -> None:
    approval, now = workflows.asked(), timezone.now()
    cloud.faults.add(service="stepfunctions", action="SendTaskHeartbeat", kind="error")
    for hours in range(1, 4):
        workflows.watch(now + timedelta(hours=hours))
    cloud.faults.clear()
    assert workflows.approval(approval.approval_id).problem_kind is Problem.HEARTBEAT
    workflows.watch(now + timedelta(hours=4))
    assert workflows.approval(approval.approval_id).stuck is None


def test_an_escalation_to_nobody_is_seen(workflows: Workflows, request_type: Callable[..., None]) -> None:
    request_type(Escalation="group:nobody-is-in-there", DeadlineHours=3)
    approval = workflows.asked()
    workflows.watch(timezone.now() + timedelta(hours=4))
    assert workflows.approval(approval.approval_id).problem_kind is Problem.DEADLINE


def test_what_nobody_answered_is_seen(workflows: Workflows) -> None:
    approval = workflows.asked()
    workflows.stop(approval.execution_arn or "")
    until(lambda: workflows.work("executions"))
    workflows.work()
    stored = workflows.approval(approval.approval_id)
    assert (stored.problem_kind, stored.stuck) == (Problem.EXPIRED, "stuck")


def test_several_are_decided_and_one_meets_a_service_that_fails(
    workflows: Workflows, cloud: TestCloud, client_for: Callable[..., Client], approver: SignedUp
) -> None:
    some = [workflows.asked(name=f"n{n}") for n in range(2)]
    client = client_for(approver)
    cloud.faults.add(service="stepfunctions", action="SendTaskHeartbeat", kind="error", skip=1)
    form = {"decision": "approve", "selected": [one.approval_id for one in some]}
    page = client.post("/approvals/decide/", form, follow=True)
    cloud.faults.clear()
    assert sorted(workflows.approval(one.approval_id).state for one in some) == [State.APPROVED, State.OPEN]
    assert "perhaps not decided" in page.content.decode()


def test_a_page_of_an_earlier_round_decides_nothing(
    workflows: Workflows, client_for: Callable[..., Client], approver: SignedUp
) -> None:
    approval = workflows.asked()
    client = client_for(approver)
    workflows.wait_in_vain()
    workflows.question_of(approval.execution_arn or "", round=2)
    old = {"decision": "approve", "reason": "Seen", "round": "1"}
    page = client.post(f"/approvals/{approval.approval_id}/decide/", old)
    assert page.status_code == 409
    assert "has asked anew" in page.content.decode()
    many = {"decision": "approve", "selected": [approval.approval_id], f"round-{approval.approval_id}": "1"}
    client.post("/approvals/decide/", many)
    assert workflows.approval(approval.approval_id).is_open
    client.post(f"/approvals/{approval.approval_id}/decide/", {**old, "round": "2"})
    assert workflows.approval(approval.approval_id).state is State.APPROVED


# --- Writes that meet -------------------------------------------------------------------------------------------------


def refuse_once(monkeypatch: pytest.MonkeyPatch, action: str, answer: Callable[[Any], dict[str, Any]]) -> None:
    """Let one call of DynamoDB fail as on AWS, where somebody else's transaction has the item. The local cloud never
    says so."""
    dynamodb = type(aws.client("dynamodb"))
    real, left = dynamodb._try, [1]

    def refuse(self: Any, called: str, body: bytes) -> dict[str, Any]:
        if called == action and left[0]:
            left[0] -= 1
            raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 400}, **answer(json.loads(body))}, called)  # type: ignore[typeddict-item]
        return real(self, called, body)

    monkeypatch.setattr(dynamodb, "_try", refuse)


def cancelled(asked: Any) -> dict[str, Any]:
    reasons = [{"Code": "None"} for _ in asked["TransactItems"]]
    reasons[-1] = {"Code": "TransactionConflict"}
    return {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}


def test_a_transaction_that_meets_another_is_made_again(
    workflows: Workflows, rider: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_once(monkeypatch, "TransactWriteItems", cancelled)
    assert ask(user(rider)).state is State.STARTING


def test_a_write_that_meets_a_transaction_is_made_again(
    workflows: Workflows, approver: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = workflows.asked()
    refuse_once(monkeypatch, "UpdateItem", lambda asked: {"Error": {"Code": "TransactionConflictException"}})
    ended = assignment.end(approval.approval_id, approver.sub, now=timezone.now())
    assert ended
    assert ended.ended_at is not None


def test_somebody_who_was_replaced_while_they_decide_does_not(
    workflows: Workflows, approver: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = workflows.asked()
    heartbeat = workflow.heartbeat

    def meanwhile(token: str) -> None:
        assignment.end(approval.approval_id, approver.sub, now=timezone.now())
        heartbeat(token)

    monkeypatch.setattr(workflow, "heartbeat", meanwhile)
    with pytest.raises(deciding.NotYours):
        decided(approval, approver)
    assert workflows.approval(approval.approval_id).is_open


def test_somebody_who_was_replaced_while_the_workflow_asks_again_stays_replaced(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = workflows.asked()
    workflows.wait_in_vain()
    until(lambda: cloud.messages(settings.APPROVALS_QUEUE_URL))
    of = assignment.of

    def meanwhile(approval_id: str, **how: Any) -> list[assignment.Assignment]:
        found = of(approval_id, **how)
        monkeypatch.setattr(assignment, "of", of)
        assignment.end(approval_id, approver.sub, now=timezone.now())
        return found

    monkeypatch.setattr(assignment, "of", meanwhile)
    workflows.work("approvals")
    assert workflows.people(approval.approval_id)["approver"].ended_at is not None


def test_a_task_that_cannot_be_put_into_the_queue_is_given_back(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    arn = workflows.start(
        {"managerEmailAddress": approver.email, "employeeName": "Ada"},
        machine=settings.MANUAL_PROMOTION_STATE_MACHINE_ARN,
    )
    until(lambda: "ActivityScheduled" in workflows.kinds(arn))
    task = workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
    assert isinstance(task, Task)
    cloud.faults.add(service="sqs", action="SendMessage", kind="error")
    from approvals import executions

    with pytest.raises(ClientError):
        executions.ask(task)
    assert "ActivityFailed" in workflows.kinds(arn)
    assert workflows.describe(arn)["status"] == "RUNNING", "it is tried again"
