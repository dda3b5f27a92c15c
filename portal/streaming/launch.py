"""Who was given a streaming URL to which stack and fleet: AppStream knows its sessions by UserId alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from portal import aws
from portal.dynamo.table import Instant, Record, Table
from portal.dynamo.values import to_item

# AppStream's longest session is five days, and its URL is opened within a minute.
KEPT = timedelta(days=6)
TIMED_SHELF = "timed"


class Launch(Record):
    """An item of the StreamingLaunches table: a person's last launch on a stack and a fleet."""

    user_id: str  # as AppStream has it: rules.user_id
    place: str  # "stack/fleet"
    sub: str
    username: str
    name: str
    application_id: str
    title: str
    launched_at: Instant
    expires_at: int  # seconds since 1970; DynamoDB deletes it then
    # How long the session may last that began here, and when to look whether it has. The first limit holds.
    most_minutes: int | None = None
    look_at: Instant | None = None
    shelf: str | None = None

    @property
    def stack(self) -> str:
        return self.place.partition("/")[0]

    @property
    def fleet(self) -> str:
        return self.place.partition("/")[2]


launches = Table(Launch, name="streaming_launches", key=("UserId", "Place"), indexes={"ByShelf": ("Shelf", "LookAt")})


def place(stack: str, fleet: str) -> str:
    return f"{stack}/{fleet}"


def expiry(now: datetime) -> int:
    return int((now + KEPT).timestamp())


def note(launch: Launch, *, together_with: Sequence[Any] = ()) -> None:
    """Store a launch over the one before, `together_with` other writes or not at all. A limit that runs already goes
    on: whoever launches again does not begin it anew."""
    values = launch.model_dump(by_alias=True, exclude_none=True)
    key = {name: values.pop(name) for name in launches.key}
    once = {"MostMinutes", "LookAt", "Shelf"} & values.keys()
    sets = [f"#{n} = if_not_exists(#{n}, :{n})" if n in once else f"#{n} = :{n}" for n in values]
    update = {
        "TableName": launches.name,
        "Key": to_item(key),
        "UpdateExpression": f"SET {', '.join(sets)}",
        "ExpressionAttributeNames": {f"#{n}": n for n in values},
        "ExpressionAttributeValues": to_item({f":{n}": value for n, value in values.items()}),
    }
    aws.client("dynamodb").transact_write_items(TransactItems=[{"Update": update}, *together_with])


def of(user_id: str) -> list[Launch]:
    """Return a person's launches that may still have a session, newest first: one Query."""
    found = launches.query(user_id, limit=100, consistent=True).records
    return sorted(found, key=lambda one: one.launched_at, reverse=True)


def of_many(user_ids: Iterable[str], *, stack: str, fleet: str) -> dict[str, Launch]:
    """Return people's launches on a stack and a fleet, by UserId: one call for a hundred."""
    return {one.user_id: one for one in launches.find_many((user_id, place(stack, fleet)) for user_id in user_ids)}


def due(*, now: datetime) -> list[Launch]:
    """Return launches whose sessions may have lasted as long as they may, the longest due first: one Query."""
    found = launches.query(TIMED_SHELF, index="ByShelf", limit=100, newest_first=False).records
    return [one for one in found if one.look_at and one.look_at <= now]
