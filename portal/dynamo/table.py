"""Typed records in and out of DynamoDB: one frozen pydantic model and one `Table` for each table of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NoReturn, TypeVar

from botocore.exceptions import ClientError
from django.conf import settings
from django.core import signing
from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_pascal

from portal import aws
from portal.dynamo.client import DynamoDB
from portal.dynamo.values import from_item, instant, to_item

Instant = Annotated[AwareDatetime, PlainSerializer(instant)]


_MOST_AT_ONCE = 100  # keys that BatchGetItem takes


class Record(BaseModel):
    """What a table holds one of. Fields are snake_case here and PascalCase in DynamoDB; unknown attributes are left
    alone."""

    model_config = ConfigDict(frozen=True, alias_generator=to_pascal, populate_by_name=True, extra="ignore")


class Missing(LookupError):
    """There is no such item."""


class Conflict(Exception):
    """The item is not what the caller thought: it exists already, or was changed or deleted meanwhile."""

    def __init__(self, current: dict[str, Any] | None = None) -> None:
        super().__init__("The item was changed meanwhile.")
        self.current = current


class BadCursor(ValueError):
    """The cursor was not made by this table for this query."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Page(Generic[R]):
    """Some records and, where there are more, the cursor that fetches the next ones."""

    records: list[R]
    cursor: str | None = None


