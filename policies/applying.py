"""The last part of a run: give and take the tags in as few calls as can be, then stop and terminate what is due.

What is to be done is in the findings; comparing.py holds them against what is there now.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from policies import instances, plan, stored
from policies.comparing import compare, settle
from policies.instance import DEADLINE_KEY, Act, Change, Finding, Outcome
from policies.instances import Refusal, Unavailable
from policies.lease import Lost
from policies.models import TagPolicy
from policies.progress import Progress
from policies.rules import RuleBook
from policies.runs import State
from portal.dynamo.values import from_item

# Since an instance was read, somebody may have set the very tag that is to be written, and EC2 has no conditions. So
# what was read longer ago than this is read again before anything more is written.
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
    is_done, is_unsure = False, progress.was_applying
    while not is_done:
        if progress.seconds_since_reading > FRESH_SECONDS:
            compare(progress)
        if Act.MARK in progress.run.planned_acts:
            _set_deadlines(progress, book)
        outcomes: Outcomes = defaultdict(dict)
        try:
            is_done = all(_do(region, work, outcomes, progress, book) for region, work in _left(progress).items())
        except Lost:
            raise  # whoever has the lease now writes
        except BaseException:
            _write(progress, outcomes)
            raise
        _write(progress, outcomes)
        is_unsure |= any(one.outcome is Outcome.UNKNOWN for of_one in outcomes.values() for one in of_one.values())
    if is_unsure:
        settle(progress)
    _sum_up(progress)


def give_up(progress: Progress) -> None:
    """Write down that what is still planned will not be tried, or, where it may have been, that this is not known."""
    if progress.was_applying:
        compare(progress)
    settle(progress)
    for number, page in progress.pages():
        planned = [change for one in page for change in one.changes if change.outcome is Outcome.PLANNED]
        acts = [one for one in page if one.act and one.act_outcome is Outcome.PLANNED]
        for change in planned:
            change.outcome = Outcome.NOT_TRIED
        for one in acts:
            one.act_outcome = Outcome.NOT_TRIED
        if planned or acts:
            progress.rewrite(number, page)
    _sum_up(progress)


def _set_deadlines(progress: Progress, book: RuleBook) -> None:
    """Count the days of grace from now: the owner is warned only once this is written."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number, page in progress.pages():
        marks = [one for one in page if one.act is Act.MARK and _is_planned(_mark(one))]
        for one in marks:
            one.deadline = now + timedelta(days=one.grace_days)
            _mark(one).new = book.deadline_tag(one)
        if marks:
            progress.rewrite(number, page)


def _mark(finding: Finding) -> Change:
    return next(one for one in finding.changes if one.key == DEADLINE_KEY)


def _is_planned(change: Change) -> bool:
    return change.outcome is Outcome.PLANNED


def _left(progress: Progress) -> dict[str, _Work]:
    left: dict[str, _Work] = defaultdict(_Work)
    for _, page in progress.pages():
        for one in page:
            for change in filter(_is_planned, one.changes):
                if change.new is not None:
                    left[one.region].give[one.instance_id][change.key] = change.new
                else:
                    # Only where it still has this value: EC2 sees to that.
                    left[one.region].take[one.instance_id][change.key] = change.old or ""
            if one.act in (Act.STOP, Act.TERMINATE) and one.act_outcome is Outcome.PLANNED:
                left[one.region].end[one.act].append(one.instance_id)
    return left


def _do(region: str, work: _Work, outcomes: Outcomes, progress: Progress, book: RuleBook) -> bool:
    """Do it, until all is done or what is known of it is too old. Tell whether all is done."""
    before = progress.run
    for verb, needs in ((instances.tag, work.give), (instances.untag, work.take)):
        for call in plan.calls(needs):
            progress.check()
            if outcomes and progress.seconds_since_reading > FRESH_SECONDS:
                return False
            refusals = verb(region, call.tags, call.instance_ids)
            for instance_id in call.instance_ids:
                for key in call.tags:
                    # Two calls may give an instance the same tag: it has it once one was taken.
                    if outcomes[instance_id].get(key) is not _DONE:
                        outcomes[instance_id][key] = refusals.get((instance_id, key), _DONE)
            changed = sum(_DONE in of_one.values() for of_one in outcomes.values())
            progress.save_now_and_then(changed=before.changed + changed)
    for act, ids in work.end.items():
        for start in range(0, len(ids), instances.PAGE):
            _end(region, act, ids[start : start + instances.PAGE], outcomes, progress, book)
    return True


