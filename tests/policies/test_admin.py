"""Operators write the rules in the admin, bad ones are refused beside their field, and odd ones in the table break
nothing."""

from __future__ import annotations

import json

import pytest
from django.conf import settings

from policies.runs import Kind, State, runs
from portal.dynamo.values import from_item, to_item
from tests.html import page_problems
from tests.policies.conftest import ARTICLE
from tests.rides.test_admin import audited, row_form, text, typed

pytestmark = pytest.mark.usefixtures("sent")


LIST = "/admin/policies/tagpolicy/"
ADD = f"{LIST}add/"
NEW = {
    "tag_key": "ProjectCode",
    "action": "Update",
    "required": "on",
    "default": "Proj007",
    "vpc_ids": "",
    "regions": "",
    "tag_filter": "",
    "allowed_values": "",
    "allowed_pattern": "",
    "untagged": "report",
    "grace_days": "7",
    "rule_id": "",
    "order": "0",
    "enabled": "on",
    "description": "",
}
ODD = {
    "RuleId": 7,
    "TagKey": 5,
    "Action": "Delete",
    "Required": "maybe",
    "Default": ["a"],
    "VpcIds": "vpc-1",
    "Order": "first",
    "Enabled": True,
}


def change(rule_id):
    return f"{LIST}{rule_id}/change/"


def stored(cloud):
    return {int(one["RuleId"]): one for one in map(from_item, cloud.items("tag_policies"))}


def errors(response):
    return {name: " ".join(said) for name, said in response.context["adminform"].form.errors.items()}


# --- The list ---------------------------------------------------------------------------------------------------------


def test_the_rows_of_the_published_table_are_listed_in_words(asks, write_rules):
    write_rules(*ARTICLE)
    response = asks.get(LIST)
    shown = text(response)
    assert "ProjectCode rule 1 gives Proj007 where it is missing or empty every VPC, in eu-west-1 yes" in shown
    assert "CreatedBy rule 2 gives who launched it where it is missing or empty" in shown
    assert "Expires rule 3 gives today() where it is empty" in shown
    assert not page_problems(response.content.decode())


def test_an_empty_list_says_what_a_rule_is_and_offers_examples(asks, cloud):
    response = asks.get(LIST)
    assert "A rule says which tag EC2 instances must have" in text(response)
    example = asks.get(f"{ADD}?tag_key=Expires&action=Function&required=yes&default=today%28%29%2B30d")
    form = example.context["adminform"].form
    assert (form["tag_key"].value(), form["action"].value(), form["default"].value()) == (
        "Expires",
        "Function",
        "today()+30d",
    )
    assert not page_problems(response.content.decode())


def test_rules_are_sorted_by_order_and_then_by_number(asks, write_rules):
    write_rules(
        {**ARTICLE[0], "Order": 3}, ARTICLE[1], {**ARTICLE[2], "Order": 1}, {**ARTICLE[0], "RuleId": 4, "Order": 3}
    )
    assert [one.pk for one in asks.get(LIST).context["cl"].queryset] == [2, 3, 1, 4]


def test_the_scope_and_what_happens_to_the_untagged_are_said(asks, write_rules):
    scope = {"VpcIds": {"vpc-0a1b2c3d", "vpc-1a1b2c3d"}, "Regions": ["us-east-1"], "TagFilter": "Team=red"}
    write_rules({**ARTICLE[0], **scope, "Untagged": "terminate", "GraceDays": 3, "Enabled": "N"})
    shown = text(asks.get(LIST))
    assert "vpc-0a1b2c3d, vpc-1a1b2c3d, in us-east-1, tagged Team=red" in shown
    assert "terminates what has no tags after 3 days" in shown
    write_rules({**ARTICLE[0], "Untagged": "stop", "GraceDays": 1})
    assert "stops what has no tags after 1 day" in text(asks.get(LIST)).replace("1 days", "")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("action__exact=UserLookup", [2]),
        ("enabled__exact=1", [1, 2, 3]),
        ("enabled__exact=0", [8]),
        ("problems=yes", [7]),
        ("problems=no", [1, 2, 3, 8]),
        ("q=proj007", [1]),
        ("q=expires", [3, 8]),
        ("q=2", [2]),
        ("q=of+summer", [8]),
    ],
)
def test_the_list_is_filtered_and_searched(asks, write_rules, query, found):
    write_rules(*ARTICLE, ODD, {**ARTICLE[2], "RuleId": 8, "Enabled": "N", "Description": "Not of Summer"})
    assert sorted(int(one.pk) for one in asks.get(f"{LIST}?{query}").context["cl"].queryset) == found