class Table(Generic[R]):
    """A table of records.

    `name` is the key in settings.TABLES; `key` and `indexes` name the attributes of the keys, hash first, as the
    infrastructure template declares them (a test compares the two).
    """

    def __init__(
        self,
        record: type[R],
        *,
        name: str,
        key: tuple[str, ...],
        indexes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.record = record
        self._setting = name
        self.key = key
        self.indexes = indexes or {}
        self.attributes = {field.alias or name: name for name, field in record.model_fields.items()}

    @property
    def name(self) -> str:
        name: str = settings.TABLES[self._setting]
        return name

    def get(self, *key: str | int, consistent: bool = False) -> R:
        """Return the record with this key. Raises Missing."""
        record = self.find(*key, consistent=consistent)
        if record is None:
            raise Missing(f"{self._setting}: {'/'.join(map(str, key))}")
        return record

    def find(self, *key: str | int, consistent: bool = False, client: DynamoDB | None = None) -> R | None:
        """Return the record with this key, or None. A consistent read sees every write that was answered before it.
        With a client of somebody's own credentials, IAM says what may be read."""
        answer = (client or aws.client("dynamodb")).get_item(
            TableName=self.name, Key=to_item(dict(zip(self.key, key, strict=True))), ConsistentRead=consistent
        )
        return self.load(answer["Item"]) if "Item" in answer else None

    def find_many(self, keys: Iterable[tuple[str | int, ...]]) -> list[R]:
        """Return the records with these keys, as they are in the table now, in no order; those that are not there are
        left out. One call for a hundred, or for 16 MB."""
        found: list[R] = []
        left = [to_item(dict(zip(self.key, key, strict=True))) for key in dict.fromkeys(keys)]
        while left:
            asked = {"Keys": left[:_MOST_AT_ONCE], "ConsistentRead": True}
            answer = aws.client("dynamodb").batch_get_item(RequestItems={self.name: asked})
            found += [self.load(item) for item in answer["Responses"].get(self.name, ())]
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", []) + left[_MOST_AT_ONCE:]
        return found

    def query(
        self,
        hash_value: str | int,
        *,
        index: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        newest_first: bool = True,
        consistent: bool = False,
        client: DynamoDB | None = None,
    ) -> Page[R]:
        """Return one page of the records with this hash key, in the order of the range key. With a client of
        somebody's own credentials, IAM says what may be read. An index is never read consistently.

        A cursor fits the query that made it and no other, so one person's cursor cannot open another's list.
        Raises BadCursor.
        """
        key = self.indexes[index] if index else self.key
        salt = self._salt(hash_value, index)
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "#hash = :hash",
            "ExpressionAttributeNames": {"#hash": key[0]},
            "ExpressionAttributeValues": to_item({":hash": hash_value}),
            "ScanIndexForward": not newest_first,
            # One more than asked for tells whether there is a next page, so that no page turns out empty.
            "Limit": limit + 1,
        }
        if index:
            request["IndexName"] = index
        elif consistent:
            request["ConsistentRead"] = True
        if cursor:
            try:
                request["ExclusiveStartKey"] = signing.loads(cursor, salt=salt)
            except signing.BadSignature as error:
                raise BadCursor(cursor) from error
        answer = (client or aws.client("dynamodb")).query(**request)
        items, after = answer["Items"], None
        page = items[:limit]
        if len(items) > limit:
            after = self._cursor(page[-1], key, salt)
        elif last := answer.get("LastEvaluatedKey"):
            # One call stops at 1 MB, wherever that is.
            after = self._cursor(last, key, salt)
        return Page([self.load(item) for item in page], after)

    def cursor_at(self, record: R, hash_value: str | int, *, index: str | None = None) -> str:
        """Return the cursor that goes on from this record, in either direction, in the query with this hash key."""
        key = self.indexes[index] if index else self.key
        return self._cursor(self._dump(record), key, self._salt(hash_value, index))

    def _salt(self, hash_value: str | int, index: str | None) -> str:
        return "/".join(["cursor", self._setting, index or "", str(hash_value)])

    def _cursor(self, item: Mapping[str, Any], key: tuple[str, ...], salt: str) -> str:
        return signing.dumps({name: item[name] for name in {*self.key, *key}}, salt=salt, compress=True)

    def add(self, record: R, *, together_with: Sequence[Any] = ()) -> None:
        """Store a new record, `together_with` other writes or not at all. Raises Conflict if its key is taken."""
        request = self.putting(record)
        try:
            if together_with:
                aws.client("dynamodb").transact_write_items(TransactItems=[{"Put": request}, *together_with])
                return
            aws.client("dynamodb").put_item(**request)
        except ClientError as error:
            # After a lost reply the client sends it again, and meets what the first try stored.
            if error.response.get("Item") != request["Item"]:
                self.raise_conflict(error)

    def replace(self, new: R, *, was: R, together_with: Sequence[Any] = ()) -> None:
        """Write what differs between two versions of a record, `together_with` other writes or not at all. Raises
        Conflict, carrying the item as it is now, if any attribute that the record knows is no longer as it `was`.
        Attributes it does not know stay as they are."""
        self._replace(self._dump(was), new, was=was, together_with=together_with)

    def _replace(self, before: Mapping[str, Any], new: R, *, was: R, together_with: Sequence[Any]) -> None:
        after = self._dump(new)
        names = {f"#{n}": name for n, name in enumerate(self.attributes)}
        values: dict[str, Any] = {}
        conditions, sets, removes = ["attribute_exists(#key)"], [], []
        for placeholder, name in names.items():
            old, value = before.get(name), after.get(name)
            if name not in self.key:
                if old is None:
                    conditions.append(f"attribute_not_exists({placeholder})")
                else:
                    conditions.append(f"{placeholder} = :was{placeholder[1:]}")
                    values[f":was{placeholder[1:]}"] = old
            if value is None and old is not None:
                removes.append(placeholder)
            elif value != old:
                sets.append(f"{placeholder} = :new{placeholder[1:]}")
                values[f":new{placeholder[1:]}"] = value
        if not sets and not removes:
            return
        update = (f"SET {', '.join(sets)} " if sets else "") + (f"REMOVE {', '.join(removes)}" if removes else "")
        used = {placeholder for placeholder, name in names.items() if name not in self.key}
        request: dict[str, Any] = {
            "TableName": self.name,
            "Key": {name: before[name] for name in self.key},
            "UpdateExpression": update,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {
                "#key": self.key[0],
                **{placeholder: names[placeholder] for placeholder in used},
            },
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            if together_with:
                aws.client("dynamodb").transact_write_items(TransactItems=[{"Update": request}, *together_with])
            else:
                aws.client("dynamodb").update_item(**request)
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons") or [{}]
            current: Mapping[str, Any] = error.response.get("Item") or reasons[0].get("Item") or {}  # type: ignore[assignment]
            if all(current.get(name) == after.get(name) for name in self.attributes):
                return
            stored = {name: current[name] for name in self.attributes if name in current}
            # It may be what it was, written by a version of the portal that knew fewer attributes.
            if stored and stored != before and self.load(current) == was:
                self._replace(stored, new, was=was, together_with=together_with)
            else:
                self.raise_conflict(error)

    def putting(self, record: R) -> dict[str, Any]:
        """Return the parameters that put a new record: of a PutItem, or of the Put in a transaction."""
        return {
            "TableName": self.name,
            "Item": self._dump(record),
            # By a placeholder, because some keys are reserved words, such as Month.
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": self.key[0]},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    @staticmethod
    def raise_conflict(error: ClientError) -> NoReturn:
        """Raise Conflict, carrying the item as it is now, where a write's condition did not hold; else the error."""
        reasons: Any = error.response.get("CancellationReasons") or [{}]
        if reasons[0].get("Code") == "ConditionalCheckFailed":
            raise Conflict(from_item(reasons[0]["Item"]) if reasons[0].get("Item") else None) from error
        # What goes with it did not hold, or somebody has been writing one of the items all the time.
        if {one.get("Code") for one in reasons} & {"ConditionalCheckFailed", "TransactionConflict"}:
            raise Conflict from error
        if aws.error_code(error) == "TransactionConflictException":
            raise Conflict from error
        if aws.error_code(error) == "ConditionalCheckFailedException":
            item: Any = error.response.get("Item")
            raise Conflict(from_item(item) if item else None) from error
        raise error

    def load(self, item: Mapping[str, Any]) -> R:
        """Make a record of a DynamoDB item."""
        return self.record.model_validate(from_item(item))

    def _dump(self, record: R) -> dict[str, Any]:
        return to_item(record.model_dump(by_alias=True))