def _end(region: str, act: Act, ids: Sequence[str], outcomes: Outcomes, progress: Progress, book: RuleBook) -> None:
    progress.check()
    try:
        due = _still_due(region, act, ids, progress, book)
    except Unavailable as unavailable:
        for instance_id in ids:
            outcomes[instance_id][act] = Refusal(Outcome.FAILED, f"EC2 did not describe it: {unavailable}")
        return
    progress.save(ending=tuple(due))
    refusals = instances.end(region, act, list(due))
    for instance_id in ids:
        came_of_it = refusals.get(instance_id, _DONE)
        outcomes[instance_id][act] = came_of_it if instance_id in due else Refusal(Outcome.CHANGED, "")
    # Before anything else: of a terminated instance nobody could tell later who did it.
    _write(progress, outcomes)
    progress.save(ending=())
    if act is Act.STOP:
        # Whoever starts it again is warned again.
        for value in set(due.values()):
            stopped = [one for one, mark in due.items() if mark == value and one not in refusals]
            instances.untag(region, {DEADLINE_KEY: value}, stopped)


def _still_due(region: str, act: Act, ids: Sequence[str], progress: Progress, book: RuleBook) -> dict[str, str]:
    """Return those that are to be ended even now, with their marks: somebody may have tagged one a moment ago, or
    switched the rule off."""
    books = [book]
    if not progress.run.is_partial:
        books.append(stored.book(from_item(one.item) for one in TagPolicy.stored()))
    due = {}
    for one in instances.some(region, ids):
        findings = [each.evaluate(one, now=progress.run.started_at) for each in books]
        if all(finding is not None and finding.act is act for finding in findings):
            due[one.instance_id] = one.tags[DEADLINE_KEY]
    return due


# --- What came of it --------------------------------------------------------------------------------------------------


def _write(progress: Progress, outcomes: Mapping[str, Mapping[str, Refusal]]) -> None:
    """Write the outcomes into the findings."""
    for number, page in progress.pages():
        told = [one for one in page if one.instance_id in outcomes]
        for one in told:
            came_of_it = outcomes[one.instance_id]
            for change in one.changes:
                if change.key in came_of_it:
                    change.outcome, change.error = came_of_it[change.key].outcome, came_of_it[change.key].error
            if one.act and one.act in came_of_it:
                one.act_outcome, one.act_error = came_of_it[one.act].outcome, came_of_it[one.act].error
        if told:
            progress.rewrite(number, page)


def _sum_up(progress: Progress) -> None:
    """Write the sums into the run."""
    sums: Counter[Outcome] = Counter()
    acts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for number, page in progress.pages():
        is_changed = False
        for one in page:
            if one.act in (Act.MARK, Act.UNMARK) and one.act_outcome is not (outcome := _mark(one).outcome):
                one.act_outcome, is_changed = outcome, True
            sums.update(_outcomes(one))
            if one.act and one.act_outcome is Outcome.DONE:
                acts[one.act] += 1
            errors.update({change.error.partition(":")[0] for change in one.changes if change.error})
        if is_changed:
            progress.rewrite(number, page)
    progress.save(
        changed=sums[Outcome.DONE],
        unsure=sums[Outcome.UNKNOWN],
        failed=sums[Outcome.FAILED],
        gone=sums[Outcome.GONE],
        acts=dict(acts),
    )
    for error, number in errors.most_common(3):
        progress.note(f"EC2 refused {number:,} instances: {error}.")


def _outcomes(finding: Finding) -> Iterable[Outcome]:
    return {change.outcome for change in finding.changes} | ({finding.act_outcome} if finding.act else set())
