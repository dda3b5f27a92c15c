"""Lists of users: filtered as Cognito filters, and paged by key, so that nobody is missed while users are added.

MiniStack pages by position, ignores a filter it cannot read, and gives every attribute whatever is asked for.
Reference: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html,
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsersInGroup.html and
https://docs.aws.amazon.com/cognito/latest/developerguide/how-to-manage-user-accounts.html
"""

import base64
import binascii
import json
import re
from typing import Any

from portal.localcloud.standins.cognito_calls import CognitoCalls, Handler, Response, answer, attributes_of, error
from portal.localcloud.standins.touchpoints import module_with

PAGE = 60
# What can be filtered by; these two with regard to case.
CASE_SENSITIVE = ("username", "status")
FILTERABLE = (
    *CASE_SENSITIVE,
    *("email", "phone_number", "name", "given_name", "family_name", "preferred_username", "cognito:user_status", "sub"),
)
_FILTER = re.compile(r'\s*(?:"([\w:]+)"|([\w:]+))\s*(\^?=)\s*"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)


class WrongParameter(ValueError):
    """A parameter that Cognito refuses; the text says why."""


def install(calls: CognitoCalls) -> None:
    """Patch the two lists of users."""
    cognito = module_with("ministack.services.cognito", "_user_out")

    def list_users(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        if pool is None:
            return handler(data)
        try:
            matches = read_filter(data.get("Filter") or "")
            users = [user for user in list(pool["_users"].values()) if matches(user)]
            page, token = page_of(users, data.get("Limit"), data.get("PaginationToken"), bound_to=data.get("Filter"))
        except WrongParameter as wrong:
            return error("InvalidParameterException", str(wrong))
        wanted = data.get("AttributesToGet")
        shown = [cognito._user_out(user) for user in page]
        if wanted is not None:
            for user in shown:
                user["Attributes"] = [one for one in user.get("Attributes", []) if one["Name"] in wanted]
        return answer({"Users": shown, **({"PaginationToken": token} if token else {})})

    def list_members(handler: Handler, data: dict[str, Any]) -> Response:
        pool, group = calls.pool_of(data), data.get("GroupName")
        if pool is None or group not in pool["_groups"]:
            return handler(data)
        users = [user for user in list(pool["_users"].values()) if group in user.get("_groups", [])]
        try:
            page, token = page_of(users, data.get("Limit"), data.get("NextToken"), bound_to=group)
        except WrongParameter as wrong:
            return error("InvalidParameterException", str(wrong))
        shown = [cognito._user_out(user) for user in page]
        return answer({"Users": shown, **({"NextToken": token} if token else {})})

    calls.around("ListUsers", run=list_users)
    calls.around("ListUsersInGroup", run=list_members)


def read_filter(text: str) -> Any:
    """Return the function that says whether a user is meant. Raises WrongParameter."""
    if not text:
        return lambda _user: True
    found = _FILTER.fullmatch(text)
    name = (found[1] or found[2]) if found else ""
    if found is None or name not in FILTERABLE:
        raise WrongParameter("Error while parsing filter")
    wanted, by_prefix = re.sub(r"\\(.)", r"\1", found[4]), found[3] == "^="

    def matches(user: Any) -> bool:
        value, expected = _value(user, name), wanted
        if name not in CASE_SENSITIVE:
            value, expected = value.casefold(), expected.casefold()
        return value.startswith(expected) if by_prefix else value == expected

    return matches


def page_of(users: list[Any], limit: Any, token: Any, *, bound_to: Any) -> tuple[list[Any], str]:
    """Return a page, and the token of the next one or nothing. Raises WrongParameter.

    The key is the sub: who is added meanwhile stands somewhere among the rest, and moves nobody.
    """
    limit = PAGE if limit is None else limit
    if not isinstance(limit, int) or not 0 <= limit <= PAGE:
        raise WrongParameter(f"Limit must be at most {PAGE}")
    after = _read_token(token, bound_to) if token else ""
    rest = sorted((user for user in users if _sub(user) > after), key=_sub)
    page = rest[: limit or PAGE]
    if len(page) == len(rest):
        return page, ""
    content = json.dumps([_sub(page[-1]), bound_to]).encode()
    return page, base64.urlsafe_b64encode(content).decode()


def _read_token(token: Any, bound_to: Any) -> str:
    try:
        after, bound = json.loads(base64.urlsafe_b64decode(token))
    except (TypeError, ValueError, binascii.Error) as wrong:
        raise WrongParameter("Invalid pagination token") from wrong
    if bound != bound_to or not isinstance(after, str):
        raise WrongParameter("Invalid pagination token")
    return after


def _sub(user: Any) -> str:
    sub: str = attributes_of(user).get("sub", user["Username"])
    return sub


def _value(user: Any, name: str) -> str:
    own = {
        "username": user["Username"],
        "status": "Enabled" if user.get("Enabled", True) else "Disabled",
        "cognito:user_status": user.get("UserStatus", ""),
    }
    return own[name] if name in own else attributes_of(user).get(name, "")
