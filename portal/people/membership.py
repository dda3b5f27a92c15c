"""The user pool's groups, and who is in which. What a group allows in the admin is in settings.GROUP_PERMISSIONS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings

from portal import aws
from portal.accounts.cognito import refusing
from portal.accounts.refusals import Refused
from portal.people.directory import Gone, account


class NoSuchGroup(Refused):
    about = "groups"
    sentence = "One of these groups is not there any more. Open the page anew."


@dataclass(frozen=True)
class Group:
    name: str
    description: str = ""
    # Whether its members may take on a role of its own in AWS.
    has_role: bool = False


def groups() -> list[Group]:
    """Return the pool's groups, the first 60, which is one call; but not those that Cognito makes and fills itself, one
    for each identity provider."""
    answer = aws.client("cognito-idp").list_groups(UserPoolId=settings.USER_POOL_ID, Limit=60)
    return [
        Group(one["GroupName"], one.get("Description", ""), has_role=bool(one.get("RoleArn")))
        for one in answer["Groups"]
        if not is_cognitos_own(one["GroupName"])
    ]


def exists(name: str) -> bool:
    """Tell whether the pool has a group of this name: one call, and the one that reads its members."""
    try:
        aws.client("cognito-idp").list_users_in_group(UserPoolId=settings.USER_POOL_ID, GroupName=name, Limit=1)
    except ClientError as error:
        if aws.error_code(error) in ("ResourceNotFoundException", "InvalidParameterException"):
            return False
        raise
    return True


def is_cognitos_own(name: str) -> bool:
    """Tell whether Cognito made this group for the users of an identity provider. It allows nothing."""
    return name.startswith(f"{settings.USER_POOL_ID}_")


def of(username: str) -> list[str]:
    """Return the names of somebody's groups, sorted: none of somebody who is not there."""
    found: list[str] = []
    more: dict[str, Any] = {}
    while True:
        try:
            answer = aws.client("cognito-idp").admin_list_groups_for_user(**account(username), Limit=60, **more)
        except ClientError as error:
            if aws.error_code(error) == "UserNotFoundException":
                return []
            raise
        found += [one["GroupName"] for one in answer["Groups"]]
        if not answer.get("NextToken"):
            return sorted(found)
        more = {"NextToken": answer["NextToken"]}


def add(username: str, group: str) -> None:
    """Raises Gone, NoSuchGroup."""
    with refusing(UserNotFoundException=Gone, ResourceNotFoundException=NoSuchGroup):
        aws.client("cognito-idp").admin_add_user_to_group(**account(username), GroupName=group)


def remove(username: str, group: str) -> None:
    """Raises Gone. A group that is not there any more has nobody in it."""
    with refusing(UserNotFoundException=Gone):
        try:
            aws.client("cognito-idp").admin_remove_user_from_group(**account(username), GroupName=group)
        except ClientError as error:
            if aws.error_code(error) != "ResourceNotFoundException":
                raise
