"""AWS::DynamoDB::Table: make TimeToLiveSpecification and PointInTimeRecoverySpecification take effect.

MiniStack's CloudFormation drops both without a word.
Reference:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
"""

from typing import Any

from portal.localcloud.standins.touchpoints import module_with


def install() -> None:
    """Patch the create and update handlers of AWS::DynamoDB::Table."""
    provisioners = module_with("ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS")
    dynamodb = module_with("ministack.services.dynamodb", "_update_ttl", "_update_continuous_backups", "_ttl_settings")
    # Touchpoint: the table of resource handlers; CloudFormation looks the handler up at each call.
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create_table, update_table, delete_table = handlers["create"], handlers["update"], handlers["delete"]

    def apply(name: str, properties: dict[str, Any]) -> None:
        ttl = properties.get("TimeToLiveSpecification")
        if ttl is not None:
            enabled = _is_true(ttl.get("Enabled"))
            attribute = ttl.get("AttributeName") or dynamodb._ttl_settings.get(name, {}).get("AttributeName", "")
            if enabled and not attribute:
                raise ValueError("Property AttributeName cannot be empty when TimeToLiveSpecification is enabled.")
            if attribute:
                specification = {"Enabled": enabled, "AttributeName": attribute}
                dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": specification})
        else:
            dynamodb._ttl_settings.pop(name, None)
        recovery = properties.get("PointInTimeRecoverySpecification") or {}
        recovery = {"PointInTimeRecoveryEnabled": _is_true(recovery.get("PointInTimeRecoveryEnabled"))}
        dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": recovery})

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        name, attributes = create_table(logical_id, properties, stack_name)
        apply(name, properties)
        return name, attributes

    def update(
        physical_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        result = update_table(physical_id, old, new, stack_name, logical_id)
        apply(result[0], new)
        return result

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        delete_table(physical_id, properties)
        # A table created again under the same name starts without them.
        dynamodb._ttl_settings.pop(physical_id, None)
        dynamodb._pitr_settings.pop(physical_id, None)

    handlers.update(create=create, update=update, delete=delete)


def _is_true(value: object) -> bool:
    return value is True or str(value).lower() == "true"
