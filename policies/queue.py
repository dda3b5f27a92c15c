"""The queue of runs that are to go on: `policies.tasks.go_on` receives what is sent here.

Reference: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""

from __future__ import annotations

import json

from django.conf import settings

from portal import aws


def send(run_id: str, *, delay_seconds: int = 0) -> None:
    """Have the run begin, or go on, in an invocation of its own."""
    aws.client("sqs").send_message(
        QueueUrl=settings.POLICY_RUNS_QUEUE_URL,
        MessageBody=json.dumps({"RunId": run_id}),
        DelaySeconds=delay_seconds,
    )
