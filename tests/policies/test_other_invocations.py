"""Two invocations at one run, and runs behind many others: the one without the lease writes nothing."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from policies import applying, engine, lease, lookup, reading, tasks, undo
from policies import instances as ec2
from policies.instance import DEADLINE_KEY, Outcome
from policies.runs import Kind, new, runs
from portal import aws
from tests.policies.conftest import ARTICLE, all_of, newest_runs
from tests.policies.test_going_on import COST, TEAM, go_on
from tests.policies.test_tasks import Context, scheduled
from tests.policies.test_untagged import set_mark


def overtaken(monkeypatch, run_id):
    """The lease of the caller ran out while it waited for AWS: another invocation takes the run to its end."""
    real = lease.time.time
    with monkeypatch.context() as patch:
        patch.setattr(
            lease,
            "time",
            type("T", (), {"time": staticmethod(lambda: real() + lease.SECONDS + 1), "monotonic": time.monotonic}),
        )
        return engine.step(run_id, until=time.monotonic() + 600)


def test_a_lease_lost_while_cloudtrail_is_asked_writes_nothing(instances, write_rules, monkeypatch, operator):
    write_rules(*ARTICLE)
    [one] = instances.launch({"Name": "a"})
    run_id = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC)).run_id
    real, called = lookup.trail.launches, []

    def launches(region, window):
        for page in real(region, window):
            if not called:
                called.append(1)
                assert overtaken(monkeypatch, run_id).changed == 1
                monkeypatch.setattr(lease, "_RENEW_SECONDS", -1)  # more than 30 s have passed
            yield page

    monkeypatch.setattr(lookup.trail, "launches", launches)
    go_on(run_id)
    assert {c.key: c.outcome for c in all_of(runs.get(run_id))[one].changes} == {
        "ProjectCode": Outcome.DONE,
        "CreatedBy": Outcome.DONE,
    }


def test_a_lease_lost_while_instances_are_read_writes_nothing(instances, write_rules, monkeypatch, operator):
    write_rules(COST)
    [one] = instances.launch({"Name": "a"})
    run_id = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC)).run_id
    real, called = reading.instances.pages, []

    def pages(region, **more):
        for page in real(region, **more):
            if not called:
                called.append(1)
                assert overtaken(monkeypatch, run_id).changed == 1
                monkeypatch.setattr(lease, "_RENEW_SECONDS", -1)
            yield page

    monkeypatch.setattr(reading.instances, "pages", pages)
    try:
        go_on(run_id)
    except Exception as error:
        print(type(error))
    assert [c.outcome for c in all_of(runs.get(run_id))[one].changes] == [Outcome.DONE]


def test_a_lease_lost_while_tags_are_written_writes_no_more(instances, write_rules, monkeypatch):
    write_rules(COST, TEAM)
    instances.launch({"Name": "a", "Team": "own"}, {"Name": "b", "Cost": "own"})
    run_id = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC)).run_id
    real, called = applying.instances.tag, []

    def tag(*args):
        answer = real(*args)
        if not called:
            called.append(1)
            assert overtaken(monkeypatch, run_id).changed == 2
            monkeypatch.setattr(lease, "_RENEW_SECONDS", -1)
        return answer

    monkeypatch.setattr(applying.instances, "tag", tag)
    run = go_on(run_id)
    assert {c.outcome for f in all_of(run).values() for c in f.changes} == {Outcome.DONE}


def test_an_empty_page_with_a_token_is_not_the_end(instances, write_rules, run_rules, monkeypatch):
    write_rules(ARTICLE[1])
    at = datetime.now(UTC) - timedelta(days=3)
    [one] = instances.launch({"Name": "a"}, at=at)
    client = aws.client_in("cloudtrail", "eu-west-1")
    real = client.lookup_events

    def lookup_events(**request):
        if "NextToken" not in request:
            return {"Events": [], "NextToken": "more"}
        request.pop("NextToken")
        return real(**request)

    with monkeypatch.context() as patch:
        patch.setattr(client, "lookup_events", lookup_events)
        run_rules()
    first = instances.tags(one).get("CreatedBy")
    run_rules()
    assert (first, instances.tags(one).get("CreatedBy")) == ("mary", "mary")


def test_an_unfinished_run_is_found_behind_many_big_ones(cloud, instances):
    now = datetime.now(UTC)
    lost = new(Kind.ENFORCE, now=now - timedelta(minutes=50))
    runs.add(lost)
    noise = "".join(random.choices("0123456789abcdef", k=60_000))
    for n in range(30):
        runs.add(new(Kind.LAUNCH, now=now - timedelta(minutes=40, seconds=-n), malformed=(noise,)))
    found = engine.unfinished(now=now)
    assert found is not None
    assert found.run_id == lost.run_id


def test_an_unfinished_run_is_found_behind_a_thousand_launches(cloud, instances):
    now = datetime.now(UTC)
    lost = new(Kind.ENFORCE, now=now - timedelta(minutes=50))
    runs.add(lost)
    for n in range(1001):
        runs.add(new(Kind.LAUNCH, now=now - timedelta(minutes=40) + timedelta(seconds=n)))
    found = engine.unfinished(now=now)
    assert found is not None
    assert found.run_id == lost.run_id


def test_stopped_and_started_again_is_warned_again(instances, write_rules, run_rules):
    write_rules({**COST, "Untagged": "stop", "GraceDays": 1})
    [one] = instances.launch({})
    set_mark(instances, one, "stop", datetime.now(UTC) - timedelta(hours=1))
    run_rules()
    assert instances.state(one) in ("stopping", "stopped")
    instances.ec2.start_instances(InstanceIds=[one])
    run_rules()
    assert instances.state(one) in ("pending", "running")


def test_what_a_terminal_would_obey_is_shown(instances, write_rules, capsys):
    write_rules(
        COST,
        {
            "RuleId": 7,
            "TagKey": "X",
            "Action": "Update",
            "Required": "Y",
            "Default": "y",
            "Regions": ["\x1b]0;owned\x07"],
        },
    )
    try:
        call_command("enforce_policies", "--dry-run")
    finally:
        out = capsys.readouterr()
    assert "\x1b]" not in out.err + out.out


def test_huge_malformed_rules_stop_no_other(instances, write_rules, run_rules):
    noise = [
        "".join(random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=250_000))
        for _ in range(2)
    ]
    write_rules(
        COST,
        *(
            {"RuleId": 7 + n, "TagKey": "X", "Action": "nope", "Required": "maybe", "Default": one}
            for n, one in enumerate(noise)
        ),
    )
    [one] = instances.launch({"Name": "web"})
    run_rules()
    assert instances.tags(one)["Cost"] == "shared"


def test_ctrl_c_in_a_call_keeps_the_record(instances, write_rules, monkeypatch, operator, queued):
    from django.core.management import CommandError

    write_rules(COST)
    [_one] = instances.launch({"Name": "a"})
    real = applying.instances.tag

    def tag(*args):
        real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(applying.instances, "tag", tag)
        with pytest.raises(CommandError, match="can be undone"):
            call_command("enforce_policies")
    tasks.enforce(scheduled(), Context())
    [run] = [one for one in newest_runs() if one.by_sub]
    assert run.is_over
    undo.start(run, by=operator, now=datetime.now(UTC))


def test_a_grace_day_is_a_day_even_if_the_run_took_its_time(instances, write_rules, run_rules):
    write_rules({**COST, "Untagged": "terminate", "GraceDays": 1})
    begun = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC) - timedelta(hours=23, minutes=50))
    [one] = instances.launch({})
    go_on(begun.run_id)
    deadline = instances.tags(one)[DEADLINE_KEY].split(" ")[1]
    assert datetime.fromisoformat(deadline) - datetime.now(UTC) > timedelta(hours=23)


def test_a_region_that_is_not_described_costs_the_others_nothing(instances, write_rules, run_rules, monkeypatch):
    """A region that fails in the middle."""
    write_rules({**COST, "Regions": ["eu-west-1", "us-east-1"]})
    [here] = instances.launch({"Name": "here"})
    [_there] = instances.launch({"Name": "there"}, region="us-east-1")
    real = applying.instances.some

    def some(region, ids):
        if region == "us-east-1":
            raise ec2.Unavailable("UnauthorizedOperation")
        return real(region, ids)

    monkeypatch.setattr(applying, "FRESH_SECONDS", -1)
    monkeypatch.setattr(applying.instances, "some", some)
    run_rules()
    assert instances.tags(here).get("Cost") == "shared"
