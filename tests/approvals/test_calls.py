"""What asking, deciding and delivering cost in AWS calls: the table in docs/approvals.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence

from django.conf import settings
from django.utils import timezone

from approvals import deciding, tasks
from approvals.approval import State, approvals, id_of
from tests.approvals.conftest import Workflows, until, user
from tests.conftest import SignedUp, TestCloud

Calls = dict[tuple[str, str], int]

ASKED: Calls = {
    ("dynamodb", "Scan"): 1,  # the request types
    ("dynamodb", "GetItem"): 2,  # the approval, and whether the approver is away
    ("dynamodb", "PutItem"): 1,  # the mail's link
    ("dynamodb", "TransactWriteItems"): 2,  # the question, and that its mail was sent
    ("cognito-idp", "AdminGetUser"): 1,
    ("sesv2", "SendEmail"): 1,
}
ANOTHER_ASKED: Calls = {
    ("dynamodb", "GetItem"): 1,
    ("dynamodb", "PutItem"): 1,
    ("dynamodb", "TransactWriteItems"): 1,
    ("cognito-idp", "AdminGetUser"): 1,
    ("sesv2", "SendEmail"): 1,
}
DECIDED: Calls = {
    ("dynamodb", "GetItem"): 2,  # the approval, and whether they are asked
    ("cognito-idp", "AdminGetUser"): 1,
    ("stepfunctions", "SendTaskHeartbeat"): 1,
    ("dynamodb", "TransactWriteItems"): 1,
    ("sqs", "SendMessage"): 1,
}
DELIVERED: Calls = {
    ("dynamodb", "GetItem"): 3,
    ("stepfunctions", "SendTaskSuccess"): 1,
    ("dynamodb", "Query"): 1,  # who was asked
    ("dynamodb", "UpdateItem"): 2,  # that it is being sent, and it leaves their inbox
    ("dynamodb", "TransactWriteItems"): 1,
}
ANOTHERS_INBOX: Calls = {("dynamodb", "GetItem"): 1, ("dynamodb", "UpdateItem"): 1}
REQUESTER_TOLD: Calls = {
    ("dynamodb", "GetItem"): 3,
    ("dynamodb", "PutItem"): 1,  # that there are mails to them
    ("dynamodb", "UpdateItem"): 1,
    ("cognito-idp", "AdminGetUser"): 1,
    ("sesv2", "SendEmail"): 1,
    ("dynamodb", "TransactWriteItems"): 1,
}


def added(*some: Calls) -> Calls:
    return dict(sum(map(Counter, some), Counter()))


class Counting:
    """Does one thing after the other, and counts the calls of each."""

    def __init__(self, workflows: Workflows, cloud: TestCloud) -> None:
        self._workflows, self._cloud = workflows, cloud
        self.approval_id = self.answer = ""

    def ask(self, *, approvers: Sequence[str] = (), **given: str) -> Calls:
        arn = self._workflows.start({"managerEmailAddress": "approver@example.com", "employeeName": "Ada", **given})
        self.approval_id = id_of(arn, "employee-promotion", 0)
        message = json.loads(self._taken(settings.APPROVALS_QUEUE_URL))
        return self._given(tasks.ask, json.dumps({**message, "Approvers": approvers}))

    def decide(self, person: SignedUp, *groups: str) -> Calls:
        now, by = timezone.now(), user(person, *groups)
        return self._counted(lambda: deciding.decide(self.approval_id, State.APPROVED, reason="", by=by, now=now))

    def deliver(self) -> Calls:
        self.answer = self._taken(settings.APPROVAL_ANSWERS_QUEUE_URL)
        return self.deliver_again()

    def deliver_again(self) -> Calls:
        return self._given(tasks.finish, self.answer)

    def mail(self) -> Calls:
        return self._given(tasks.mail, self._taken(settings.APPROVAL_MAILS_QUEUE_URL))

    def _taken(self, queue_url: str) -> str:
        """Take a queue's message, as Lambda does: that is not counted."""
        [body] = until(lambda: self._cloud.messages(queue_url))
        self._cloud.admin("sqs").purge_queue(QueueUrl=queue_url)
        return str(body)

    def _given(self, task: Callable[..., None], body: str) -> Calls:
        return self._counted(lambda: task({"Records": [{"body": body}]}, None))

    def _counted(self, act: Callable[[], object]) -> Calls:
        self._cloud.forget_calls()
        act()
        return dict(self._cloud.calls())


def test_a_question_with_one_approver_from_asking_to_its_end(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    counting = Counting(workflows, cloud)
    assert counting.ask() == ASKED
    assert counting.decide(approver) == DECIDED
    assert counting.deliver() == DELIVERED
    assert approvals.get(counting.approval_id).finished_at, "that was all of it"


def test_each_further_approver(workflows: Workflows, cloud: TestCloud, approver: SignedUp) -> None:
    counting = Counting(workflows, cloud)
    some = ["person:approver", "person:author", "person:operator"]
    assert counting.ask(approvers=some) == added(ASKED, ANOTHER_ASKED, ANOTHER_ASKED)
    assert counting.decide(approver) == DECIDED
    assert counting.deliver() == added(DELIVERED, ANOTHERS_INBOX, ANOTHERS_INBOX)


def test_a_group_is_looked_up_when_it_is_asked_and_again_when_it_decides(
    workflows: Workflows, cloud: TestCloud, operator: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type(Approver="group:operators")
    counting = Counting(workflows, cloud)
    asked = counting.ask()
    assert asked.pop(("cognito-idp", "ListUsersInGroup")) == 1
    assert added(asked, {("cognito-idp", "AdminGetUser"): 1}) == ASKED
    assert counting.decide(operator, "operators") == added(DECIDED, {("cognito-idp", "AdminListGroupsForUser"): 1})


def test_telling_who_asked_for_it(workflows: Workflows, cloud: TestCloud, approver: SignedUp, rider: SignedUp) -> None:
    counting = Counting(workflows, cloud)
    assert counting.ask(requester=rider.username) == added(ASKED, {("cognito-idp", "AdminGetUser"): 1})
    assert counting.decide(approver) == DECIDED
    assert counting.deliver() == added(DELIVERED, {("sqs", "SendMessage"): 1})
    assert counting.mail() == REQUESTER_TOLD
    assert [mail.to for mail in workflows.mails()] == [approver.email, rider.email]


def test_an_answer_that_is_delivered_twice_costs_one_call(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    counting = Counting(workflows, cloud)
    counting.ask()
    counting.decide(approver)
    counting.deliver()
    assert counting.deliver_again() == {("dynamodb", "GetItem"): 1}
