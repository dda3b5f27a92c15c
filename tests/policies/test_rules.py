from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.creators import Creator
from policies.instance import DEADLINE_KEY, Act, Finding, Instance
from policies.rules import Counts, RuleBook, deadline_tag, read

NOW = datetime(2026, 11, 27, 9, 0, 0, 500_000, tzinfo=UTC)
VPC = "vpc-0a1b2c3d4e5f67890"
UPDATE: dict[str, Any] = {"RuleId": 1, "TagKey": "Team", "Action": "Update", "Required": "Y", "Default": "blue"}
LOOKUP: dict[str, Any] = {"RuleId": 2, "TagKey": "CreatedBy", "Action": "UserLookup", "Required": "Y"}
ENDS: dict[str, Any] = {
    "RuleId": 3,
    "TagKey": "Ends",
    "Action": "Function",
    "Required": "Y",
    "Default": "today()+30d",
}
MARY = Creator("mary@example.com", "CloudTrail: RunInstances by user mary@example.com")
ENOUGH = {"Name": "web-1"}


def instance(
    tags: Mapping[str, str] = ENOUGH, *, state: str = "running", region: str = "eu-west-1", **of: str
) -> Instance:
    return Instance("i-1", region, state, datetime(2026, 11, 1, tzinfo=UTC), tags, {"vpcId": VPC} | of)


def book(*items: Mapping[str, Any]) -> RuleBook:
    return RuleBook(read(item) for item in items)


def judge(one: Instance, *items: Mapping[str, Any]) -> Finding:
    finding = book(*items).evaluate(one, now=NOW)
    return finding or Finding(one.instance_id, one.region, "", one.created_at, 0)


def changes(finding: Finding) -> dict[str, tuple[str | None, str | None]]:
    return {change.key: (change.old, change.new) for change in finding.changes}


# --- Missing, empty and standing values -------------------------------------------------------------------------------


@pytest.mark.parametrize("required", ["Y", "N"])
@pytest.mark.parametrize("old", [None, "", "  ", "\u3000\t", "red", " x ", "😀" * 256, "=cmd", "\u200b"])
@pytest.mark.parametrize(("item", "new"), [(UPDATE, "blue"), (ENDS, "2026-12-27"), (LOOKUP, MARY.name)])
def test_missing_is_created_if_required_empty_is_filled_and_the_rest_left(
    item: dict[str, Any], new: str, old: str | None, required: str
) -> None:
    key = item["TagKey"]
    tags = ENOUGH if old is None else ENOUGH | {key: old}
    rules = book(item | {"Required": required})
    finding = rules.evaluate(instance(tags), now=NOW)
    if (required == "Y") if old is None else not old.strip():
        assert finding is not None
        rules.with_creator(finding, MARY)
        assert changes(finding) == {key: (old, new)}
        assert finding.notes == finding.lookups == []
    else:
        assert finding is None


def test_the_reason_names_the_rule_and_the_function() -> None:
    finding = judge(instance(ENOUGH | {"team": "red", "Ends": ""}), UPDATE, ENDS)
    assert [change.why for change in finding.changes] == [
        "Missing (it has team, which is another tag); rule 1 requires it",
        "Empty; rule 3 fills it with today()+30d",
    ]
    assert [change.rule_id for change in finding.changes] == [1, 3]


def test_keys_that_differ_in_case_are_different_tags() -> None:
    lower = UPDATE | {"RuleId": 9, "TagKey": "team", "Default": "green"}
    assert changes(judge(instance(ENOUGH | {"TEAM": "x"}), UPDATE, lower)) == {
        "Team": (None, "blue"),
        "team": (None, "green"),
    }


def test_a_default_is_never_formatted() -> None:
    for text in ("{0.__class__}", "%s", "today()", "{instance}"):
        assert changes(judge(instance(), UPDATE | {"Default": text})) == {"Team": (None, text)}


@pytest.mark.parametrize(
    ("constraint", "old", "notes"),
    [
        ({"AllowedValues": ["blue", "red"]}, "red", []),
        ({"AllowedValues": ["blue", "red"]}, "Red", ["Team: “Red” is not allowed (rule 1)."]),
        ({"AllowedPattern": "[a-z]+"}, "red", []),
        ({"AllowedPattern": "[a-z]+"}, "<b>", ["Team: “<b>” is not allowed (rule 1)."]),
    ],
)
@pytest.mark.parametrize("required", ["Y", "N"])
def test_a_value_that_stands_but_is_not_allowed_is_reported_only(
    constraint: dict[str, Any], old: str, notes: list[str], required: str
) -> None:
    finding = judge(instance(ENOUGH | {"Team": old}), UPDATE | constraint | {"Required": required})
    assert finding.notes == notes
    assert not finding.will_change


