"""A run whose process is killed between two calls of EC2: what it did is in the record, and the rest is done once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

from policies import engine, lease
from policies.instance import Outcome
from policies.runs import State
from tests.policies.conftest import all_of, newest_runs

COST = {"RuleId": 9, "TagKey": "Cost", "Action": "Update", "Required": "Y", "Default": "shared"}
TEAM = {"RuleId": 10, "TagKey": "Team", "Action": "Update", "Required": "Y", "Default": "core"}
PATIENCE_SECONDS = 60


def test_kill_9_loses_no_record_of_what_was_changed(instances, write_rules, cloud, monkeypatch):
    write_rules(COST, TEAM)
    some = instances.launch({"Name": "a", "Team": "own"}, {"Name": "b", "Cost": "own"})
    # The first call is answered; the second is still under way when the power goes.
    cloud.faults.add(service="ec2", action="CreateTags", kind="delay", delay_seconds=20, skip=1)
    environment = {
        **os.environ,
        **cloud.cloud.portal_environment(cloud.outputs),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    command = [sys.executable, "manage.py", "enforce_policies"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not any({"Cost", "Team"} <= instances.tags(one).keys() for one in some):
        assert process.poll() is None
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    process.kill()
    process.wait()
    cloud.faults.clear()

    [run] = newest_runs()
    assert run.state is State.APPLYING
    planned = {one: finding.changes[0].old for one, finding in all_of(run).items()}
    assert planned == dict.fromkeys(some)
    # Its lease runs out.
    later = SimpleNamespace(time=lambda: time.time() + lease.SECONDS + 1, monotonic=time.monotonic)
    monkeypatch.setattr(lease, "time", later)
    run = engine.step(run.run_id, until=time.monotonic() + 600)
    assert (run.state, run.changed) == (State.DONE, 2)
    assert all({"Cost", "Team"} <= instances.tags(one).keys() for one in some)
    assert {change.outcome for one in all_of(run).values() for change in one.changes} == {Outcome.DONE}
