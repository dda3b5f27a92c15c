"""What EC2, CloudTrail and DynamoDB take no more of, and refuse."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from policies import applying, engine, progress
from policies.instance import Outcome
from policies.runs import Kind
from portal import aws
from portal.dynamo.values import from_item
from tests.policies.conftest import ARTICLE, all_of
from tests.policies.test_going_on import COST, TEAM, go_on
from tests.policies.test_untagged import set_mark


def test_a_launch_without_a_name_is_not_asked_for_again(instances, write_rules, run_rules, cloud):
    write_rules(ARTICLE[1])
    instances.launch({"Name": "a"}, by={"type": "AWSService"}, at=datetime.now(UTC) - timedelta(days=3))
    run_rules()
    cloud.forget_calls()
    run_rules()
    assert cloud.calls()["cloudtrail", "LookupEvents"] == 0


def test_a_creator_who_is_not_allowed_is_not_asked_for_again(instances, write_rules, run_rules, cloud):
    write_rules({**ARTICLE[1], "AllowedPattern": ".*@example[.]com"})
    instances.launch({"Name": "a"}, at=datetime.now(UTC) - timedelta(days=3))
    run_rules()
    cloud.forget_calls()
    run_rules()
    assert cloud.calls()["cloudtrail", "LookupEvents"] == 0


def test_long_errors_cost_no_record(instances, write_rules, run_rules, monkeypatch, operator):
    write_rules(
        COST, {"RuleId": 12, "TagKey": "Id", "Action": "Function", "Required": "Y", "Default": "instance(instanceId)"}
    )
    ids = instances.launch({"Id": "own"}, *[{"Cost": "own"} for n in range(499)])
    client = aws.client_in("ec2", "eu-west-1")
    real = client.create_tags
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

    def create_tags(*, Resources, Tags):  # noqa: N803
        if any(one["Key"] == "Id" for one in Tags):
            text = "You are not authorized to perform this operation. Encoded authorization failure message: "
            raise ClientError(
                {
                    "Error": {
                        "Code": "UnauthorizedOperation",
                        "Message": text + "".join(random.choices(letters, k=1100)),
                    }
                },
                "CreateTags",
            )
        return real(Resources=Resources, Tags=Tags)

    with monkeypatch.context() as patch:
        patch.setattr(client, "create_tags", create_tags)
        run = run_rules()
    assert instances.tags(ids[0])["Cost"] == "shared"
    assert [c.outcome for c in all_of(run)[ids[0]].changes] == [Outcome.DONE]


def test_one_refused_tag_costs_the_other_rules_nothing(instances, write_rules, run_rules, monkeypatch):
    write_rules(COST, TEAM)
    [one] = instances.launch({"Name": "a"})
    client = aws.client_in("ec2", "eu-west-1")
    real = client.create_tags

    def create_tags(*, Resources, Tags):  # noqa: N803  # as an organization's tag policy refuses
        if any(one["Key"] == "Team" for one in Tags):
            raise ClientError(
                {"Error": {"Code": "TagPolicyViolation", "Message": "The tag policy does not allow it."}}, "CreateTags"
            )
        return real(Resources=Resources, Tags=Tags)

    with monkeypatch.context() as patch:
        patch.setattr(client, "create_tags", create_tags)
        run_rules()
    assert instances.tags(one).get("Cost") == "shared"


def test_a_rule_that_was_switched_off_terminates_nothing(instances, write_rules, monkeypatch):
    stern = {**COST, "Untagged": "terminate", "GraceDays": 1}
    write_rules(stern)
    [one] = instances.launch({})
    set_mark(instances, one, "terminate", datetime.now(UTC) - timedelta(hours=1))
    run = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC))
    with monkeypatch.context() as patch:
        patch.setattr(applying, "_do", lambda *_: (_ for _ in ()).throw(progress.Paused()))
        go_on(run.run_id)
    write_rules({**stern, "Enabled": "N"})
    go_on(run.run_id)
    assert instances.state(one) == "running"


def test_leases_expire(instances, write_rules, run_rules, cloud):
    write_rules(COST)
    run = run_rules(Kind.PREVIEW)
    items = [from_item(one) for one in cloud.items("policy_findings")]
    leases = [one for one in items if one["RunId"] == f"lease:{run.run_id}"]
    assert len(leases) == 1
    assert "ExpiresAt" in leases[0]
