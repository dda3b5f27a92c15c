"""Contract of portal/localcloud/standins/faults.py, gateway.py and aws_calls.py, through boto3."""

import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.localcloud.running_cloud import RunningCloud, start_cloud
from tests.localcloud.workflows import Workflow


@pytest.fixture(scope="module")
def faulty_cloud() -> Iterator[RunningCloud]:
    """Return a cloud of this module's own: its faults and counters are global."""
    running = start_cloud()
    yield running
    running.stop()


@pytest.fixture
def faulty(faulty_cloud: RunningCloud) -> RunningCloud:
    faulty_cloud.control("DELETE", "/_portico/faults")
    faulty_cloud.control("DELETE", "/_portico/calls")
    return faulty_cloud


def failing_code(call: Any) -> tuple[str, int]:
    """Return the error code and the HTTP status of a call that fails."""
    with pytest.raises(ClientError) as failed:
        call()
    return failed.value.response["Error"]["Code"], failed.value.response["ResponseMetadata"]["HTTPStatusCode"]


CALLS = {
    "dynamodb": lambda client: client.list_tables(),
    "cognito-idp": lambda client: client.list_user_pools(MaxResults=1),
    "sqs": lambda client: client.list_queues(),
    "sns": lambda client: client.list_topics(),
    "ses": lambda client: client.list_identities(),
    "sesv2": lambda client: client.list_email_identities(),
    "sts": lambda client: client.get_caller_identity(),
    "ec2": lambda client: client.describe_vpcs(),
    "s3": lambda client: client.list_buckets(),
    "stepfunctions": lambda client: client.list_state_machines(),
    "events": lambda client: client.list_rules(),
    "cloudtrail": lambda client: client.lookup_events(),
    "logs": lambda client: client.describe_log_groups(),
    "cloudwatch": lambda client: client.list_metrics(),
    "lambda": lambda client: client.list_functions(),
}
THROTTLES = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "cognito-idp": ("TooManyRequestsException", 400),
    "sqs": ("RequestThrottled", 403),
    "sns": ("Throttling", 400),
    "ses": ("Throttling", 400),
    "sesv2": ("TooManyRequestsException", 429),
    "sts": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "stepfunctions": ("ThrottlingException", 400),
    "lambda": ("TooManyRequestsException", 429),
}


@pytest.mark.parametrize("service", THROTTLES)
def test_throttling_has_the_code_of_the_service(faulty: RunningCloud, service: str) -> None:
    faulty.control("POST", "/_portico/faults", {"service": service, "action": ".*", "kind": "throttle"})
    assert failing_code(lambda: CALLS[service](faulty.client(service))) == THROTTLES[service]


@pytest.mark.parametrize("service", CALLS)
def test_server_error_is_one_that_boto3_retries(faulty: RunningCloud, service: str) -> None:
    fault = {"service": service, "action": ".*", "kind": "error", "times": 1}
    faulty.control("POST", "/_portico/faults", fault)
    code, status = failing_code(lambda: CALLS[service](faulty.client(service)))
    assert (code.startswith("Internal"), status) == (True, 500)
    faulty.control("DELETE", "/_portico/faults")
    faulty.control("POST", "/_portico/faults", fault)
    CALLS[service](faulty.client(service, attempts=2))
    assert [fault["hits"] for fault in faulty.control("GET", "/_portico/faults")] == [1]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("MessageRejected", 400),
        ("LimitExceededException", 400),
        ("TooManyRequestsException", 429),
        ("InternalServerError", 500),
    ],
)
def test_error_of_a_given_code(faulty: RunningCloud, code: str, status: int) -> None:
    fault = {"service": "sesv2", "action": "SendEmail", "kind": "error", "code": code, "times": 1}
    faulty.control("POST", "/_portico/faults", fault)
    sesv2 = faulty.client("sesv2")
    sesv2.create_email_identity(EmailIdentity="portico@example.org")
    mail = {
        "FromEmailAddress": "portico@example.org",
        "Destination": {"ToAddresses": ["rider@example.org"]},
        "Content": {"Simple": {"Subject": {"Data": "a"}, "Body": {"Text": {"Data": "b"}}}},
    }
    assert failing_code(lambda: sesv2.send_email(**mail)) == (code, status)
    sesv2.send_email(**mail)
    faulty.control("DELETE", "/_portico/faults")
    faulty.control(
        "POST", "/_portico/faults", {**fault, "service": "stepfunctions", "action": ".*", "code": "TaskTimedOut"}
    )
    answer = faulty.client("stepfunctions").send_task_heartbeat
    assert failing_code(lambda: answer(taskToken="none")) == ("TaskTimedOut", 400)


def test_lost_reply_of_an_answer_has_been_taken(faulty: RunningCloud, name: str) -> None:
    flow = Workflow.on(faulty, name)
    execution = flow.start(flow.machine(flow.asking()))
    faulty.control(
        "POST", "/_portico/faults", {"service": "stepfunctions", "action": "SendTaskSuccess", "kind": "lost_reply"}
    )
    token = flow.token()
    with pytest.raises(ConnectionClosedError):
        flow.answer(token, "yes")
    assert flow.output(execution) == "yes"
    faulty.control("DELETE", "/_portico/faults")
    assert failing_code(lambda: flow.answer(token, "yes")) == ("TaskTimedOut", 400)


