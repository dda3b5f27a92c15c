"""A task's call of a service: with the permissions of the state machine's role, and with AWS's error names.

MiniStack calls as nobody, so that a permission that the role lacks would show on AWS only.
Reference: https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html and
https://docs.aws.amazon.com/step-functions/latest/dg/connect-sqs.html
"""

import dataclasses
import json
import uuid
from typing import Any

from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.workflow_definitions import CALLBACK
from portal.localcloud.standins.workflow_history import text_of

SERVICE = "states.amazonaws.com"
QUEUE = "arn:aws:states:::sqs:sendMessage"
# The prefix of IAM's actions, where the integration has another name.
_IAM_PREFIXES = {
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "elasticloadbalancingv2": "elasticloadbalancing",
    "eventbridge": "events",
    "sesv2": "ses",
    "sfn": "states",
}
_REFUSED = {
    "dynamodb": "DynamoDB.AmazonDynamoDBException",
    "events": "EventBridge.AmazonEventBridgeException",
    "lambda": "Lambda.AWSLambdaException",
    "sns": "SNS.AmazonSNSException",
    "sqs": "SQS.AmazonSQSException",
    "states": "StepFunctions.AWSStepFunctionsException",
}


class Integrations:
    """Calls services on behalf of executions."""

    def __init__(self) -> None:
        self._sfn = module_with(
            "ministack.services.stepfunctions",
            "_invoke_resource",
            "_extract_lambda_ref",
            "_ExecutionError",
            "_SERVICE_DISPATCH",
            "get_account_id",
            "get_region",
        )
        self._sqs = module_with("ministack.services.sqs", "_act_send_message", "_Err")
        self._iam = module_with("ministack.services.iam", "_roles.get_scoped")
        self._actions = module_with("ministack.core.iam_actions", "extract_resource_arn", "identity_denial_message")
        self._evaluator = module_with(
            "ministack.core.iam_evaluator",
            "_request_caller_arn",
            "_gather_role_policies",
            "_permissions_boundary",
            "_resource_policy",
            "_service_principal_matches",
            "combine_resource_policy",
            "evaluate",
            "evaluate_trust_policy",
            "EvalContext",
        )
        # Touchpoint: the table of optimized integrations.
        self._sfn._SERVICE_DISPATCH[QUEUE] = self._send_message

    def is_quick(self, resource: str) -> bool:
        """Return whether a call ends at once, so that it needs no thread."""
        return resource.removesuffix(CALLBACK) == QUEUE

    def call(self, resource: str, parameters: Any, *, role_arn: str, execution_arn: str) -> Any:
        """Call a resource and return its result. Raises MiniStack's _ExecutionError."""
        resource = resource.removesuffix(CALLBACK)
        account = self._sfn.get_account_id()
        name = role_arn.rpartition("/")[2]
        role = self._iam._roles.get_scoped(account, None, name)
        if role is None or not self._trusts(role, execution_arn, account):
            cause = f"The principal {SERVICE} is not authorized to assume the provided role."
            raise self._sfn._ExecutionError("States.TaskFailed", cause)
        session = f"arn:aws:sts::{account}:assumed-role/{name}/{execution_arn.rpartition(':')[2][:64]}"
        action, arn = self._asked(resource, parameters, account)
        self._check(name, session, action, arn, account)
        # Touchpoint: as whom MiniStack's services see the caller, in a queue's policy for instance.
        caller = self._evaluator._request_caller_arn.set(session)
        try:
            return self._sfn._invoke_resource(resource, parameters)
        finally:
            self._evaluator._request_caller_arn.reset(caller)

    def _trusts(self, role: Any, execution_arn: str, account: str) -> bool:
        trust = role["AssumeRolePolicyDocument"]
        trust = json.loads(trust) if isinstance(trust, str) else trust
        statements = trust.get("Statement", [])
        # MiniStack's check of a trust policy knows no service that asks.
        asked = [
            {**statement, "Principal": "*"}
            for statement in (statements if isinstance(statements, list) else [statements])
            if self._evaluator._service_principal_matches(statement.get("Principal"), SERVICE)
        ]
        machine = ":".join(execution_arn.replace(":execution:", ":stateMachine:").split(":")[:7])
        context = self._context(SERVICE, account, "sts:AssumeRole", role["Arn"])
        context.service_context = {"aws:sourcearn": machine, "aws:sourceaccount": account}
        return bool(self._evaluator.evaluate_trust_policy({"Statement": asked}, SERVICE, context))

    def _asked(self, resource: str, parameters: Any, account: str) -> tuple[str, str]:
        """Return the IAM action that a call needs, and on which resource; "*" if that cannot be told."""
        region = self._sfn.get_region()
        fields = parameters if isinstance(parameters, dict) else {}
        function = self._sfn._extract_lambda_ref(resource)
        if function or resource.startswith("arn:aws:states:::lambda:invoke"):
            function = str(function or fields.get("FunctionName", ""))
            if not function.startswith("arn:"):
                function = f"arn:aws:lambda:{region}:{account}:function:{function}"
            return "lambda:InvokeFunction", function
        service, action = resource.partition(":::")[2].removeprefix("aws-sdk:").split(":")[:2]
        service = _IAM_PREFIXES.get(service, service)
        action = f"{action[0].upper()}{action[1:]}".partition(".")[0]
        # Step Functions spells all parameters in PascalCase, the services some of theirs in camelCase.
        body = {**fields, **{f"{name[0].lower()}{name[1:]}": value for name, value in fields.items()}}
        query = {name: [value] for name, value in fields.items() if isinstance(value, str)}
        arn = self._actions.extract_resource_arn(
            service, "POST", "/", {"x-amz-target": f".{action}"}, json.dumps(body).encode(), query, region, account
        )
        return f"{service}:{action}", arn

    def _check(self, role_name: str, session: str, action: str, arn: str, account: str) -> None:
        service = action.partition(":")[0]
        policies = self._evaluator._gather_role_policies(role_name, account)
        if arn == "*":
            policies = [
                [
                    dataclasses.replace(one, resources=["*"], not_resources=[]) if one.effect == "Allow" else one
                    for one in policy
                ]
                for policy in policies
            ]
        limits = self._evaluator._permissions_boundary(self._iam._roles, role_name, account)
        context = self._context(session, account, action, arn)
        result = self._evaluator.evaluate(context, policies, *limits)
        owned = self._evaluator._resource_policy(service, arn)
        if owned is not None:
            result = self._evaluator.combine_resource_policy(result, context, *owned, limits=limits)
        if result.decision == "Allow":
            return
        named = action.lower() if service == "sqs" else action
        message = self._actions.identity_denial_message(named, session, arn, result.decision == "Deny")
        error = _REFUSED.get(service, f"{service.capitalize()}.{service.capitalize()}Exception")
        raise self._sfn._ExecutionError(error, _explained(message, service, 403, "AccessDenied"))

    def _context(self, principal: str, account: str, action: str, arn: str) -> Any:
        return self._evaluator.EvalContext(
            principal_arn=principal,
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=arn,
            region=self._sfn.get_region(),
        )

    def _send_message(self, _resource: str, parameters: Any) -> Any:
        message = dict(parameters)
        if not isinstance(message.get("MessageBody"), str | None):
            message["MessageBody"] = text_of(message["MessageBody"])
        try:
            return self._sqs._act_send_message(message, message.get("QueueUrl", ""))
        except self._sqs._Err as refused:
            missing = refused.code == "QueueDoesNotExist"
            error = "SQS.QueueDoesNotExistException" if missing else _REFUSED["sqs"]
            cause = _explained(refused.message, "sqs", refused.status, refused.code)
            raise self._sfn._ExecutionError(error, cause) from refused


def _explained(message: str, service: str, status: int, code: str) -> str:
    """Return a cause as Step Functions words it, with what the service answered."""
    name = "AmazonSQS" if service == "sqs" else service
    details = f"Status Code: {status}; Error Code: {code}; Request ID: {uuid.uuid4()}; Proxy: null"
    return f"{message} (Service: {name}; {details})"
