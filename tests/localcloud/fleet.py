"""Instances in a VPC of their own, as the tests of the EC2 and CloudTrail stand-ins need them."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.running_cloud import ACCOUNT_ID, RunningCloud

RIDER = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLERIDER00001",
    "arn": f"arn:aws:iam::{ACCOUNT_ID}:user/rider",
    "accountId": ACCOUNT_ID,
    "userName": "rider",
}
AUTO_SCALING = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLESCALING001:AutoScaling",
    "arn": f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling",
    "accountId": ACCOUNT_ID,
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLESCALING001",
            "arn": f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/autoscaling.amazonaws.com/"
            "AWSServiceRoleForAutoScaling",
            "accountId": ACCOUNT_ID,
            "userName": "AWSServiceRoleForAutoScaling",
        },
        "attributes": {"creationDate": "2026-11-01T09:59:00Z", "mfaAuthenticated": "false"},
    },
    "invokedBy": "autoscaling.amazonaws.com",
}


def new_vpc_id() -> str:
    return f"vpc-{uuid.uuid4().hex[:17]}"


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def launched(cloud: RunningCloud, count: int = 1, **fields: Any) -> list[str]:
    """Launch instances through the control page and return their ids; without an event unless told."""
    launch = {"instances": count, "identity": RIDER, "record": False, **fields}
    (answer,) = cloud.control("POST", "/_portico/launches", [launch])
    ids: list[str] = answer["instances"]
    return ids


def described(ec2: Any, **request: Any) -> list[dict[str, Any]]:
    """Return the instances of one page."""
    answer = ec2.describe_instances(**request)
    return [one for reservation in answer["Reservations"] for one in reservation["Instances"]]


def tags_of(ec2: Any, instance_id: str) -> dict[str, str]:
    (instance,) = described(ec2, InstanceIds=[instance_id])
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def refusal(call: Any, *arguments: Any, **parameters: Any) -> str:
    """Return the error code of a call that fails."""
    with pytest.raises(ClientError) as failed:
        call(*arguments, **parameters)
    return str(failed.value.response["Error"]["Code"])
