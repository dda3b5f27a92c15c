"""Contract of workflows.py, workflow_tasks.py, workflow_history.py and task_tokens.py: executions that wait."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.roles import allow, document
from tests.localcloud.running_cloud import RunningCloud, wait_until
from tests.localcloud.workflows import DONE, Workflow, code_of


@pytest.fixture
def flow(cloud: RunningCloud, name: str) -> Workflow:
    return Workflow.on(cloud, name)


def caught(*errors: str) -> dict[str, Any]:
    return {"Catch": [{"ErrorEquals": list(errors), "ResultPath": "$.error", "Next": "Then"}]}


def test_answer_is_the_output_of_the_task(flow: Workflow) -> None:
    execution = flow.start(flow.machine(flow.asking(ResultPath="$.answer")), input='{"by": "ada"}')
    asked = flow.asked()
    assert (asked["input"], asked["retries"]) == ({"by": "ada"}, 0)
    flow.answer(asked["token"], {"approved": True})
    assert flow.output(execution) == {"by": "ada", "answer": {"approved": True}}


def test_history_is_as_aws_writes_it(flow: Workflow) -> None:
    state = flow.asking(TimeoutSeconds=60, HeartbeatSeconds=30)
    execution = flow.start(flow.machine(state), input='{"by":"ada"}')
    token = flow.token()
    flow.answer(token, 1)
    flow.ended(execution, "SUCCEEDED")
    events = flow.events(execution)
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    assert [(event["id"], event["previousEventId"]) for event in events] == [
        (1, 0),
        (2, 0),
        *((number, number - 1) for number in range(3, 9)),
    ]
    assert sorted(event["timestamp"] for event in events) == [event["timestamp"] for event in events]
    whole = {"truncated": False}
    entered, scheduled, started, submitted, succeeded, exited = (
        next(content for key, content in event.items() if key.endswith("Details")) for event in events[1:7]
    )
    assert entered == {"name": "Ask", "input": '{"by":"ada"}', "inputDetails": whole}
    resource = {"resourceType": "sqs", "resource": "sendMessage.waitForTaskToken"}
    parameters = json.loads(scheduled.pop("parameters"))
    assert parameters["MessageBody"]["token"] == token
    assert scheduled == {**resource, "region": "eu-west-1", "timeoutInSeconds": 60, "heartbeatInSeconds": 30}
    assert started == resource
    assert "MessageId" in json.loads(submitted["output"])
    assert succeeded == {**resource, "output": "1", "outputDetails": whole}
    assert exited == {"name": "Ask", "output": "1", "outputDetails": whole}


def test_text_is_sent_as_it_is(flow: Workflow) -> None:
    state = {**flow.asking(), "Resource": "arn:aws:states:::sqs:sendMessage"}
    state["Parameters"] = {"QueueUrl": flow.queue, "MessageBody.$": "$"}
    machine = flow.machine(state)
    sent = '{"a":"Grüße","b":[1,null,true]}'
    for given in (sent, '{"half":"\\ud800"}'):
        execution = flow.start(machine, input=given)
        flow.ended(execution, "SUCCEEDED")
        (message,) = flow.sqs.receive_message(QueueUrl=flow.queue)["Messages"]
        assert message["Body"] == given
        assert flow.events(execution)[1]["stateEnteredEventDetails"]["input"] == given


def test_history_comes_in_pages_and_backwards(flow: Workflow) -> None:
    execution = flow.start(flow.machine(DONE))
    flow.ended(execution, "SUCCEEDED")
    pages = flow.sfn.get_paginator("get_execution_history").paginate(
        executionArn=execution, reverseOrder=True, PaginationConfig={"PageSize": 3}
    )
    assert [[event["id"] for event in page["events"]] for page in pages] == [[4, 3, 2], [1]]


def test_failure_reaches_the_execution(flow: Workflow) -> None:
    execution = flow.start(flow.machine(flow.asking()))
    flow.sfn.send_task_failure(taskToken=flow.token(), error="Rejected", cause="not today")
    ended = flow.ended(execution, "FAILED")
    assert (ended["error"], ended["cause"], "output" in ended) == ("Rejected", "not today", False)
    failed, over = flow.events(execution)[-2:]
    assert failed["type"] == "TaskFailed"
    assert {"error": "Rejected", "cause": "not today"}.items() <= failed["taskFailedEventDetails"].items()
    assert over["executionFailedEventDetails"] == {"error": "Rejected", "cause": "not today"}


@pytest.mark.parametrize("errors", [["Rejected"], ["States.TaskFailed"], ["States.ALL"]])
def test_failure_is_caught(flow: Workflow, errors: list[str]) -> None:
    execution = flow.start(flow.machine(flow.asking(**caught(*errors)), DONE))
    flow.sfn.send_task_failure(taskToken=flow.token(), error="Rejected", cause="not today")
    assert flow.output(execution) == {"error": {"Error": "Rejected", "Cause": "not today"}}


def test_fail_state_is_entered_and_never_left(flow: Workflow) -> None:
    execution = flow.start(flow.machine({"Type": "Fail", "Error": "No", "Cause": "because"}))
    assert flow.ended(execution, "FAILED")["error"] == "No"
    assert flow.kinds(execution) == ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]


def test_each_attempt_has_its_own_token(flow: Workflow) -> None:
    again = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = flow.start(flow.machine(flow.asking(Retry=again)))
    first = flow.token()
    flow.sfn.send_task_failure(taskToken=first, error="Again")
    second = flow.asked()
    assert second["retries"] == 1
    assert second["token"] != first
    assert code_of(lambda: flow.answer(first)) == "TaskTimedOut"
    flow.sfn.send_task_failure(taskToken=second["token"], error="Again")
    flow.ended(execution, "FAILED")
    kinds = flow.kinds(execution)
    assert (kinds.count("TaskScheduled"), kinds.count("TaskStateEntered")) == (2, 1)


def test_no_attempts_means_none(flow: Workflow) -> None:
    never = {"ErrorEquals": ["Again"], "MaxAttempts": 0}
    often = {"ErrorEquals": ["States.ALL"], "MaxAttempts": 5}
    execution = flow.start(flow.machine(flow.asking(Retry=[never, often])))
    flow.sfn.send_task_failure(taskToken=flow.token(), error="Again")
    flow.ended(execution, "FAILED")


@pytest.mark.parametrize("limit", [{"TimeoutSeconds": 0.3}, {"TimeoutSecondsPath": "$.seconds"}])
def test_task_that_is_not_answered_in_time_fails(flow: Workflow, limit: dict[str, Any]) -> None:
    execution = flow.start(flow.machine(flow.asking(**limit)), input='{"seconds": 0.3}')
    token = flow.token()
    ended = flow.ended(execution, "FAILED")
    assert (ended["error"], "cause" in ended) == ("States.Timeout", False)
    assert 0.25 < flow.seconds_between(execution, "TaskStarted", "TaskTimedOut") < 2
    assert code_of(lambda: flow.answer(token)) == "TaskTimedOut"
    assert flow.events(execution)[-2]["taskTimedOutEventDetails"]["error"] == "States.Timeout"


@pytest.mark.parametrize(
    ("errors", "is_caught"),
    [
        (["States.HeartbeatTimeout"], True),
        (["States.Timeout"], True),
        (["States.ALL"], True),
        (["States.TaskFailed"], False),
    ],
)
def test_missed_heartbeat_is_a_timeout(flow: Workflow, errors: list[str], is_caught: bool) -> None:
    state = flow.asking(TimeoutSeconds=60, HeartbeatSecondsPath="$.seconds", **caught(*errors))
    execution = flow.start(flow.machine(state, DONE), input='{"seconds": 0.2}')
    token = flow.token()
    ended = flow.ended(execution, "SUCCEEDED" if is_caught else "FAILED")
    if is_caught:
        assert json.loads(ended["output"])["error"] == {"Error": "States.Timeout", "Cause": ""}
    assert code_of(lambda: flow.sfn.send_task_heartbeat(taskToken=token)) == "TaskTimedOut"


def test_task_timeout_is_no_heartbeat_timeout(flow: Workflow) -> None:
    state = flow.asking(TimeoutSeconds=0.2, **caught("States.HeartbeatTimeout"))
    flow.ended(flow.start(flow.machine(state, DONE)), "FAILED")


def test_heartbeats_keep_a_task_open(flow: Workflow) -> None:
    execution = flow.start(flow.machine(flow.asking(HeartbeatSeconds=0.7)))
    token, until = flow.token(), time.monotonic() + 1

    def beat() -> bool:
        flow.sfn.send_task_heartbeat(taskToken=token)
        return time.monotonic() > until

    wait_until(beat)
    flow.answer(token, "alive")
    assert flow.output(execution) == "alive"


def test_one_of_many_answers_wins(flow: Workflow) -> None:
    execution = flow.start(flow.machine(flow.asking()))
    token = flow.token()
    clients = [flow.sfn for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(
                lambda at: code_of(lambda: clients[at].send_task_success(taskToken=token, output=str(at))), range(8)
            )
        )
    assert sorted(codes) == ["", *["TaskTimedOut"] * 7]
    assert flow.output(execution) == codes.index("")


def test_tokens_are_long_and_need_quoting(flow: Workflow) -> None:
    machine = flow.machine(flow.asking())
    tokens = set()
    for _ in range(4):
        flow.start(machine)
        tokens.add(flow.token())
    assert len(tokens) == 4
    assert all(400 < len(base64.b64decode(token, validate=True)) < 1024 for token in tokens)
    assert set("+/") & set("".join(tokens))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"taskToken": "nobody's"}, "InvalidToken"),
        ({"taskToken": "AAAAKgAAAAIAAAAAAAAAAf" + "A" * 500}, "InvalidToken"),
        ({"taskToken": "x" * 2049}, "ValidationException"),
        ({"error": "x" * 257}, "ValidationException"),
        ({"cause": "x" * 32_769}, "ValidationException"),
        ({"output": "{"}, "InvalidOutput"),
        ({"output": "NaN"}, "InvalidOutput"),
        ({"output": json.dumps("ä" * 131_072, ensure_ascii=False)}, "ValidationException"),
    ],
)
def test_bad_answer_is_refused_and_the_task_waits_on(flow: Workflow, request_: dict[str, str], code: str) -> None:
    execution = flow.start(flow.machine(flow.asking()))
    token = flow.token()
    kind = "failure" if request_.keys() & {"error", "cause"} else "success"
    output = {"output": "1"} if kind == "success" else {}
    send = getattr(flow.sfn, f"send_task_{kind}")
    assert code_of(lambda: send(**{"taskToken": token, **output, **request_})) == code
    flow.answer(token, "x" * 262_000)
    flow.ended(execution, "SUCCEEDED")


def test_machine_times_out(flow: Workflow) -> None:
    execution = flow.start(flow.machine(flow.asking(**caught("States.ALL")), DONE, TimeoutSeconds=0.4))
    token = flow.token()
    flow.ended(execution, "TIMED_OUT")
    assert flow.kinds(execution)[-2:] == ["TaskSubmitted", "ExecutionTimedOut"]
    assert code_of(lambda: flow.answer(token)) == "TaskTimedOut"


def test_stopped_execution_is_over_at_once(flow: Workflow) -> None:
    execution = flow.start(flow.machine(flow.asking(Retry=[{"ErrorEquals": ["States.ALL"]}])))
    token = flow.token()
    flow.sfn.stop_execution(executionArn=execution, error="Withdrawn", cause="changed my mind")
    assert code_of(lambda: flow.answer(token)) == "TaskTimedOut"
    ended = flow.ended(execution, "ABORTED")
    assert (ended["error"], ended["cause"]) == ("Withdrawn", "changed my mind")
    assert flow.kinds(execution)[-2:] == ["TaskSubmitted", "ExecutionAborted"]


def test_deleted_machine_takes_its_tokens_along(flow: Workflow) -> None:
    machine = flow.machine(flow.asking())
    flow.start(machine)
    token = flow.token()
    flow.sfn.delete_state_machine(stateMachineArn=machine)
    assert code_of(lambda: flow.answer(token)) == "TaskTimedOut"


def test_execution_goes_on_with_the_definition_it_started_with(flow: Workflow) -> None:
    machine = flow.machine(flow.asking(Next="Then"), {"Type": "Pass", "Result": "old", "End": True})
    execution = flow.start(machine)
    token = flow.token()
    flow.sfn.update_state_machine(
        stateMachineArn=machine, definition=json.dumps({"StartAt": "A", "States": {"A": DONE}})
    )
    flow.answer(token)
    assert flow.output(execution) == "old"


def test_choice_and_wait_follow_an_answer(flow: Workflow) -> None:
    rule = {"Variable": "$.approved", "BooleanEquals": True, "Next": "Last"}
    execution = flow.start(
        flow.machine(
            flow.asking(Next="Then"),
            {"Type": "Choice", "Choices": [rule]},
            {"Type": "Wait", "SecondsPath": "$.seconds", "End": True},
        )
    )
    flow.answer(flow.token(), {"approved": True, "seconds": 0.3})
    ended = flow.ended(execution, "SUCCEEDED")
    assert json.loads(ended["output"])["approved"]
    assert flow.kinds(execution)[-5:] == [
        "ChoiceStateEntered",
        "ChoiceStateExited",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ]
    assert 0.25 < flow.seconds_between(execution, "WaitStateEntered", "WaitStateExited") < 2


def test_jsonata_state_waits_too(flow: Workflow) -> None:
    body = {"token": "{% $states.context.Task.Token %}"}
    state = {
        **flow.asking(TimeoutSeconds="{% $states.input.seconds %}"),
        "QueryLanguage": "JSONata",
        "Arguments": {"QueueUrl": flow.queue, "MessageBody": body},
        "Output": {"said": "{% $states.result %}"},
    }
    del state["Parameters"]
    execution = flow.start(flow.machine(state), input='{"seconds": 60}')
    flow.answer(flow.token(), "yes")
    assert flow.output(execution) == {"said": "yes"}


def test_branches_wait_each_for_their_own_answer(flow: Workflow) -> None:
    branch = {"StartAt": "Ask", "States": {"Ask": flow.asking()}}
    machine = flow.machine({"Type": "Parallel", "Branches": [branch, branch], "End": True})
    execution, stopped = flow.start(machine), flow.start(machine)
    tokens = [flow.token() for _ in range(4)]
    flow.sfn.stop_execution(executionArn=stopped)
    codes = [code_of(lambda token=token: flow.answer(token, "yes")) for token in tokens]
    assert sorted(codes) == ["", "", "TaskTimedOut", "TaskTimedOut"]
    assert flow.output(execution) == ["yes", "yes"]


def test_topic_hands_a_token_out(flow: Workflow) -> None:
    sns, sqs = flow.cloud.client("sns"), flow.sqs
    topic = sns.create_topic(Name=flow.name)["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=flow.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    admit = {**allow("sqs:SendMessage", arn), "Principal": {"Service": "sns.amazonaws.com"}}
    sqs.set_queue_attributes(QueueUrl=flow.queue, Attributes={"Policy": document(admit)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    state = flow.asking(Resource="arn:aws:states:::sns:publish.waitForTaskToken")
    state["Parameters"] = {"TopicArn": topic, "Message.$": "States.JsonToString($$.Task)"}
    execution = flow.start(flow.machine(state))
    flow.answer(flow.asked()["Token"], "heard")
    assert flow.output(execution) == "heard"


def test_waiting_needs_no_thread(flow: Workflow) -> None:
    machine = flow.machine(flow.asking())

    def threads() -> int:
        status = Path(f"/proc/{flow.cloud.process.pid}/status").read_text()
        return int(status.partition("Threads:")[2].split()[0])

    before = threads()
    for _ in range(50):
        flow.start(machine)
    tokens = [flow.token() for _ in range(50)]
    assert threads() < before + 10
    assert flow.cloud.control("DELETE", "/_portico/executions")["forgotten"] >= 50
    assert {code_of(lambda token=token: flow.answer(token)) for token in tokens[:5]} == {"TaskTimedOut"}
    assert flow.sfn.list_executions(stateMachineArn=machine)["executions"] == []
    assert flow.cloud.control("DELETE", "/_portico/executions") == {"forgotten": 0}
    execution = flow.start(machine)
    flow.answer(flow.token())
    flow.ended(execution, "SUCCEEDED")


def test_message_comes_at_once(flow: Workflow) -> None:
    machine = flow.machine(flow.asking())
    executions = [flow.start(machine) for _ in range(3)]
    for _ in executions:
        flow.answer(flow.token())
    seconds = [flow.seconds_between(one, "ExecutionStarted", "TaskSubmitted") for one in executions]
    # The quickest of three: the machine may have other work.
    assert min(seconds) < 0.1


def test_status_changes_are_events(flow: Workflow) -> None:
    events, sqs = flow.cloud.client("events"), flow.sqs
    url = sqs.create_queue(QueueName=f"{flow.name}-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    admit = {**allow("sqs:SendMessage", arn), "Principal": {"Service": "events.amazonaws.com"}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(admit)})
    machine, hasty = flow.machine(flow.asking()), flow.machine(flow.asking(), TimeoutSeconds=0.3)
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": [machine, hasty],
            "status": ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"],
        },
    }
    events.put_rule(Name=flow.name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=flow.name, Targets=[{"Id": "1", "Arn": arn}])
    flow.start(hasty, name="late")
    flow.token()
    flow.start(machine, name="approved")
    flow.answer(flow.token(), {"yes": 1})
    flow.start(machine, name="rejected")
    flow.sfn.send_task_failure(taskToken=flow.token(), error="Rejected")
    flow.sfn.stop_execution(executionArn=flow.start(machine, name="withdrawn"))
    seen: list[dict[str, Any]] = []

    def collected() -> bool:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        seen.extend(json.loads(message["Body"])["detail"] for message in messages)
        return len(seen) == 8

    wait_until(collected)
    assert sorted((detail["name"], detail["status"]) for detail in seen) == [
        ("approved", "RUNNING"),
        ("approved", "SUCCEEDED"),
        ("late", "RUNNING"),
        ("late", "TIMED_OUT"),
        ("rejected", "FAILED"),
        ("rejected", "RUNNING"),
        ("withdrawn", "ABORTED"),
        ("withdrawn", "RUNNING"),
    ]
    (approved,) = (detail for detail in seen if detail["status"] == "SUCCEEDED")
    assert json.loads(approved["output"]) == {"yes": 1}


def test_bad_name_of_a_machine_is_refused(flow: Workflow) -> None:
    definition = json.dumps({"StartAt": "A", "States": {"A": DONE}})
    create = flow.sfn.create_state_machine
    assert code_of(lambda: create(name="a b", definition=definition, roleArn=flow.role)) == "InvalidName"


def test_start_checks_name_and_input(flow: Workflow) -> None:
    machine = flow.machine(flow.asking())
    start = flow.sfn.start_execution
    for wrong in ("a b", "a/b", "a:b", "x" * 81):
        assert code_of(lambda wrong=wrong: start(stateMachineArn=machine, name=wrong)) == "InvalidName"
    for wrong in ("{", "", "Infinity", '"' + "x" * 262_143 + '"'):
        assert code_of(lambda wrong=wrong: start(stateMachineArn=machine, input=wrong)) == "InvalidExecutionInput"
    assert not flow.is_asked()


def test_same_start_twice_is_one(flow: Workflow) -> None:
    machine = flow.machine(flow.asking())
    request = {"stateMachineArn": machine, "name": "ä-1_x.y", "input": '{"a": 1}'}
    first, second = (flow.sfn.start_execution(**request) for _ in range(2))
    assert (first["executionArn"], first["startDate"]) == (second["executionArn"], second["startDate"])
    other = {**request, "input": '{"a": 2}'}
    assert code_of(lambda: flow.sfn.start_execution(**other)) == "ExecutionAlreadyExists"
    flow.answer(flow.token())
    assert not flow.is_asked()
    flow.ended(first["executionArn"], "SUCCEEDED")
    assert code_of(lambda: flow.sfn.start_execution(**request)) == "ExecutionAlreadyExists"


def test_output_beyond_the_limit_ends_the_execution(flow: Workflow) -> None:
    state = flow.asking(ResultPath="$.answer", **caught("States.ALL"))
    execution = flow.start(flow.machine(state, DONE), input=json.dumps({"a": "x" * 200_000}))
    flow.answer(flow.token(), "x" * 100_000)
    assert flow.ended(execution, "FAILED")["error"] == "States.DataLimitExceeded"


def refused_definitions() -> dict[str, Any]:
    callback = {"Type": "Task", "End": True}
    return {
        "not JSON": "{",
        "no states": {"StartAt": "A"},
        "no StartAt": {"States": {"A": DONE}},
        "StartAt not there": {"StartAt": "B", "States": {"A": DONE}},
        "Next not there": {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}},
        "unknown type": {"StartAt": "A", "States": {"A": {"Type": "Ask", "End": True}}},
        "neither Next nor End": {"StartAt": "A", "States": {"A": {"Type": "Pass"}}},
        "unreachable": {"StartAt": "A", "States": {"A": DONE, "B": DONE}},
        "no resource": {"StartAt": "A", "States": {"A": {"Type": "Task", "End": True}}},
        "catch to nowhere": {
            "StartAt": "A",
            "States": {
                "A": {
                    **callback,
                    "Resource": "arn:aws:states:::sqs:sendMessage",
                    "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}],
                }
            },
        },
        "no callback of that service": {
            "StartAt": "A",
            "States": {"A": {**callback, "Resource": "arn:aws:states:::dynamodb:putItem.waitForTaskToken"}},
        },
        "no callback of a function's ARN": {
            "StartAt": "A",
            "States": {"A": {**callback, "Resource": "arn:aws:lambda:eu-west-1:1:function:f.waitForTaskToken"}},
        },
        "within a branch": {
            "StartAt": "A",
            "States": {"A": {"Type": "Parallel", "End": True, "Branches": [{"StartAt": "A", "States": {}}]}},
        },
    }


@pytest.mark.parametrize("why", refused_definitions())
def test_definition_that_aws_refuses_is_refused(flow: Workflow, why: str) -> None:
    wrong = refused_definitions()[why]
    text = wrong if isinstance(wrong, str) else json.dumps(wrong)
    create, update = flow.sfn.create_state_machine, flow.sfn.update_state_machine
    assert code_of(lambda: create(name=flow.name, definition=text, roleArn=flow.role)) == "InvalidDefinition"
    machine = flow.machine(DONE)
    assert code_of(lambda: update(stateMachineArn=machine, definition=text)) == "InvalidDefinition"
    flow.ended(flow.start(machine), "SUCCEEDED")
    assert flow.sfn.validate_state_machine_definition(definition=text)["result"] == "FAIL"


def test_time_can_pass_for_a_workflow_that_waits(flow: Workflow) -> None:
    execution = flow.start(flow.machine(flow.asking(TimeoutSeconds=3600)))
    flow.token()
    passed = flow.cloud.control("POST", "/_portico/executions", {"elapse_seconds": 3000})
    assert passed["waiting"] >= 1
    assert flow.sfn.describe_execution(executionArn=execution)["status"] == "RUNNING"
    flow.cloud.control("POST", "/_portico/executions", {"elapse_seconds": 700})
    assert flow.ended(execution, "FAILED")["error"] == "States.Timeout"
