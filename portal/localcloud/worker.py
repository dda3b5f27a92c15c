"""What EventBridge's schedules and Lambda's event source mappings are on AWS, for zappa_settings.json's local stage.

`python -m portal.localcloud.worker`, in a process group of its own. It ends when its launcher does, and begins anew
when a file is saved.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from portal.localcloud.cloud import ACCOUNT, REGION

LAMBDA_SECONDS = 900
FIRST_AFTER_SECONDS = 60
# Lambda begins with five at a time for each queue.
AT_A_TIME = 2
_WAIT_SECONDS = 20  # the longest that SQS holds a question for
_AFTER_A_FAILURE_SECONDS = 5
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}

log = logging.getLogger(__name__)
Handler = Callable[[dict[str, Any], Any], object]


class NotPossible(ValueError):
    """The stage asks for something that Lambda would refuse, or that this worker does not know."""


class Context:
    """Lambda's context of one invocation.

    Reference: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    function_name = "portico-local"

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._ends_at = time.monotonic() + LAMBDA_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - time.monotonic()) * 1000)


@dataclass(frozen=True)
class Queue:
    """A queue whose messages are given to the function, one at a time."""

    arn: str
    handler: Handler

    @property
    def url(self) -> str:
        _, _, _, _, account, name = self.arn.split(":")
        return f"{os.environ['AWS_ENDPOINT_URL']}/{account}/{name}"

    def check(self) -> None:
        """Raises NotPossible for what Lambda refuses: a message that comes again while the function may still run."""
        hidden = _sqs().get_queue_attributes(QueueUrl=self.url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        if int(hidden["VisibilityTimeout"]) < LAMBDA_SECONDS:
            raise NotPossible(f"{self.arn}: its visibility timeout is less than the {LAMBDA_SECONDS} s of a function.")

    def poll(self, wait_seconds: int = _WAIT_SECONDS) -> int:
        """Give the function a message, if one comes, and return how many it was given. One with which the function
        fails stays: SQS gives it again, and moves it to the dead letters in the end."""
        answer = _sqs().receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=1, WaitTimeSeconds=wait_seconds, MessageSystemAttributeNames=["All"]
        )
        messages: list[Any] = list(answer.get("Messages", ()))
        for message in messages:
            if invoke(self.handler, _sqs_event(self.arn, message)):
                _sqs().delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return len(messages)


@dataclass
class Schedule:
    """A function that runs every so often: at first soon, as a rule does that was just made."""

    function: str
    seconds: int
    handler: Handler
    due_at: float = field(default_factory=lambda: time.monotonic() + FIRST_AFTER_SECONDS)

    def fire_if_due(self) -> bool:
        if time.monotonic() < self.due_at:
            return False
        self.due_at += self.seconds
        invoke(self.handler, _scheduled_event(self.function))
        return True


def invoke(handler: Handler, event: dict[str, Any]) -> bool:
    """Give the function an event and return whether it got to its end. Why not is in the log."""
    context = Context()
    try:
        handler(event, context)
    except Exception:  # whatever a function raises is a failed invocation, as on Lambda
        log.exception("invocation %s failed", context.aws_request_id)
        return False
    return True


def read(events: list[dict[str, Any]], handler: Handler) -> tuple[list[Queue], list[Schedule]]:
    """Return what a stage of zappa_settings.json subscribes. Raises NotPossible."""
    queues = [Queue(one["event_source"]["arn"], handler) for one in events if "event_source" in one]
    schedules = [
        Schedule(one["function"], _seconds(one["expression"]), handler) for one in events if "event_source" not in one
    ]
    return queues, schedules


def _seconds(expression: str) -> int:
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if rate is None:
        raise NotPossible(f"{expression}: only rate(…) is known here.")
    return int(rate[1]) * _UNITS[rate[2]]


def _sqs_event(arn: str, message: dict[str, Any]) -> dict[str, Any]:
    """Reference: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }
    return {"Records": [record]}


def _scheduled_event(function: str) -> dict[str, Any]:
    """Return a schedule's event, with the kwargs that Zappa adds.

    Reference: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
    """
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{Context.function_name}-{function}"],
        "detail": {},
        "kwargs": {},
    }


def _sqs() -> Any:
    from django.conf import settings

    from portal import aws

    return aws.client_in("sqs", settings.AWS_REGION)


# --- The process ------------------------------------------------------------------------------------------------------


def work() -> None:
    """Serve the local stage until the process ends."""
    from portal import events
    from portal.lambda_entry import lambda_handler

    queues, schedules = read(events.stages()["local"], lambda_handler)
    for queue in queues:
        queue.check()
    threads = [threading.Thread(target=_for_ever, args=(one,), daemon=True) for one in _loops(queues, schedules)]
    for thread in threads:
        thread.start()
    log.info("%s queues, %s schedules", len(queues), len(schedules))
    for thread in threads:
        thread.join()


def _loops(queues: list[Queue], schedules: list[Schedule]) -> Iterator[Callable[[], object]]:
    for queue in queues:
        yield from [queue.poll] * AT_A_TIME

    def one(schedule: Schedule) -> Callable[[], None]:
        def fire() -> None:
            if not schedule.fire_if_due():
                time.sleep(1)

        return fire

    yield from map(one, schedules)


def _for_ever(act: Callable[[], object]) -> None:
    while True:
        try:
            act()
        except Exception:  # the loop goes on whatever happens, as the event source mapping does
            log.exception("the local cloud did not answer")
            time.sleep(_AFTER_A_FAILURE_SECONDS)


def _end_with_launcher() -> None:
    sys.stdin.read()  # the launcher never writes; the pipe closes when it ends, however that happens
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from django.utils import autoreload

    autoreload.run_with_reloader(work)
