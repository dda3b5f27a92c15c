"""What operators do to fleets and to other people's sessions. Each act is in the audit log before it is done."""

from __future__ import annotations

import logging
from contextlib import suppress

from django.utils import timezone

from portal import aws
from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.streaming import appstream, launching
from portal.streaming.fleet import Session
from portal.streaming.launch import Launch, launches

log = logging.getLogger(__name__)


def fleet_name(fleet: str) -> str:
    """Return a fleet's name in the audit log."""
    return f"streaming.fleet/{fleet}"


def start(fleet: str, *, by: audit.Actor) -> None:
    """Raises appstream.Changing, and LookupError where the fleet is not there."""
    with audit.act("started the fleet", by=by, object=fleet_name(fleet), object_name=fleet):
        appstream.start(fleet)


def stop(fleet: str, *, in_use: int, by: audit.Actor) -> None:
    """Stop a fleet and the sessions on it. Raises appstream.Changing, and LookupError where it is not there."""
    changes = [audit.Change(field="sessions in use", old=str(in_use))]
    with audit.act("stopped the fleet", by=by, object=fleet_name(fleet), object_name=fleet, changes=changes):
        appstream.stop(fleet)


def end(session: Session, *, launch: Launch | None, reason: str, by: audit.Actor) -> None:
    """End a session that was looked up just now; `launch` led to it, where the portal knows of one."""
    about = launching.audit_name(launch.application_id) if launch else fleet_name(session.fleet)
    changes = [
        audit.Change(field="whose", new=launch.username if launch else f"UserId {session.user_id}"),
        audit.Change(field="stack and fleet", new=f"{session.stack}/{session.fleet}"),
        audit.Change(field="reason", new=reason),
    ]
    name = launch.title if launch else session.fleet
    with audit.act("ended the session", by=by, object=about, object_name=name, changes=changes):
        appstream.end(session.session_id)
    if launch:
        # Their page of applications tells them. Where they have launched again meanwhile, there is nothing to tell.
        with suppress(Conflict):
            try:
                launches.replace(launch.ended(f"by an operator: {reason}", now=timezone.now()), was=launch)
            except Exception as error:
                # It is ended, which is what was asked for.
                if not aws.is_transient(error):
                    raise
                log.exception("whose session was ended is not told")
