"""What was planned, held against what is there now: who goes on with a run finds out what was done and what was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policies import instances
from policies.instance import Act, Change, Finding, Instance, Outcome
from policies.instances import Unavailable
from policies.progress import Progress

Batch = list[tuple[int, list[Finding]]]


def compare(progress: Progress) -> None:
    """Read what is still planned again: what somebody else has changed meanwhile is dropped, and what an earlier
    invocation did is done. In a region that EC2 does not describe nothing is done."""
    progress.read_again()

    def judge(one: Finding, there: Instance | None) -> None:
        for change in one.changes:
            if change.outcome is Outcome.PLANNED:
                change.outcome = _as_it_stands(change, there, is_ours=progress.was_applying)
        if one.act in (Act.STOP, Act.TERMINATE) and one.act_outcome is Outcome.PLANNED:
            one.act_outcome = _as_it_ended(one.act, there, is_ours=one.instance_id in progress.run.ending)

    def skip(one: Finding, unavailable: Unavailable) -> None:
        outcome = Outcome.UNKNOWN if progress.was_applying else Outcome.FAILED
        for change in one.changes:
            if change.outcome is Outcome.PLANNED:
                change.outcome, change.error = outcome, f"EC2 did not describe it: {unavailable}"
        if one.act in (Act.STOP, Act.TERMINATE) and one.act_outcome is Outcome.PLANNED:
            one.act_outcome, one.act_error = outcome, f"EC2 did not describe it: {unavailable}"

    _look(progress, lambda one: one.will_change, judge, skip)


def settle(progress: Progress) -> None:
    """Find out what became of the changes to which the answer was lost."""

    def judge(one: Finding, there: Instance | None) -> None:
        for change in one.changes:
            if change.outcome is Outcome.UNKNOWN:
                stands = _as_it_stands(change, there, is_ours=True)
                change.outcome = Outcome.FAILED if stands is Outcome.PLANNED else stands
                change.error = change.error if change.outcome is Outcome.FAILED else ""
        if one.act in (Act.STOP, Act.TERMINATE) and one.act_outcome is Outcome.UNKNOWN:
            ended = _as_it_ended(one.act, there, is_ours=True)
            one.act_outcome = Outcome.FAILED if ended is Outcome.PLANNED else ended

    def leave(one: Finding, unavailable: Unavailable) -> None: ...

    _look(progress, _is_unknown, judge, leave)


def _is_unknown(one: Finding) -> bool:
    return Outcome.UNKNOWN in {one.act_outcome, *(change.outcome for change in one.changes)}


def _look(
    progress: Progress,
    is_asked: Callable[[Finding], bool],
    judge: Callable[[Finding, Instance | None], None],
    skip: Callable[[Finding, Unavailable], None],
) -> None:
    """Describe the instances of findings, as many in a call as can be, and judge each by it."""
    for batch in _batches(progress, is_asked):
        asked = [one for _, page in batch for one in page if is_asked(one)]
        for region in sorted({one.region for one in asked}):
            progress.check(minds_cancelling=False)
            here = [one for one in asked if one.region == region]
            try:
                there = {one.instance_id: one for one in instances.some(region, [one.instance_id for one in here])}
            except Unavailable as unavailable:
                for one in here:
                    skip(one, unavailable)
                progress.note(f"EC2 in {region} did not describe {len(here):,} instances: {unavailable}.")
                continue
            for one in here:
                judge(one, there.get(one.instance_id))
        for number, page in batch:
            progress.rewrite(number, page)


def _batches(progress: Progress, is_asked: Callable[[Finding], bool]) -> Iterator[Batch]:
    """Yield the pages on which anything is asked for, together as many as one call describes."""
    batch: Batch = []
    size = 0
    for number, page in progress.pages():
        asked = sum(map(is_asked, page))
        if batch and size + asked > instances.PAGE:
            yield batch
            batch, size = [], 0
        if asked:
            batch.append((number, page))
            size += asked
    if batch:
        yield batch


def _as_it_stands(change: Change, there: Instance | None, *, is_ours: bool) -> Outcome:
    if there is None:
        return Outcome.GONE
    now = there.tags.get(change.key)
    if now == change.new:
        # Where this run cannot have written it, somebody else has.
        return Outcome.DONE if is_ours else Outcome.CHANGED
    return Outcome.PLANNED if now == change.old else Outcome.CHANGED


def _as_it_ended(act: Act, there: Instance | None, *, is_ours: bool) -> Outcome:
    """Return what became of an end that this run may have come to before it was interrupted."""
    has_ended = there is None or (act is Act.STOP and there.state in ("stopping", "stopped"))
    if is_ours and has_ended:
        return Outcome.DONE
    return Outcome.GONE if there is None else Outcome.PLANNED