def test_fault_hits_only_the_matching_action(faulty: RunningCloud) -> None:
    fault = {"service": "dynamodb", "action": "TransactWriteItems|Query", "kind": "throttle"}
    faulty.control("POST", "/_portico/faults", [fault])
    dynamodb = faulty.client("dynamodb")
    dynamodb.list_tables()
    query = {
        "TableName": "none",
        "KeyConditionExpression": "Id = :id",
        "ExpressionAttributeValues": {":id": {"S": "1"}},
    }
    assert failing_code(lambda: dynamodb.query(**query))[0] == "ProvisionedThroughputExceededException"


def test_skip_lets_calls_pass_and_times_ends_the_fault(faulty: RunningCloud) -> None:
    fault = {"service": "sts", "action": "GetCallerIdentity", "kind": "throttle", "skip": 1, "times": 2}
    faulty.control("POST", "/_portico/faults", fault)
    sts = faulty.client("sts")
    sts.get_caller_identity()
    assert failing_code(sts.get_caller_identity)[0] == "Throttling"
    assert failing_code(sts.get_caller_identity)[0] == "Throttling"
    sts.get_caller_identity()
    assert [(one["seen"], one["hits"]) for one in faulty.control("GET", "/_portico/faults")] == [(4, 2)]


def test_lost_reply_has_done_its_work_and_looks_like_a_closed_connection(faulty: RunningCloud, name: str) -> None:
    faulty.control("POST", "/_portico/faults", {"service": "sqs", "action": "CreateQueue", "kind": "lost_reply"})
    with pytest.raises(ConnectionClosedError):
        faulty.client("sqs").create_queue(QueueName=name)
    assert faulty.client("sqs").get_queue_url(QueueName=name)["QueueUrl"].endswith(name)


def test_lost_reply_is_retried_by_boto3(faulty: RunningCloud, name: str) -> None:
    fault = {"service": "sqs", "action": "CreateQueue", "kind": "lost_reply", "times": 1}
    faulty.control("POST", "/_portico/faults", fault)
    faulty.client("sqs", attempts=2).create_queue(QueueName=name)
    assert faulty.control("GET", "/_portico/calls")["services"]["sqs"]["CreateQueue"] == 2


def test_lost_upload_reply_has_stored_the_object(faulty: RunningCloud, name: str) -> None:
    s3 = faulty.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    faulty.control("POST", "/_portico/faults", {"service": "s3", "action": "PutObject", "kind": "lost_reply"})
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=name, Key="a", Body=b"x" * 100_000)
    assert s3.head_object(Bucket=name, Key="a")["ContentLength"] == 100_000


def test_upload_is_read_to_its_end_before_it_is_throttled(faulty: RunningCloud, name: str) -> None:
    faulty.control("POST", "/_portico/faults", {"service": "s3", "action": "PutObject", "kind": "throttle"})
    s3 = faulty.client("s3")
    assert failing_code(lambda: s3.put_object(Bucket=name, Key="a", Body=b"x" * 3_000_000)) == (
        "SlowDown",
        503,
    )


def test_delay_waits_and_then_answers(faulty: RunningCloud) -> None:
    fault = {"service": "sts", "action": ".*", "kind": "delay", "delay_seconds": 0.3}
    faulty.control("POST", "/_portico/faults", fault)
    began = time.monotonic()
    faulty.client("sts").get_caller_identity()
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "sts", "kind": "explode"},
        {"kind": "error"},
        {"service": "sts", "kind": "error", "action": "("},
        {"service": "sts", "kind": "error", "often": True},
        {"service": "sts", "kind": "throttle", "code": "Throttling"},
        {"service": "sts", "kind": "error", "code": "<b>"},
        "sts",
    ],
)
def test_malformed_fault_is_refused(faulty: RunningCloud, wrong: object) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        faulty.control("POST", "/_portico/faults", wrong)
    assert refused.value.code == 400
    refused.value.close()
    assert faulty.control("GET", "/_portico/faults") == []


def test_calls_are_counted_by_service_and_action(faulty: RunningCloud, name: str) -> None:
    s3 = faulty.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=name, Key="a", Body=b"")
    s3.copy_object(Bucket=name, Key="b", CopySource=f"{name}/a")
    s3.list_objects_v2(Bucket=name)
    s3.delete_object(Bucket=name, Key="a")
    faulty.client("dynamodb").list_tables()
    faulty.client("dynamodb").list_tables()
    faulty.client("sns").list_topics()
    faulty.client("ses").list_identities()
    faulty.client("cognito-idp").list_user_pools(MaxResults=1)
    faulty.client("stepfunctions").list_state_machines()
    assert faulty.control("GET", "/_portico/calls") == {
        "total": 11,
        "services": {
            "cognito-idp": {"ListUserPools": 1},
            "dynamodb": {"ListTables": 2},
            "s3": {
                "CopyObject": 1,
                "CreateBucket": 1,
                "DeleteObject": 1,
                "ListObjectsV2": 1,
                "PutObject": 1,
            },
            "ses": {"ListIdentities": 1},
            "sns": {"ListTopics": 1},
            "stepfunctions": {"ListStateMachines": 1},
        },
    }
    assert faulty.control("DELETE", "/_portico/calls")["total"] == 0
