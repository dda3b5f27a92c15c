"""Task tokens, and the calls that answer a task with one.

MiniStack's are forgotten with the task, so that a late answer and a forged token look alike; it takes any output, and
the last of two answers. Here a token says, encrypted, whose task it is: what was once a token stays one.
Reference: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html and
https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html
"""

import asyncio
import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.workflow_definitions import parse

DATA_BYTES = 262_144
# As many characters as AWS's have, roughly.
_PADDED_BYTES = 480
_LIMITS = {"taskToken": 2048, "error": 256, "cause": 32_768}


class TimedOut(Exception):
    """A task was not answered in time, or sent no heartbeat."""

    def __init__(self, *, heartbeat: bool) -> None:
        super().__init__("no heartbeat" if heartbeat else "no answer")
        self.heartbeat = heartbeat


class OpenTask:
    """A task that waits for an answer. progress is what a snapshot keeps of it: JSON, times as epoch seconds."""

    def __init__(self, execution_arn: str, progress: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.execution_arn = execution_arn
        self.progress = progress
        self.is_open = True
        self._loop = loop
        self._changed = asyncio.Event()
        # Workflow steps on threads answer tasks, too.
        self._answering = threading.Lock()

    @property
    def token(self) -> str:
        return str(self.progress["token"])

    def start(self) -> None:
        """Let its clocks run."""
        self.progress["started_at"] = self.progress["beat_at"] = time.time()
        self._wake()

    def elapse(self, seconds: float) -> None:
        """Let time pass for it."""
        if self.progress["started_at"] is not None:
            self.progress["started_at"] -= seconds
            self.progress["beat_at"] -= seconds
        self._wake()

    def answer(self, outcome: dict[str, Any]) -> bool:
        """Take an outcome; return whether this was the first and in time."""
        with self._answering:
            if not self.is_open or self.progress.get("outcome") or self._remaining()[0] <= 0:
                return False
            self.progress["outcome"] = outcome
        self._wake()
        return True

    def beat(self) -> bool:
        """Start the heartbeat's clock anew; return whether it was in time."""
        with self._answering:
            if not self.is_open or self.progress.get("outcome") or self._remaining()[0] <= 0:
                return False
            self.progress["beat_at"] = time.time()
        return True

    async def outcome(self) -> dict[str, Any]:
        """Wait for the answer. Raises TimedOut."""
        while not self.progress.get("outcome"):
            seconds, is_heartbeat = self._remaining()
            if seconds <= 0:
                raise TimedOut(heartbeat=is_heartbeat)
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds if seconds < float("inf") else None):
                    await self._changed.wait()
            except TimeoutError:
                pass  # a heartbeat may have come meanwhile
        outcome: dict[str, Any] = self.progress["outcome"]
        return outcome

    def _remaining(self) -> tuple[float, bool]:
        """Return for how many seconds it waits on, and whether for a heartbeat."""
        if self.progress.get("started_at") is None:
            return float("inf"), False
        now, infinite = time.time(), float("inf")
        answer = self.progress["started_at"] + (self.progress["timeout"] or infinite)
        heartbeat = self.progress["beat_at"] + (self.progress["heartbeat"] or infinite)
        return min(answer, heartbeat) - now, heartbeat < answer

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._changed.set)


class TaskTokens:
    """Makes and reads tokens, and knows the tasks that are open."""

    def __init__(self, secret: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"task tokens {secret}".encode()).digest()))
        self._open: dict[str, OpenTask] = {}
        self._sfn = module_with(
            "ministack.services.stepfunctions",
            "_send_task_success",
            "_send_task_failure",
            "_send_task_heartbeat",
            "_activities",
            "json_response",
            "error_response_json",
        )
        # Touchpoints: all are looked up in the module at each call.
        self._sfn._send_task_success = self._success
        self._sfn._send_task_failure = self._failure
        self._sfn._send_task_heartbeat = self._heartbeat

    def make(self, execution_arn: str, resource_arn: str) -> str:
        """Return a new token; resource_arn is the state machine's or the activity's."""
        content = json.dumps([execution_arn, resource_arn, secrets.token_urlsafe(16)])
        sealed = self._fernet.encrypt(content.ljust(_PADDED_BYTES).encode())
        # AWS's have the + and / that an address would need to quote.
        return base64.b64encode(base64.urlsafe_b64decode(sealed)).decode()

    def resource_of(self, token: Any) -> str | None:
        """Return the ARN that a token's task belongs to, the state machine's or the activity's; None if it is none."""
        try:
            sealed = base64.urlsafe_b64encode(base64.b64decode(token, validate=True))
            resource: str = json.loads(self._fernet.decrypt(sealed))[1]
        except (InvalidToken, ValueError, TypeError):
            return None
        return resource

    def open(self, task: OpenTask) -> None:
        self._open[task.token] = task

    def close(self, task: OpenTask) -> None:
        """Take no answer any more."""
        task.is_open = False
        self._open.pop(task.token, None)

    def elapse(self, seconds: float) -> int:
        """Let time pass for all tasks that are open, and return how many those are."""
        for task in self._open.values():
            task.elapse(seconds)
        return len(self._open)

    def close_all(self, execution_arn: str | None = None) -> None:
        """Close the tasks of an execution, or of all."""
        for task in list(self._open.values()):
            if execution_arn in (None, task.execution_arn):
                self.close(task)

    def _success(self, data: dict[str, Any]) -> Any:
        output = data.get("output")
        if len(str(output).encode()) > DATA_BYTES:
            return self._too_long("output", DATA_BYTES)
        try:
            parse(output)
        except ValueError as wrong:
            return self._sfn.error_response_json("InvalidOutput", f"Invalid Output: '{wrong}'", 400)
        return self._answer(data, lambda task: task.answer({"output": output}))

    def _failure(self, data: dict[str, Any]) -> Any:
        return self._answer(data, lambda task: task.answer({"error": data.get("error"), "cause": data.get("cause")}))

    def _heartbeat(self, data: dict[str, Any]) -> Any:
        return self._answer(data, OpenTask.beat)

    def _answer(self, data: dict[str, Any], act: Callable[[OpenTask], bool]) -> Any:
        for name, characters in _LIMITS.items():
            if len(data.get(name) or "") > characters:
                return self._too_long(name, characters)
        resource = self.resource_of(data.get("taskToken"))
        if resource is None:
            return self._sfn.error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
        if ":activity:" in resource and resource not in self._sfn._activities:
            return self._sfn.error_response_json("TaskDoesNotExist", f"Activity Does Not Exist: '{resource}'", 400)
        task = self._open.get(data["taskToken"])
        if task is None or not act(task):
            message = "Task Timed Out: 'Provided task does not exist anymore'"
            return self._sfn.error_response_json("TaskTimedOut", message, 400)
        return self._sfn.json_response({})

    def _too_long(self, name: str, limit: int) -> Any:
        message = (
            f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limit}"
        )
        return self._sfn.error_response_json("ValidationException", message, 400)
