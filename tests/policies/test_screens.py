"""The runs in the admin: the list, the progress, the report and its CSV, and who may."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from policies import findings
from policies.instance import Act, Change, Finding, Lookup, Outcome
from policies.progress_words import duration
from policies.report_table import PER_PAGE, harmless
from policies.runs import OVER, Kind, State, TagCount, new, runs
from tests.html import page_problems, problems
from tests.policies.conftest import ARTICLE
from tests.rides.test_admin import text

pytestmark = pytest.mark.usefixtures("sent")


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
