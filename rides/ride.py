"""A ride: what the Rides table holds one of, and what can be asked of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from portal.dynamo.table import Instant, Record, Table
from rides.rules import Place, between


class Stage(StrEnum):
    ON_THE_WAY = "on the way"
    RIDING = "riding"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Assigned(Record):
    """The unicorn as it was when it was assigned."""

    name: str = ""
    color: str = ""
    gender: str = ""


class Ride(Record):
    """A ride. The first four attributes are the published tutorial's; a ride may have no others."""

    ride_id: str
    user: str
    unicorn: Assigned
    request_time: Instant
    rider_sub: str | None = None
    request_month: str | None = None  # e.g. "2026-11", the partition of the operators' list
    unicorn_id: str | None = None
    pickup: Place | None = None
    start: Place | None = Field(default=None, alias="From")  # where the unicorn came from
    arrives_at: Instant | None = None
    ends_at: Instant | None = None
    cancelled_at: Instant | None = None

    def stage(self, now: datetime) -> Stage:
        if self.cancelled_at:
            return Stage.CANCELLED
        if self.arrives_at and now < self.arrives_at:
            return Stage.ON_THE_WAY
        if self.ends_at and now < self.ends_at:
            return Stage.RIDING
        return Stage.COMPLETED

    def eta(self, now: datetime) -> timedelta:
        """Return how long the rider still waits for the unicorn; zero once it is there, or will not come."""
        if self.arrives_at and self.stage(now) is Stage.ON_THE_WAY:
            return self.arrives_at - now
        return timedelta(0)

    def position(self, now: datetime) -> Place | None:
        """Return where the unicorn is while it serves this ride (where it was last, once it does not)."""
        if not (self.pickup and self.start and self.arrives_at):
            return self.pickup
        whole = self.arrives_at - self.request_time
        passed = min(now, self.cancelled_at or now) - self.request_time
        return between(self.start, self.pickup, passed / whole if whole else 1.0)

    def may_cancel(self, now: datetime) -> bool:
        return self.stage(now) in (Stage.ON_THE_WAY, Stage.RIDING)


rides = Table(
    Ride,
    name="rides",
    key=("RideId",),
    indexes={"ByRider": ("RiderSub", "RequestTime"), "ByMonth": ("RequestMonth", "RequestTime")},
)
