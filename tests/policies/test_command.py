"""`manage.py enforce_policies`, as somebody in a shell uses it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from policies import lease
from portal.dynamo.values import from_item
from tests.policies.test_untagged import set_mark

COST = {"RuleId": 9, "TagKey": "Cost", "Action": "Update", "Required": "Y", "Default": "shared"}


def test_it_applies_the_rules_and_sums_up(instances, write_rules, cloud, capsys):
    write_rules(COST)
    [one] = instances.launch({"Name": "web"})
    call_command("enforce_policies")
    assert instances.tags(one)["Cost"] == "shared"
    assert "1 instances read, 1 changed, 0 failed." in capsys.readouterr().out
    assert [entry["Action"] for entry in map(from_item, cloud.items("audit"))] == ["started a run of the tag policies"]


def test_a_dry_run_says_what_it_would_change(instances, write_rules, capsys):
    write_rules(COST)
    [one] = instances.launch({"Name": "a\u202eb"})
    call_command("enforce_policies", "--dry-run")
    assert "Cost" not in instances.tags(one)
    out = capsys.readouterr().out
    assert f"{one} a\\u202eb: Cost = shared" in out
    assert "1 would change" in out


def test_only_one_vpc(instances, write_rules, capsys):
    write_rules(COST)
    instances.launch({"Name": "here"})
    [there] = instances.launch({"Name": "there"}, vpc_id="vpc-0fedcba9876543210")
    call_command("enforce_policies", "--vpc", "vpc-0fedcba9876543210")
    assert instances.tags(there)["Cost"] == "shared"
    assert "1 instances read, 1 changed" in capsys.readouterr().out


def test_the_cap_ends_it_with_an_error(instances, write_rules, capsys):
    write_rules(COST)
    [one] = instances.launch({"Name": "web"})
    with pytest.raises(SystemExit):
        call_command("enforce_policies", "--most", "0")
    assert "Stopped before anything was changed" in capsys.readouterr().err
    assert "Cost" not in instances.tags(one)


def test_it_says_so_while_another_run_is_under_way(instances, write_rules):
    write_rules(COST)
    with lease.taken("write"), pytest.raises(CommandError, match="Another run is under way"):
        call_command("enforce_policies")


@pytest.mark.parametrize(
    "arguments", [["--vpc", "nonsense"], ["--most", "-1"], ["--percent", "200"], ["--percent", "x"], ["--most", ""]]
)
def test_what_makes_no_sense_is_refused(instances, write_rules, arguments):
    write_rules(COST)
    [one] = instances.launch({"Name": "web"})
    with pytest.raises(CommandError):
        call_command("enforce_policies", *arguments)
    assert instances.tags(one) == {"Name": "web"}


def test_it_says_what_it_ended(instances, write_rules, capsys):
    write_rules({**COST, "Untagged": "terminate"})
    [one] = instances.launch({})
    set_mark(instances, one, "terminate", datetime.now(UTC) - timedelta(hours=1))
    call_command("enforce_policies")
    out = capsys.readouterr().out
    assert f"{one}: terminate (done)" in out
    assert "1 of them stopped or terminated." in out


def test_without_rules_it_says_why_nothing_was_read(instances, capsys):
    call_command("enforce_policies", "--dry-run")
    assert "No rule is enabled" in capsys.readouterr().out


def test_it_ends_no_more_than_the_hourly_run_may_unless_it_is_told_to(instances, write_rules, settings):
    write_rules({**COST, "Untagged": "terminate"})
    some = instances.launch(*[{} for _ in range(11)])
    for one in some:
        set_mark(instances, one, "terminate", datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(SystemExit):
        call_command("enforce_policies")
    assert {instances.state(one) for one in some} == {"running"}
    call_command("enforce_policies", "--most-ended", "11")
    assert {instances.state(one) for one in some} == {"terminated"}


def test_a_terminal_sees_how_far_it_is(instances, write_rules, capsys, monkeypatch):
    write_rules(COST)
    instances.launch({"Name": "web"})
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    call_command("enforce_policies")
    shown = capsys.readouterr().err
    assert "reading: 1 instances read, 1 to change" in shown
    assert "done: 1 instances read, 1 to change, 1 changed" in shown
