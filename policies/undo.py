"""Undoing a run: what stood there before is put back wherever nobody changed it since."""

from __future__ import annotations

from datetime import datetime

from policies import engine
from policies.runs import Kind, Run
from portal.dynamo import audit


class NothingToUndo(Exception):
    """The run changed no tag, or it was undone already."""


def start(run: Run, *, by: audit.Actor, now: datetime) -> Run:
    """Put the undoing of a run into the queue and return it as a run of its own. Raises NothingToUndo."""
    if not run.is_over or run.kind is Kind.PREVIEW or run.undone_by or not run.changed:
        raise NothingToUndo
    return engine.start(Kind.UNDO, by=by, now=now, undoes=run.run_id)