def test_order_and_enabled_are_changed_in_the_list(cloud, asks, write_rules):
    write_rules(*ARTICLE)
    page = asks.get(LIST)
    response = asks.post(LIST, row_form(page, **{"form-1-order": "5", "form-2-enabled": "False"}), follow=True)
    assert "2 tag rules saved." in text(response)
    assert stored(cloud) == {
        1: ARTICLE[0],
        2: {**ARTICLE[1], "Order": 5},
        3: {**ARTICLE[2], "Enabled": "N"},
    }
    response = asks.post(LIST, row_form(asks.get(LIST), **{"form-1-enabled": "on", "form-2-order": "0"}), follow=True)
    assert "2 tag rules saved." in text(response)
    assert stored(cloud) == {one["RuleId"]: one for one in ARTICLE}


def test_a_rule_that_is_there_twice_cannot_be_enabled_in_the_list(cloud, asks, write_rules):
    write_rules(ARTICLE[0], {**ARTICLE[0], "RuleId": 9, "Enabled": "N"})
    response = asks.post(LIST, row_form(asks.get(LIST), **{"form-1-enabled": "on"}))
    assert "The same key in the same scope has rule 1 , “ProjectCode”." in text(response)
    assert stored(cloud)[9]["Enabled"] == "N"
    # What is disabled in the same breath does not stand in the way.
    both = {"form-0-enabled": "False", "form-1-enabled": "on"}
    assert "2 tag rules saved." in text(asks.post(LIST, row_form(asks.get(LIST), **both), follow=True))
    assert stored(cloud)[1]["Enabled"] == "N"
    assert "Enabled" not in stored(cloud)[9]


def test_a_stern_rule_is_not_switched_on_in_the_list(cloud, asks, write_rules):
    stern = {**ARTICLE[0], "Untagged": "terminate", "Enabled": "N"}
    write_rules(stern, {**ARTICLE[1], "Untagged": "stop"}, {**ARTICLE[2], "Enabled": "N"})
    response = asks.post(LIST, row_form(asks.get(LIST), **{"form-0-enabled": "on"}))
    assert "Open the rule to switch it on: it terminates instances." in text(response)
    assert stored(cloud)[1] == stern
    # Its order, switching one off and switching on what is not stern are no matter.
    milder = {"form-0-order": "4", "form-1-enabled": "False", "form-2-enabled": "on"}
    assert "3 tag rules saved." in text(asks.post(LIST, row_form(asks.get(LIST), **milder), follow=True))
    assert stored(cloud)[2]["Enabled"] == "N"


# --- Malformed rows ---------------------------------------------------------------------------------------------------


def test_a_malformed_row_is_shown_with_what_is_wrong_beside_good_ones(asks, write_rules):
    write_rules(*ARTICLE, ODD)
    response = asks.get(LIST)
    shown = text(response)
    for said in ("malformed, skipped", "TagKey must be", "Action must be", "Required must be Y or N.", "Order must be"):
        assert said in shown
    assert "gives Proj007" in shown
    page = asks.get(change(7))
    assert "This rule is malformed, so runs skip it" in text(page)
    assert not page_problems(response.content.decode())
    assert not page_problems(page.content.decode())


def test_a_malformed_row_is_mended(cloud, asks, write_rules):
    write_rules({**ODD, "Owner": "somebody else's program"})
    good = {"tag_key": "Team", "action": "UserLookup", "required": "on", "order": "2", "enabled": "on"}
    response = asks.post(change(7), typed(asks.get(change(7)), **good), follow=True)
    assert "was changed successfully" in text(response)
    assert stored(cloud)[7] == {
        "RuleId": 7,
        "TagKey": "Team",
        "Action": "UserLookup",
        "Required": "Y",
        "Order": 2,
        "Owner": "somebody else's program",
    }
    (entry,) = audited(cloud)
    assert {"Field": "required", "From": "maybe", "To": "yes"} in entry["Changes"]


