"""A fleet of instances and the rules' table, empty at first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import urllib3
from django.conf import settings
from django.test import Client

from policies import engine, findings, queue, trail
from policies.instance import Finding
from policies.runs import Kind, Run, runs
from portal.dynamo.values import to_item
from portal.localcloud.cloud import REGION
from tests.conftest import SignedUp, TestCloud

ARTICLE = [
    {"RuleId": 1, "TagKey": "ProjectCode", "Action": "Update", "Required": "Y", "Default": "Proj007"},
    {"RuleId": 2, "TagKey": "CreatedBy", "Action": "UserLookup", "Required": "Y"},
    {"RuleId": 3, "TagKey": "Expires", "Action": "Function", "Required": "N", "Default": "today()"},
]
USER = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE",
    "arn": "arn:aws:iam::123456789012:user/mary",
    "accountId": "123456789012",
    "accessKeyId": "AKIAEXAMPLE00000MARY",
    "userName": "mary",
}


@cache
def _elsewhere(cloud: TestCloud) -> Any:
    return cloud.cloud.client("ec2", region="us-east-1")


class Instances:
    """The instances of the local cloud's EC2, as its administrator sees them."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.ec2 = cloud.admin("ec2")
        self.elsewhere = _elsewhere(cloud)
        self._http = urllib3.PoolManager()
        self.terminate_all()

    def terminate_all(self) -> None:
        for ec2 in (self.ec2, self.elsewhere):
            ids = [one["InstanceId"] for one in self.all(ec2)]
            for start in range(0, len(ids), 1000):
                ec2.terminate_instances(InstanceIds=ids[start : start + 1000])

    def launch(
        self,
        *tags: Mapping[str, str],
        by: Mapping[str, Any] | None = USER,
        at: datetime | None = None,
        vpc_id: str = "vpc-0123456789abcdef0",
        **more: Any,
    ) -> list[str]:
        """Launch an instance with each of these sets of tags, in one call of somebody's, and return their ids."""
        at = at or datetime.now(UTC)
        launch = {
            "instances": len(tags),
            "identity": dict(by or USER),
            "at": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "vpc_id": vpc_id,
            "tag_sets": [dict(one) for one in tags],
            "record": by is not None,
            **more,
        }
        answer = self._http.request("POST", f"{self.cloud.endpoint}/_portico/launches", json=[launch])
        assert answer.status == 200, answer.data
        self.cloud.forget_calls()
        return [one for launched in json.loads(answer.data) for one in launched["instances"]]

    def all(self, ec2: Any) -> list[dict[str, Any]]:
        alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
        pages = ec2.get_paginator("describe_instances").paginate(Filters=alive)
        return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]

    def tags(self, instance_id: str, *, region: str = REGION) -> dict[str, str]:
        ec2 = self.ec2 if region == REGION else self.elsewhere
        [reservation] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return {one["Key"]: one["Value"] for one in reservation["Instances"][0].get("Tags", [])}

    def state(self, instance_id: str) -> str:
        [reservation] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return str(reservation["Instances"][0]["State"]["Name"])

    def set_tag(self, instance_id: str, key: str, value: str) -> None:
        self.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": key, "Value": value}])


@pytest.fixture
def instances(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> Instances:
    # The local cloud counts the requests of a second as AWS does; what is waited for here is tested in test_trail.py.
    monkeypatch.setattr(trail, "_SECONDS_BETWEEN_CALLS", 0.0)
    return Instances(cloud)


@pytest.fixture
def write_rules(cloud: TestCloud) -> Callable[..., None]:
    """Return a function that puts rules into the table, as plain attributes."""

    def put(*rules: Mapping[str, Any]) -> None:
        for one in rules:
            cloud.admin("dynamodb").put_item(TableName=settings.TABLES["tag_policies"], Item=to_item(one))
        cloud.forget_calls()

    return put


@pytest.fixture
def asks(client_for: Callable[..., Client], operator: SignedUp) -> Client:
    """An operator's client."""
    return client_for(operator)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were put into the queue: no worker is there to take them out again."""
    some: list[str] = []
    monkeypatch.setattr(queue, "send", some.append)
    return some


@pytest.fixture
def run_rules() -> Callable[..., Run]:
    """Return a function that begins a run and takes it to its end, or to where its time is up."""

    def work(kind: Kind = Kind.ENFORCE, *, seconds: float = 600, now: datetime | None = None, **facts: Any) -> Run:
        run = engine.begin(kind, by=facts.pop("by", None), now=now or datetime.now(UTC), **facts)
        return engine.step(run.run_id, until=time.monotonic() + seconds)

    return work


@pytest.fixture
def begin(instances: Instances, write_rules: Callable[..., None]) -> Callable[..., str]:
    """Return a function that writes rules and begins a run of them, and returns its id."""

    def start(*rules):
        write_rules(*rules)
        return engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC)).run_id

    return start


@pytest.fixture
def queued(cloud: TestCloud) -> Callable[[], list[str]]:
    """Return a function that takes what is in the runs' queue."""
    sqs = cloud.admin("sqs")
    sqs.purge_queue(QueueUrl=settings.POLICY_RUNS_QUEUE_URL)

    def take():
        messages = sqs.receive_message(QueueUrl=settings.POLICY_RUNS_QUEUE_URL, MaxNumberOfMessages=10)
        return [json.loads(one["Body"])["RunId"] for one in messages.get("Messages", [])]

    return take


def newest_runs() -> list[Run]:
    """Return the runs that began this month and the month before, the newest first."""
    now = datetime.now(UTC)
    months = [now, now.replace(day=1) - timedelta(days=1)]
    return [one for month in months for one in runs.query(f"{month:%Y-%m}", index="ByMonth", limit=50).records]


def all_of(run: Run) -> dict[str, Finding]:
    """Return a run's findings by instance id."""
    run = runs.get(run.run_id, consistent=True)
    return {one.instance_id: one for n in range(run.pages) for one in findings.page(run.run_id, n)}
