"""What the queues and schedules call: see zappa_settings.json. Each function may come twice for the same message."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from approvals import asking, executions, finishing, mailing, metrics, watching, workflow

# What is left of the function's time for what it is in the middle of.
_SPARE_SECONDS = 30
# A poll that begins after that may not be over when the next minute's schedule comes.
_LAST_POLL_SECONDS = 45

log = logging.getLogger(__name__)


@sensitive_variables()
def ask(event: Mapping[str, Any], context: Any) -> None:
    """Put workflows' questions before people."""
    for record in event["Records"]:
        asking.receive(record["body"], now=timezone.now())


def mail(event: Mapping[str, Any], context: Any) -> None:
    """Send mails about approvals."""
    for record in event["Records"]:
        wanted = json.loads(record["body"])
        mailing.send(
            wanted["ApprovalId"], wanted["Sub"], wanted["Key"], tries=int(wanted.get("Tries", 0)), now=timezone.now()
        )


def finish(event: Mapping[str, Any], context: Any) -> None:
    """Bring answers to their workflows, and tell the people."""
    for record in event["Records"]:
        finishing.finish(json.loads(record["body"])["ApprovalId"], now=timezone.now())


def on_execution(event: Mapping[str, Any], context: Any) -> None:
    """Close what an execution waited for that is over."""
    for record in event["Records"]:
        executions.ended(json.loads(record["body"])["detail"], now=timezone.now())


def watch(event: Mapping[str, Any], context: Any) -> None:
    """Remind, escalate, and go on where something was left behind."""
    watching.watch(now=timezone.now(), seconds=context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
    metrics.stuck_approvals(watching.stuck())


@sensitive_variables()
def poll_activities(event: Mapping[str, Any], context: Any) -> None:
    """Take what workflows ask with an activity, and put it into the queue of those that ask by themselves. Where none
    runs that has not asked yet, nobody waits a minute for it."""
    until = time.monotonic() + _LAST_POLL_SECONDS
    while time.monotonic() < until and executions.any_unasked():
        task = workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
        if task is None:
            return
        executions.ask(task)
