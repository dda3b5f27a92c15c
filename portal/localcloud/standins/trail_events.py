"""An EC2 call as CloudTrail records it: parameters and answer as JSON, and the resources it is found by.

CloudTrail writes EC2's XML answer as JSON with the same names. MiniStack records no answers, and of EC2's calls not
even the name.
Reference:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html and
https://docs.aws.amazon.com/ec2/latest/devguide/using-cloudtrail.html
"""

import calendar
import re
import time
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from portal.localcloud.standins.ec2_calls import Params, members, value
from portal.localcloud.standins.ec2_instance_view import interface_id
from portal.localcloud.standins.trail_identities import iso

EVENT_VERSION = "1.11"
Resource = tuple[str, str]
_READS = ("Describe", "Get", "List", "Search")
_INTEGERS = frozenset({"amiLaunchIndex", "deviceIndex", "networkCardIndex"})
_TIMES = frozenset({"launchTime", "attachTime", "usageOperationUpdateTime"})
_RESOURCE_TYPES = {
    "i": "Instance",
    "vol": "Volume",
    "vpc": "VPC",
    "subnet": "Subnet",
    "sg": "SecurityGroup",
    "eni": "NetworkInterface",
    "ami": "Ami",
    "snap": "Snapshot",
    "rtb": "RouteTable",
    "igw": "InternetGateway",
    "eipalloc": "EIP",
}
_ID = re.compile(r"(i|vol|vpc|subnet|sg|eni|ami|snap|rtb|igw|eipalloc)-[0-9a-f]{8,17}")


def is_read(action: str) -> bool:
    """Return whether an EC2 action changes nothing."""
    return action.startswith(_READS)