def test_a_pattern_that_takes_too_long_is_noted() -> None:
    slow = UPDATE | {"AllowedValues": ["blue"], "AllowedPattern": "(a|aa)+$"}
    finding = judge(instance(ENOUGH | {"Team": "a" * 250 + "!"}), slow)
    [note] = finding.notes
    assert note.endswith("!” was not checked: the pattern took too long (rule 1).")


@pytest.mark.parametrize(
    ("item", "tags", "note"),
    [
        (ENDS | {"AllowedValues": ["never"]}, {}, "Ends: the new value “2026-12-27” is not allowed (rule 3)."),
        (ENDS | {"Default": "tag(Owner)"}, {}, "Ends: no value: the instance has no tag Owner (rule 3)."),
        (ENDS | {"Default": "tag(Owner)"}, {"Owner": " "}, "Ends: no value: its tag Owner is empty (rule 3)."),
        (ENDS | {"Default": "instance(keyName)"}, {}, "Ends: no value: the instance has no keyName (rule 3)."),
    ],
)
def test_a_value_that_cannot_be_is_not_written(item: dict[str, Any], tags: dict[str, str], note: str) -> None:
    finding = judge(instance(ENOUGH | tags), item)
    assert finding.notes == [note]
    assert not finding.will_change


def test_a_value_that_is_too_long_is_not_written() -> None:
    finding = judge(instance(platformDetails="x" * 257), ENDS | {"Default": "instance(platformDetails)"})
    assert finding.notes == ["Ends: the new value is not possible: it has 257 characters, and EC2 takes 256 (rule 3)."]
    assert judge(instance(ENOUGH | {"Team": "😀" * 256}), ENDS | {"Default": "tag(Team)"}).will_change


# --- Several rules ----------------------------------------------------------------------------------------------------


def test_the_first_rule_in_scope_decides_by_order_and_then_by_number() -> None:
    late = UPDATE | {"RuleId": 0, "Order": 5, "Default": "late"}
    elsewhere = UPDATE | {"RuleId": 4, "Order": -1, "Default": "elsewhere", "VpcIds": ["vpc-1a2b3c4d"]}
    off = UPDATE | {"RuleId": 5, "Order": -2, "Default": "off", "Enabled": "N"}
    later = UPDATE | {"RuleId": 8, "Default": "later"}
    assert changes(judge(instance(), late, later, off, elsewhere, UPDATE)) == {"Team": (None, "blue")}


def test_the_first_rule_decides_even_if_it_does_nothing() -> None:
    modest = UPDATE | {"RuleId": 0, "Required": "N"}
    assert not judge(instance(), modest, UPDATE).will_change


def test_a_function_sees_what_earlier_rules_gave() -> None:
    copy = ENDS | {"Default": "tag(Team)"}
    one = instance(ENOUGH | {"Team": ""})
    assert changes(judge(one, UPDATE, copy)) == {"Team": ("", "blue"), "Ends": (None, "blue")}
    assert judge(one, UPDATE | {"Order": 1}, copy).notes == ["Ends: no value: its tag Team is empty (rule 3)."]
    assert one.tags == ENOUGH | {"Team": ""}


def test_a_function_of_what_is_looked_up_waits() -> None:
    finding = judge(instance(), LOOKUP, ENDS | {"Default": "tag(CreatedBy)"})
    assert finding.notes == ["Ends: waits for CreatedBy, which is looked up first (rule 3)."]


def test_the_rules_regions_and_vpcs_are_joined() -> None:
    abroad = UPDATE | {"RuleId": 4, "Regions": ["us-east-1", "eu-west-1"], "VpcIds": [VPC]}
    near = UPDATE | {"RuleId": 5, "VpcIds": ["vpc-1a2b3c4d"]}
    assert book(abroad).regions("eu-central-1") == ["eu-west-1", "us-east-1"]
    assert book(abroad, UPDATE).regions("eu-central-1") == ["eu-central-1", "eu-west-1", "us-east-1"]
    assert book(abroad, near).vpc_ids() == {VPC, "vpc-1a2b3c4d"}
    assert book(abroad, UPDATE).vpc_ids() is None
    assert book().regions("eu-central-1") == []


