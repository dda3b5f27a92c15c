"""A fleet, a stack and a session, as AppStream tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FleetState(StrEnum):
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


class Kind(StrEnum):
    ALWAYS_ON = "ALWAYS_ON"
    ON_DEMAND = "ON_DEMAND"
    ELASTIC = "ELASTIC"


@dataclass(frozen=True)
class Fleet:
    """A fleet. Its room is counted in sessions: an instance is one, unless the fleet says that it takes more."""

    name: str
    state: FleetState
    kind: Kind
    most: int  # sessions that it may have
    in_use: int
    free: int
    instance_type: str = ""
    display_name: str = ""
    view: str = "APP"  # or DESKTOP
    longest_minutes: int = 0  # of a session
    errors: tuple[str, ...] = ()

    @property
    def coming(self) -> int:
        """How much more room there will be once all its instances are prepared."""
        return max(0, self.most - self.in_use - self.free)


@dataclass(frozen=True)
class Stack:
    name: str
    display_name: str = ""
    embed_domains: tuple[str, ...] = ()  # whose pages may frame its streams


@dataclass(frozen=True)
class Session:
    """Somebody's session on a stack and a fleet."""

    session_id: str
    user_id: str
    stack: str
    fleet: str
    state: str  # ACTIVE, PENDING, EXPIRED
    is_connected: bool
    started_at: datetime
    ends_at: datetime | None  # at the latest

    @property
    def is_over(self) -> bool:
        return self.state == "EXPIRED"
