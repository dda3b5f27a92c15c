"""Record every management call in CloudTrail's history, and pass EC2's changes on to EventBridge.

MiniStack records calls after they were answered, without the answer, and no call that IAM refused.
Reference: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
"""

import json
import logging
import re
import time
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import unescape

from portal.localcloud.standins.aws_calls import AwsCall, identify
from portal.localcloud.standins.ec2_calls import Params
from portal.localcloud.standins.snapshots import only_reads
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.trail_events import (
    Resource,
    elements_of,
    event_of,
    is_read,
    launch_resources,
    request_parameters,
    resources_in,
)
from portal.localcloud.standins.trail_history import History
from portal.localcloud.standins.trail_identities import Identities

log = logging.getLogger("portal.localcloud")

# EventBridge takes no larger event.
LARGEST_EVENT = 256 * 1024
# Data events, which the event history does not have, and EC2 apart, calls that are no API's of one name.
DATA_EVENTS = {
    "dynamodb": re.compile(r"(Batch|Transact)?(Get|Put|Update|Delete|Write|Execute)?(Items?|Statement|Transaction)"),
    "dynamodbstreams": re.compile(r"Get(Records|ShardIterator)"),
    "s3": re.compile(r"\w*(Object|Upload|Part)\w*"),
    "sqs": re.compile(r"\w*Message\w*"),
    "sns": re.compile(r"Publish\w*"),
    "ses": re.compile(r"Send\w*"),
    "sesv2": re.compile(r"Send\w*"),
    "lambda": re.compile(r"Invoke\w*"),
    "logs": re.compile(r"PutLogEvents"),
    "cloudwatch": re.compile(r"PutMetricData"),
    "events": re.compile(r"PutEvents"),
    "stepfunctions": re.compile(r"GetActivityTask|SendTask\w+"),
    "execute-api": re.compile(r".*"),
    "unsigned": re.compile(r".*"),
}
_SOURCES = {"stepfunctions": "states", "cloudwatch": "monitoring", "sesv2": "ses"}
_ACTION = re.compile(r"[A-Z][A-Za-z0-9]+")
_REQUEST_ID = re.compile(rb"<request(?:Id|ID)>([^<]+)<|<RequestID>([^<]+)<")
_ERROR = re.compile(rb"<Code>([^<]+)</Code>\s*<Message>([^<]*)</Message>")


class Recorder:
    """Writes events into a history as calls are answered."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._identities = Identities()
        self._app = module_with(
            "ministack.app", "_dispatch_service_request", "_maybe_record_cloudtrail", "extract_access_key_id"
        )
        self._ec2 = module_with("ministack.services.ec2", "_instances")
        self._bus = module_with("ministack.services.eventbridge", "_put_events", "_events_log_list")
        self._responses = module_with(
            "ministack.core.responses", "get_account_id", "get_region", "get_request_client_ip"
        )
        # Touchpoints: the app looks both up in its module at each call.
        dispatch = self._app._dispatch_service_request

        async def dispatch_and_record(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Any, request_id: str
        ) -> tuple[int, dict[str, str], bytes]:
            answer: tuple[int, dict[str, str], bytes] = await dispatch(method, path, headers, body, query, request_id)
            try:
                self._record(method, path, headers, body, query, answer)
            except Exception:  # the call has been answered: it must not fail for its record
                log.exception("a call was not recorded in CloudTrail")
            return answer

        self._app._dispatch_service_request = dispatch_and_record
        self._app._maybe_record_cloudtrail = lambda *_arguments: None

    def add(self, event: dict[str, Any], resources: list[Resource], *, deliver: bool = True) -> None:
        """Add an event to the history and, if it changed something in EC2, to the default event bus."""
        self._history.add([(event, resources)])
        if deliver and not event["readOnly"] and event["eventSource"] == "ec2.amazonaws.com":
            self.deliver(event)

    def deliver(self, event: dict[str, Any]) -> None:
        """Put an event on the default event bus of the request's account and region."""
        detail = json.dumps(event)
        if len(detail) > LARGEST_EVENT:
            log.warning("EventBridge would not get the event %s: it is too large", event["eventID"])
            return
        entry = {"Source": "aws.ec2", "DetailType": "AWS API Call via CloudTrail", "Detail": detail}
        self._bus._put_events({"Entries": [entry]}, allow_aws_source=True)
        # MiniStack keeps every event for ever.
        del self._bus._events_log_list()[:-100]

    def _record(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Any, answer: tuple[int, Any, bytes]
    ) -> None:
        access_key_id = self._app.extract_access_key_id(headers, query)
        call = identify(method, path, query, headers, body)
        if not access_key_id or not _is_management(call):
            return
        identity = self._identities.of(access_key_id)
        if identity is None:
            return
        status, _headers, content = answer
        ids = _REQUEST_ID.search(content[-300:]) or _REQUEST_ID.search(content[:1000])
        common: dict[str, Any] = {
            "account": self._responses.get_account_id(),
            "region": self._responses.get_region(),
            "at": time.time(),
            "source_ip": self._responses.get_request_client_ip(),
            "user_agent": headers.get("user-agent", ""),
            "request_id": next(one for one in ids.groups() if one).decode() if ids else "",
        }
        if call.service == "ec2":
            self._record_ec2(
                call.action,
                identity,
                common,
                {**parse_qs(body.decode("utf-8", "replace"), True), **query},
                status,
                content,
            )
        else:
            # Without parameters and answer: here are passwords among them.
            read_only = only_reads(method, call.action) or call.action.startswith("Get")
            source = f"{_SOURCES.get(call.service, call.service)}.amazonaws.com"
            error = _error(content) if status >= 400 else None
            self.add(event_of(call.action, identity, source=source, read_only=read_only, error=error, **common), [])

    def _record_ec2(
        self, action: str, identity: Any, common: dict[str, Any], params: Params, status: int, content: bytes
    ) -> None:
        parameters = request_parameters(action, params)
        if status >= 400:
            code, message = _error(content)
            error = f"{'Client' if status < 500 else 'Server'}.{code}", message
            resources = [] if is_read(action) else resources_in(json.dumps(parameters))
            self.add(event_of(action, identity, parameters=parameters, error=error, **common), resources)
            return
        if is_read(action):
            self.add(event_of(action, identity, parameters=parameters, **common), [])
            return
        elements = elements_of(content)
        if action == "RunInstances":
            ids = [one["instanceId"] for one in elements["instancesSet"]["items"]]
            resources = launch_resources(self._ec2._instances[one] for one in ids)
        else:
            resources = resources_in(json.dumps([parameters, elements]))
        self.add(event_of(action, identity, parameters=parameters, answer=elements, **common), resources)


def _error(content: bytes) -> tuple[str, str]:
    """Return the code and message of an error in XML or JSON."""
    if found := _ERROR.search(content):
        return found[1].decode(), unescape(found[2].decode())
    try:
        fields = json.loads(content)
        return str(fields["__type"]).rpartition("#")[2], str(fields.get("message") or fields.get("Message") or "")
    except (ValueError, KeyError, TypeError):
        return "InternalError", ""


def _is_management(call: AwsCall) -> bool:
    if not _ACTION.fullmatch(call.action):
        return False
    data = DATA_EVENTS.get(call.service)
    if call.service == "dynamodb" and call.action in ("Query", "Scan"):
        return False
    return data is None or not data.fullmatch(call.action)
