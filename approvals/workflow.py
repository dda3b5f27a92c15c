"""Step Functions: workflows that are started, that wait with a task token, and what has become of them.

Reference: https://docs.aws.amazon.com/step-functions/latest/apireference/Welcome.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal import aws

MOST_CAUSE, MOST_ERROR = 32_768, 256  # characters that Step Functions takes
# AWS says TimedOut as well of a task that has an answer already.
_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
# What trying again does not help.
_NEVER_STARTED = frozenset(
    {
        "AccessDeniedException",
        "InvalidArn",
        "InvalidExecutionInput",
        "InvalidName",
        "StateMachineDeleting",
        "StateMachineDoesNotExist",
        "ValidationException",
    }
)
_ENDS = frozenset({"TaskSucceeded", "TaskFailed", "ActivitySucceeded", "ActivityFailed"})
# A moment of Step Functions' clock may be some seconds before ours.
_SKEW = timedelta(minutes=5)
_MOST_EVENTS = 25_000  # an execution has no more
PAGE = 50


class Gone(Exception):
    """Nobody waits with this token: the task has timed out, has an answer, or its execution is over. `is_first_try`
    says that it was asked only once: an earlier try may have been what ended it."""

    def __init__(self, *, is_first_try: bool = True) -> None:
        super().__init__("Nobody waits with this token.")
        self.is_first_try = is_first_try


class NotStarted(Exception):
    """Step Functions will not start this workflow, now or later; the sentence says why."""


class Missing(LookupError):
    """There is no such execution (any more: AWS keeps them for 90 days)."""


class Task(NamedTuple):
    """An activity's task: the token to answer with, and the input."""

    token: str
    input: dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """An execution. What only its own page needs is empty in a list."""

    arn: str
    name: str
    status: str  # RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED
    state_machine_arn: str
    started_at: datetime
    stopped_at: datetime | None = None
    input: str = ""
    output: str = ""
    error: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Event:
    """What happened in an execution, e.g. "TaskTimedOut", with its details but without any task token."""

    at: datetime
    kind: str
    details: Mapping[str, Any]

    @property
    def state(self) -> str:
        """The state that it entered or left, or nothing."""
        return str(self.details.get("name", "")) if self.kind.endswith(("StateEntered", "StateExited")) else ""


@dataclass(frozen=True)
class Executions:
    """Some executions, newest first, and where there are more, the token that fetches the next ones."""

    executions: list[Execution]
    more: str = ""


# --- A workflow that waits --------------------------------------------------------------------------------------------


@sensitive_variables()
def succeed(token: str, output: Mapping[str, Any]) -> None:
    """Let a workflow go on with an output. Raises Gone."""
    _answer("send_task_success", taskToken=token, output=json.dumps(output))


@sensitive_variables()
def fail(token: str, *, error: str, cause: str) -> None:
    """Let a workflow's task fail with an error that it can catch. Raises Gone."""
    _answer("send_task_failure", taskToken=token, error=error[:MOST_ERROR], cause=cause[:MOST_CAUSE])


@sensitive_variables()
def heartbeat(token: str) -> None:
    """Tell a workflow that somebody still waits with it. Raises Gone where it does not wait any longer."""
    _answer("send_task_heartbeat", taskToken=token)


@sensitive_variables()
def _answer(call: str, **parameters: str) -> None:
    try:
        getattr(aws.client("stepfunctions"), call)(**parameters)
    except ClientError as error:
        if aws.error_code(error) in _GONE:
            raise Gone(is_first_try=not error.response["ResponseMetadata"].get("RetryAttempts")) from error
        raise


def take(activity_arn: str, *, worker: str) -> Task | None:
    """Take an activity's next task, or return None if none comes within a minute. An input that is no object is one
    with nothing in it."""
    client = aws.client_in("stepfunctions", settings.AWS_REGION)
    answer = client.get_activity_task(activityArn=activity_arn, workerName=worker)
    if not answer.get("taskToken"):
        return None
    try:
        given = json.loads(answer.get("input") or "{}")
    except ValueError:
        given = {}
    return Task(answer["taskToken"], given if isinstance(given, dict) else {})


# --- Executions -------------------------------------------------------------------------------------------------------


def machines() -> dict[str, str]:
    """Return the state machines that the portal starts: what a request type calls each, and its ARN."""
    every = {
        "promotion": settings.PROMOTION_STATE_MACHINE_ARN,
        "promotion-by-activity": settings.MANUAL_PROMOTION_STATE_MACHINE_ARN,
    }
    return {name: arn for name, arn in every.items() if arn}


