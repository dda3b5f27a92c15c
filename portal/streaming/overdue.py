"""Sessions that may not last longer: the portal ends them."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from portal import aws
from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.streaming import appstream, launch, launching, own
from portal.streaming.launch import Launch

# What AppStream failed at, or refused, is tried again so much later, so that it is in nobody's way.
AGAIN, MUCH_LATER = timedelta(minutes=15), timedelta(hours=6)
AFTERWARDS = timedelta(minutes=2)
log = logging.getLogger(__name__)


class _Portal:
    sub = username = "portal"


def end_all(*, now: datetime, seconds: float) -> int:
    """End what has lasted as long as it may, and return how many sessions that were. What there is no time for is due
    again the next time, and what AppStream fails at later."""
    until, ended = time.monotonic() + seconds, 0
    for one in launch.due(now=now):
        if time.monotonic() > until:
            break
        try:
            ended += _end(one, now=now)
        except Exception as error:
            log.exception("a session on %s was not ended", one.place)
            again = AGAIN if aws.is_transient(error) else MUCH_LATER
            _replace(one.model_copy(update={"look_at": now + again}), was=one)
    return ended


def _end(one: Launch, *, now: datetime) -> bool:
    session = own.session_of(one)
    limit = one.limit(session)
    if limit and limit > now:
        _replace(one.model_copy(update={"look_at": limit}), was=one)
        return False
    if session:
        with audit.act(
            "ended the session",
            by=_Portal(),
            object=launching.audit_name(one.application_id),
            object_name=one.title,
            changes=[
                audit.Change(field="whose", new=one.username),
                audit.Change(field="minutes at most", new=str(one.most_minutes)),
            ],
        ):
            appstream.end(session.session_id)
        minutes = f"{one.most_minutes} minute{'' if one.most_minutes == 1 else 's'}"
        ended = one.ended(f"after the {minutes} that it may last", now=now)
        # Once no URL that was given before can begin another one, the limit is lifted.
        _replace(ended.model_copy(update={"look_at": now + AFTERWARDS}), was=one)
        return True
    _replace(one.limited(None), was=one)
    return False


def _replace(new: Launch, *, was: Launch) -> None:
    try:
        launch.launches.replace(new, was=was)
    except Conflict:
        # They launched something meanwhile: it is due still, and the next time looks.
        log.info("a launch on %s was changed meanwhile", was.place)
    except Exception:  # what was done is done, and the others are due
        log.exception("a launch on %s was not written", was.place)
