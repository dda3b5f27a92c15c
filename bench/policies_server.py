"""AWS as prepared answers, so that a client's CPU is not hidden by an emulator's time.

EC2's instances come in pages of 1,000, CloudTrail's events 50 at a time; tables are in memory, the user pool knows
nobody, and whatever is sent to a queue, a topic or by mail is taken.
`python -m bench.policies_server PORT SIZE NOW` serves until its standard input closes. POST /_bench/reset makes the
fleet as it was at first, with the rules in the request; GET /_bench/state tells what was called since and what the
instances' tags are now.
"""

from __future__ import annotations

import asyncio
import json
import sys
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from bench.policies_answers import around_tags, event, tag_set
from bench.policies_fleet import ACCOUNT, EVENTS_PAGE, PAGE, VPC, Launched, Tags, digest, fleet, moment
from bench.policies_tables import Tables

_XMLNS = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
_REQUEST_ID = "59dbff89-35bd-4eac-99ed-be587ed81825"


class Fleet:
    """The instances, and EC2's answers about them."""

    def __init__(self, instances: list[Launched]) -> None:
        self._instances = instances
        self._around = [around_tags(one) for one in instances]
        self._numbers = {one.instance_id: one.number for one in instances}
        self._pages: dict[int, bytes] = {}
        self._first: dict[int, bytes] = {}
        self.tags: list[Tags] = []
        self.reset()
        for start in range(0, len(instances), PAGE):
            self._first[start] = self._page(start)

    def reset(self) -> None:
        self.tags = [dict(one.tags) for one in self._instances]
        self._pages = dict(self._first)

    def digest(self) -> str:
        return digest({one.instance_id: tags for one, tags in zip(self._instances, self.tags, strict=True)})

    def describe_instances(self, form: dict[str, str]) -> bytes:
        start = int(form.get("NextToken", "0"))
        some = listed(form, "InstanceId")
        for name, values in filters(form):
            if name == "instance-id":
                some = values
            elif name == "vpc-id" and VPC not in values:
                return self._answer([], "")
            elif name not in ("vpc-id", "instance-state-name") or (
                name == "instance-state-name" and not {"running", "stopped"} <= set(values)
            ):
                raise NotImplementedError(f"the filter {name}={values}")
        if some:
            return self._answer([self._numbers[one] for one in some], "")
        most = int(form.get("MaxResults", PAGE))
        if most == PAGE and start % PAGE == 0:
            if start not in self._pages:
                self._pages[start] = self._page(start)
            return self._pages[start]
        return self._page(start, most)

    def describe_tags(self, _: dict[str, str]) -> bytes:
        items = "".join(
            f"<item><resourceId>{one.instance_id}</resourceId><resourceType>instance</resourceType>"
            f"<key>{key}</key><value>{value}</value></item>"
            for one, tags in zip(self._instances, self.tags, strict=True)
            for key, value in tags.items()
        )
        return f"<DescribeTagsResponse {_XMLNS}><tagSet>{items}</tagSet></DescribeTagsResponse>".encode()

    def create_tags(self, form: dict[str, str]) -> bytes:
        tags = [(form[f"Tag.{n}.Key"], form.get(f"Tag.{n}.Value", "")) for n in counting(form, "Tag.{}.Key")]
        ids = listed(form, "ResourceId")
        assert len(ids) <= PAGE, "more than 1,000 resources"
        for one in ids:
            self.tags[self._numbers[one]].update(tags)
            self._pages.pop(self._numbers[one] // PAGE * PAGE, None)
        return (
            f"<CreateTagsResponse {_XMLNS}><requestId>{_REQUEST_ID}</requestId>"
            "<return>true</return></CreateTagsResponse>"
        ).encode()

    def _page(self, start: int, most: int = PAGE) -> bytes:
        end = min(start + most, len(self._instances))
        return self._answer(range(start, end), str(end) if end < len(self._instances) else "")

    def _answer(self, numbers: Any, token: str) -> bytes:
        around = self._around
        items = "".join(f"{around[n][0]}{tag_set(self.tags[n])}{around[n][1]}" for n in numbers)
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<DescribeInstancesResponse {_XMLNS}>'
            f"<requestId>{_REQUEST_ID}</requestId><reservationSet>{items}</reservationSet>"
            f"{f'<nextToken>{token}</nextToken>' if token else ''}</DescribeInstancesResponse>"
        ).encode()


class Trail:
    """The launches, newest first, as CloudTrail tells of them."""

    def __init__(self, instances: list[Launched]) -> None:
        self._events = [json.dumps(event(one)) for one in reversed(instances)]
        self._times = [-one.at.timestamp() for one in reversed(instances)]  # ascending
        self._of = {one.instance_id: n for n, one in enumerate(reversed(instances))}

    def lookup_events(self, request: dict[str, Any]) -> bytes:
        for attribute in request.get("LookupAttributes", []):
            if attribute["AttributeKey"] == "ResourceName":
                return self._answer([self._events[self._of[attribute["AttributeValue"]]]], "")
            if attribute != {"AttributeKey": "EventName", "AttributeValue": "RunInstances"}:
                raise NotImplementedError(f"looking up {attribute}")
        first, end = 0, len(self._events)
        if "EndTime" in request:
            first = bisect_left(self._times, -request["EndTime"])
        if "StartTime" in request:
            end = bisect_right(self._times, -request["StartTime"])
        start = first + int(request.get("NextToken", "0"))
        stop = min(start + min(request.get("MaxResults", EVENTS_PAGE), EVENTS_PAGE), end)
        return self._answer(self._events[start:stop], str(stop - first) if stop < end else "")

    def _answer(self, events: list[str], token: str) -> bytes:
        more = f', "NextToken": "{token}"' if token else ""
        return f'{{"Events": [{", ".join(events)}]{more}}}'.encode()


