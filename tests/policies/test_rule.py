import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.allowed import is_allowed
from policies.instance import Instance
from policies.rules import Action, Malformed, Rule, Untagged, duplicates, problems, read

GOOD: dict[str, Any] = {"RuleId": Decimal(7), "TagKey": "Team", "Action": "Update", "Required": "Y", "Default": "blue"}
VPC, OTHER_VPC = "vpc-0a1b2c3d4e5f67890", "vpc-1a2b3c4d"


def instance(region: str = "eu-west-1", vpc_id: str = VPC, **tags: str) -> Instance:
    return Instance("i-1", region, "running", datetime(2026, 11, 1, tzinfo=UTC), tags, {"vpcId": vpc_id})


# --- Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (
            {"RuleId": 1, "TagKey": "ProjectCode", "Action": "Update", "Required": "Y", "Default": "Proj007"},
            Rule(1, "ProjectCode", Action.UPDATE, required=True, default="Proj007"),
        ),
        (
            {"RuleId": 2, "TagKey": "CreatedBy", "Action": "UserLookup", "Required": "Y"},
            Rule(2, "CreatedBy", Action.USER_LOOKUP, required=True),
        ),
        (
            {"RuleId": 3, "TagKey": "Expires", "Action": "Function", "Required": "N", "Default": "today()"},
            Rule(3, "Expires", Action.FUNCTION, required=False, default="today()"),
        ),
    ],
)
def test_the_published_rows_are_read_as_they_are(item: dict[str, Any], rule: Rule) -> None:
    assert read(item) == rule
    assert read(item | {"RuleId": Decimal(item["RuleId"]), "Note": "ours", "VpcIds": None}) == rule


