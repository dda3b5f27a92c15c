"""The published pattern's function, in a process of its own: `python -m bench.approvals_article ACTIVITY FROM [loop]`.

Each minute a run asks for a task of the activity (its ARN), for up to a minute, and mails its token in two links from
the address FROM. It takes one task, as was published; with "loop" it asks for more until its minute is over. It ends
when its standard input closes.
Reference: "Implementing Serverless Manual Approval Steps in AWS Step Functions and Amazon API Gateway",
https://aws.amazon.com/blogs/compute/
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from urllib.parse import quote

import boto3
from botocore.config import Config

EVERY_SECONDS = 60
RESPOND = "https://respond.example/respond"

# GetActivityTask holds a question for a minute.
states = boto3.client("stepfunctions", config=Config(read_timeout=65, max_pool_connections=20))
ses = boto3.client("sesv2")


def run(activity_arn: str, mail_from: str, *, in_a_loop: bool) -> None:
    until = time.monotonic() + EVERY_SECONDS
    while True:
        task = states.get_activity_task(activityArn=activity_arn, workerName="article")
        if task.get("taskToken"):
            mail(json.loads(task["input"]), task["taskToken"], mail_from)
        if not in_a_loop or time.monotonic() >= until:
            return


def mail(given: dict[str, str], token: str, mail_from: str) -> None:
    links = [f"{RESPOND}/{verdict}?taskToken={quote(token, safe='')}" for verdict in ("succeed", "fail")]
    text = f"{given['employeeName']} has been nominated for promotion! Approve: {links[0]} or reject: {links[1]}"
    ses.send_email(
        FromEmailAddress=mail_from,
        Destination={"ToAddresses": [given["managerEmailAddress"]]},
        Content={"Simple": {"Subject": {"Data": "Your approval is needed"}, "Body": {"Html": {"Data": text}}}},
    )


def main() -> None:
    activity_arn, mail_from, *how = sys.argv[1:]
    one_run = functools.partial(run, activity_arn, mail_from, in_a_loop=bool(how))

    def each_minute() -> None:
        while True:
            threading.Thread(target=one_run, daemon=True).start()
            time.sleep(EVERY_SECONDS)

    threading.Thread(target=each_minute, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