def test_a_malformed_row_is_disabled_in_the_list_and_nothing_of_it_is_lost(cloud, asks, write_rules):
    write_rules({**ODD, "Order": 1, "Enabled": "Y"})
    asks.post(LIST, row_form(asks.get(LIST), **{"form-0-enabled": "False"}))
    assert stored(cloud)[7] == {**ODD, "Order": 1, "Enabled": "N"}


def test_what_cannot_be_read_in_the_list_stays_and_is_in_nobodys_way(cloud, asks, write_rules):
    write_rules(ARTICLE[0], ODD, {**ODD, "RuleId": 8, "Order": 4})
    page = asks.get(LIST)
    row = {int(form.instance.pk): form.prefix for form in page.context["cl"].formset.forms}
    sent_ = row_form(page, **{f"{row[1]}-order": "5", f"{row[8]}-order": "6"})
    response = asks.post(LIST, {name: value for name, value in sent_.items() if value is not None}, follow=True)
    assert "2 tag rules saved." in text(response)
    assert {number: one["Order"] for number, one in stored(cloud).items()} == {1: 5, 7: "first", 8: 6}
    # Nor was the box that shows nothing taken for a "no".
    assert [stored(cloud)[number]["Enabled"] for number in (7, 8)] == [True, True]


def test_a_malformed_row_is_deleted(cloud, asks, write_rules):
    write_rules(ODD)
    page = asks.get(f"{LIST}7/delete/")
    opened = page.content.decode().partition('name="_opened-7" value="')[2].partition('"')[0]
    asks.post(f"{LIST}7/delete/", {"post": "yes", "_opened-7": opened})
    assert not stored(cloud)
    (entry,) = audited(cloud)
    (raw,) = (one["From"] for one in entry["Changes"] if one["Field"] == "as it was stored")
    assert json.loads(raw) == to_item(ODD)


def test_of_a_very_large_malformed_row_a_part_is_kept(cloud, asks, write_rules):
    write_rules({**ODD, "Description": "x" * 3000})
    opened = asks.get(f"{LIST}7/delete/").content.decode().partition('name="_opened-7" value="')[2].partition('"')[0]
    asks.post(f"{LIST}7/delete/", {"post": "yes", "_opened-7": opened})
    (entry,) = audited(cloud)
    assert max(len(one["From"]) for one in entry["Changes"] if one["Field"] == "as it was stored") == 2000


@pytest.mark.parametrize("number", ["1.5", "-3", "99999999999999999999999999999999999999"])
def test_a_strange_number_is_opened_by_what_it_is(cloud, asks, number):
    item = {"RuleId": {"N": number}, "TagKey": {"S": "Team"}}
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["tag_policies"], Item=item)
    assert f"rule {number}" in text(asks.get(LIST))
    assert asks.get(change(number)).status_code == 200
    page = asks.get(LIST)
    assert "1 tag rule saved." in text(asks.post(LIST, row_form(page, **{"form-0-order": "3"}), follow=True))


@pytest.mark.parametrize("number", ["abc", "1e999", "NaN", "9" * 400])
def test_what_is_no_number_leads_back_to_the_list(cloud, asks, number):
    assert asks.get(change(number)).status_code == 302


def test_markup_in_a_rule_is_text(asks, write_rules):
    markup = "<script>alert(1)</script>"
    write_rules({**ARTICLE[0], "TagKey": markup, "Default": markup, "TagFilter": markup, "VpcIds": [markup]})
    for page in (LIST, change(1), f"{LIST}1/delete/"):
        response = asks.get(page)
        assert markup not in response.content.decode()
        assert markup in text(response) or "&lt;script&gt;" in response.content.decode()


# --- The form ---------------------------------------------------------------------------------------------------------


def test_an_operator_adds_a_rule_and_only_what_it_says_is_stored(cloud, asks, operator):
    response = asks.post(ADD, NEW, follow=True)
    assert "was added successfully" in text(response)
    assert stored(cloud) == {1: ARTICLE[0]}
    (entry,) = audited(cloud)
    assert (entry["Action"], entry["Object"], entry["ActorName"]) == ("added", "policies.tagpolicy/1", "operator")
    assert {"Field": "default", "From": "", "To": "“Proj007”"} in entry["Changes"]


