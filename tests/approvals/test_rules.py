"""What follows from the rules alone: whom a type names, what is shown, when what is due, who may answer."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.approval import Approval, ReasonDue, State, Terms
from approvals.assignment import Assignment, How
from approvals.rules import (
    MOST_FIELDS,
    MOST_VALUE,
    Malformed,
    Named,
    approver,
    facts,
    fields,
    look_at,
    may_decide,
    may_see,
    may_withdraw,
    plain,
    reminder_at,
)

JOINERS = "\u200c\u200d"
NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
TERMS = Terms(deadline_hours=48, reminder_hours=12, reminders=3)


def approval(**changes: Any) -> Approval:
    return Approval(
        **{
            "approval_id": "a" * 32,
            "state": State.OPEN,
            "type_id": "employee-promotion",
            "title": "Employee promotion",
            "terms": TERMS,
            "month": "2026-11",
            "asked_at": NOW,
            "updated_at": NOW,
            "requester_sub": "requester",
            **changes,
        }
    )


def assignment(**changes: Any) -> Assignment:
    given = {"approval_id": "a" * 32, "sub": "ana", "username": "ana", "name": "Ana", "how": How.PERSON}
    return Assignment(**{**given, "asked_at": NOW, **changes})


# --- What a type says -------------------------------------------------------------------------------------------------


def test_a_types_fields_are_lines_of_a_name_and_a_label() -> None:
    assert fields("employeeName: Employee\n\n  grade :  New grade: level  \nbare") == [
        ("employeeName", "Employee"),
        ("grade", "New grade: level"),
        ("bare", "bare"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1abc: A number first",
        ": no name",
        "a b: a space",
        f"long: {'x' * 81}",
        "twice: A\ntwice: B",
        "\n".join(f"f{n}: F" for n in range(MOST_FIELDS + 1)),
        "<b>: markup",
    ],
)
def test_what_is_no_line_of_a_field_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        fields(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("manager", Named("manager")),
        ("person:ana", Named("person", "ana")),
        ("person:ana@example.com", Named("person", "ana@example.com")),
        (" group:managers ", Named("group", "managers")),
    ],
)
def test_an_approver_is_a_manager_a_person_or_a_group(text: str, named: Named) -> None:
    assert approver(text) == named


@pytest.mark.parametrize(
    "text", ["", "ana", "person:", "group:", "role:admin", "person:a b", "manager:x", "person:a\nb"]
)
def test_what_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        approver(text)


def test_an_escalation_may_name_nobody_and_never_the_manager() -> None:
    assert approver("", is_needed=False) == Named("nobody")
    with pytest.raises(Malformed):
        approver("manager", is_needed=False, may_be_manager=False)


# --- What is shown ----------------------------------------------------------------------------------------------------


@given(st.text(max_size=500))
def test_what_anybody_wrote_is_one_line_that_can_be_seen(text: str) -> None:
    shown = plain(text, 100)
    assert len(shown) <= 100
    assert not any(unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp") for one in shown if one not in JOINERS)
    assert shown == " ".join(shown.split())


def test_a_hundred_kilobytes_are_cut() -> None:
    shown = plain("x" * 100_000)
    assert len(shown) == MOST_VALUE
    assert shown.endswith("…")


def test_text_that_turns_round_what_follows_is_left_out() -> None:
    assert plain("Ada\u202egpj.exe\r\nBcc: eve@example.com") == "Adagpj.exe Bcc: eve@example.com"


def test_the_facts_are_those_that_the_type_names_and_the_input_has() -> None:
    wanted = [("employeeName", "Employee"), ("grade", "Grade"), ("missing", "Missing")]
    shown = facts(wanted, {"employeeName": "Ada <b>", "grade": {"to": 7}, "secret": "x"})
    assert [(one.label, one.value) for one in shown] == [("Employee", "Ada <b>"), ("Grade", '{"to": 7}')]


# --- When -------------------------------------------------------------------------------------------------------------


def test_each_reminder_comes_after_twice_the_pause_of_the_one_before() -> None:
    due = [reminder_at(TERMS, asked_at=NOW, reminded=n) for n in range(4)]
    hours = [(one - NOW) / timedelta(hours=1) if one else None for one in due]
    assert hours == [12, 36, 84, None]


@given(
    asked_at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    hours=st.integers(0, 24 * 365),
    most=st.integers(0, 10),
)
def test_reminders_come_one_after_the_other_and_end(asked_at: datetime, hours: int, most: int) -> None:
    terms = Terms(deadline_hours=1, reminder_hours=hours, reminders=most)
    due = [reminder_at(terms, asked_at=asked_at, reminded=n) for n in range(most + 1)]
    assert due[-1] is None
    dates = [one for one in due if one]
    assert dates == sorted(set(dates))
    assert all(one > asked_at for one in dates)


@pytest.mark.parametrize("offset", [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-9))])
def test_a_reader_whose_clocks_change_moves_no_deadline(offset: timezone) -> None:
    # 25 October 2026, 03:00 in Berlin is 02:00 again: two days are 48 hours all the same.
    asked_at = datetime(2026, 10, 24, 12, 0, tzinfo=UTC).astimezone(offset)
    assert reminder_at(TERMS, asked_at=asked_at, reminded=0) == datetime(2026, 10, 25, 0, 0, tzinfo=UTC)


def test_an_approval_is_looked_at_when_the_first_thing_is_due() -> None:
    open_ = approval(
        heartbeat_at=NOW, deadline_at=NOW + timedelta(hours=48), next_reminder_at=NOW + timedelta(minutes=30)
    )
    assert look_at(open_) == NOW + timedelta(minutes=30)
    assert look_at(open_.model_copy(update={"next_reminder_at": None})) == NOW + timedelta(hours=1)
    late = open_.model_copy(update={"deadline_at": NOW + timedelta(minutes=5)})
    assert look_at(late) == NOW + timedelta(minutes=5)
    assert look_at(late.model_copy(update={"overdue_at": NOW})) == NOW + timedelta(minutes=30)


# --- Who --------------------------------------------------------------------------------------------------------------

NOBODY = None
TABLE = [
    # assignment, sub, groups, the approval's groups, may decide
    (assignment(), "ana", (), (), True),
    (NOBODY, "ana", (), (), False),
    (NOBODY, "ana", ("managers",), ("managers",), True),
    (NOBODY, "ana", ("others",), ("managers",), False),
    (assignment(how=How.GROUP, group="managers"), "ana", ("managers",), ("managers",), True),
    # They were in the group when it was asked, and are not any more.
    (assignment(how=How.GROUP, group="managers"), "ana", (), ("managers",), False),
    (assignment(ended_at=NOW), "ana", (), (), False),
    # Somebody else was asked instead: the group does not bring them back.
    (assignment(how=How.GROUP, group="managers", ended_at=NOW), "ana", ("managers",), ("managers",), False),
    (assignment(how=How.ESCALATION), "ana", (), (), True),
    (assignment(how=How.DELEGATE, for_name="Bo"), "ana", (), (), True),
    (assignment(how=How.OPERATOR), "ana", (), (), True),
    (assignment(how=How.REQUESTER), "ana", (), (), False),
    (assignment(sub="requester"), "requester", (), (), False),
    (assignment(sub="requester", how=How.GROUP, group="managers"), "requester", ("managers",), ("managers",), False),
    (assignment(), "", (), (), False),
]


@pytest.mark.parametrize(("one", "sub", "groups", "asked", "may"), TABLE)
def test_who_may_decide(
    one: Assignment | None, sub: str, groups: tuple[str, ...], asked: tuple[str, ...], may: bool
) -> None:
    assert may_decide(approval(groups=asked), one, sub=sub, groups=groups) is may


@pytest.mark.parametrize(("one", "sub", "groups", "asked", "may"), TABLE)
def test_whoever_may_decide_may_see(
    one: Assignment | None, sub: str, groups: tuple[str, ...], asked: tuple[str, ...], may: bool
) -> None:
    if may:
        assert may_see(approval(groups=asked), one, sub=sub, groups=groups)


def test_who_asked_for_it_sees_it_and_outsiders_do_not() -> None:
    assert may_see(approval(), None, sub="requester", groups=())
    assert not may_see(approval(), None, sub="mallory", groups=("operators",))
    assert not may_see(approval(requester_sub=None), None, sub="", groups=())
    assert not may_see(approval(), assignment(ended_at=NOW), sub="ana", groups=())


def test_only_who_asked_for_it_withdraws_and_only_while_it_is_open() -> None:
    for state, sub in product(State, ["requester", "ana", ""]):
        may = state in (State.OPEN, State.STARTING) and sub == "requester"
        assert may_withdraw(approval(state=state), sub=sub) is may


@pytest.mark.parametrize(
    ("due", "approving", "rejecting"),
    [(ReasonDue.NEVER, False, False), (ReasonDue.REJECT, False, True), (ReasonDue.ALWAYS, True, True)],
)
def test_when_a_reason_is_due(due: ReasonDue, approving: bool, rejecting: bool) -> None:
    one = approval(terms=TERMS.model_copy(update={"reason_due": due}))
    assert one.reason_is_due(State.APPROVED) is approving
    assert one.reason_is_due(State.REJECTED) is rejecting
