"""Undoing a run: what stood there before is put back wherever nobody changed it since."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from policies import engine
from policies.instance import Outcome
from policies.models import TagPolicy
from policies.reversal import was_changed
from policies.runs import Kind, Run, all_findings
from portal.dynamo import audit
from portal.dynamo.admin import audit_name


class NothingToUndo(Exception):
    """The run changed no tag, or it was undone already."""


def start(run: Run, *, by: audit.Actor, now: datetime) -> Run:
    """Put the undoing of a run into the queue and return it as a run of its own. Raises NothingToUndo."""
    if not run.may_be_undone or not any(map(was_changed, all_findings(run))):
        raise NothingToUndo
    return engine.start(Kind.UNDO, by=by, now=now, undoes=run.run_id)


def would_repeat(run: Run) -> list[TagPolicy]:
    """Return the rules that changed something in the run and are still enabled: they would do it again."""
    numbers = {one.get("RuleId") for one in run.rules}
    enabled = [one for one in TagPolicy.stored() if one.enabled and not one.problems()]
    candidates = {int(one.rule_id): one for one in enabled if one.rule_id in numbers}
    stern = {number for number, one in candidates.items() if one.is_harsh}
    found: set[int] = set()
    for finding in all_findings(run):
        if found == candidates.keys():
            break
        if was_changed(finding):
            written = (one for one in finding.changes if one.outcome in (Outcome.DONE, Outcome.UNKNOWN))
            found |= {one.rule_id for one in written} & candidates.keys()
            # Marks, and what comes of them, are of all the rules together that end anything.
            found |= stern if finding.act else set()
    return [one for number, one in candidates.items() if number in found]


def switch_off(rules: Iterable[TagPolicy], *, by: audit.Actor) -> None:
    """Disable rules. Raises Conflict if somebody changes one of them at this moment."""
    for one in rules:
        one.enabled = False
        off = [audit.Change(field="enabled", old="yes", new="no")]
        entry = audit.entry(audit.CHANGED, by=by, object=audit_name(one), object_name=str(one), changes=off)
        one.save(together_with=[audit.putting(entry)])
