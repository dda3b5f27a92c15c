"""What IAM checks a call of Step Functions against: the ARN of what it is about, and for an answer whose task it is.

MiniStack checks an answer against "*" alone and the creation of an activity against a state machine. An answer to a
callback task is a matter of the state machine, one to an activity's task of the activity.
Reference: https://docs.aws.amazon.com/step-functions/latest/dg/concept-create-iam-advanced.html and
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
"""

import json
from typing import Any

from portal.localcloud.standins.task_tokens import TaskTokens
from portal.localcloud.standins.touchpoints import module_with

_ANSWERS = frozenset({"SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"})
_MACHINE, _EXECUTION, _ACTIVITY, _ANY = "stateMachineArn", "executionArn", "activityArn", "resourceArn"
# The member of a request that says what it is about, whatever else is in it.
_MEMBERS = {
    "StartExecution": _MACHINE,
    "StartSyncExecution": _MACHINE,
    "ListExecutions": _MACHINE,
    "DescribeStateMachine": _MACHINE,
    "UpdateStateMachine": _MACHINE,
    "DeleteStateMachine": _MACHINE,
    "DescribeExecution": _EXECUTION,
    "DescribeStateMachineForExecution": _EXECUTION,
    "GetExecutionHistory": _EXECUTION,
    "StopExecution": _EXECUTION,
    "DescribeActivity": _ACTIVITY,
    "DeleteActivity": _ACTIVITY,
    "GetActivityTask": _ACTIVITY,
    "TagResource": _ANY,
    "UntagResource": _ANY,
    "ListTagsForResource": _ANY,
}


def install(tokens: TaskTokens) -> None:
    """Patch how the resource of a call is found. Raises TouchpointMissing."""
    actions = module_with("ministack.core.iam_actions", "extract_resource_arn")
    evaluator = module_with("ministack.core.iam_evaluator", "enforce", "EvalResult")
    # Touchpoints: both are looked up in their modules at each call.
    found_before, enforce_before = actions.extract_resource_arn, evaluator.enforce

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: Any,
        body: bytes,
        params: dict[str, Any],
        region: str,
        account: str,
    ) -> str:
        action = str((headers or {}).get("x-amz-target", "")).rpartition(".")[2]
        if service == "states" and (action in _MEMBERS or action in _ANSWERS or action == "CreateActivity"):
            return _resource(action, body, f"arn:aws:states:{region}:{account}")
        found: str = found_before(service, method, path, headers, body, params, region, account)
        return found

    def _resource(action: str, body: bytes, prefix: str) -> str:
        try:
            data = json.loads(body)
        except ValueError:
            data = None
        data = data if isinstance(data, dict) else {}
        if action == "CreateActivity":
            return f"{prefix}:activity:{data.get('name')}"
        if action in _ANSWERS:
            return tokens.resource_of(data.get("taskToken")) or "*"
        return str(data.get(_MEMBERS[action]) or "*")

    def enforce(
        key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        denied = enforce_before(key, action, service, region, resource_arn, service_context)
        is_answer = service == "states" and action.partition(":")[2] in _ANSWERS
        # What is no token belongs to nobody who could allow it: the call itself says that it is none.
        if is_answer and resource_arn == "*" and isinstance(denied, evaluator.EvalResult):
            return None
        return denied

    actions.extract_resource_arn, evaluator.enforce = extract_resource_arn, enforce
