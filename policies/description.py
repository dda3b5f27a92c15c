"""Read EC2's answer to DescribeInstances: only what the rules look at.

botocore turns each instance's 3 kB of XML into some hundred dicts, which is nine tenths of what a run would cost; a
streaming parse of the few elements that matter is a tenth of that.

Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NoReturn
from xml.parsers import expat

from policies.instance import Instance

# Elements of an instance whose text is an attribute of its own.
_PLAIN = frozenset(
    {
        "architecture",
        "imageId",
        "instanceId",
        "instanceLifecycle",
        "instanceType",
        "keyName",
        "launchTime",
        "platformDetails",
        "privateDnsName",
        "privateIpAddress",
        "subnetId",
        "vpcId",
    }
)
# Those one level deeper: parent, element and the name that rules know them by.
_NESTED = {
    ("instanceState", "name"): "state",
    ("placement", "availabilityZone"): "availabilityZone",
    ("placement", "tenancy"): "tenancy",
    ("iamInstanceProfile", "arn"): "iamInstanceProfile",
}
# Elements with children, two fifths of all. They are cut out before the rest is parsed: none has a child of its own
# name, and EC2 escapes what people wrote. All that is needed of them is since when a network card is attached.
_CUT = (
    b"networkInterfaceSet",
    b"groupSet",
    b"metadataOptions",
    b"privateDnsNameOptions",
    b"capacityReservationSpecification",
)
_ATTACHED = re.compile(rb"<attachTime>[^<]*</attachTime>")
# How deep an element is: DescribeInstancesResponse, reservationSet, item, instancesSet, item, and then an instance's.
_OF_ANSWER, _OF_RESERVATION, _INSTANCE, _OF_INSTANCE, _OF_PART, _OF_TAG = 2, 4, 5, 6, 7, 8


class NotXml(ValueError):
    """The answer is not what EC2 sends."""


def read(body: bytes, region: str) -> tuple[list[Instance], str]:
    """Return the instances of one page and the token of the next, or "". Raises NotXml."""
    found: list[Instance] = []
    token = owner = part = key = ""
    depth = 0
    text: list[str] = []
    is_wanted = False
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    attached: list[str] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = _refuse

    # Closures, because each is called some sixty times for an instance.
    def start(name: str, _: object) -> None:
        nonlocal depth, is_wanted, part, attributes, tags, attached
        depth += 1
        if depth == _OF_INSTANCE:
            part = name
            if name not in _PLAIN and name != "attachTime":
                return
        elif depth == _OF_PART:
            if (part, name) not in _NESTED:
                return
        elif depth == _OF_TAG:
            if part != "tagSet":
                return
        elif depth > _OF_TAG:
            if name != "attachTime":
                return
        elif depth == _INSTANCE:
            attributes, tags, attached = {}, {}, []
            return
        elif name not in ("ownerId", "nextToken"):
            return
        text.clear()
        is_wanted = True

    def end(name: str) -> None:
        nonlocal depth, is_wanted, token, owner, key
        depth -= 1
        if not is_wanted:
            if depth == _INSTANCE - 1 and attributes:
                found.append(_instance(attributes, tags, attached, region=region, owner=owner))
            return
        is_wanted = False
        value = "".join(text)
        if depth == _OF_INSTANCE - 1:
            if name == "attachTime":
                attached.append(value)
            else:
                attributes[name] = value
        elif depth == _OF_TAG - 1:
            if name == "key":
                key = value
            else:
                tags[key] = value
        elif depth == _OF_PART - 1:
            attributes[_NESTED[part, name]] = value
        elif depth >= _OF_TAG:
            attached.append(value)
        elif depth == _OF_RESERVATION - 1:
            owner = value
        elif depth == _OF_ANSWER - 1:
            token = value

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(_cut(body), True)
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise NotXml(str(error)) from error
    finally:
        # The handlers know the parser: a circle that only the garbage collector would find, with the page in it.
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
    return found, token


def _cut(body: bytes) -> bytes:
    for name in _CUT:
        first, *rest = body.split(b"<%s>" % name)
        parts = [one.partition(b"</%s>" % name) for one in rest]
        body = first + b"".join([b"".join(_ATTACHED.findall(part)) + after for part, _, after in parts])
    return body


def _instance(
    attributes: dict[str, str], tags: dict[str, str], attached: list[str], *, region: str, owner: str
) -> Instance:
    attributes["region"], attributes["ownerId"] = region, owner
    if profile := attributes.get("iamInstanceProfile"):
        attributes["iamInstanceProfile"] = profile.rpartition("/")[2]
    # launchTime is renewed when a stopped instance starts; its first network card and mostly its first disk stay.
    first = min([attributes["launchTime"], *attached])
    return Instance(
        instance_id=attributes["instanceId"],
        region=region,
        state=attributes["state"],
        created_at=datetime.fromisoformat(first).astimezone(UTC),
        tags=tags,
        attributes=attributes,
    )


def _refuse(*_: object) -> NoReturn:
    raise NotXml("A document type.")
