"""Unmanaged Django models whose rows are DynamoDB items: for tables that operators edit and that have few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.exceptions import ClientError
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from portal import aws
from portal.dynamo.queryset import ItemQuerySet
from portal.dynamo.table import Conflict
from portal.dynamo.values import from_item, to_item

if TYPE_CHECKING:
    from typing import Self


class Item(models.Model):
    """A row of a table that operators edit.

    `Meta.db_table` is the table's key in settings.TABLES; each field's `db_column` is its attribute. Attributes without
    a field stay as they are. Empty values are not stored: a missing attribute is empty.
    """

    # The item's attribute values as they were read; empty for one that is not stored yet.
    item: Mapping[str, Any]
    # What a form said that it was opened on, where another page lies between; empty where it is opened on `item`.
    opened_as = ""

    objects: ClassVar[Any] = models.Manager.from_queryset(ItemQuerySet)()

    class Meta:
        abstract = True
        managed = False
        base_manager_name = "objects"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.item = {}

    def save(self, *args: Any, together_with: Sequence[Any] = (), **kwargs: Any) -> None:
        """Add the item, or write what changed since it was read, `together_with` other writes or not at all.

        Raises Conflict if the key is taken, or if any attribute that the model knows is no longer as it was read.
        """
        write = self._putting() if self._state.adding else self._updating()
        if write:
            self._write(write, *together_with)
        self._state.adding = False

    def delete(self, *args: Any, together_with: Sequence[Any] = (), **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the item. Raises Conflict if any attribute that the model knows is no longer as it was read."""
        expression = _Expression()
        delete = {
            "TableName": self.table_name(),
            "Key": self.key_of(self.pk),
            "ConditionExpression": self._unchanged(expression),
            **expression.parameters(),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        self._write({"Delete": delete}, *together_with)
        return 1, {self._meta.label: 1}

    @classmethod
    def table_name(cls) -> str:
        return str(settings.TABLES[cls._meta.db_table])

    @classmethod
    def key_of(cls, pk: Any) -> dict[str, Any]:
        return to_item({column(cls._meta.pk): cls._meta.pk.get_prep_value(pk)})

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Make an object of a DynamoDB item."""
        one = cls(**{field.attname: value_in(item, field) for field in cls._meta.concrete_fields})
        one.item = item
        one._state.adding = False
        return one

    def derived(self) -> dict[str, Any]:
        """Return attributes that no one edits and that follow from the fields, e.g. {"Herd": "all"}."""
        return {}

    @classmethod
    def say(cls, field: models.Field[Any, Any], value: Any) -> str:
        """Put a field's value into words."""
        labels = dict(field.flatchoices)
        match value:
            case None | "":
                return "empty"
            case _ if value in labels:
                return str(labels[value])
            case bool():
                return "yes" if value else "no"
            case Decimal():
                return f"{value:f}"
            case datetime():
                return f"{value:%d %B %Y, %H:%M} UTC"
        return f"“{value}”" if isinstance(value, str) else str(value)

    def _putting(self) -> dict[str, Any]:
        self.item = {**to_item({**self._attributes(), **self.derived()}), **self.key_of(self.pk)}
        return {
            "Put": {
                "TableName": self.table_name(),
                "Item": self.item,
                "ConditionExpression": f"attribute_not_exists({column(self._meta.pk)})",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _updating(self) -> dict[str, Any] | None:
        """Return the update of what changed, or None if nothing did."""
        now, before = self._attributes(), type(self).from_item(self.item)._attributes()
        stored = from_item(self.item)
        changed = {name: now.get(name) for name in {**before, **now} if now.get(name) != before.get(name)}
        changed |= {name: value for name, value in self.derived().items() if value != stored.get(name)}
        if not changed:
            return None
        expression = _Expression()
        condition = self._unchanged(expression)
        sets = to_item(changed)
        assign = ", ".join(f"{expression.name(name)} = {expression.value(value)}" for name, value in sets.items())
        remove = ", ".join(expression.name(name) for name in changed if name not in sets)
        update = {
            "TableName": self.table_name(),
            "Key": self.key_of(self.pk),
            "UpdateExpression": (f"SET {assign} " if assign else "") + (f"REMOVE {remove}" if remove else ""),
            "ConditionExpression": condition,
            **expression.parameters(),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        self.item = {
            name: value for name, value in {**self.item, **sets}.items() if name in sets or name not in changed
        }
        return {"Update": update}

    def _attributes(self) -> dict[str, Any]:
        """Return the attributes that the fields make, but for the key and the empty ones."""
        values = {
            column(field): field.get_prep_value(getattr(self, field.attname))
            for field in self._meta.concrete_fields
            if not field.primary_key
        }
        return {name: value for name, value in values.items() if value is not None and value != ""}

    def _unchanged(self, expression: _Expression) -> str:
        """Return the condition that the item is there and every attribute the model knows is as it was read."""
        terms = [f"attribute_exists({expression.name(column(self._meta.pk))})"]
        for field in self._meta.concrete_fields:
            if field.primary_key:
                continue
            name, value = expression.name(column(field)), self.item.get(column(field))
            if value is None:
                terms.append(f"attribute_not_exists({name})")
            else:
                terms.append(f"{name} = {expression.value(value)}")
        return " AND ".join(terms)

    @staticmethod
    def _write(*writes: Any) -> None:
        try:
            aws.client("dynamodb").transact_write_items(TransactItems=writes)
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons", [])
            first = reasons[0] if reasons else {}
            # TransactionConflict: someone is writing this item right now.
            if first.get("Code") in ("ConditionalCheckFailed", "TransactionConflict"):
                raise Conflict(from_item(first["Item"]) if first.get("Item") else None) from error
            if any(one.get("Code") in ("ThrottlingError", "ProvisionedThroughputExceeded") for one in reasons):
                raise aws.Busy from error
            raise


class _Expression:
    """The placeholders of DynamoDB's expressions."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        return self._names.setdefault(attribute, f"#{len(self._names)}")

    def value(self, value: Any) -> str:
        placeholder = f":{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def parameters(self) -> dict[str, Any]:
        names = {placeholder: attribute for attribute, placeholder in self._names.items()}
        return {"ExpressionAttributeNames": names} | (
            {"ExpressionAttributeValues": self._values} if self._values else {}
        )


def column(field: models.Field[Any, Any]) -> str:
    """Return the name of a field's attribute."""
    return str(field.column)


def value_in(item: Mapping[str, Any], field: models.Field[Any, Any]) -> Any:
    """Return a field's value in a DynamoDB item: the field's default if it is missing, None if the field cannot read
    what is there."""
    if column(field) not in item:
        return field.get_default()
    plain = from_item({"value": item[column(field)]})["value"]
    try:
        return field.from_db_value(plain, None, None) if hasattr(field, "from_db_value") else field.to_python(plain)
    except (ValidationError, ArithmeticError, ValueError, TypeError):
        return None
