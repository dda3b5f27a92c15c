"""AWS::StepFunctions::Activity, which MiniStack's CloudFormation does not know.

Reference: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-stepfunctions-activity.html
"""

import json
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

TYPE = "AWS::StepFunctions::Activity"


def install() -> None:
    """Add the type to CloudFormation. Raises TouchpointMissing."""
    provisioners = module_with(
        "ministack.services.cloudformation.provisioners",
        "_RESOURCE_HANDLERS",
        "_REPLACING_PROPERTIES",
        "_STACK_TAG_PROPERTY",
        "_sfn_tags",
        "_sfn_handler_error",
    )
    sfn = module_with(
        "ministack.services.stepfunctions", "_create_activity", "_delete_activity", "_activities", "_tags"
    )

    def attributes(arn: str) -> tuple[str, dict[str, str]]:
        return arn, {"Arn": arn, "Name": arn.rpartition(":")[2]}

    def create(_logical_id: str, properties: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, str]]:
        tags = provisioners._sfn_tags(properties)
        status, _, body = sfn._create_activity({"name": properties.get("Name"), "tags": tags})
        content = json.loads(body)
        if status >= 400:
            raise provisioners._sfn_handler_error(content["message"])
        return attributes(content["activityArn"])

    def update(arn: str, _old: dict[str, Any], new: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, str]]:
        sfn._tags[arn] = provisioners._sfn_tags(new)
        return attributes(arn)

    def delete(arn: str, _properties: dict[str, Any]) -> None:
        sfn._delete_activity({"activityArn": arn})

    # Touchpoints: the tables of resource types.
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[TYPE] = ("Name",)
    provisioners._STACK_TAG_PROPERTY[TYPE] = ("Tags", "list")
