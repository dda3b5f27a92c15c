"""A fleet: in which state it is at a time, and how much of it is free.

No thread moves a fleet on: its state follows from what it was last told and when, so that it goes on after a restart.
Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_Fleet.html,
https://docs.aws.amazon.com/appstream2/latest/APIReference/API_ComputeCapacityStatus.html and
https://docs.aws.amazon.com/appstream2/latest/developerguide/fleet-type.html
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

STARTING, RUNNING, STOPPING, STOPPED = "STARTING", "RUNNING", "STOPPING", "STOPPED"
ALWAYS_ON, ON_DEMAND, ELASTIC = "ALWAYS_ON", "ON_DEMAND", "ELASTIC"
# What a fleet has of which nothing was said.
DEFAULTS: dict[str, Any] = {
    "FleetType": ALWAYS_ON,
    "MaxUserDurationInSeconds": 57600,
    "DisconnectTimeoutInSeconds": 900,
    "IdleDisconnectTimeoutInSeconds": 0,
    "EnableDefaultInternetAccess": False,
    "StreamView": "APP",
    "Platform": "WINDOWS",
}


@dataclass
class Fleet:
    """A fleet as it is kept. properties are the API's, told_at is of the stand-in's clock."""

    name: str
    arn: str
    created_at: float
    properties: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    is_started: bool = False
    told_at: float = 0.0
    pace_seconds: float = 0.0

    def state(self, now: float) -> str:
        is_there = now >= self.told_at + self.pace_seconds
        if self.is_started:
            return RUNNING if is_there else STARTING
        return STOPPED if is_there else STOPPING

    def tell(self, *, start: bool, now: float, pace_seconds: float) -> None:
        """Start or stop it; it takes that long."""
        self.is_started, self.told_at, self.pace_seconds = start, now, pace_seconds

    @property
    def type(self) -> str:
        return str(self.properties["FleetType"])

    @property
    def sessions_per_instance(self) -> int:
        return int(self.properties.get("MaxSessionsPerInstance") or 1)

    @property
    def is_multi_session(self) -> bool:
        return "DesiredSessions" in self.properties.get("ComputeCapacity", {})

    @property
    def desired_instances(self) -> int:
        """How many instances it is to have. Each of an elastic fleet is there as long as its session."""
        if self.type == ELASTIC:
            return int(self.properties.get("MaxConcurrentSessions") or 0)
        capacity = self.properties["ComputeCapacity"]
        if self.is_multi_session:
            return math.ceil(int(capacity["DesiredSessions"]) / self.sessions_per_instance)
        return int(capacity["DesiredInstances"])

    def described(self, now: float, instances_of_sessions: Iterable[str]) -> dict[str, Any]:
        """Return it as DescribeFleets does."""
        own = {name: value for name, value in self.properties.items() if name != "ComputeCapacity"}
        return {
            "Arn": self.arn,
            "Name": self.name,
            **own,
            "ComputeCapacityStatus": capacity(self, self.state(now), instances_of_sessions),
            "State": self.state(now),
            "CreatedTime": datetime.fromtimestamp(self.created_at, UTC),
            "FleetErrors": [],
        }


def capacity(fleet: Fleet, state: str, instances_of_sessions: Iterable[str]) -> dict[str, int]:
    """Return the ComputeCapacityStatus of a fleet in a state, with the instance that each of its sessions is on.

    Always-On instances all run; of an On-Demand or elastic fleet only those run that are streamed from. What the
    numbers of an elastic fleet are is not documented: here they are sessions.
    """
    sessions = Counter(instances_of_sessions)
    desired, in_use = fleet.desired_instances, len(sessions)
    # Sessions go on when the desired capacity becomes less than they need.
    there = max(desired, in_use) if state == RUNNING else 0
    status = {
        "Desired": desired,
        "Running": there if fleet.type == ALWAYS_ON else in_use,
        "InUse": in_use,
        "Available": there - in_use if state == RUNNING else 0,
    }
    if fleet.is_multi_session:
        slots = there * fleet.sessions_per_instance
        status |= {
            "DesiredUserSessions": desired * fleet.sessions_per_instance,
            "AvailableUserSessions": max(0, slots - sessions.total()),
            "ActiveUserSessions": sessions.total(),
            "ActualUserSessions": max(slots, sessions.total()),
            "Draining": 0,
            "DrainModeActiveUserSessions": 0,
            "DrainModeUnusedUserSessions": 0,
        }
    return status


def free_instance(fleet: Fleet, state: str, instances_of_sessions: Iterable[str], new: str) -> str | None:
    """Return the instance for another session: one that has room, or the new one if there may be one more."""
    sessions = Counter(instances_of_sessions)
    if state != RUNNING:
        return None
    limit = fleet.sessions_per_instance if fleet.is_multi_session else 1
    for instance, count in sorted(sessions.items()):
        if count < limit:
            return instance
    return new if len(sessions) < fleet.desired_instances else None
