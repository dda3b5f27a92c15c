"""The rules of AppStream's API that stand in its documentation only, in words.

What is out of a documented range is a ValidationException here, what does not go together or is missing an
InvalidParameterCombinationException: the documentation has the ranges, but not the names of their errors.
Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateFleet.html,
https://docs.aws.amazon.com/appstream2/latest/APIReference/API_UpdateFleet.html and
https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateStreamingURL.html
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

from portal.localcloud.standins.appstream_errors import combination, in_use, invalid, limit_exceeded
from portal.localcloud.standins.appstream_fleets import ELASTIC, RUNNING, STOPPED
from portal.localcloud.standins.appstream_validation import input_of

_RANGES = {
    "MaxUserDurationInSeconds": range(600, 432001),
    "DisconnectTimeoutInSeconds": range(60, 36001),
    "IdleDisconnectTimeoutInSeconds": range(60, 36001),
    "Validity": range(1, 604801),
    "Limit": range(1, 51),
}
# No one is disconnected for being idle.
_ALSO = {"IdleDisconnectTimeoutInSeconds": 0}
DEFAULT_VALIDITY_SECONDS = 60
DEFAULT_LIMIT = 20
# An account's quotas, which AWS raises on request: a new account has 10 stacks and fleets, and fewer instances.
# Reference: https://docs.aws.amazon.com/appstream2/latest/developerguide/limits.html
MOST_INSTANCES = 100
MOST_OF_A_KIND = 100
_WHILE_RUNNING = {"DisplayName", "IdleDisconnectTimeoutInSeconds", "DisconnectTimeoutInSeconds"}
_FLEET_WHILE_RUNNING = _WHILE_RUNNING | {"ComputeCapacity", "ImageArn", "ImageName"}
_ELASTIC_WHILE_RUNNING = _WHILE_RUNNING | {"MaxConcurrentSessions", "SessionScriptS3Location", "UsbDeviceFilterStrings"}
_ELASTIC_ONLY = ("MaxConcurrentSessions", "SessionScriptS3Location")
_NOT_ELASTIC = ("ComputeCapacity", "DomainJoinInfo", "ImageName", "ImageArn", "MaxSessionsPerInstance")


def check_ranges(parameters: Mapping[str, Any]) -> None:
    """Raise Refused for a number out of its range."""
    for name, allowed in _RANGES.items():
        value = parameters.get(name)
        if value is not None and value not in allowed and value != _ALSO.get(name):
            raise invalid(f"{name} must be between {allowed[0]} and {allowed[-1]}")


def check_fleet(properties: Mapping[str, Any]) -> None:
    """Raise Refused for properties that no fleet can have together. They are the whole fleet's, with its type."""
    check_ranges(properties)
    kind = properties["FleetType"]
    if properties["InstanceType"] not in instance_types(kind):
        raise combination(f"The instance type {properties['InstanceType']} is not available for {kind} fleets")
    for name in _NOT_ELASTIC if kind == ELASTIC else _ELASTIC_ONLY:
        if name in properties:
            raise combination(f"{name} is not allowed for fleets of the type {kind}")
    if kind == ELASTIC:
        _check_elastic(properties)
    else:
        _check_capacity(properties)
        if not properties.get("ImageName") and not properties.get("ImageArn"):
            raise combination("An image is required: specify ImageName or ImageArn")


@functools.cache
def instance_types(kind: str) -> frozenset[str]:
    """Return the instance types of fleets of a type, which the service model has in its words only."""
    words = input_of("CreateFleet").members["InstanceType"].documentation
    common, _, elastic = words.partition("available for Elastic fleets")
    return frozenset(re.findall(r"stream(?:\.\w+)+", elastic if kind == ELASTIC else common))


def _check_elastic(properties: Mapping[str, Any]) -> None:
    if properties.get("MaxConcurrentSessions") is None:
        raise combination("MaxConcurrentSessions is required for Elastic fleets")
    if properties["MaxConcurrentSessions"] < 1:
        raise invalid("MaxConcurrentSessions must be at least 1")
    if len(set((properties.get("VpcConfig") or {}).get("SubnetIds", []))) < 2:
        raise combination("VpcConfig with at least two subnets is required for Elastic fleets")


def _check_capacity(properties: Mapping[str, Any]) -> None:
    capacity = properties.get("ComputeCapacity") or {}
    if len(capacity) != 1:
        raise combination("Specify exactly one of DesiredInstances and DesiredSessions as the ComputeCapacity")
    if min(capacity.values()) < 0:
        raise invalid("The ComputeCapacity must not be negative")
    per_instance = properties.get("MaxSessionsPerInstance")
    if per_instance is not None and per_instance < 1:
        raise invalid("MaxSessionsPerInstance must be at least 1")
    if ("DesiredSessions" in capacity) != (per_instance is not None):
        raise combination("DesiredSessions and MaxSessionsPerInstance are for multi-session fleets, and go together")


def check_fleet_change(fleet: str, kind: str, state: str, names: set[str]) -> None:
    """Raise Refused for a change of these properties of a fleet of a type in a state.

    Reference: https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1017 has the error.
    """
    allowed = _ELASTIC_WHILE_RUNNING if kind == ELASTIC else _FLEET_WHILE_RUNNING
    if state == STOPPED or (state == RUNNING and names <= allowed):
        return
    called = "ACTIVE" if state == RUNNING else state
    raise in_use(
        f"Cannot update the attribute for fleet {fleet} when it is {called}. "
        "The fleet must be stopped to complete this action."
    )


def check_capacity_limit(fleet: str, instance_type: str, desired: int) -> None:
    """Raise Refused for more instances than the account may have.

    Reference: https://docs.aws.amazon.com/appstream2/latest/developerguide/troubleshooting-fleets.html has the error.
    """
    if desired > MOST_INSTANCES:
        raise limit_exceeded(
            f"The Instance type '{instance_type}' capacity limit for fleet {fleet} was exceeded. "
            f"Requested: {desired}, Limit: {MOST_INSTANCES}"
        )


def check_count(kind: str, count: int) -> None:
    """Raise Refused for one fleet or stack more than the account may have."""
    if count >= MOST_OF_A_KIND:
        raise limit_exceeded(f"The limit of {MOST_OF_A_KIND} {kind} was exceeded")


def check_sessions_query(parameters: Mapping[str, Any]) -> None:
    """Raise Refused for a question about sessions that does not say how its user was signed in."""
    check_ranges(parameters)
    if "UserId" in parameters and "AuthenticationType" not in parameters:
        raise combination("If you specify a user ID, you must also specify the authentication type")