def test_the_next_number_is_given_and_one_of_ones_own_is_kept_and_taken_once(cloud, asks, write_rules):
    write_rules(*ARTICLE)
    asks.post(ADD, NEW | {"tag_key": "Team"})
    assert stored(cloud)[4]["TagKey"] == "Team"
    asks.post(ADD, NEW | {"tag_key": "Owner", "rule_id": "40"})
    response = asks.post(ADD, NEW | {"tag_key": "Other", "rule_id": "40"})
    assert "already exists" in errors(response)["rule_id"]
    assert stored(cloud)[40]["TagKey"] == "Owner"


def test_an_absurd_number_is_nothing_to_count_on_from(cloud, asks, write_rules):
    write_rules(*ARTICLE, {**ARTICLE[0], "RuleId": int("9" * 38), "TagKey": "Stage"})
    assert "malformed" not in text(asks.get(LIST)).replace("Malformed", "")
    assert asks.post(ADD, NEW | {"tag_key": "Team"}).status_code == 302
    assert stored(cloud)[4]["TagKey"] == "Team"
    # The list with it is saved as any other.
    page = asks.get(LIST)
    assert "1 tag rule saved." in text(asks.post(LIST, row_form(page, **{"form-0-order": "3"}), follow=True))


def test_the_next_number_is_a_free_one_after_the_largest_sensible_one(cloud, asks, write_rules):
    write_rules({**ARTICLE[0], "RuleId": 10**9 - 1}, {**ARTICLE[1], "RuleId": 10**9}, {**ARTICLE[2], "RuleId": -4})
    asks.post(ADD, NEW | {"tag_key": "Team"})
    assert 10**9 + 1 in stored(cloud)


def test_everything_a_rule_can_say_is_stored_and_read_again(cloud, asks):
    asks.post(
        ADD,
        NEW
        | {
            "vpc_ids": "vpc-0a1b2c3d\n\n vpc-1a1b2c3d \nvpc-0a1b2c3d",
            "regions": "eu-west-1\r\nus-east-1",
            "tag_filter": "Environment=production",
            "allowed_values": "Proj007\nProj 8, the second",
            "allowed_pattern": "P-[0-9]{4}",
            "untagged": "stop",
            "sure": "on",
            "grace_days": "14",
            "order": "3",
            "enabled": "",
            "required": "",
            "description": "Because.",
        },
    )
    expected = {
        **ARTICLE[0],
        "Required": "N",
        "VpcIds": ["vpc-0a1b2c3d", "vpc-1a1b2c3d"],
        "Regions": ["eu-west-1", "us-east-1"],
        "TagFilter": "Environment=production",
        "AllowedValues": ["Proj007", "Proj 8, the second"],
        "AllowedPattern": "P-[0-9]{4}",
        "Untagged": "stop",
        "GraceDays": 14,
        "Order": 3,
        "Enabled": "N",
        "Description": "Because.",
    }
    assert stored(cloud) == {1: expected}
    page = asks.get(change(1))
    assert "vpc-0a1b2c3d\nvpc-1a1b2c3d" in page.content.decode()
    assert not page_problems(page.content.decode())
    asks.post(change(1), typed(page, description="Because of that."))
    assert stored(cloud) == {1: {**expected, "Description": "Because of that."}}


@pytest.mark.parametrize("one", ARTICLE)
def test_an_old_row_is_saved_without_gaining_attributes(cloud, asks, write_rules, one):
    write_rules(one)
    url = change(one["RuleId"])
    asks.post(url, typed(asks.get(url)))
    assert stored(cloud) == {one["RuleId"]: one}
    assert not audited(cloud)
    asks.post(url, typed(asks.get(url), tag_key="Other"))
    assert stored(cloud) == {one["RuleId"]: {**one, "TagKey": "Other"}}


