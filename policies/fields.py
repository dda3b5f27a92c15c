"""Fields of a rule's item. What is there in another type than it should be reads as None, and is not guessed at."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.text import capfirst

from portal.dynamo.values import NUMBERS


class NumberField(models.DecimalField):  # type: ignore[type-arg]
    """A number as DynamoDB holds it, whole or not: a key must be found as it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_digits": 38, "decimal_places": 0, **kwargs})

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else Decimal(_of_type(value, Decimal))

    def to_python(self, value: Any) -> Any:
        number = super().to_python(value)
        try:
            if number is None:
                return None
            number = NUMBERS.create_decimal(number)
            # 1E3 is 1000, and one number has one name.
            is_short_and_whole = number.adjusted() < 28 and number == number.to_integral_value()
            return number.quantize(Decimal(1)) if is_short_and_whole else number
        except decimal.DecimalException as error:
            raise ValidationError("DynamoDB holds no such number.") from error

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(value)


class WholeNumberField(models.IntegerField):  # type: ignore[type-arg]
    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        number = _of_type(value, Decimal)
        if number != number.to_integral_value():
            raise ValidationError("Not a whole number.")
        return int(number)


class TextField(models.CharField):  # type: ignore[type-arg]
    """Text of one line. How long it may be is for the rules to say, with their reasons."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_length": 4000, **kwargs})

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> str | None:
        return str(_of_type(value, str))


class YesNoField(models.BooleanField):  # type: ignore[type-arg]
    """A claim that is "Y" or "N" in the table."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> bool | None:
        if value not in ("Y", "N"):
            raise ValidationError("Neither Y nor N.")
        return bool(value == "Y")

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else "Y" if value else "N"


class TextsField(models.Field):  # type: ignore[type-arg]
    """Several texts: a list in the table, or a string set of somebody else's making."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"default": list, "blank": True, **kwargs})

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> list[str] | None:
        if not isinstance(value, list | set):
            raise ValidationError("Not a list.")
        return [_of_type(one, str) for one in (sorted(value) if isinstance(value, set) else value)]

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> list[str] | None:
        return list(value) if value else None

    def formfield(self, **kwargs: Any) -> Any:
        label = kwargs.get("label") or capfirst(str(self.verbose_name))
        return LinesField(label=label, help_text=kwargs.get("help_text") or self.help_text)


class LinesField(forms.CharField):
    """Several texts, one on each line."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return value if value is None or isinstance(value, str) else "\n".join(value)

    def to_python(self, value: Any) -> Any:
        lines: Iterable[str] = value.splitlines() if isinstance(value, str) else value or ()
        return list(dict.fromkeys(one.strip() for one in lines if one.strip()))

    def validate(self, value: Any) -> None:
        """Accept any: the rules say what is wrong."""

    def run_validators(self, value: Any) -> None: ...

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))


def _of_type(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValidationError(f"Not {kind.__name__}.")
    return value
