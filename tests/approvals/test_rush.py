"""Many decide the same at once, and every message comes twice: bench/approvals_rush.py in small."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from approvals.approval import id_of
from bench.approvals_outcome import Answer, naming_approvers, outcomes
from bench.approvals_worker import subscribed, twice
from portal.dynamo.values import from_item
from tests.approvals.conftest import Workflows, until
from tests.conftest import SignedUp, TestCloud

APPROVALS = 12
VERDICTS = {"approve": "approved", "reject": "rejected"}


def _id(arn: str) -> str:
    return id_of(arn, "employee-promotion", 0)


@pytest.fixture
def machine(cloud: TestCloud) -> Iterator[str]:
    """The promotion, with approvers that its input names."""
    states = cloud.admin("stepfunctions")
    promotion = states.describe_state_machine(stateMachineArn=settings.PROMOTION_STATE_MACHINE_ARN)
    made = states.create_state_machine(
        name="rush", definition=naming_approvers(promotion["definition"]), roleArn=promotion["roleArn"]
    )["stateMachineArn"]
    yield made
    states.delete_state_machine(stateMachineArn=made)


@pytest.fixture
def work_twice() -> Callable[[], int]:
    """Return a function that works off the approvals' queues, each message twice at the same moment."""
    from portal.lambda_entry import lambda_handler

    queues, _ = subscribed(twice(lambda_handler))

    def work() -> int:
        worked = 0
        while found := sum(queue.poll(0) for queue in queues):
            worked += found
        return worked

    return work


def test_each_approval_is_decided_once_and_everybody_is_told_the_same(
    workflows: Workflows,
    cloud: TestCloud,
    machine: str,
    work_twice: Callable[[], int],
    approver: SignedUp,
    author: SignedUp,
    operator: SignedUp,
    auditor: SignedUp,
) -> None:
    people = (approver, author, operator, auditor)
    named = [f"person:{person.username}" for person in people]
    arns = [
        workflows.start({"employeeName": f"Employee {n}", "approvers": named}, machine=machine)
        for n in range(APPROVALS)
    ]

    def asked() -> bool:
        work_twice()
        return len(cloud.items("approvals")) == APPROVALS

    until(asked)

    def decide(what: tuple[str, SignedUp, str]) -> Answer:
        arn, person, verdict = what
        for tries in count(1):  # whoever is told of a failure tries again
            answer: Any = Client().post(
                f"/approvals/{_id(arn)}/decision",
                {"Decision": verdict, "Reason": f"So says {person.username}"},
                content_type="application/json",
                headers={"Authorization": f"Bearer {person.id_token}"},
            )
            if answer.status_code < 500 or tries == 5:
                break
        said = json.loads(answer.content).get("Error", "")
        return Answer(_id(arn), person.username, VERDICTS[verdict], answer.status_code, said, tries)

    tries = [
        (arn, person, "approve" if (n + m) % 2 else "reject")
        for n, arn in enumerate(arns)
        for m, person in enumerate(people)
    ]
    # The first answers are delivered while others are still being given.
    with ThreadPoolExecutor(len(people) * 3) as pool:
        answering = [pool.submit(decide, what) for what in tries]
        while not all(one.done() for one in answering):
            work_twice()
    answers = [one.result() for one in answering]
    work_twice()
    executions = {arn: (workflows.ended(arn), workflows.kinds(arn)) for arn in arns}
    work_twice()

    found = outcomes(
        approvals=map(from_item, cloud.items("approvals")),
        assignments=map(from_item, cloud.items("approval_assignments")),
        audited=map(from_item, cloud.items("audit")),
        executions=executions,
        mails=cloud.mails(),
        answers=answers,
    )
    assert len(found) == APPROVALS
    assert [wrong for one in found for wrong in one.wrongs()] == []
    assert workflows.dead_letters == []
