"""The audit log: who did what to what, and when. Entries are only ever added."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import Field

from portal import aws
from portal.dynamo.table import Instant, Page, Record, Table
from portal.dynamo.values import instant
from portal.middleware import reference

log = logging.getLogger(__name__)
ADDED, CHANGED, DELETED = "added", "changed", "deleted"


class Actor(Protocol):
    @property
    def sub(self) -> str: ...
    @property
    def username(self) -> str: ...


class Change(Record):
    """What became of one attribute, in the words that a person saw."""

    field: str
    old: str = Field(default="", alias="From")
    new: str = Field(default="", alias="To")

    def in_words(self) -> str:
        return " → ".join(value for value in (self.old, self.new) if value)


class Entry(Record):
    """One act. `object` names what was acted on for good, e.g. "rides.unicorn/angel"; `object_name` is what people
    called it then."""

    month: str  # e.g. "2026-11"
    entry_id: str  # the moment, then something random
    at: Instant
    action: str
    object: str
    object_name: str
    actor_sub: str
    actor_name: str
    changes: tuple[Change, ...] = ()
    reference: str = ""  # finds the request's log lines

    @property
    def key(self) -> str:
        return f"{self.month}/{self.entry_id}"


entries = Table(
    Entry,
    name="audit",
    key=("Month", "EntryId"),
    indexes={"ByObject": ("Object", "EntryId"), "ByActor": ("ActorSub", "EntryId")},
)


def entry(
    action: str,
    *,
    by: Actor,
    object: str,  # noqa: A002 - the attribute's name
    object_name: str,
    changes: Iterable[Change] = (),
    now: datetime | None = None,
) -> Entry:
    """Make an entry: the action in the past tense, e.g. "changed", "cancelled the ride"."""
    at = (now or datetime.now(UTC)).astimezone(UTC)
    return Entry(
        month=f"{at:%Y-%m}",
        entry_id=f"{instant(at)}#{secrets.token_urlsafe(8)}",
        at=at,
        action=action,
        object=object,
        object_name=object_name,
        actor_sub=by.sub,
        actor_name=by.username,
        changes=tuple(changes),
        reference=reference.get(),
    )


def record(
    action: str,
    *,
    by: Actor,
    object: str,  # noqa: A002 - the attribute's name
    object_name: str,
    changes: Iterable[Change] = (),
) -> None:
    """Write an act down. Where the act itself is a write, `putting` joins its transaction instead."""
    entries.add(entry(action, by=by, object=object, object_name=object_name, changes=changes))


@contextmanager
def act(
    action: str,
    *,
    by: Actor,
    object: str,  # noqa: A002 - the attribute's name
    object_name: str,
    changes: Iterable[Change] = (),
) -> Iterator[None]:
    """Write an act down before it is done, and as well that it failed, or that nobody knows whether it did."""
    record(action, by=by, object=object, object_name=object_name, changes=changes)
    try:
        yield
    except Exception as error:
        failed = "which may have failed" if aws.is_transient(error) else "which failed"
        try:
            record(f"{action}, {failed}", by=by, object=object, object_name=object_name)
        except Exception:  # what the act failed with is what is to be said
            log.exception("that it failed was not written down: %s, %s", action, object)
        raise


def putting(one: Entry) -> dict[str, Any]:
    """Return the member of a DynamoDB transaction that adds an entry."""
    return {"Put": entries.putting(one)}


def of_month(month: str, *, cursor: str | None = None, limit: int = 50) -> Page[Entry]:
    """Return a page of a month's entries ("2026-11"), newest first. Raises BadCursor."""
    return entries.query(month, cursor=cursor, limit=limit)


def of_object(name: str, *, cursor: str | None = None, limit: int = 50) -> Page[Entry]:
    """Return a page of what was done to an object, newest first. Raises BadCursor."""
    return entries.query(name, index="ByObject", cursor=cursor, limit=limit)


def of_actor(sub: str, *, cursor: str | None = None, limit: int = 50) -> Page[Entry]:
    """Return a page of what a person did, newest first. Raises BadCursor."""
    return entries.query(sub, index="ByActor", cursor=cursor, limit=limit)


def find(key: str) -> Entry | None:
    """Return the entry with this key ("2026-11/2026-11-21T…#…"), or None."""
    month, _, entry_id = key.partition("/")
    return entries.find(month, entry_id) if month and entry_id else None
