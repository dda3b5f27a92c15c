"""How a run is started in the admin, cancelled and undone: what is asked first, and what comes of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from policies import engine, stored
from policies.deadline import deadline_tag
from policies.instance import Act, Change, Outcome
from policies.models import TagPolicy
from policies.runs import Kind, State, runs
from tests.html import page_problems
from tests.policies.conftest import ARTICLE
from tests.policies.test_screens import LIST, START, put, some_finding, url
from tests.rides.test_admin import audited, text

pytestmark = pytest.mark.usefixtures("sent")


# --- Starting ---------------------------------------------------------------------------------------------------------


def test_an_operator_runs_the_rules_with_a_cap(asks, write_rules, sent, cloud):
    write_rules(*ARTICLE)
    page = asks.get(START)
    form = page.context["form"]
    assert (form["most_changes"].value(), form["most_percent"].value()) == (500, 50)
    assert not page_problems(page.content.decode())
    response = asks.post(START, {"most_changes": "20", "most_percent": "", "vpc_ids": "vpc-0a1b2c3d\nvpc-1a1b2c3d"})
    (run_id,) = sent
    assert response["Location"] == f"{LIST}{run_id}/change/"
    run = runs.get(run_id)
    assert (run.kind, run.most_changes, run.most_percent) == (Kind.ENFORCE, 20, None)
    assert run.vpc_ids == ("vpc-0a1b2c3d", "vpc-1a1b2c3d")
    assert len(run.rules) == 3
    assert not run.is_partial
    (entry,) = audited(cloud)
    assert entry["Action"] == "started a run of the tag policies"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("most_changes", "-1"),
        ("most_changes", "many"),
        ("most_percent", "101"),
        ("most_percent", "1.5"),
        ("vpc_ids", "vpc-1"),
        ("vpc_ids", "vpc-0a1b2c3d, vpc-1a1b2c3d"),
    ],
)
def test_a_cap_that_makes_no_sense_is_refused_beside_its_field(asks, write_rules, sent, field, value):
    write_rules(*ARTICLE)
    response = asks.post(START, {"most_changes": "20", "most_percent": "50", "vpc_ids": "", field: value})
    assert response.context["form"].errors.keys() == {field}
    assert not page_problems(response.content.decode())
    assert not sent


def test_without_an_enabled_rule_there_is_nothing_to_run(asks, write_rules, sent):
    write_rules({**ARTICLE[0], "Enabled": "N"}, {"RuleId": 7, "TagKey": 5})
    page = asks.get(START)
    assert "there is nothing to run" in text(page)
    assert not page_problems(page.content.decode())
    asks.post(START, {"most_changes": "20", "most_percent": "50", "vpc_ids": ""})
    assert not sent


def test_exactly_what_was_previewed_is_run(asks, write_rules, sent):
    write_rules(*ARTICLE)
    asks.post("/admin/policies/tagpolicy/", {"action": "preview_selected", "_selected_action": ["1", "3"]})
    preview = runs.get(sent[0])
    runs.replace(preview.model_copy(update={"state": State.DONE, "read": 900, "to_change": 37}), was=preview)
    page = asks.get(f"{START}?preview={preview.run_id}")
    form = page.context["form"]
    assert (form["most_changes"].value(), form["most_percent"].value()) == (37, None)
    assert "37 of 900 instances would change" in text(page)
    asks.post(f"{START}?preview={preview.run_id}", {"most_changes": "37", "most_percent": "", "vpc_ids": ""})
    run = runs.get(sent[1])
    assert {int(one["RuleId"]) for one in run.rules} == {1, 3}
    assert run.is_partial


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([{**ARTICLE[0], "Default": "Proj008"}], "Rule 1 is not what it was."),
        ([{**ARTICLE[0], "Untagged": "terminate"}], "Rule 1 is not what it was."),
        ([{**ARTICLE[0], "RuleId": 9, "TagKey": "Team"}], "Rule 9 was added."),
    ],
)
def test_what_is_not_as_it_was_previewed_is_not_run(asks, write_rules, sent, now, said):
    write_rules(ARTICLE[0])
    asks.post("/admin/policies/tagpolicy/preview/")
    write_rules(*now)
    address = f"{START}?preview={sent[0]}"
    assert said in text(asks.get(address))
    response = asks.post(address, {"most_changes": "", "most_percent": "", "vpc_ids": ""})
    assert said in text(response)
    assert len(sent) == 1


def test_a_rule_that_is_not_saved_is_not_run(asks, cloud, sent):
    unsaved = {"tag_key": "Team", "action": "Update", "default": "red", "untagged": "terminate"}
    asks.post("/admin/policies/tagpolicy/add/", unsaved | {"grace_days": "7", "order": "0", "_preview": "Preview"})
    address = f"{START}?preview={sent[0]}"
    assert "Rule 1 is not saved." in text(asks.get(address))
    asks.post(address, {"most_changes": "", "most_percent": "", "vpc_ids": ""})
    assert len(sent) == 1


HARSH = {**ARTICLE[0], "RuleId": 5, "TagKey": "Team", "Untagged": "stop", "GraceDays": 1}
HARSHER = {**HARSH, "RuleId": 200, "TagKey": "Cost", "Untagged": "terminate"}
CAP = {"most_changes": "20", "most_percent": "", "vpc_ids": ""}


def previewed(sent, **facts):
    preview = runs.get(sent[-1])
    preview = preview.model_copy(update={"state": State.DONE, "read": 9, "to_change": 3, "open": None, **facts})
    runs.replace(preview, was=runs.get(sent[-1]))
    return preview


def test_how_many_would_be_ended_is_said_before_and_must_be_understood(asks, write_rules, sent):
    write_rules(ARTICLE[0], HARSH, HARSHER)
    asks.post("/admin/policies/tagpolicy/preview/")
    preview = previewed(sent, planned_acts={"mark": 2, "terminate": 1})
    said = "1 instance would be terminated now, 2 would be marked."
    page = asks.get(url(preview) + "/").content.decode()
    assert f'<strong class="harsh">{said}</strong>' in page
    assert not page_problems(page)
    address = f"{START}?preview={preview.run_id}"
    page = asks.get(address)
    assert f'<strong class="harsh">{said}</strong>' in page.content.decode()
    assert '<button class="button danger" type="submit">Run now</button>' in page.content.decode()
    assert "I understand that 1 instance is terminated" in text(page)
    assert "stops what has no tags after 1 day" in text(page)
    assert not page_problems(page.content.decode())
    refused = asks.post(address, CAP)
    assert refused.context["form"].errors.keys() == {"sure"}
    assert not page_problems(refused.content.decode())
    assert len(sent) == 1
    asks.post(address, CAP | {"sure": "on"})
    # No more than what was understood.
    assert runs.get(sent[1]).most_ended == 1
    assert "1 stopped or terminated" in text(asks.get(f"{LIST}{sent[1]}/change/"))


def test_without_a_preview_stern_rules_are_named_and_must_be_understood(asks, write_rules, sent):
    write_rules(ARTICLE[0], HARSH, HARSHER)
    page = asks.get(START)
    assert "Rules 5 and 200 stop or terminate instances whose time is up ; preview to see which." in text(page)
    assert not page_problems(page.content.decode())
    assert asks.post(START, CAP).context["form"].errors.keys() == {"sure"}
    assert not sent
    asks.post(START, CAP | {"sure": "on"})
    assert runs.get(sent[0]).most_ended is None
    write_rules({**HARSH, "Enabled": "N"}, {**HARSHER, "Enabled": "N"})
    assert "I understand" not in text(asks.get(START))


def test_what_ends_none_in_the_preview_ends_none(asks, write_rules, sent):
    write_rules(HARSH)
    asks.post("/admin/policies/tagpolicy/preview/")
    preview = previewed(sent, planned_acts={"mark": 1})
    page = text(asks.get(f"{START}?preview={preview.run_id}"))
    assert "1 instance would be marked." in page
    assert "Rule 5 stops instances whose time is up. In the preview there was none" in page
    assert "I understand" not in page
    asks.post(f"{START}?preview={preview.run_id}", CAP)
    assert runs.get(sent[1]).most_ended == 0


def test_the_numbers_of_a_preview_are_those_of_the_instances(asks, write_rules, run_rules, instances, sent):
    write_rules(HARSH)
    early, _, _ = instances.launch({}, {}, {})
    due = datetime.now(UTC) - timedelta(minutes=1)
    mark = deadline_tag(Act.STOP, due, instance_id=early, seal=stored.seal)
    instances.set_tag(early, "portico:deadline", mark)
    preview = run_rules(Kind.PREVIEW)
    assert "1 instance would be stopped now, 2 would be marked." in text(asks.get(url(preview) + "/"))
    asks.post(f"{START}?preview={preview.run_id}", CAP | {"sure": "on"})
    run = engine.step(sent[-1], until=time.monotonic() + 600)
    assert "1 stopped, 2 marked" in text(asks.get(url(run) + "/"))
    assert instances.state(early) in ("stopping", "stopped")


def test_malformed_rules_are_no_obstacle_and_are_named_where_a_run_is_confirmed(asks, write_rules, sent):
    odd = [{"RuleId": number, "TagKey": 5} for number in range(10, 15)]
    write_rules(ARTICLE[0], *odd)
    asks.post("/admin/policies/tagpolicy/preview/")
    preview = previewed(sent)
    for address in (START, f"{START}?preview={preview.run_id}", url(preview) + "/"):
        page = asks.get(address)
        assert "5 rules are malformed and skipped Rule 10: TagKey must be" in text(page)
        assert "<details>" in page.content.decode()
        assert not page_problems(page.content.decode())
    asks.post(f"{START}?preview={preview.run_id}", CAP)
    assert len(sent) == 2


# --- Cancelling and undoing -------------------------------------------------------------------------------------------


def test_a_run_is_cancelled_once(asks, cloud, operator):
    run = put(Kind.ENFORCE, state=State.READING)
    assert "Cancel" in text(asks.get(url(run) + "/"))
    response = asks.post(url(run, "cancel/"), follow=True)
    assert "stops before its next step" in text(response)
    assert runs.get(run.run_id).cancel_asked
    (entry,) = audited(cloud)
    assert (entry["Object"], entry["ActorSub"]) == (f"policies.policyrun/{run.run_id}", operator.sub)
    over = put(Kind.ENFORCE)
    assert "This run was over already." in text(asks.post(url(over, "cancel/"), follow=True))
    # Whoever had to sign in first comes back with a GET.
    assert asks.get(url(over, "cancel/"))["Location"] == url(over) + "/"


def test_undoing_says_what_it_restores_and_which_rules_would_do_it_again(asks, write_rules, sent, cloud):
    write_rules(*ARTICLE[:2], {**ARTICLE[2], "Enabled": "N"})
    done = some_finding(1, Change("ProjectCode", None, "Proj007", 1, "Missing", Outcome.DONE))
    late = some_finding(
        2, Change("Expires", "", "x", 3, "", Outcome.DONE), Change("CreatedBy", "", "m", 2, "", Outcome.GONE)
    )
    run = put(Kind.ENFORCE, done, late, changed=1, rules=tuple(ARTICLE))
    page = asks.get(url(run, "undo/"))
    shown = text(page)
    assert "This run changed 1 instance." in shown
    assert "These rules changed something in it, are still enabled" in shown
    assert "Rule 1: ProjectCode" in shown
    assert "Rule 2: CreatedBy" not in shown  # it changed nothing
    assert "Rule 3: Expires" not in shown  # it is disabled
    assert not page_problems(page.content.decode())
    response = asks.post(url(run, "undo/"))
    (run_id,) = sent
    assert response["Location"] == f"{LIST}{run_id}/change/"
    undoing = runs.get(run_id)
    assert (undoing.kind, undoing.undoes) == (Kind.UNDO, run.run_id)
    assert f'<a href="{url(run)}/">another run</a>' in asks.get(response["Location"]).content.decode()


def test_the_rules_are_switched_off_together_with_the_undoing(asks, write_rules, sent, cloud):
    harsh = {**ARTICLE[0], "RuleId": 5, "TagKey": "Team", "Untagged": "stop"}
    write_rules(*ARTICLE, harsh)
    done = some_finding(1, Change("ProjectCode", None, "Proj007", 1, "Missing", Outcome.DONE))
    mark = Change("portico:deadline", None, "stop 2026-12-04T09:00:00Z", 0, "", Outcome.DONE)
    marked = some_finding(2, mark, act=Act.MARK, planned_act=Act.STOP, act_outcome=Outcome.DONE)
    run = put(Kind.ENFORCE, done, marked, changed=2, rules=(*ARTICLE, harsh))
    assert "Rule 5: Team" in text(asks.get(url(run, "undo/")))
    asks.post(url(run, "undo/"), {"switch_off": "yes"})
    assert len(sent) == 1
    assert {int(one.pk) for one in TagPolicy.stored() if not one.enabled} == {1, 5}
    entries = [one for one in audited(cloud) if one["Action"] == "changed"]
    assert {one["Object"] for one in entries} == {"policies.tagpolicy/1", "policies.tagpolicy/5"}
    assert entries[0]["Changes"] == [{"Field": "enabled", "From": "yes", "To": "no"}]


def test_a_run_of_which_only_perhaps_anything_was_changed_can_be_undone(asks, cloud, sent):
    change = Change("Team", None, "x", 1, "Missing", Outcome.UNKNOWN)
    run = put(Kind.ENFORCE, some_finding(1, change), unsure=1)
    shown = text(asks.get(url(run) + "/"))
    assert "Perhaps changed 1" in shown
    assert "Undo this run" in shown
    assert "perhaps 1 more" in text(asks.get(url(run, "undo/")))
    assert len(asks.get(f"{url(run)}/?outcome=not known").context["findings"]) == 1
    asks.post(url(run, "undo/"))
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (Kind.PREVIEW, {"changed": 1}),
        (Kind.UNDO, {"changed": 1, "undoes": "x"}),
        (Kind.ENFORCE, {"changed": 0}),
        (Kind.ENFORCE, {"changed": 1, "undone_by": "y"}),
        (Kind.ENFORCE, {"changed": 1, "state": State.APPLYING}),
        # It says that it changed something, but no finding does.
        (Kind.ENFORCE, {"changed": 1}),
    ],
)
def test_what_cannot_be_undone_is_not(asks, cloud, sent, kind, facts):
    run = put(kind, some_finding(1, notes=["Nothing"]), **facts)
    assert "There is nothing in this run that can be undone." in text(asks.post(url(run, "undo/"), follow=True))
    assert not sent
