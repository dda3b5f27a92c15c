"""Fleets as calls make, change, start, stop and describe them.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateFleet.html and the pages beside it.
"""

import time
from dataclasses import replace
from typing import Any

from portal.localcloud.standins.appstream_calls import Call, Operations, Parameters
from portal.localcloud.standins.appstream_errors import combination, exists, in_use, not_permitted
from portal.localcloud.standins.appstream_fleets import DEFAULTS, STOPPED, STOPPING, Fleet
from portal.localcloud.standins.appstream_rules import (
    check_capacity_limit,
    check_count,
    check_fleet,
    check_fleet_change,
)

# What an update may delete, by its name there.
_DELETABLE = {
    "VPC_CONFIGURATION": "VpcConfig",
    "DOMAIN_JOIN_INFO": "DomainJoinInfo",
    "IAM_ROLE_ARN": "IamRoleArn",
    "USB_DEVICE_FILTER_STRINGS": "UsbDeviceFilterStrings",
    "SESSION_SCRIPT_S3_LOCATION": "SessionScriptS3Location",
    "MAX_SESSIONS_PER_INSTANCE": "MaxSessionsPerInstance",
    "VOLUME_CONFIGURATION": "RootVolumeConfig",
}
_SECURITY_GROUPS = "VPC_CONFIGURATION_SECURITY_GROUP_IDS"


def create(call: Call) -> Parameters:
    properties = {**DEFAULTS, **call.parameters}
    name, tags = properties.pop("Name"), properties.pop("Tags", {})
    check_fleet(properties)
    if name in call.here.fleets:
        raise exists("fleet", name)
    check_count("fleets", len(call.here.fleets))
    fleet = Fleet(name, call.arn("fleet", name), time.time(), properties, tags)
    check_capacity_limit(name, properties["InstanceType"], fleet.desired_instances)
    call.here.fleets[name] = fleet
    return {"Fleet": _described(call, fleet)}


def update(call: Call) -> Parameters:
    changes = dict(call.parameters)
    # The model does not require it, because an update once went by the ARN.
    if "Name" not in changes:
        raise combination("Name is required")
    fleet = call.fleet(changes.pop("Name"))
    deleted = set(changes.pop("AttributesToDelete", []))
    if changes.pop("DeleteVpcConfig", False):
        deleted.add("VPC_CONFIGURATION")
    names = set(changes) | {_DELETABLE.get(one, "VpcConfig") for one in deleted}
    check_fleet_change(fleet.name, fleet.type, fleet.state(call.now), names)
    properties = changed(fleet.properties, changes, deleted)
    check_fleet(properties)
    wanted = replace(fleet, properties=properties)
    check_capacity_limit(fleet.name, properties["InstanceType"], wanted.desired_instances)
    fleet.properties = properties
    return {"Fleet": _described(call, fleet)}


def changed(properties: Parameters, changes: Parameters, deleted: set[str]) -> Parameters:
    """Return a fleet's properties after an update. deleted are attributes as UpdateFleet calls them."""
    new: dict[str, Any] = {**properties, **changes}
    # A fleet is made from one image, however it is called.
    for name, other in (("ImageName", "ImageArn"), ("ImageArn", "ImageName")):
        if name in changes and other not in changes:
            new.pop(other, None)
    for attribute in deleted:
        if attribute == _SECURITY_GROUPS:
            if "VpcConfig" in new:
                new["VpcConfig"] = {key: one for key, one in new["VpcConfig"].items() if key != "SecurityGroupIds"}
        elif _DELETABLE[attribute] not in changes:
            new.pop(_DELETABLE[attribute], None)
    return new


def delete(call: Call) -> Parameters:
    fleet = call.fleet(call.parameters["Name"])
    if fleet.state(call.now) != STOPPED:
        raise in_use(f"The fleet {fleet.name} is {fleet.state(call.now)}: stop it first")
    if any(fleet.name == name for name, _stack in call.here.associations):
        raise in_use(
            f"The fleet {fleet.name} is associated with a stack. "
            "To delete the fleet, you must dissociate it from the stack."
        )
    del call.here.fleets[fleet.name]
    return {}


def describe(call: Call) -> Parameters:
    if call.parameters.get("Names"):
        return {"Fleets": [_described(call, call.fleet(name)) for name in dict.fromkeys(call.parameters["Names"])]}
    found = [fleet for _name, fleet in sorted(call.here.fleets.items())]
    answer = call.page(found, "Fleets")
    return {**answer, "Fleets": [_described(call, fleet) for fleet in answer["Fleets"]]}


def start(call: Call) -> Parameters:
    fleet, now = call.fleet(call.parameters["Name"]), call.now
    state = fleet.state(now)
    # That a fleet is started when it is stopped is documented, the error otherwise not.
    if state != STOPPED:
        raise not_permitted(f"The fleet {fleet.name} is {state}: only a stopped fleet is started")
    fleet.tell(start=True, now=now, pace_seconds=call.records.fleet_start_seconds)
    return {}


def stop(call: Call) -> Parameters:
    fleet, now = call.fleet(call.parameters["Name"]), call.now
    # No error of the operation would say that it is stopped already.
    if fleet.state(now) not in (STOPPED, STOPPING):
        fleet.tell(start=False, now=now, pace_seconds=call.records.fleet_start_seconds)
        call.here.end_sessions(fleet.name, now)
    return {}


def _described(call: Call, fleet: Fleet) -> Parameters:
    now = call.now
    return fleet.described(now, call.here.instances(fleet.name, now))


OPERATIONS: Operations = {
    "CreateFleet": create,
    "UpdateFleet": update,
    "DeleteFleet": delete,
    "DescribeFleets": describe,
    "StartFleet": start,
    "StopFleet": stop,
}
