"""The second part of a run: ask CloudTrail, once for all instances of a region, who launched them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from policies import answers, creators, trail
from policies.creators import Creator
from policies.instance import Act, Finding
from policies.lease import Lost
from policies.progress import Progress
from policies.rules import RuleBook
from policies.runs import Kind

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
    # How far back each region's events were read by an earlier invocation.
    read_to: dict[str, str] = json.loads(progress.run.cursor or "{}")
    for region, launched_at in wanted.items():
        found = _Answers()
        remembered = answers.of(region)
        try:
            _look_up_in(region, launched_at, remembered, read_to, found, progress)
        except Lost:
            raise  # whoever has the lease now writes
        except BaseException:
            _write(progress, book, found)
            progress.save(cursor=json.dumps(read_to))
            raise
        in_vain = _write(progress, book, found)
        _remember(region, launched_at, remembered, in_vain, progress)
    # Counted anew, since an earlier invocation may have written some pages and not the sum.
    progress.save(to_change=sum(one.will_change for _, page in progress.pages() for one in page))


def asks(finding: Finding) -> bool:
    """Tell whether it must be known who launched the instance: for a tag, or to tell them of its end."""
    is_about_its_end = finding.act in (Act.MARK, Act.STOP, Act.TERMINATE)
    return bool(finding.lookups) or (is_about_its_end and not finding.owner)


def _look_up_in(
    region: str,
    launched_at: Mapping[str, datetime],
    remembered: Mapping[str, Creator],
    read_to: dict[str, str],
    found: _Answers,
    progress: Progress,
) -> None:
    now = progress.run.started_at
    for one, at in launched_at.items():
        if one in remembered:
            found.found[one] = remembered[one]
        elif at <= now - trail.KEPT:
            found.why_not[one] = "it was launched more than 90 days ago, which is as far as CloudTrail goes back"
    missing = {one: at for one, at in launched_at.items() if one not in found.found and one not in found.why_not}
    before = datetime.fromisoformat(read_to[region]) if region in read_to else now
    try:
        while window := trail.next_window(missing.values(), before=before, now=now):
            for page in trail.launches(region, window):
                for event in page.events:
                    for instance_id, creator in creators.launches(event).items():
                        if missing.pop(instance_id, None):
                            found.found[instance_id] = creator
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
        found.why_not |= dict.fromkeys(missing, "CloudTrail did not answer; the next run asks again")
        return
    for one, at in missing.items():
        if at < now - SURE_AFTER:
            found.found[one] = Creator("", f"CloudTrail had no launch of it when asked on {now:%d %B %Y}")
        else:
            is_too_early = at > now - trail.DELAY
            again = " yet; the next run asks again" if is_too_early else ""
            found.why_not[one] = f"CloudTrail has no launch of it{again}"


def _write(progress: Progress, book: RuleBook, found: _Answers) -> dict[str, Creator]:
    """Write what was found out into the findings, and return what did not help: those instances will be asked for
    again."""
    in_vain: dict[str, Creator] = {}
    answered = found.found.keys() | found.why_not.keys()
    for number, page in progress.pages():
        told = [one for one in page if asks(one) and one.instance_id in answered]
        for one in told:
            creator, keys = found.found.get(one.instance_id), {lookup.key for lookup in one.lookups}
            book.with_creator(one, creator, why_not=found.why_not.get(one.instance_id, ""))
            if creator and not keys <= {change.key for change in one.changes}:
                in_vain[one.instance_id] = creator
        if told:
            progress.rewrite(number, page)
    return in_vain


def _remember(
    region: str,
    launched_at: Mapping[str, datetime],
    remembered: Mapping[str, Creator],
    in_vain: Mapping[str, Creator],
    progress: Progress,
) -> None:
    run = progress.run
    sees_all = run.kind is Kind.ENFORCE and not run.vpc_ids and not run.is_partial
    kept = {one: said for one, said in remembered.items() if one in launched_at or not sees_all}
    if {**kept, **in_vain} != remembered:
        answers.remember(region, {**kept, **in_vain})
