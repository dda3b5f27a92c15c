"""Undoing a run: the tags are as they were, wherever nobody changed them since."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from policies import engine, undo
from policies.instance import Act, Change, Finding, Instance, Outcome
from policies.reversal import turned_round
from policies.runs import Kind, State, runs
from tests.policies.conftest import ARTICLE, all_of

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def finding(*changes: Change, **more) -> Finding:
    return Finding("i-1", "eu-west-1", "web", NOW, 1, changes=list(changes), **more)


def there(**tags: str) -> Instance:
    return Instance("i-1", "eu-west-1", "running", NOW, tags, {})


def done(old: str | None, new: str | None) -> Change:
    return Change("Cost", old, new, 9, "why", Outcome.DONE)


@pytest.mark.parametrize(
    ("change", "tags", "expected"),
    [
        (done(None, "shared"), {"Cost": "shared"}, [("shared", None, Outcome.PLANNED)]),
        (done("", "shared"), {"Cost": "shared"}, [("shared", "", Outcome.PLANNED)]),
        (done("  ", "shared"), {"Cost": "shared"}, [("shared", "  ", Outcome.PLANNED)]),
        (done(None, "shared"), {"Cost": "theirs"}, [("theirs", None, Outcome.CHANGED)]),
        (done(None, "shared"), {}, []),
        (done("", "shared"), {"Cost": ""}, []),
        (done("", "shared"), {}, [(None, "", Outcome.CHANGED)]),
        (done("stop 2026", None), {}, [(None, "stop 2026", Outcome.PLANNED)]),
        (done(None, "shared"), None, [(None, None, Outcome.GONE)]),
        (Change("Cost", None, "shared", 9, "why", Outcome.FAILED), {"Cost": "shared"}, []),
    ],
)
def test_what_undoes_a_change(change, tags, expected):
    turned = turned_round(finding(change), None if tags is None else there(**tags))
    assert [(one.old, one.new, one.outcome) for one in turned.changes] == expected


def test_a_stop_is_told_and_not_undone():
    turned = turned_round(finding(act=Act.STOP, act_outcome=Outcome.DONE), there())
    assert not turned.will_change
    assert "stop" in turned.notes[0]


def test_a_run_is_undone_wherever_nobody_changed_it_since(instances, write_rules, run_rules, operator, cloud):
    write_rules(*ARTICLE)
    new, filled, theirs, gone = instances.launch({"Name": "a"}, {"ProjectCode": ""}, {"Name": "c"}, {"Name": "d"})
    run = run_rules()
    instances.set_tag(theirs, "ProjectCode", "theirs")
    instances.ec2.terminate_instances(InstanceIds=[gone])
    undoing = undo.start(run, by=operator, now=datetime.now(UTC))
    assert undoing.kind is Kind.UNDO
    undone = engine.step(undoing.run_id, until=time.monotonic() + 600)
    assert undone.state is State.DONE
    assert instances.tags(new) == {"Name": "a"}
    assert instances.tags(filled) == {"ProjectCode": ""}
    assert instances.tags(theirs) == {"Name": "c", "ProjectCode": "theirs"}
    assert runs.get(run.run_id).undone_by == undone.run_id
    outcomes = {change.key: change.outcome for change in all_of(undone)[theirs].changes}
    assert outcomes == {"ProjectCode": Outcome.CHANGED, "CreatedBy": Outcome.DONE}
    assert undone.gone == 1
    with pytest.raises(undo.NothingToUndo):
        undo.start(runs.get(run.run_id), by=operator, now=datetime.now(UTC))


def test_a_run_that_changed_nothing_cannot_be_undone(instances, write_rules, run_rules, operator):
    write_rules(*ARTICLE)
    instances.launch({"Name": "a"})
    for run in (run_rules(Kind.PREVIEW), run_rules(most_changes=0)):
        with pytest.raises(undo.NothingToUndo):
            undo.start(run, by=operator, now=datetime.now(UTC))


def test_a_tag_that_was_set_at_the_last_moment_survives_its_undoing(
    instances, write_rules, run_rules, operator, monkeypatch
):
    from policies import applying

    write_rules(ARTICLE[0])
    [one] = instances.launch({"Name": "a"})
    run = run_rules()
    undoing = undo.start(run, by=operator, now=datetime.now(UTC))
    real = applying.instances.untag

    def set_first(*args):
        instances.set_tag(one, "ProjectCode", "just now")
        return real(*args)

    monkeypatch.setattr(applying.instances, "untag", set_first)
    engine.step(undoing.run_id, until=time.monotonic() + 600)
    assert instances.tags(one)["ProjectCode"] == "just now"


def test_a_region_that_cannot_be_read_is_undone_another_time(instances, write_rules, run_rules, operator, monkeypatch):
    from policies import reading

    write_rules({**ARTICLE[0], "Regions": ["eu-west-1", "us-east-1"]})
    [here], [there] = instances.launch({"Name": "a"}), instances.launch({"Name": "b"}, region="us-east-1")
    run = run_rules()
    real = reading.instances.some

    def some(region, ids):
        if region == "us-east-1":
            raise reading.instances.Unavailable("AuthFailure")
        return real(region, ids)

    with monkeypatch.context() as patch:
        patch.setattr(reading.instances, "some", some)
        undoing = undo.start(run, by=operator, now=datetime.now(UTC))
        undone = engine.step(undoing.run_id, until=time.monotonic() + 600)
    assert instances.tags(here) == {"Name": "a"}
    assert instances.tags(there, region="us-east-1")["ProjectCode"] == "Proj007"
    assert (undone.changed, undone.failed) == (1, 1)
    again = undo.start(runs.get(run.run_id), by=operator, now=datetime.now(UTC))
    engine.step(again.run_id, until=time.monotonic() + 600)
    assert instances.tags(there, region="us-east-1") == {"Name": "b"}
