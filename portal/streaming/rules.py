"""Who a person is to AppStream, and what stands in the way of starting something: pure, and of AWS's numbers alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from portal.streaming.fleet import Fleet, FleetState, Kind, Session

EVERYBODY = "*"  # in place of a group's name

# Minutes, as AWS says: an on-demand instance starts within two; an elastic one fetches the application besides; a fleet
# that starts, or grows, prepares new instances first.
# Reference: https://docs.aws.amazon.com/appstream2/latest/developerguide/fleet-type.html
ON_DEMAND_MINUTES, ELASTIC_MINUTES, FLEET_MINUTES = 2, 2, 15


class State(StrEnum):
    """What somebody finds who wants to start an application."""

    RUNNING = "running"  # theirs: they come back to it
    READY = "ready"
    SOON = "soon"  # it can be started, and takes some minutes
    STARTING = "starting"  # it cannot be started for some minutes
    FULL = "full"
    STOPPED = "stopped"
    NOT_FOR_YOU = "not-for-you"
    FAILING = "failing"  # AppStream tries to start its fleet, and cannot
    BROKEN = "broken"  # its fleet is not there, or is not the portal's
    UNKNOWN = "unknown"  # AppStream did not answer


class Standing(NamedTuple):
    """How an application stands; about how many minutes it takes, where it takes any."""

    state: State
    minutes: int = 0

    @property
    def may_launch(self) -> bool:
        return self.state in (State.RUNNING, State.READY, State.SOON)


def user_id(sub: str) -> str:
    """Return who a person is to AppStream: 32 characters, small letters and digits, 160 bits of a hash of the sub.

    AppStream takes 2 to 32 characters of [\\w+=,.@-], and a Cognito sub has 36: cut off, two of them can be one.
    Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateStreamingURL.html
    """
    digest = hashlib.sha256(sub.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest[:20]).decode().lower()


def is_entitled(groups: Iterable[str], *, of: Iterable[str]) -> bool:
    """Tell whether somebody of these groups may start what is `of` those. What is of none is nobody's."""
    entitled = set(of)
    return EVERYBODY in entitled or not entitled.isdisjoint(groups)


def standing(fleet: Fleet | None, *, most_sessions: int = 0) -> Standing:
    """Return how an application stands whose fleet is this one, or is not there. While the fleet has `most_sessions`,
    it is full; 0 means that its room decides."""
    if fleet is None:
        return Standing(State.BROKEN)
    if fleet.state is FleetState.STARTING:
        return Standing(State.FAILING) if fleet.errors else Standing(State.STARTING, FLEET_MINUTES)
    if fleet.state is not FleetState.RUNNING:
        return Standing(State.STOPPED)
    if most_sessions and fleet.in_use >= most_sessions:
        return Standing(State.FULL)
    if fleet.free <= 0:
        more_is_coming = fleet.coming > 0 and not fleet.errors
        return Standing(State.STARTING, FLEET_MINUTES) if more_is_coming else Standing(State.FULL)
    match fleet.kind:
        case Kind.ALWAYS_ON:
            return Standing(State.READY)
        case Kind.ON_DEMAND:
            return Standing(State.SOON, ON_DEMAND_MINUTES)
        case Kind.ELASTIC:
            return Standing(State.SOON, ELASTIC_MINUTES)


def mine(sessions: Iterable[Session]) -> Session | None:
    """Return the session of one person on one stack and fleet that can be come back to, or None."""
    live = [one for one in sessions if not one.is_over]
    return max(live, key=lambda one: one.started_at, default=None)