def test_attributes_of_other_programs_and_string_sets_stay_as_they_are(cloud, asks, write_rules):
    odd = {**ARTICLE[0], "VpcIds": {"vpc-1a1b2c3d", "vpc-0a1b2c3d"}, "Owner": "ops", "Enabled": "Y", "GraceDays": 7}
    write_rules(odd)
    asks.post(change(1), typed(asks.get(change(1)), default="Proj008"))
    assert stored(cloud) == {1: {**odd, "Default": "Proj008"}}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tag_key", "", "required"),
        ("tag_key", "aws:team", "reserved for AWS"),
        ("tag_key", "AWS:team", "reserved for AWS"),
        ("tag_key", "portico:team", "reserved for Portico"),
        ("tag_key", "k" * 129, "129 characters"),
        ("action", "Delete", "not one of the available choices"),
        ("default", "", "A value: the action is Update."),
        ("default", "v" * 257, "257 characters"),
        ("vpc_ids", "vpc-1\nvpc-0a1b2c3d", "“vpc-1”"),
        ("regions", "Ireland", "“Ireland”"),
        ("tag_filter", "=production", "tag's key"),
        ("allowed_values", "a\nb", "allowed values"),
        ("allowed_values", "v" * 257, "257 characters"),
        ("allowed_pattern", "(", "regular expression"),
        ("allowed_pattern", "a" * 201, "201 characters"),
        ("untagged", "explode", "not one of the available choices"),
        ("grace_days", "0", "From 1 to 90 days."),
        ("grace_days", "91", "From 1 to 90 days."),
        ("grace_days", "soon", "whole number"),
        ("order", "", "required"),
        ("rule_id", "1.5", "decimal places"),
    ],
)
def test_what_makes_no_rule_is_refused_beside_its_field(cloud, asks, field, value, said):
    response = asks.post(ADD, NEW | {field: value})
    assert response.status_code == 200
    found = errors(response)
    where = "default" if (field, value) == ("allowed_values", "a\nb") else field
    assert where in found
    assert said in found[where]
    assert not stored(cloud)
    assert not page_problems(response.content.decode())


@pytest.mark.parametrize(
    ("text_", "said"),
    [
        ("", "today()"),
        ("tomorrow()", "not known"),
        ("today()+3x", "cannot follow"),
        ("instance(password)", "“password” is not known"),
        ("__import__('os')", "not known"),
        ("{0.__class__}", "not a function"),
    ],
)
def test_an_unknown_function_is_refused_with_what_there_is(cloud, asks, text_, said):
    response = asks.post(ADD, NEW | {"action": "Function", "default": text_})
    assert said in errors(response)["default"]
    assert not stored(cloud)


def test_the_same_key_twice_in_one_scope_names_the_other_rule(cloud, asks, write_rules):
    write_rules({**ARTICLE[0], "RuleId": 12, "VpcIds": ["vpc-0a1b2c3d", "vpc-1a1b2c3d"]})
    twice = NEW | {"vpc_ids": "vpc-1a1b2c3d\nvpc-0a1b2c3d"}
    response = asks.post(ADD, twice)
    assert "The same key in the same scope has" in errors(response)["tag_key"]
    assert f'<a href="{change(12)}">rule 12</a>' in response.content.decode()
    assert stored(cloud).keys() == {12}
    assert asks.post(ADD, twice | {"vpc_ids": "vpc-1a1b2c3d"}).status_code == 302
    assert asks.post(ADD, twice | {"enabled": ""}).status_code == 302
    assert asks.post(ADD, twice | {"tag_key": "projectcode"}).status_code == 302


def test_stopping_and_terminating_must_be_confirmed(cloud, asks):
    harsh = NEW | {"untagged": "terminate"}
    response = asks.post(ADD, harsh)
    assert errors(response).keys() == {"sure"}
    assert asks.post(ADD, harsh | {"sure": "on"}).status_code == 302
    assert response.context["has_errors"]
    assert '<a href="#id_sure">I understand' in response.content.decode()
    assert "data-error-summary" in response.content.decode()
    # Django's script would take the focus from the summary.
    assert "change_form.js" not in response.content.decode()
    assert "change_form.js" in asks.get(ADD).content.decode()
    assert "Please correct the error" not in text(response)
    assert not page_problems(response.content.decode())
    # A new description is no reason to ask again; another scope is.
    page = asks.get(change(1))
    assert asks.post(change(1), typed(page, description="Because.")).status_code == 302
    response = asks.post(change(1), typed(asks.get(change(1)), regions="us-east-1"))
    assert errors(response).keys() == {"sure"}
    assert stored(cloud) == {1: {**ARTICLE[0], "Untagged": "terminate", "Description": "Because."}}


