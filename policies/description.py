"""Read EC2's answer to DescribeInstances: only what the rules look at.

botocore turns each instance's 3 kB of XML into some hundred dicts, which is nine tenths of what a run would cost; a
streaming parse of the few elements that matter is an eighth of that.

Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn
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
_NESTED_NAMES = frozenset(name for _, name in _NESTED)
# How deep an element is: DescribeInstancesResponse, reservationSet, item, instancesSet, item, and then an instance's.
_OF_ANSWER, _OF_RESERVATION, _INSTANCE, _OF_INSTANCE, _OF_PART, _OF_TAG = 2, 4, 5, 6, 7, 8


class NotXml(ValueError):
    """The answer is not what EC2 sends."""


def read(body: bytes, region: str) -> tuple[list[Instance], str]:
    """Return the instances of one page and the token of the next, or "". Raises NotXml."""
    page = _Page(region)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = page.start(parser)
    parser.EndElementHandler = page.end(parser)
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise NotXml(str(error)) from error
    return page.instances, page.token


class _Page:
    """What was read so far. Its two handlers are closures, because each is called a hundred times for an instance."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.instances: list[Instance] = []
        self.token = ""
        self._depth = 0
        self._part = ""  # the child of an instance that is open
        self._owner = ""
        self._text: list[str] = []
        self._attributes: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._attached: list[str] = []
        self._key = self._value = ""

    def start(self, parser: Any) -> Callable[[str, Any], None]:
        def start(name: str, _: Any) -> None:
            self._depth = depth = self._depth + 1
            if depth == _OF_INSTANCE:
                self._part = name
                wanted = name in _PLAIN
            elif depth == _OF_TAG:
                wanted = self._part == "tagSet"
            elif depth == _OF_PART:
                wanted = name in _NESTED_NAMES
            elif depth > _OF_TAG:
                wanted = name == "attachTime"
            elif depth == _INSTANCE:
                self._attributes, self._tags, self._attached = {}, {}, []
                return
            else:
                wanted = name in ("ownerId", "nextToken")
            if wanted:
                self._text = []
                parser.CharacterDataHandler = self._text.append

        return start

    def end(self, parser: Any) -> Callable[[str], None]:
        def end(name: str) -> None:
            depth = self._depth
            self._depth = depth - 1
            if parser.CharacterDataHandler:
                parser.CharacterDataHandler = None
                self._take(depth, name, "".join(self._text))
            elif depth == _OF_PART and self._part == "tagSet":
                self._tags[self._key] = self._value
                self._key = self._value = ""
            elif depth == _INSTANCE and self._attributes:
                self._finish()

        return end

    def _take(self, depth: int, name: str, text: str) -> None:
        if depth == _OF_TAG:
            if name == "key":
                self._key = text
            else:
                self._value = text
        elif depth == _OF_INSTANCE:
            self._attributes[name] = text
        elif depth == _OF_PART:
            if known := _NESTED.get((self._part, name)):
                self._attributes[known] = text
        elif depth > _OF_TAG:
            self._attached.append(text)
        elif depth == _OF_RESERVATION:
            self._owner = text
        elif depth == _OF_ANSWER:
            self.token = text

    def _finish(self) -> None:
        attributes = self._attributes
        attributes["region"], attributes["ownerId"] = self.region, self._owner
        if profile := attributes.get("iamInstanceProfile"):
            attributes["iamInstanceProfile"] = profile.rpartition("/")[2]
        # launchTime is renewed when a stopped instance starts; its first disk and network card stay attached.
        first = min([attributes["launchTime"], *self._attached])
        self.instances.append(
            Instance(
                instance_id=attributes["instanceId"],
                region=self.region,
                state=attributes["state"],
                created_at=datetime.fromisoformat(first).astimezone(UTC),
                tags=self._tags,
                attributes=attributes,
            )
        )


def _refuse(*_: object) -> NoReturn:
    raise NotXml("A document type.")