def execution_arn(state_machine_arn: str, name: str) -> str:
    """Return the ARN of a state machine's execution."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"


def start(state_machine_arn: str, *, name: str, input: str) -> None:  # noqa: A002 - as Step Functions calls it
    """Start an execution; one of this name that runs already, with this input, is left running. Raises NotStarted."""
    try:
        aws.client("stepfunctions").start_execution(stateMachineArn=state_machine_arn, name=name, input=input)
    except ClientError as error:
        # An execution of this name that is over was started by an earlier try.
        if aws.error_code(error) == "ExecutionAlreadyExists":
            return
        if aws.error_code(error) not in _NEVER_STARTED:
            raise
        raise NotStarted(f"Step Functions refused to start the workflow: {aws.error_code(error)}.") from error


def stop(arn: str, *, error: str, cause: str) -> None:
    """End an execution that runs; nothing is done to one that does not."""
    try:
        aws.client("stepfunctions").stop_execution(executionArn=arn, error=error[:MOST_ERROR], cause=cause[:MOST_CAUSE])
    except ClientError as refused:
        if aws.error_code(refused) not in ("ExecutionDoesNotExist", "ValidationException"):
            raise


def find(arn: str) -> Execution:
    """Return an execution with its input and its end. Raises Missing."""
    try:
        found = aws.client("stepfunctions").describe_execution(executionArn=arn)
    except ClientError as error:
        if aws.error_code(error) in ("ExecutionDoesNotExist", "InvalidArn"):
            raise Missing from error
        raise
    return _execution(found)


def history(arn: str, *, most: int = 1000) -> list[Event]:
    """Return what happened in an execution, oldest first. Raises Missing."""
    return [*reversed(_events(arn, most))]


def _events(arn: str, most: int, *, since: datetime | None = None) -> list[Event]:
    """Return an execution's events, newest first, back to a moment where one is given."""
    found: list[Event] = []
    more: dict[str, str] = {}
    while len(found) < most and not (since and found and found[-1].at < since):
        try:
            answer = aws.client("stepfunctions").get_execution_history(
                executionArn=arn, maxResults=min(most - len(found), 1000), reverseOrder=True, **more
            )
        except ClientError as error:
            if aws.error_code(error) in ("ExecutionDoesNotExist", "InvalidArn"):
                raise Missing from error
            raise
        found += [_event(one) for one in answer["events"]]
        if not answer.get("nextToken"):
            break
        more = {"nextToken": answer["nextToken"]}
    return found


def has(arn: str, decision_id: str, *, since: datetime) -> bool:
    """Tell whether an execution has got an answer since then: of one that was sent twice, Step Functions says the
    second time only that nobody waits for it. The history may lag some seconds behind."""
    try:
        events = _events(arn, _MOST_EVENTS, since=since - _SKEW)
    except Missing:
        return False
    return any(one.kind in _ENDS and decision_id in json.dumps(dict(one.details), default=str) for one in events)


def executions(state_machine_arn: str, *, status: str = "", more: str = "") -> Executions:
    """Return a page of a state machine's executions, newest first: one call. Raises Missing for a token of another
    list."""
    parameters = {"statusFilter": status} if status else {}
    if more:
        parameters["nextToken"] = more
    try:
        answer = aws.client("stepfunctions").list_executions(
            stateMachineArn=state_machine_arn, maxResults=PAGE, **parameters
        )
    except ClientError as error:
        if aws.error_code(error) in ("InvalidToken", "ValidationException"):
            raise Missing from error
        raise
    return Executions([_execution(one) for one in answer["executions"]], answer.get("nextToken", ""))


def _execution(found: Mapping[str, Any]) -> Execution:
    return Execution(
        arn=found["executionArn"],
        name=found["name"],
        status=found["status"],
        state_machine_arn=found["stateMachineArn"],
        started_at=found["startDate"],
        stopped_at=found.get("stopDate"),
        input=found.get("input") or "",
        output=found.get("output") or "",
        error=found.get("error") or "",
        cause=found.get("cause") or "",
    )


def _event(found: Mapping[str, Any]) -> Event:
    details: dict[str, Any] = {}
    for name, value in found.items():
        if name.endswith("EventDetails") and isinstance(value, Mapping):
            details |= value
    # The parameters of a task that waits have its token in them.
    details.pop("parameters", None)
    return Event(at=found["timestamp"], kind=found["type"], details=details)
