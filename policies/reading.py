"""The first part of a run: read the instances, page by page, and store what the rules say about them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from django.conf import settings

from policies import findings, instances
from policies.creators import Creator
from policies.instance import DEADLINE_KEY, Act, Change, Finding, Instance
from policies.lookup import asks
from policies.progress import Progress
from policies.reversal import left_as_it_is, turned_round, was_changed
from policies.rules import Counts, RuleBook
from policies.runs import Launch, State, TagCount, runs

_PAUSES = (1, 2, 4, 8, 0)


def read(progress: Progress, book: RuleBook) -> None:
    """Judge every instance of the run's scope, from where it was left."""
    run = progress.run
    progress.save(state=State.READING)
    if run.undoes:
        _read_undone(progress)
    elif run.launch:
        _read_launched(progress, book, run.launch)
    else:
        _read_scope(progress, book)
    progress.save(state=State.LOOKING_UP, cursor="")


def _read_launched(progress: Progress, book: RuleBook, launch: Launch) -> None:
    """Judge the instances of a RunInstances event, which says itself who launched them."""
    _begin_again(progress)
    ids = list(launch.creators)
    there: list[Instance] = []
    for pause in _PAUSES:
        there = instances.some(launch.region, ids)
        if len(there) == len(ids):
            break
        # EC2 may take some seconds until it describes what it has just launched.
        time.sleep(pause)
    _judge(progress, book, there, cursor="", known=launch.creators)


def _read_scope(progress: Progress, book: RuleBook) -> None:
    regions = book.regions(settings.AWS_REGION)
    number, token = json.loads(progress.run.cursor or '[0, ""]')
    try:
        while number < len(regions):
            try:
                for page in instances.pages(regions[number], vpc_ids=_vpc_ids(progress, book), token=token):
                    token = page.token
                    after = [number, token] if token else [number + 1, ""]
                    _judge(progress, book, page.instances, cursor=json.dumps(after))
                    progress.check()
            except instances.Unavailable as unavailable:
                # A rule may name a region that there is not, or that the account does not use.
                if len(regions) == 1:
                    raise
                progress.note(
                    f"EC2 in {regions[number]} was not read: {unavailable}. Its instances wait for the next run."
                )
            number, token = number + 1, ""
    except instances.StaleToken:
        # The run paused for too long.
        _begin_again(progress)
        _read_scope(progress, book)


def _begin_again(progress: Progress) -> None:
    progress.save(cursor="", pages=0, read=0, matched=0, to_change=0, tags={}, planned_acts={})


def _vpc_ids(progress: Progress, book: RuleBook) -> frozenset[str] | None:
    """Return the only VPCs that matter, or None for all."""
    ours, asked = book.vpc_ids(), frozenset(progress.run.vpc_ids)
    if not asked:
        return ours
    return asked if ours is None else asked & ours


def _judge(
    progress: Progress,
    book: RuleBook,
    some: Sequence[Instance],
    *,
    cursor: str,
    known: Mapping[str, Creator | None] | None = None,
) -> None:
    """Judge instances and store what was found, together with where to go on. `known` is who launched them."""
    run = progress.run
    counts = Counts()
    found = []
    for one in some:
        finding = book.evaluate(one, now=run.started_at, counts=counts)
        if finding is not None and finding.act is Act.UNMARK and finding.is_untagged and run.is_partial:
            finding.act = None  # the rule that marked it may be one that is not looked at
        if finding is not None and not finding.is_empty:
            found.append(finding)
            _mark(finding, one, book)
            if known is not None and asks(finding):
                book.with_creator(finding, known.get(one.instance_id), why_not="its launch does not say")
    progress.save(
        pages=progress.add(found),
        cursor=cursor,
        read=run.read + len(some),
        matched=run.matched + counts.matched,
        to_change=run.to_change + sum(one.will_change for one in found),
        tags=_sums(run.tags, counts.tags),
        planned_acts=Counter(run.planned_acts) + Counter(str(one.act) for one in found if one.act),
    )


def _mark(finding: Finding, instance: Instance, book: RuleBook) -> None:
    """Let the deadline tag be a change like any other."""
    old = instance.tags.get(DEADLINE_KEY)
    if finding.act is Act.MARK and finding.planned_act and finding.deadline:
        why = "Marks it, so that its owner has time to tag it"
        finding.changes.append(Change(DEADLINE_KEY, old, book.deadline_tag(finding), 0, why))
    elif finding.act is Act.UNMARK:
        finding.changes.append(Change(DEADLINE_KEY, old, None, 0, "No rule wants an end of it any more"))


def _sums(before: Mapping[str, TagCount], counted: Mapping[str, tuple[int, int]]) -> dict[str, TagCount]:
    sums = dict(before)
    for key, (present, missing) in counted.items():
        so_far = sums.get(key, TagCount())
        sums[key] = TagCount(present=so_far.present + present, missing=so_far.missing + missing)
    return sums


def _read_undone(progress: Progress) -> None:
    """Turn round what another run did, wherever that still stands."""
    undone = runs.get(progress.run.undoes)
    for number in range(int(progress.run.cursor or 0), undone.pages):
        did = [one for one in findings.page(undone.run_id, number) if was_changed(one)]
        there: dict[str, Instance] = {}
        left: set[str] = set()
        for region in sorted({one.region for one in did}):
            ids = [one.instance_id for one in did if one.region == region]
            try:
                there |= {one.instance_id: one for one in instances.some(region, ids)}
            except instances.Unavailable as unavailable:
                left.add(region)
                progress.note(f"EC2 in {region} did not describe {len(ids):,} instances: {unavailable}.")
        turned = [
            left_as_it_is(one) if one.region in left else turned_round(one, there.get(one.instance_id)) for one in did
        ]
        run = progress.run
        progress.save(
            pages=progress.add(turned),
            cursor=str(number + 1),
            read=run.read + len(did),
            matched=run.matched + len(there),
            to_change=run.to_change + sum(one.will_change for one in turned),
        )
        progress.check()
