"""Roles with policies, and sessions of them, as the tests of the IAM and STS stand-ins need them."""

import json
import uuid
from typing import Any

from tests.localcloud.running_cloud import ACCOUNT_ID, RunningCloud

ACCOUNT = f"arn:aws:iam::{ACCOUNT_ID}:root"


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def allow(actions: str | list[str], resources: str | list[str], **conditions: Any) -> dict[str, Any]:
    """Return a statement; conditions are operators, spelt with __ for a colon."""
    return _statement("Allow", actions, resources, conditions)


def deny(actions: str | list[str], resources: str | list[str], **conditions: Any) -> dict[str, Any]:
    return _statement("Deny", actions, resources, conditions)


def _statement(
    effect: str, actions: str | list[str], resources: str | list[str], conditions: dict[str, Any]
) -> dict[str, Any]:
    condition = {name.replace("__", ":"): keys for name, keys in conditions.items()}
    return {"Effect": effect, "Action": actions, "Resource": resources, "Condition": condition}


def trusting(principal: dict[str, str], actions: str | list[str], **conditions: Any) -> str:
    """Return a trust policy."""
    condition = {name.replace("__", ":"): keys for name, keys in conditions.items()}
    return document({"Effect": "Allow", "Principal": principal, "Action": actions, "Condition": condition})


def make_role(
    cloud: RunningCloud, *statements: dict[str, Any], trust: str = "", version: str = "2012-10-17", **options: Any
) -> str:
    """Create a role that trusts the account, or as told, with an inline policy of the statements. Return its ARN."""
    iam, name = cloud.client("iam"), f"role-{uuid.uuid4().hex[:10]}"
    trust = trust or trusting({"AWS": ACCOUNT}, ["sts:AssumeRole", "sts:TagSession"])
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **options)["Role"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document(*statements, version=version))
    return str(role["Arn"])


def key_of(credentials: dict[str, Any]) -> tuple[str, str, str]:
    """Return temporary credentials, of STS or of an identity pool, as RunningCloud.client takes them."""
    secret = credentials.get("SecretAccessKey") or credentials["SecretKey"]
    return credentials["AccessKeyId"], secret, credentials["SessionToken"]


def session_of(cloud: RunningCloud, role_arn: str, *, tags: dict[str, str] | None = None, **options: Any) -> Any:
    """Return the key of a new session of a role."""
    answer = cloud.client("sts").assume_role(
        RoleArn=role_arn,
        RoleSessionName=options.pop("RoleSessionName", "someone"),
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        **options,
    )
    return key_of(answer["Credentials"])
