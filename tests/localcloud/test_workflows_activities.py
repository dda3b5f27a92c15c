"""Contract of activities.py, and of the tasks of activities in workflow_tasks.py."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.localcloud.running_cloud import RunningCloud, wait_until
from tests.localcloud.workflows import DONE, STATES, Workflow, code_of


@pytest.fixture
def flow(cloud: RunningCloud, name: str) -> Workflow:
    return Workflow.on(cloud, name)


@pytest.fixture
def activity(flow: Workflow) -> str:
    return str(flow.sfn.create_activity(name=flow.name)["activityArn"])


def working(activity: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": activity, "End": True, **fields}


def take(flow: Workflow, activity: str) -> dict[str, Any]:
    """Return a task that is there or comes soon."""
    taken: dict[str, Any] = flow.sfn.get_activity_task(activityArn=activity, workerName="ada")
    return taken


def test_activity_is_created_once_and_deleted_twice(flow: Workflow, activity: str) -> None:
    sfn = flow.sfn
    assert activity == f"{STATES}:activity:{flow.name}"
    described = sfn.describe_activity(activityArn=activity)
    again = sfn.create_activity(name=flow.name)
    assert (again["activityArn"], again["creationDate"]) == (activity, described["creationDate"])
    assert described["name"] == flow.name
    assert activity in [one["activityArn"] for one in sfn.list_activities()["activities"]]
    for _ in range(2):
        sfn.delete_activity(activityArn=activity)
    assert code_of(lambda: sfn.describe_activity(activityArn=activity)) == "ActivityDoesNotExist"
    assert code_of(lambda: sfn.get_activity_task(activityArn=activity)) == "ActivityDoesNotExist"


@pytest.mark.parametrize("wrong", ["a b", "a$", "x" * 81])
def test_bad_name_is_refused(flow: Workflow, wrong: str) -> None:
    assert code_of(lambda: flow.sfn.create_activity(name=wrong)) == "InvalidName"


def test_worker_takes_a_task_and_answers(flow: Workflow, activity: str) -> None:
    state = working(activity, Parameters={"who.$": "$.by"}, TimeoutSeconds=60, HeartbeatSeconds=30)
    execution = flow.start(flow.machine(state), input='{"by":"ada"}')
    task = take(flow, activity)
    assert json.loads(task["input"]) == {"who": "ada"}
    flow.sfn.send_task_heartbeat(taskToken=task["taskToken"])
    flow.answer(task["taskToken"], {"done": 1})
    assert flow.output(execution) == {"done": 1}
    assert flow.kinds(execution)[2:5] == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    whole = {"truncated": False}
    scheduled, started, succeeded = flow.events(execution)[2:5]
    assert scheduled["activityScheduledEventDetails"] == {
        "resource": activity,
        "input": '{"who":"ada"}',
        "inputDetails": whole,
        "timeoutInSeconds": 60,
        "heartbeatInSeconds": 30,
    }
    assert started["activityStartedEventDetails"] == {"workerName": "ada"}
    assert succeeded["activitySucceededEventDetails"] == {"output": '{"done": 1}', "outputDetails": whole}


def test_worker_reports_a_failure(flow: Workflow, activity: str) -> None:
    execution = flow.start(flow.machine(working(activity)))
    flow.sfn.send_task_failure(taskToken=take(flow, activity)["taskToken"], error="Broken", cause="by hand")
    ended = flow.ended(execution, "FAILED")
    assert (ended["error"], ended["cause"]) == ("Broken", "by hand")
    assert flow.events(execution)[-2]["activityFailedEventDetails"] == {"error": "Broken", "cause": "by hand"}


def test_poll_hears_of_a_task_at_once(flow: Workflow, activity: str) -> None:
    machine, seconds = flow.machine(working(activity)), []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            flow.cloud.control("DELETE", "/_portico/calls")
            polled = pool.submit(take, flow, activity)
            wait_until(lambda: "stepfunctions" in flow.cloud.control("GET", "/_portico/calls")["services"])
            execution = flow.start(machine)
            flow.answer(polled.result()["taskToken"])
            seconds.append(flow.seconds_between(execution, "ActivityScheduled", "ActivityStarted"))
    # The quickest of three: the machine may have other work.
    assert min(seconds) < 0.05


def test_each_poll_gets_a_task_of_its_own_in_order(flow: Workflow, activity: str) -> None:
    machine = flow.machine(working(activity))
    for number in range(3):
        flow.start(machine, input=str(number))
    assert [take(flow, activity)["input"] for _ in range(3)] == ["0", "1", "2"]
    with ThreadPoolExecutor(3) as pool:
        polled: list[Future[dict[str, Any]]] = [pool.submit(take, flow, activity) for _ in range(3)]
        for number in range(3):
            flow.start(machine, input=str(number))
        assert sorted(one.result()["input"] for one in polled) == ["0", "1", "2"]


def test_task_of_an_execution_that_is_over_is_not_handed_out(flow: Workflow, activity: str) -> None:
    machine = flow.machine(working(activity))
    late = flow.start(flow.machine(working(activity), TimeoutSeconds=0.2), input='"late"')
    stopped = flow.start(machine, input='"stopped"')
    flow.sfn.stop_execution(executionArn=stopped)
    flow.ended(late, "TIMED_OUT")
    flow.start(machine, input='"wanted"')
    assert take(flow, activity)["input"] == '"wanted"'


def test_clocks_start_when_a_worker_takes_the_task(flow: Workflow, activity: str) -> None:
    machine = flow.machine(working(activity, TimeoutSeconds=0.7))
    first, second = flow.start(machine), flow.start(machine)
    token = take(flow, activity)["taskToken"]
    ended = flow.ended(first, "FAILED")
    assert ended["error"] == "States.Timeout"
    assert flow.events(first)[-2]["activityTimedOutEventDetails"] == {"error": "States.Timeout"}
    assert code_of(lambda: flow.answer(token)) == "TaskTimedOut"
    flow.answer(take(flow, activity)["taskToken"], "in time")
    assert flow.output(second) == "in time"


def test_worker_that_went_away_loses_its_task(flow: Workflow, activity: str) -> None:
    hasty = flow.cloud.client("stepfunctions", read_timeout=0.2)
    with pytest.raises(ReadTimeoutError):
        hasty.get_activity_task(activityArn=activity)
    again = [{"ErrorEquals": ["States.HeartbeatTimeout"], "IntervalSeconds": 1}]
    execution = flow.start(flow.machine(working(activity, HeartbeatSeconds=0.7, Retry=again)))
    flow.answer(take(flow, activity)["taskToken"])
    flow.ended(execution, "SUCCEEDED")
    assert flow.kinds(execution)[3:7] == ["ActivityStarted", "ActivityTimedOut", "ActivityScheduled", "ActivityStarted"]


def test_task_of_a_deleted_activity(flow: Workflow, activity: str) -> None:
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "Then"}]
    machine = flow.machine(working(activity, Catch=caught), DONE)
    flow.start(machine)
    token = take(flow, activity)["taskToken"]
    flow.sfn.delete_activity(activityArn=activity)
    assert code_of(lambda: flow.answer(token)) == "TaskDoesNotExist"
    ended = flow.ended(flow.start(machine), "FAILED")
    assert (ended["error"], activity in ended["cause"]) == ("States.Runtime", True)


def test_forgotten_executions_leave_no_task(flow: Workflow, activity: str) -> None:
    machine = flow.machine(working(activity))
    flow.start(machine, input='"forgotten"')
    flow.cloud.control("DELETE", "/_portico/executions")
    flow.start(machine, input='"wanted"')
    assert take(flow, activity)["input"] == '"wanted"'
