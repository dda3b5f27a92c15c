"""The sides on the local cloud, Portico as its own role: the calls, and what they leave."""

from __future__ import annotations

import json
import os
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.policies_answers import identity
from bench.policies_fleet import Launched, Tags, digest, fleet
from bench.policies_sides import (
    CLOUD_CUSTODIAN,
    LOOP,
    PORTICO,
    PORTICO_WITH_CREATORS,
    RULES,
    Measured,
    Side,
    run,
)
from portal.localcloud.cloud import Cloud, free_port

# CloudTrail takes two calls a second here, too, so it is asked about the small fleet only, and not for each instance.
# The side that asks it comes first, when there are no events but those of its own fleet.
SIDES = {
    1_000: (PORTICO_WITH_CREATORS, PORTICO, CLOUD_CUSTODIAN, LOOP),
    10_000: (PORTICO, CLOUD_CUSTODIAN),
}


def count(now: datetime) -> dict[tuple[int, Side], Measured]:
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(port=free_port(), folder=Path(folder), keep=False)
        cloud.start()
        try:
            outputs = cloud.deploy("http://127.0.0.1:8000")
            for size, sides in SIDES.items():
                instances = fleet(size, now)
                for side in sides:
                    results[size, side] = _once(cloud, outputs, side, instances, vpc=f"vpc-{len(results):017x}")
        finally:
            cloud.stop()
    return results


def _once(cloud: Cloud, outputs: Mapping[str, str], side: Side, instances: list[Launched], *, vpc: str) -> Measured:
    """Launch the fleet in a VPC of its own and let one side work on it."""
    measured = Measured()
    launches = [
        {
            "instances": 1,
            "identity": identity(one.creator),
            "at": one.at.isoformat(),
            "vpc_id": vpc,
            "instance_type": one.instance_type,
            "state": one.state,
            "tags": one.tags,
            "record": side is PORTICO_WITH_CREATORS,
        }
        for one in instances
    ]
    answers = _ask(cloud, "POST", "launches", launches)
    # The cloud gives ids of its own.
    original = {answer["instances"][0]: one.instance_id for answer, one in zip(answers, instances, strict=True)}
    dynamodb = cloud.client("dynamodb")
    for item in RULES:
        dynamodb.delete_item(TableName=outputs["TagPoliciesTable"], Key={"RuleId": item["RuleId"]})
    for item in RULES[: side.rules]:
        dynamodb.put_item(TableName=outputs["TagPoliciesTable"], Item=item)
    is_portal = side in (PORTICO, PORTICO_WITH_CREATORS)
    environment = (cloud.portal_environment if is_portal else cloud.administrator_environment)(outputs)
    _ask(cloud, "DELETE", "calls")
    run(side, {**_plain(), **environment}, vpc, measured)
    services = _ask(cloud, "GET", "calls")["services"]
    measured.calls = Counter(
        {f"{service} {action}": n for service, actions in services.items() for action, n in actions.items()}
    )
    measured.digest = digest({original[one]: tags for one, tags in _tags(cloud, vpc).items()})
    return measured


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PORTICO_", "PYTHON"))}


def _tags(cloud: Cloud, vpc: str) -> dict[str, Tags]:
    pages = (
        cloud.client("ec2").get_paginator("describe_instances").paginate(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    )
    return {
        instance["InstanceId"]: {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    }


def _ask(cloud: Cloud, method: str, what: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{cloud.endpoint}/_portico/{what}", data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"{}")