def test_a_rule_without_regions_stays_in_the_default_one() -> None:
    abroad = LOOKUP | {"Regions": ["us-east-1"]}
    rules = RuleBook([read(UPDATE), read(abroad)], default_region="eu-west-1")
    finding = rules.evaluate(instance(region="us-east-1"), now=NOW)
    assert finding is not None
    assert [one.key for one in finding.lookups] == ["CreatedBy"]
    assert not finding.changes


@pytest.mark.parametrize(
    ("item", "needs"), [(UPDATE, False), (ENDS, False), (LOOKUP, True), (UPDATE | {"Untagged": "stop"}, True)]
)
def test_creators_are_needed_for_lookups_and_for_warnings(item: dict[str, Any], needs: bool) -> None:
    assert book(item).needs_creators is needs
    assert not book(item | {"Enabled": "N"}).needs_creators


# --- 50 tags ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "fits"), [(47, 3), (48, 2), (49, 1), (50, 0), (51, 0)])
def test_what_does_not_fit_into_50_tags_is_not_written(count: int, fits: int) -> None:
    others = {f"k{number}": "v" for number in range(count - 1)} | {"Empty": "", "aws:a": "x", "aws:b": "x"}
    filled = UPDATE | {"RuleId": 9, "TagKey": "Empty"}
    rules = book(UPDATE, ENDS, LOOKUP, filled)
    finding = rules.evaluate(instance(others), now=NOW)
    assert finding is not None
    assert finding.tag_count == count
    rules.with_creator(finding, MARY)
    new = [change.key for change in finding.changes if change.old is None]
    assert new == ["Team", "Ends", "CreatedBy"][:fits]
    assert changes(finding)["Empty"] == ("", "blue")
    assert [note for note in finding.notes if "does not fit: an instance has at most 50 tags" in note] == finding.notes
    assert len(finding.notes) == 3 - fits


# --- Creators ---------------------------------------------------------------------------------------------------------


def test_a_lookup_becomes_a_change_with_its_evidence() -> None:
    rules = book(LOOKUP)
    finding = rules.evaluate(instance(), now=NOW)
    assert finding is not None
    assert not finding.will_change
    rules.with_creator(finding, MARY)
    [change] = finding.changes
    assert (change.key, change.old, change.new, change.rule_id) == ("CreatedBy", None, "mary@example.com", 2)
    assert change.why == "Missing; rule 2 requires it. CloudTrail: RunInstances by user mary@example.com"
    assert finding.owner == "mary@example.com"


@pytest.mark.parametrize(
    ("creator", "why_not", "note"),
    [
        (None, "", "CreatedBy: who launched it is not known (rule 2)."),
        (None, "no event in 90 days", "CreatedBy: who launched it is not known: no event in 90 days (rule 2)."),
        (Creator("", "no identity"), "", "CreatedBy: who launched it is not known: no identity (rule 2)."),
        (
            Creator("x" * 257, ""),
            "",
            "CreatedBy: the new value is not possible: it has 257 characters, and EC2 takes 256",
        ),
    ],
)
def test_a_creator_that_is_not_known_is_noted(creator: Creator | None, why_not: str, note: str) -> None:
    rules = book(LOOKUP)
    finding = rules.evaluate(instance(), now=NOW)
    assert finding is not None
    rules.with_creator(finding, creator, why_not=why_not)
    assert [one[: len(note)] for one in finding.notes] == [note]
    assert not finding.changes
    assert not finding.lookups


def test_a_creator_who_is_not_allowed_is_noted() -> None:
    rules = book(LOOKUP | {"AllowedPattern": ".*@example.org"})
    finding = rules.evaluate(instance(), now=NOW)
    assert finding is not None
    rules.with_creator(finding, MARY)
    assert finding.notes == ["CreatedBy: the new value “mary@example.com” is not allowed (rule 2)."]


@pytest.mark.parametrize(
    ("tags", "owner"),
    [
        ({}, ""),
        ({"CreatedBy": "mary"}, "mary"),
        ({"CreatedBy": "mary", "Owner": " team@example.com "}, "team@example.com"),
        ({"Owner": " ", "CreatedBy": "mary"}, "mary"),
        ({"LaunchedBy": "joe"}, "joe"),
    ],
)
def test_the_owner_is_whom_the_tags_name(tags: dict[str, str], owner: str) -> None:
    assert judge(instance(ENOUGH | tags), UPDATE, LOOKUP | {"TagKey": "LaunchedBy"}).owner == owner


