"""Condition keys that MiniStack does not fill in: dynamodb:LeadingKeys, iam:PermissionsBoundary, a session's own.

Reference: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

LEADING_KEYS = "dynamodb:LeadingKeys"
# The request's key could not be read: equal to no key, so that nobody slips through.
UNREADABLE = "\0"
_EQUALITY = re.compile(r"(?P<left>[#:]?[\w.-]+)\s*=\s*(?P<right>[#:]?[\w.-]+)")
# What a role's boundary is a condition of.
_ROLE_ACTIONS = frozenset(
    f"iam:{action}"
    for action in (
        "AttachRolePolicy",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "PutRolePolicy",
    )
)


def install() -> None:
    """Patch the making of the request's context. Raises TouchpointMissing."""
    evaluator = module_with("ministack.core.iam_evaluator", "_resolve_condition_key", "_principal_keys")
    actions = module_with("ministack.core.iam_actions", "dynamodb_service_context", "request_tag_context")
    dynamodb = module_with("ministack.services.dynamodb", "_tables")
    iam = module_with("ministack.services.iam", "_roles")
    sts = module_with("ministack.services.sts", "_sessions", "_principal_keys")
    # Touchpoints: all are looked up in their modules at each call, and _principal_keys in two.
    resolve, principal_keys = evaluator._resolve_condition_key, evaluator._principal_keys
    dynamodb_context, tag_context = actions.dynamodb_service_context, actions.request_tag_context

    def keys_of_table(data: Any) -> dict[str, list[str]]:
        by_table: dict[str, list[str]] = defaultdict(list)
        for table_name, request in _requests(data):
            table = dynamodb._tables.get(table_name.rpartition("/")[2])
            if table is not None:
                by_table[table["TableName"]] += _leading_keys(request, table)
        return {name: keys for name, keys in by_table.items() if keys}

    def context_with_keys(body: bytes) -> dict[str, Any]:
        context: dict[str, Any] = dynamodb_context(body)
        try:
            data = json.loads(body or b"{}")
        except ValueError:
            return context
        keys = keys_of_table(data) if isinstance(data, dict) else {}
        return {**context, LEADING_KEYS: keys} if keys else context

    def context_with_boundary(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        context: dict[str, Any] = tag_context(service, action, body, params)
        if action in _ROLE_ACTIONS:
            role = iam._roles.get((params.get("RoleName") or [""])[0]) or {}
            boundary = role.get("PermissionsBoundary")
        elif action in ("iam:CreateRole", "iam:PutRolePermissionsBoundary"):
            boundary = (params.get("PermissionsBoundary") or [None])[0]
        else:
            return context
        return {**context, "iam:PermissionsBoundary": boundary} if boundary else context

    def resolve_for_table(key: str, context: Any) -> Any:
        value = resolve(key, context)
        if key.lower() == LEADING_KEYS.lower() and isinstance(value, dict):
            # One call may name several tables, and each is checked with its own keys.
            return value.get(context.resource_arn.partition(":table/")[2].partition("/")[0])
        return value

    def keys_of_principal(credential: Any) -> dict[str, Any]:
        session = sts._sessions.get(credential.access_key_id) or {}
        keys: dict[str, Any] = principal_keys(credential)
        return {**keys, **(session.get("ConditionKeys") or {})}

    evaluator._resolve_condition_key = resolve_for_table
    evaluator._principal_keys = sts._principal_keys = keys_of_principal
    actions.dynamodb_service_context = context_with_keys
    actions.request_tag_context = context_with_boundary


def _requests(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the table and the content of each part of a request. A batch's or transaction's part is an item or key."""
    if isinstance(data.get("TableName"), str):
        yield data["TableName"], data
    for table, batch in (data.get("RequestItems") or {}).items():
        if isinstance(batch, dict):  # BatchGetItem
            yield from ((table, {"Key": key}) for key in batch.get("Keys") or [])
        else:
            for write in batch or []:
                yield from ((table, part) for part in write.values())
    for item in data.get("TransactItems") or []:
        for part in item.values():
            if isinstance(part.get("TableName"), str):
                yield part["TableName"], part


def _leading_keys(request: dict[str, Any], table: dict[str, Any]) -> list[str]:
    """Return the partition keys that one part of a request names; none for a scan."""
    found = [_text(request[part].get(table["pk_name"])) for part in ("Key", "Item") if request.get(part)]
    name = _partition_key(table, request.get("IndexName"))
    if "KeyConditions" in request:
        found += [
            _text(value) for value in (request["KeyConditions"].get(name) or {}).get("AttributeValueList", [None])
        ]
    if "KeyConditionExpression" in request:
        found += _equal_to(name, request) or [UNREADABLE]
    return found


def _equal_to(name: str, query: dict[str, Any]) -> list[str]:
    """Return the values with which a query's key condition compares an attribute."""
    names, given = query.get("ExpressionAttributeNames") or {}, query.get("ExpressionAttributeValues") or {}
    found = []
    for equality in _EQUALITY.finditer(query["KeyConditionExpression"]):
        for attribute, placeholder in (equality.group("left", "right"), equality.group("right", "left")):
            if names.get(attribute, attribute) == name and placeholder in given:
                found.append(_text(given[placeholder]))
    return found


def _partition_key(table: dict[str, Any], index_name: str | None) -> str:
    """Return the name of the partition key of a table or of one of its indexes."""
    indexes = [*(table.get("GlobalSecondaryIndexes") or []), *(table.get("LocalSecondaryIndexes") or [])]
    for index in indexes if index_name else ():
        if index["IndexName"] == index_name:
            return str(next(key["AttributeName"] for key in index["KeySchema"] if key["KeyType"] == "HASH"))
    return str(table["pk_name"])


def _text(value: Any) -> str:
    """Return a key's value of whatever type as a condition sees it."""
    return str(next(iter(value.values()), UNREADABLE)) if isinstance(value, dict) else UNREADABLE
