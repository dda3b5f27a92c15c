"""Kills, late messages, faults between two writes: what was done stays in the record, and nobody is ended unwarned."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from policies import applying, engine, findings, lease, progress, reading, report, tasks, undo
from policies.instance import DEADLINE_KEY, Finding, Outcome
from policies.runs import Kind, State, runs
from tests.policies.conftest import ARTICLE, all_of, newest_runs
from tests.policies.test_going_on import COST, TEAM, PowerCut, cut_after, go_on
from tests.policies.test_tasks import Context, launch_event, message, scheduled
from tests.policies.test_untagged import set_mark

A, B = "vpc-0123456789abcdef0", "vpc-0fedcba9876543210"


def test_a_run_in_another_vpc_than_the_rules_reads_nothing(instances, write_rules, run_rules):
    write_rules({**COST, "VpcIds": [B]})
    [_here] = instances.launch({"Name": "here"})
    [there] = instances.launch({"Name": "there"}, vpc_id=B)
    run = run_rules(vpc_ids=[A])
    assert "Cost" not in instances.tags(there)
    assert run.read == 0 or run.changed == 0


def killed_in_apply(begin, instances, monkeypatch, launches=({"Name": "a"},)):
    ids = instances.launch(*launches)
    run_id = begin(COST)
    with monkeypatch.context() as patch:
        cut_after(patch, applying.instances, "tag", 1, PowerCut())
        patch.setattr(applying, "_write", lambda *_: None)
        patch.setattr(lease.Lease, "give_back", lambda _: None)
        patch.setattr(lease, "SECONDS", -1)
        with pytest.raises(PowerCut):
            go_on(run_id)
    return run_id, ids


def test_cancelling_after_a_kill_keeps_the_record(instances, begin, monkeypatch, operator):
    run_id, [one] = killed_in_apply(begin, instances, monkeypatch)
    assert instances.tags(one)["Cost"] == "shared"
    engine.cancel(run_id, by=operator)
    run = go_on(run_id)
    assert run.is_over
    assert [c.outcome for c in all_of(run)[one].changes] == [Outcome.DONE]
    undo.start(run, by=operator, now=datetime.now(UTC))


def test_a_run_given_up_after_a_day_keeps_the_record(instances, begin, monkeypatch, operator):
    run_id, [_one] = killed_in_apply(begin, instances, monkeypatch)
    assert engine.unfinished(now=datetime.now(UTC) + timedelta(days=1, hours=1)) is None
    run = runs.get(run_id, consistent=True)
    assert run.state is State.FAILED
    undo.start(run, by=operator, now=datetime.now(UTC))


def test_the_cap_holds_after_a_fault_while_creators_are_written(instances, write_rules, monkeypatch, cloud):
    monkeypatch.setattr(findings, "PER_PAGE", 1)
    write_rules(ARTICLE[1])
    ids = instances.launch({"Name": "a"}, {"Name": "b"}, {"Name": "c"})
    run = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC), most_changes=2)
    with monkeypatch.context() as patch:
        cut_after(patch, progress.Progress, "rewrite", 2, PowerCut())
        with pytest.raises(PowerCut):
            go_on(run.run_id)
    run = go_on(run.run_id)
    assert run.state is State.CAPPED, (run.state, run.to_change, run.changed)
    assert not any("CreatedBy" in instances.tags(one) for one in ids)


def test_a_launch_that_is_told_late_gets_its_whole_grace(instances, write_rules, cloud, run_rules):
    write_rules({**COST, "Untagged": "terminate", "GraceDays": 3})
    ids = instances.launch({}, at=datetime.now(UTC) - timedelta(days=4))
    tasks.on_launch(message(launch_event(cloud, ids)), Context())
    tasks.enforce(scheduled(), Context())
    assert instances.state(ids[0]) == "running"


def test_a_tag_somebody_set_alike_while_it_waited_is_not_taken_by_undo(instances, begin, monkeypatch, operator):
    [one] = instances.launch({"Name": "a"})
    run_id = begin(COST)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "look_up", lambda *_: (_ for _ in ()).throw(progress.Paused()))
        assert go_on(run_id).state is State.LOOKING_UP
    instances.set_tag(one, "Cost", "shared")  # a person
    run = go_on(run_id)
    try:
        undoing = undo.start(run, by=operator, now=datetime.now(UTC))
    except undo.NothingToUndo:
        return
    engine.step(undoing.run_id, until=time.monotonic() + 600)
    assert instances.tags(one).get("Cost") == "shared"


def test_undo_that_was_cancelled_can_be_done_again(instances, write_rules, run_rules, operator, monkeypatch):
    write_rules(COST, TEAM)
    some = instances.launch({"Name": "a", "Team": "own"}, {"Name": "b", "Cost": "own"})
    run = run_rules()
    undoing = undo.start(run, by=operator, now=datetime.now(UTC))
    real = applying.instances.untag

    def untag_and_cancel(*args):
        engine.cancel(undoing.run_id, by=operator)
        return real(*args)

    monkeypatch.setattr(applying.instances, "untag", untag_and_cancel)
    monkeypatch.setattr(progress, "OFTEN_SECONDS", 0)
    undone = go_on(undoing.run_id)
    assert undone.state is State.CANCELLED
    assert sum("Cost" in instances.tags(o) and "Team" in instances.tags(o) for o in some) == 1
    undo.start(runs.get(run.run_id, consistent=True), by=operator, now=datetime.now(UTC))


def test_undo_does_not_restore_a_deadline_that_is_over(instances, write_rules, run_rules, operator):
    stern = {**COST, "Untagged": "terminate", "GraceDays": 1}
    write_rules(stern)
    then = datetime.now(UTC) - timedelta(days=3)
    [one] = instances.launch({}, at=then)
    run_rules(now=then)  # marks it, deadline two days ago
    assert DEADLINE_KEY in instances.tags(one)
    instances.set_tag(one, "Name", "mine")
    run = run_rules(now=then + timedelta(hours=1))  # unmarks, gives Cost
    assert DEADLINE_KEY not in instances.tags(one)
    instances.ec2.delete_tags(Resources=[one], Tags=[{"Key": "Name"}])
    undoing = undo.start(run, by=operator, now=datetime.now(UTC))
    engine.step(undoing.run_id, until=time.monotonic() + 600)
    assert DEADLINE_KEY not in instances.tags(one)
    tasks.enforce(scheduled(), Context())
    assert instances.state(one) == "running"


def test_what_was_stopped_before_a_kill_is_in_the_record(instances, write_rules, monkeypatch):
    write_rules(
        {**COST, "VpcIds": [A], "Untagged": "stop", "GraceDays": 1},
        {**COST, "RuleId": 11, "VpcIds": [B], "Untagged": "terminate", "GraceDays": 1},
    )
    [s], [t] = instances.launch({}), instances.launch({}, vpc_id=B)
    for one, end in ((s, "stop"), (t, "terminate")):
        set_mark(instances, one, end, datetime.now(UTC) - timedelta(hours=1))
    run = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC))
    with monkeypatch.context() as patch:
        real, ended = applying.instances.end, []

        def end_and_die(*args):
            refusals = real(*args)
            ended.append(args)
            if len(ended) == 2:
                patch.setattr(applying, "_write", lambda *_: None)
                raise PowerCut
            return refusals

        patch.setattr(applying.instances, "end", end_and_die)
        with pytest.raises(PowerCut):
            go_on(run.run_id)
    run = go_on(run.run_id)
    assert {one: f.act_outcome for one, f in all_of(run).items()} == {s: Outcome.DONE, t: Outcome.DONE}


def test_what_cloudtrail_does_not_know_is_not_forgotten_by_a_narrower_run(instances, write_rules, run_rules, cloud):
    write_rules(ARTICLE[1])
    old = datetime.now(UTC) - timedelta(days=3)
    instances.launch({"Name": "a"}, at=old, by=None)
    instances.launch({"Name": "b"}, at=old, by=None, vpc_id=B)
    run_rules()
    run_rules(Kind.PREVIEW, vpc_ids=[B])
    cloud.forget_calls()
    run_rules()
    assert cloud.calls()["cloudtrail", "LookupEvents"] == 0


def test_a_rule_with_thousands_of_bad_regions_stops_no_other(instances, write_rules, run_rules):
    write_rules(
        COST,
        {
            "RuleId": 7,
            "TagKey": "X",
            "Action": "Update",
            "Required": "Y",
            "Default": "y",
            "Regions": [f"no {n:0100d}" for n in range(3500)],
        },
    )
    [one] = instances.launch({"Name": "web"})
    run_rules()
    assert instances.tags(one)["Cost"] == "shared"


def test_a_preview_that_died_is_ended_after_a_day(instances, write_rules, monkeypatch):
    write_rules(COST)
    run = engine.begin(Kind.PREVIEW, by=None, now=datetime.now(UTC))
    with monkeypatch.context() as patch:
        cut_after(patch, reading, "_judge", 1, PowerCut())
        with pytest.raises(PowerCut):
            go_on(run.run_id)
    engine.unfinished(now=datetime.now(UTC) + timedelta(days=2))
    assert runs.get(run.run_id, consistent=True).is_over


def test_a_launch_that_is_read_twice_counts_once(instances, write_rules, monkeypatch, cloud):
    write_rules(COST)
    ids = instances.launch({"Name": "a"})
    run = tasks.launched(launch_event(cloud, ids))
    with monkeypatch.context() as patch:
        cut_after(patch, reading, "_judge", 1, PowerCut())
        with pytest.raises(PowerCut):
            go_on(run.run_id)
    run = go_on(run.run_id)
    assert (run.read, run.to_change, run.changed, run.pages) == (1, 1, 1, 1)


def test_the_user_pool_is_asked_for_so_many_owners_only(monkeypatch, settings):
    from policies import owners
    from policies.instance import Change

    asked = []
    monkeypatch.setattr(owners.directory, "known_as", lambda name: asked.append(name))
    now = datetime.now(UTC)
    found = [
        Finding(
            f"i-{n}", "eu-west-1", "", now, 1, changes=[Change("Cost", None, "x", 1, "", Outcome.DONE)], owner=f"o{n}"
        )
        for n in range(5000)
    ]
    run = engine.new(Kind.ENFORCE, now=now)
    report._mail_owners(run, report.sort(found).owners, lambda: None)
    assert len(asked) <= report.MOST_OWNERS


def test_warning_is_sent_even_if_lambda_dies_while_telling(instances, write_rules, monkeypatch, cloud):
    write_rules({**COST, "Untagged": "terminate", "GraceDays": 1})
    instances.launch({})
    run = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC))
    published = []
    with monkeypatch.context() as patch:
        patch.setattr(engine.report, "publish", lambda *_, **__: (_ for _ in ()).throw(PowerCut()))
        with pytest.raises(PowerCut):
            go_on(run.run_id)
    monkeypatch.setattr(engine.report, "publish", lambda run, found, **_: published.append(run) or [])
    go_on(run.run_id)
    tasks.enforce(scheduled(), Context())
    assert any(one.run_id == run.run_id for one in published)


def test_a_tag_set_long_after_the_first_write_is_left_alone(instances, write_rules, run_rules, monkeypatch):
    write_rules({**COST, "Action": "Function", "Default": "instance(instanceId)"})
    a, b = sorted(instances.launch({"Name": "a"}, {"Name": "b"}))
    real, monotonic, later = applying.instances.tag, time.monotonic, [0.0]
    seen = []

    def tag(region, tags, ids):
        answer = real(region, tags, ids)
        if not seen:
            other = b if ids == [a] else a
            seen.append(other)
            instances.set_tag(other, "Cost", "theirs")
            later[0] = 150  # the calls before this one took their time
        return answer

    monkeypatch.setattr(applying.instances, "tag", tag)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: monotonic() + later[0]))
    run_rules()
    assert instances.tags(seen[0])["Cost"] == "theirs"


def test_lost_reply_is_no_failure(instances, write_rules, run_rules, monkeypatch, operator):
    from botocore.exceptions import ReadTimeoutError

    write_rules(COST)
    [one] = instances.launch({"Name": "a"})
    from portal import aws

    client = aws.client_in("ec2", "eu-west-1")
    real = client.create_tags

    def create_tags(**more):
        real(**more)
        raise ReadTimeoutError(endpoint_url="https://ec2")

    with monkeypatch.context() as patch:
        patch.setattr(client, "create_tags", create_tags)
        run = run_rules()
    assert instances.tags(one)["Cost"] == "shared"
    undo.start(run, by=operator, now=datetime.now(UTC))


def test_a_schedule_that_comes_twice_does_not_end_the_run_under_way(instances, write_rules, monkeypatch, cloud, queued):
    write_rules(COST)
    [_one] = instances.launch({"Name": "a"})
    event = scheduled()
    real = engine._go_on

    def go(progress):
        monkeypatch.setattr(engine, "_go_on", real)
        tasks.enforce(event, Context())  # the same event again, elsewhere, at this very moment
        real(progress)

    monkeypatch.setattr(engine, "_go_on", go)
    tasks.enforce(event, Context())
    [run] = newest_runs()
    assert run.state is State.DONE
