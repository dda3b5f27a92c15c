"""A run's findings for people: some of them as a page of the report, all of them as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from policies.instance import Act, Finding
from policies.runs import Run, all_findings, findings_page

PER_PAGE = 100
# What a page reads at most to find those that are asked for.
MOST_PAGES_READ = 20
NOTED, WITHOUT_TAGS = "noted", "act"
# What cannot be undone comes first.
_URGENT = {Act.TERMINATE: 0, Act.STOP: 1, Act.MARK: 2, Act.UNMARK: 3}


class BadPlace(ValueError):
    """The place is none of this report."""


@dataclass(frozen=True)
class Place:
    """Where a page of the report begins: which finding of which stored page."""

    page: int = 0
    index: int = 0

    def __str__(self) -> str:
        return f"{self.page}.{self.index}"

    @classmethod
    def read(cls, text: str) -> Place:
        """Raises BadPlace."""
        page, _, index = text.partition(".")
        if not (page.isascii() and page.isdigit() and index.isascii() and index.isdigit() and len(text) < 20):
            raise BadPlace(text)
        return cls(int(page), int(index))


def outcomes(one: Finding) -> set[str]:
    """Return what became of what was planned for an instance."""
    found = {str(change.outcome) for change in one.changes}
    return found | {str(one.act_outcome)} if one.act else found


def matches(outcome: str) -> Callable[[Finding], bool]:
    """Return the test of a filter: an outcome, NOTED for those that are not changed, WITHOUT_TAGS, or nothing."""
    if outcome == NOTED:
        return lambda one: not (one.changes or one.act)
    if outcome == WITHOUT_TAGS:
        return lambda one: bool(one.act) or one.is_untagged
    return lambda one: not outcome or outcome in outcomes(one)


def page(run: Run, start: Place, *, outcome: str = "") -> tuple[list[Finding], Place | None]:
    """Return some findings from a place on, and where the next page begins if there may be more."""
    is_wanted = matches(outcome)
    found: list[Finding] = []
    index = start.index
    for number in range(start.page, run.pages):
        if number - start.page == MOST_PAGES_READ:
            return found, Place(number)
        in_order = sorted(findings_page(run, number), key=_urgency)
        for at, one in enumerate(in_order[index:], index):
            if not is_wanted(one):
                continue
            if len(found) == PER_PAGE:
                return found, Place(number, at)
            found.append(one)
        index = 0
    return found, None


def _urgency(one: Finding) -> int:
    return _URGENT[one.act] if one.act else len(_URGENT)


# --- CSV --------------------------------------------------------------------------------------------------------------

COLUMNS = (
    "Instance", "Name", "Region", "Launched", "Owner", "What", "Tag key", "Was", "Becomes", "Rule", "Why", "Deadline",
    "Outcome", "Error",
)  # fmt: skip
# A spreadsheet takes what begins like this for a formula.
# Reference: https://owasp.org/www-community/attacks/CSV_Injection
_AFTER_A_SEPARATOR = re.compile(r"(?<=.)([;\t\r\n]\s*)(?=[=+\-@＝＋－＠])", re.DOTALL)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    """What csv writes to: it gives each line back."""

    def write(self, line: str) -> str:
        return line


def as_csv(run: Run) -> Iterator[str]:
    """Yield the whole report as CSV, a line for each tag, act and note. It begins with a byte order mark, without which
    Excel does not take it for UTF-8."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(COLUMNS)
    for one in all_findings(run):
        for row in rows(one):
            yield writer.writerow([harmless(cell) for cell in row])


def rows(one: Finding) -> Iterator[list[str]]:
    head = [one.instance_id, one.name, one.region, _moment(one.created_at), one.owner]
    for change in one.changes:
        what = "tag" if change.new is not None else "tag taken away"
        tail = ["", str(change.outcome), change.error]
        was, becomes = change.old or "", change.new or ""
        yield [*head, what, change.key, was, becomes, str(change.rule_id or ""), change.why, *tail]
    for lookup in one.lookups:
        yield [*head, "not known yet", lookup.key, lookup.old or "", "", str(lookup.rule_id), "", "", "", ""]
    if one.act:
        then = f"then {one.planned_act}" if one.planned_act else ""
        tail = [_moment(one.deadline) if one.deadline else "", str(one.act_outcome), one.act_error]
        yield [*head, str(one.act), "", "", "", "", then, *tail]
    for note in one.notes:
        yield [*head, "note", "", "", "", "", note, "", "", ""]


def harmless(text: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula."""
    # A semicolon ends a cell where the decimal sign is a comma.
    text = _AFTER_A_SEPARATOR.sub(r"\1'", text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def tags_in_order(run: Run) -> Iterable[tuple[str, int, int]]:
    """Return each tag key with how many have it and how many do not, the worst first."""
    counted = [(key, one.present, one.missing) for key, one in run.tags.items()]
    return sorted(counted, key=lambda one: (-one[2], one[0].casefold()))
