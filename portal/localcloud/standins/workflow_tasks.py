"""Task states: their attempts, the wait for an answer with timeout and heartbeat, Retry and Catch.

MiniStack gives all attempts one token, knows no heartbeat and no TimeoutSeconds of an activity, and never waits longer
than a minute between two attempts. What an attempt waits for is kept in a dictionary of JSON, from which it goes on.
A missed heartbeat is a States.Timeout in the history, on AWS as here, and either name catches it. The clocks of an
activity's task start when a worker takes it.
Reference: https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html,
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html and
https://docs.aws.amazon.com/step-functions/latest/dg/troubleshooting-activities.html
"""

import asyncio
import concurrent.futures
import contextvars
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portal.localcloud.standins.activities import Activities
from portal.localcloud.standins.task_tokens import OpenTask, TaskTokens, TimedOut
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.workflow_definitions import CALLBACK, parse
from portal.localcloud.standins.workflow_history import TaskEvents, text_of
from portal.localcloud.standins.workflow_integrations import Integrations

# No States.ALL and no States.TaskFailed catches these.
_TERMINAL = frozenset({"States.DataLimitExceeded", "States.Runtime"})
_HEARTBEAT = "States.HeartbeatTimeout"


@dataclass(eq=False)
class Run:
    """An execution that is under way. results are those for which threads of branches wait."""

    execution: dict[str, Any]
    role_arn: str
    region: str
    walker: "asyncio.Task[None] | None" = None
    results: set["concurrent.futures.Future[Any]"] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def arn(self) -> str:
        return str(self.execution["executionArn"])