def test_every_attribute_is_read() -> None:
    extended = GOOD | {
        "VpcIds": [VPC, VPC],
        "Regions": {"eu-west-1", "us-gov-west-1", "eusc-de-east-1"},
        "TagFilter": "aws:autoscaling:groupName",
        "AllowedValues": ["blue", "red", "blue"],
        "AllowedPattern": r"\p{Lu}\w+",
        "Untagged": "terminate",
        "GraceDays": Decimal("14.0"),
        "Order": Decimal("-1E+1"),
        "Enabled": "N",
        "Description": "<b>=cmd</b>",
    }
    assert read(extended) == Rule(
        rule_id=7,
        tag_key="Team",
        action=Action.UPDATE,
        required=True,
        default="blue",
        vpc_ids=frozenset({VPC}),
        regions=frozenset({"eu-west-1", "us-gov-west-1", "eusc-de-east-1"}),
        tag_filter="aws:autoscaling:groupName",
        allowed_values=("blue", "red"),
        allowed_pattern=r"\p{Lu}\w+",
        untagged=Untagged.TERMINATE,
        grace_days=14,
        order=-10,
        enabled=False,
        description="<b>=cmd</b>",
    )


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"RuleId": Decimal("1.5")}, "rule_id", "RuleId must be a whole number."),
        ({"RuleId": "7"}, "rule_id", "RuleId must be a whole number."),
        ({"RuleId": True}, "rule_id", "RuleId must be a whole number."),
        ({"RuleId": None}, "rule_id", "RuleId must be a whole number."),
        ({"RuleId": Decimal("NaN")}, "rule_id", "RuleId must be a whole number."),
        ({"RuleId": Decimal("1E+125")}, "rule_id", "RuleId must be a whole number of at most 38 digits."),
        ({"TagKey": ""}, "tag_key", "TagKey must be the key of a tag."),
        ({"TagKey": " \u3000"}, "tag_key", "TagKey must be the key of a tag."),
        ({"TagKey": Decimal(7)}, "tag_key", "TagKey must be the key of a tag."),
        ({"TagKey": "k" * 129}, "tag_key", "TagKey has 129 characters; EC2 takes 128."),
        ({"TagKey": "aws:cloudformation:stack-name"}, "tag_key", "Keys that begin with aws: are reserved for AWS."),
        ({"TagKey": "AwS:x"}, "tag_key", "Keys that begin with aws: are reserved for AWS."),
        ({"TagKey": "portico:deadline"}, "tag_key", "Keys that begin with portico: are reserved for Portico."),
        ({"TagKey": "a\x00b"}, "tag_key", "TagKey holds control characters."),
        ({"Action": "update"}, "action", "Action must be Update, UserLookup or Function: write “Update”."),
        ({"Action": "user lookup"}, "action", "Action must be Update, UserLookup or Function."),
        ({"Action": "Delete"}, "action", "Action must be Update, UserLookup or Function."),
        ({"Action": None}, "action", "Action must be Update, UserLookup or Function."),
        ({"Required": "maybe"}, "required", "Required must be Y or N."),
        ({"Required": True}, "required", "Required must be Y or N."),
        ({"Required": "y"}, "required", "Required must be Y or N: write “Y”."),
        ({"Required": None}, "required", "Required must be Y or N."),
        ({"Default": None}, "default", "Default must be a value: the action is Update."),
        ({"Default": " \t"}, "default", "Default must be a value: the action is Update."),
        ({"Default": Decimal(7)}, "default", "Default must be a text."),
        ({"Default": "😀" * 257}, "default", "Default is not possible: it has 257 characters, and EC2 takes 256."),
        ({"Default": "a\x1b"}, "default", "Default is not possible: it holds control characters."),
        ({"Action": "Function"}, "default", "“blue” is not a function. There is today(), now(), launch_date(), "),
        (
            {"Action": "Function", "Default": None},
            "default",
            "Default must be a function, such as today(): the action ",
        ),
        ({"Action": "Function", "Default": "today()+9999999999d"}, "default", "today()+9999999999d leads out of the"),
        ({"AllowedValues": ["red"]}, "default", "Default is not one of the allowed values."),
        ({"AllowedPattern": "red"}, "default", "Default is not one of the allowed values."),
        ({"AllowedPattern": "b"}, "default", "Default is not one of the allowed values."),
        ({"VpcIds": VPC}, "vpc_ids", "VpcIds must be a list of texts."),
        (
            {"VpcIds": ["vpc-ABCDEF12"]},
            "vpc_ids",
            "“vpc-ABCDEF12” is not the id of a VPC, such as vpc-0a1b2c3d4e5f67890.",
        ),
        ({"VpcIds": [VPC + "\n"]}, "vpc_ids", f"“{VPC}\n” is not the id of a VPC"),
        ({"Regions": ["Ireland"]}, "regions", "“Ireland” is not a region, such as eu-west-1."),
        ({"Regions": ["eu-west-1a"]}, "regions", "“eu-west-1a” is not a region, such as eu-west-1."),
        ({"Regions": [""]}, "regions", "“” is not a region, such as eu-west-1."),
        ({"TagFilter": ["Team"]}, "tag_filter", "TagFilter must be a text."),
        ({"TagFilter": "=blue"}, "tag_filter", "TagFilter must be a tag's key, or a key and a value"),
        ({"TagFilter": "Team = blue"}, "tag_filter", "TagFilter takes no blanks around =: "),
        (
            {"TagFilter": "k" * 129},
            "tag_filter",
            "TagFilter is too long: a key has at most 128 characters and a value 256.",
        ),
        ({"TagFilter": "k=" + "v" * 257}, "tag_filter", "TagFilter is too long: "),
        ({"AllowedValues": ["blue", Decimal(1)]}, "allowed_values", "AllowedValues must be a list of texts."),
        ({"AllowedValues": {Decimal(1)}}, "allowed_values", "AllowedValues must be a list of texts."),
        ({"AllowedValues": "blue"}, "allowed_values", "AllowedValues must be a list of texts."),
        ({"AllowedValues": {"blue": "red"}}, "allowed_values", "AllowedValues must be a list of texts."),
        (
            {"AllowedValues": ["blue", " "]},
            "allowed_values",
            "An allowed value cannot be empty: what is empty is filled.",
        ),
        ({"AllowedValues": ["blue", "v" * 257]}, "allowed_values", f"“{'v' * 30}…” is no value for a tag: it has 257"),
        ({"AllowedPattern": "("}, "allowed_pattern", "AllowedPattern is not a regular expression: missing )"),
        (
            {"AllowedPattern": r"\L<x>"},
            "allowed_pattern",
            "AllowedPattern is not a regular expression: undefined named",
        ),
        ({"AllowedPattern": "(?Lu)a"}, "allowed_pattern", "AllowedPattern is not a regular expression: it cannot be"),
        (
            {"AllowedPattern": "a" * 201},
            "allowed_pattern",
            "AllowedPattern has 201 characters; at most 200 are allowed.",
        ),
        ({"AllowedPattern": True}, "allowed_pattern", "AllowedPattern must be a text."),
        ({"Untagged": "Stop"}, "untagged", "Untagged must be report, stop or terminate: write “stop”."),
        ({"Untagged": "delete"}, "untagged", "Untagged must be report, stop or terminate."),
        ({"GraceDays": Decimal(0)}, "grace_days", "GraceDays must be from 1 to 90 days."),
        ({"GraceDays": Decimal(91)}, "grace_days", "GraceDays must be from 1 to 90 days."),
        ({"GraceDays": "7"}, "grace_days", "GraceDays must be a whole number."),
        ({"Order": Decimal("0.1")}, "order", "Order must be a whole number."),
        ({"Order": Decimal("1E+30")}, "order", "Order must be a whole number of at most 9 digits."),
        ({"Enabled": False}, "enabled", "Enabled must be Y or N."),
        ({"Description": Decimal(1)}, "description", "Description must be a text."),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(change: dict[str, Any], field: str, says: str) -> None:
    [problem] = problems(GOOD | change)
    assert problem.field == field
    assert problem.text.startswith(says)


