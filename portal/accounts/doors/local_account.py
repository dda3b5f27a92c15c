"""The claims of an account in the user pool whose holder came in by a door that has no ID token.

Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from portal import aws
from portal.accounts.cognito import refusing
from portal.accounts.models import Claims
from portal.accounts.refusals import AccountClosed, AccountGone

_SHOWN = ("email", "given_name", "family_name")
_LAST = 2**31


def claims(username: str, *, sub: str) -> Claims:
    """Return what Cognito would say of a user in an ID token now. Raises AccountClosed where the user was disabled or
    never confirmed, AccountGone where they were deleted, whoever has the name now."""
    client = aws.client("cognito-idp")
    with refusing(UserNotFoundException=AccountGone):
        user = client.admin_get_user(UserPoolId=settings.USER_POOL_ID, Username=username)
        attributes = {one["Name"]: one.get("Value", "") for one in user["UserAttributes"]}
        if attributes.get("sub") != sub:
            raise AccountGone
        if not user["Enabled"] or user["UserStatus"] != "CONFIRMED":
            raise AccountClosed
        pages = client.get_paginator("admin_list_groups_for_user").paginate(
            UserPoolId=settings.USER_POOL_ID, Username=user["Username"]
        )
        groups = [group for page in pages for group in page["Groups"]]
    found: Claims = {"sub": sub, "cognito:username": user["Username"]}
    found |= {name: attributes[name] for name in _SHOWN if name in attributes}
    found["email_verified"] = attributes.get("email_verified") == "true"
    return found | _rights(groups)


def _rights(groups: list[Any]) -> Claims:
    """Return the claims of someone's groups: the role of the group that comes first, unless two come first."""
    if not groups:
        return {}
    roles = [(group.get("Precedence", _LAST), group["RoleArn"]) for group in groups if group.get("RoleArn")]
    rights: Claims = {"cognito:groups": [group["GroupName"] for group in groups]}
    if roles:
        rights["cognito:roles"] = list(dict.fromkeys(role for _, role in roles))
        first = {role for precedence, role in roles if precedence == min(roles)[0]}
        if len(first) == 1:
            rights["cognito:preferred_role"] = first.pop()
    return rights
