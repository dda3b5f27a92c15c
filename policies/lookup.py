"""The second part of a run: ask CloudTrail, once for all instances of a region, who launched them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from policies import creators, trail, unknown
from policies.creators import Creator
from policies.instance import Act, Finding
from policies.progress import Progress
from policies.rules import RuleBook

# By then CloudTrail has every event of a launch, and one that it does not know will not come.
SURE_AFTER = timedelta(days=1)


@dataclass
class _Answers:
    """Who launched which instance, or why that is not known."""

    found: dict[str, Creator | None] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)


def look_up(progress: Progress, book: RuleBook) -> None:
    """Find out who launched the instances of which that must be known, and write it into the findings.

    Where CloudTrail does not answer, the run goes on without and says so.
    """
    if not book.needs_creators:
        return
    wanted: dict[str, dict[str, datetime]] = defaultdict(dict)
    for _, page in progress.pages():
        for one in page:
            if asks(one):
                wanted[one.region][one.instance_id] = one.created_at
    if wanted:
        answers = _Answers()
        # How far back each region's events were read by an earlier invocation.
        read_to: dict[str, str] = json.loads(progress.run.cursor or "{}")
        try:
            for region, launched_at in wanted.items():
                _look_up_in(region, launched_at, read_to, answers, progress)
        except BaseException:
            _write(progress, book, answers)
            progress.save(cursor=json.dumps(read_to))
            raise
        _write(progress, book, answers)


def asks(finding: Finding) -> bool:
    """Tell whether it must be known who launched the instance: for a tag, or to warn them of its end."""
    return bool(finding.lookups) or (finding.act is Act.MARK and not finding.owner)


def _look_up_in(
    region: str, launched_at: Mapping[str, datetime], read_to: dict[str, str], answers: _Answers, progress: Progress
) -> None:
    now = progress.run.started_at
    in_vain = unknown.of(region)
    for one, at in launched_at.items():
        if at <= now - trail.KEPT:
            answers.why_not[one] = "it was launched more than 90 days ago, which is as far as CloudTrail goes back"
        elif one in in_vain:
            answers.why_not[one] = f"CloudTrail had no launch of it when asked on {in_vain[one]}"
    missing = {one: at for one, at in launched_at.items() if one not in answers.why_not}
    before = datetime.fromisoformat(read_to[region]) if region in read_to else now
    try:
        while window := trail.next_window(missing.values(), before=before, now=now):
            for page in trail.launches(region, window):
                for event in page.events:
                    for instance_id, creator in creators.launches(event).items():
                        if missing.pop(instance_id, None):
                            answers.found[instance_id] = creator
                before = page.until
                read_to[region] = before.isoformat()
                progress.check()
                if not any(trail.is_within_reach(at, before=before) for at in missing.values()):
                    break
    except trail.Unavailable as unavailable:
        progress.note(
            f"CloudTrail in {region} did not answer ({unavailable}). Who launched {len(missing):,} of the instances is "
            "for the next run to find out."
        )
        answers.why_not |= dict.fromkeys(missing, "CloudTrail did not answer; the next run asks again")
        return
    for one, at in missing.items():
        is_too_early = at > now - trail.DELAY
        answers.why_not[one] = (
            f"CloudTrail has no launch of it{' yet; the next run asks again' if is_too_early else ''}"
        )
    for_good = {one: f"{now:%d %B %Y}" for one, at in missing.items() if at < now - SURE_AFTER}
    still = {one: day for one, day in in_vain.items() if one in launched_at}
    if for_good or still != in_vain:
        unknown.remember(region, {**still, **for_good})


def _write(progress: Progress, book: RuleBook, answers: _Answers) -> None:
    """Write what was found out into the findings."""
    more = 0
    for number, page in progress.pages():
        told = [one for one in page if one.instance_id in answers.found or one.instance_id in answers.why_not]
        for one in told:
            before = one.will_change
            why_not = answers.why_not.get(one.instance_id, "")
            book.with_creator(one, answers.found.get(one.instance_id), why_not=why_not)
            more += one.will_change and not before
        if told:
            progress.rewrite(number, page)
    if more:
        progress.save(to_change=progress.run.to_change + more)