@pytest.mark.parametrize(
    "change",
    [
        {"TagKey": "Name"},
        {"TagKey": "k" * 128},
        {"TagKey": "😀<b>=cmd"},
        {"Default": "😀" * 256},
        {"Default": "{0.__class__}"},
        {"Default": "=cmd|' /C calc'!A0"},
        {"Action": "UserLookup", "Default": ""},
        {"Action": "UserLookup", "Default": "nobody reads this", "AllowedValues": ["mary"]},
        {"Action": "Function", "Default": "tag(aws:autoscaling:groupName)"},
        {"AllowedValues": ["red"], "AllowedPattern": "b.*"},
        {"AllowedValues": []},
        {"AllowedPattern": ""},
        {"TagFilter": "Team="},
        {"TagFilter": "Cost Centre=a=b"},
    ],
)
def test_what_is_unusual_but_good_is_taken(change: dict[str, Any]) -> None:
    assert problems(GOOD | change) == []


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Malformed) as malformed:
        read({"RuleId": Decimal("7.0"), "TagKey": "aws:x", "Required": "maybe", "Action": "Update", "Default": "x"})
    assert str(malformed.value) == ("Rule 7: Keys that begin with aws: are reserved for AWS. Required must be Y or N.")
    assert [problem.field for problem in malformed.value.problems] == ["tag_key", "required"]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.text(max_size=9)
    | st.decimals()
    | st.sampled_from(["Y", "Update", "Function", "now()"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
) | st.frozensets(st.text(max_size=3) | st.decimals(allow_nan=False), max_size=3)
names = st.sampled_from(
    [*GOOD, "VpcIds", "Regions", "TagFilter", "AllowedValues", "AllowedPattern", "Untagged", "Order"]
)


@given(st.dictionaries(names, plain))
def test_any_item_is_read_or_found_malformed(item: dict[str, Any]) -> None:
    found = problems(item)
    if found:
        with pytest.raises(Malformed) as malformed:
            read(item)
        assert list(malformed.value.problems) == found
    else:
        assert isinstance(read(item), Rule)


# --- Scope ------------------------------------------------------------------------------------------------------------

ANY = read(GOOD)


@pytest.mark.parametrize(
    ("scope", "one", "matches"),
    [
        ({}, instance(), True),
        ({"vpc_ids": frozenset({VPC})}, instance(), True),
        ({"vpc_ids": frozenset({OTHER_VPC})}, instance(), False),
        ({"regions": frozenset({"eu-west-1"})}, instance(), True),
        ({"regions": frozenset({"us-east-1"})}, instance(), False),
        ({"tag_filter": "Stage"}, instance(Stage=""), True),
        ({"tag_filter": "Stage"}, instance(stage="x"), False),
        ({"tag_filter": "Stage=prod"}, instance(Stage="prod"), True),
        ({"tag_filter": "Stage=prod"}, instance(Stage="Prod"), False),
        ({"tag_filter": "Stage="}, instance(Stage=""), True),
        ({"tag_filter": "Stage="}, instance(), False),
        ({"tag_filter": "Stage=a=b"}, instance(Stage="a=b"), True),
        ({"vpc_ids": frozenset({VPC}), "regions": frozenset({"us-east-1"})}, instance(), False),
        ({"vpc_ids": frozenset({VPC}), "regions": frozenset({"eu-west-1"})}, instance(), True),
    ],
)
def test_a_rule_is_for_what_all_of_its_scope_says(scope: dict[str, Any], one: Instance, matches: bool) -> None:
    assert replace(ANY, **scope).matches(one) is matches


def test_a_rule_without_regions_is_for_the_default_one() -> None:
    assert ANY.matches(instance("eu-west-1"), default_region="eu-west-1")
    assert not ANY.matches(instance("us-east-1"), default_region="eu-west-1")
    assert replace(ANY, regions=frozenset({"us-east-1"})).matches(instance("us-east-1"), default_region="eu-west-1")


def test_the_same_tag_twice_in_one_scope_is_a_duplicate() -> None:
    first, later = replace(ANY, rule_id=9, order=-1), replace(ANY, rule_id=1)
    others = [
        replace(ANY, rule_id=2, tag_key="team"),
        replace(ANY, rule_id=3, enabled=False),
        replace(ANY, rule_id=4, vpc_ids=frozenset({VPC})),
        replace(ANY, rule_id=5, vpc_ids=frozenset({OTHER_VPC})),
        replace(ANY, rule_id=6, tag_filter="Stage"),
        replace(ANY, rule_id=8, regions=frozenset({"eu-west-1"})),
    ]
    assert duplicates([later, *others, first]) == [(first, later)]
    assert duplicates(others) == []


# --- Allowed values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "pattern", "value", "allowed"),
    [
        ((), "", "anything", True),
        (("blue",), "", "blue", True),
        (("blue",), "", "Blue", False),
        (("blue",), "", "blue ", False),
        ((), r"[a-z]{3}-\d+", "abc-7", True),
        ((), r"[a-z]{3}-\d+", "abc-7x", False),
        ((), r"[a-z]{3}-\d+", "xabc-7", False),
        ((), "blue|red", "red", True),
        ((), "(?i)blue", "BLUE", True),
        ((), "blue", "blue\n", False),
        (("red",), "b.*", "red", True),
        (("red",), "b.*", "blue", True),
        (("red",), "b.*", "green", False),
    ],
)
def test_a_value_is_allowed_by_the_list_or_by_the_whole_pattern(
    values: tuple[str, ...], pattern: str, value: str, allowed: bool
) -> None:
    assert is_allowed(replace(ANY, allowed_values=values, allowed_pattern=pattern))(value) is allowed


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(.*a){40}b", "(?R)?a(?R)?b", "((a?){200}){200}b", r"(a*)*\1b"]
)
def test_a_catastrophic_pattern_is_saved_and_given_up_soon(pattern: str) -> None:
    assert problems(GOOD | {"Default": "a" * 255, "AllowedValues": ["a" * 255], "AllowedPattern": pattern}) == []
    test = is_allowed(replace(ANY, allowed_pattern=pattern))
    began = time.process_time()
    assert test("a" * 255 + "!") in (None, False)
    assert time.process_time() - began < 1


