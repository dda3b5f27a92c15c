"""200 approvers decide 1,000 approvals at once over real HTTP on the local cloud, and every message comes twice.

Each approval is a question of a real execution to five of them, who all try to decide it at the same moment. It must be
decided once, everybody else told by whom, and its workflow go on once, with the answer that is stored.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.approvals_outcome import Answer, Outcome, naming_approvers, outcomes
from bench.approvals_portal import Try, decide, id_of, id_token, look, mails, serving
from portal.dynamo.values import from_item
from portal.localcloud import samples
from portal.localcloud.cloud import Cloud, free_port
from portal.localcloud.people import Person

APPROVALS, APPROVERS, EACH = 1000, 200, 5
CONNECTIONS = 1000
TRIES = 5
GIVE_UP_SECONDS = 1800
# The last line of a traceback in the portal's log.
_RAISED = re.compile(r"^[\w.]+: .*", re.MULTILINE)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(port=free_port(), folder=Path(folder), keep=False)
        cloud.start()
        try:
            run(cloud, log=Path(folder, "portal.log"), approvals=APPROVALS)
        finally:
            cloud.stop()


def run(cloud: Cloud, *, log: Path, approvals: int) -> None:
    outputs = cloud.deploy("http://127.0.0.1:8000")
    environment = {**os.environ, **cloud.portal_environment(outputs)}
    cognito, around = cloud.client("cognito-idp"), random.Random(9)
    approvers = [f"approver{n}" for n in range(APPROVERS)]
    for name in approvers:
        samples.add_person(cognito, outputs["UserPoolId"], Person(name, "Approver", name.removeprefix("approver"), ""))
    sight = Sight(cloud, outputs)
    with serving("bench.approvals_worker", "twice", environment=environment) as worker:
        asked = {}
        for n in range(approvals):
            some = around.sample(approvers, EACH)
            asked[sight.start(n, some)] = some
        until(lambda: not sight.messages() and sight.mailed() == approvals * EACH, "asked by mail")
        tries = [
            Try(id_of(arn), name, around.choice(["approved", "rejected"]))
            for arn, some in asked.items()
            for name in some
        ]
        tokens = {name: id_token(cognito, outputs["ApiClientId"], name) for name in approvers}
        port = free_port()
        with log.open("w") as file, serving("bench.server", str(port), environment=environment, log=file):
            look(port, tokens[approvers[0]])  # what a process does once
            began = time.perf_counter()
            first = asyncio.run(rush(port, tokens, tries))
            took = time.perf_counter() - began
            last = asyncio.run(until_answered(port, tokens, first))
        until(lambda: not sight.messages() and sight.are_finished(), "brought to their end")
        # The last line: the metrics of the schedule are there, too.
        failed = Counter(json.loads(worker.communicate()[0].splitlines()[-1]))
    found = sight.outcomes(asked, last)
    reasons = Counter(_RAISED.findall(log.read_text()))
    report(found, first, last, reasons=reasons, failed=failed, took=took)
    wrongs = [wrong for one in found for wrong in one.wrongs()]
    wrongs += [f"{approvals - len(found)} approvals are lost"] * (len(found) != approvals)
    wrongs += [f"{sight.dead_letters()} dead letters"] * (sight.dead_letters() > 0)
    print(f"  wrong                                {len(wrongs)}")
    if wrongs:
        raise SystemExit("\n".join(wrongs[:50]))


def report(
    found: list[Outcome],
    first: list[Answer],
    last: list[Answer],
    *,
    reasons: Counter[str],
    failed: Counter[str],
    took: float,
) -> None:
    again = Counter(one.status for one in last if one.tries > 1)
    print(f"{len(found)} approvals, {len(first)} answers at once over HTTP, every message twice:")
    print(f"  answers                              {dict(Counter(one.status for one in first))}")
    print(f"  of those told to try again, then     {dict(again)}")
    for reason, n in Counter(f"{one.status} {one.said}" for one in first if one.status >= 500).most_common():
        print(f"    {n} × {reason}")
    for reason, n in reasons.most_common():
        print(f"    in the log: {n} × {reason}")
    print(f"  decided                              {dict(Counter(one.approval['State'] for one in found))}")
    print(f"  workflows ended                      {dict(Counter(one.execution['status'] for one in found))}")
    print(f"  mails with a question                {sum(one.mailed.total() for one in found)}")
    print(f"  deliveries that failed and came again {failed.total()}")
    for line, n in failed.most_common():
        print(f"    {n} × {line}")
    print(f"  {len(first) / took:.0f} answers a second here, the local cloud's work included")


# --- The rush ---------------------------------------------------------------------------------------------------------


async def rush(port: int, tokens: dict[str, str], tries: list[Try]) -> list[Answer]:
    """Have everybody decide at the same moment, and return what each was answered."""
    gate, connections = asyncio.Event(), asyncio.Semaphore(CONNECTIONS)

    async def one(attempt: Try) -> Answer:
        await gate.wait()
        async with connections:
            return await decide(port, tokens[attempt.username], attempt)

    asked = [asyncio.create_task(one(attempt)) for attempt in tries]
    await asyncio.sleep(0)
    gate.set()
    return await asyncio.gather(*asked)


async def until_answered(port: int, tokens: dict[str, str], answers: list[Answer]) -> list[Answer]:
    """Have those who were told of a failure try again, as they were told to."""
    last = []
    for answer in answers:
        while answer.status >= 500 and answer.tries < TRIES:
            attempt = Try(answer.approval_id, answer.username, answer.verdict)
            again = await decide(port, tokens[answer.username], attempt)
            answer = replace(again, tries=answer.tries + 1)
        last.append(answer)
    return last


# --- What is around it ------------------------------------------------------------------------------------------------


class Sight:
    """What an administrator does and sees."""

    def __init__(self, cloud: Cloud, outputs: dict[str, str]) -> None:
        self._cloud, self._outputs = cloud, outputs
        self._dynamodb, self._states, self._sqs = map(cloud.client, ("dynamodb", "stepfunctions", "sqs"))
        self._machine = outputs["PromotionStateMachineArn"]
        definition = self._states.describe_state_machine(stateMachineArn=self._machine)["definition"]
        self._states.update_state_machine(stateMachineArn=self._machine, definition=naming_approvers(definition))

    def start(self, number: int, approvers: list[str]) -> str:
        """Start an execution that asks these people, and return its ARN."""
        given = {"employeeName": f"Employee {number}", "approvers": [f"person:{name}" for name in approvers]}
        arn: str = self._states.start_execution(stateMachineArn=self._machine, input=json.dumps(given))["executionArn"]
        return arn

    def items(self, table: str) -> Iterator[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._outputs[table], ConsistentRead=True)
        for page in pages:
            yield from map(from_item, page["Items"])

    def mailed(self) -> int:
        """Return how many assignments have had their mail."""
        return sum(one["Mail"] == "sent" for one in self.items("ApprovalAssignmentsTable"))

    def are_finished(self) -> bool:
        return all("FinishedAt" in one for one in self.items("ApprovalsTable"))

    def messages(self) -> int:
        """Return how many messages are in the approvals' queues, or at work."""
        names = ("ApprovalsQueueUrl", "ApprovalMailsQueueUrl", "ApprovalAnswersQueueUrl", "ExecutionsQueueUrl")
        return sum(self._count(self._outputs[name]) for name in names)

    def dead_letters(self) -> int:
        return self._count(self._outputs["DeadLetterQueueUrl"])

    def _count(self, url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def outcomes(self, arns: Iterable[str], answers: list[Answer]) -> list[Outcome]:
        return outcomes(
            approvals=self.items("ApprovalsTable"),
            assignments=self.items("ApprovalAssignmentsTable"),
            audited=self.items("AuditTable"),
            executions={arn: self._execution(arn) for arn in arns},
            mails=mails(self._cloud),
            answers=answers,
        )

    def _execution(self, arn: str) -> tuple[dict[str, Any], list[str]]:
        events = self._states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return self._states.describe_execution(executionArn=arn), [one["type"] for one in events]


def until(claim: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while not claim():
        if time.monotonic() > give_up_at:
            raise SystemExit(f"After {GIVE_UP_SECONDS} s not all approvals were {what}.")
        time.sleep(1)


if __name__ == "__main__":
    main()
