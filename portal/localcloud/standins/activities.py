"""Activities, and the long poll with which a worker takes their tasks.

MiniStack looks for a task twice a second, hands out tasks of executions that are over, and refuses to create an
activity again. A worker that has gone away while it polled still gets a task, on AWS as here: only the task's
heartbeat or timeout brings it back.
Reference: https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetActivityTask.html and
https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateActivity.html
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from portal.localcloud.standins.task_tokens import OpenTask
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.workflow_definitions import is_name
from portal.localcloud.standins.workflow_history import TaskEvents

POLL_SECONDS = 60


class Activities:
    """The tasks that wait for a worker, and the workers that wait for a task, by activity."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._tasks: defaultdict[str, deque[tuple[OpenTask, TaskEvents]]] = defaultdict(deque)
        self._polls: defaultdict[str, deque[asyncio.Event]] = defaultdict(deque)
        self._sfn = module_with(
            "ministack.services.stepfunctions",
            "_create_activity",
            "_delete_activity",
            "_get_activity_task",
            "_activities",
            "json_response",
            "error_response_json",
            "get_region",
            "get_account_id",
        )
        # Touchpoints: all are looked up in the module at each call.
        self._create, self._delete = self._sfn._create_activity, self._sfn._delete_activity
        self._sfn._create_activity, self._sfn._delete_activity = self._create_again, self._delete_again
        self._sfn._get_activity_task = self._get_task

    def exists(self, arn: str) -> bool:
        return arn in self._sfn._activities

    def offer(self, arn: str, task: OpenTask, events: TaskEvents) -> None:
        """Let a worker have a task. Runs on the event loop."""
        self._tasks[arn].append((task, events))
        if self._polls[arn]:
            self._polls[arn].popleft().set()

    def forget(self) -> None:
        """Forget every task."""
        self._tasks.clear()

    async def _get_task(self, data: dict[str, Any]) -> Any:
        arn = data.get("activityArn", "")
        if not self.exists(arn):
            return self._sfn.error_response_json("ActivityDoesNotExist", f"Activity Does Not Exist: '{arn}'", 400)
        try:
            async with asyncio.timeout(POLL_SECONDS):
                task, events = await self._next(arn)
        except TimeoutError:
            return self._sfn.json_response({"taskToken": None})
        task.start()
        events.started(data.get("workerName"))
        self._on_change()
        return self._sfn.json_response({"taskToken": task.token, "input": task.progress["input"]})

    async def _next(self, arn: str) -> tuple[OpenTask, TaskEvents]:
        while True:
            while self._tasks[arn]:
                task, events = self._tasks[arn].popleft()
                if task.is_open:
                    return task, events
            poll = asyncio.Event()
            self._polls[arn].append(poll)
            try:
                await poll.wait()
            except asyncio.CancelledError:
                if not poll.is_set():
                    self._polls[arn].remove(poll)
                elif self._polls[arn]:  # the minute was over when a task came: it is the next one's
                    self._polls[arn].popleft().set()
                raise

    def _create_again(self, data: dict[str, Any]) -> Any:
        name = data.get("name")
        if not is_name(name):
            return self._sfn.error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
        arn = f"arn:aws:states:{self._sfn.get_region()}:{self._sfn.get_account_id()}:activity:{name}"
        made = self._sfn._activities.get(arn)
        if made is None:
            return self._create(data)
        return self._sfn.json_response({"activityArn": arn, "creationDate": made["creationDate"]})

    def _delete_again(self, data: dict[str, Any]) -> Any:
        return self._delete(data) if self.exists(data.get("activityArn", "")) else self._sfn.json_response({})