def test_a_catastrophic_pattern_never_holds_up_a_run() -> None:
    test = is_allowed(replace(ANY, allowed_values=("blue",), allowed_pattern="(a|aa)+$"))
    began = time.process_time()
    assert {test("a" * 240 + f"!{number}") for number in range(10_000)} == {None}
    assert time.process_time() - began < 5
    assert test("blue") is True


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:(?:(?:a?){500}){500}){500}",
        "(?:(?:(?:a?){100}){100}){40}",
        "((a{1000}){1000}){1000}",
        "a{200000}",
        "([a-z]{400}x){400}",
        "(a{2,}){50001}",
    ],
)
def test_a_pattern_that_would_be_enormous_is_refused_before_it_is_compiled(pattern: str) -> None:
    [problem] = problems({**GOOD, "AllowedPattern": pattern})
    assert problem.field == "allowed_pattern"
    assert "repetitions" in problem.text


ORDINARY = [
    "P-[0-9]{4}",
    "[a-z]{1,63}(\\.[a-z]{1,63}){0,10}",
    "a{2,3}b{4}",
    "x{,5}",
    "\\{9999999\\}",
    "[{9}]{3}",
    "(?:ab|c){100}",
    "{}",
    "a{b}",
]


@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_is_taken(pattern: str) -> None:
    assert not problems({**GOOD, "Default": "", "Action": "UserLookup", "AllowedPattern": pattern})
