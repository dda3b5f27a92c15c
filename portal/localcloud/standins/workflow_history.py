"""The events of an execution's history, as AWS writes them.

MiniStack writes the same few for every kind of task, without resource, parameters and order.
Reference: https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
"""

import json
import re
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

_WHOLE = {"truncated": False}
_SURROGATE = re.compile("[\ud800-\udfff]")


def install() -> None:
    """Write each event with the id of the one before. Raises TouchpointMissing."""
    sfn = module_with("ministack.services.stepfunctions", "_add_event", "now_iso")

    def add(execution: dict[str, Any], kind: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
        events = execution["events"]
        # The first state is entered by no event, on AWS too.
        previous = len(events) if len(events) > 1 else 0
        event = {"id": len(events) + 1, "previousEventId": previous, "type": kind, "timestamp": sfn.now_iso()}
        for name, content in (details or {}).items():
            event[name] = {field: value for field, value in content.items() if value is not None}
            for data in ("input", "output"):
                if data in event[name]:
                    event[name][f"{data}Details"] = _WHOLE
        events.append(event)
        return event

    # Touchpoint: looked up in the module at each call.
    sfn._add_event = add


def text_of(content: Any) -> str:
    """Return JSON as AWS writes it, and what UTF-8 cannot say escaped."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(content, separators=(",", ":")) if _SURROGATE.search(text) else text


def kind_of(resource: str) -> str:
    """Return with what a task's events begin."""
    if ":activity:" in resource:
        return "Activity"
    return "LambdaFunction" if resource.startswith("arn:aws:lambda:") else "Task"


class TaskEvents:
    """Writes the events of one attempt at a task."""

    def __init__(self, execution: dict[str, Any], resource: str, region: str) -> None:
        self._add = module_with("ministack.services.stepfunctions", "_add_event")._add_event
        self._execution, self._resource, self._region = execution, resource, region
        self._kind = kind_of(resource)
        # arn:aws:states:::sqs:sendMessage.waitForTaskToken
        kind, _, action = resource.partition(":::")[2].rpartition(":")
        self._of_resource = {"resourceType": kind or "states", "resource": action or resource}

    def scheduled(self, parameters: Any, timeout: float | None, heartbeat: float | None) -> None:
        limits = {
            "timeoutInSeconds": timeout if timeout is None else int(timeout),
            "heartbeatInSeconds": heartbeat if heartbeat is None else int(heartbeat),
        }
        if self._kind == "Task":
            self._write("Scheduled", region=self._region, parameters=text_of(parameters), **limits)
        else:
            self._write("Scheduled", resource=self._resource, input=text_of(parameters), **limits)

    def started(self, worker: str | None = None) -> None:
        self._write("Started", **({"workerName": worker} if self._kind == "Activity" else {}))

    def submitted(self, output: str) -> None:
        self._write("Submitted", output=output)

    def succeeded(self, output: str) -> None:
        self._write("Succeeded", output=output)

    def failed(self, error: str | None, cause: str | None) -> None:
        self._write("Failed", error=error, cause=cause)

    def timed_out(self) -> None:
        self._write("TimedOut", error="States.Timeout")

    def _write(self, what: str, **details: Any) -> None:
        if self._kind == "Task":
            details |= self._of_resource
        name = f"{self._kind[0].lower()}{self._kind[1:]}{what}EventDetails"
        # There is no lambdaFunctionStartedEventDetails.
        empty = self._kind == "LambdaFunction" and what == "Started"
        self._add(self._execution, f"{self._kind}{what}", None if empty else {name: details})
