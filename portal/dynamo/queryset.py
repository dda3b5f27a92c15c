"""A QuerySet over a DynamoDB table that has few rows: it is read whole, and filtered and ordered in Python.

Django's QuerySet is extended here at private points too: `_fetch_all`, `_clone`, `_chain` and `_result_cache`.
tests/dynamo/test_touchpoints.py fails when Django changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from django.db import models
from django.db.models import Q
from django.db.utils import NotSupportedError

from portal import aws
from portal.dynamo.lookups import field_of, ordered, predicate

if TYPE_CHECKING:
    from typing import Self

    from portal.dynamo.items import Item

# DynamoDB's limit, in bytes.
LONGEST_KEY = 2048

Step = Callable[[list[Any]], list[Any]]


class ItemQuerySet(models.QuerySet["Item", "Item"]):
    """The rows of a table, read when first needed, filtered and ordered in Python.

    Everything derived from one queryset shares one reading of the table, so a page with its counts, filters and
    actions costs one. What QuerySet can do beyond this raises NotSupportedError.
    """

    def __init__(
        self, model: type[Item] | None = None, query: Any = None, using: str | None = None, hints: Any = None
    ) -> None:
        super().__init__(model, query, using, hints)
        # Django makes a queryset without a model only to look at its methods.
        self._rows = Rows(model) if model else cast("Rows", None)
        self._steps: tuple[Step, ...] = ()
        self._is_distinct = self._is_sliced = False

    # --- Django's private points ---

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            rows = list(self._rows.all())
            for step in self._steps:
                rows = step(rows)
            self._result_cache = rows

    def _clone(self) -> Self:
        clone = type(self)(self.model, self.query.chain())
        clone._rows, clone._steps = self._rows, self._steps
        clone._is_distinct, clone._is_sliced = self._is_distinct, self._is_sliced
        return clone

    def _chain(self) -> Self:
        # Whatever is not overridden here comes through this: annotate, only, union, values …
        raise NotSupportedError("This is not supported without a database.")

    # --- What the admin, forms and this project need ---

    def _then(self, step: Step) -> Self:
        if self._is_sliced:
            raise TypeError("Cannot filter or order once a slice has been taken.")
        clone = self._clone()
        clone._steps = (*self._steps, step)
        return clone

    def all(self) -> Self:
        return self._clone()

    def using(self, alias: str | None) -> Self:
        return self._clone()

    def none(self) -> Self:
        return self._then(lambda _: [])

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        condition = Q(*args, **kwargs)
        test = predicate(self.model, condition)
        if test is None:
            return self._clone()
        clone = self._then(lambda rows: [row for row in rows if test(row)])
        key = _only_key(self.model, condition)
        if key is not None and not self._rows.are_loaded:
            clone._rows = Rows(self.model, key)
        return clone

    def exclude(self, *args: Any, **kwargs: Any) -> Self:
        return self.filter(~Q(*args, **kwargs))

    def complex_filter(self, filter_obj: Any) -> Self:
        return self.filter(filter_obj) if isinstance(filter_obj, Q) else self.filter(**filter_obj)

    def order_by(self, *field_names: Any) -> Self:
        ordered([], self.model, field_names)
        return self._then(lambda rows: ordered(rows, self.model, field_names))

    def reverse(self) -> Self:
        return self._then(lambda rows: rows[::-1])

    def distinct(self, *field_names: str) -> Self:
        if field_names:
            raise NotSupportedError("distinct() on fields is not supported.")
        clone = self._clone()
        clone._is_distinct = True
        return clone

    @property
    def ordered(self) -> bool:
        return True

    def get(self, *args: Any, **kwargs: Any) -> Any:
        found = list(self.filter(*args, **kwargs))
        if not found:
            raise self.model.DoesNotExist(f"{self.model._meta.object_name} matching query does not exist.")
        if len(found) > 1:
            raise self.model.MultipleObjectsReturned(f"get() returned {len(found)} objects.")
        return found[0]

    def count(self) -> int:
        return len(self)

    def exists(self) -> bool:
        return len(self) > 0

    def iterator(self, chunk_size: int | None = None) -> Iterator[Any]:
        return iter(self)

    def __getitem__(self, k: Any) -> Any:
        if not isinstance(k, slice):
            return list(self)[k]
        clone = self._then(lambda rows: rows[k])
        clone._is_sliced = True
        return clone

    def values_list(self, *fields: Any, flat: bool = False, named: bool = False) -> Any:
        """Return a list: of tuples, or of values if flat."""
        if named or (flat and len(fields) != 1):
            raise NotSupportedError("values_list() gives tuples, or with flat=True one field's values.")
        names = [
            field_of(self.model, one).attname
            for one in fields or [field.name for field in self.model._meta.concrete_fields]
        ]
        values = [tuple(getattr(row, name) for name in names) for row in self]
        if self._is_distinct:
            values = list(dict.fromkeys(values))
        return [value[0] for value in values] if flat else values

    def delete(self) -> tuple[int, dict[str, int]]:
        rows = list(self)
        for row in rows:
            row.delete()
        return len(rows), {self.model._meta.label: len(rows)}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _not_supported(self, *args: Any, **kwargs: Any) -> Any:
        raise NotSupportedError("This is not supported without a database.")

    aggregate = update = bulk_create = bulk_update = in_bulk = raw = explain = _not_supported
    get_or_create = update_or_create = _not_supported


def _only_key(model: type[models.Model], condition: Q) -> Any:
    """Return the key that the condition asks for and nothing else, or None."""
    while isinstance(condition, Q) and len(condition.children) == 1 and not condition.negated:
        condition = condition.children[0]  # type: ignore[assignment]
    path, value = cast("tuple[str, Any]", condition) if isinstance(condition, tuple) else ("", None)
    is_key = path.removesuffix("__exact") in ("pk", model._meta.pk.name)
    return model._meta.pk.to_python(value) if is_key else None


class Rows:
    """A table's rows, or the one row with a key: read once, when first asked for."""

    def __init__(self, model: type[Item], key: Any = None) -> None:
        self._model, self._key = model, key
        self._loaded: list[Item] | None = None

    @property
    def are_loaded(self) -> bool:
        return self._loaded is not None

    def all(self) -> list[Item]:
        if self._loaded is None:
            items = self._scan() if self._key is None else self._get()
            self._loaded = [self._model.from_item(item) for item in items]
            if self._key is None:
                self._loaded = ordered(self._loaded, self._model, [*(self._model._meta.ordering or ()), "pk"])
        return self._loaded

    def _get(self) -> Iterator[Mapping[str, Any]]:
        if not 0 < len(str(self._key).encode()) <= LONGEST_KEY:
            return  # DynamoDB knows no such key
        answer = aws.client("dynamodb").get_item(
            TableName=self._model.table_name(), Key=self._model.key_of(self._key), ConsistentRead=True
        )
        if "Item" in answer:
            yield answer["Item"]

    def _scan(self) -> Iterator[Mapping[str, Any]]:
        # One Scan call stops silently at 1 MB.
        start: dict[str, Any] = {}
        while True:
            page = aws.client("dynamodb").scan(TableName=self._model.table_name(), ConsistentRead=True, **start)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
