"""IAM: the only module that reads and changes the roles which people take on.

It only ever adds denials to them and takes those away; each is an inline policy of its own, so that two people who
act at once do not overwrite each other's.
Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from botocore.exceptions import BotoCoreError, ClientError

from portal import aws

# For how long a role's description is not read again.
DESCRIBED_SECONDS = 3600


class RoleFull(Exception):
    """A role's inline policies have 10,240 characters together, and there is no room for one more."""


@dataclass(frozen=True)
class Role:
    """A role as people read of it. `reach` says in a sentence what it may do."""

    arn: str
    name: str
    reach: str


def describe(arns: Iterable[str]) -> list[Role]:
    """Return roles with their descriptions, which read "Name: what it reaches."."""
    age = int(time.monotonic() // DESCRIBED_SECONDS)
    return [_described_if_answered(arn, age) for arn in arns]


def inline_policies(arn: str) -> list[str]:
    """Return the names of a role's inline policies."""
    names: list[str] = []
    for page in aws.client("iam").get_paginator("list_role_policies").paginate(RoleName=_name(arn)):
        names += page["PolicyNames"]
    return names


def put(arn: str, name: str, document: str) -> None:
    """Add an inline policy to a role, or replace it. Raises RoleFull."""
    try:
        aws.client("iam").put_role_policy(RoleName=_name(arn), PolicyName=name, PolicyDocument=document)
    except ClientError as error:
        if aws.error_code(error) == "LimitExceeded":
            raise RoleFull(_name(arn)) from error
        raise


def remove(arn: str, name: str) -> None:
    """Remove an inline policy from a role, if it is there."""
    try:
        aws.client("iam").delete_role_policy(RoleName=_name(arn), PolicyName=name)
    except ClientError as error:
        # Somebody else removed it at the same time.
        if aws.error_code(error) != "NoSuchEntity":
            raise


def _described_if_answered(arn: str, age: int) -> Role:
    try:
        return _described(arn, age)
    except (BotoCoreError, ClientError) as error:
        if not aws.is_transient(error):
            raise
        # Credentials can be had without IAM's words for them.
        return Role(arn, _name(arn), "")


@lru_cache(maxsize=64)
def _described(arn: str, age: int) -> Role:
    try:
        description = aws.client("iam").get_role(RoleName=_name(arn))["Role"].get("Description", "")
    except ClientError as error:
        # A role that was added to a group without a word to the portal: it may be taken on, but not be read about.
        if aws.error_code(error) not in ("AccessDenied", "NoSuchEntity"):
            raise
        description = ""
    name, _, reach = description.partition(": ")
    return Role(arn, name, reach) if reach else Role(arn, _name(arn), description)


def _name(arn: str) -> str:
    # arn:aws:iam::123456789012:role/path/name
    return arn.rpartition("/")[2]