class TaskStates:
    """Performs Task states, all on the event loop; only calls that may last have threads."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tokens: TaskTokens,
        activities: Activities,
        integrations: Integrations,
        on_change: Callable[[], None],
    ) -> None:
        self._loop, self._tokens, self._activities = loop, tokens, activities
        self._integrations, self._on_change = integrations, on_change
        self._sfn = module_with(
            "ministack.services.stepfunctions",
            "_ExecutionError",
            "_SFN_WAIT_SCALE",
            "_apply_catcher",
            "_apply_input_path",
            "_apply_jsonata_arguments",
            "_apply_jsonata_output",
            "_apply_output_path",
            "_apply_parameters",
            "_apply_result_path",
            "_apply_result_selector",
            "_apply_state_assign",
            "_error_matches",
            "_jsonata_state_field",
            "_next_or_end",
            "_resolve_path_or_ctx",
            "_state_query_language",
        )
        # Touchpoint: looked up in the module at each call; Parallel and Map use it, too.
        self._sfn._error_matches = matches

    async def perform(
        self, run: Run, state: dict[str, Any], given: Any, ctx: dict[str, Any], progress: dict[str, Any]
    ) -> tuple[Any, str | None]:
        """Return a state's output and the next state. Raises MiniStack's _ExecutionError."""
        retriers = state.get("Retry") or []
        retries = progress.setdefault("retries", [0] * len(retriers))
        while True:
            await asyncio.sleep(progress.get("retry_at", 0) - time.time())
            progress.pop("retry_at", None)
            ctx["State"]["RetryCount"] = sum(retries)
            try:
                result = await self._attempt(run, state, given, ctx, progress)
                return self._output(state, given, ctx, result), self._sfn._next_or_end(state)
            except self._sfn._ExecutionError as failure:
                progress.pop("open", None)
                index = next((at for at, one in enumerate(retriers) if _handles(one, failure)), None)
                if index is None or retries[index] >= retriers[index].get("MaxAttempts", 3):
                    return self._caught(state, given, ctx, failure)
                seconds = _delay(retriers[index], retries[index]) * self._sfn._SFN_WAIT_SCALE
                progress["retry_at"] = time.time() + seconds
                retries[index] += 1
                self._on_change()

    async def _attempt(
        self, run: Run, state: dict[str, Any], given: Any, ctx: dict[str, Any], progress: dict[str, Any]
    ) -> Any:
        resource = state["Resource"]
        events = TaskEvents(run.execution, resource, run.region)
        is_activity, is_callback = ":activity:" in resource, resource.endswith(CALLBACK)
        if "open" in progress:
            task = OpenTask(run.arn, progress["open"], self._loop)
            self._tokens.open(task)
            if is_activity and task.progress["started_at"] is None:
                self._activities.offer(resource, task, events)
            return await self._answer(task, events)
        if is_callback:
            ctx["Task"] = {"Token": self._tokens.make(run.arn, ctx["StateMachine"]["Id"])}
        timeout, heartbeat = (self._seconds(state, name, given, ctx) for name in ("TimeoutSeconds", "HeartbeatSeconds"))
        parameters = self._parameters(state, given, ctx)
        if is_activity and not self._activities.exists(resource):
            cause = (
                f"An error occurred while executing the state '{ctx['State']['Name']}'. "
                f"The activity {resource} does not exist."
            )
            raise self._sfn._ExecutionError("States.Runtime", cause)
        events.scheduled(parameters, timeout, heartbeat)
        if not is_activity and not is_callback:
            return await self._request(run, resource, parameters, timeout, events)
        token = self._tokens.make(run.arn, resource) if is_activity else ctx["Task"]["Token"]
        progress["open"] = {
            "token": token,
            "input": text_of(parameters) if is_activity else None,
            "timeout": timeout,
            "heartbeat": heartbeat,
            "scheduled_at": time.time(),
            "started_at": None,
            "beat_at": None,
        }
        task = OpenTask(run.arn, progress["open"], self._loop)
        self._tokens.open(task)
        if is_activity:
            self._activities.offer(resource, task, events)
            self._on_change()
        else:
            await self._submit(run, resource, parameters, task, events)
        return await self._answer(task, events)

    async def _submit(self, run: Run, resource: str, parameters: Any, task: OpenTask, events: TaskEvents) -> None:
        """Hand a task's token out."""
        events.started()
        task.start()
        try:
            result = await self._call(run, resource, parameters)
        except self._sfn._ExecutionError as failure:
            self._tokens.close(task)
            events.failed(failure.error, failure.cause)
            raise
        events.submitted(text_of(result))
        self._on_change()

    async def _answer(self, task: OpenTask, events: TaskEvents) -> Any:
        try:
            outcome = await task.outcome()
        except TimedOut as late:
            events.timed_out()
            raise self._timeout(is_heartbeat=late.heartbeat) from late
        finally:
            self._tokens.close(task)
        if "output" in outcome:
            events.succeeded(outcome["output"])
            return parse(outcome["output"])
        events.failed(outcome["error"], outcome["cause"])
        raise self._sfn._ExecutionError(outcome["error"], outcome["cause"])

    async def _request(
        self, run: Run, resource: str, parameters: Any, timeout: float | None, events: TaskEvents
    ) -> Any:
        events.started()
        try:
            async with asyncio.timeout(timeout):
                result = await self._call(run, resource, parameters)
        except TimeoutError as late:
            events.timed_out()
            raise self._timeout(is_heartbeat=False) from late
        except self._sfn._ExecutionError as failure:
            events.failed(failure.error, failure.cause)
            raise
        events.succeeded(text_of(result))
        return result

    async def _call(self, run: Run, resource: str, parameters: Any) -> Any:
        def call() -> Any:
            return self._integrations.call(resource, parameters, role_arn=run.role_arn, execution_arn=run.arn)

        return call() if self._integrations.is_quick(resource) else await on_thread(call)

    def _timeout(self, *, is_heartbeat: bool) -> Exception:
        failure: Exception = self._sfn._ExecutionError("States.Timeout", None)
        failure.heartbeat = is_heartbeat  # type: ignore[attr-defined]
        return failure

    def _seconds(self, state: dict[str, Any], name: str, given: Any, ctx: dict[str, Any]) -> float | None:
        if f"{name}Path" in state:
            value = self._sfn._resolve_path_or_ctx(state[f"{name}Path"], given, ctx)
        elif name in state and self._sfn._state_query_language(state, ctx) == "JSONata":
            value = self._sfn._jsonata_state_field(state, name, "number", given, ctx)
        else:
            value = state.get(name)
            if value is None:
                return None
        if not isinstance(value, int | float) or value <= 0:
            raise self._sfn._ExecutionError("States.Runtime", f"{name} must be a positive number: {value}")
        return value

    def _parameters(self, state: dict[str, Any], given: Any, ctx: dict[str, Any]) -> Any:
        if self._sfn._state_query_language(state, ctx) == "JSONata":
            return self._sfn._apply_jsonata_arguments(state, given, ctx)
        return self._sfn._apply_parameters(state, self._sfn._apply_input_path(state, given, ctx), ctx)

    def _output(self, state: dict[str, Any], given: Any, ctx: dict[str, Any], result: Any) -> Any:
        if self._sfn._state_query_language(state, ctx) == "JSONata":
            output = self._sfn._apply_jsonata_output(state, given, ctx, result=result, default=result)
            self._sfn._apply_state_assign(state, given, ctx, result=result)
            return output
        output = self._sfn._apply_result_path(state, given, self._sfn._apply_result_selector(state, result))
        return self._sfn._apply_output_path(state, output, ctx)

    def _caught(self, state: dict[str, Any], given: Any, ctx: dict[str, Any], failure: Any) -> tuple[Any, str | None]:
        catcher = next((one for one in state.get("Catch") or [] if _handles(one, failure)), None)
        if catcher is None:
            raise failure
        said = {"Error": failure.error or "", "Cause": failure.cause or ""}
        language = self._sfn._state_query_language(state, ctx)
        return self._sfn._apply_catcher(catcher, given, ctx, language, said), catcher["Next"]


def matches(error_equals: list[str], error: str | None) -> bool:
    """Return whether a retrier's or catcher's ErrorEquals names an error."""
    if error in error_equals:
        return True
    if error in _TERMINAL:
        return False
    return "States.ALL" in error_equals or ("States.TaskFailed" in error_equals and error != "States.Timeout")


def _handles(handler: dict[str, Any], failure: Any) -> bool:
    names = handler.get("ErrorEquals") or []
    return matches(names, failure.error) or (getattr(failure, "heartbeat", False) and _HEARTBEAT in names)


def _delay(retrier: dict[str, Any], retries: int) -> float:
    """Return for how many seconds a retrier waits after so many retries."""
    seconds: float = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** retries
    seconds = min(seconds, retrier.get("MaxDelaySeconds", seconds))
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds  # noqa: S311


async def on_thread(call: Callable[[], Any]) -> Any:
    """Run a call on a thread of its own. Nobody waits for that thread once the execution is over."""
    result: concurrent.futures.Future[Any] = concurrent.futures.Future()
    result.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result.set_result(context.run(call))
        except Exception as failed:  # it is raised where the result is awaited
            result.set_exception(failed)

    threading.Thread(target=work, daemon=True, name="workflow").start()
    return await asyncio.wrap_future(result)
