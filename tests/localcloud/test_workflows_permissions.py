"""Contract of workflow_permissions.py and workflow_integrations.py: who may answer, and what a workflow's role may."""

import json
from typing import Any

import pytest

from tests.localcloud.roles import allow, deny, document, make_role, session_of, trusting
from tests.localcloud.running_cloud import ACCOUNT_ID, REGION, RunningCloud
from tests.localcloud.workflows import DONE, STATES, TRUST, Workflow, code_of


@pytest.fixture
def flow(cloud: RunningCloud, name: str) -> Workflow:
    return Workflow.on(cloud, name)


def queue_arn(flow: Workflow) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{flow.name}"


def caller(flow: Workflow, action: str | list[str], resource: str) -> Any:
    """Return a client that may do only that."""
    return flow.cloud.client(
        "stepfunctions", key=session_of(flow.cloud, make_role(flow.cloud, allow(action, resource)))
    )


@pytest.mark.parametrize("action", ["SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"])
def test_answer_to_a_callback_is_a_matter_of_the_state_machine(flow: Workflow, action: str) -> None:
    machine, other = flow.machine(flow.asking()), flow.machine(flow.asking())
    flow.start(machine)
    token = flow.token()

    def answer(resource: str) -> str:
        client = caller(flow, f"states:{action}", resource)
        calls = {
            "SendTaskSuccess": lambda: client.send_task_success(taskToken=token, output="1"),
            "SendTaskFailure": lambda: client.send_task_failure(taskToken=token),
            "SendTaskHeartbeat": lambda: client.send_task_heartbeat(taskToken=token),
        }
        return code_of(calls[action])

    for refused in (other, f"{STATES}:activity:*", f"{STATES}:execution:*"):
        assert answer(refused) == "AccessDeniedException"
    assert answer(machine) == ""
    if action == "SendTaskHeartbeat":
        assert [answer(one) for one in ("*", f"{STATES}:stateMachine:*")] == ["", ""]
    else:
        assert answer(machine) == "TaskTimedOut"
        assert answer(other) == "AccessDeniedException"


def test_answer_to_an_activitys_task_is_a_matter_of_the_activity(flow: Workflow) -> None:
    activity = flow.sfn.create_activity(name=flow.name)["activityArn"]
    machine = flow.machine({"Type": "Task", "Resource": activity, "End": True})
    flow.start(machine)
    token = flow.sfn.get_activity_task(activityArn=activity)["taskToken"]
    for resource, code in (
        (machine, "AccessDeniedException"),
        (activity + "x", "AccessDeniedException"),
        (f"{STATES}:activity:*", ""),
        (activity, ""),
        ("*", ""),
    ):
        client = caller(flow, "states:SendTaskHeartbeat", resource)
        assert code_of(lambda client=client: client.send_task_heartbeat(taskToken=token)) == code


def test_what_is_no_token_is_said_to_be_none(flow: Workflow) -> None:
    machine = flow.machine(DONE)
    client = caller(flow, "states:SendTaskSuccess", machine)
    assert code_of(lambda: client.send_task_success(taskToken="nobody's", output="1")) == "InvalidToken"
    unknown = flow.cloud.client("stepfunctions", key=("AKIAUNKNOWNUNKNOWN00", "secret"))
    refused = code_of(lambda: unknown.send_task_success(taskToken="nobody's", output="1"))
    assert refused == "UnrecognizedClientException"


def test_calls_are_checked_against_what_they_are_about(flow: Workflow) -> None:
    machine = flow.machine(flow.asking())
    activity = flow.sfn.create_activity(name=flow.name)["activityArn"]
    execution = flow.start(machine, name="one")
    assert execution == f"{machine}:one".replace(":stateMachine:", ":execution:")
    own = {
        "start_execution": ({"stateMachineArn": machine}, machine),
        "list_executions": ({"stateMachineArn": machine}, machine),
        "describe_state_machine": ({"stateMachineArn": machine}, machine),
        "describe_execution": ({"executionArn": execution}, execution),
        "get_execution_history": ({"executionArn": execution}, execution),
        "stop_execution": ({"executionArn": execution}, execution),
        "describe_activity": ({"activityArn": activity}, activity),
        "create_activity": ({"name": flow.name}, activity),
        "list_tags_for_resource": ({"resourceArn": activity}, activity),
    }
    allowed = caller(flow, "states:*", "*")
    for call, (request, resource) in own.items():
        action = "states:" + call.title().replace("_", "")
        for one, code in ((resource + "x", "AccessDeniedException"), (resource, "")):
            client = caller(flow, action, one)
            assert (call, code_of(lambda c=call, k=client, r=request: getattr(k, c)(**r))) == (call, code)
        getattr(allowed, call)(**request)


def test_polling_is_a_matter_of_the_activity(flow: Workflow) -> None:
    activity = flow.sfn.create_activity(name=flow.name)["activityArn"]
    flow.start(flow.machine({"Type": "Task", "Resource": activity, "End": True}))
    refused = caller(flow, "states:GetActivityTask", activity + "x")
    assert code_of(lambda: refused.get_activity_task(activityArn=activity)) == "AccessDeniedException"
    assert caller(flow, "states:GetActivityTask", activity).get_activity_task(activityArn=activity)["taskToken"]


