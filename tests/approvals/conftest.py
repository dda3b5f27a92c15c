"""Workflows on the local cloud, and what the queues and schedules would have done by now."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import assignment, watching
from approvals.approval import Approval, approvals, of_execution
from approvals.assignment import Assignment
from portal import events
from portal.accounts.models import User
from portal.localcloud.worker import Queue, read
from tests.conftest import SignedUp, TestCloud

SECONDS = 10


def until(claim: Callable[[], Any], *, seconds: float = SECONDS) -> Any:
    """Ask until what is claimed is so, and return what was answered."""
    end = time.monotonic() + seconds
    while not (answer := claim()):
        assert time.monotonic() < end, "It did not come true."
        time.sleep(0.02)
    return answer


def user(person: SignedUp, *groups: str) -> User:
    """Return who asks, as their ID token would say."""
    one = User(
        sub=person.sub,
        username=person.username,
        email=person.email,
        given_name=person.given_name,
        family_name=person.family_name,
    )
    one.groups = groups
    return one


@dataclass(frozen=True)
class Mail:
    to: str
    subject: str
    text: str
    html: str

    @property
    def links(self) -> dict[str, str]:
        """Where "Approve" and "Reject" lead: addresses without the host."""
        found = re.findall(r"(Approve|Reject): (\S+)", self.text)
        return {word.lower(): address.removeprefix(settings.PORTAL_URL) for word, address in found}


class Workflows:
    """The state machines, and the functions of the portal that work off what they send."""

    def __init__(self, cloud: TestCloud) -> None:
        # Its import wants the portal's credentials.
        from portal.lambda_entry import lambda_handler

        self._cloud = cloud
        self._states = cloud.admin("stepfunctions")
        found: list[Queue] = read(events.stages()["local"], lambda_handler)[0]
        self._queues = {queue.arn.rpartition(":")[2].removeprefix("portico-"): queue for queue in found}
        self._seen = 0

    # --- Workflows ---

    def start(self, given: Any, *, machine: str = "", name: str = "") -> str:
        """Start an execution as anybody may who has the credentials, and return its ARN."""
        more = {"name": name} if name else {}
        arn: str = self._states.start_execution(
            stateMachineArn=machine or settings.PROMOTION_STATE_MACHINE_ARN, input=json.dumps(given), **more
        )["executionArn"]
        return arn

    def describe(self, arn: str) -> dict[str, Any]:
        return dict(self._states.describe_execution(executionArn=arn))

    def ended(self, arn: str, *, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait until an execution is over."""

        def over() -> dict[str, Any] | None:
            found = self.describe(arn)
            return found if found["status"] != "RUNNING" else None

        return dict(until(over, seconds=seconds))

    def kinds(self, arn: str) -> list[str]:
        """Return the types of an execution's events, oldest first."""
        return [one["type"] for one in self._states.get_execution_history(executionArn=arn)["events"]]

    def stop(self, arn: str) -> None:
        self._states.stop_execution(executionArn=arn)

    def wait_in_vain(self, *, days: float = 4) -> None:
        """Let as many days pass for what waits: the template's workflows wait for three."""
        self._cloud.let_workflows_wait(days=days)

    # --- The portal's functions ---

    def work(self, *names: str, wait_seconds: int = 0) -> int:
        """Work off queues, all of the approvals' if none is named, until nothing is left; return how many messages."""
        worked = 0
        while True:
            found = sum(
                self._queues[name].poll(wait_seconds)
                for name in names or ("approvals", "approval-mails", "approval-answers", "executions")
            )
            worked += found
            if not found:
                return worked
            wait_seconds = 0

    def asked(self, given: Any = None, **how: Any) -> Approval:
        """Start an execution and return the approval that its question has become."""
        arn = self.start(given or {"managerEmailAddress": "approver@example.com", "employeeName": "Ada"}, **how)
        return self.question_of(arn)

    def question_of(self, arn: str, *, round: int = 1) -> Approval:  # noqa: A002 - the attribute's name
        """Return the approval of an execution once it has asked so often."""

        def came() -> Approval | None:
            self.work()
            asked = [one for one in of_execution(arn) if one.task_token and one.round >= round]
            return asked[0] if asked else None

        return until(came)  # type: ignore[no-any-return]

    def watch(self, at: datetime | None = None) -> int:
        """Do what the schedule does, at another moment if one is given."""
        return watching.watch(now=at or timezone.now(), seconds=30)

    # --- What came of it ---

    def mails(self) -> list[Mail]:
        """Return the mails that were sent since the test began."""
        return [
            Mail(", ".join(one["To"]), one["Subject"], one["BodyText"], one["BodyHtml"])
            for one in self._cloud.mails()[self._seen :]
        ]

    def forget_mails(self) -> None:
        self._seen = len(self._cloud.mails())

    def approval(self, approval_id: str) -> Approval:
        return approvals.get(approval_id, consistent=True)

    def people(self, approval_id: str) -> dict[str, Assignment]:
        """Return who is or was asked, by user name."""
        return {one.username: one for one in assignment.of(approval_id)}

    def audited(self, approval_id: str) -> list[tuple[str, str]]:
        """Return (who, what) of the audit log about an approval, oldest first."""
        found = [one for one in self._cloud.items("audit") if one["Object"]["S"] == f"approvals.approval/{approval_id}"]
        return [
            (one["ActorName"]["S"], one["Action"]["S"]) for one in sorted(found, key=lambda one: one["EntryId"]["S"])
        ]

    @property
    def dead_letters(self) -> list[str]:
        return self._cloud.messages(settings.DEAD_LETTER_QUEUE_URL)


@pytest.fixture
def workflows(cloud: TestCloud) -> Iterator[Workflows]:
    cloud.end_executions()
    some = Workflows(cloud)
    some.forget_mails()
    yield some
    cloud.end_executions()


class Group:
    """A group of the user pool that nobody else's test puts people into."""

    def __init__(self, cloud: TestCloud) -> None:
        self._cognito, self._pool = cloud.admin("cognito-idp"), cloud.outputs["UserPoolId"]
        self.name = f"deciders-{uuid.uuid4().hex[:8]}"
        self._cognito.create_group(UserPoolId=self._pool, GroupName=self.name)

    def add(self, person: SignedUp) -> None:
        who = {"UserPoolId": self._pool, "Username": person.username, "GroupName": self.name}
        self._cognito.admin_add_user_to_group(**who)

    def remove(self, person: SignedUp) -> None:
        who = {"UserPoolId": self._pool, "Username": person.username, "GroupName": self.name}
        self._cognito.admin_remove_user_from_group(**who)

    def delete(self) -> None:
        self._cognito.delete_group(UserPoolId=self._pool, GroupName=self.name)


@pytest.fixture
def deciders(cloud: TestCloud) -> Iterator[Group]:
    some = Group(cloud)
    yield some
    some.delete()


@pytest.fixture
def request_type(cloud: TestCloud) -> Callable[..., None]:
    """Return a function that writes a request type as an operator has edited it."""

    def write(type_id: str = "employee-promotion", **attributes: Any) -> None:
        from portal.dynamo.values import to_item

        item = {
            "TypeId": type_id,
            "Title": "Employee promotion",
            "Fields": "employeeName: Employee",
            "Approver": "manager",
            "DeadlineHours": 48,
            "ReminderHours": 12,
            "Reminders": 3,
            "ReasonDue": "reject",
            "Workflow": "promotion",
            "Enabled": True,
            **attributes,
        }
        cloud.admin("dynamodb").put_item(TableName=settings.TABLES["request_types"], Item=to_item(item))

    return write