def listed(form: dict[str, str], name: str) -> list[str]:
    return [form[f"{name}.{n}"] for n in counting(form, name + ".{}")]


def filters(form: dict[str, str]) -> list[tuple[str, list[str]]]:
    return [(form[f"Filter.{n}.Name"], listed(form, f"Filter.{n}.Value")) for n in counting(form, "Filter.{}.Name")]


def counting(form: dict[str, str], name: str) -> list[int]:
    """Return 1, 2, … as far as the form has such a name."""
    n = 1
    while name.format(n) in form:
        n += 1
    return list(range(1, n))


class Refused(Exception):
    """AWS's error of this name."""


class Cloud:
    """Everything that is called, and how often."""

    def __init__(self, instances: list[Launched]) -> None:
        self.fleet, self.trail = Fleet(instances), Trail(instances)
        self.tables = Tables()
        self.calls: Counter[str] = Counter()
        self._of_query: dict[str, Callable[[dict[str, str]], bytes]] = {
            "DescribeInstances": self.fleet.describe_instances,
            "DescribeTags": self.fleet.describe_tags,
            "CreateTags": self.fleet.create_tags,
            "GetCallerIdentity": lambda _: (
                "<GetCallerIdentityResponse><GetCallerIdentityResult>"
                f"<Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
                "</GetCallerIdentityResult></GetCallerIdentityResponse>"
            ).encode(),
            "Publish": lambda _: (
                f"<PublishResponse><PublishResult><MessageId>{_REQUEST_ID}</MessageId></PublishResult></PublishResponse>"
            ).encode(),
        }

    def answer(self, path: str, target: str, body: bytes) -> tuple[str, bytes]:
        """Return the content type and the body of the answer. Raises Refused."""
        if path == "/_bench/reset":
            self.fleet.reset()
            self.tables = Tables()
            for item in json.loads(body)["Rules"]:
                self.tables.put("tag_policies", item)
            self.calls.clear()
            return "application/json", b"{}"
        if path == "/_bench/state":
            return "application/json", json.dumps({"Calls": self.calls, "Digest": self.fleet.digest()}).encode()
        if path.startswith("/v2/email/"):
            self.calls["ses SendEmail"] += 1
            return "application/json", json.dumps({"MessageId": _REQUEST_ID}).encode()
        if not target:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            service = {"2010-03-31": "sns", "2011-06-15": "sts"}.get(form["Version"], "ec2")
            self.calls[f"{service} {form['Action']}"] += 1
            return "text/xml;charset=UTF-8", self._of_query[form["Action"]](form)
        service, _, action = target.rpartition(".")
        request = json.loads(body)
        if service.startswith("DynamoDB"):
            self.calls[f"dynamodb {action}"] += 1
            return "application/x-amz-json-1.0", json.dumps(self.tables.answer(action, request)).encode()
        if action == "LookupEvents":
            self.calls[f"cloudtrail {action}"] += 1
            return "application/x-amz-json-1.1", self.trail.lookup_events(request)
        if action == "AdminGetUser":
            self.calls[f"cognito-idp {action}"] += 1
            raise Refused("UserNotFoundException")
        self.calls[f"{service} {action}"] += 1
        return "application/x-amz-json-1.0", json.dumps({"MessageId": _REQUEST_ID}).encode()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with as little as a client needs of it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._waiting = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while True:
            head, blank, rest = self._waiting.partition(b"\r\n\r\n")
            if not blank:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if ": " in line)}
            length = int(headers.get("content-length", "0"))
            if len(rest) < length:
                return
            self._waiting = rest[length:]
            status, kind, body = b"200 OK", "text/plain", b""
            try:
                kind, body = self._cloud.answer(
                    first.split()[1].partition("?")[0], headers.get("x-amz-target", ""), rest[:length]
                )
            except Refused as refused:
                status, body = b"400 Bad Request", json.dumps({"__type": str(refused), "message": "No."}).encode()
            except Exception as error:
                # A client must not read a fault of this server as an empty answer.
                print(f"{first}: {error!r}", file=sys.stderr, flush=True)
                status, body = b"400 Bad Request", f"{type(error).__name__}: {error}".encode()
            self._transport.write(
                b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nx-amzn-RequestId: %b\r\n\r\n"
                % (status, kind.encode(), len(body), _REQUEST_ID.encode())
                + body
            )


async def serve(port: int, cloud: Cloud) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(cloud), "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Cloud(fleet(int(sys.argv[2]), moment(sys.argv[3])))))
