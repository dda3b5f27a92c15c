"""What IAM checks an EC2 call against: each resource it names, and their tags.

MiniStack checks CreateTags against no resource at all, StopInstances against the first only, DescribeInstances against
an instance, and knows no ec2:ResourceTag.
Reference: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from typing import Any

from portal.localcloud.standins.ec2_calls import members, value
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.trail_events import is_read

_TAGGING = frozenset({"CreateTags", "DeleteTags"})
_ON_INSTANCES = frozenset({"RebootInstances", "StartInstances", "StopInstances", "TerminateInstances"})
_EC2_TAG, _AWS_TAG = "ec2:resourcetag/", "aws:resourcetag/"


def install() -> None:
    """Patch how the resources of a call and their tags are found. Raises TouchpointMissing."""
    actions = module_with(
        "ministack.core.iam_actions", "extract_resource_arn", "verified_access_resource_arns", "_tag_operations"
    )
    evaluator = module_with("ministack.core.iam_evaluator", "_resolve_condition_key", "_names_condition_key")
    tagging = module_with("ministack.services.tagging", "resource_tags")
    ec2 = module_with("ministack.services.ec2", "_tags", "_instances", "_guess_resource_type")
    # Touchpoints: all are looked up in their modules at each call.
    first_resource, verified_access = actions.extract_resource_arn, actions.verified_access_resource_arns
    resolve, tags_of_resource, tag_operations = (
        evaluator._resolve_condition_key,
        tagging.resource_tags,
        actions._tag_operations,
    )

    def resources(params: dict[str, Any], region: str, account: str) -> list[str] | None:
        """Return the ARNs an EC2 call is checked against; None leaves it to MiniStack."""
        action = value(params, "Action")
        if is_read(action):
            return ["*"]
        if action in _TAGGING:
            ids = members(params, "ResourceId")
        elif action in _ON_INSTANCES:
            ids = members(params, "InstanceId")
        elif action == "RunInstances":
            return _of_launch(params, region, account)
        else:
            return None
        return [f"arn:aws:ec2:{region}:{account}:{ec2._guess_resource_type(one)}/{one}" for one in ids] or ["*"]

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
        found = resources(params, region, account) if service == "ec2" else None
        first: str = (
            found[0] if found else first_resource(service, method, path, headers, body, params, region, account)
        )
        return first

    def all_resources(params: dict[str, Any], region: str, account: str) -> list[str]:
        found: list[str] = resources(params, region, account) or verified_access(params, region, account)
        return found

    def resource_tags(arn: str) -> dict[str, str] | None:
        # MiniStack goes through all resources for each one it looks for.
        tags: dict[str, str] | None = _tags(arn) if arn.startswith("arn:aws:ec2:") else tags_of_resource(arn)
        return tags

    def resolve_for_instance(key: str, context: Any) -> Any:
        name = key.lower()
        if not context.resource_arn.startswith("arn:aws:ec2:"):
            return resolve(key, context)
        if name.startswith((_EC2_TAG, _AWS_TAG)):
            wanted = name.partition("/")[2]
            return next(
                (content for tag, content in _tags(context.resource_arn).items() if tag.lower() == wanted), None
            )
        instance = ec2._instances.get(context.resource_arn.rpartition("/")[2])
        if instance is not None and name == "ec2:instancetype":
            return instance["InstanceType"]
        if instance is not None and name == "ec2:instanceid":
            return instance["InstanceId"]
        return resolve(key, context)

    def _tags(arn: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in ec2._tags.get(arn.rpartition("/")[2]) or []}

    def with_launches(service: str) -> frozenset[str]:
        # Its tags are not a member of their own but one of each specification.
        operations: frozenset[str] = tag_operations(service)
        return operations | {"RunInstances"} if service == "ec2" else operations

    actions.extract_resource_arn, actions.verified_access_resource_arns = extract_resource_arn, all_resources
    actions._tag_operations = with_launches
    evaluator._resolve_condition_key = resolve_for_instance
    tagging.resource_tags = resource_tags


def _of_launch(params: dict[str, Any], region: str, account: str) -> list[str]:
    """Return what a launch uses and makes. The tagging of what it makes is not checked as ec2:CreateTags."""
    prefix = f"arn:aws:ec2:{region}:{account}:"
    found = [f"{prefix}instance/*", f"arn:aws:ec2:{region}::image/{value(params, 'ImageId', '*')}"]
    found += [f"{prefix}network-interface/*", f"{prefix}volume/*", f"{prefix}subnet/{value(params, 'SubnetId', '*')}"]
    found += [f"{prefix}security-group/{one}" for one in members(params, "SecurityGroupId") or ["*"]]
    if value(params, "KeyName"):
        found.append(f"{prefix}key-pair/{value(params, 'KeyName')}")
    return found
