"""Runs that are interrupted: by the end of a Lambda's time, a person, a power cut. Nothing is lost or done twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from policies import applying, engine, instances, lease, progress, reading
from policies.instance import Outcome
from policies.runs import State, runs
from tests.policies.conftest import ARTICLE, all_of

COST = {"RuleId": 9, "TagKey": "Cost", "Action": "Update", "Required": "Y", "Default": "shared"}
TEAM = {"RuleId": 10, "TagKey": "Team", "Action": "Update", "Required": "Y", "Default": "core"}


class PowerCut(BaseException):
    """What no code catches: the process is gone."""


def go_on(run_id, seconds=600):
    return engine.step(run_id, until=time.monotonic() + seconds)


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(instances, "PAGE", 5)


def cut_after(monkeypatch, module, name, calls, error):
    """Let a function work so many times and then raise, after it did what it does."""
    real, done = getattr(module, name), []

    def wrapper(*args, **kwargs):
        answer = real(*args, **kwargs)
        done.append(name)
        if len(done) == calls:
            raise error
        return answer

    monkeypatch.setattr(module, name, wrapper)


def test_a_run_whose_time_is_up_while_it_reads_goes_on_with_the_next_page(
    instances, begin, small_pages, monkeypatch, cloud
):
    some = instances.launch(*[{"Name": f"n{n}"} for n in range(12)])
    run_id = begin(COST)
    with monkeypatch.context() as patch:
        cut_after(patch, reading, "_judge", 2, progress.Paused())
        assert go_on(run_id).state is State.READING
    assert runs.get(run_id).read == 10
    assert not any("Cost" in instances.tags(one) for one in some)
    cloud.forget_calls()
    run = go_on(run_id)
    assert (run.state, run.read, run.changed) == (State.DONE, 12, 12)
    assert all(instances.tags(one)["Cost"] == "shared" for one in some)


def test_a_step_without_time_does_nothing_and_the_next_one_does_it(instances, begin):
    [one] = instances.launch({"Name": "web"})
    run_id = begin(COST)
    assert not go_on(run_id, seconds=1).is_over
    assert go_on(run_id).state is State.DONE
    assert instances.tags(one)["Cost"] == "shared"


def test_a_token_that_is_too_old_starts_the_reading_again(instances, begin, small_pages, monkeypatch):
    instances.launch(*[{"Name": f"n{n}"} for n in range(7)])
    run_id = begin(COST)
    with monkeypatch.context() as patch:
        cut_after(patch, reading, "_judge", 1, progress.Paused())
        go_on(run_id)
    paused = runs.get(run_id)
    runs.replace(paused.model_copy(update={"cursor": '[0, "stale"]'}), was=paused)
    run = go_on(run_id)
    assert (run.state, run.read, run.changed) == (State.DONE, 7, 7)


@pytest.mark.parametrize("calls", [1, 2])
def test_a_power_cut_between_two_calls_loses_no_record_of_what_was_done(instances, begin, monkeypatch, calls):
    alike = instances.launch({"Name": "a", "Team": "own"}, {"Name": "b", "Team": "own"})
    others = instances.launch({"Name": "c", "Cost": "own"}, {"Name": "d"})
    run_id = begin(COST, TEAM)
    with monkeypatch.context() as patch:
        cut_after(patch, applying.instances, "tag", calls, PowerCut())
        # What a `finally` would still write is lost as well.
        patch.setattr(applying, "_write", lambda *_: None)
        patch.setattr(lease.Lease, "give_back", lambda _: None)
        patch.setattr(lease, "SECONDS", -1)
        with pytest.raises(PowerCut):
            go_on(run_id)
    assert runs.get(run_id, consistent=True).state is State.APPLYING
    run = go_on(run_id)
    assert run.state is State.DONE
    assert run.changed == 4
    outcomes = {change.outcome for one in all_of(run).values() for change in one.changes}
    assert outcomes == {Outcome.DONE}
    for one in alike + others:
        assert {"Cost", "Team"} <= instances.tags(one).keys()


def test_what_somebody_set_while_the_run_paused_is_left_alone(instances, begin, monkeypatch):
    mine, theirs, gone = instances.launch({"Name": "a"}, {"Name": "b"}, {"Name": "c"})
    run_id = begin(COST)
    with monkeypatch.context() as patch:
        patch.setattr(applying, "_do", lambda *_: (_ for _ in ()).throw(progress.Paused()))
        assert go_on(run_id).state is State.APPLYING
    instances.set_tag(theirs, "Cost", "theirs")
    instances.ec2.terminate_instances(InstanceIds=[gone])
    run = go_on(run_id)
    assert instances.tags(theirs)["Cost"] == "theirs"
    assert instances.tags(mine)["Cost"] == "shared"
    outcomes = {one: finding.changes[0].outcome for one, finding in all_of(run).items()}
    assert outcomes == {mine: Outcome.DONE, theirs: Outcome.CHANGED, gone: Outcome.GONE}
    assert (run.changed, run.gone) == (1, 1)


def test_who_launched_them_is_looked_up_from_where_it_was_left(instances, begin, monkeypatch, cloud):
    from policies import lookup

    # Sooner, and CloudTrail would refuse a call, which is then made once more.
    monkeypatch.setattr(lookup.trail, "_SECONDS_BETWEEN_CALLS", 0.6)
    now = datetime.now(UTC)
    some = [instances.launch({"Name": f"n{n}"}, at=now - timedelta(hours=n))[0] for n in range(1, 121)]
    run_id = begin(ARTICLE[1])
    cloud.forget_calls()
    with monkeypatch.context() as patch:
        real, pages = lookup.trail.launches, []

        def two_pages(region, window):
            for page in real(region, window):
                pages.append(page)
                if len(pages) > 1:
                    patch.setattr(progress.Progress, "check", lambda _: (_ for _ in ()).throw(progress.Paused()))
                yield page

        patch.setattr(lookup.trail, "launches", two_pages)
        assert go_on(run_id).state is State.LOOKING_UP
    assert go_on(run_id).state is State.DONE
    assert cloud.calls()["cloudtrail", "LookupEvents"] <= 4
    assert {instances.tags(one).get("CreatedBy") for one in some} == {"mary"}


def test_somebody_cancels_and_what_was_changed_stays_in_the_record(instances, begin, monkeypatch, operator, cloud):
    some = instances.launch({"Name": "a", "Team": "own"}, {"Name": "b", "Cost": "own"})
    run_id = begin(COST, TEAM)
    real, called = applying.instances.tag, []

    def tag_and_cancel(*args):
        called.append(args)
        engine.cancel(run_id, by=operator)
        return real(*args)

    monkeypatch.setattr(applying.instances, "tag", tag_and_cancel)
    monkeypatch.setattr(progress, "OFTEN_SECONDS", 0)
    run = go_on(run_id)
    assert run.state is State.CANCELLED
    assert len(called) == 1
    assert run.changed == 1
    outcomes = sorted(finding.changes[0].outcome for finding in all_of(run).values())
    assert outcomes == [Outcome.DONE, Outcome.NOT_TRIED]
    assert sum(len(instances.tags(one)) for one in some) == 5


def test_an_error_that_passes_is_raised_so_that_the_message_comes_again(instances, begin, cloud):
    [one] = instances.launch({"Name": "web"})
    run_id = begin(COST)
    cloud.faults.add(service="dynamodb", action="UpdateItem", kind="error")
    with pytest.raises(Exception, match="UpdateItem"):
        go_on(run_id)
    cloud.faults.clear()
    assert go_on(run_id).state is State.DONE
    assert instances.tags(one)["Cost"] == "shared"


def test_a_refusal_ends_the_run_and_says_what_was_refused(instances, begin, monkeypatch, cloud):
    from botocore.exceptions import ClientError

    instances.launch({"Name": "web"})
    run_id = begin(COST)
    refusal = ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeInstances")
    monkeypatch.setattr(reading.instances, "pages", lambda *_, **__: (_ for _ in ()).throw(refusal))
    run = go_on(run_id)
    assert run.state is State.FAILED
    assert run.problems == ("AWS refused DescribeInstances: UnauthorizedOperation.",)


def test_throttling_is_waited_out(instances, begin, cloud):
    [one] = instances.launch({"Name": "web"})
    run_id = begin(COST)
    for action in ("DescribeInstances", "CreateTags"):
        cloud.faults.add(service="ec2", action=action, kind="throttle", times=2)
    run = go_on(run_id)
    assert (run.state, run.changed, run.failed) == (State.DONE, 1, 0)
    assert instances.tags(one)["Cost"] == "shared"


def test_how_far_it_is_is_saved_each_second_and_so_often_it_is_asked_whether_to_stop(begin, monkeypatch, cloud):
    clock = [1000.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    run = runs.get(begin(COST))
    held = SimpleNamespace(renew=lambda: None)
    work = progress.Progress(run, until=float("inf"), held=held)
    work.save(read=1)
    cloud.forget_calls()
    for changed in range(1, 9):  # a call each half a second
        clock[0] += 0.5
        work.check()
        work.save_now_and_then(changed=changed)
    calls = cloud.calls()
    assert 2 <= calls["dynamodb", "UpdateItem"] <= 4
    assert calls["dynamodb", "GetItem"] <= 4
    assert runs.get(run.run_id).changed >= 6
