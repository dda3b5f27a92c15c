"""Stacks as calls make, change and describe them.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateStack.html and the pages beside it.
"""

import time
from datetime import UTC, datetime

from portal.localcloud.standins.appstream_calls import Call, Operations, Parameters
from portal.localcloud.standins.appstream_errors import exists, in_use
from portal.localcloud.standins.appstream_records import Stack
from portal.localcloud.standins.appstream_rules import check_count

_CONNECTOR = "STORAGE_CONNECTOR_"
_CONNECTORS = "STORAGE_CONNECTORS"
# What an update may delete, by its name there. A stack has no theme and no role here.
_DELETABLE = {
    "REDIRECT_URL": "RedirectURL",
    "FEEDBACK_URL": "FeedbackURL",
    "USER_SETTINGS": "UserSettings",
    "EMBED_HOST_DOMAINS": "EmbedHostDomains",
    "ACCESS_ENDPOINTS": "AccessEndpoints",
    "STREAMING_EXPERIENCE_SETTINGS": "StreamingExperienceSettings",
    "CONTENT_REDIRECTION": "ContentRedirection",
    "AGENT_ACCESS_CONFIG": "AgentAccessConfig",
}


def create(call: Call) -> Parameters:
    properties = dict(call.parameters)
    name, tags = properties.pop("Name"), properties.pop("Tags", {})
    if name in call.here.stacks:
        raise exists("stack", name)
    check_count("stacks", len(call.here.stacks))
    stack = Stack(name, call.arn("stack", name), time.time(), properties, tags)
    call.here.stacks[name] = stack
    return {"Stack": _described(stack)}


def update(call: Call) -> Parameters:
    changes = dict(call.parameters)
    stack = call.stack(changes.pop("Name"))
    deleted = list(changes.pop("AttributesToDelete", []))
    if changes.pop("DeleteStorageConnectors", False):
        deleted.append(_CONNECTORS)
    stack.properties = changed(stack.properties, changes, deleted)
    return {"Stack": _described(stack)}


def changed(properties: Parameters, changes: Parameters, deleted: list[str]) -> Parameters:
    """Return a stack's properties after an update."""
    kept = dict(properties)
    for attribute in deleted:
        if attribute.startswith(_CONNECTOR) or attribute == _CONNECTORS:
            kept["StorageConnectors"] = [
                one
                for one in kept.get("StorageConnectors", [])
                if attribute not in (_CONNECTORS, _CONNECTOR + one["ConnectorType"])
            ]
        else:
            kept.pop(_DELETABLE.get(attribute, ""), None)
    return {**kept, **changes}


def delete(call: Call) -> Parameters:
    stack = call.stack(call.parameters["Name"])
    if any(stack.name == name for _fleet, name in call.here.associations):
        raise in_use(
            f"Cannot delete stack {stack.name}. This stack has fleets associated with it. "
            "Only stacks with no fleets associated with it can be deleted."
        )
    del call.here.stacks[stack.name]
    return {}


def describe(call: Call) -> Parameters:
    if call.parameters.get("Names"):
        return {"Stacks": [_described(call.stack(name)) for name in dict.fromkeys(call.parameters["Names"])]}
    return call.page([_described(stack) for _name, stack in sorted(call.here.stacks.items())], "Stacks")


def _described(stack: Stack) -> Parameters:
    return {
        "Arn": stack.arn,
        "Name": stack.name,
        **stack.properties,
        "CreatedTime": datetime.fromtimestamp(stack.created_at, UTC),
        "StackErrors": [],
    }


OPERATIONS: Operations = {
    "CreateStack": create,
    "UpdateStack": update,
    "DeleteStack": delete,
    "DescribeStacks": describe,
}
