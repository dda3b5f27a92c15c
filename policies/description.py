"""Read EC2's answer to DescribeInstances: only what the rules look at.

botocore turns each instance's 3 kB of XML into some hundred dicts, which is nine tenths of what a run would cost; a
streaming parse of the few elements that matter is a tenth of that.

Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn
from xml.parsers import expat  # noqa: S407 - the answer is AWS's own; a document type is refused below

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
# Two fifths of an instance's elements, and nothing in it that is needed. None of them is called like it.
_SKIPPED = "networkInterfaceSet"
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
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    attached: list[str] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse

    # Closures, because each is called some sixty times for an instance.
    def start(name: str, _: object) -> None:
        nonlocal depth, part, attributes, tags, attached
        depth += 1
        if depth == _OF_INSTANCE:
            part = name
            if name == _SKIPPED:
                parser.StartElementHandler, parser.EndElementHandler = None, skip
                return
            wanted = name in _PLAIN
        elif depth == _OF_TAG:
            wanted = part == "tagSet"
        elif depth == _OF_PART:
            wanted = (part, name) in _NESTED
        elif depth > _OF_TAG:
            wanted = name == "attachTime"
        elif depth == _INSTANCE:
            attributes, tags, attached = {}, {}, []
            return
        else:
            wanted = name in ("ownerId", "nextToken")
        if wanted:
            text.clear()
            parser.CharacterDataHandler = text.append

    def end(name: str) -> None:
        nonlocal depth, token, owner, key
        depth -= 1
        if not parser.CharacterDataHandler:
            if depth == _INSTANCE - 1 and attributes:
                found.append(_instance(attributes, tags, attached, region=region, owner=owner))
            return
        parser.CharacterDataHandler = None
        value = "".join(text)
        match depth + 1:
            case _ if depth >= _OF_TAG:
                attached.append(value)
            case 8 if name == "key":
                key = value
            case 8:
                tags[key] = value
            case 7:
                attributes[_NESTED[part, name]] = value
            case 6:
                attributes[name] = value
            case 4:
                owner = value
            case 2:
                token = value

    def skip(name: str) -> None:
        nonlocal depth
        if name == _SKIPPED:
            depth -= 1
            parser.StartElementHandler, parser.EndElementHandler = start, end

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise NotXml(str(error)) from error
    finally:
        # The handlers know the parser: a circle that only the garbage collector would find, with the page in it.
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
    return found, token


def _instance(
    attributes: dict[str, str], tags: dict[str, str], attached: list[str], *, region: str, owner: str
) -> Instance:
    attributes["region"], attributes["ownerId"] = region, owner
    if profile := attributes.get("iamInstanceProfile"):
        attributes["iamInstanceProfile"] = profile.rpartition("/")[2]
    # launchTime is renewed when a stopped instance starts; its first disk stays attached. One without a disk of its own
    # cannot be stopped.
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