@pytest.mark.parametrize(
    ("typed_", "is_asked"),
    [
        ({"grace_days": "9"}, False),
        ({"grace_days": "6"}, True),
        ({"vpc_ids": "vpc-0a1b2c3d"}, False),
        ({"vpc_ids": ""}, True),
        ({"vpc_ids": "vpc-0a1b2c3d\nvpc-2a1b2c3d"}, True),
        ({"regions": "eu-west-1"}, False),
        ({"regions": "eu-west-1\neu-west-2\neu-west-3"}, True),
        ({"regions": "eu-west-3"}, True),
        ({"tag_filter": "aws:autoscaling:groupName=a"}, False),
        ({"tag_filter": "Team"}, True),
        ({"tag_filter": ""}, True),
        ({"enabled": ""}, False),
        ({"untagged": "report"}, False),
        ({"untagged": "terminate"}, True),
        ({"untagged": "terminate", "enabled": ""}, False),
    ],
)
def test_only_what_reaches_further_must_be_confirmed_again(asks, write_rules, typed_, is_asked):
    scope = {"VpcIds": ["vpc-0a1b2c3d", "vpc-1a1b2c3d"], "Regions": ["eu-west-1", "eu-west-2"]}
    write_rules({**ARTICLE[0], **scope, "Untagged": "stop", "TagFilter": "aws:autoscaling:groupName"})
    page = asks.get(change(1))
    data = typed(page) | typed_
    response = asks.post(change(1), {name: value for name, value in data.items() if (name, value) != ("enabled", "")})
    assert (response.status_code == 200) is is_asked
    assert not is_asked or errors(response).keys() == {"sure"}


def test_switching_a_stern_rule_on_must_be_confirmed(cloud, asks, write_rules):
    write_rules({**ARTICLE[0], "Untagged": "stop", "Enabled": "N"})
    page = asks.get(change(1))
    assert errors(asks.post(change(1), typed(page, enabled="on"))).keys() == {"sure"}
    assert asks.post(change(1), typed(page, enabled="on", sure="on")).status_code == 302
    assert "Enabled" not in stored(cloud)[1]


def test_a_value_that_the_action_does_not_use_goes_when_the_action_is_changed(cloud, asks, write_rules):
    write_rules(ARTICLE[0])
    asks.post(change(1), typed(asks.get(change(1)), action="UserLookup"))
    assert "Default" not in stored(cloud)[1]


def test_what_somebody_else_changed_meanwhile_is_said_and_not_overwritten(cloud, asks, write_rules):
    write_rules(ARTICLE[0])
    mine = typed(asks.get(change(1)), default="Mine")
    write_rules({**ARTICLE[0], "Default": "Theirs", "Regions": ["us-east-1"]})
    response = asks.post(change(1), mine)
    assert "changed this to “Theirs” meanwhile; you have “Mine”" in errors(response)["default"]
    assert "from empty to “us-east-1” meanwhile" in errors(response)["regions"]
    assert stored(cloud)[1]["Default"] == "Theirs"
    asks.post(change(1), typed(response))
    assert (stored(cloud)[1]["Default"], stored(cloud)[1]["Regions"]) == ("Mine", ["us-east-1"])


@pytest.mark.parametrize(
    ("typed_", "said"),
    [
        ("today()+30d", "An instance launched today would get"),
        ("tag(Owner)", "Each instance gets what it has itself."),
        ("<b>bold</b>", "“<b>bold</b>” is not a function."),
        ("", "is not a function."),
    ],
)
def test_a_function_is_explained_while_it_is_typed(asks, cloud, typed_, said):
    response = asks.get(f"{LIST}function/", {"default": typed_})
    assert said in text(response) or said.replace("<", "&lt;").replace(">", "&gt;") in response.content.decode()
    assert "<b>" not in response.content.decode()


# --- Previews ---------------------------------------------------------------------------------------------------------


