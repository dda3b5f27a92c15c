"""A person's own sessions: what runs, until when, and its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from portal import aws
from portal.accounts.models import User
from portal.dynamo import audit
from portal.streaming import appstream, launch, launching, rules
from portal.streaming.fleet import Session
from portal.streaming.launch import Launch

# How often AppStream may fail before the rest is not asked for.
MOST_FAILURES = 2
# For how long somebody is told that their session was ended.
TOLD = timedelta(days=1)


@dataclass(frozen=True)
class Own:
    """A session of the person who looks, and the launch that led to it."""

    session: Session
    launch: Launch

    @property
    def until(self) -> datetime | None:
        return self.launch.until(self.session)


@dataclass(frozen=True)
class Sessions:
    """A person's sessions, by the last launch, and launches whose session somebody else has ended; and what AppStream
    failed at, where there may be more of them: on which stacks and fleets."""

    found: list[Own]
    ended: list[Launch]
    failure: Exception | None = None
    unknown: frozenset[str] = frozenset()


def sessions(user: User) -> Sessions:
    """Return a person's sessions that are not over: one Query, and one call for each stack and fleet on which something
    that they launched may still run."""
    found, ended, unknown = [], [], set()
    failures: list[Exception] = []
    for one in launch.of(rules.user_id(user.sub)):
        unknown.add(one.place)
        if len(failures) == MOST_FAILURES:
            continue
        try:
            session = session_of(one)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            failures.append(error)
            continue
        unknown.discard(one.place)
        if session:
            found.append(Own(session, one))
        elif one.ended_at and one.ended_at > datetime.now(UTC) - TOLD:
            ended.append(one)
    return Sessions(found, ended, failures[0] if failures else None, frozenset(unknown))


def session_of(one: Launch) -> Session | None:
    """Return the session that a launch led to, if it is not over."""
    try:
        return rules.mine(appstream.sessions_of(one.user_id, stack=one.stack, fleet=one.fleet))
    except (LookupError, appstream.NotReached):
        # The stack or the fleet is gone, and its sessions with it; or it is the portal's no more.
        return None


def runs(application_id: str, place: str, *, by: User) -> bool:
    """Tell whether a person has a session that they began with an application, or that is on its stack and fleet."""
    theirs = sessions(by)
    if any(one.launch.application_id == application_id or one.launch.place == place for one in theirs.found):
        return True
    if theirs.failure:
        raise theirs.failure
    return False


def end(session_id: str, *, by: User) -> Own | None:
    """End a person's own session, and return it; None if they have no such session (any more)."""
    return _end(sessions(by), lambda one: one.session.session_id == session_id, by=by)


def end_application(application_id: str, place: str, *, by: User) -> Own | None:
    """End the session that a person began with an application, or else the one on its stack and fleet."""
    theirs = sessions(by)
    began = any(one.launch.application_id == application_id for one in theirs.found)

    def is_it(one: Own) -> bool:
        return one.launch.application_id == application_id if began else one.launch.place == place

    return _end(theirs, is_it, by=by)


def _end(theirs: Sessions, is_it: Callable[[Own], bool], *, by: User) -> Own | None:
    found = next(filter(is_it, theirs.found), None)
    if found is None:
        if theirs.failure:
            raise theirs.failure
        return None
    launched = found.launch
    with audit.act(
        "ended the session",
        by=by,
        object=launching.audit_name(launched.application_id),
        object_name=launched.title,
        changes=[audit.Change(field="stack and fleet", new=launched.place)],
    ):
        appstream.end(found.session.session_id)
    return found
