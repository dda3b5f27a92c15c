"""A run from its start to its report.

What is to be changed, and what stood there before, is stored before the first write. So whoever goes on with a run, in
the next invocation or after a crash, compares that with what is there now, and nothing that was done is lost or done
twice.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from policies import lease, queue, report
from policies.applying import apply, give_up
from policies.instance import Act
from policies.instances import Unavailable
from policies.lookup import look_up
from policies.models import TagPolicy
from policies.progress import Cancelled, Paused, Progress
from policies.reading import read
from policies.rules import Malformed, RuleBook
from policies.rules import read as read_rule
from policies.runs import Kind, Run, State, history, new, runs
from portal import aws
from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.dynamo.values import from_item
from portal.middleware import reference

log = logging.getLogger(__name__)

# Those that change what anybody else's run reads: one at a time.
WRITING = frozenset({Kind.ENFORCE, Kind.UNDO})
_STARTED = {
    Kind.ENFORCE: "started a run of the tag policies",
    Kind.PREVIEW: "previewed tag policies",
    Kind.UNDO: "undid a run of the tag policies",
}
# Whatever holds a run up is over by then.
GIVEN_UP_AFTER = timedelta(days=1)


def start(kind: Kind, *, by: audit.Actor | None, now: datetime, **facts: Any) -> Run:
    """Store a run as `begin` does and put it into the queue."""
    run = begin(kind, by=by, now=now, **facts)
    try:
        queue.send(run.run_id)
    except Exception:
        # Whoever is told that it failed must not find it done an hour later.
        drop(run.run_id, now=now, why="It could not be put into the queue.")
        raise
    return run


def begin(
    kind: Kind,
    *,
    by: audit.Actor | None,
    now: datetime,
    rules: Sequence[Mapping[str, Any]] | None = None,
    vpc_ids: Iterable[str] = (),
    **facts: Any,
) -> Run:
    """Store a run for somebody to `step` through, and return it; where there is one of this moment and suffix, that.

    `rules` are plain attributes; None means those of the table. `facts` are the run's own: most_changes, most_percent,
    undoes, suffix.
    """
    is_partial = rules is not None
    if rules is None:
        rules = [] if kind is Kind.UNDO else [from_item(one.item) for one in TagPolicy.objects.all()]
    run = new(
        kind,
        now=now,
        by_sub=by.sub if by else "",
        by_name=by.username if by else "",
        rules=rules,
        is_partial=is_partial,
        malformed=tuple(_malformed(rules)),
        vpc_ids=tuple(sorted(vpc_ids)),
        **facts,
    )
    try:
        runs.add(run)
    except Conflict:
        return runs.get(run.run_id, consistent=True)
    if by:
        audit.record(_STARTED[kind], by=by, object=audit_name(run.run_id), object_name=f"run {run.run_id}")
    return run


def cancel(run_id: str, *, by: audit.Actor) -> Run:
    """Ask for the end of a run: it stops before its next call. What it changed stays, and can be undone."""
    while True:
        run = runs.get(run_id, consistent=True)
        if run.is_over or run.cancel_asked:
            return run
        asked = run.model_copy(update={"cancel_asked": True})
        try:
            runs.replace(asked, was=run)
        except Conflict:
            continue
        audit.record(
            "cancelled a run of the tag policies", by=by, object=audit_name(run_id), object_name=f"run {run_id}"
        )
        return asked


def drop(run_id: str, *, now: datetime, why: str) -> None:
    """End a run that nobody has worked on yet, or does any more."""
    run = runs.get(run_id, consistent=True)
    state = State.CANCELLED if run.state is State.QUEUED else State.FAILED
    runs.replace(run.model_copy(update={"state": state, "finished_at": now, "problems": (*run.problems, why)}), was=run)


def unfinished(*, now: datetime) -> Run | None:
    """Return the oldest run of those that write that nobody finished, if there is one. Those of yesterday are given
    up."""
    months = 1 if now.day > 2 else 2
    for run in reversed(history(50, now=now, kinds=WRITING, months=months)):
        if run.is_over:
            continue
        if run.started_at > now - GIVEN_UP_AFTER:
            return run
        drop(run.run_id, now=now, why="Nobody could finish it within a day.")
    return None


def step(run_id: str, *, until: float, on_progress: Callable[[Run], None] | None = None) -> Run:
    """Work on a run until it is over or time.monotonic() is `until`: then it is saved, and another step goes on.

    Raises lease.Held while another run writes. What AWS fails at in passing is raised, too: step again.
    """
    run = runs.get(run_id, consistent=True)
    if run.is_over:
        return run
    with _uninterrupted(), lease.taken("write" if run.kind in WRITING else run_id) as held:
        # Who had the lease before may have finished it.
        run = runs.get(run_id, consistent=True)
        progress = Progress(run, until=until, held=held, on_progress=on_progress)
        if not run.is_over:
            _go_on(progress)
        return progress.run


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Pause the garbage collector: a run makes no circles, and looking for them takes a fifth of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _go_on(progress: Progress) -> None:
    """Do what is left of a run, or as much as there is time for."""
    run_id = progress.run.run_id
    book = RuleBook(_good(progress.run.rules), default_region=settings.AWS_REGION)
    try:
        if progress.run.state in (State.QUEUED, State.READING):
            read(progress, book)
        if progress.run.state is State.LOOKING_UP:
            look_up(progress, book)
            if progress.run.kind is Kind.PREVIEW:
                _finish(progress, State.DONE)
                return
            if why := over_the_cap(progress.run):
                progress.note(f"Stopped before anything was changed: {why}")
                _finish(progress, State.CAPPED)
                return
        apply(progress, book)
        _finish(progress, State.DONE)
    except Paused:
        log.info("run %s goes on in the next invocation", run_id)
    except Cancelled:
        _finish(progress, State.CANCELLED)
    except lease.Lost:
        log.warning("run %s is another invocation's now", run_id)
        progress.run = runs.get(run_id, consistent=True)
    except Exception as error:
        cause = error.__cause__ or error if isinstance(error, Unavailable) else error
        if aws.is_transient(cause):
            raise
        log.exception("run %s failed", run_id)
        refused = aws.refused(cause)
        progress.note(refused or f"Something broke on our side. The log has it under {reference.get()}.")
        _finish(progress, State.FAILED)
        if not refused:
            raise


def over_the_cap(run: Run) -> str:
    """Return why a run may not change as much as it would, or nothing."""
    if run.most_changes is not None and run.to_change > run.most_changes:
        return f"{run.to_change:,} instances would change, and at most {run.most_changes:,} may."
    if run.most_percent is not None and run.to_change * 100 > run.most_percent * run.read:
        share = run.to_change * 100 / run.read
        return (
            f"{run.to_change:,} of {run.read:,} instances ({share:.0f} %) would change, "
            f"and at most {run.most_percent} % may."
        )
    return ""


def _finish(progress: Progress, state: State) -> None:
    run = progress.run
    if state is not State.DONE:
        give_up(progress)
    progress.save(state=state, finished_at=datetime.now(UTC), cursor="")
    if run.kind is Kind.UNDO and run.changed:
        _mark_undone(run)
    # Whoever's instance was marked when it was launched is warned at once.
    if run.kind is Kind.ENFORCE or (run.kind is Kind.LAUNCH and Act.MARK in run.acts):
        for problem in report.publish(progress.run, (one for _, page in progress.pages() for one in page)):
            progress.note(problem)


def _mark_undone(run: Run) -> None:
    while (undone := runs.find(run.undoes, consistent=True)) and not undone.undone_by:
        try:
            runs.replace(undone.model_copy(update={"undone_by": run.run_id}), was=undone)
        except Conflict:
            continue


def _malformed(rules: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for one in rules:
        try:
            read_rule(one)
        except Malformed as malformed:
            yield str(malformed)


def _good(rules: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    for one in rules:
        try:
            yield read_rule(one)
        except Malformed:
            continue  # the run says so


def audit_name(run_id: str) -> str:
    """Return the run's name in the audit log."""
    return f"policies.policyrun/{run_id}"
