"""An absence: from when until when somebody is away, and who answers approvals for them meanwhile."""

from __future__ import annotations

from datetime import datetime

from portal.dynamo.table import Instant, Record, Table


class Absence(Record):
    """An item of the Absences table: a person has one at a time."""

    sub: str
    from_at: Instant
    until_at: Instant
    delegate_sub: str
    delegate_username: str
    delegate_name: str
    expires_at: int  # seconds since 1970; DynamoDB deletes it then
    # Until what waits for them has been handed over.
    shelf: str | None = None

    def covers(self, now: datetime) -> bool:
        return self.from_at <= now < self.until_at

    def is_past(self, now: datetime) -> bool:
        return self.until_at <= now


COMING_SHELF = "coming"
absences = Table(Absence, name="absences", key=("Sub",), indexes={"ByShelf": ("Shelf", "FromAt")})


def find(sub: str, *, now: datetime) -> Absence | None:
    """Return somebody's absence that is under way or to come, or None."""
    found = absences.find(sub, consistent=True)
    return None if found is None or found.is_past(now) else found


def beginning(*, now: datetime) -> list[Absence]:
    """Return the absences that have begun, and of which what waits has not been handed over: one Query."""
    found = absences.query(COMING_SHELF, index="ByShelf", limit=100, newest_first=False).records
    return [one for one in found if one.from_at <= now]


def during(sub: str, *, now: datetime) -> Absence | None:
    """Return the absence of somebody who is away now, or None."""
    found = find(sub, now=now)
    return found if found and found.covers(now) else None
