"""LookupEvents: one attribute, pages, and two requests a second.

MiniStack answers one page of at most fifty events, as often as it is asked.
Reference: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

import json
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from portal.localcloud.standins.page_tokens import PageTokens, TokenInvalid
from portal.localcloud.standins.role_sessions import Refusal
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.trail_history import History, Record, Scope

LARGEST_PAGE = 50
REQUESTS_PER_SECOND = 2.0
BURST = 2.0
ATTRIBUTES: dict[str, Callable[[Record, str], bool]] = {
    "AccessKeyId": lambda record, wanted: record.access_key_id == wanted,
    "EventId": lambda record, wanted: record.event_id == wanted,
    "EventName": lambda record, wanted: record.name == wanted,
    "EventSource": lambda record, wanted: record.source == wanted,
    "ReadOnly": lambda record, wanted: str(record.read_only).lower() == wanted,
    "ResourceName": lambda record, wanted: any(name == wanted for _kind, name in record.resources),
    "ResourceType": lambda record, wanted: any(kind == wanted for kind, _name in record.resources),
    "Username": lambda record, wanted: record.username == wanted,
}


class Throttle:
    """A bucket per account and region that refills."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[Scope, tuple[float, float]] = {}

    def admits(self, scope: Scope) -> bool:
        """Return whether a request may pass, and count it if so."""
        now = self._clock()
        left, since = self._left.get(scope, (BURST, now))
        left = min(BURST, left + (now - since) * REQUESTS_PER_SECOND)
        passes = left >= 1
        self._left[scope] = (left - passes, now)
        return passes


def install(history: History) -> None:
    """Answer LookupEvents from a history."""
    trail = module_with("ministack.services.cloudtrail", "_DISPATCH", "reset")
    responses = module_with("ministack.core.responses", "get_account_id", "get_region")
    throttle, tokens, forget_trails = Throttle(), PageTokens(), trail.reset

    def look_up(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        scope = responses.get_account_id(), responses.get_region()
        try:
            if not throttle.admits(scope):
                raise Refusal("ThrottlingException", "Rate exceeded")
            return _json(200, _page(history, scope, body, tokens))
        except Refusal as refusal:
            return _json(refusal.status, {"__type": refusal.code, "message": refusal.message})

    def reset() -> None:
        forget_trails()
        history.clear()

    # Touchpoints: the table of actions, and what MiniStack calls to forget everything.
    trail._DISPATCH["LookupEvents"] = look_up
    trail.reset = reset


def _page(history: History, scope: Scope, body: dict[str, Any], tokens: PageTokens) -> dict[str, Any]:
    size = body.get("MaxResults", LARGEST_PAGE)
    if not isinstance(size, int) or not 1 <= size <= LARGEST_PAGE:
        message = f"The MaxResults value must be between 1 and {LARGEST_PAGE}."
        raise Refusal("InvalidMaxResultsException", message)
    attributes = body.get("LookupAttributes") or []
    matches = _matcher(attributes)
    start, end = float(body.get("StartTime", 0)), float(body.get("EndTime", time.time()))
    if start > end:
        raise Refusal("InvalidTimeRangeException", "The start time must be before the end time.")
    category = body.get("EventCategory")
    if category not in (None, "insight"):
        raise Refusal("InvalidEventCategoryException", f"The event category {category} is not valid.")
    asked = {
        "scope": scope,
        "attributes": attributes,
        "times": [body.get("StartTime"), body.get("EndTime")],
        "category": category,
    }
    before = None
    if body.get("NextToken"):
        try:
            position: Any = tokens.open(body["NextToken"], asked)
        except TokenInvalid as invalid:
            raise Refusal("InvalidNextTokenException", "The specified NextToken is not valid.") from invalid
        before = position[0], position[1]
    # No trail here has Insights on.
    found = [] if category else history.newest_first(scope, start, end, before)
    page = list(islice((record for record in found if matches(record)), size + 1))
    answer: dict[str, Any] = {"Events": [record.as_json() for record in page[:size]]}
    if len(page) > size:
        answer["NextToken"] = tokens.seal(list(page[size - 1].position), asked)
    return answer


def _matcher(attributes: list[dict[str, str]]) -> Callable[[Record], bool]:
    if not attributes:
        return lambda _record: True
    if len(attributes) > 1:
        raise Refusal("InvalidLookupAttributesException", "Only one lookup attribute can be specified.")
    key, wanted = attributes[0].get("AttributeKey", ""), attributes[0].get("AttributeValue", "")
    if key not in ATTRIBUTES or not wanted:
        raise Refusal("InvalidLookupAttributesException", f"The lookup attribute {key} is not valid.")
    return lambda record: ATTRIBUTES[key](record, wanted)


def _json(status: int, content: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()
