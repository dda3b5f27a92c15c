"""Who was given a streaming URL to which stack and fleet: AppStream knows its sessions by UserId alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from portal import aws
from portal.dynamo.table import Conflict, Instant, Record, Table
from portal.dynamo.values import to_item
from portal.streaming.fleet import Session

# AppStream's longest session is five days.
LONGEST = timedelta(days=5)
TIMED_SHELF = "timed"
# What a limit is, and goes with it.
_LIMIT = ("most_minutes", "ends_at", "look_at", "shelf")
# How often a launch is written that meets another one, or the schedule.
_TRIES = 3


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
    # Where the session may last so many minutes: until when it may, and when to look whether it has.
    most_minutes: int | None = None
    ends_at: Instant | None = None
    look_at: Instant | None = None
    shelf: str | None = None
    # Where somebody else than its owner has ended the session.
    ended_at: Instant | None = None
    ended_because: str | None = None

    def limited(self, minutes: int | None) -> Launch:
        """Return the launch with a limit, or without one, that begins now."""
        ends_at = self.launched_at + timedelta(minutes=minutes) if minutes else None
        limit = {"most_minutes": minutes, "ends_at": ends_at, "look_at": ends_at}
        return self.model_copy(update={**limit, "shelf": TIMED_SHELF if minutes else None})

    def limit(self, session: Session | None) -> datetime | None:
        """Return until when a session may last, by the limit that it began with or that was set while it ran. One that
        began later than the launch has its whole time."""
        if self.ends_at is None or session is None:
            return self.ends_at
        return max(self.ends_at, session.started_at + timedelta(minutes=self.most_minutes or 0))

    def until(self, session: Session) -> datetime | None:
        """Return when a session ends at the latest, by the portal or by AppStream."""
        return min(filter(None, [self.limit(session), session.ends_at]), default=None)

    def ended(self, because: str, *, now: datetime) -> Launch:
        """Return the launch whose session somebody else than its owner has ended. Its limit stays: a URL that was given
        before may still begin another session."""
        return self.model_copy(update={"ended_at": now, "ended_because": because})

    @property
    def stack(self) -> str:
        return self.place.partition("/")[0]

    @property
    def fleet(self) -> str:
        return self.place.partition("/")[2]


launches = Table(Launch, name="streaming_launches", key=("UserId", "Place"), indexes={"ByShelf": ("Shelf", "LookAt")})


def place(stack: str, fleet: str) -> str:
    return f"{stack}/{fleet}"


def note(launch: Launch, *, has_session: Callable[[], bool], together_with: Sequence[Any] = ()) -> None:
    """Store a launch over the one before, `together_with` other writes or not at all. A limit that was set before goes
    on for as long as the session does: whoever launches again does not begin it anew. Raises aws.Busy."""
    was: Launch | None = None
    for _ in range(_TRIES):
        new = launch
        if was and was.ends_at and has_session():
            new = launch.model_copy(update={name: getattr(was, name) for name in _LIMIT})
        try:
            return _write(new, was=was, together_with=together_with)
        except Conflict as conflict:
            if not conflict.current:
                break  # somebody was writing it all the time
            was = launches.record.model_validate(conflict.current)
    raise aws.Busy


def _write(new: Launch, *, was: Launch | None, together_with: Sequence[Any]) -> None:
    values = new.model_dump(by_alias=True, exclude_none=True)
    key = {name: values.pop(name) for name in launches.key}
    gone = [name for name in launches.attributes if name not in values and name not in key]
    sets = ", ".join(f"#{name} = :{name}" for name in values)
    removes = f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
    before = was.model_dump(by_alias=True)["EndsAt"] if was else None
    update = {
        "TableName": launches.name,
        "Key": to_item(key),
        "UpdateExpression": f"SET {sets}{removes}",
        "ConditionExpression": "#EndsAt = :before" if before else "attribute_not_exists(#EndsAt)",
        "ExpressionAttributeNames": {f"#{name}": name for name in [*values, *gone]},
        "ExpressionAttributeValues": to_item(
            {**{f":{name}": value for name, value in values.items()}, ":before": before}
        ),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    try:
        aws.client("dynamodb").transact_write_items(TransactItems=[{"Update": update}, *together_with])
    except ClientError as error:
        launches.raise_conflict(error)


def of(user_id: str, *, now: datetime | None = None) -> list[Launch]:
    """Return a person's launches that may still have a session, newest first: one Query."""
    seconds = (now or datetime.now(UTC)).timestamp()
    found = [one for one in launches.query(user_id, limit=100, consistent=True).records if one.expires_at > seconds]
    return sorted(found, key=lambda one: one.launched_at, reverse=True)


def of_many(user_ids: Iterable[str], *, stack: str, fleet: str) -> dict[str, Launch]:
    """Return people's launches on a stack and a fleet, by UserId: one call for a hundred."""
    return {one.user_id: one for one in launches.find_many((user_id, place(stack, fleet)) for user_id in user_ids)}


def due(*, now: datetime) -> Iterator[Launch]:
    """Yield launches whose sessions may have lasted as long as they may, the longest due first: one Query for each
    hundred."""
    cursor: str | None = None
    while True:
        page = launches.query(TIMED_SHELF, index="ByShelf", limit=100, newest_first=False, cursor=cursor)
        for one in page.records:
            if one.look_at is None or one.look_at > now:
                return
            yield one
        if not (cursor := page.cursor):
            return