def test_a_preview_of_an_unsaved_rule_stores_no_rule_and_leads_back_to_the_form(cloud, asks, sent, operator):
    response = asks.post(ADD, NEW | {"vpc_ids": "vpc-0a1b2c3d", "enabled": "", "_preview": "Preview"})
    assert not stored(cloud)
    (run_id,) = sent
    run = runs.get(run_id)
    assert (run.kind, run.state, run.by_name) == (Kind.PREVIEW, State.QUEUED, "operator")
    (rule,) = run.rules
    assert rule == {**ARTICLE[0], "VpcIds": ["vpc-0a1b2c3d"], "Enabled": "Y"}
    assert response["Location"] == f"/admin/policies/policyrun/{run_id}/change/?draft=add&enabled=N"
    back = asks.get(response["Location"]).context["draft_url"]
    form = asks.get(back).context["adminform"].form
    assert {name: form[name].value() for name in ("tag_key", "default", "vpc_ids", "rule_id", "enabled")} == {
        "tag_key": "ProjectCode",
        "default": "Proj007",
        "vpc_ids": "vpc-0a1b2c3d",
        "rule_id": 1,
        "enabled": False,
    }
    (entry,) = audited(cloud)
    assert (entry["Action"], entry["Object"]) == ("previewed tag policies", f"policies.policyrun/{run_id}")


def test_a_preview_of_what_is_typed_over_a_stored_rule_leaves_the_rule(cloud, asks, write_rules, sent):
    write_rules(*ARTICLE)
    page = asks.get(change(1))
    response = asks.post(change(1), typed(page, default="Proj008", _preview="Preview"))
    assert stored(cloud)[1] == ARTICLE[0]
    (run_id,) = sent
    assert [one["Default"] for one in runs.get(run_id).rules] == ["Proj008"]
    draft = asks.get(asks.get(response["Location"]).context["draft_url"])
    assert "It is not saved yet." in text(draft)
    asks.post(change(1), typed(draft))
    assert stored(cloud)[1] == {**ARTICLE[0], "Default": "Proj008"}


def test_a_preview_of_a_bad_rule_is_refused_like_saving_it(cloud, asks, sent):
    response = asks.post(ADD, NEW | {"tag_key": "aws:team", "_preview": "Preview"})
    assert "tag_key" in errors(response)
    assert not sent


def test_a_preview_needs_no_confirmation(asks, cloud, sent):
    assert asks.post(ADD, NEW | {"untagged": "terminate", "_preview": "Preview"}).status_code == 302
    assert len(sent) == 1


def test_whoever_had_to_sign_in_before_a_preview_comes_back_to_the_list(asks, client, cloud, sent):
    response = client.post(f"{LIST}preview/")
    assert response["Location"].endswith(f"?next={LIST}preview/")
    assert asks.get(f"{LIST}preview/")["Location"] == LIST
    assert not sent


def test_all_rules_or_some_are_previewed_from_the_list(asks, write_rules, sent):
    write_rules(*ARTICLE, ODD)
    asks.post(f"{LIST}preview/")
    run = runs.get(sent[0])
    assert {int(one["RuleId"]) for one in run.rules} == {1, 2, 3}
    assert run.malformed[0].startswith("Rule 7: ")
    asks.post(LIST, {"action": "preview_selected", "_selected_action": ["1", "3"]})
    assert {int(one["RuleId"]) for one in runs.get(sent[1]).rules} == {1, 3}


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_an_auditor_reads_the_rules_and_has_no_buttons(client_for, auditor, write_rules):
    write_rules(*ARTICLE, ODD)
    asks = client_for(auditor)
    for page in (LIST, change(1), change(7)):
        response = asks.get(page)
        assert response.status_code == 200
        assert 'type="submit"' not in response.content.decode().replace('type="submit">Search', "").replace(
            'type="submit">Sign out', ""
        )
        assert not page_problems(response.content.decode())
    assert "Preview all" not in text(asks.get(LIST))


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (ADD, NEW),
        (ADD, NEW | {"_preview": "Preview"}),
        (change(1), NEW),
        (change(1), NEW | {"_preview": "Preview"}),
        (f"{LIST}1/delete/", {"post": "yes"}),
        (f"{LIST}preview/", {}),
        (LIST, {"action": "preview_selected", "_selected_action": ["1"]}),
        (LIST, {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"}),
    ],
)
def test_an_auditor_changes_and_previews_nothing(cloud, client_for, auditor, write_rules, sent, path, data):
    write_rules(*ARTICLE)
    assert client_for(auditor).post(path, data).status_code == 403
    assert stored(cloud) == {one["RuleId"]: one for one in ARTICLE}
    assert not sent


def test_others_see_nothing(client_for, rider):
    for page in (LIST, ADD, f"{LIST}function/?default=today()"):
        assert client_for(rider).get(page).status_code == 403
