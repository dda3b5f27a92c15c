"""A run from its start to its report.

What is to be changed, and what stood there before, is stored before the first write. So whoever goes on with a run, in
the next invocation or after a crash, compares that with what is there now, and nothing that was done is lost or done
twice.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from policies import lease, queue, report, stored
from policies.applying import apply, give_up
from policies.instance import Act
from policies.instances import Unavailable
from policies.lookup import look_up
from policies.models import TagPolicy
from policies.progress import Cancelled, Paused, Progress
from policies.reading import read
from policies.runs import Kind, Run, State, new, open_runs, runs
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
# So many mails take some time; what is left of an invocation's may be too little for them.
TELLING_SECONDS = 150


# --- Starting and ending ----------------------------------------------------------------------------------------------


def start(kind: Kind, *, by: audit.Actor | None, now: datetime, **facts: Any) -> Run:
    """Store a run as `begin` does and put it into the queue."""
    run = begin(kind, by=by, now=now, **facts)
    try:
        queue.send(run.run_id)
    except Exception:  # whatever it was: whoever is told that it failed must not find it done an hour later
        drop(run.run_id, now=now, why="It could not be put into the queue.")
        raise
    return run


def begin(kind: Kind, *, by: audit.Actor | None, now: datetime, **facts: Any) -> Run:
    """Store a run for somebody to `step` through, and return it; where there is one of this moment and suffix, that."""
    run, _ = find_or_begin(kind, by=by, now=now, **facts)
    return run


def find_or_begin(
    kind: Kind,
    *,
    by: audit.Actor | None,
    now: datetime,
    rules: Sequence[Mapping[str, Any]] | None = None,
    vpc_ids: Iterable[str] = (),
    **facts: Any,
) -> tuple[Run, bool]:
    """Do as `begin` does, and tell whether the run is new.

    `rules` are plain attributes; None means those of the table. `facts` are the run's own: most_changes, most_percent,
    undoes, suffix, launch.
    """
    is_partial = rules is not None
    if rules is None:
        rules = [] if kind is Kind.UNDO else [from_item(one.item) for one in TagPolicy.stored()]
    run = new(
        kind,
        now=now,
        by_sub=by.sub if by else "",
        by_name=by.username if by else "",
        rules=filter(stored.is_good, rules),
        malformed=tuple(stored.malformed(rules)),
        vpc_ids=tuple(sorted(vpc_ids)),
        is_partial=is_partial,
        **facts,
    )
    told = []
    if by:
        name = audit_name(run.run_id)
        entry = audit.entry(_STARTED[kind], by=by, object=name, object_name=f"run {run.run_id}", now=now)
        told.append(audit.putting(entry))
    try:
        runs.add(run, together_with=told)
    except Conflict:
        return runs.get(run.run_id, consistent=True), False
    return run, True


def cancel(run_id: str, *, by: audit.Actor) -> Run:
    """Ask for the end of a run: it stops before its next call. What it changed stays, and can be undone."""
    while True:
        run = runs.get(run_id, consistent=True)
        if run.is_over or run.cancel_asked:
            break
        try:
            runs.replace(run.model_copy(update={"cancel_asked": True}), was=run)
        except Conflict:
            continue
        audit.record(
            "cancelled a run of the tag policies", by=by, object=audit_name(run_id), object_name=f"run {run_id}"
        )
        break
    if run.state is State.QUEUED:
        with suppress(Conflict):  # somebody has just begun to work on it
            drop(run_id, now=datetime.now(UTC), why="")
    else:
        # Where nobody is at work on it any more, somebody has to end it.
        queue.send(run_id)
    return runs.get(run_id, consistent=True)


def drop(run_id: str, *, now: datetime, why: str) -> None:
    """End a run that nobody has begun to work on."""
    run = runs.get(run_id, consistent=True)
    if run.state is State.QUEUED:
        problems = (*run.problems, why) if why else run.problems
        runs.replace(run.over(State.CANCELLED, now=now, problems=problems), was=run)


def unfinished(*, now: datetime) -> Run | None:
    """Return the oldest run of those that write that nobody finished, if there is one. What was begun yesterday is
    given up, whatever it is."""
    for run in open_runs():
        if run.started_at < now - GIVEN_UP_AFTER:
            try:
                _end(run.run_id, State.FAILED, why="Nobody could finish it within a day.")
            except lease.Held:
                continue
        elif run.kind in WRITING:
            return run
    return None


def _end(run_id: str, state: State, *, why: str = "") -> None:
    """End a run on which nobody is at work, with what it did in its record. Raises lease.Held."""
    run = runs.get(run_id, consistent=True)
    # A run of its own lease, so that one that waits for its turn need not wait to be ended.
    name = run_id if run.state is State.QUEUED else _lease_of(run)
    with lease.taken(name) as held:
        progress = Progress(runs.get(run_id, consistent=True), until=float("inf"), held=held)
        if progress.run.is_over:
            return
        if why:
            progress.note(why)
        _finish(progress, progress.run.verdict or state)


def _lease_of(run: Run) -> str:
    return "write" if run.kind in WRITING else run.run_id


# --- Working ----------------------------------------------------------------------------------------------------------


def step(run_id: str, *, until: float, on_progress: Callable[[Run], None] | None = None) -> Run:
    """Work on a run until it is over or time.monotonic() is `until`: then it is saved, and another step goes on.

    Raises lease.Held while another run writes. What AWS fails at in passing is raised, too: step again.
    """
    run = runs.get(run_id, consistent=True)
    if run.is_over:
        return run
    with _uninterrupted(), lease.taken(_lease_of(run)) as held:
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
    book = stored.book(progress.run.rules)
    try:
        if progress.run.state is State.TELLING:
            _finish(progress, progress.run.verdict or State.DONE)
            return
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
        _finish_or_pause(progress, State.CANCELLED)
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
        _finish_or_pause(progress, State.FAILED)
        if not refused:
            raise


def over_the_cap(run: Run) -> str:
    """Return why a run may not change as much as it would, or nothing."""
    ends = sum(run.planned_acts.get(act, 0) for act in (Act.STOP, Act.TERMINATE))
    if run.most_ended is not None and ends > run.most_ended:
        return f"{ends:,} instances would be stopped or terminated, and at most {run.most_ended:,} may."
    if run.most_changes is not None and run.to_change > run.most_changes:
        return f"{run.to_change:,} instances would change, and at most {run.most_changes:,} may."
    if run.most_percent is not None and run.to_change * 100 > run.most_percent * run.read:
        share = run.to_change * 100 / run.read
        return (
            f"{run.to_change:,} of {run.read:,} instances ({share:.0f} %) would change, "
            f"and at most {run.most_percent} % may."
        )
    return ""


# --- At the end -------------------------------------------------------------------------------------------------------


def _finish_or_pause(progress: Progress, state: State) -> None:
    try:
        _finish(progress, state)
    except Paused:
        log.info("run %s ends in the next invocation", progress.run.run_id)


def _finish(progress: Progress, state: State) -> None:
    """End a run, and tell of it first where anybody is to hear of it. Raises Paused where there is no time for that."""
    run = progress.run
    if run.state is not State.TELLING:
        if state is not State.DONE:
            give_up(progress)
        if not _is_told_of(progress.run):
            _close(progress, state)
            return
        # From here on it only tells: whoever goes on after a crash tells once more.
        progress.save(state=State.TELLING, verdict=state, cursor="")
        if progress.seconds_left < TELLING_SECONDS and not progress.is_from_the_start:
            raise Paused
    told = progress.run.model_copy(update={"state": state})
    found = (one for _, page in progress.pages() for one in page)
    problems = report.publish(told, found, keep=progress.hold)
    for problem in problems:
        progress.note(problem)
    _close(progress, state)


def _is_told_of(run: Run) -> bool:
    # Whoever's instance was marked when it was launched is warned at once.
    return run.kind is Kind.ENFORCE or (run.kind is Kind.LAUNCH and Act.MARK in run.acts)


def _close(progress: Progress, state: State) -> None:
    progress.become(lambda run: run.over(state, now=datetime.now(UTC)))
    run = progress.run
    if run.kind is Kind.UNDO and state is State.DONE and run.changed and not run.failed + run.unsure:
        _mark_undone(run)


def _mark_undone(run: Run) -> None:
    while (undone := runs.find(run.undoes, consistent=True)) and not undone.undone_by:
        try:
            runs.replace(undone.model_copy(update={"undone_by": run.run_id}), was=undone)
        except Conflict:
            continue


def audit_name(run_id: str) -> str:
    """Return the run's name in the audit log."""
    return f"policies.policyrun/{run_id}"
