"""CreateTags and DeleteTags with EC2's limits: all or nothing, and a reserved prefix.

MiniStack tags what does not exist, without limits, and deletes a tag whatever value the call gives.
Reference: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions,
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html and API_DeleteTags.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from portal.localcloud.standins.ec2_calls import (
    NOT_XML,
    STORES,
    Ec2Calls,
    Params,
    members,
    not_existing,
    refuse_dry_run,
    value,
)
from portal.localcloud.standins.role_sessions import Refusal

RESOURCES_PER_CALL = 1000
DELETED_PER_CALL = 1000
TAGS_PER_RESOURCE = 50
KEY_CHARACTERS = 128
VALUE_CHARACTERS = 256
RESERVED = "aws:"
_NOT_FOUND = {
    "vpc": ("InvalidVpcID.NotFound", "vpc ID"),
    "subnet": ("InvalidSubnetID.NotFound", "subnet ID"),
    "sg": ("InvalidGroup.NotFound", "security group"),
    "vol": ("InvalidVolume.NotFound", "volume"),
}


@dataclass(frozen=True)
class Tag:
    """A tag of a call; DeleteTags may give none as its value."""

    key: str
    value: str | None


def install(calls: Ec2Calls) -> None:
    """Answer both actions."""
    ec2 = calls.ec2

    def create(params: Params) -> str:
        resources, tags = _resources(calls, params), tags_of(params, "Tag")
        if not tags:
            raise Refusal("MissingParameter", "The request must contain the parameter tagSet")
        check(tags)
        written = [(one, _merged(ec2._tags.get(one) or [], tags)) for one in resources]
        refuse_dry_run(params)
        for resource, merged in written:
            ec2._tags[resource] = merged
        return "<return>true</return>"

    def delete(params: Params) -> str:
        resources, tags = _resources(calls, params), tags_of(params, "Tag")
        if len(tags) > DELETED_PER_CALL:
            raise Refusal("InvalidParameterValue", f"The maximum number of tags is {DELETED_PER_CALL}")
        check(tags)
        values = {tag.key: tag.value for tag in tags}
        refuse_dry_run(params)
        for resource in resources:
            if resource in ec2._tags:
                ec2._tags[resource] = [tag for tag in ec2._tags[resource] if not _is_deleted(tag, values)]
        return "<return>true</return>"

    calls.answer("CreateTags", create)
    calls.answer("DeleteTags", delete)


def tags_of(params: Params, prefix: str) -> list[Tag]:
    """Return the tags prefix.1.Key, prefix.1.Value and so on."""
    found: list[Tag] = []
    while (name := f"{prefix}.{len(found) + 1}") + ".Key" in params:
        content = params.get(f"{name}.Value")
        found.append(Tag(params[f"{name}.Key"][0], content[0] if content else None))
    return found


def tags_of_specifications(params: Params) -> dict[str, list[Tag]]:
    """Return the checked tags of a call that creates resources, by type of resource. Raises Refusal."""
    found: dict[str, list[Tag]] = {}
    number = 1
    while kind := value(params, f"TagSpecification.{number}.ResourceType"):
        tags = tags_of(params, f"TagSpecification.{number}.Tag")
        if kind in found:
            message = f"The same resource type may not be specified more than once in tag specifications: {kind}"
            raise Refusal("InvalidParameterValue", message)
        check(tags)
        _merged([], tags)
        found[kind] = tags
        number += 1
    return found


def check(tags: Iterable[Tag]) -> None:
    """Raise Refusal if one call may not give these tags."""
    seen = set()
    for tag in tags:
        if not tag.key:
            raise Refusal("InvalidParameterValue", "Tag key cannot be null or empty.")
        if tag.key.lower().startswith(RESERVED):
            message = f"Tag keys starting with '{RESERVED}' are reserved for internal use"
            raise Refusal("InvalidParameterValue", message)
        if len(tag.key) > KEY_CHARACTERS:
            message = f"Tag key exceeds the maximum length of {KEY_CHARACTERS} characters"
            raise Refusal("InvalidParameterValue", message)
        if tag.value is not None and len(tag.value) > VALUE_CHARACTERS:
            message = f"Tag value exceeds the maximum length of {VALUE_CHARACTERS} characters"
            raise Refusal("InvalidParameterValue", message)
        if NOT_XML.search(tag.key) or NOT_XML.search(tag.value or ""):
            raise Refusal("InvalidParameterValue", "Tag contains a character that is not one of XML")
        if tag.key in seen:
            raise Refusal("InvalidParameterValue", f"Duplicate tag key '{tag.key}' specified.")
        seen.add(tag.key)


def _resources(calls: Ec2Calls, params: Params) -> list[str]:
    """Return the resources that a call names, each once. Raises Refusal unless all of them exist."""
    resources = list(dict.fromkeys(members(params, "ResourceId")))
    if not resources:
        raise Refusal("MissingParameter", "The request must contain the parameter resourceIdSet")
    if len(resources) > RESOURCES_PER_CALL:
        message = f"The maximum number of resource IDs in one request is {RESOURCES_PER_CALL}"
        raise Refusal("InvalidParameterValue", message)
    for one in resources:
        if not one or "-" not in one:
            raise Refusal("InvalidID", f"The ID '{one}' is not valid")
    calls.check_instances([one for one in resources if one.startswith("i-")])
    for prefix, (code, noun) in _NOT_FOUND.items():
        store = getattr(calls.ec2, STORES[prefix])
        missing = [one for one in resources if one.startswith(f"{prefix}-") and one not in store]
        if missing:
            raise Refusal(code, not_existing(noun, missing))
    return resources


def _merged(existing: list[dict[str, str]], tags: Iterable[Tag]) -> list[dict[str, str]]:
    """Return a resource's tags with these set. Raises Refusal if they are too many."""
    merged = {tag["Key"]: tag["Value"] for tag in existing} | {tag.key: tag.value or "" for tag in tags}
    if sum(not key.startswith(RESERVED) for key in merged) > TAGS_PER_RESOURCE:
        raise Refusal("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    return [{"Key": key, "Value": content} for key, content in merged.items()]


def _is_deleted(tag: dict[str, Any], values: Mapping[str, str | None]) -> bool:
    if not values:
        return not tag["Key"].startswith(RESERVED)
    if tag["Key"] not in values:
        return False
    wanted = values[tag["Key"]]
    return wanted is None or wanted == tag["Value"]
