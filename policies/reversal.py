"""What undoes a finding: the tags as they were, wherever nobody changed them since."""

from __future__ import annotations

from policies.instance import DEADLINE_KEY, Act, Change, Finding, Instance, Outcome

_WRITTEN = frozenset({Outcome.DONE, Outcome.UNKNOWN})  # or perhaps written


def was_changed(finding: Finding) -> bool:
    """Tell whether something was really done to the instance."""
    return any(one.outcome in _WRITTEN for one in finding.changes) or (
        finding.act is not None and finding.act_outcome is Outcome.DONE
    )


def turned_round(did: Finding, there: Instance | None) -> Finding:
    """Return what undoes a finding's changes, given the instance as it is now; None is one that is gone."""
    undone = _about(did, did.name if there is None else there.tags.get("Name", ""))
    if did.act in (Act.STOP, Act.TERMINATE) and did.act_outcome is Outcome.DONE:
        undone.notes.append(f"The run did {did.act} it, which tags do not undo.")
    for one in did.changes:
        # A mark that is taken away stays away: the next run writes one anew, with a warning.
        if one.outcome not in _WRITTEN or (one.key == DEADLINE_KEY and one.new is None):
            continue
        now = None if there is None else there.tags.get(one.key)
        back = Change(key=one.key, old=now, new=one.old, rule_id=one.rule_id, why="as it was before the run")
        if there is None:
            back.outcome = Outcome.GONE
        elif now == one.old:
            continue  # somebody put it back
        elif now != one.new:
            back.outcome = Outcome.CHANGED
        undone.changes.append(back)
    return undone


def left_as_it_is(did: Finding) -> Finding:
    """Return what is said of an instance that could not be looked at: it failed, and can be undone another time."""
    undone = _about(did, did.name)
    for one in did.changes:
        if one.outcome in _WRITTEN:
            failed = Change(one.key, one.new, one.old, one.rule_id, "as it was before the run", Outcome.FAILED)
            failed.error = "EC2 did not describe it"
            undone.changes.append(failed)
    return undone


def _about(did: Finding, name: str) -> Finding:
    return Finding(
        instance_id=did.instance_id,
        region=did.region,
        name=name,
        created_at=did.created_at,
        tag_count=did.tag_count,
        owner=did.owner,
    )
