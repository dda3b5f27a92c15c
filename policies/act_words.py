"""What a run does to instances without any tags, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.instance import Act
from policies.models import TagPolicy
from policies.rules import Untagged
from policies.runs import Kind, Run

# Each with what becomes of an instance; what cannot be undone comes first.
_BECOMES = {
    Act.TERMINATE: "be terminated now",
    Act.STOP: "be stopped now",
    Act.MARK: "be marked",
    Act.UNMARK: "no longer be marked",
}
_WAS = {Act.TERMINATE: "terminated", Act.STOP: "stopped", Act.MARK: "marked", Act.UNMARK: "no longer marked"}
_TO = {
    Act.TERMINATE: "to terminate",
    Act.STOP: "to stop",
    Act.MARK: "to mark",
    Act.UNMARK: "of which the mark goes",
}


def ends_planned(run: Run) -> int:
    """Return how many instances the run is to stop or terminate."""
    return sum(run.planned_acts.get(act, 0) for act in (Act.STOP, Act.TERMINATE))


def would_be(run: Run) -> str:
    """Say what a run of this preview would do, e.g. "1 instance would be terminated now, 2 would be marked."."""
    parts = [f"{many:,} would {_BECOMES[act]}" for act, many in _in_order(run.planned_acts)]
    if not parts:
        return ""
    number, rest = parts[0].split(" ", 1)
    return f"{number} {'instance' if number == '1' else 'instances'} {rest}{''.join(f', {one}' for one in parts[1:])}."


def summary(run: Run) -> str:
    """Say what was done and what was not, e.g. "1 terminated, 1 not terminated"."""
    if run.kind is Kind.PREVIEW:
        return ", ".join(f"{many:,} would {_BECOMES[act]}" for act, many in _in_order(run.planned_acts))
    done = [f"{many:,} {_WAS[act]}" for act, many in _in_order(run.acts)]
    left = {act: many - run.acts.get(act, 0) for act, many in run.planned_acts.items()}
    return ", ".join(
        [*done, *(f"{many:,} {f'not {_WAS[act]}' if run.is_over else _TO[act]}" for act, many in _in_order(left))]
    ).replace("not no longer", "still")


def to_understand(preview: Run | None, rules: Sequence[TagPolicy]) -> str:
    """Return what somebody must say that they understand before these rules are run, or nothing."""
    if preview is None:
        return "I understand that instances may be stopped or terminated" if any(one.is_harsh for one in rules) else ""
    ends = ends_planned(preview)
    kinds = [_WAS[act] for act in (Act.STOP, Act.TERMINATE) if preview.planned_acts.get(act)]
    return f"I understand that {ends:,} instance{' is' if ends == 1 else 's are'} {' or '.join(kinds)}" if ends else ""


def stern(rules: Sequence[TagPolicy]) -> str:
    """Say which rules end instances, e.g. "Rules 5 and 9 stop or terminate instances whose time is up", or nothing."""
    some = [one for one in rules if one.is_harsh]
    if not some:
        return ""
    does = [str(one) for one in (Untagged.STOP, Untagged.TERMINATE) if any(rule.untagged == one for rule in some)]
    *most, last = (str(one.rule_id) for one in some)
    if most:
        return f"Rules {', '.join(most)} and {last} {' or '.join(does)} instances whose time is up"
    return f"Rule {last} {does[0]}s instances whose time is up"


def _in_order(acts: Mapping[str, int]) -> list[tuple[Act, int]]:
    return [(act, acts[act]) for act in _BECOMES if acts.get(act, 0) > 0]
