"""A workflow's question becomes one approval, however often it comes, and the right people get one mail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import absence, asking, assignment, deciding, finishing, people
from approvals.absence import Absence
from approvals.approval import Problem, State, approvals, of_execution
from approvals.assignment import How
from approvals.deciding import AskedAnew, NotYours
from approvals.question import NotAQuestion, read
from tests.approvals.conftest import Group, Workflows, until, user
from tests.conftest import SignedUp, TestCloud


def question(**changes: Any) -> str:
    said = {
        "Type": "employee-promotion",
        "TaskToken": "token-of-nobody",
        "Input": {"employeeName": "Ada", "managerEmailAddress": "approver@example.com"},
    }
    return json.dumps({name: value for name, value in {**said, **changes}.items() if value is not None})


def bodies(cloud: TestCloud) -> list[str]:
    """Return the questions that are in the queue, once there is one."""
    return list(until(lambda: cloud.messages(settings.APPROVALS_QUEUE_URL)))


# --- Once -------------------------------------------------------------------------------------------------------------


def test_a_message_delivered_twice_is_one_approval_and_one_mail(workflows: Workflows, cloud: TestCloud) -> None:
    workflows.start({"managerEmailAddress": "approver@example.com", "employeeName": "Ada"})
    [body] = bodies(cloud)
    first = asking.receive(body, now=timezone.now())
    second = asking.receive(body, now=timezone.now())
    assert first
    assert second
    assert first.approval_id == second.approval_id
    assert len(cloud.items("approvals")) == 1
    assert len(workflows.mails()) == 1


def test_a_crash_before_the_mail_is_made_good_by_the_next_delivery(
    workflows: Workflows, cloud: TestCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflows.start({"managerEmailAddress": "approver@example.com", "employeeName": "Ada"})
    [body] = bodies(cloud)
    with monkeypatch.context() as crash:
        crash.setattr("approvals.mailing.deliver", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asking.receive(body, now=timezone.now())
    assert workflows.mails() == []
    # At once it could be that somebody is at it; not any more when the queue gives the message again.
    asking.receive(body, now=timezone.now())
    assert workflows.mails() == []
    asking.receive(body, now=timezone.now() + timedelta(minutes=16))
    assert len(workflows.mails()) == 1


def test_a_workflow_that_asks_again_after_its_timeout_asks_the_same_question(
    workflows: Workflows, approver: SignedUp
) -> None:
    approval = workflows.asked()
    workflows.wait_in_vain()
    again = workflows.question_of(approval.execution_arn, round=2)
    assert again.approval_id == approval.approval_id
    assert (again.state, again.round) == (State.OPEN, 2)
    assert again.task_token != approval.task_token
    assert [mail.to for mail in workflows.mails()] == [approver.email] * 2


def test_after_the_second_timeout_the_workflow_escalates(
    workflows: Workflows, approver: SignedUp, operator: SignedUp
) -> None:
    approval = workflows.asked()
    workflows.wait_in_vain()
    workflows.question_of(approval.execution_arn, round=2)
    workflows.wait_in_vain()
    escalated = workflows.question_of(approval.execution_arn, round=3)
    assert escalated.escalated_at is not None
    asked = workflows.people(approval.approval_id)
    assert asked["operator"].how is How.ESCALATION
    assert asked["approver"].may_decide
    assert operator.email in [mail.to for mail in workflows.mails()]
    deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(operator, "operators"), now=timezone.now())
    workflows.work()
    assert workflows.ended(approval.execution_arn)["status"] == "SUCCEEDED"


def test_two_questions_of_one_execution_at_once_are_two_approvals(workflows: Workflows, cloud: TestCloud) -> None:
    states, role = cloud.admin("stepfunctions"), _role(cloud)
    ask = json.loads(states.describe_state_machine(stateMachineArn=settings.PROMOTION_STATE_MACHINE_ARN)["definition"])
    branch = {**ask["States"]["Ask"], "End": True}
    for name in ("Next", "Catch", "Retry"):
        branch.pop(name)
    both = {
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Parallel",
                "Branches": [{"StartAt": name, "States": {name: branch}} for name in ("One", "Two")],
                "End": True,
            }
        },
    }
    machine = states.create_state_machine(name="both", definition=json.dumps(both), roleArn=role)["stateMachineArn"]
    try:
        workflows.start({"managerEmailAddress": "approver@example.com", "employeeName": "Ada"}, machine=machine)
        until(lambda: len(cloud.messages(settings.APPROVALS_QUEUE_URL)) == 2)
        workflows.work()
        assert len(cloud.items("approvals")) == 2
        assert len(workflows.mails()) == 2
    finally:
        states.delete_state_machine(stateMachineArn=machine)


def _role(cloud: TestCloud) -> str:
    machine = settings.PROMOTION_STATE_MACHINE_ARN
    return str(cloud.admin("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"])


def test_an_answer_that_meets_the_timeout_is_late_and_people_are_asked_again(
    workflows: Workflows, approver: SignedUp
) -> None:
    approval = workflows.asked()
    deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())
    workflows.wait_in_vain()
    # Nobody brings the answer until the workflow has given up and asks once more.
    until(lambda: workflows.kinds(approval.execution_arn or "").count("TaskSubmitted") == 2)
    workflows.work()
    late = workflows.approval(approval.approval_id)
    assert (late.state, late.is_late) == (State.EXPIRED, True)
    [again] = [one for one in of_execution(approval.execution_arn or "") if one.is_open]
    assert again.approval_id != approval.approval_id
    assert "Your answer came too late: Employee promotion: Ada" in [mail.subject for mail in workflows.mails()]
    deciding.decide(again.approval_id, State.REJECTED, reason="No", by=user(approver), now=timezone.now())
    workflows.work()
    assert workflows.ended(approval.execution_arn or "")["error"] == "Rejected"


# --- What an execution asks -------------------------------------------------------------------------------------------


class Machine:
    """A state machine of somebody else, whose states ask one after the other or at once."""

    def __init__(self, cloud: TestCloud) -> None:
        self._states, self._role = cloud.admin("stepfunctions"), _role(cloud)
        self.arn = ""

    def state(self, type_id: str = "employee-promotion", **more: Any) -> dict[str, Any]:
        said = {
            "Type": type_id,
            "TaskToken.$": "$$.Task.Token",
            "Execution.$": "$$.Execution.Id",
            "Input.$": "$",
            **more.pop("said", {}),
        }
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": settings.APPROVALS_QUEUE_URL, "MessageBody": said},
            "ResultPath": None,
            **more,
        }

    def make(self, definition: dict[str, Any]) -> str:
        self.arn = self._states.create_state_machine(
            name="of-somebody", definition=json.dumps(definition), roleArn=self._role
        )["stateMachineArn"]
        return self.arn

    def delete(self) -> None:
        if self.arn:
            self._states.delete_state_machine(stateMachineArn=self.arn)


@pytest.fixture
def machine(cloud: TestCloud) -> Iterator[Machine]:
    some = Machine(cloud)
    yield some
    some.delete()


def one_after_the_other(machine: Machine, **second: Any) -> str:
    return machine.make(
        {"StartAt": "A", "States": {"A": machine.state(Next="B"), "B": machine.state(End=True, **second)}}
    )


def test_the_answer_to_one_question_is_never_given_to_the_next(
    workflows: Workflows, cloud: TestCloud, machine: Machine, approver: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = workflows.asked(machine=one_after_the_other(machine))
    deciding.decide(first.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())
    # The workflow has its answer, and nobody has written that down.
    with monkeypatch.context() as crash:
        crash.setattr(assignment, "close", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            finishing.finish(first.approval_id, now=timezone.now())
    until(lambda: cloud.messages(settings.APPROVALS_QUEUE_URL))
    workflows.work("approvals")
    assert workflows.describe(first.execution_arn or "")["status"] == "RUNNING"
    [second] = [one for one in of_execution(first.execution_arn or "") if one.is_open]
    workflows.work()
    stored = workflows.approval(first.approval_id)
    assert (stored.state, stored.is_late, second.decided_by) == (State.APPROVED, False, "")


def test_another_type_after_a_timeout_is_for_its_own_approvers(
    workflows: Workflows, machine: Machine, author: SignedUp, approver: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type()
    request_type("board", Title="Board", Approver="person:author")
    catch = {"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": "B"}
    first = machine.state(TimeoutSeconds=3600, Catch=[catch], End=True)
    states = {"A": first, "B": machine.state("board", End=True)}
    asked = workflows.asked(machine=machine.make({"StartAt": "A", "States": states}))
    workflows.wait_in_vain()
    until(lambda: workflows.work("approvals"))
    [board] = [one for one in of_execution(asked.execution_arn or "") if one.title == "Board"]
    assert list(workflows.people(board.approval_id)) == [author.username]
    with pytest.raises(NotYours):
        deciding.decide(board.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now())


def test_a_message_that_nobody_waits_for_any_more_asks_nobody(workflows: Workflows, cloud: TestCloud) -> None:
    arn = workflows.start({"managerEmailAddress": "approver@example.com", "employeeName": "Ada"})
    [first] = bodies(cloud)
    workflows.wait_in_vain()
    until(lambda: len(cloud.messages(settings.APPROVALS_QUEUE_URL)) == 2)
    [second] = [one for one in cloud.messages(settings.APPROVALS_QUEUE_URL) if one != first]
    assert asking.receive(second, now=timezone.now())
    assert asking.receive(first, now=timezone.now()) is None
    assert len(of_execution(arn)) == 1
    assert len(workflows.mails()) == 1


def test_who_decides_decides_what_they_saw(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    workflows.wait_in_vain()
    workflows.question_of(approval.execution_arn or "", round=2)
    with pytest.raises(AskedAnew):
        deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now(), round=1)
    decided = deciding.decide(
        approval.approval_id, State.APPROVED, reason="", by=user(approver), now=timezone.now(), round=2
    )
    assert decided.state is State.APPROVED


def test_somebody_who_asks_and_whom_nobody_knows_fails_the_task(workflows: Workflows, machine: Machine) -> None:
    arn = workflows.start({"employeeName": "Ada", "requester": "nobody@example.com"})
    until(lambda: workflows.work("approvals"))
    end = workflows.ended(arn)
    assert end["error"] == "Approvals.BadQuestion"
    assert "Requester" in end["cause"]


# --- Whom -------------------------------------------------------------------------------------------------------------


def test_the_requester_is_not_asked_even_where_they_are_named(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": approver.username}
    )
    assert approval.requester_sub == approver.sub
    assert (approval.problem_kind, approval.stuck) == (Problem.NOBODY, "stuck")
    assert workflows.mails() == []


def test_the_requesters_manager_is_asked_where_the_input_names_none(
    workflows: Workflows, approver: SignedUp, rider: SignedUp
) -> None:
    approval = workflows.asked({"employeeName": "Ada", "requester": rider.email})
    assert list(workflows.people(approval.approval_id)) == [approver.username]


def test_every_member_of_a_group_is_asked(
    workflows: Workflows, operator: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type(Approver="group:operators")
    approval = workflows.asked()
    asked = workflows.people(approval.approval_id)
    assert (asked["operator"].how, asked["operator"].group) == (How.GROUP, "operators")
    assert approval.groups == ("operators",)


def test_a_workflow_may_name_the_approvers_itself(
    workflows: Workflows, author: SignedUp, auditor: SignedUp, deciders: Group
) -> None:
    deciders.add(auditor)
    named = [f"person:{author.email}", f"group:{deciders.name}"]
    asking.receive(question(Approvers=named), now=timezone.now())
    [one] = [approvals.load(item) for item in workflows._cloud.items("approvals")]
    assert set(workflows.people(one.approval_id)) == {author.username, auditor.username}


def test_who_answers_for_somebody_away_is_asked_as_well(
    workflows: Workflows, approver: SignedUp, author: SignedUp
) -> None:
    now = timezone.now()
    absence.absences.add(
        Absence(
            sub=approver.sub,
            from_at=now - timedelta(days=1),
            until_at=now + timedelta(days=1),
            delegate_sub=author.sub,
            delegate_username=author.username,
            delegate_name="Mary Shelley",
            expires_at=int(now.timestamp()) + 10**6,
        )
    )
    approval = workflows.asked()
    asked = workflows.people(approval.approval_id)
    assert (asked["author"].how, asked["author"].for_name) == (How.DELEGATE, "Grace Hopper")
    assert asked["approver"].may_decide
    assert {mail.to for mail in workflows.mails()} == {approver.email, author.email}


def test_a_disabled_person_is_not_asked(
    workflows: Workflows, approver: SignedUp, disable: Callable[[SignedUp], None]
) -> None:
    disable(approver)
    approval = workflows.asked()
    assert approval.problem_kind is Problem.NOBODY
    assert "the manager approver@example.com: not in the user pool, disabled" in approval.problem
    assert people.known(approver.username) is None


# --- What is no question ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "[]",
        "{}",
        '{"Type": "employee-promotion"}',
        question(TaskToken=""),
        question(TaskToken=7),
        question(TaskToken=None),
        question(TaskToken="x" * 3000),
        question(Type=None),
        question(Type="x" * 100),
        question(Input="text"),
        question(Input=[1]),
        question(Approvers=["somebody"]),
        question(Approvers=["person:a"] * 21),
        question(Requester="x" * 200),
        question(Execution="x" * 5000),
    ],
)
def test_what_is_no_question_is_refused_without_its_token(body: str) -> None:
    with pytest.raises(NotAQuestion) as error:
        read(body)
    assert "token-of-nobody" not in str(error.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(NotAQuestion, match="Type: Field required"):
        read(question(Type=None))


def test_a_token_is_in_no_words_of_a_question() -> None:
    assert "token-of-nobody" not in repr(read(question()))


def test_a_question_of_an_unknown_type_fails_its_task_at_once(workflows: Workflows, cloud: TestCloud) -> None:
    definition = {
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {
                    "QueueUrl": settings.APPROVALS_QUEUE_URL,
                    "MessageBody": {"Type": "no-such-thing", "TaskToken.$": "$$.Task.Token"},
                },
                "End": True,
            }
        },
    }
    states = cloud.admin("stepfunctions")
    machine = states.create_state_machine(name="unknown-type", definition=json.dumps(definition), roleArn=_role(cloud))[
        "stateMachineArn"
    ]
    try:
        arn = workflows.start({}, machine=machine)
        bodies(cloud)
        workflows.work()
        end = workflows.ended(arn)
    finally:
        states.delete_state_machine(stateMachineArn=machine)
    assert (end["status"], end["error"]) == ("FAILED", "Approvals.BadQuestion")
    assert "no-such-thing" in end["cause"]
    assert workflows.dead_letters == []
    assert cloud.items("approvals") == []


def test_a_hundred_kilobytes_of_markup_are_cut_and_escaped(workflows: Workflows, approver: SignedUp) -> None:
    evil = "<script>alert(1)</script>\r\nBcc: eve@example.com\r\n\r\n" + "<b>x" * 25_000
    workflows.asked({"managerEmailAddress": approver.email, "employeeName": evil})
    [mail] = workflows.mails()
    assert mail.to == approver.email
    assert "\n" not in mail.subject
    assert len(mail.subject.strip()) <= 150
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert len(mail.text) < 10_000
