"""What is different between two versions of a text, line by line."""

from __future__ import annotations

from difflib import SequenceMatcher

CONTEXT_LINES = 3


def difference(then: str, now: str) -> list[tuple[str, str]]:
    """Return lines with what they are: "-" only then, "+" only now, " " around these, "?" how many are left out.

    It can take any time where most lines are alike: documents.workshop has a limit to it.
    """
    old, new = then.splitlines(), now.splitlines()
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    before = max(0, same - CONTEXT_LINES)
    most = min(len(old), len(new)) - same
    same = 0
    while same < most and old[-1 - same] == new[-1 - same]:
        same += 1
    after = max(0, same - CONTEXT_LINES)
    old, new = old[before : len(old) - after], new[before : len(new) - after]
    lines: list[tuple[str, str]] = []
    reached = -before  # in `old`
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT_LINES):
        lines += _left_out(group[0][1] - reached)
        for kind, from_old, to_old, from_new, to_new in group:
            if kind == "equal":
                lines += [(" ", line) for line in old[from_old:to_old]]
            else:
                lines += [("-", line) for line in old[from_old:to_old]]
                lines += [("+", line) for line in new[from_new:to_new]]
        reached = group[-1][2]
    return lines + _left_out(len(old) + after - reached) if lines else []


def _left_out(count: int) -> list[tuple[str, str]]:
    return [("?", f"{count:,} {'line' if count == 1 else 'lines'}")] if count else []