def event_of(
    action: str,
    identity: dict[str, Any],
    *,
    account: str,
    region: str,
    at: float,
    source: str = "ec2.amazonaws.com",
    source_ip: str = "127.0.0.1",
    user_agent: str = "",
    request_id: str = "",
    read_only: bool | None = None,
    parameters: Any = None,
    answer: Any = None,
    error: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Return a CloudTrail event. A service that calls on somebody's behalf is its own address and user agent."""
    service = identity.get("invokedBy")
    event: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": identity,
        "eventTime": iso(at),
        "eventSource": source,
        "eventName": action,
        "awsRegion": region,
        "sourceIPAddress": service or source_ip,
        "userAgent": service or user_agent,
    }
    if error:
        event["errorCode"], event["errorMessage"] = error
    return {
        **event,
        "requestParameters": parameters,
        "responseElements": None if error else answer,
        "requestID": request_id or str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": is_read(action) if read_only is None else read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }


def request_parameters(action: str, params: Params) -> dict[str, Any] | None:
    """Return an EC2 call's parameters as CloudTrail writes them."""
    if action == "RunInstances":
        return _launch_parameters(params)
    if action in ("CreateTags", "DeleteTags"):
        return {
            "resourcesSet": _items({"resourceId": one} for one in members(params, "ResourceId")),
            "tagSet": _items(_tags(params, "Tag")),
        }
    if action in ("StartInstances", "StopInstances", "TerminateInstances", "RebootInstances"):
        ids = _items({"instanceId": one} for one in members(params, "InstanceId"))
        return {"instancesSet": ids, **({"force": False} if action == "StopInstances" else {})}
    rest = {
        name[0].lower() + name[1:]: values[0] for name, values in params.items() if name not in ("Action", "Version")
    }
    return rest or None


def elements_of(xml: str | bytes) -> dict[str, Any]:
    """Return an EC2 answer, or a part of it, as CloudTrail writes it."""
    content = _content(ElementTree.fromstring(xml))  # noqa: S314 - an answer of our own
    return content if isinstance(content, dict) else {}


def launch_resources(instances: Iterable[Any]) -> list[Resource]:
    """Return what a launch is found by: its instances and where they are."""
    found: dict[Resource, None] = {}
    for instance in instances:
        around = [instance["VpcId"], instance["ImageId"], instance["SubnetId"]]
        around += [one["GroupId"] for one in instance["SecurityGroups"]]
        for one in (*around, interface_id(instance), instance["InstanceId"]):
            found.update(dict.fromkeys(resources_in(one)))
        if instance.get("KeyName"):
            found["AWS::EC2::KeyPair", instance["KeyName"]] = None
    return list(found)


def resources_in(text: str) -> list[Resource]:
    """Return the EC2 resources that a text names, each once."""
    ids = dict.fromkeys(found.group() for found in _ID.finditer(text))
    return [(f"AWS::EC2::{_RESOURCE_TYPES[one.partition('-')[0]]}", one) for one in ids]


def _launch_parameters(params: Params) -> dict[str, Any]:
    smallest, largest = int(value(params, "MinCount", "1")), int(value(params, "MaxCount", "1"))
    launched: dict[str, Any] = {"imageId": value(params, "ImageId"), "minCount": smallest, "maxCount": largest}
    if value(params, "KeyName"):
        launched["keyName"] = value(params, "KeyName")
    found: dict[str, Any] = {
        "instancesSet": _items([launched]),
        "blockDeviceMapping": {},
        "monitoring": {"enabled": False},
        "disableApiTermination": False,
        "disableApiStop": False,
    }
    groups = members(params, "SecurityGroupId")
    optional = {
        "groupSet": _items({"groupId": one} for one in groups) if groups else None,
        "instanceType": value(params, "InstanceType"),
        "subnetId": value(params, "SubnetId"),
        "userData": "<sensitiveDataRemoved>" if value(params, "UserData") else None,
        "clientToken": value(params, "ClientToken"),
        "iamInstanceProfile": {
            part.lower(): value(params, f"IamInstanceProfile.{part}")
            for part in ("Arn", "Name")
            if value(params, f"IamInstanceProfile.{part}")
        },
        "tagSpecificationSet": _items(_specifications(params)),
    }
    return {**found, **{name: content for name, content in optional.items() if content}}


def _specifications(params: Params) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while kind := value(params, f"TagSpecification.{len(found) + 1}.ResourceType"):
        prefix = f"TagSpecification.{len(found) + 1}.Tag"
        found.append({"resourceType": kind, "tags": _tags(params, prefix)})
    return found


def _tags(params: Params, prefix: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while (name := f"{prefix}.{len(found) + 1}") + ".Key" in params:
        tag = {"key": params[f"{name}.Key"][0], "value": value(params, f"{name}.Value")}
        found.append(tag)
    return found


def _items(content: Iterable[Any]) -> dict[str, Any]:
    listed = list(content)
    return {"items": listed} if listed else {}


def _content(element: ElementTree.Element) -> Any:
    if len(element):
        if all(_name(child) == "item" for child in element):
            listed = [_content(child) for child in element]
            return {"item" if _name(element) == "privateIpAddressesSet" else "items": listed}
        # "return" is CreateTags' answer, and a word that CloudTrail avoids. What is empty, it leaves out.
        contents = ((_name(child), _content(child)) for child in element)
        return {
            "_return" if name == "return" else name: content
            for name, content in contents
            if content != "" or name == "value"
        }
    name, text = _name(element), element.text
    if text is None:
        return {} if name.endswith(("Set", "Mapping", "Codes")) else ""
    if name in _INTEGERS or (name == "code" and text.isdigit()):
        return int(text)
    if name in _TIMES:
        return _milliseconds(text)
    # A tag's "true" is text.
    return {"true": True, "false": False}.get(text, text) if name not in ("key", "value") else text


def _name(element: ElementTree.Element) -> str:
    return element.tag if element.tag[0] != "{" else element.tag.rpartition("}")[2]


@lru_cache(1024)
def _milliseconds(written: str) -> int:
    return 1000 * calendar.timegm(time.strptime(written, "%Y-%m-%dT%H:%M:%S.000Z"))
