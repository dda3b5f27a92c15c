"""A person's own sessions: what runs, until when, and its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.accounts.models import User
from portal.dynamo import audit
from portal.streaming import appstream, launch, launching, rules
from portal.streaming.fleet import Session
from portal.streaming.launch import Launch


@dataclass(frozen=True)
class Own:
    """A session of the person who looks, and the launch that led to it."""

    session: Session
    launch: Launch

    @property
    def until(self) -> datetime | None:
        return self.session.until(self.launch.most_minutes)


def sessions(user: User) -> list[Own]:
    """Return a person's sessions that are not over, by the last launch: one Query, and one call for each stack and
    fleet on which they launched something lately."""
    launched = launch.of(rules.user_id(user.sub))
    return [Own(session, one) for one in launched if (session := _session(one))]


def end(session_id: str, *, by: User) -> Own | None:
    """End a person's own session, and return it; None if they have no such session (any more)."""
    found = next((one for one in sessions(by) if one.session.session_id == session_id), None)
    if found:
        launched = found.launch
        audit.record(
            "ended the session",
            by=by,
            object=launching.audit_name(launched.application_id),
            object_name=launched.title,
            changes=[audit.Change(field="stack and fleet", new=launched.place)],
        )
        appstream.end(session_id)
    return found


def _session(one: Launch) -> Session | None:
    try:
        return rules.mine(appstream.sessions(one.stack, one.fleet, user_id=one.user_id).sessions)
    except (LookupError, appstream.NotReached):
        # The stack or the fleet is gone and its sessions with it, or it is not the portal's any more.
        return None
