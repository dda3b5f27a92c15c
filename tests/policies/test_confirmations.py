"""What an operator saw is what happens: no other rule, no other VPC, nothing ended that nobody confirmed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies import engine
from policies.report_table import harmless
from policies.runs import Kind, runs
from portal.dynamo.values import from_item
from tests.policies.conftest import ARTICLE
from tests.policies.test_admin import LIST, change, errors, row_form, stored, text, typed

pytestmark = pytest.mark.usefixtures("sent")

RUNS = "/admin/policies/policyrun/"


def test_who_comes_back_from_a_preview_is_told_what_others_changed_since_the_form_was_opened(
    cloud, asks, write_rules, sent
):

    write_rules(ARTICLE[0])
    asks.post(change(1), {**typed(asks.get(change(1)), description="Mine"), "_preview": "Preview"})
    write_rules({**ARTICLE[0], "Default": "Theirs"})
    form = asks.get(f"{change(1)}?draft={sent[0]}")
    assert form.context["adminform"].form["description"].value() == "Mine"
    response = asks.post(change(1), typed(form))
    assert "from “Proj007” to “Theirs” meanwhile" in errors(response)["default"]
    assert stored(cloud)[1]["Default"] == "Theirs"


def test_a_draft_fills_no_other_rules_form(asks, write_rules, sent):
    write_rules(*ARTICLE)
    asks.post(change(1), {**typed(asks.get(change(1)), default="Other"), "_preview": "Preview"})
    assert asks.get(f"{change(3)}?draft={sent[0]}").context["adminform"].form["default"].value() == "today()"


def test_a_run_of_what_was_previewed_is_of_the_same_vpcs(asks, write_rules, operator, cloud):
    write_rules(*ARTICLE)
    vpc = "vpc-0123456789abcdef0"
    preview = engine.begin(Kind.PREVIEW, by=operator, now=datetime.now(UTC), vpc_ids=[vpc])
    address = f"{RUNS}start/?preview={preview.run_id}"
    assert vpc in asks.get(address).content.decode()
    for typed_, expected in [("", (vpc,)), ("vpc-0fedcba9876543210", (vpc,)), (vpc, (vpc,))]:
        response = asks.post(address, {"most_changes": "", "most_percent": "", "vpc_ids": typed_})
        run_id = response["Location"].removeprefix(RUNS).partition("/")[0]
        assert runs.get(run_id).vpc_ids == expected


def test_a_malformed_rule_that_would_end_instances_is_not_mended_in_passing(cloud, asks, write_rules):
    stern = {**ARTICLE[0], "Untagged": "terminate", "GraceDays": 1, "Order": "first"}
    write_rules(stern)
    response = asks.post(LIST, row_form(asks.get(LIST), **{"form-0-order": "5"}))
    assert "Open the rule to switch it on" in text(response)
    assert stored(cloud)[1] == stern


def test_a_lease_is_no_run(asks, write_rules, cloud, auditor, client_for):
    from policies import lease

    with lease.taken("write"):
        for address in ("lease:write/change/", "?q=lease:write", "start/?preview=lease:write", "lease:write/progress/"):
            assert asks.get(f"{RUNS}{address}").status_code in (200, 302, 404)
    assert not [one for one in map(from_item, cloud.items("policy_runs")) if "Month" not in one]


@pytest.mark.parametrize(
    ("text_", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("x;=1+1", "x;'=1+1"),
        ("x\t@SUM(1)", "x\t'@SUM(1)"),
        ("x\r\n+1", "x\r\n'+1"),
        ("a;b; c-d", "a;b; c-d"),
        ("2026-11-27", "2026-11-27"),
    ],
)
def test_no_cell_begins_with_a_formula_whatever_separates_cells(text_, safe):
    assert harmless(text_) == safe


def test_a_run_cannot_be_started_by_who_may_not_see_it(client_for, operator, settings, write_rules):
    settings.GROUP_PERMISSIONS = {"operators": ["policies.change_tagpolicy", "policies.view_tagpolicy"]}
    write_rules(*ARTICLE)
    client = client_for(operator)
    assert client.get(f"{RUNS}start/").status_code == 403
    assert client.post(f"{LIST}preview/").status_code == 403


def test_who_may_only_add_can_confirm(client_for, operator, settings, cloud):
    settings.GROUP_PERMISSIONS = {"operators": ["policies.add_tagpolicy", "policies.view_tagpolicy"]}
    assert "sure" in client_for(operator).get(f"{LIST}add/").context["adminform"].form.fields
