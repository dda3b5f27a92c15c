"""CloudTrail: who launched which instance.

Reference: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from portal import aws

KEPT = timedelta(days=90)
# An event can be looked up some 15 minutes after it happened.
DELAY = timedelta(minutes=15)
# How far a launch's event may be from the moment that EC2 gives: its disk is attached some seconds later.
BEFORE, AFTER = timedelta(minutes=10), timedelta(minutes=5)
_SECONDS_BETWEEN_CALLS = 0.5  # two requests a second are allowed, in each region


class Unavailable(Exception):
    """CloudTrail did not answer, or refused."""


@dataclass(frozen=True)
class Window:
    """A stretch of time in which somebody launched something."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Page:
    """Some events, newest first, as LookupEvents gives them. `until` is how far back they go."""

    events: list[Mapping[str, Any]]
    until: datetime


def next_window(launched_at: Iterable[datetime], *, before: datetime, now: datetime) -> Window | None:
    """Return the stretch of time before a moment in which the events of these launches are; None if there is none.

    To ask for it anew at the newest launch that is still wanted skips the events between, and costs no call more than
    to go on.
    """
    oldest = now - KEPT
    left = [at for at in launched_at if at > oldest and max(at - BEFORE, oldest) < before]
    return Window(max(min(left) - BEFORE, oldest), min(max(left) + AFTER, before)) if left else None


def is_within_reach(at: datetime, *, before: datetime) -> bool:
    """Tell whether the event of a launch may be among the next ones before a moment."""
    return at - BEFORE < before <= at + AFTER


def launches(region: str, window: Window) -> Iterator[Page]:
    """Yield the RunInstances events of a stretch of time, 50 at a time, newest first. Raises Unavailable."""
    client = aws.client_in("cloudtrail", region)
    request: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "RunInstances"}],
        "StartTime": window.start,
        "EndTime": window.end,
        "MaxResults": 50,
    }
    until = window.end
    while True:
        _wait_for_turn(region)
        try:
            answer = client.lookup_events(**request)
        except ClientError as error:
            raise Unavailable(aws.error_code(error)) from error
        except BotoCoreError as error:
            raise Unavailable(type(error).__name__) from error
        events: list[Any] = answer["Events"]
        more = answer.get("NextToken")
        if not more:
            until = window.start
        elif events:
            until = events[-1]["EventTime"]
        # Else the page happens to be empty, and says nothing of how far back it goes.
        yield Page(events, until)
        if not more:
            return
        request["NextToken"] = more


_turns: dict[str, float] = {}
_turn = threading.Lock()


def _wait_for_turn(region: str) -> None:
    """Keep to two requests a second, which is cheaper than being refused."""
    with _turn:
        now = time.monotonic()
        at = max(now, _turns.get(region, 0.0))
        _turns[region] = at + _SECONDS_BETWEEN_CALLS
    time.sleep(max(0.0, at - now))
