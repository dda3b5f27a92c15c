"""The states of a state machine, one after the other, on the event loop.

Choice, Pass, Parallel and Map are MiniStack's own, the latter two on threads. Where an execution stands is written down
before it waits, so that it can go on from there; a call that a Task state makes may then be made again.
Reference: https://docs.aws.amazon.com/step-functions/latest/dg/workflow-states.html
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from portal.localcloud.standins.task_tokens import DATA_BYTES
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.workflow_history import text_of
from portal.localcloud.standins.workflow_tasks import Run, TaskStates, on_thread

# Where an execution stands: the part of its record that is there while it runs.
CHECKPOINT = "checkpoint"
_WAITS = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")


class States:
    """Walks executions from state to state."""

    def __init__(self, tasks: TaskStates, on_change: Callable[[], None]) -> None:
        self._tasks, self._on_change = tasks, on_change
        self._sfn = module_with(
            "ministack.services.stepfunctions",
            "_ExecutionError",
            "_SFN_WAIT_SCALE",
            "_add_event",
            "_apply_input_path",
            "_execute_choice",
            "_execute_map",
            "_execute_parallel",
            "_execute_pass",
            "_execute_wait",
            "_fail_state_error",
            "_jsonata_wait_seconds",
            "_jsonata_wait_timestamp",
            "_parse_ts",
            "_resolve_path_or_ctx",
            "_state_machines",
            "_state_query_language",
            "now_iso",
        )

    async def walk(self, run: Run) -> Any:
        """Go from state to state, and return the output of the last one."""
        execution, checkpoint = run.execution, run.execution[CHECKPOINT]
        definition = json.loads(checkpoint["definition"])
        context = {
            "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
            "Execution": {
                "Id": run.arn,
                "Input": json.loads(execution["input"]),
                "Name": execution["name"],
                "RoleArn": run.role_arn,
                "StartTime": execution["startDate"],
            },
            "StateMachine": {
                "Id": execution["stateMachineArn"],
                "Name": execution["stateMachineArn"].rpartition(":")[2],
            },
            "variables": checkpoint["variables"],
        }
        while True:
            name, given = checkpoint["state"], checkpoint["input"]
            if execution["stateMachineArn"] not in self._sfn._state_machines:
                raise self._sfn._ExecutionError("StateMachineDeleted", "The state machine was deleted")
            state = definition["States"][name]
            if checkpoint["entered"] is None:
                checkpoint["entered"] = self._sfn.now_iso()
                entered = {"stateEnteredEventDetails": {"name": name, "input": text_of(given)}}
                self._sfn._add_event(execution, f"{state['Type']}StateEntered", entered)
            ctx = {**context, "State": {"Name": name, "EnteredTime": checkpoint["entered"], "RetryCount": 0}}
            output, following = await self._state(run, state, given, ctx, checkpoint["progress"])
            text = text_of(output)
            if len(text.encode()) > DATA_BYTES:
                cause = f"The state '{name}' returned a result with a size exceeding {DATA_BYTES} bytes"
                raise self._sfn._ExecutionError("States.DataLimitExceeded", cause)
            exited = {"stateExitedEventDetails": {"name": name, "output": text}}
            self._sfn._add_event(execution, f"{state['Type']}StateExited", exited)
            if following is None:
                return output
            checkpoint.update(state=following, input=output, entered=None, progress={})
            self._on_change()

    async def _state(
        self, run: Run, state: dict[str, Any], given: Any, ctx: dict[str, Any], progress: dict[str, Any]
    ) -> tuple[Any, str | None]:
        """Perform a state and return its output and the next state."""
        sfn = self._sfn
        result: Any = None
        match state["Type"]:
            case "Task":
                return await self._tasks.perform(run, state, given, ctx, progress)
            case "Wait":
                if "until" not in progress:
                    progress["until"] = self._wait_end(state, given, ctx)
                    self._on_change()
                await asyncio.sleep(progress["until"] - time.time())
                result = sfn._execute_wait({key: state[key] for key in state if key not in _WAITS}, given, ctx)
            case "Pass":
                result = sfn._execute_pass(state, given, ctx)
            case "Choice":
                result = sfn._execute_choice(state, given, ctx)
            case "Parallel":
                result = await on_thread(lambda: sfn._execute_parallel(state, given, run.execution, ctx))
            case "Map":
                result = await on_thread(lambda: sfn._execute_map(state, given, run.execution, ctx))
            case "Succeed":
                # What a Pass state with the same fields would do, and then nothing.
                result = (sfn._execute_pass(state, given, ctx)[0], None)
            case "Fail":
                raise sfn._ExecutionError(*sfn._fail_state_error(state, given, ctx))
        output, following = result or (given, None)
        return output, following

    def _wait_end(self, state: dict[str, Any], given: Any, ctx: dict[str, Any]) -> float:
        """Return until when a Wait state waits, as epoch seconds."""
        sfn = self._sfn
        is_jsonata = sfn._state_query_language(state, ctx) == "JSONata"
        if is_jsonata:
            seconds = sfn._jsonata_wait_seconds(state, given, ctx) if "Seconds" in state else None
            timestamp = sfn._jsonata_wait_timestamp(state, given, ctx) if seconds is None else None
        else:
            effective = sfn._apply_input_path(state, given, ctx)
            seconds, timestamp = (
                sfn._resolve_path_or_ctx(state[f"{name}Path"], effective, ctx)
                if f"{name}Path" in state
                else state.get(name)
                for name in ("Seconds", "Timestamp")
            )
        if isinstance(seconds, int | float):
            return time.time() + seconds * float(sfn._SFN_WAIT_SCALE)
        at = sfn._parse_ts(timestamp)
        if at is None:
            raise sfn._ExecutionError("States.Runtime", f"It cannot be told until when to wait: {seconds or timestamp}")
        return float(at.timestamp())


def first_checkpoint(execution: dict[str, Any], machine: Any) -> dict[str, Any]:
    """Return where an execution of a state machine starts. What is changed in the machine is for later ones."""
    definition = json.loads(machine["definition"]) if machine else {}
    seconds = definition.get("TimeoutSeconds")
    return {
        "definition": machine["definition"] if machine else "{}",
        "role_arn": machine["roleArn"] if machine else "",
        "times_out_at": time.time() + seconds if seconds else None,
        "state": definition.get("StartAt"),
        "input": json.loads(execution["input"]),
        "entered": None,
        "variables": {},
        "progress": {},
    }


def can_go_on(execution: dict[str, Any]) -> bool:
    """Return whether a saved execution can go on from where it stood."""
    if execution.get("status") != "RUNNING" or execution.get("sync"):
        return False
    checkpoint = execution.get(CHECKPOINT)
    if checkpoint is None:  # it was about to begin
        return len(execution["events"]) == 1
    state = json.loads(checkpoint["definition"])["States"][checkpoint["state"]]
    return state["Type"] not in ("Parallel", "Map")
