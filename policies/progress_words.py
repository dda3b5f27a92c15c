"""How far a run is, in words and numbers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.http import urlencode

from policies.instance import Outcome
from policies.report_table import NOTED, WITHOUT_TAGS
from policies.runs import Kind, Run, State

KINDS = {
    Kind.ENFORCE: "Run",
    Kind.PREVIEW: "Preview",
    Kind.LAUNCH: "Run for new instances",
    Kind.UNDO: "Undoing",
}
STATES = {
    State.QUEUED: "waiting for its turn",
    State.READING: "reading the instances",
    State.LOOKING_UP: "looking up in CloudTrail who launched them",
    State.APPLYING: "changing tags",
    State.TELLING: "telling the owners and operators",
    State.DONE: "finished",
    State.CAPPED: "stopped by the cap, nothing was changed",
    State.CANCELLED: "cancelled",
    State.FAILED: "failed",
}
WRITTEN = (Outcome.DONE, Outcome.FAILED, Outcome.UNKNOWN, Outcome.GONE, Outcome.CHANGED, Outcome.NOT_TRIED)
OUTCOMES = {Outcome.GONE: "vanished meanwhile"}  # the others say themselves what they are


def url_of(run_id: str, name: str = "change") -> str:
    return reverse(f"admin:policies_policyrun_{name}", args=(quote(run_id),))


def progress(run: Run, *, now: datetime) -> dict[str, Any]:
    """Return how far a run is, in words and numbers."""
    done = run.changed + run.unsure + run.failed + run.gone
    return {
        "run": run,
        "run_url": url_of(run.run_id),
        "progress_url": f"{url_of(run.run_id, 'progress')}?{urlencode({'state': run.state.name})}",
        "in_words": "stops before its next step" if run.cancel_asked and not run.is_over else STATES[run.state],
        "elapsed": duration((run.finished_at or now) - run.started_at),
        "done": min(done, run.to_change),
        "is_countable": run.state is State.APPLYING and run.to_change > 0,
    }


def duration(took: timedelta) -> str:
    """Say how long something took, e.g. "1 min 12 s"."""
    seconds = max(0, int(took.total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def outcomes_of(run: Run) -> list[tuple[str, str]]:
    """Return the filters of a run's report: each with its name."""
    planned = "Would change" if run.kind is Kind.PREVIEW else "Planned, not done"
    written = (
        [] if run.kind is Kind.PREVIEW else [(str(one), OUTCOMES.get(one, str(one)).capitalize()) for one in WRITTEN]
    )
    others = [(WITHOUT_TAGS, "Without any tags"), (NOTED, "Only noted")]
    return [("", "All"), (str(Outcome.PLANNED), planned), *written, *others]
