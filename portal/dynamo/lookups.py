"""What Django's filters and orderings mean for objects in memory. What is not known here is refused, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.models import Field, Model, Q
from django.db.models.constants import LOOKUP_SEP
from django.db.utils import NotSupportedError

Predicate = Callable[[Model], bool]


def predicate(model: type[Model], condition: Any) -> Predicate | None:
    """Turn a Q object into a question about one object; an empty one, which asks nothing, into None.

    None (a missing attribute) equals None and nothing else, and negation is plain `not`.
    Raises FieldError for an unknown field, NotSupportedError for an unknown lookup, ValidationError for a value that
    the field cannot hold.
    """
    if not isinstance(condition, Q):
        return _lookup(model, condition)
    parts = [part for child in condition.children if (part := predicate(model, child))]
    if not parts:
        return None
    negated = condition.negated
    match condition.connector:
        case Q.AND:
            return lambda one: all(part(one) for part in parts) != negated
        case Q.OR:
            return lambda one: any(part(one) for part in parts) != negated
        case Q.XOR:  # as in Django: an odd number of them
            return lambda one: (sum(part(one) for part in parts) % 2 == 1) != negated
    raise NotSupportedError(f"Q objects joined by {condition.connector!r}")


def field_of(model: type[Model], name: str) -> Field[Any, Any]:
    """Return the model's field of this name, or of "pk". Raises FieldError."""
    try:
        found = model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise FieldError(f"{model._meta.label} has no field {name!r}.") from error
    if not isinstance(found, Field) or found.is_relation:
        raise NotSupportedError(f"{model._meta.label}.{name} is a relation.")
    return found


def _lookup(model: type[Model], condition: Any) -> Predicate:
    if not (isinstance(condition, tuple) and len(condition) == 2 and isinstance(condition[0], str)):
        raise NotSupportedError(f"Only field lookups are supported, not {condition!r}.")
    path, value = condition
    name, _, lookup = path.partition(LOOKUP_SEP)
    field = field_of(model, name)
    if hasattr(value, "resolve_expression"):
        raise NotSupportedError(f"{path}: expressions are not supported.")
    test = _test(field, lookup or "exact", value, path)
    return lambda one: test(getattr(one, field.attname))


def _test(field: Field[Any, Any], lookup: str, value: Any, path: str) -> Callable[[Any], bool]:
    """Return what the lookup asks of a field's value."""

    def read(plain: Any) -> Any:
        return field.to_python(plain)

    if lookup == "isnull":
        if not isinstance(value, bool):
            raise ValueError(f"{path}: isnull is True or False.")
        return lambda held: (held is None) == value
    if lookup == "exact":
        wanted = read(value)
        return lambda held: held == wanted
    if lookup in ("in", "range"):
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ValueError(f"{path}: not a list of values.")
        several = [read(one) for one in value]
        if lookup == "in":
            return lambda held: held is not None and held in several
        low, high = several
        return lambda held: held is not None and low <= held <= high
    if value is None:
        raise ValueError(f"{path}: None can only be found with exact and isnull.")
    if lookup in _ORDERS:
        compare, bound = _ORDERS[lookup], read(value)
        return lambda held: held is not None and compare(held, bound)
    if lookup in _TEXTS:
        contains, text = _TEXTS[lookup], str(value)
        return lambda held: held is not None and contains(str(held), text)
    if lookup.removeprefix("i") in _TEXTS and lookup.startswith("i"):
        contains, text = _TEXTS[lookup.removeprefix("i")], str(value).casefold()
        return lambda held: held is not None and contains(str(held).casefold(), text)
    raise NotSupportedError(f"{path}: the lookup {lookup!r} is not supported.")


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda held, bound: held > bound,
    "gte": lambda held, bound: held >= bound,
    "lt": lambda held, bound: held < bound,
    "lte": lambda held, bound: held <= bound,
}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda held, text: held == text,
    "contains": lambda held, text: text in held,
    "startswith": lambda held, text: held.startswith(text),
    "endswith": lambda held, text: held.endswith(text),
}


def ordered(rows: Sequence[Any], model: type[Model], ordering: Sequence[Any]) -> list[Any]:
    """Sort objects by fields, "-name" descending. Text sorts without regard to case; missing is the greatest."""
    result = list(rows)
    for part in reversed(ordering):
        if not isinstance(part, str) or part == "?":
            raise NotSupportedError(f"Ordering by {part!r} is not supported.")
        attribute = field_of(model, part.removeprefix("-")).attname
        result.sort(key=lambda one, name=attribute: _sort_key(getattr(one, name)), reverse=part.startswith("-"))  # type: ignore[misc]
    return result


def _sort_key(value: Any) -> tuple[Any, ...]:
    if value is None:
        return (1,)
    return (0, value.casefold(), value) if isinstance(value, str) else (0, value)
