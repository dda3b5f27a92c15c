"""What the rules say of instances without any tags."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.creators import Creator
from policies.instance import DEADLINE_KEY, Act, Finding, Instance
from policies.rules import Counts, RuleBook, deadline_of, deadline_tag, read

NOW = datetime(2026, 11, 27, 9, 0, 0, 500_000, tzinfo=UTC)
IN_A_WEEK = datetime(2026, 12, 4, 9, 0, tzinfo=UTC)
REPORT: dict[str, Any] = {"RuleId": 1, "TagKey": "Team", "Action": "Update", "Required": "Y", "Default": "blue"}
STOP = REPORT | {"RuleId": 2, "TagKey": "Stage", "Untagged": "stop"}
TERMINATE = REPORT | {"RuleId": 3, "TagKey": "Cost", "Untagged": "terminate", "GraceDays": 14}
LOOKUP = {"RuleId": 4, "TagKey": "CreatedBy", "Action": "UserLookup", "Required": "Y"}


def instance(tags: Mapping[str, str], state: str = "running") -> Instance:
    return Instance("i-1", "eu-west-1", state, datetime(2026, 11, 1, tzinfo=UTC), tags, {"vpcId": "vpc-1a2b3c4d"})


def judge(
    tags: Mapping[str, str], *items: Mapping[str, Any], state: str = "running", now: datetime = NOW
) -> Finding | None:
    return RuleBook(read(item) for item in items).evaluate(instance(tags, state), now=now)


def mark(text: str) -> dict[str, str]:
    return {DEADLINE_KEY: text}


@pytest.mark.parametrize("tags", [{}, {"aws:autoscaling:groupName": "web"}])
def test_report_treats_it_as_any_other_and_says_so(tags: dict[str, str]) -> None:
    finding = judge(tags, REPORT, LOOKUP)
    assert finding is not None
    assert finding.is_untagged
    assert finding.act is None
    assert [change.key for change in finding.changes] == ["Team"]
    assert [lookup.key for lookup in finding.lookups] == ["CreatedBy"]
    assert finding.notes == ["It had no tags."]


def test_nothing_is_said_where_no_rule_is_for_it() -> None:
    assert judge({}, REPORT | {"VpcIds": ["vpc-ffffffff"]}, STOP | {"Regions": ["us-east-1"]}) is None
    assert judge({}) is None


@pytest.mark.parametrize(
    ("items", "act", "deadline"),
    [
        ((REPORT, STOP), Act.STOP, IN_A_WEEK),
        ((REPORT, STOP | {"GraceDays": 1}, STOP | {"RuleId": 9, "GraceDays": 3}), Act.STOP, NOW + timedelta(days=1)),
        ((STOP, TERMINATE), Act.TERMINATE, NOW + timedelta(days=14)),
        ((STOP | {"GraceDays": 1}, TERMINATE | {"Order": 9}), Act.TERMINATE, NOW + timedelta(days=14)),
        ((TERMINATE, TERMINATE | {"RuleId": 9, "GraceDays": 90}), Act.TERMINATE, NOW + timedelta(days=14)),
        ((STOP, TERMINATE | {"Enabled": "N"}), Act.STOP, IN_A_WEEK),
        ((STOP, TERMINATE | {"VpcIds": ["vpc-ffffffff"]}), Act.STOP, IN_A_WEEK),
    ],
)
def test_it_is_marked_for_the_strongest_with_its_shortest_grace(
    items: tuple[dict[str, Any], ...], act: Act, deadline: datetime
) -> None:
    finding = judge({}, *items, LOOKUP)
    assert finding is not None
    assert (finding.act, finding.planned_act) == (Act.MARK, act)
    assert finding.deadline == deadline.replace(microsecond=0)
    assert finding.changes == finding.lookups == []
    assert finding.is_untagged


@pytest.mark.parametrize(
    ("tag", "state", "act"),
    [
        ("stop 2026-12-04T09:00:00Z", "running", None),
        ("stop 2026-11-27T09:00:01Z", "running", None),
        ("stop 2026-11-27T09:00:00Z", "running", Act.STOP),
        ("stop 2026-11-26T09:00:00Z", "running", Act.STOP),
        ("stop 2026-11-26T09:00:00Z", "pending", Act.STOP),
        ("stop 2026-11-26T09:00:00Z", "stopped", None),
        ("stop 2026-11-26T09:00:00Z", "stopping", None),
        ("terminate 2026-11-26T09:00:00Z", "running", Act.MARK),
        # Over for days: nobody watched, so it begins again with a warning.
        ("stop 2026-11-24T09:00:00Z", "running", Act.MARK),
        ("stop 2026-11-24T09:00:01Z", "running", Act.STOP),
        # Beyond the grace: somebody else's.
        ("stop 2026-12-05T09:00:00Z", "running", None),
        ("stop 2026-12-06T09:00:00Z", "running", Act.MARK),
        ("stop 2026-11-26T09:00:00Z ~0123456789ab", "running", Act.MARK),
        ("", "running", Act.MARK),
        ("stop", "running", Act.MARK),
        ("Stop 2026-11-26T09:00:00Z", "running", Act.MARK),
        ("stop 2026-11-26", "running", Act.MARK),
        ("stop 2026-11-26T09:00:00", "running", Act.MARK),
        ("stop 2026-13-01T09:00:00Z", "running", Act.MARK),
        ("stop 2026-11-26T09:00:00Z ", "running", Act.MARK),
        ("stop 2026-11-26T09:00:00Z\n", "running", Act.MARK),
        ("stop \u0662\u0660\u0662\u0666-11-01T09:00:00Z", "running", Act.MARK),
        ("mark 2026-11-26T09:00:00Z", "running", Act.MARK),
        ("", "stopped", None),
    ],
)
def test_it_is_stopped_when_its_deadline_has_passed(tag: str, state: str, act: Act | None) -> None:
    finding = judge(mark(tag), REPORT, STOP, LOOKUP, state=state)
    assert finding is not None
    assert finding.act is act
    assert len(finding.notes) == 1
    assert finding.changes == finding.lookups == []
    if act is Act.MARK:
        assert finding.deadline == IN_A_WEEK


def test_the_deadline_itself_is_too_late() -> None:
    before = judge(mark("stop 2026-12-04T09:00:00Z"), STOP, now=IN_A_WEEK - timedelta(microseconds=1))
    at = judge(mark("stop 2026-12-04T09:00:00Z"), STOP, now=IN_A_WEEK)
    assert [finding and finding.act for finding in (before, at)] == [None, Act.STOP]


@pytest.mark.parametrize("state", ["running", "stopped", "stopping", "pending"])
def test_it_is_terminated_in_any_state(state: str) -> None:
    finding = judge(mark("terminate 2026-11-27T09:00:00Z"), TERMINATE, state=state)
    assert finding is not None
    assert finding.act is Act.TERMINATE


@pytest.mark.parametrize("state", ["terminated", "shutting-down"])
def test_what_is_over_is_left_alone(state: str) -> None:
    counts = Counts()
    one = instance(mark("terminate 2026-11-26T09:00:00Z"), state)
    assert RuleBook([read(TERMINATE), read(REPORT)]).evaluate(one, now=NOW, counts=counts) is None
    assert counts.matched == 0


@pytest.mark.parametrize(
    ("tags", "items"),
    [
        ({"Name": "web"}, (STOP,)),
        ({"Name": "web"}, ()),
        ({"Name": "", "aws:a": "b"}, (TERMINATE,)),
        ({}, (REPORT,)),
        ({}, (STOP | {"Enabled": "N"},)),
        ({}, (STOP | {"Regions": ["us-east-1"]},)),
        ({}, ()),
    ],
)
@pytest.mark.parametrize("tag", ["stop 2026-11-26T09:00:00Z", "stop 2027-11-01T09:00:00Z", "whatever"])
def test_the_mark_is_taken_away_where_it_means_nothing_any_more(
    tags: dict[str, str], items: tuple[dict[str, Any], ...], tag: str
) -> None:
    finding = judge(tags | mark(tag), *items)
    assert finding is not None
    assert finding.act is Act.UNMARK
    assert finding.planned_act is None


def test_taking_the_mark_away_goes_together_with_tagging() -> None:
    finding = judge({"Name": "web"} | mark("stop 2026-12-04T09:00:00Z"), REPORT, STOP)
    assert finding is not None
    assert [change.key for change in finding.changes] == ["Team", "Stage"]
    assert finding.act is Act.UNMARK


@pytest.mark.parametrize(
    ("tags", "state", "note"),
    [
        ({}, "running", "It has no tags; it is stopped 7 days from now unless it gets one (rule 2)."),
        (
            mark("stop 2026-12-01T10:30:00Z"),
            "running",
            "It has no tags; it is stopped on 2026-12-01 at 10:30 UTC unless it gets one (rule 2).",
        ),
        (
            mark("stop 2026-11-26T10:30:00Z"),
            "running",
            "It had no tags until its deadline, 2026-11-26 10:30 UTC (rule 2).",
        ),
        ({}, "stopped", "It has no tags, and is stopped already (rule 2)."),
    ],
)
def test_notes_say_when_and_by_which_rule(tags: dict[str, str], state: str, note: str) -> None:
    finding = judge(tags, STOP, state=state)
    assert finding is not None
    assert finding.notes == [note]


def test_whoever_launched_it_can_be_warned() -> None:
    rules = RuleBook([read(STOP)])
    finding = rules.evaluate(instance({}), now=NOW)
    assert finding is not None
    rules.with_creator(finding, Creator("mary", "CloudTrail"))
    assert finding.owner == "mary"
    assert not finding.changes


def test_withheld_tags_count_as_missing() -> None:
    counts = Counts()
    rules = RuleBook([read(REPORT), read(STOP), read(LOOKUP | {"Required": "N"}), read(REPORT | {"RuleId": 8})])
    rules.evaluate(instance({}), now=NOW, counts=counts)
    assert counts.matched == 1
    assert counts.tags == {"Team": (0, 1), "Stage": (0, 1)}


@given(st.sampled_from([Act.STOP, Act.TERMINATE]), st.datetimes(datetime(2000, 1, 1), datetime(9999, 1, 1)))
def test_a_mark_can_be_read_again(act: Act, deadline: datetime) -> None:
    at = deadline.replace(microsecond=0, tzinfo=UTC)
    assert deadline_of(deadline_tag(act, at)) == (act, at)


@given(st.text() | st.from_regex(r"(stop|terminate|mark) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n?", fullmatch=True))
def test_any_mark_is_read_or_is_none(text: str) -> None:
    found = deadline_of(text)
    assert found is None or deadline_tag(*found) == text


def test_a_mark_that_the_portal_did_not_seal_is_none() -> None:
    def seal(instance_id: str, text: str) -> str:
        return f"{sum(map(ord, instance_id + text)):012x}"

    book = RuleBook([read(STOP)], seal=seal)
    at = NOW - timedelta(hours=1)
    own = deadline_tag(Act.STOP, at, instance_id="i-1", seal=seal)
    for tag, act in [
        (own, Act.STOP),
        (deadline_tag(Act.STOP, at), Act.MARK),
        (deadline_tag(Act.STOP, at, instance_id="i-2", seal=seal), Act.MARK),
        (own.replace("stop 2026", "stop 2025"), Act.MARK),
    ]:
        finding = book.evaluate(instance(mark(tag)), now=NOW)
        assert finding is not None
        assert finding.act is act
