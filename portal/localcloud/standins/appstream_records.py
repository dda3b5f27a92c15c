"""Everything that the stand-in for AppStream remembers, and the clock that it goes by."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from portal.localcloud.standins.appstream_fleets import Fleet
from portal.localcloud.standins.appstream_sessions import EXPIRED, Session, StreamingUrl

# How long it is remembered that a URL has been, to say so to whoever opens it.
URL_REMEMBERED_SECONDS = 30 * 86400


@dataclass
class Stack:
    """A stack as it is kept: properties are the API's."""

    name: str
    arn: str
    created_at: float
    properties: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Inventory:
    """Fleets and stacks, and which fleet is associated with which stack, by their names in this order."""

    fleets: dict[str, Fleet] = field(default_factory=dict)
    stacks: dict[str, Stack] = field(default_factory=dict)
    associations: set[tuple[str, str]] = field(default_factory=set)

    def resources(self) -> list[Fleet | Stack]:
        """Return what has an ARN."""
        return [*self.fleets.values(), *self.stacks.values()]

    def as_json(self) -> dict[str, Any]:
        return {
            "fleets": [asdict(one) for one in self.fleets.values()],
            "stacks": [asdict(one) for one in self.stacks.values()],
            "associations": sorted(self.associations),
        }

    def load(self, content: dict[str, Any]) -> None:
        """Take over what as_json gave."""
        self.fleets = {one["name"]: Fleet(**one) for one in content["fleets"]}
        self.stacks = {one["name"]: Stack(**one) for one in content["stacks"]}
        self.associations = {(fleet, stack) for fleet, stack in content["associations"]}


@dataclass
class Region(Inventory):
    """What one account has in one region. planned is what CloudFormation made of it, as it made it."""

    sessions: dict[str, Session] = field(default_factory=dict)
    urls: dict[str, StreamingUrl] = field(default_factory=dict)
    planned: Inventory = field(default_factory=Inventory)

    def live_sessions(self, fleet: str, now: float, stack: str = "") -> list[Session]:
        """Return the sessions of a fleet, or of one stack of it, that are not over."""
        return [
            one
            for one in self.sessions.values()
            if one.fleet == fleet and one.stack == (stack or one.stack) and one.state(now) != EXPIRED
        ]

    def instances(self, fleet: str, now: float) -> list[str]:
        """Return the instance of each session of a fleet."""
        return [one.instance_id for one in self.live_sessions(fleet, now)]

    def end_sessions(self, fleet: str, now: float, stack: str = "") -> None:
        for session in self.live_sessions(fleet, now, stack):
            session.ended_at = now

    def forget_the_past(self, now: float) -> None:
        """Forget the sessions that are over and the URLs that nobody will open any more."""
        self.sessions = {name: one for name, one in self.sessions.items() if one.state(now) != EXPIRED}
        self.urls = {name: one for name, one in self.urls.items() if now < one.expires_at + URL_REMEMBERED_SECONDS}

    def reset(self) -> None:
        """Be as CloudFormation made it, with every fleet stopped."""
        self.sessions, self.urls = {}, {}
        super().load(self.planned.as_json())

    def as_json(self) -> dict[str, Any]:
        return {
            **super().as_json(),
            "sessions": [asdict(one) for one in self.sessions.values()],
            "urls": {name: asdict(one) for name, one in self.urls.items()},
            "planned": self.planned.as_json(),
        }

    def load(self, content: dict[str, Any]) -> None:
        super().load(content)
        self.sessions = {one["id"]: Session(**one) for one in content["sessions"]}
        self.urls = {name: StreamingUrl(**one) for name, one in content["urls"].items()}
        self.planned.load(content["planned"])


class Records:
    """All regions. Whoever reads or changes them holds the lock: calls, pages and CloudFormation come on threads."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.lock = threading.RLock()
        self.fleet_start_seconds = 0.0
        self.session_start_seconds = 0.0
        self.elapsed_seconds = 0.0
        self.on_change = on_change
        self._regions: dict[tuple[str, str], Region] = {}

    def now(self) -> float:
        return time.time() + self.elapsed_seconds

    def region(self, account: str, region: str) -> Region:
        return self._regions.setdefault((account, region), Region())

    def regions(self) -> list[Region]:
        return list(self._regions.values())

    def forget(self) -> None:
        """Forget what CloudFormation did not make, and let what it made be as it made it."""
        with self.lock:
            self.fleet_start_seconds = self.session_start_seconds = self.elapsed_seconds = 0.0
            for region in self._regions.values():
                region.reset()
        self.on_change()

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._regions.clear()
            self.forget()

    def as_json(self) -> dict[str, Any]:
        with self.lock:
            return {
                "fleet_start_seconds": self.fleet_start_seconds,
                "session_start_seconds": self.session_start_seconds,
                "elapsed_seconds": self.elapsed_seconds,
                "regions": [[*names, region.as_json()] for names, region in self._regions.items()],
            }

    def load(self, content: dict[str, Any]) -> None:
        """Take over what as_json gave."""
        with self.lock:
            self.fleet_start_seconds = content["fleet_start_seconds"]
            self.session_start_seconds = content["session_start_seconds"]
            self.elapsed_seconds = content["elapsed_seconds"]
            self._regions.clear()
            for account, region, one in content["regions"]:
                self.region(account, region).load(one)
