"""Contract of workflows.py: an execution that waits goes on after a stop, and after a kill."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.running_cloud import Start
from tests.localcloud.workflows import DONE, Workflow, code_of


def again(flow: Workflow, cloud: Any) -> Workflow:
    """Return the same workflow on the cloud that was started again."""
    queue = cloud.client("sqs").get_queue_url(QueueName=flow.name)["QueueUrl"]
    return Workflow(cloud, flow.name, flow.role, queue, cloud.client("stepfunctions"), cloud.client("sqs"), flow.made)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_waiting_executions_survive(start: Start, tmp_path: Path, name: str, number: int) -> None:
    cloud = start(tmp_path, CLOUD_SAVE_SECONDS="30")
    flow = Workflow.on(cloud, name)
    activity = flow.sfn.create_activity(name=name)["activityArn"]
    work = {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 60, "End": True}
    retried = [{"ErrorEquals": ["Again"], "IntervalSeconds": 2, "MaxAttempts": 1}]
    working = flow.machine(work)
    taken = flow.start(working, input='"taken"')
    taken_token = flow.sfn.get_activity_task(activityArn=activity)["taskToken"]
    offered = [flow.start(working, input=json.dumps(f"offered {at}")) for at in range(3)]
    asking = flow.machine(
        {"Type": "Pass", "Result": {"from": "before"}, "Next": "Then"},
        flow.asking(Next="Last", ResultPath="$.answer"),
        DONE,
    )
    asked = flow.start(asking)
    asked_token = flow.token()
    retrying = flow.start(flow.machine(flow.asking(Retry=retried)))
    flow.sfn.send_task_failure(taskToken=flow.token(), error="Again")
    late = flow.start(flow.machine(flow.asking(TimeoutSeconds=0.2)))
    late_token = flow.token()
    beating = flow.start(flow.machine(flow.asking(HeartbeatSeconds=0.2, TimeoutSeconds=60)))
    flow.token()
    timed = flow.start(flow.machine(flow.asking(), TimeoutSeconds=0.2))
    flow.token()
    waiting = flow.start(flow.machine({"Type": "Wait", "Seconds": 2, "Next": "Then"}, DONE))
    over = flow.start(flow.machine(DONE))
    flow.ended(over, "SUCCEEDED")
    if number == signal.SIGKILL:
        cloud.control("POST", "/_portico/save")
    cloud.stop(number)

    cloud = start(tmp_path)
    restarted = time.time()
    flow = again(flow, cloud)
    # Their clocks ran while nobody was there.
    for execution, status in ((late, "FAILED"), (beating, "FAILED"), (timed, "TIMED_OUT")):
        ended = flow.ended(execution, status)
        assert ended["error"] == "States.Timeout"
        assert ended["stopDate"].timestamp() < restarted + 0.1
    assert code_of(lambda: flow.answer(late_token)) == "TaskTimedOut"
    flow.answer(asked_token, "yes")
    assert flow.output(asked) == {"from": "before", "answer": "yes"}
    kinds = flow.kinds(asked)
    assert (kinds.count("TaskScheduled"), kinds[-1]) == (1, "ExecutionSucceeded")
    assert [event["id"] for event in flow.events(asked)] == list(range(1, len(kinds) + 1))
    flow.answer(taken_token, "done")
    assert flow.output(taken) == "done"
    tasks = [flow.sfn.get_activity_task(activityArn=activity) for _ in offered]
    assert [json.loads(task["input"]) for task in tasks] == [f"offered {at}" for at in range(3)]
    for task in tasks:
        flow.answer(task["taskToken"], task["input"])
    assert len([flow.output(one) for one in offered]) == 3
    second = flow.asked()
    assert second["retries"] == 1
    flow.sfn.send_task_failure(taskToken=second["token"], error="Again")
    assert flow.ended(retrying, "FAILED")["error"] == "Again"
    failed, scheduled = flow.events(retrying)[5:7]
    assert (failed["type"], scheduled["type"]) == ("TaskFailed", "TaskScheduled")
    assert (scheduled["timestamp"] - failed["timestamp"]).total_seconds() > 1.9
    flow.ended(waiting, "SUCCEEDED")
    assert flow.seconds_between(waiting, "WaitStateEntered", "WaitStateExited") > 1.9
    exited = next(event for event in flow.events(waiting) if event["type"] == "WaitStateExited")
    for event in (scheduled, exited):  # neither began anew
        assert event["timestamp"].timestamp() < restarted + 1.9
    assert flow.ended(over, "SUCCEEDED")
    assert "never retrieved" not in "".join(cloud.log)
    assert cloud.stop() == 0


def test_execution_in_a_branch_fails_at_a_restart(start: Start, tmp_path: Path, name: str) -> None:
    cloud = start(tmp_path)
    flow = Workflow.on(cloud, name)
    branch = {"StartAt": "Ask", "States": {"Ask": flow.asking()}}
    execution = flow.start(flow.machine({"Type": "Parallel", "Branches": [branch], "End": True}))
    token = flow.token()
    assert cloud.stop() == 0
    flow = again(flow, start(tmp_path))
    assert flow.ended(execution, "FAILED")["error"] == "States.ServiceRestart"
    assert code_of(lambda: flow.answer(token)) == "TaskTimedOut"
