"""The runs in the admin: progress, report, CSV, the cap, cancelling, undoing, and compliance over time."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from policies import engine, findings, queue, stored
from policies.compliance import chart, points
from policies.deadline import deadline_tag
from policies.instance import Act, Change, Finding, Lookup, Outcome
from policies.models import TagPolicy
from policies.progress_words import duration
from policies.report_table import PER_PAGE, harmless
from policies.runs import OVER, Kind, State, TagCount, new, runs
from tests.html import page_problems, problems
from tests.policies.conftest import ARTICLE
from tests.rides.test_admin import audited, text

LIST = "/admin/policies/policyrun/"
START = f"{LIST}start/"
NOW = datetime(2026, 11, 27, 11, 20, tzinfo=UTC)
# What a tag can hold: markup, formulas, and 256 emoji.
NASTY = "<img src=x onerror=alert(1)>"
EMOJI = "🦄" * 256


def url(run, what="change"):
    return f"{LIST}{run.run_id}/{what}"


def some_finding(number=1, *changes, **more):
    defaults = {"region": "eu-west-1", "name": "web", "created_at": NOW, "tag_count": 1, "changes": list(changes)}
    return Finding(f"i-{number:08x}", **(defaults | more))


def put(kind=Kind.ENFORCE, *found, state=State.DONE, now=None, **facts):
    """Store a run with its findings."""
    rules = facts.pop("rules", ())
    run = new(kind, now=now or datetime.now(UTC), by_sub="s", by_name="operator", rules=rules)
    number = 0
    for packed in findings.pack(found):
        findings.put(run.run_id, number, packed, expires_at=None)
        number += 1
    facts = {"pages": number, **facts}
    if state in OVER:
        run = run.model_copy(update=facts).over(state, now=run.started_at + timedelta(seconds=72), **facts)
    else:
        run = run.model_copy(update={"state": state, **facts})
    runs.add(run)
    return run


def rows_of(response):
    content = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content)))


@pytest.fixture
def asks(client_for, operator):
    return client_for(operator)


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    some = []
    monkeypatch.setattr(queue, "send", some.append)
    return some


# --- The list and a run's page ----------------------------------------------------------------------------------------


def test_runs_are_listed_by_month_and_found_by_id(asks, cloud):
    run = put(Kind.ENFORCE, changed=1234, failed=2)
    put(Kind.PREVIEW)
    put(Kind.LAUNCH, state=State.FAILED, by_sub="", by_name="")
    put(Kind.ENFORCE, now=datetime.now(UTC) - timedelta(days=70), by_name="somebody of old")
    response = asks.get(LIST)
    shown = text(response)
    for said in ("Run finished operator", "1,234", "Preview", "Run for new instances failed a launch of instances"):
        assert said in shown
    assert "somebody of old" not in shown
    assert asks.get(f"{LIST}?q={run.run_id}")["Location"] == url(run) + "/"
    assert "Nothing found" in text(asks.get(f"{LIST}?q=nothing"))
    assert not page_problems(response.content.decode())


def test_a_run_under_way_is_polled_until_it_is_over(asks, cloud):
    run = put(Kind.ENFORCE, state=State.APPLYING, read=100, to_change=40, changed=10, failed=1)
    page = asks.get(url(run) + "/").content.decode()
    assert 'hx-trigger="every 1s"' in page
    assert re.search(r'<progress value="11" max="40"', page)
    assert '<p id="run-says" class="hidden-text" role="status">Changing tags.</p>' in page
    assert not page_problems(page)
    part = asks.get(url(run, "progress/?state=APPLYING"))
    # What has not changed is not said aloud again.
    assert "run-says" not in part.content.decode()
    assert not problems(part.content.decode())
    assert "HX-Refresh" not in part
    runs.replace(run.model_copy(update={"state": State.DONE}), was=run)
    part = asks.get(url(run, "progress/?state=APPLYING"))
    assert '<p id="run-says" hx-swap-oob="innerHTML">Finished.</p>' in part.content.decode()
    assert part["HX-Refresh"] == "true"
    assert "hx-get" not in asks.get(url(run) + "/").content.decode()


def test_the_report_says_what_was_found_done_and_why(asks, cloud):
    run = put(
        Kind.ENFORCE,
        some_finding(1, Change("ProjectCode", None, "Proj007", 1, "Missing; rule 1 requires it", Outcome.DONE)),
        some_finding(2, Change("Expires", "", "2026-11-27", 3, "Empty", Outcome.FAILED, "No permission"), owner="mary"),
        some_finding(3, lookups=[Lookup("CreatedBy", None, 2)], notes=["It had no tags."]),
        some_finding(4, act=Act.MARK, planned_act=Act.STOP, deadline=NOW + timedelta(days=7), act_outcome=Outcome.DONE),
        some_finding(5, Change("Team", "red", None, 1, "Undone", Outcome.CHANGED)),
        problems=("CloudTrail did not answer; creators wait for the next run.",),
        malformed=("Rule 7: Required must be Y or N.",),
        read=10,
        matched=9,
        to_change=4,
        changed=2,
        failed=1,
        most_changes=500,
        most_percent=50,
        tags={"ProjectCode": TagCount(present=6, missing=3)},
        rules=tuple(ARTICLE),
    )
    response = asks.get(url(run) + "/")
    shown = text(response)
    for said in (
        "Finished 1 min 12 s",
        "at most 500 instances or 50 %",
        "CloudTrail did not answer; creators wait for the next run.",
        "Malformed, and skipped: Rule 7: Required must be Y or N.",
        "ProjectCode 6 3",
        "i-00000001 web eu-west-1",
        "ProjectCode : missing → Proj007 Missing; rule 1 requires it done",
        "Expires : empty → 2026-11-27 Empty No permission failed",
        "CreatedBy : who launched it is not known yet",
        "It had no tags.",
        "Owner: mary",
        "Marked: stop at 04 Dec 2026, 11:20 UTC",
        "Team : red → taken away Undone changed meanwhile",
        "Rule 1: ProjectCode gives Proj007 where it is missing or empty",
    ):
        assert said in shown
    assert not page_problems(response.content.decode())


def test_a_long_report_has_pages_and_filters(asks, cloud):
    planned = [some_finding(n, Change("Team", None, "x", 1, "Missing", Outcome.DONE)) for n in range(1, 611)]
    failed = [some_finding(n, Change("Team", None, "x", 1, "Missing", Outcome.FAILED, "No")) for n in range(611, 731)]
    run = put(Kind.ENFORCE, *planned, *failed, some_finding(999, notes=["Noted"]))
    assert run.pages == 2
    seen = []
    address = url(run) + "/"
    while address:
        context = asks.get(address).context
        assert len(context["findings"]) <= PER_PAGE
        seen += [one.instance_id for one in context["findings"]]
        address = f"{url(run)}/?from={context['following']}" if context["following"] else ""
    assert seen == [one.instance_id for one in [*planned, *failed]] + ["i-000003e7"]
    first = asks.get(f"{url(run)}/?outcome=failed")
    assert [one.instance_id for one in first.context["findings"]] == [one.instance_id for one in failed[:PER_PAGE]]
    assert f"?outcome=failed&amp;from={first.context['following']}#report" in first.content.decode()
    rest = asks.get(f"{url(run)}/?outcome=failed&from={first.context['following']}")
    assert len(rest.context["findings"]) == 20
    assert not rest.context["following"]
    assert [one.instance_id for one in asks.get(f"{url(run)}/?outcome=noted").context["findings"]] == ["i-000003e7"]
    assert asks.get(f"{url(run)}/?from=9.9").status_code == 200
    assert asks.get(f"{url(run)}/?from=x").status_code == 404


def test_a_long_report_reads_no_more_than_the_page_that_is_asked_for(asks, cloud):
    many = [some_finding(n, Change("Team", None, "x", 1, "Missing", Outcome.DONE)) for n in range(2000)]
    run = put(Kind.ENFORCE, *many)
    cloud.forget_calls()
    asks.get(f"{url(run)}/?from=3.100")
    # The session, the run, and one page of findings.
    assert cloud.calls()["dynamodb", "GetItem"] <= 4


def test_what_ends_an_instance_comes_first_and_is_found_by_a_filter(asks, cloud):
    plain = [some_finding(n, Change("Team", None, "x", 1, "Missing", Outcome.DONE)) for n in range(1, 150)]
    acts = [
        some_finding(200 + n, act=act, act_outcome=outcome, deadline=NOW, planned_act=Act.STOP, is_untagged=True)
        for n, (act, outcome) in enumerate(
            [
                (Act.UNMARK, Outcome.DONE),
                (Act.MARK, Outcome.DONE),
                (Act.STOP, Outcome.FAILED),
                (Act.TERMINATE, Outcome.DONE),
            ]
        )
    ]
    run = put(
        Kind.ENFORCE,
        *plain,
        *acts,
        acts={"terminate": 1, "mark": 1},
        planned_acts={"terminate": 1, "stop": 1, "mark": 1},
    )
    page = asks.get(url(run) + "/")
    assert [one.act for one in page.context["findings"][:5]] == [Act.TERMINATE, Act.STOP, Act.MARK, Act.UNMARK, None]
    shown = text(page)
    assert "Without any tags 1 terminated, 1 marked, 1 not stopped" in shown
    assert "Terminated (deadline was 27 Nov 2026, 11:20 UTC )" in shown
    assert "To be stopped (deadline was 27 Nov 2026, 11:20 UTC )" in shown
    assert [one.act for one in asks.get(f"{url(run)}/?outcome=act").context["findings"]] == [
        Act.TERMINATE, Act.STOP, Act.MARK, Act.UNMARK,
    ]  # fmt: skip
    second = asks.get(f"{url(run)}/?from={page.context['following']}").context["findings"]
    assert len({one.instance_id for one in [*page.context["findings"], *second]}) == 153


@pytest.mark.parametrize(
    ("vpc_ids", "said"),
    [
        ((), "No instance was found."),
        (("vpc-0a1b2c3d",), "No instance was found in vpc-0a1b2c3d: is the id right?"),
        (("vpc-0a1b2c3d", "vpc-1a1b2c3d"), "No instance was found in vpc-0a1b2c3d, vpc-1a1b2c3d: are the ids right?"),
    ],
)
def test_a_run_that_read_nothing_does_not_say_that_all_is_well(asks, cloud, vpc_ids, said):
    assert said in text(asks.get(url(put(vpc_ids=vpc_ids)) + "/"))
    assert "Every instance is as the rules want it." in text(asks.get(url(put(read=3)) + "/"))


def test_the_heading_is_in_the_readers_own_time(asks, cloud):
    run = put(Kind.ENFORCE, now=NOW, state=State.TELLING)
    page = asks.get(url(run) + "/").content.decode()
    assert '<h1>Run of <time datetime="2026-11-27T11:20:00.000Z">27 Nov 2026, 11:20 UTC</time></h1>' in page
    assert "Telling the owners and operators" in page


def test_whoever_asks_for_no_run_is_told(asks, cloud):
    assert "There is no such tagging run." in text(asks.get(f"{LIST}nothing/change/", follow=True))
    for what in ("progress/", "report.csv", "undo/"):
        assert asks.get(f"{LIST}nothing/{what}").status_code == 404
    assert asks.post(f"{LIST}nothing/cancel/").status_code == 404
    assert asks.get(f"{START}?preview=nothing").status_code == 404


# --- Harmless ---------------------------------------------------------------------------------------------------------


def test_markup_and_emoji_are_text_in_the_report(asks, cloud):
    change = Change(NASTY, NASTY, EMOJI, 1, NASTY, Outcome.FAILED, NASTY)
    found = some_finding(1, change, name=NASTY, owner=NASTY, notes=[NASTY], lookups=[Lookup(NASTY, NASTY, 1)])
    rule = {**ARTICLE[0], "TagKey": NASTY, "Default": NASTY}
    run = put(
        Kind.ENFORCE,
        found,
        problems=(NASTY,),
        malformed=(NASTY,),
        tags={NASTY: TagCount(present=1)},
        rules=(rule,),
        by_name=NASTY,
        changed=1,
    )
    for page in (url(run) + "/", LIST, f"{LIST}compliance/", url(run, "undo/")):
        content = asks.get(page).content.decode()
        assert "<img src=x" not in content
        assert not page_problems(content)
    assert EMOJI in asks.get(url(run) + "/").content.decode()
    data = re.search(
        r'id="compliance" type="application/json">(.*?)</script>', asks.get(f"{LIST}compliance/").content.decode()
    )
    assert data
    assert json.loads(data[1])["tags"][0]["key"] == NASTY
    assert "<" not in data[1]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_formula_is_text_in_a_spreadsheet(start):
    assert harmless(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize("value", ["", "Proj007", "a=b", "'quoted", " =1"])
def test_what_is_no_formula_stays_as_it_is(value):
    assert harmless(value) == value


def test_the_csv_has_everything_and_no_formula(asks, cloud):
    change = Change("=1+1", '@SUM("a")', EMOJI, 1, "+why, with a comma\nand a line", Outcome.FAILED, "-error")
    run = put(
        Kind.ENFORCE,
        some_finding(1, change, name="=cmd|' /C calc'!A0", owner="\t=1", notes=["@note"]),
        some_finding(2, lookups=[Lookup("CreatedBy", None, 2)], act=Act.MARK, planned_act=Act.STOP, deadline=NOW),
        *(some_finding(n, Change("Team", None, "red", 1, "Missing", Outcome.DONE)) for n in range(3, 803)),
    )
    response = asks.get(url(run, "report.csv"))
    assert response.streaming
    assert response["Content-Disposition"] == f'attachment; filename="tag-policies-{run.run_id}.csv"'
    rows = rows_of(response)
    assert len(rows) == 804
    assert rows[0] == {
        "Instance": "i-00000001",
        "Name": "'=cmd|' /C calc'!A0",
        "Region": "eu-west-1",
        "Launched": "2026-11-27T11:20:00Z",
        "Owner": "'\t=1",
        "What": "tag",
        "Tag key": "'=1+1",
        "Was": '\'@SUM("a")',
        "Becomes": EMOJI,
        "Rule": "1",
        "Why": "'+why, with a comma\nand a line",
        "Deadline": "",
        "Outcome": "failed",
        "Error": "'-error",
    }
    assert [(one["What"], one["Why"], one["Deadline"]) for one in rows[1:4]] == [
        ("note", "'@note", ""),
        ("not known yet", "", ""),
        ("mark", "then stop", "2026-11-27T11:20:00Z"),
    ]


def test_the_csv_is_compressed_for_whoever_takes_that(asks, cloud):
    why = "Missing; rule 2 requires it. CloudTrail: RunInstances by assumed role Developers, session mary@example.com"
    changes = [Change(key, None, "mary@example.com", 2, why, Outcome.DONE) for key in ("CreatedBy", "Team", "Cost")]
    run = put(Kind.ENFORCE, *(some_finding(n, *changes) for n in range(2000)))
    plain = b"".join(asks.get(url(run, "report.csv")).streaming_content)
    response = asks.get(url(run, "report.csv"), headers={"accept-encoding": "gzip, br"})
    packed = b"".join(response.streaming_content)
    assert (response["Content-Encoding"], response["Vary"]) == ("gzip", "Accept-Encoding, Cookie")
    assert gzip.decompress(packed) == plain
    # So that the report of tens of thousands of instances fits into Lambda's 6 MB.
    assert len(packed) * 10 < len(plain)


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


# --- Compliance -------------------------------------------------------------------------------------------------------


def test_compliance_is_told_over_time_and_by_tag(asks, cloud):
    now = datetime.now(UTC)
    for hours, present in ((3, 50), (2, 75), (1, 90)):
        tags = {"ProjectCode": TagCount(present=present, missing=100 - present), "Team": TagCount(present=10)}
        put(Kind.ENFORCE, now=now - timedelta(hours=hours), tags=tags)
    others = {"ProjectCode": TagCount(missing=100)}
    put(Kind.PREVIEW, tags=others)
    put(Kind.ENFORCE, tags=others, is_partial=True)
    put(Kind.ENFORCE, tags=others, vpc_ids=("vpc-0a1b2c3d",))
    put(Kind.ENFORCE, tags=others, state=State.CANCELLED)
    response = asks.get(f"{LIST}compliance/")
    data = response.context["chart"]
    assert data["all"] == [54.5, 77.3, 90.9]
    assert data["lines"][0] == {"key": "ProjectCode", "percent": [50.0, 75.0, 90.0]}
    assert data["tags"] == [
        {"key": "ProjectCode", "present": 90, "missing": 10},
        {"key": "Team", "present": 10, "missing": 0},
    ]
    shown = text(response)
    assert "90.9 % 100 10" in shown
    assert "ProjectCode 90.0 % 90 10" in shown
    assert "before it changed anything" in shown
    assert "stopped by the cap" not in shown
    put(Kind.ENFORCE, tags=tags, state=State.CAPPED)
    response = asks.get(f"{LIST}compliance/")
    assert response.context["chart"]["capped"] == [False, False, False, True]
    assert "A run that the cap stopped changed nothing" in text(response)
    assert not page_problems(response.content.decode())


def test_without_a_run_compliance_says_how_to_get_one(asks, cloud):
    response = asks.get(f"{LIST}compliance/")
    assert "After the first run of the rules" in text(response)
    assert not page_problems(response.content.decode())


def test_a_tag_that_no_rule_asked_for_then_has_a_gap_in_its_line():
    early = new(Kind.ENFORCE, now=NOW, tags={"Team": TagCount(present=1)}).model_copy(update={"state": State.DONE})
    late = new(Kind.ENFORCE, now=NOW + timedelta(hours=1), tags={"Cost": TagCount(missing=2)})
    late = late.model_copy(update={"state": State.CAPPED})
    drawn = chart(points([late, early]))
    assert drawn["lines"] == [{"key": "Cost", "percent": [None, 0.0]}]
    assert drawn["all"] == [100.0, 0.0]


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_an_auditor_reads_runs_and_has_no_buttons(client_for, auditor, write_rules):
    write_rules(*ARTICLE)
    change = Change("ProjectCode", None, "Proj007", 1, "Missing", Outcome.DONE)
    pages = [put(Kind.ENFORCE, some_finding(1, change), changed=1), put(Kind.PREVIEW, some_finding(1), to_change=1)]
    pages.append(put(Kind.ENFORCE, state=State.READING))
    asks = client_for(auditor)
    for page in (LIST, f"{LIST}compliance/", *(f"{url(one)}/" for one in pages)):
        response = asks.get(page)
        assert response.status_code == 200
        shown = text(response)
        for said in ("Run now", "Preview all", "Undo this run", "Run exactly this", "Cancel"):
            assert said not in shown
    assert asks.get(url(pages[0], "report.csv")).status_code == 200
    assert asks.get(url(pages[0], "progress/")).status_code == 200


def test_an_auditor_starts_cancels_and_undoes_nothing(client_for, auditor, write_rules, sent):
    write_rules(*ARTICLE)
    change = Change("ProjectCode", None, "Proj007", 1, "Missing", Outcome.DONE)
    done, live = put(Kind.ENFORCE, some_finding(1, change), changed=1), put(Kind.ENFORCE, state=State.READING)
    asks = client_for(auditor)
    for path in (START, url(done, "undo/"), url(live, "cancel/"), url(done) + "/", LIST):
        assert asks.post(path, {"most_changes": "", "most_percent": "", "vpc_ids": ""}).status_code == 403
    for path in (START, url(done, "undo/")):
        assert asks.get(path).status_code == 403
    assert not sent
    assert not runs.get(live.run_id).cancel_asked


def test_others_see_no_run(client_for, rider, cloud):
    run = put(Kind.ENFORCE, some_finding(1))
    asks = client_for(rider)
    paths = [LIST, START, f"{LIST}compliance/", url(run) + "/", *(url(run, one) for one in ("report.csv", "progress/"))]
    for path in paths:
        assert asks.get(path).status_code == 403


@pytest.mark.parametrize(
    ("seconds", "said"), [(-3, "0 s"), (0.4, "0 s"), (59, "59 s"), (72, "1 min 12 s"), (7300, "2 h 1 min")]
)
def test_how_long_it_took_is_said(seconds, said):
    assert duration(timedelta(seconds=seconds)) == said
