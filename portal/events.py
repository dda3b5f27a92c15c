"""Which function an event of SQS or EventBridge is for: those that zappa_settings.json subscribes, and no other.

See docs/decisions/0012-events.md.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

Task = Callable[[Mapping[str, Any], Any], object]


class NotSubscribed(ValueError):
    """The event is not one that zappa_settings.json subscribes a function to. Nothing was run."""


def stages() -> dict[str, list[dict[str, Any]]]:
    """Return the events of each stage, as zappa_settings.json has them."""
    stages: dict[str, dict[str, Any]] = json.loads(Path(settings.BASE_DIR, "zappa_settings.json").read_text())
    return {name: stage.get("events", []) for name, stage in stages.items()}


def task_for(event: Mapping[str, Any]) -> Task:
    """Return the function for an event, whose module is imported now. Raises NotSubscribed."""
    name = _subscribed().get(_origin(event), "")
    if not name:
        raise NotSubscribed("This function answers HTTP events, and the events that zappa_settings.json names.")
    module, _, function = name.rpartition(".")
    task: Task = getattr(importlib.import_module(module), function)
    return task


@cache
def _subscribed() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for events in stages().values():
        for event in events:
            function = event["function"]
            if "event_source" in event:
                # Without its account and region, which the file does not know of every stage.
                found["queue", event["event_source"]["arn"].rpartition(":")[2]] = function
            else:
                found["schedule", function] = function
    return found


def _origin(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return what kind of thing sent the event, and its name; two empty strings for what no rule or queue sends."""
    match event:
        case {"Records": [{"eventSource": "aws:sqs", "eventSourceARN": str(arn)}, *others]}:
            if all(one.get("eventSourceARN") == arn for one in others):
                return "queue", arn.rpartition(":")[2]
        case {"source": "aws.events", "detail-type": "Scheduled Event", "resources": [str(rule)]}:
            # Zappa calls its rules <lambda>-[<index>-][<name>-]<module.function>.
            return "schedule", rule.rpartition("/")[2].rpartition("-")[2]
    return "", ""
