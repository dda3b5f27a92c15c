"""StopInstances, StartInstances and TerminateInstances, and what becomes of a terminated instance.

MiniStack stops and starts what is terminated, answers the state reached and not the one on the way, keeps the launch
time of what is started again, and forgets a terminated instance after a minute.
Reference: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from portal.localcloud.standins.ec2_calls import Ec2Calls, Params, refuse_dry_run
from portal.localcloud.standins.ec2_launches import timestamp
from portal.localcloud.standins.role_sessions import Refusal

# AWS: "a short while, usually less than one hour".
TERMINATED_SECONDS = 3600
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
USER_INITIATED = {
    "Code": "Client.UserInitiatedShutdown",
    "Message": "Client.UserInitiatedShutdown: User initiated shutdown",
}
# What is answered of an instance on its way, and of one that is there already.
_ON_THE_WAY = {"stopped": "stopping", "running": "pending", "terminated": "shutting-down"}


def install(calls: Ec2Calls) -> None:
    """Answer the three actions and keep terminated instances for as long as AWS does."""
    ec2 = calls.ec2

    def change(target: str, refused: Callable[[Any], Refusal | None]) -> Callable[[Params], str]:
        def perform(params: Params) -> str:
            instances = calls.instances(params)
            for instance in instances:
                if refusal := refused(instance):
                    raise refusal
            refuse_dry_run(params)
            return f"<instancesSet>{''.join(move(instance, target) for instance in instances)}</instancesSet>"

        return perform

    def move(instance: Any, target: str) -> str:
        previous = instance["State"]["Name"]
        current = target if previous == target else _ON_THE_WAY[target]
        if previous != target:
            now = datetime.now(UTC)
            instance["State"] = {"Code": CODES[target], "Name": target}
            if target == "running":
                # The attach times of its volume and network interface stay.
                instance["LaunchTime"] = timestamp(now)
                instance.pop("StateReason", None)
                instance.pop("StateTransitionReason", None)
            else:
                instance["StateReason"] = USER_INITIATED
                instance["StateTransitionReason"] = f"User initiated ({now:%Y-%m-%d %H:%M:%S} GMT)"
            if target == "terminated":
                leave(instance)
        return (
            f"<item><instanceId>{instance['InstanceId']}</instanceId>"
            f"<currentState><code>{CODES[current]}</code><name>{current}</name></currentState>"
            f"<previousState><code>{CODES[previous]}</code><name>{previous}</name></previousState></item>"
        )

    def leave(instance: Any) -> None:
        instance["_terminated_at"] = time.time()
        for device in instance.get("BlockDeviceMappings") or []:
            if device["Ebs"].get("DeleteOnTermination", True):
                ec2._volumes.pop(device["Ebs"]["VolumeId"], None)
                ec2._tags.pop(device["Ebs"]["VolumeId"], None)
        association = ec2._find_active_iam_instance_profile_association(instance["InstanceId"])
        if association:
            ec2._mark_iam_instance_profile_association_disassociated(association)

    def forget_terminated() -> None:
        before = time.time() - TERMINATED_SECONDS
        for instance_id, instance in ec2._instances.items():
            if instance["State"]["Name"] == "terminated" and instance.get("_terminated_at", 0) < before:
                ec2._instances.pop(instance_id, None)
                ec2._tags.pop(instance_id, None)

    calls.answer("StopInstances", change("stopped", _refused("stopped")))
    calls.answer("StartInstances", change("running", _refused("started")))
    calls.answer("TerminateInstances", change("terminated", lambda _instance: None))
    # Touchpoint: looked up in the module at each call.
    ec2._cleanup_terminated = forget_terminated


def _refused(participle: str) -> Callable[[Any], Refusal | None]:
    def refuse_terminated(instance: Any) -> Refusal | None:
        if instance["State"]["Name"] != "terminated":
            return None
        message = f"This instance '{instance['InstanceId']}' is not in a state from which it can be {participle}."
        return Refusal("IncorrectInstanceState", message)

    return refuse_terminated
