"""AWS::IAM::Role: make PermissionsBoundary take effect.

MiniStack's CloudFormation drops it without a word.
Reference: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
"""

from typing import Any

from portal.localcloud.standins.touchpoints import module_with


def install() -> None:
    """Patch the create and update handlers of AWS::IAM::Role."""
    provisioners = module_with("ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS")
    iam = module_with("ministack.services.iam", "_roles")
    # Touchpoint: the table of resource handlers; CloudFormation looks the handler up at each call.
    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    create_role, update_role = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        result = create_role(logical_id, properties, stack_name)
        iam._roles[result[0]]["PermissionsBoundary"] = properties.get("PermissionsBoundary")
        return result

    def update(
        physical_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        result = update_role(physical_id, old, new, stack_name, logical_id)
        iam._roles[result[0]]["PermissionsBoundary"] = new.get("PermissionsBoundary")
        return result

    handlers.update(create=create, update=update)
