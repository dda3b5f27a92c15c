"""Which values a tag may have: by EC2, and by a rule."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import regex

from policies.rule import MOST_VALUE_CHARACTERS, Rule

PATTERN_SECONDS = 0.05
_MOST_SECONDS, _MOST_KNOWN = 2.0, 4096  # in all, for one rule

# EC2 answers in XML 1.0, which cannot hold these.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def refusal(value: str) -> str:
    """Say why EC2 would refuse this as a tag's value, or nothing."""
    if len(value) > MOST_VALUE_CHARACTERS:
        return f"it has {len(value)} characters, and EC2 takes {MOST_VALUE_CHARACTERS}"
    if holds_control_characters(value):
        return "it holds control characters"
    return ""


def holds_control_characters(text: str) -> bool:
    """Tell whether EC2 could not hand this out again."""
    return _CONTROL.search(text) is not None


# An escape, a set, a group's begin and end, a counted repetition, or any other character.
_PARTS = re.compile(
    r"(?P<set>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\()|(?P<close>\))|\{(?P<counts>[0-9]+,?[0-9]*|,[0-9]+)\}|.",
    re.DOTALL,
)
_MOST_STATES = 100_000


def _size(pattern: str) -> int:
    """Return about how large a pattern is once its counted repetitions are written out, which `regex` does."""
    sizes = [0]  # of each group that is open, the outermost first
    last = 0  # of what a repetition would repeat
    for part in _PARTS.finditer(pattern):
        if part["open"]:
            sizes.append(0)
            last = 0
        elif part["close"]:
            last = sizes.pop() if len(sizes) > 1 else 0
            sizes[-1] += last
        elif part["counts"]:
            times = max((int(one) for one in part["counts"].split(",") if one.strip()), default=1)
            sizes[-1] += last * (max(times, 1) - 1)
            last *= max(times, 1)
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


def compiled(pattern: str) -> regex.Pattern[str]:
    """Compile an allowed pattern. Raises ValueError with a reason."""
    if _size(pattern) > _MOST_STATES:
        raise ValueError("its repetitions are too many")
    try:
        return regex.compile(pattern, cache_pattern=False)
    except regex.error as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # `regex` raises all sorts for what it does not foresee: KeyError for \L<name>
        raise ValueError("it cannot be compiled") from error


def is_allowed(rule: Rule) -> Callable[[str], bool | None]:
    """Return a test of whether a value is allowed: where there are both a list and a pattern, either is enough. The
    test says None if the pattern took too long.

    It never takes long in all: what it said of a value is kept, and a pattern that has had its time is not asked again.
    """
    values = frozenset(rule.allowed_values)
    if not rule.allowed_pattern:
        return lambda value: not values or value in values
    pattern = compiled(rule.allowed_pattern)
    known: dict[str, bool | None] = {}
    spent = 0.0

    def test(value: str) -> bool | None:
        nonlocal spent
        if value in values:
            return True
        if value in known:
            return known[value]
        if spent > _MOST_SECONDS:
            return None
        said: bool | None
        began = time.process_time()
        try:
            said = pattern.fullmatch(value, timeout=PATTERN_SECONDS) is not None
        except (TimeoutError, MemoryError, RecursionError):
            said = None
        spent += time.process_time() - began
        if len(known) >= _MOST_KNOWN:
            known.clear()
        known[value] = said
        return said

    return test
