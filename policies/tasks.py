"""What runs without anybody waiting for it: zappa_settings.json says when."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from policies import creators, engine, lease, queue
from policies.runs import Kind, Launch, Run, runs

log = logging.getLogger(__name__)

# How long a run waits that somebody else's is in the way of.
WAIT_SECONDS = 15


def enforce(event: dict[str, Any], context: Any) -> None:
    """Apply the rules to everything, once an hour; or go on with a run that nobody finished."""
    now = datetime.now(UTC)
    run, is_ours = engine.unfinished(now=now), False
    if run is None:
        run, is_ours = engine.find_or_begin(
            Kind.ENFORCE,
            by=None,
            now=_moment(event["time"]),
            suffix=event["id"][:8],  # an event that comes twice makes one run
            most_changes=settings.POLICY_MOST_CHANGES,
            most_percent=settings.POLICY_MOST_PERCENT,
            most_ended=settings.POLICY_MOST_ENDED,
        )
    try:
        _work_on(run.run_id, context)
    except lease.Held:
        # Somebody is at work, and what this run would do the next one does.
        if is_ours:
            engine.drop(run.run_id, now=now, why="Another run was under way.")


def go_on(event: dict[str, Any], context: Any) -> None:
    """Work on the run that a message of the queue names."""
    for record in event["Records"]:
        run_id = json.loads(record["body"])["RunId"]
        if runs.find(run_id) is None:
            log.warning("there is no run %s", run_id)
            continue
        _work_on_or_wait(run_id, context)


def on_launch(event: dict[str, Any], context: Any) -> None:
    """Apply the rules to instances that were just launched: EventBridge's RunInstances events, through a queue."""
    for record in event["Records"]:
        run = launched(json.loads(record["body"]))
        if run is not None:
            _work_on_or_wait(run.run_id, context)


def launched(event: dict[str, Any]) -> Run | None:
    """Store the run for a RunInstances event, or return the one that there is; None where nothing was launched."""
    detail = event["detail"]
    known = creators.launches(event)
    if not known:
        return None
    return engine.begin(
        Kind.LAUNCH,
        by=None,
        # The same for an event that comes twice, so that today() and now() give what they gave.
        now=_moment(detail["eventTime"]),
        suffix=str(detail["eventID"])[:8],
        launch=Launch(detail["awsRegion"], known),
    )


def _work_on(run_id: str, context: Any) -> None:
    if not engine.step(run_id, until=_until(context)).is_over:
        queue.send(run_id)


def _work_on_or_wait(run_id: str, context: Any) -> None:
    try:
        _work_on(run_id, context)
    except lease.Held:
        queue.send(run_id, delay_seconds=WAIT_SECONDS)


def _until(context: Any) -> float:
    return time.monotonic() + float(context.get_remaining_time_in_millis()) / 1000


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
