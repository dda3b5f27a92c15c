"""An instance without any tags: reported, or marked, warned of, and stopped or terminated when its time is up."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from policies import applying, engine, lease
from policies.deadline import deadline_of, deadline_tag
from policies.instance import DEADLINE_KEY, Act, Outcome
from policies.runs import State
from policies.stored import seal
from tests.policies.conftest import all_of, newest_runs

COST = {"RuleId": 9, "TagKey": "Cost", "Action": "Update", "Required": "Y", "Default": "shared"}
NOW = datetime.now(UTC).replace(microsecond=0)
MONTH = NOW - timedelta(days=30)


def set_mark(instances, one, end, at):
    """Mark an instance as the portal would have, so long ago that its time is up at this moment."""
    instances.set_tag(one, DEADLINE_KEY, deadline_tag(Act(end), at, instance_id=one, seal=seal))


def stern(end, **more):
    return {**COST, "Untagged": end, "GraceDays": 3, **more}


def test_by_default_it_gets_its_tags_and_is_told_of(instances, write_rules, run_rules):
    write_rules(COST)
    [one] = instances.launch({})
    run = run_rules()
    assert instances.tags(one) == {"Cost": "shared"}
    assert "no tags" in " ".join(all_of(run)[one].notes)


@pytest.mark.parametrize("end", ["stop", "terminate"])
def test_it_is_marked_first_and_its_tags_are_withheld(instances, write_rules, run_rules, end):
    write_rules(stern(end))
    [one] = instances.launch({}, at=MONTH)
    run = run_rules(now=NOW - timedelta(days=1))
    _, deadline = deadline_of(instances.tags(one)[DEADLINE_KEY], instance_id=one, seal=seal)
    # From the moment when it is written, however long ago the run began.
    assert timedelta(days=3, minutes=-1) < deadline - datetime.now(UTC) <= timedelta(days=3)
    assert instances.state(one) == "running"
    assert run.acts == {"mark": 1}
    finding = all_of(run)[one]
    assert (finding.act, finding.planned_act, finding.deadline) == (Act.MARK, Act(end), deadline)
    # Whoever is to be warned.
    assert finding.owner == "mary"


def test_before_the_deadline_nothing_more_happens(instances, write_rules, run_rules):
    write_rules(stern("terminate"))
    [one] = instances.launch({}, at=MONTH)
    run_rules(now=NOW - timedelta(days=2))
    before = instances.tags(one)
    run = run_rules(now=NOW)
    assert instances.tags(one) == before
    assert instances.state(one) == "running"
    assert (run.changed, run.acts) == (0, {})


@pytest.mark.parametrize(
    ("end", "state"), [("stop", ("stopping", "stopped")), ("terminate", ("shutting-down", "terminated"))]
)
def test_when_its_time_is_up_it_ends(instances, write_rules, run_rules, end, state):
    write_rules(stern(end))
    [one] = instances.launch({}, at=MONTH)
    set_mark(instances, one, end, NOW - timedelta(hours=1))
    run = run_rules(now=NOW)
    assert instances.state(one) in state
    assert run.acts == {end: 1}
    assert all_of(run)[one].act_outcome is Outcome.DONE


@pytest.mark.parametrize("end", ["stop", "terminate"])
def test_an_end_that_came_just_before_a_crash_is_in_the_record(instances, write_rules, run_rules, monkeypatch, end):
    class PowerCut(BaseException):
        pass

    write_rules(stern(end))
    [one] = instances.launch({}, at=MONTH)
    set_mark(instances, one, end, NOW - timedelta(hours=1))
    real = applying.instances.end

    def end_and_crash(*args):
        real(*args)
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(applying.instances, "end", end_and_crash)
        patch.setattr(applying, "_write", lambda *_: None)
        patch.setattr(lease.Lease, "give_back", lambda _: None)
        patch.setattr(lease, "SECONDS", -1)
        with pytest.raises(PowerCut):
            run_rules(now=NOW)
    [run] = [one for one in newest_runs() if one.state is State.APPLYING]
    run = engine.step(run.run_id, until=time.monotonic() + 600)
    assert run.acts == {end: 1}
    assert all_of(run)[one].act_outcome is Outcome.DONE


def test_who_tags_it_in_time_saves_it(instances, write_rules, run_rules):
    write_rules(stern("terminate"))
    [one] = instances.launch({}, at=MONTH)
    set_mark(instances, one, "terminate", NOW - timedelta(hours=1))
    instances.set_tag(one, "Name", "mine")
    run_rules(now=NOW)
    assert instances.tags(one) == {"Name": "mine", "Cost": "shared"}
    assert instances.state(one) == "running"


def test_who_tags_it_at_the_last_moment_saves_it_too(instances, write_rules, run_rules, monkeypatch):
    write_rules(stern("terminate"))
    [one] = instances.launch({}, at=MONTH)
    set_mark(instances, one, "terminate", NOW - timedelta(hours=1))
    real = applying._still_due

    def tag_first(*args):
        instances.set_tag(one, "Name", "mine")
        return real(*args)

    monkeypatch.setattr(applying, "_still_due", tag_first)
    run = run_rules(now=NOW)
    assert instances.state(one) == "running"
    assert all_of(run)[one].act_outcome is Outcome.CHANGED


def test_the_portal_cannot_end_what_it_has_not_marked(instances, cloud):
    from policies.instances import end

    [one] = instances.launch({"Name": "web"})
    for act in (Act.STOP, Act.TERMINATE):
        [refusal] = end("eu-west-1", act, [one]).values()
        assert "Unauthorized" in refusal.error
    assert instances.state(one) == "running"


def test_a_rule_that_is_no_longer_stern_takes_its_mark_away(instances, write_rules, run_rules):
    write_rules(stern("terminate"))
    [one] = instances.launch({}, at=MONTH)
    set_mark(instances, one, "terminate", NOW - timedelta(hours=1))
    write_rules(COST)
    run = run_rules(now=NOW)
    assert run.state is State.DONE
    assert instances.tags(one) == {"Cost": "shared"}
    assert instances.state(one) == "running"


def test_a_run_of_other_rules_alone_leaves_a_mark_to_the_rule_that_set_it(instances, write_rules, run_rules):
    write_rules(stern("terminate"))
    untagged, tagged = instances.launch({}, {}, at=MONTH)
    run_rules(now=NOW)
    marked = instances.tags(untagged)
    instances.set_tag(tagged, "Team", "core")
    run_rules(rules=[{**COST, "RuleId": 10, "TagKey": "Team", "Required": "N"}])
    assert instances.tags(untagged) == marked
    # It was saved, whichever rule looks at it.
    assert instances.tags(tagged) == {"Team": "core"}
