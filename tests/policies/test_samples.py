"""The sample data makes the pages lively: rules of every kind, instances that lack something, three weeks of runs."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings

from policies import rules
from policies.runs import whole_runs
from portal.localcloud import sample_runs, samples


def test_every_kind_of_rule_is_there_and_makes_sense(cloud):
    read = [rules.read(one) for one in samples.RULES]
    assert {one.action for one in read} == set(rules.Action)
    assert {one.enabled for one in read} == {True, False}
    assert any(one.untagged is rules.Untagged.STOP for one in read)


def test_the_chart_has_three_weeks_to_show(cloud, client_for, operator):
    for item in sample_runs.items(samples.RULES, now=datetime.now(UTC)):
        cloud.admin("dynamodb").put_item(TableName=settings.TABLES["policy_runs"], Item=item)
    assert len(whole_runs(100)) == sample_runs.DAYS
    client = client_for(operator)
    page = client.get("/admin/policies/policyrun/compliance/")
    assert len(page.context["points"]) == sample_runs.DAYS
    assert {key for key, *_ in page.context["rows"]} == set(sample_runs.SHARES)
    newest = page.context["points"][0].run_id
    assert client.get(f"/admin/policies/policyrun/{newest}/change/").status_code == 200
