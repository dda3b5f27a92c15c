"""The last part of a run: give and take the tags in as few calls as can be, then stop and terminate what is due."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from policies import instances, plan
from policies.instance import DEADLINE_KEY, Act, Change, Finding, Instance, Outcome
from policies.instances import Refusal
from policies.lease import Lost
from policies.progress import Progress
from policies.rules import RuleBook
from policies.runs import State

# Since an instance was read, somebody may have set the very tag that is to be written, and EC2 has no conditions. So
# what was read longer ago than this is read again before anything is written.
FRESH_SECONDS = 60

_DONE = Refusal(Outcome.DONE, "")
Outcomes = dict[str, dict[str, Refusal]]  # by instance id and tag key, or act


@dataclass
class _Work:
    """What is left to do in a region: which tags to give and take, by instance, and which instances to end."""

    give: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    take: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    end: dict[Act, list[str]] = field(default_factory=lambda: defaultdict(list))


def apply(progress: Progress, book: RuleBook) -> None:
    """Do what was found to be done and is not done yet, and write down what came of it."""
    progress.save(state=State.APPLYING)
    if not progress.is_fresh(FRESH_SECONDS):
        _look_again(progress)
    outcomes: Outcomes = defaultdict(dict)
    try:
        for region, work in _left(progress).items():
            _do(region, work, outcomes, progress, book)
    except Lost:
        raise  # whoever has the lease now writes
    except BaseException:
        _write(progress, outcomes)
        raise
    _write(progress, outcomes)


def give_up(progress: Progress) -> None:
    """Write down that what is still planned will not be tried."""
    for number, page in progress.pages():
        planned = [change for one in page for change in one.changes if change.outcome is Outcome.PLANNED]
        acts = [one for one in page if one.act and one.act_outcome is Outcome.PLANNED]
        for change in planned:
            change.outcome = Outcome.NOT_TRIED
        for one in acts:
            one.act_outcome = Outcome.NOT_TRIED
        if planned or acts:
            progress.rewrite(number, page)


def _left(progress: Progress) -> dict[str, _Work]:
    left: dict[str, _Work] = defaultdict(_Work)
    for _, page in progress.pages():
        for one in page:
            for change in one.changes:
                if change.outcome is not Outcome.PLANNED:
                    continue
                if change.new is not None:
                    left[one.region].give[one.instance_id][change.key] = change.new
                else:
                    # Only where it still has this value: EC2 sees to that.
                    left[one.region].take[one.instance_id][change.key] = change.old or ""
            if one.act in (Act.STOP, Act.TERMINATE) and one.act_outcome is Outcome.PLANNED:
                left[one.region].end[one.act].append(one.instance_id)
    return left


def _do(region: str, work: _Work, outcomes: Outcomes, progress: Progress, book: RuleBook) -> None:
    for verb, needs in ((instances.tag, work.give), (instances.untag, work.take)):
        for call in plan.calls(needs):
            progress.check()
            refusals = verb(region, call.tags, call.instance_ids)
            for instance_id in call.instance_ids:
                came_of_it = dict.fromkeys(call.tags, refusals.get(instance_id, _DONE))
                # Two calls may give an instance the same tag: it has it once one was taken.
                outcomes[instance_id] |= {
                    key: one for key, one in came_of_it.items() if not _is_done(outcomes, instance_id, key)
                }
            progress.save_now_and_then(**_counts(outcomes))
    for act, ids in work.end.items():
        for start in range(0, len(ids), instances.PAGE):
            some = ids[start : start + instances.PAGE]
            progress.check()
            still = _still_due(region, act, some, progress, book)
            progress.save(ending=tuple(still))
            refusals = instances.end(region, act, still)
            for instance_id in some:
                is_due = instance_id in still
                outcomes[instance_id][act] = (
                    refusals.get(instance_id, _DONE) if is_due else Refusal(Outcome.CHANGED, "")
                )


def _is_done(outcomes: Outcomes, instance_id: str, key: str) -> bool:
    return outcomes[instance_id].get(key) is _DONE


def _still_due(region: str, act: Act, ids: Sequence[str], progress: Progress, book: RuleBook) -> list[str]:
    """Return those that are to be ended even now: somebody may have tagged them a moment ago."""
    judged = {one.instance_id: book.evaluate(one, now=progress.run.started_at) for one in instances.some(region, ids)}
    return [one for one, finding in judged.items() if finding is not None and finding.act is act]


# --- What came of it --------------------------------------------------------------------------------------------------


def _look_again(progress: Progress) -> None:
    """Compare what was planned with what is there now, and drop what somebody else has changed meanwhile."""
    for batch in _batches(progress):
        planned = [one for _, page in batch for one in page if one.will_change]
        there: dict[str, Instance] = {}
        for region in sorted({one.region for one in planned}):
            progress.check()
            ids = [one.instance_id for one in planned if one.region == region]
            there |= {one.instance_id: one for one in instances.some(region, ids)}
        for one in planned:
            for change in one.changes:
                if change.outcome is Outcome.PLANNED:
                    change.outcome = _as_it_stands(change, there.get(one.instance_id))
            if one.act in (Act.STOP, Act.TERMINATE) and one.act_outcome is Outcome.PLANNED:
                is_ours = one.instance_id in progress.run.ending
                one.act_outcome = _as_it_ended(one.act, there.get(one.instance_id), is_ours=is_ours)
        for number, page in batch:
            progress.rewrite(number, page)


def _batches(progress: Progress) -> Iterator[list[tuple[int, list[Finding]]]]:
    """Yield the pages on which anything is to be done, together as many as one call describes."""
    batch: list[tuple[int, list[Finding]]] = []
    size = 0
    for number, page in progress.pages():
        planned = sum(one.will_change for one in page)
        if batch and size + planned > instances.PAGE:
            yield batch
            batch, size = [], 0
        if planned:
            batch.append((number, page))
            size += planned
    if batch:
        yield batch


def _as_it_stands(change: Change, there: Instance | None) -> Outcome:
    if there is None:
        return Outcome.GONE
    now = there.tags.get(change.key)
    if now == change.new:
        return Outcome.DONE  # by this run, before it was interrupted
    return Outcome.PLANNED if now == change.old else Outcome.CHANGED


def _as_it_ended(act: Act, there: Instance | None, *, is_ours: bool) -> Outcome:
    """Return what became of an end that this run may have come to before it was interrupted."""
    has_ended = there is None or (act is Act.STOP and there.state in ("stopping", "stopped"))
    if is_ours and has_ended:
        return Outcome.DONE
    return Outcome.GONE if there is None else Outcome.PLANNED


def _write(progress: Progress, outcomes: Mapping[str, Mapping[str, Refusal]]) -> None:
    """Write the outcomes into the findings, and the sums into the run."""
    changed = failed = gone = 0
    acts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for number, page in progress.pages():
        for one in page:
            came_of_it = outcomes.get(one.instance_id, {})
            for change in one.changes:
                if change.key in came_of_it:
                    change.outcome, change.error = came_of_it[change.key].outcome, came_of_it[change.key].error
            if one.act and one.act in came_of_it:
                one.act_outcome, one.act_error = came_of_it[one.act].outcome, came_of_it[one.act].error
            elif one.act in (Act.MARK, Act.UNMARK):
                one.act_outcome = next(change.outcome for change in one.changes if change.key == DEADLINE_KEY)
            all_of_it = {change.outcome for change in one.changes} | ({one.act_outcome} if one.act else set())
            changed += Outcome.DONE in all_of_it
            failed += Outcome.FAILED in all_of_it
            gone += Outcome.GONE in all_of_it
            if one.act and one.act_outcome is Outcome.DONE:
                acts[one.act] += 1
            errors.update({change.error.partition(":")[0] for change in one.changes if change.error} - {""})
        if any(one.instance_id in outcomes for one in page):
            progress.rewrite(number, page)
    progress.save(changed=changed, failed=failed, gone=gone, acts=dict(acts))
    for error, number in errors.most_common(3):
        progress.note(f"EC2 refused {number:,} instances: {error}.")


def _counts(outcomes: Outcomes) -> dict[str, int]:
    kinds = Counter(kind for of_one in outcomes.values() for kind in {one.outcome for one in of_one.values()})
    return {"changed": kinds[Outcome.DONE], "failed": kinds[Outcome.FAILED], "gone": kinds[Outcome.GONE]}