# --- All at once ------------------------------------------------------------------------------------------------------

keys = st.sampled_from(["Team", "team", "Ends", "CreatedBy", "Copy", "Name", "aws:a", DEADLINE_KEY])
values = st.sampled_from(["", " ", "blue", "red", "2026-12-27", "<b>", "stop 2026-12-04T09:00:00Z"])
items = st.builds(
    lambda item, more: item | more,
    st.sampled_from([UPDATE, LOOKUP, ENDS, ENDS | {"TagKey": "Copy", "Default": "tag(Team)"}]),
    st.fixed_dictionaries(
        {"RuleId": st.integers(1, 9), "Required": st.sampled_from("YN")},
        optional={
            "Order": st.integers(-1, 1),
            "TagFilter": st.sampled_from(["Team", "Team=red"]),
            "VpcIds": st.sampled_from([[VPC], ["vpc-1a2b3c4d"]]),
            "AllowedPattern": st.sampled_from(["blue", "[a-z@.]+|2026.*", ".*"]),
            "Untagged": st.sampled_from(["report", "stop", "terminate"]),
        },
    ),
).filter(lambda item: not (item["TagKey"] == "Team" and item.get("AllowedPattern") == "[a-z@.]+|2026.*"))


@given(st.lists(items, max_size=5, unique_by=lambda item: item["RuleId"]), st.dictionaries(keys, values), st.booleans())
def test_what_was_done_once_is_not_done_again(some: list[dict[str, Any]], tags: dict[str, str], known: bool) -> None:
    rules = book(*some)
    one = instance(tags)
    finding = rules.evaluate(one, now=NOW)
    if finding is None:
        return
    assert not {lookup.key for lookup in finding.lookups} & {change.key for change in finding.changes}
    rules.with_creator(finding, MARY if known else None)
    after = dict(tags)
    for change in finding.changes:
        assert change.new is not None
        assert change.new.strip()
        assert change.old == tags.get(change.key)
        assert not (change.old or "").strip()
        assert not change.key.startswith(("aws:", "portico:"))
        after[change.key] = change.new
    if finding.act is Act.UNMARK:
        after.pop(DEADLINE_KEY)
    if finding.act is Act.MARK and finding.planned_act and finding.deadline:
        after[DEADLINE_KEY] = deadline_tag(finding.planned_act, finding.deadline)
    again = rules.evaluate(replace(one, tags=after), now=NOW)
    if again is not None:
        rules.with_creator(again, MARY if known else None)
        # A tag that an earlier rule was given first, or that was looked up, may be copied only now; and what was given
        # may have brought the instance into another rule's scope.
        filtered = {item["TagKey"] for item in some if "TagFilter" in item}
        assert {change.key for change in again.changes} <= {"Copy", *filtered}
        assert again.act in (None, Act.STOP, Act.TERMINATE) or finding.act in (Act.STOP, Act.TERMINATE)


@given(st.lists(items, max_size=5, unique_by=lambda item: item["RuleId"]), st.lists(st.dictionaries(keys, values)))
def test_counts_add_up(some: list[dict[str, Any]], fleet: list[dict[str, str]]) -> None:
    rules, counts = book(*some), Counts()
    for tags in fleet:
        rules.evaluate(instance(tags), now=NOW, counts=counts)
    matched = [tags for tags in fleet if any(rule.matches(instance(tags)) for rule in rules.rules)]
    assert counts.matched == len(matched)
    for present, missing in counts.tags.values():
        assert 0 < present + missing <= len(matched)


def test_a_tag_is_counted_where_a_rule_asks_for_it() -> None:
    rules, counts = book(UPDATE | {"AllowedValues": ["blue"]}, ENDS | {"Required": "N"}), Counts()
    for tags in (
        ENOUGH,
        ENOUGH | {"Team": "blue", "Ends": "x"},
        ENOUGH | {"Team": " "},
        {"Team": "red"},
        {"Ends": ""},
        {},
    ):
        rules.evaluate(instance(tags), now=NOW, counts=counts)
    assert counts.matched == 6
    assert counts.tags == {"Team": (1, 5), "Ends": (1, 1)}
