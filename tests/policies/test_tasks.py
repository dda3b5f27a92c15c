"""What EventBridge and the queues start: the hourly run, runs that go on, and rules for what was just launched."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings

from policies import engine, lease, tasks
from policies.runs import Kind, State, runs
from portal.dynamo.values import from_item
from tests.policies.conftest import ARTICLE, all_of
from tests.policies.test_untagged import set_mark

COST = {"RuleId": 9, "TagKey": "Cost", "Action": "Update", "Required": "Y", "Default": "shared"}


class Context:
    aws_request_id = "request"

    def __init__(self, seconds: float = 900) -> None:
        self.end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self.end - time.monotonic()) * 1000)


def scheduled(event_id: str = "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa"):
    return {"id": event_id, "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "detail-type": "Scheduled Event"}


def message(body):
    return {"Records": [{"messageId": "1", "body": json.dumps(body), "eventSource": "aws:sqs"}]}


def stored(cloud):
    return [one for one in map(from_item, cloud.items("policy_runs")) if "Month" in one]


def test_the_schedule_applies_the_rules(instances, write_rules, cloud):
    write_rules(COST)
    [one] = instances.launch({"Name": "web"})
    tasks.enforce(scheduled(), Context())
    assert instances.tags(one)["Cost"] == "shared"
    [run] = stored(cloud)
    assert (run["Kind"], run["State"], run["Changed"]) == ("enforce", "done", 1)


def test_an_event_that_comes_twice_makes_one_run(instances, write_rules, cloud):
    write_rules(COST)
    instances.launch({"Name": "web"})
    event = scheduled()
    tasks.enforce(event, Context())
    tasks.enforce(event, Context())
    assert len(stored(cloud)) == 1


def test_a_schedule_while_a_run_is_under_way_leaves_it_alone(instances, write_rules, cloud, queued):
    write_rules(COST)
    with lease.taken("write"):
        tasks.enforce(scheduled(), Context())
    [run] = stored(cloud)
    assert run["State"] == "cancelled"
    assert queued() == []


def test_the_schedule_goes_on_with_what_nobody_finished(instances, write_rules, cloud, queued):
    write_rules(COST)
    [one] = instances.launch({"Name": "web"})
    begun = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC))
    tasks.enforce(scheduled(), Context())
    assert [run["RunId"] for run in stored(cloud)] == [begun.run_id]
    assert instances.tags(one)["Cost"] == "shared"


def test_a_run_whose_time_is_up_is_put_into_the_queue_again(instances, write_rules, queued):
    write_rules(COST)
    [one] = instances.launch({"Name": "web"})
    run = engine.start(Kind.ENFORCE, by=None, now=datetime.now(UTC))
    assert queued() == [run.run_id]
    tasks.go_on(message({"RunId": run.run_id}), Context(seconds=1))
    assert not runs.get(run.run_id).is_over
    assert queued() == [run.run_id]
    tasks.go_on(message({"RunId": run.run_id}), Context())
    assert runs.get(run.run_id).state is State.DONE
    assert instances.tags(one)["Cost"] == "shared"


def test_a_run_that_cannot_be_queued_is_not_done_later_either(instances, write_rules, cloud):
    write_rules(COST)
    [one] = instances.launch({"Name": "web"})
    cloud.faults.add(service="sqs", action="SendMessage", kind="error")
    with pytest.raises(Exception, match="SendMessage"):
        engine.start(Kind.ENFORCE, by=None, now=datetime.now(UTC))
    cloud.faults.clear()
    [run] = stored(cloud)
    assert run["State"] == "cancelled"
    assert instances.tags(one) == {"Name": "web"}


def test_a_message_about_a_run_that_is_over_or_unknown_does_nothing(instances, write_rules, run_rules, cloud, queued):
    write_rules(COST)
    run = run_rules()
    tasks.go_on(message({"RunId": run.run_id}), Context())
    tasks.go_on(message({"RunId": "20200101T000000Z-nothing"}), Context())
    assert len(stored(cloud)) == 1
    assert queued() == []


def launch_event(cloud, ids):
    """Return EventBridge's event for the launch of these instances, from what CloudTrail recorded of it."""
    events = cloud.admin("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": ids[0]}]
    )["Events"]
    [detail] = [json.loads(one["CloudTrailEvent"]) for one in events if one["EventName"] == "RunInstances"]
    return {"source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "detail": detail}


def test_the_rules_are_applied_to_what_was_just_launched_and_to_nothing_else(instances, write_rules, cloud):
    write_rules(*ARTICLE)
    [before] = instances.launch({"Name": "before"})
    ids = instances.launch({"Name": "a"}, {"Name": "b"})
    event = launch_event(cloud, ids)
    cloud.forget_calls()
    tasks.on_launch(message(event), Context())
    assert [instances.tags(one)["CreatedBy"] for one in ids] == ["mary", "mary"]
    assert instances.tags(before) == {"Name": "before"}
    calls = cloud.calls()
    # The event says who it was.
    assert calls["cloudtrail", "LookupEvents"] == 0
    [run] = stored(cloud)
    assert (run["Kind"], run["Changed"]) == ("launch", 2)


def test_a_launch_that_is_told_twice_changes_nothing_more(instances, write_rules, cloud):
    write_rules(*ARTICLE)
    event = launch_event(cloud, instances.launch({"Name": "a"}))
    tasks.on_launch(message(event), Context())
    cloud.forget_calls()
    tasks.on_launch(message(event), Context())
    assert cloud.calls()["ec2", "CreateTags"] == 0
    assert len(stored(cloud)) == 1


def test_a_launch_that_failed_is_nothing(cloud):
    detail = {"eventName": "RunInstances", "errorCode": "Client.InstanceLimitExceeded", "responseElements": None}
    tasks.on_launch(message({"detail": detail}), Context())
    assert stored(cloud) == []


def test_what_is_gone_when_its_launch_is_told_is_no_error(instances, write_rules, cloud, monkeypatch):
    from policies import reading

    monkeypatch.setattr(reading, "_PAUSES", (0,))
    write_rules(*ARTICLE)
    ids = instances.launch({"Name": "a"}, {"Name": "b"})
    event = launch_event(cloud, ids)
    instances.ec2.terminate_instances(InstanceIds=ids[:1])
    tasks.on_launch(message(event), Context())
    [run] = stored(cloud)
    assert (run["State"], run["Read"], run["Changed"]) == ("done", 1, 1)
    assert set(all_of(runs.get(run["RunId"]))) == {ids[1]}


def test_a_launch_reaches_the_rules_through_eventbridge_and_the_queue(instances, write_rules, cloud):
    write_rules(*ARTICLE)
    sqs, queue_url = cloud.admin("sqs"), settings.LAUNCHES_QUEUE_URL
    sqs.purge_queue(QueueUrl=queue_url)
    [launched] = instances.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"]
    [received] = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=10)["Messages"]
    tasks.on_launch({"Records": [{"body": received["Body"]}]}, Context())
    tags = instances.tags(launched["InstanceId"])
    assert tags["ProjectCode"] == "Proj007"
    # The administrator of the local cloud launched it.
    assert tags["CreatedBy"] == "root account"


