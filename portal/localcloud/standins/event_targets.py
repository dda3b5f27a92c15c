"""Deliver EventBridge's events to a queue only if the queue's policy admits them; what it refuses is a dead letter.

MiniStack delivers to every queue and knows no dead letter queue of a target: a forgotten policy would show on AWS only.
Reference: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

import logging
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

log = logging.getLogger("portal.localcloud")

SERVICE = "events.amazonaws.com"


def install() -> None:
    """Patch the invocation of a rule's targets. Raises TouchpointMissing."""
    bus = module_with("ministack.services.eventbridge", "_invoke_target")
    sqs = module_with("ministack.services.sqs", "queue_policy_allows", "_queue_by_arn")
    responses = module_with("ministack.core.responses", "get_account_id")
    # Touchpoint: looked up in the module at each call.
    invoke = bus._invoke_target

    def invoke_if_admitted(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        arn = target.get("Arn", "")
        # A schedule of EventBridge Scheduler, which comes here too, has no bus, and sends with a role of its own.
        has_role = "EventBusName" not in rule or target.get("RoleArn")
        if not arn.startswith("arn:aws:sqs:") or has_role or sqs._queue_by_arn(arn) is None or admits(arn, rule):
            invoke(target, event, rule, view)
            return
        log.warning("%s refuses the events of %s: its policy does not let %s send", arn, rule["Arn"], SERVICE)
        dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn", "")
        queue = sqs._queue_by_arn(dead_letters) if dead_letters else None
        if queue is None or not admits(dead_letters, rule):
            return
        invoke({**target, "Arn": dead_letters}, event, rule, view)
        attributes = {
            "RULE_ARN": rule["Arn"],
            "TARGET_ARN": arn,
            "ERROR_CODE": "NO_PERMISSIONS",
            "ERROR_MESSAGE": "The queue's policy does not let EventBridge send",
            "EXHAUSTED_RETRY_CONDITION": "NonRetryable",
            "RETRY_ATTEMPTS": "0",
        }
        queue["messages"][-1]["message_attributes"] = {
            name: {"DataType": "String", "StringValue": content} for name, content in attributes.items()
        }

    def admits(queue_arn: str, rule: dict[str, Any]) -> bool:
        allowed: bool = sqs.queue_policy_allows(queue_arn, SERVICE, rule["Arn"], responses.get_account_id())
        return allowed

    bus._invoke_target = invoke_if_admitted
