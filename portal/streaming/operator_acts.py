"""What operators do to fleets and to other people's sessions. Each act is in the audit log before it is done."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from portal.dynamo import audit
from portal.streaming import appstream, launching
from portal.streaming.fleet import Session
from portal.streaming.launch import Launch

log = logging.getLogger(__name__)


def fleet_name(fleet: str) -> str:
    """Return a fleet's name in the audit log."""
    return f"streaming.fleet/{fleet}"


def start(fleet: str, *, by: audit.Actor) -> None:
    """Raises appstream.Changing, and LookupError where the fleet is not there."""
    with _written_down("started the fleet", fleet_name(fleet), fleet, by):
        appstream.start(fleet)


def stop(fleet: str, *, in_use: int, by: audit.Actor) -> None:
    """Stop a fleet and the sessions on it. Raises appstream.Changing, and LookupError where it is not there."""
    changes = [audit.Change(field="sessions in use", old=str(in_use))]
    with _written_down("stopped the fleet", fleet_name(fleet), fleet, by, changes):
        appstream.stop(fleet)


def end(session: Session, *, launch: Launch | None, reason: str, by: audit.Actor) -> None:
    """End a session that was looked up just now; `launch` led to it, where the portal knows of one."""
    about = launching.audit_name(launch.application_id) if launch else fleet_name(session.fleet)
    changes = [
        audit.Change(field="whose", new=launch.username if launch else f"UserId {session.user_id}"),
        audit.Change(field="stack and fleet", new=f"{session.stack}/{session.fleet}"),
        audit.Change(field="reason", new=reason),
    ]
    with _written_down("ended the session", about, launch.title if launch else session.fleet, by, changes):
        appstream.end(session.session_id)


@contextmanager
def _written_down(
    action: str, about: str, name: str, by: audit.Actor, changes: Iterable[audit.Change] = ()
) -> Iterator[None]:
    """Write an act down, do it, and write down as well where it failed or nobody knows whether it did."""
    audit.record(action, by=by, object=about, object_name=name, changes=changes)
    try:
        yield
    except Exception:
        try:
            audit.record(f"{action}, which failed", by=by, object=about, object_name=name)
        except Exception:  # what the act failed with is what is to be said
            log.exception("that it failed was not written down: %s, %s", action, about)
        raise
