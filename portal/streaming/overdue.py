"""Sessions that may not last longer: the portal ends them."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.streaming import appstream, launch, launching, rules
from portal.streaming.launch import Launch

log = logging.getLogger(__name__)


class _Portal:
    sub = username = "portal"


def end_all(*, now: datetime, seconds: float) -> int:
    """End what has lasted as long as it may, and return how many sessions that were. What there is no time for, or what
    AppStream fails at, is due again the next time."""
    until, ended = time.monotonic() + seconds, 0
    for one in launch.due(now=now):
        if time.monotonic() > until:
            break
        try:
            ended += _end(one, now=now)
        except Exception:
            # The others' time is up, too.
            log.exception("a session on %s was not ended", one.place)
    return ended


def _end(one: Launch, *, now: datetime) -> bool:
    try:
        session = rules.mine(appstream.sessions(one.stack, one.fleet, user_id=one.user_id).sessions)
    except LookupError:
        session = None
    limit = timedelta(minutes=one.most_minutes or 0)
    is_over = bool(session) and session is not None and session.started_at + limit <= now
    if session and not is_over:
        _look_again(one, one.model_copy(update={"look_at": session.started_at + limit}))
        return False
    if session:
        audit.record(
            "ended the session",
            by=_Portal(),
            object=launching.audit_name(one.application_id),
            object_name=one.title,
            changes=[
                audit.Change(field="whose", new=one.username),
                audit.Change(field="minutes at most", new=str(one.most_minutes)),
            ],
        )
        appstream.end(session.session_id)
    _look_again(one, one.model_copy(update={"look_at": None, "shelf": None, "most_minutes": None}))
    return is_over


def _look_again(was: Launch, new: Launch) -> None:
    try:
        launch.launches.replace(new, was=was)
    except Conflict:
        # They launched something meanwhile: it is due still, and the next time looks.
        log.info("a launch on %s was changed meanwhile", was.place)
