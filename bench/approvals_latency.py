"""How long it takes from the step of a workflow to the mail, in both of the portal's styles and as it was published.

Executions of four state machines start at random moments and are approved as soon as their mail is there:
- "queue" and "activity" are the template's two, with the portal's functions in one process (approvals_worker);
- "loop" and "published" wait with an activity each, polled by the published function (approvals_article): as it was
  published it takes one task a minute, in a loop it takes all that come.

A step is reached when the history says that it was entered, a mail is sent when SES has it. On the local cloud nothing
starts cold, SQS is looked at ten times a second, and an activity's task goes to whoever polls at once. On AWS a cold
start comes on top, and a poll can be blocked for up to a minute.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bench.approvals_portal import Try, decide, id_of, id_token, mails, serving
from portal.localcloud import samples
from portal.localcloud.cloud import Cloud, free_port
from portal.localcloud.people import Person

EACH, MINUTES = 20, 30
GIVE_UP_MINUTES = 30
# A task waits for longer than this where nobody polls.
POLLED = timedelta(seconds=1)
STYLES = ("queue", "activity", "loop", "published")
PEER = "loop"
APPROVER = Person("approver", "Grace", "Hopper", "")
_NAME = re.compile(r"\b(queue|activity|loop|published)-\d+\b")
_TOKEN = re.compile(r"taskToken=([^ ]+)")


@dataclass
class Asked:
    """An execution, and its mail once that is there."""

    style: str
    arn: str
    mail: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Took:
    """How long an execution waited for its mail, and whether somebody polled when it came, or nobody had to."""

    seconds: float
    was_polled: bool


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(port=free_port(), folder=Path(folder), keep=False)
        cloud.start()
        try:
            report(run(cloud, each=EACH, minutes=MINUTES))
        finally:
            cloud.stop()


def report(took: dict[str, list[Took]]) -> None:
    peer = [one.seconds for one in took[PEER]]
    print(
        f"From the step to the mail, {EACH} executions each in {MINUTES} minutes, to the published function in a loop:"
    )
    for style, some in took.items():
        seconds, at_once = [one.seconds for one in some], [one.seconds for one in some if one.was_polled]
        p50, p95 = (percentile(seconds, share) / percentile(peer, share) for share in (50, 95))
        polled = f"{percentile(at_once, 50) / percentile(peer, 50):.1f} ×" if at_once else "–"
        print(
            f"  {style:<10} p50 {p50:7.1f} ×   p95 {p95:7.1f} ×   {len(some) - len(at_once)} came while nobody polled; "
            f"the others' p50 {polled}   ({percentile(seconds, 50):.2f} s, {percentile(seconds, 95):.2f} s)"
        )


def percentile(values: list[float], share: int) -> float:
    """Return the smallest of the values that so many percent do not exceed."""
    return sorted(values)[math.ceil(len(values) * share / 100) - 1]


def run(cloud: Cloud, *, each: int, minutes: float) -> dict[str, list[Took]]:
    outputs = cloud.deploy("http://127.0.0.1:8000")
    samples.add_person(cloud.client("cognito-idp"), outputs["UserPoolId"], APPROVER)
    states = cloud.client("stepfunctions")
    peers = {style: waiting_with_an_activity(states, outputs, style) for style in ("loop", "published")}
    machines = {
        "queue": outputs["PromotionStateMachineArn"],
        "activity": outputs["ManualPromotionStateMachineArn"],
        **{style: machine for style, (machine, _) in peers.items()},
    }
    portal = {**os.environ, **cloud.portal_environment(outputs)}
    administrator = {**os.environ, **cloud.administrator_environment(outputs)}
    port = free_port()
    mail_from = outputs["MailFrom"]
    with (
        serving("bench.approvals_worker", environment=portal),
        serving("bench.server", str(port), environment=portal),
        serving("bench.approvals_article", peers["loop"][1], mail_from, "loop", environment=administrator),
        serving("bench.approvals_article", peers["published"][1], mail_from, environment=administrator),
    ):
        asked = ask(cloud, outputs, port, machines, each=each, seconds=minutes * 60)
    return {style: [took(states, one) for one in asked.values() if one.style == style] for style in STYLES}


def ask(
    cloud: Cloud, outputs: dict[str, str], port: int, machines: dict[str, str], *, each: int, seconds: float
) -> dict[str, Asked]:
    """Start executions at random moments, approve each as soon as its mail is there, and return them by name."""
    states, cognito, around = cloud.client("stepfunctions"), cloud.client("cognito-idp"), random.Random(10)
    due = sorted((around.uniform(0, seconds), f"{style}-{n}", style) for style in STYLES for n in range(each))
    asked: dict[str, Asked] = {}
    began = time.monotonic()
    while due or any(one.mail is None for one in asked.values()):
        if time.monotonic() > began + seconds + GIVE_UP_MINUTES * 60:
            raise SystemExit(f"No mail came for {[name for name, one in asked.items() if one.mail is None]}.")
        while due and time.monotonic() >= began + due[0][0]:
            _, name, style = due.pop(0)
            given = json.dumps({"managerEmailAddress": APPROVER.email, "employeeName": name})
            answer = states.start_execution(stateMachineArn=machines[style], input=given)
            asked[name] = Asked(style, answer["executionArn"])
        for mail in mails(cloud):
            found = _NAME.search(mail["BodyHtml"])
            if found and asked[found[0]].mail is None:
                asked[found[0]].mail = mail
                if token := _TOKEN.search(mail["BodyHtml"]):
                    states.send_task_success(taskToken=unquote(token[1]), output="{}")
                else:
                    approve(port, id_token(cognito, outputs["ApiClientId"], APPROVER.username), asked[found[0]].arn)
        time.sleep(0.5)
    return asked


def approve(port: int, token: str, arn: str) -> None:
    """Approve an execution's question; whoever is told of a failure tries again."""
    attempt = Try(id_of(arn), APPROVER.username, "approved")
    while (answer := asyncio.run(decide(port, token, attempt))).status >= 500:
        time.sleep(1)
    assert answer.status in (200, 409), answer


def waiting_with_an_activity(states: Any, outputs: Mapping[str, str], name: str) -> tuple[str, str]:
    """Make a state machine that waits with an activity of its own, as the published one does, and return both ARNs."""
    activity = states.create_activity(name=name)["activityArn"]
    definition = {
        "StartAt": "ManualStep",
        "States": {
            "ManualStep": {"Type": "Task", "Resource": activity, "TimeoutSeconds": 3600, "Next": "Promoted"},
            "Promoted": {"Type": "Succeed"},
        },
    }
    role = states.describe_state_machine(stateMachineArn=outputs["PromotionStateMachineArn"])["roleArn"]
    made = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
    return made["stateMachineArn"], activity


def took(states: Any, asked: Asked) -> Took:
    at: dict[str, datetime] = {}
    for event in states.get_execution_history(executionArn=asked.arn)["events"]:
        at.setdefault(event["type"], event["timestamp"])
    assert asked.mail
    waited = at["ActivityStarted"] - at["ActivityScheduled"] if "ActivityStarted" in at else timedelta()
    return Took(asked.mail["Timestamp"] - at["TaskStateEntered"].timestamp(), waited < POLLED)


if __name__ == "__main__":
    main()
