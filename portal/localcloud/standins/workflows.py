"""Executions of state machines, from state to state, on the event loop.

MiniStack has a thread for each execution, which is lost with the process. Here an execution that waits for an answer,
a Wait state or a retry costs no thread, and where it stands is in its record, from which it goes on after a restart.
Parallel and Map states are MiniStack's own, on threads: an execution in one of these fails at a restart.
Reference: https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html and
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
"""

import asyncio
import concurrent.futures
import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from portal.localcloud.standins import (
    workflow_definitions,
    workflow_history,
    workflow_permissions,
    workflow_resources,
    workflow_starts,
)
from portal.localcloud.standins.activities import Activities
from portal.localcloud.standins.task_tokens import TaskTokens
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.workflow_history import text_of
from portal.localcloud.standins.workflow_integrations import Integrations
from portal.localcloud.standins.workflow_states import CHECKPOINT, States, can_go_on, first_checkpoint
from portal.localcloud.standins.workflow_tasks import Run, TaskStates

log = logging.getLogger("portal.localcloud")

_ended: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("ended", default=None)


class Workflows:
    """Runs executions."""

    def __init__(self, secret: str, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._runs: dict[str, Run] = {}
        self._responses = module_with("ministack.core.responses", "request_scope", "get_account_id", "get_region")
        self._sfn = module_with(
            "ministack.services.stepfunctions",
            "_ExecutionError",
            "_delete_state_machine",
            "_emit_execution_status_event",
            "_execute_task",
            "_executions.all_items",
            "_fail_execution",
            "_history_page_tokens",
            "_map_runs",
            "_SFN_WAIT_SCALE",
            "_restore_state",
            "_run_execution",
            "_scaled_sleep",
            "_state_machines",
            "_stop_execution",
            "copy.deepcopy",
            "now_iso",
            "reset",
        )
        workflow_history.install()
        self._tokens = TaskTokens(secret)
        self._activities = Activities(on_change)
        self._tasks = TaskStates(self._loop, self._tokens, self._activities, Integrations(), on_change)
        self._states = States(self._tasks, on_change)
        workflow_definitions.install()
        workflow_starts.install()
        workflow_permissions.install(self._tokens)
        workflow_resources.install()
        self._install()

    def elapse(self, seconds: float) -> int:
        """Let time pass for all tasks that wait for an answer, and return how many those are."""
        return self._tokens.elapse(seconds)

    def forget(self) -> int:
        """End and forget every execution, with its tokens and tasks, and return how many there were."""
        self._tokens.close_all()
        self._activities.forget()
        for run in list(self._runs.values()):
            self._end(run)
        count = len(self._sfn._executions.all_items())
        self._sfn._executions.clear()
        self._sfn._map_runs.clear()
        self._sfn._history_page_tokens.clear()
        return count

    # --- Where it steps into MiniStack -----------------------------------------------------------------------------

    def _install(self) -> None:
        app = module_with("ministack.app", "_handle_lifespan")
        sfn = self._sfn
        # Touchpoints: all but the last are looked up in the module at each call.
        run_execution, stop, delete, restore, reset, sleep = (
            sfn._run_execution,
            sfn._stop_execution,
            sfn._delete_state_machine,
            sfn._restore_state,
            sfn.reset,
            sfn._scaled_sleep,
        )

        def run_on_loop(arn: str) -> None:
            execution = sfn._executions.get(arn)
            if execution is None:
                return
            if not execution.get("sync"):
                scope = (self._responses.get_account_id(), self._responses.get_region())
                self._loop.call_soon_threadsafe(self._begin, arn, *scope)
                return
            # An express workflow, or one that another waits for: it runs on the thread that starts it.
            machine = sfn._state_machines.get(execution["stateMachineArn"]) or {}
            self._runs[arn] = Run(execution, machine.get("roleArn", ""), self._responses.get_region())
            try:
                run_execution(arn)
            finally:
                self._runs.pop(arn, None)

        def stop_at_once(data: dict[str, Any]) -> Any:
            answer = stop(data)
            run = self._runs.get(data.get("executionArn", ""))
            if run is not None and run.execution["status"] == "ABORTED":
                self._end(run)
            return answer

        def delete_with_runs(data: dict[str, Any]) -> Any:
            for run in list(self._runs.values()):
                if run.execution["stateMachineArn"] == data.get("stateMachineArn"):
                    self._end(run)
            return delete(data)

        def restore_waiting(data: dict[str, Any]) -> Any:
            saved = (data or {}).get("executions")
            waiting = [one for one in saved.all_values() if can_go_on(one)] if saved else []
            for execution in waiting:
                execution["status"] = "RESTORED"
            restore(data)
            for execution in waiting:
                execution["status"] = "RUNNING"

        def reset_with_runs() -> Any:
            self.forget()
            return reset()

        def sleep_until_over(seconds: float) -> None:
            ended = _ended.get()
            if ended is None:
                sleep(seconds)
            elif ended.wait(seconds * sfn._SFN_WAIT_SCALE):
                raise self._over()

        sfn._run_execution, sfn._execute_task = run_on_loop, self._execute_in_branch
        sfn._stop_execution, sfn._delete_state_machine = stop_at_once, delete_with_runs
        sfn._restore_state, sfn.reset, sfn._scaled_sleep = restore_waiting, reset_with_runs, sleep_until_over
        # Touchpoint: snapshots.py encodes the state at once, on the event loop, so that no copy is needed.
        copying = sfn.copy

        class Shallow:
            deepcopy = staticmethod(lambda value: value if hasattr(value, "all_items") else copying.deepcopy(value))

        sfn.copy = Shallow
        handle_lifespan = app._handle_lifespan

        async def handle_lifespan_and_go_on(scope: Any, receive: Any, send: Any) -> None:
            async def send_and_go_on(message: Any) -> None:
                if message["type"] == "lifespan.startup.complete":
                    self._go_on()
                    await asyncio.sleep(0)  # so that tokens are known before the first answer comes
                await send(message)

            try:
                await handle_lifespan(scope, receive, send_and_go_on)
            finally:
                # The records stay as they are: they have been saved, and the executions go on from them.
                for run in self._runs.values():
                    _cancel(run)

        app._handle_lifespan = handle_lifespan_and_go_on

    def _execute_in_branch(self, state: dict[str, Any], given: Any, execution: Any, ctx: Any) -> Any:
        """Perform a Task state for a thread: of a branch, an item or an express workflow."""
        run = self._runs.get(execution["executionArn"])
        if run is None:  # an item of a distributed map is an execution of its own
            machine = self._sfn._state_machines.get(ctx["StateMachine"]["Id"]) or {}
            run = Run(execution, machine.get("roleArn", ""), self._responses.get_region())
        if run.ended.is_set() or execution["status"] != "RUNNING":
            raise self._over()
        result = asyncio.run_coroutine_threadsafe(self._tasks.perform(run, state, given, ctx, {}), self._loop)
        run.results.add(result)
        try:
            return result.result()
        except concurrent.futures.CancelledError:
            raise self._over() from None
        finally:
            run.results.discard(result)

    def _over(self) -> Exception:
        over: Exception = self._sfn._ExecutionError("States.Runtime", "The execution is over")
        return over

    # --- An execution's life ----------------------------------------------------------------------------------------

    def _begin(self, arn: str, account: str, region: str) -> None:
        execution = self._sfn._executions.get_scoped(account, region, arn)
        if execution is None or execution["status"] != "RUNNING":
            return
        machine = self._sfn._state_machines.get_scoped(account, region, execution["stateMachineArn"])
        started = execution["events"][0]
        started["previousEventId"] = 0
        started["executionStartedEventDetails"]["inputDetails"] = {"truncated": False}
        execution[CHECKPOINT] = first_checkpoint(execution, machine)
        self._walk_on(execution, region)

    def _go_on(self) -> None:
        """Walk on with every execution that a snapshot had under way."""
        under_way = [
            (scope, execution)
            for scope, execution in self._sfn._executions.all_items()
            if execution["status"] == "RUNNING"
        ]
        # Workers get the tasks of an activity in the order in which these were scheduled.
        for (account, region, arn), execution in sorted(under_way, key=lambda one: _scheduled_at(one[1])):
            if CHECKPOINT in execution:
                self._walk_on(execution, region)
            else:
                self._begin(arn, account, region)

    def _walk_on(self, execution: dict[str, Any], region: str) -> None:
        run = Run(execution, execution[CHECKPOINT]["role_arn"], region)
        self._runs[run.arn] = run
        # Not in the context of the request that started it: an execution acts as its role.
        run.walker = self._loop.create_task(self._walk(run), context=contextvars.Context())

    def _end(self, run: Run) -> None:
        """Let an execution that is over wait for nothing more."""
        self._runs.pop(run.arn, None)
        run.ended.set()
        self._tokens.close_all(run.arn)
        run.execution.pop(CHECKPOINT, None)
        self._loop.call_soon_threadsafe(_cancel, run)

    async def _walk(self, run: Run) -> None:
        _ended.set(run.ended)
        execution, times_out_at = run.execution, run.execution[CHECKPOINT]["times_out_at"]
        with self._responses.request_scope(run.arn.split(":")[4], run.region):
            try:
                async with asyncio.timeout(times_out_at and times_out_at - time.time()) as limit:
                    output = text_of(await self._states.walk(run))
                self._close(run, "SUCCEEDED", "ExecutionSucceeded", {"output": output})
                execution["output"] = output
                self._sfn._emit_execution_status_event(execution)
            except self._sfn._ExecutionError as failure:
                self._fail(run, failure.error, failure.cause)
            except Exception as unexpected:
                if not limit.expired():
                    log.exception("%s failed", run.arn)
                    self._fail(run, "States.Runtime", str(unexpected))
                    return
                self._close(run, "TIMED_OUT", "ExecutionTimedOut", {"error": "States.Timeout"})
                execution["error"] = "States.Timeout"
                self._sfn._emit_execution_status_event(execution)

    def _close(self, run: Run, status: str, event: str, details: dict[str, Any]) -> None:
        run.walker = None  # it ends by itself
        self._end(run)
        run.execution["status"], run.execution["stopDate"] = status, self._sfn.now_iso()
        name = f"{event[0].lower()}{event[1:]}EventDetails"
        self._sfn._add_event(run.execution, event, {name: details})
        self._on_change()

    def _fail(self, run: Run, error: str | None, cause: str | None) -> None:
        run.walker = None
        self._end(run)
        self._sfn._fail_execution(run.execution, error, cause)
        run.execution["output"] = None  # MiniStack's is the error
        self._on_change()


def _scheduled_at(execution: dict[str, Any]) -> float:
    progress = execution.get(CHECKPOINT, {}).get("progress", {})
    return float(progress.get("open", {}).get("scheduled_at", 0))


def _cancel(run: Run) -> None:
    for result in list(run.results):
        result.cancel()
    if run.walker is not None:
        run.walker.cancel()
