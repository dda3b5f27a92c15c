"""State machines that wait for an answer, as the tests of the workflow stand-ins need them."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.localcloud.roles import allow, make_role, trusting
from tests.localcloud.running_cloud import ACCOUNT_ID, REGION, RunningCloud, wait_until

STATES = f"arn:aws:states:{REGION}:{ACCOUNT_ID}"
TRUST = trusting({"Service": "states.amazonaws.com"}, "sts:AssumeRole")
CALLBACK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
DONE = {"Type": "Pass", "End": True}
# Making a client costs more than most calls.
_clients: dict[str, tuple[Any, Any]] = {}


@dataclass
class Workflow:
    """A test's own queue for task tokens, and the role of its state machines."""

    cloud: RunningCloud
    name: str
    role: str
    queue: str
    sfn: Any
    sqs: Any
    made: int = 0

    @classmethod
    def on(cls, cloud: RunningCloud, name: str) -> "Workflow":
        if cloud.endpoint not in _clients:
            _clients[cloud.endpoint] = cloud.client("stepfunctions"), cloud.client("sqs")
        sfn, sqs = _clients[cloud.endpoint]
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        return cls(cloud, name, make_role(cloud, allow("*", "*"), trust=TRUST), queue, sfn, sqs)

    def asking(self, **fields: Any) -> dict[str, Any]:
        """Return a state that sends its token and waits; the last one unless fields say Next."""
        body = {"token.$": "$$.Task.Token", "retries.$": "$$.State.RetryCount", "input.$": "$"}
        parameters = {"QueueUrl": self.queue, "MessageBody": body}
        end = {} if "Next" in fields else {"End": True}
        return {"Type": "Task", "Resource": CALLBACK, "Parameters": parameters, **end, **fields}

    def machine(self, *states: dict[str, Any], **fields: Any) -> str:
        """Create a state machine of the states Ask, Then, Last and return its ARN."""
        named = dict(zip(("Ask", "Then", "Last"), states, strict=False))
        definition = json.dumps({"StartAt": "Ask", "States": named, **fields})
        self.made += 1
        name = f"{self.name}-{self.made}"
        made = self.sfn.create_state_machine(name=name, definition=definition, roleArn=self.role)
        return str(made["stateMachineArn"])

    def start(self, machine: str, **request: Any) -> str:
        return str(self.sfn.start_execution(stateMachineArn=machine, **request)["executionArn"])

    def asked(self) -> dict[str, Any]:
        """Return what the next message says, when it comes."""
        (message,) = wait_until(lambda: self.sqs.receive_message(QueueUrl=self.queue).get("Messages"))
        body: dict[str, Any] = json.loads(message["Body"])
        return body

    def token(self) -> str:
        return str(self.asked()["token"])

    def is_asked(self) -> bool:
        """Return whether a message is there, without waiting."""
        return bool(self.sqs.receive_message(QueueUrl=self.queue).get("Messages"))

    def answer(self, token: str, output: Any = None) -> None:
        self.sfn.send_task_success(taskToken=token, output=json.dumps(output))

    def ended(self, execution: str, status: str, *, seconds: float = 5) -> dict[str, Any]:
        """Return an execution that is over, or will be in time."""

        def over() -> Any:
            found = self.sfn.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        found: dict[str, Any] = wait_until(over, seconds=seconds)
        assert found["status"] == status, found
        return found

    def output(self, execution: str) -> Any:
        return json.loads(self.ended(execution, "SUCCEEDED")["output"])

    def events(self, execution: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.sfn.get_execution_history(executionArn=execution)["events"]
        return events

    def seconds_between(self, execution: str, first: str, second: str) -> float:
        """Return how long after the first event of one kind the first of another came."""
        at = {event["type"]: event["timestamp"] for event in reversed(self.events(execution))}
        return float((at[second] - at[first]).total_seconds())

    def kinds(self, execution: str) -> list[str]:
        return [event["type"] for event in self.events(execution)]


def code_of(call: Any) -> str:
    """Return the error code of a call, "" if it succeeds."""
    try:
        call()
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])
    return ""
