"""Whole runs against the local cloud: what is changed, what is left alone, what is written down, what it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies.instance import Outcome
from policies.runs import Kind, State, runs
from tests.policies.conftest import ARTICLE, USER, all_of

COST = {"RuleId": 9, "TagKey": "Cost", "Action": "Update", "Required": "Y", "Default": "shared"}


def test_the_articles_rules_do_what_the_article_says(instances, write_rules, run_rules):
    write_rules(*ARTICLE)
    bare, empty, full = instances.launch(
        {"Name": "web"},
        {"ProjectCode": "", "Expires": ""},
        {"ProjectCode": "Own", "CreatedBy": "somebody", "Expires": "2030-01-01"},
    )
    run = run_rules()
    assert run.state is State.DONE
    assert instances.tags(bare) == {"Name": "web", "ProjectCode": "Proj007", "CreatedBy": "mary"}
    today = f"{run.started_at:%Y-%m-%d}"
    assert instances.tags(empty) == {"ProjectCode": "Proj007", "CreatedBy": "mary", "Expires": today}
    assert instances.tags(full) == {"ProjectCode": "Own", "CreatedBy": "somebody", "Expires": "2030-01-01"}
    assert (run.read, run.matched, run.to_change, run.changed, run.failed) == (3, 3, 2, 2, 0)
    assert {key: (one.present, one.missing) for key, one in run.tags.items()} == {
        "ProjectCode": (1, 2),
        "CreatedBy": (1, 2),
        "Expires": (1, 1),
    }
    found = all_of(run)
    assert full not in found
    by_key = {change.key: change for change in found[bare].changes}
    assert by_key["ProjectCode"].outcome is by_key["CreatedBy"].outcome is Outcome.DONE
    assert "user mary" in by_key["CreatedBy"].why


def test_a_second_run_changes_nothing_more(instances, write_rules, run_rules, cloud):
    write_rules(*ARTICLE)
    instances.launch({"Name": "web"}, {})
    run_rules()
    cloud.forget_calls()
    again = run_rules()
    assert (again.to_change, again.changed) == (0, 0)
    calls = cloud.calls()
    assert calls["ec2", "CreateTags"] == calls["cloudtrail", "LookupEvents"] == 0
    assert calls["ec2", "DescribeInstances"] == 1


def test_it_takes_as_few_calls_as_can_be(instances, write_rules, run_rules, cloud):
    write_rules(*ARTICLE, COST)
    people = [{**USER, "userName": name, "arn": f"arn:aws:iam::123456789012:user/{name}"} for name in ("ada", "bob")]
    for person in people:
        instances.launch(*[{"Name": f"n{n}"} for n in range(600)], by=person)
    cloud.forget_calls()
    run = run_rules()
    assert run.changed == 1200
    calls = cloud.calls()
    # Two pages; one call for each creator, and the tags that all need in two more at most; one page of two events.
    assert calls["ec2", "DescribeInstances"] == 2
    assert calls["ec2", "CreateTags"] <= 4
    assert calls["cloudtrail", "LookupEvents"] == 1


def test_a_preview_writes_nothing_to_ec2(instances, write_rules, run_rules, cloud):
    write_rules(*ARTICLE)
    [one] = instances.launch({"Name": "web"})
    run = run_rules(Kind.PREVIEW)
    assert run.state is State.DONE
    assert run.to_change == 1
    assert instances.tags(one) == {"Name": "web"}
    assert {action for service, action in cloud.calls() if service == "ec2"} == {"DescribeInstances"}
    assert [change.outcome for change in all_of(run)[one].changes] == [Outcome.PLANNED] * 2


def test_only_the_vpcs_that_were_asked_for(instances, write_rules, run_rules):
    write_rules(COST)
    [here] = instances.launch({"Name": "here"})
    [there] = instances.launch({"Name": "there"}, vpc_id="vpc-0fedcba9876543210")
    run = run_rules(vpc_ids=["vpc-0fedcba9876543210"])
    assert run.read == 1
    assert "Cost" in instances.tags(there)
    assert "Cost" not in instances.tags(here)


@pytest.mark.parametrize(
    ("cap", "state"),
    [
        ({"most_changes": 1}, State.CAPPED),
        ({"most_changes": 2}, State.DONE),
        ({"most_percent": 49}, State.CAPPED),
        ({"most_percent": 50}, State.DONE),
        ({"most_changes": 5, "most_percent": 10}, State.CAPPED),
        ({}, State.DONE),
    ],
)
def test_the_cap_stops_before_anything_is_changed(instances, write_rules, run_rules, cap, state):
    write_rules(COST)
    missing = instances.launch({"Name": "a"}, {"Name": "b"})
    instances.launch({"Cost": "own"}, {"Cost": "own"})
    run = run_rules(**cap)
    assert run.state is state
    assert ["Cost" in instances.tags(one) for one in missing] == [state is State.DONE] * 2
    assert run.changed == (2 if state is State.DONE else 0)
    if state is State.CAPPED:
        assert "2" in run.problems[0]


def test_a_malformed_rule_is_reported_and_stops_no_other(instances, write_rules, run_rules):
    write_rules(COST, {"RuleId": 7, "TagKey": "X", "Action": "Update", "Required": "maybe", "Default": "y"})
    [one] = instances.launch({"Name": "web"})
    run = run_rules()
    assert instances.tags(one) == {"Name": "web", "Cost": "shared"}
    [told] = run.malformed
    assert "Rule 7" in told
    assert "Required" in told


def test_it_respects_the_limit_of_fifty_tags(instances, write_rules, run_rules):
    write_rules(COST)
    full, nearly = instances.launch({f"k{n}": "v" for n in range(50)}, {f"k{n}": "v" for n in range(49)})
    run = run_rules()
    assert run.failed == 0
    assert len(instances.tags(full)) == len(instances.tags(nearly)) == 50
    assert instances.tags(nearly)["Cost"] == "shared"
    assert "50" in " ".join(all_of(run)[full].notes)


def test_instances_launched_before_cloudtrails_memory_are_never_looked_up(instances, write_rules, run_rules, cloud):
    write_rules(ARTICLE[1])
    [old] = instances.launch({"Name": "old"}, at=datetime.now(UTC) - timedelta(days=120), by=None)
    cloud.forget_calls()
    run = run_rules()
    assert cloud.calls()["cloudtrail", "LookupEvents"] == 0
    assert instances.tags(old) == {"Name": "old"}
    assert "90 days" in " ".join(all_of(run)[old].notes)


def test_what_cloudtrail_does_not_know_is_said_and_not_asked_again(instances, write_rules, run_rules, cloud):
    write_rules(ARTICLE[1])
    [one] = instances.launch({"Name": "nobody's"}, at=datetime.now(UTC) - timedelta(days=3), by=None)
    run = run_rules()
    assert "CreatedBy" not in instances.tags(one)
    assert "CloudTrail" in " ".join(all_of(run)[one].notes)
    cloud.forget_calls()
    again = run_rules()
    assert cloud.calls()["cloudtrail", "LookupEvents"] == 0
    assert "CloudTrail" in " ".join(all_of(again)[one].notes)


def test_without_cloudtrail_the_other_rules_still_apply_and_the_next_run_asks_again(
    instances, write_rules, run_rules, cloud
):
    write_rules(*ARTICLE)
    [one] = instances.launch({"Name": "web"})
    cloud.faults.add(service="cloudtrail", action="LookupEvents", kind="error")
    run = run_rules()
    assert run.state is State.DONE
    assert instances.tags(one) == {"Name": "web", "ProjectCode": "Proj007"}
    assert "CloudTrail" in run.problems[0]
    cloud.faults.clear()
    run_rules()
    assert instances.tags(one)["CreatedBy"] == "mary"


def test_an_instance_that_vanishes_meanwhile_costs_the_others_nothing(instances, write_rules, run_rules, monkeypatch):
    from policies import applying

    write_rules(COST)
    some = instances.launch(*[{"Name": f"n{n}"} for n in range(5)])
    plan = applying._left

    def terminate_one(progress):
        left = plan(progress)
        instances.ec2.terminate_instances(InstanceIds=[some[2]])
        instances.cloud.faults.clear()
        return left

    monkeypatch.setattr(applying, "_left", terminate_one)
    run = run_rules()
    assert run.state is State.DONE
    assert all(instances.tags(one)["Cost"] == "shared" for one in some if one != some[2])


def test_two_at_once_change_nothing_twice(instances, write_rules):
    import time

    from policies import engine, lease

    write_rules(COST)
    instances.launch({"Name": "web"})
    first, second = (engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC)) for _ in range(2))
    with lease.taken("write"), pytest.raises(lease.Held):
        engine.step(first.run_id, until=time.monotonic() + 60)
    assert runs.get(first.run_id).state is State.QUEUED
    one, other = (engine.step(run.run_id, until=time.monotonic() + 60) for run in (first, second))
    assert (one.changed, other.changed) == (1, 0)


def test_a_region_that_is_not_there_costs_the_others_nothing(instances, write_rules, run_rules, monkeypatch):
    from policies import reading

    write_rules(COST, {**COST, "RuleId": 10, "Regions": ["xx-nowhere-1"]})
    [one] = instances.launch({"Name": "web"})
    real = reading.instances.pages

    def pages(region, **more):
        if region == "xx-nowhere-1":
            raise reading.instances.Unavailable("EndpointConnectionError")
        return real(region, **more)

    monkeypatch.setattr(reading.instances, "pages", pages)
    run = run_rules()
    assert run.state is State.DONE
    assert instances.tags(one)["Cost"] == "shared"
    assert "xx-nowhere-1" in run.problems[0]


def test_two_regions_are_read_and_tagged(instances, write_rules, run_rules):
    write_rules({**COST, "Regions": ["eu-west-1", "us-east-1"]})
    [here] = instances.launch({"Name": "here"})
    [there] = instances.launch({"Name": "there"}, region="us-east-1")
    run = run_rules()
    assert {one.region for one in all_of(run).values()} == {"eu-west-1", "us-east-1"}
    assert (run.read, run.changed) == (2, 2)
    assert instances.tags(here)["Cost"] == "shared"
    assert instances.tags(there, region="us-east-1") == {"Name": "there", "Cost": "shared"}