def ended_with(flow: Workflow, role: str, **fields: Any) -> dict[str, Any]:
    flow.role = role
    return flow.ended(flow.start(flow.machine(flow.asking(**fields))), "FAILED")


def test_role_that_may_not_send_fails_the_task(flow: Workflow) -> None:
    for statements in (
        [],
        [allow("sqs:SendMessage", queue_arn(flow) + "x")],
        [allow("sqs:ReceiveMessage", queue_arn(flow))],
        [allow("sqs:*", "*"), deny("sqs:SendMessage", queue_arn(flow))],
    ):
        ended = ended_with(flow, make_role(flow.cloud, *statements, trust=TRUST))
        assert ended["error"] == "SQS.AmazonSQSException"
        assert f"is not authorized to perform: sqs:sendmessage on resource: {queue_arn(flow)}" in ended["cause"]
        assert "Error Code: AccessDenied" in ended["cause"]
    assert not flow.is_asked()


def test_role_that_may_send_to_the_queue_sends(flow: Workflow) -> None:
    flow.role = make_role(flow.cloud, allow("sqs:SendMessage", queue_arn(flow)), trust=TRUST)
    execution = flow.start(flow.machine(flow.asking()))
    flow.answer(flow.token())
    flow.ended(execution, "SUCCEEDED")


def test_refused_call_is_written_and_can_be_caught(flow: Workflow) -> None:
    flow.role = make_role(flow.cloud, trust=TRUST)
    caught = [{"ErrorEquals": ["SQS.AmazonSQSException"], "Next": "Then"}]
    execution = flow.start(flow.machine(flow.asking(Catch=caught), DONE))
    assert flow.output(execution)["Error"] == "SQS.AmazonSQSException"
    assert flow.kinds(execution)[2:6] == ["TaskScheduled", "TaskStarted", "TaskFailed", "TaskStateExited"]


def test_queue_that_refuses_the_role_or_is_not_there_fails_the_task(flow: Workflow) -> None:
    role = make_role(flow.cloud, allow("sqs:SendMessage", "*"), trust=TRUST)
    missing = {**flow.asking()["Parameters"], "QueueUrl": flow.queue + "x"}
    assert ended_with(flow, role, Parameters=missing)["error"] == "SQS.QueueDoesNotExistException"
    refusing = {**deny("sqs:SendMessage", queue_arn(flow)), "Principal": {"AWS": role}}
    flow.sqs.set_queue_attributes(QueueUrl=flow.queue, Attributes={"Policy": document(refusing)})
    assert ended_with(flow, role)["error"] == "SQS.AmazonSQSException"


def test_role_must_be_there_and_trust_step_functions(flow: Workflow) -> None:
    may_send = allow("sqs:SendMessage", "*")
    service = {"Service": "states.amazonaws.com"}
    here = trusting(service, "sts:AssumeRole", ArnLike={"aws:SourceArn": f"{STATES}:stateMachine:{flow.name}-*"})
    there = trusting(service, "sts:AssumeRole", StringEquals={"aws:SourceAccount": "111111111111"})
    for trust in (trusting({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole"), there, ""):
        ended = ended_with(flow, make_role(flow.cloud, may_send, trust=trust))
        assert ended["error"] == "States.TaskFailed"
        assert "not authorized to assume the provided role" in ended["cause"]
    flow.role = make_role(flow.cloud, may_send, trust=here)
    machine = flow.machine(flow.asking())
    flow.start(machine)
    flow.token()
    iam, name = flow.cloud.client("iam"), flow.role.rpartition("/")[2]
    iam.delete_role_policy(RoleName=name, PolicyName="inline")
    iam.delete_role(RoleName=name)
    assert flow.ended(flow.start(machine), "FAILED")["error"] == "States.TaskFailed"


def test_other_integrations_need_their_permissions_too(flow: Workflow) -> None:
    topic = flow.cloud.client("sns").create_topic(Name=flow.name)["TopicArn"]
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{flow.name}"
    flow.cloud.client("dynamodb").create_table(
        TableName=flow.name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
    )
    put = {"TableName": flow.name, "Item": {"Id": {"S": "1"}}}
    inner = flow.machine(DONE)
    for resource, parameters, action, arn in (
        ("sns:publish", {"TopicArn": topic, "Message": "hello"}, "sns:Publish", topic),
        ("dynamodb:putItem", put, "dynamodb:PutItem", table),
        ("aws-sdk:dynamodb:putItem", put, "dynamodb:PutItem", table),
        ("states:startExecution", {"StateMachineArn": inner}, "states:StartExecution", inner),
    ):
        state = {
            "Type": "Task",
            "Resource": f"arn:aws:states:::{resource}",
            "Parameters": parameters,
            "ResultPath": None,
            "End": True,
        }
        for named, status in ((arn + "x", "FAILED"), (arn, "SUCCEEDED")):
            flow.role = make_role(flow.cloud, allow(action, named), trust=TRUST)
            ended = flow.ended(flow.start(flow.machine(state)), status)
            assert status == "SUCCEEDED" or "is not authorized to perform" in json.dumps(ended["cause"])
