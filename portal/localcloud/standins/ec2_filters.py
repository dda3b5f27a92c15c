"""The filters of DescribeInstances.

MiniStack knows four of them and passes over all others in silence.
Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from portal.localcloud.standins.ec2_calls import Params, members, value
from portal.localcloud.standins.ec2_instance_view import reservation_id
from portal.localcloud.standins.role_sessions import Refusal

VALUES_PER_CALL = 200
Tags = list[dict[str, str]]
# Returns what a filter compares: any of these values may match.
Values = Callable[[Any, Tags], Iterable[str]]


def _field(name: str) -> Values:
    return lambda instance, _tags: [str(instance.get(name) or "")]


def _network_field(name: str) -> Values:
    # A terminated instance has left its network.
    return lambda instance, _tags: (
        [] if instance["State"]["Name"] in ("terminated", "shutting-down") else [str(instance.get(name) or "")]
    )


FILTERS: dict[str, Values] = {
    "architecture": _field("Architecture"),
    "availability-zone": lambda instance, _tags: [instance["Placement"]["AvailabilityZone"]],
    "iam-instance-profile.arn": lambda instance, _tags: [(instance.get("IamInstanceProfile") or {}).get("Arn", "")],
    "image-id": _field("ImageId"),
    "instance-id": _field("InstanceId"),
    "instance-state-code": lambda instance, _tags: [str(instance["State"]["Code"])],
    "instance-state-name": lambda instance, _tags: [instance["State"]["Name"]],
    "instance-type": _field("InstanceType"),
    "instance.group-id": lambda instance, _tags: [one["GroupId"] for one in instance.get("SecurityGroups") or []],
    "key-name": _field("KeyName"),
    "launch-time": _field("LaunchTime"),
    "private-ip-address": _network_field("PrivateIpAddress"),
    "reservation-id": lambda instance, _tags: [reservation_id(instance)],
    "subnet-id": _network_field("SubnetId"),
    "tag-key": lambda _instance, tags: [tag["Key"] for tag in tags],
    "tag-value": lambda _instance, tags: [tag["Value"] for tag in tags],
    "vpc-id": _network_field("VpcId"),
}


def filters_of(params: Params) -> dict[str, list[str]]:
    """Return a call's filters: any value of each must match. Raises Refusal for one that EC2 does not know."""
    found: dict[str, list[str]] = {}
    number = 1
    while name := value(params, f"Filter.{number}.Name"):
        if name not in FILTERS and not name.startswith("tag:"):
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
        found.setdefault(name, []).extend(members(params, f"Filter.{number}.Value"))
        number += 1
    if sum(map(len, found.values())) > VALUES_PER_CALL:
        message = f"The maximum number of filter values specified on a single call is {VALUES_PER_CALL}"
        raise Refusal("FilterLimitExceeded", message)
    return found


def matches(filters: dict[str, list[str]], instance: Any, tags: Tags) -> bool:
    """Return whether an instance passes all filters."""
    return all(_passes(name, patterns, instance, tags) for name, patterns in filters.items())


def _passes(name: str, patterns: list[str], instance: Any, tags: Tags) -> bool:
    if name.startswith("tag:"):
        actual: Iterable[str] = [tag["Value"] for tag in tags if tag["Key"] == name[4:]]
    else:
        actual = FILTERS[name](instance, tags)
    return any(_expression(pattern).fullmatch(one) for one in actual for pattern in patterns)


@lru_cache(1024)
def _expression(pattern: str) -> re.Pattern[str]:
    """Return the expression of a filter's value: * and ? are wildcards unless a backslash precedes them."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wildcards = {"*": ".*", "?": "."}
    expression = "".join(wildcards.get(one) or re.escape(one[-1]) for one in parts)
    return re.compile(expression, re.DOTALL)
