"""Faults that tests ask for: throttling, server errors, errors of a given code, lost replies and delays.

MiniStack has no fault injection. The errors are shaped per protocol so that botocore parses their code. An error of a
given code, SES's MessageRejected for instance, has status 400, unless it is the service's throttling or server error.
Reference: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and the
"Common Errors" page of each service's API reference.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from portal.localcloud.standins.aws_calls import AwsCall

Kind = Literal["throttle", "error", "lost_reply", "delay"]

THROTTLE_CODES = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "cognito-idp": ("TooManyRequestsException", 400),
    "cognito-identity": ("TooManyRequestsException", 400),
    "lambda": ("TooManyRequestsException", 429),
    "sesv2": ("TooManyRequestsException", 429),
    "s3": ("SlowDown", 503),
    "sqs": ("RequestThrottled", 403),
    "sns": ("Throttling", 400),
    "ses": ("Throttling", 400),
    "sts": ("Throttling", 400),
    "iam": ("Throttling", 400),
    "cloudformation": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
}
ERROR_CODES = {
    "s3": "InternalError",
    "ec2": "InternalError",
    "ses": "InternalFailure",
    "sts": "InternalFailure",
}
QUERY_XML_SERVICES = frozenset({"sns", "ses", "sts", "iam", "cloudformation"})


class FaultMalformed(ValueError):
    """A posted fault lacks a field or has one of the wrong kind."""


@dataclass
class Fault:
    """What happens to the calls of a service whose action matches, after skip of them and times often.

    code is that of an error, "" the service's server error.
    """

    service: str
    action: str
    kind: Kind
    times: int | None = None
    skip: int = 0
    delay_seconds: float = 0.0
    code: str = ""
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)

    @classmethod
    def from_json(cls, fields: Any) -> "Fault":
        """Read one posted fault. Raises FaultMalformed."""
        if not isinstance(fields, dict):
            raise FaultMalformed("a fault is a JSON object")
        unknown = set(fields) - {"service", "action", "kind", "times", "skip", "delay_seconds", "code"}
        if unknown:
            raise FaultMalformed(f"unknown fields: {', '.join(sorted(unknown))}")
        if not fields.get("service") or fields.get("kind") not in get_args(Kind):
            raise FaultMalformed(f"a fault needs a service and a kind of {', '.join(get_args(Kind))}")
        if "code" in fields and (fields["kind"] != "error" or not re.fullmatch(r"[\w.]+", str(fields["code"]))):
            raise FaultMalformed("an error, and nothing else, has a code: letters, digits, dots")
        try:
            re.compile(fields.get("action", ""))
            times = None if fields.get("times") is None else int(fields["times"])
            return cls(
                service=fields["service"],
                action=fields.get("action", ".*"),
                kind=fields["kind"],
                times=times,
                skip=int(fields.get("skip", 0)),
                delay_seconds=float(fields.get("delay_seconds", 0)),
                code=fields.get("code", ""),
            )
        except (re.error, TypeError, ValueError) as wrong:
            raise FaultMalformed(str(wrong)) from wrong

    def strikes(self, call: AwsCall) -> bool:
        """Return whether this call is hit, and count it."""
        if call.service != self.service or not re.fullmatch(self.action, call.action):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True

    def as_json(self) -> dict[str, object]:
        return {
            "service": self.service,
            "action": self.action,
            "kind": self.kind,
            "times": self.times,
            "skip": self.skip,
            "delay_seconds": self.delay_seconds,
            "code": self.code,
            "seen": self.seen,
            "hits": self.hits,
        }


class FaultList:
    """The faults posted since the last clear, in order; the first that strikes decides."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, faults: list[Fault]) -> None:
        self._faults.extend(faults)

    def clear(self) -> None:
        self._faults.clear()

    def find(self, call: AwsCall) -> Fault | None:
        """Return the fault that hits this call."""
        return next((fault for fault in self._faults if fault.strikes(call)), None)

    def as_json(self) -> list[dict[str, object]]:
        return [fault.as_json() for fault in self._faults]


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def error_reply(kind: Literal["throttle", "error"], call: AwsCall, code: str = "") -> Reply:
    """Return the throttling or server error that AWS sends for this call, or one of that code, in the service's
    protocol."""
    throttled, throttled_status = THROTTLE_CODES.get(call.service, ("ThrottlingException", 400))
    failed = ERROR_CODES.get(call.service, "InternalServerError")
    code = code or (throttled if kind == "throttle" else failed)
    status, message = {throttled: (throttled_status, "Rate exceeded"), failed: (500, "Injected server error")}.get(
        code, (400, "Injected error")
    )
    if call.service == "s3":
        return _xml(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>")
    if call.service == "ec2":
        return _xml(
            status,
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            "<RequestID>injected</RequestID></Response>",
        )
    if call.service in QUERY_XML_SERVICES:
        return _xml(
            status,
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>injected</RequestId></ErrorResponse>",
        )
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    if call.service == "sqs":
        headers["x-amzn-query-error"] = f"{code};Sender"
    return Reply(status, headers, json.dumps({"__type": code, "message": message}).encode())


def _xml(status: int, document: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?>{document}'
    return Reply(status, {"Content-Type": "text/xml"}, body.encode())
