"""The queues of what is to be done next: the questions, the mails, and the answers.

Reference: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal import aws


@sensitive_variables()
def send_question(message: Mapping[str, Any]) -> None:
    """Ask what an activity's task asks, as a workflow does that sends its question itself."""
    _send(settings.APPROVALS_QUEUE_URL, message)


def send_mail(approval_id: str, sub: str, key: str, *, tries: int = 0, delay_seconds: int = 0) -> None:
    """Have a mail sent. `key` says which ("asked-1"), so that it is sent once."""
    message = {"ApprovalId": approval_id, "Sub": sub, "Key": key, "Tries": tries}
    _send(settings.APPROVAL_MAILS_QUEUE_URL, message, delay_seconds)


def send_answer(approval_id: str) -> None:
    """Have a workflow told of its answer, and the people of the end."""
    _send(settings.APPROVAL_ANSWERS_QUEUE_URL, {"ApprovalId": approval_id})


def _send(url: str, message: Mapping[str, Any], delay_seconds: int = 0) -> None:
    aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(message), DelaySeconds=delay_seconds)
