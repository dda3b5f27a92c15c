"""Plain values as DynamoDB's attribute values and back.

boto3 has the same, but importing it is a twentieth of a cold start. There is no binary.
Reference: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, Overflow, Rounded
from typing import Any

# DynamoDB's numbers: 38 digits, and nothing nearer to zero than SMALLEST. What does not fit is refused, not rounded.
NUMBERS = Context(prec=38, Emin=-128, Emax=126, traps=[Inexact, Overflow, Rounded])
SMALLEST = 1e-130
_EMPTY_SETS: tuple[set[Any], frozenset[Any]] = (set(), frozenset())


def to_item(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Turn plain values into DynamoDB's attribute values. None and empty sets are left out: DynamoDB has no such.
    Raises TypeError, and decimal.Inexact for a number of more than 38 digits."""
    return {
        name: serialize(value)
        for name, value in attributes.items()
        if value is not None and value not in (set(), frozenset())
    }


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Turn DynamoDB's attribute values into plain ones; numbers become Decimal."""
    return {name: deserialize(value) for name, value in item.items()}


def instant(moment: datetime) -> str:
    """Write a moment as the tables hold it: UTC, milliseconds, sortable, e.g. 2026-11-21T07:20:19.123Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def serialize(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": str(value)}
        case float():
            return {"N": _number(Decimal(0) if abs(value) < SMALLEST else Decimal(repr(value)))}
        case int() | Decimal():
            return {"N": _number(value)}
        case datetime():
            return {"S": instant(value)}
        case Mapping():
            return {"M": to_item(value)}
        case list() | tuple():
            return {"L": [serialize(one) for one in value]}
        case set() | frozenset():
            [kind] = {kind for one in value for kind in serialize(one)}
            return {f"{kind}S": sorted(text for one in value for text in serialize(one).values())}
    raise TypeError(f"DynamoDB holds no {type(value).__name__}.")


def deserialize(value: Mapping[str, Any]) -> Any:
    [(kind, content)] = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return Decimal(content)
        case "M":
            return from_item(content)
        case "L":
            return [deserialize(one) for one in content]
        case "NULL":
            return None
        case "SS":
            return set(content)
        case "NS":
            return {Decimal(one) for one in content}
    return content  # binary stays base64


def _number(value: int | Decimal) -> str:
    number = NUMBERS.create_decimal(value)
    if not number.is_finite():
        raise TypeError("DynamoDB holds neither NaN nor Infinity.")
    return str(number)
