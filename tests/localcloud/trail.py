"""CloudTrail's events of the tests: looking them up, and AWS's published examples."""

import json
from typing import Any

from tests.localcloud.running_cloud import RunningCloud

# What CloudTrail says of two EC2 calls, after AWS's "CloudTrail log file examples", with the instance's id left open.
# Reference: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html


def start_example(instance_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the requestParameters and responseElements of AWS's StartInstances example."""
    named = {"instancesSet": {"items": [{"instanceId": instance_id}]}}
    states = {"currentState": {"code": 0, "name": "pending"}, "previousState": {"code": 80, "name": "stopped"}}
    return named, {"instancesSet": {"items": [{"instanceId": instance_id, **states}]}}


def stop_example(instance_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the requestParameters and responseElements of AWS's StopInstances example."""
    named = {"instancesSet": {"items": [{"instanceId": instance_id}]}, "force": False}
    states = {"currentState": {"code": 64, "name": "stopping"}, "previousState": {"code": 16, "name": "running"}}
    return named, {"instancesSet": {"items": [{"instanceId": instance_id, **states}]}}


# The members of a RunInstances event as AWS records them today, without those of features nobody here uses.
EVENT_MEMBERS = {
    "awsRegion",
    "eventCategory",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "eventType",
    "eventVersion",
    "managementEvent",
    "readOnly",
    "recipientAccountId",
    "requestID",
    "requestParameters",
    "responseElements",
    "sourceIPAddress",
    "userAgent",
    "userIdentity",
}
REQUEST_MEMBERS = {
    "blockDeviceMapping",
    "clientToken",
    "disableApiStop",
    "disableApiTermination",
    "instanceType",
    "instancesSet",
    "monitoring",
    "tagSpecificationSet",
}
ANSWER_MEMBERS = {"groupSet", "instancesSet", "ownerId", "requestId", "reservationId"}
LAUNCHED_MEMBERS = {
    "amiLaunchIndex",
    "architecture",
    "blockDeviceMapping",
    "clientToken",
    "ebsOptimized",
    "enaSupport",
    "groupSet",
    "hypervisor",
    "imageId",
    "instanceId",
    "instanceState",
    "instanceType",
    "launchTime",
    "monitoring",
    "networkInterfaceSet",
    "placement",
    "privateDnsName",
    "privateIpAddress",
    "productCodes",
    "rootDeviceName",
    "rootDeviceType",
    "sourceDestCheck",
    "stateReason",
    "subnetId",
    "tagSet",
    "virtualizationType",
    "vpcId",
}


def looked_up(
    cloud: RunningCloud, region: str, attribute: tuple[str, str] | None = None, **request: Any
) -> list[dict[str, Any]]:
    """Return the events of the first page."""
    if attribute:
        request["LookupAttributes"] = [{"AttributeKey": attribute[0], "AttributeValue": attribute[1]}]
    events: list[dict[str, Any]] = cloud.client("cloudtrail", region=region).lookup_events(**request)["Events"]
    return events


def only_event(cloud: RunningCloud, region: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the one event of that name, as LookupEvents answers it and as CloudTrail wrote it."""
    (event,) = looked_up(cloud, region, ("EventName", name))
    return event, json.loads(event["CloudTrailEvent"])
