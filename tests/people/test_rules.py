"""Who may do what to whose account, and what a search asks: truth tables."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.people import rules, search
from portal.people.directory import Person
from portal.people.rules import Act

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HELPDESK = ["people.view_person", "people.change_person"]
FLEET = ["rides.change_unicorn"]


def person(sub="1", **attributes):
    attributes = {
        "status": "CONFIRMED", "is_enabled": True, "email": "a@example.com", "is_email_verified": True, **attributes
    }  # fmt: skip
    return Person(username="ada", sub=sub, created_at=NOW, changed_at=NOW, **attributes)


@pytest.mark.parametrize(
    ("held", "grant", "covers"),
    [
        (["all"], "all", True),
        (["all"], "view", True),
        (["all"], HELPDESK, True),
        (["view"], "all", False),
        (["view"], "view", True),
        (["view"], ["people.view_person"], True),
        (["view"], HELPDESK, False),
        ([HELPDESK], "all", False),
        ([HELPDESK], "view", False),
        ([HELPDESK], ["people.change_person"], True),
        ([HELPDESK], FLEET, False),
        ([HELPDESK, FLEET], [*HELPDESK, *FLEET], True),
        ([], [], True),
        ([], ["people.view_person"], False),
    ],
)
def test_nobody_gives_what_they_do_not_have(held, grant, covers):
    assert rules.covers(held, grant) is covers
    assert rules.may_give(held, grant) is covers
    assert rules.may_act_on(held, [grant]) is covers


@given(st.lists(st.sampled_from(["view", HELPDESK, FLEET]), max_size=3))
def test_whoever_cannot_do_everything_never_makes_anybody_who_can(held):
    assert not rules.may_give(held, "all")
    assert not rules.may_act_on(held, [*held, "all"])


def test_a_group_of_which_nothing_is_known_is_given_by_operators_only():
    assert rules.may_give(["all"], None)
    assert not rules.may_give(["view", HELPDESK], None)
    assert not rules.may_act_on(["view", HELPDESK], [None])


def test_a_group_with_a_role_in_aws_is_given_by_operators_only():
    assert rules.may_give(["all"], HELPDESK, has_role=True)
    assert not rules.may_give(["view", HELPDESK], HELPDESK, has_role=True)


@pytest.mark.parametrize(
    ("operators", "without", "is_left"),
    [
        ([], {"1"}, False),
        ([{"sub": "1"}], {"1"}, False),
        ([{"sub": "1"}, {"sub": "2"}], {"1"}, True),
        ([{"sub": "1"}, {"sub": "2"}], {"1", "2"}, False),
        ([{"sub": "2", "is_enabled": False}], {"1"}, False),
        ([{"sub": "2", "status": "FORCE_CHANGE_PASSWORD"}], {"1"}, False),
        ([{"sub": "2", "status": "UNCONFIRMED"}], {"1"}, False),
        ([{"sub": "2", "status": "RESET_REQUIRED"}], {"1"}, False),
        ([{"sub": "2", "status": "EXTERNAL_PROVIDER"}], {"1"}, True),
    ],
)
def test_somebody_is_left_who_can_come_in_and_change_everything(operators, without, is_left):
    assert rules.is_anyone_left([person(**one) for one in operators], without=without) is is_left


FEDERATED = {"status": "EXTERNAL_PROVIDER"}
INVITED = {"status": "FORCE_CHANGE_PASSWORD"}


@pytest.mark.parametrize(
    ("act", "attributes", "may"),
    [
        (Act.ENABLE, {}, False),
        (Act.ENABLE, {"is_enabled": False}, True),
        (Act.DISABLE, {}, True),
        (Act.DISABLE, {"is_enabled": False}, False),
        (Act.EDIT, {}, True),
        (Act.EDIT, FEDERATED, True),
        (Act.INVITE_AGAIN, {}, False),
        (Act.INVITE_AGAIN, INVITED, True),
        (Act.INVITE_AGAIN, {**INVITED, "is_enabled": False}, False),
        (Act.RESET_PASSWORD, {}, True),
        (Act.RESET_PASSWORD, {"status": "RESET_REQUIRED"}, True),
        (Act.RESET_PASSWORD, FEDERATED, False),
        (Act.RESET_PASSWORD, INVITED, False),
        (Act.RESET_PASSWORD, {"status": "UNCONFIRMED"}, False),
        (Act.RESET_PASSWORD, {"is_enabled": False}, False),
        (Act.RESET_PASSWORD, {"is_email_verified": False}, False),
        (Act.RESET_PASSWORD, {"email": ""}, False),
        (Act.RESET_FACTOR, {}, False),
        (Act.RESET_FACTOR, {"factors": ("SMS_MFA",)}, True),
        (Act.GROUPS, FEDERATED, True),
        (Act.SIGN_OUT, {"is_enabled": False}, True),
        (Act.END_AWS, {"is_enabled": False}, True),
    ],
)
def test_what_can_be_done_depends_on_how_far_an_account_is(act, attributes, may):
    assert (rules.why_not(act, person(**attributes)) == "") is may


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, "active"),
        (INVITED, "invited"),
        (FEDERATED, "company user"),
        ({"status": "RESET_REQUIRED"}, "must reset"),
        ({"status": "UNCONFIRMED"}, "not confirmed"),
        ({"status": "ARCHIVED"}, "archived"),
        ({**INVITED, "is_enabled": False}, "disabled"),
    ],
)
def test_the_state_of_an_account_is_said_in_words(attributes, words):
    assert rules.standing(person(**attributes)) == words


@pytest.mark.parametrize(
    ("typed", "filter_"),
    [
        ("ada", 'username ^= "ada"'),
        ("ada@exa", 'email ^= "ada@exa"'),
        ("Ada Lovelace", 'family_name ^= "Lovelace"'),
        ("  ada ", 'username ^= "ada"'),
        ("dabc4043-4997-467c-bb84-fffcf8dcee32", 'sub ^= "dabc4043-4997-467c-bb84-fffcf8dcee32"'),
        ("dabc4043-4997-", 'sub ^= "dabc4043-4997-"'),
        ('a" or b', 'family_name ^= "b"'),
        ('a"b', 'username ^= "a\\"b"'),
        ("a\\", 'username ^= "a\\\\"'),
    ],
)
def test_what_is_typed_says_where_to_look(typed, filter_):
    assert search.for_text(typed).filter == filter_


@given(st.text(max_size=200))
def test_no_text_ends_its_filter_early_and_no_filter_is_too_long(typed):
    quoted = search.quoted(typed)
    inner = quoted[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inner
    assert "\\" not in inner
    assert len(search.for_text(typed, "family_name").filter) <= 256