def test_the_hourly_run_ends_no_more_than_it_may(instances, write_rules, cloud, settings):
    settings.POLICY_MOST_ENDED = 1
    write_rules({**COST, "Untagged": "terminate"})
    some = instances.launch({}, {}, {"Name": "web"})
    for one in some[:2]:
        set_mark(instances, one, "terminate", datetime.now(UTC) - timedelta(hours=1))
    tasks.enforce(scheduled(), Context())
    [run] = stored(cloud)
    assert run["State"] == "stopped by the cap"
    assert "2 instances would be stopped or terminated, and at most 1 may" in run["Problems"][0]
    assert [instances.state(one) for one in some] == ["running"] * 3
    assert instances.tags(some[2]) == {"Name": "web"}
    settings.POLICY_MOST_ENDED = 2
    tasks.enforce(scheduled("another-event"), Context())
    assert [instances.state(one) for one in some] == ["terminated", "terminated", "running"]


@pytest.mark.parametrize("cap", [{"POLICY_MOST_CHANGES": 1}, {"POLICY_MOST_PERCENT": 50}])
def test_the_hourly_run_changes_no_more_than_it_may(instances, write_rules, cloud, settings, cap):
    for name, value in cap.items():
        setattr(settings, name, value)
    write_rules(COST)
    some = instances.launch({"Name": "a"}, {"Name": "b"})
    tasks.enforce(scheduled(), Context())
    assert stored(cloud)[0]["State"] == "stopped by the cap"
    assert not any("Cost" in instances.tags(one) for one in some)


def test_a_run_whose_audit_entry_is_not_written_does_not_begin(instances, write_rules, cloud, operator):
    write_rules(COST)
    cloud.faults.add(service="dynamodb", action="TransactWriteItems", kind="error")
    with pytest.raises(Exception, match="TransactWriteItems"):
        engine.start(Kind.ENFORCE, by=operator, now=datetime.now(UTC))
    cloud.faults.clear()
    assert stored(cloud) == []


def test_cancelling_a_run_that_only_tells_of_it_leaves_what_it_came_to(
    instances, write_rules, cloud, operator, queued, monkeypatch
):
    write_rules(COST)
    instances.launch({"Name": "web"})
    run = engine.begin(Kind.ENFORCE, by=operator, now=datetime.now(UTC))

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine.report, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            engine.step(run.run_id, until=time.monotonic() + 600)
    assert runs.get(run.run_id).state is State.TELLING
    cloud.forget_calls()
    engine.cancel(run.run_id, by=operator)
    # Nothing of it in the request: whoever takes the message ends it.
    assert {service for service, _ in cloud.calls()} <= {"dynamodb", "sqs"}
    assert queued() == [run.run_id]
    tasks.go_on(message({"RunId": run.run_id}), Context())
    assert (runs.get(run.run_id).state, runs.get(run.run_id).changed) == (State.DONE, 1)
