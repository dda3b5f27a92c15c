"""Tag policies in a browser: a rule is written, previewed, run, read about and undone; an auditor looks on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from playwright.sync_api import expect

from policies import tasks
from policies.instance import Act, Change, Finding, Outcome
from policies.runs import Kind, State, TagCount, runs
from tests.browser.test_look import SIZES, look, shown, violations
from tests.policies.conftest import ARTICLE, instances, write_rules  # noqa: F401 - fixtures
from tests.policies.test_screens import put

RULES = "/admin/policies/tagpolicy/"
RUNS = "/admin/policies/policyrun/"
LONG = "A key that somebody made long, " * 3


class Context:
    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 900_000


@pytest.fixture
def work(cloud):
    """Return a function that does what the worker does with the one run that is in the queue."""
    sqs = cloud.admin("sqs")

    def take():
        (message,) = sqs.receive_message(QueueUrl=settings.POLICY_RUNS_QUEUE_URL, WaitTimeSeconds=5)["Messages"]
        sqs.delete_message(QueueUrl=settings.POLICY_RUNS_QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
        tasks.go_on({"Records": [{"body": message["Body"]}]}, Context())

    return take


def test_an_operator_writes_previews_runs_reads_and_undoes_while_an_auditor_cannot(
    page,
    browser,
    portal_url,
    sign_in,
    operator,
    auditor,
    instances,  # noqa: F811
    work,
    cloud,
):
    missing, empty, theirs = instances.launch({"Name": "web"}, {"ProjectCode": ""}, {"ProjectCode": "Mine"})
    sign_in(operator)
    page.goto(RULES)
    page.get_by_role("link", name="Add a rule").first.click()
    page.get_by_label("Tag key").fill("ProjectCode")
    page.get_by_label("Action").select_option("Update")
    page.get_by_label("Value:", exact=True).fill("Proj007")
    page.get_by_role("button", name="Preview").click()

    # A preview writes nothing, not even the rule.
    expect(page.get_by_role("heading", name="Preview of")).to_be_visible()
    expect(page.get_by_text("Waiting for its turn").first).to_be_visible()
    work()
    expect(page.get_by_text("Nothing was written. 2 of 3 instances would change.")).to_be_visible()
    expect(page.get_by_role("row", name=missing)).to_contain_text("ProjectCode: missing → Proj007")
    expect(page.get_by_role("row", name=empty)).to_contain_text("ProjectCode: empty → Proj007")
    assert "ProjectCode" not in instances.tags(missing)
    assert not cloud.items("tag_policies")

    page.get_by_role("link", name="Back to the form").click()
    expect(page.get_by_label("Tag key")).to_have_value("ProjectCode")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    page.get_by_role("button", name="Preview all").click()
    expect(page.get_by_role("heading", name="Preview of")).to_be_visible()
    work()
    page.get_by_role("link", name="Run exactly this").click()
    expect(page.get_by_label("More than so many instances")).to_have_value("2")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", name="Run of")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    work()

    expect(page.get_by_role("row", name=missing)).to_contain_text("done")
    expect(page.get_by_role("row", name=missing)).to_contain_text("rule 1 requires it")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert [instances.tags(one)["ProjectCode"] for one in (missing, empty, theirs)] == ["Proj007", "Proj007", "Mine"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename.startswith("tag-policies-")
    report = page.url

    # A page of its own: the browser notes the 403 in its console.
    theirs_context = browser.new_context(base_url=portal_url)
    other = theirs_context.new_page()
    other.goto(report)
    other.get_by_label("User name or e-mail").fill(auditor.username)
    other.get_by_label("Password", exact=True).fill(auditor.password)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("row", name=missing)).to_contain_text("done")
    expect(other.get_by_role("link", name="Undo this run")).to_have_count(0)
    other.goto(RULES)
    expect(other.get_by_role("link", name="ProjectCode")).to_be_visible()
    expect(other.get_by_role("button", name="Preview all")).to_have_count(0)
    expect(other.get_by_role("link", name="Run now")).to_have_count(0)
    assert other.goto(f"{RUNS}start/").status == 403
    assert other.goto(f"{report}../undo/").status == 403
    theirs_context.close()

    page.get_by_role("link", name="Undo this run").click()
    expect(page.get_by_text("are still enabled and would do the same again")).to_be_visible()
    expect(page.get_by_role("link", name="Rule 1: ProjectCode")).to_be_visible()
    page.get_by_role("button", name="Yes, undo it").click()
    expect(page.get_by_role("heading", name="Undoing of")).to_be_visible()
    work()
    expect(page.get_by_role("row", name=missing)).to_contain_text("ProjectCode: Proj007 → taken away")
    assert "ProjectCode" not in instances.tags(missing)
    assert [instances.tags(one)["ProjectCode"] for one in (empty, theirs)] == ["", "Mine"]
    page.goto(report)
    expect(page.get_by_text("This run was undone.")).to_be_visible()


def test_the_form_asks_for_what_the_action_needs(page, sign_in, operator, cloud):
    sign_in(operator)
    page.goto(f"{RULES}add/")
    value = page.locator("#id_default")
    page.get_by_label("Action").select_option("UserLookup")
    expect(value).to_be_hidden()
    page.get_by_label("Action").select_option("Function")
    expect(page.get_by_label("Value:", exact=True)).to_be_visible()
    expect(page.get_by_text("launch_date()", exact=True)).to_be_visible()
    says = page.locator("#function-says")
    value.fill("today()+3x")
    expect(says).to_contain_text("cannot follow today()")
    value.fill("today()+30d")
    expect(says).to_contain_text(f"{datetime.now(UTC).date() + timedelta(days=30)}")
    value.fill("tag(Owner)")
    expect(says).to_contain_text("what it has itself")
    page.get_by_label("Action").select_option("Update")
    expect(says).to_be_hidden()
    sure = page.get_by_label("I understand")
    expect(sure).to_be_hidden()
    page.get_by_label("terminate it when").check()
    expect(sure).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Days of grace")).to_have_value("7")
    page.get_by_label("Tag key").fill("Team")
    value.fill("red")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errors").get_by_text("Tick this if you mean it.")).to_be_visible()
    assert not violations(page)
    page.get_by_label("Nothing more").check()
    expect(sure).to_be_hidden()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()


def test_without_javascript_a_rule_is_written_and_a_run_is_looked_at(browser, portal_url, operator, cloud, work):
    context = browser.new_context(base_url=portal_url, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{RULES}add/")
    page.get_by_label("User name or e-mail").fill(operator.username)
    page.get_by_label("Password", exact=True).fill(operator.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Tag key").fill("Expires")
    page.get_by_label("Action").select_option("Function")
    expect(page.get_by_role("spinbutton", name="Days of grace")).to_be_visible()
    expect(page.get_by_text("For UserLookup: nothing.")).to_be_visible()
    page.get_by_label("Value:", exact=True).fill("today()+30d")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Waiting for its turn").first).to_be_visible()
    work()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("heading", name="Instances", exact=True)).to_be_visible()
    context.close()


def test_what_a_run_does_is_told_politely_and_the_page_asks_no_more_when_it_is_over(page, sign_in, operator, cloud):
    sign_in(operator)
    run = put(Kind.ENFORCE, state=State.READING, read=5)
    page.goto(f"{RUNS}{run.run_id}/change/")
    says = page.get_by_role("status").filter(has_text="Reading the instances.")
    expect(says).to_have_count(1)
    applying = run.model_copy(update={"state": State.APPLYING, "to_change": 40, "changed": 10})
    runs.replace(applying, was=run)
    expect(page.locator("#run-says")).to_have_text("Changing tags.")
    expect(page.get_by_role("progressbar", name="Instances changed")).to_have_attribute("value", "10")
    page.get_by_role("button", name="Cancel").focus()
    runs.replace(applying.model_copy(update={"changed": 11}), was=applying)
    expect(page.get_by_role("progressbar", name="Instances changed")).to_have_attribute("value", "11")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    now = runs.get(run.run_id)
    runs.replace(now.model_copy(update={"state": State.FAILED, "finished_at": datetime.now(UTC)}), was=now)
    expect(page.locator("#progress")).to_contain_text("Failed")
    expect(page.locator("#progress[hx-get]")).to_have_count(0)
    expect(page.get_by_role("heading", name="Instances", exact=True)).to_be_visible()


def test_a_lost_connection_is_told_and_found_again(context, sign_in, operator, cloud):
    sign_in(operator)
    # A page of its own: the browser notes the lost requests in its console.
    page = context.new_page()
    run = put(Kind.ENFORCE, state=State.READING, read=5)
    page.goto(f"{RUNS}{run.run_id}/change/")
    said = page.get_by_role("status").filter(has_text="Not connected; trying again.")
    page.route("**/progress/**", lambda route: route.abort())
    expect(said).to_be_visible()
    page.unroute("**/progress/**")
    expect(said).to_have_count(0)
    runs.replace(run.model_copy(update={"read": 77}), was=run)
    expect(page.locator("#progress")).to_contain_text("77")


def test_what_is_wrong_with_a_rule_is_summed_up_and_linked(page, sign_in, operator, cloud):
    sign_in(operator)
    page.goto(f"{RULES}add/")
    page.get_by_label("Action").select_option("Update")
    page.get_by_label("warn first, and stop").check()
    page.get_by_role("spinbutton", name="Days of grace").fill("0")
    page.get_by_role("button", name="Save", exact=True).click()
    summary = page.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Days of grace").click()
    expect(page.get_by_role("spinbutton", name="Days of grace")).to_be_focused()
    assert not violations(page)


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_pages_are_for_everyone_on_every_screen(page, sign_in, operator, cloud, write_rules, scheme, size):  # noqa: F811
    scope = {"VpcIds": ["vpc-0a1b2c3d4e5f67890"], "TagFilter": LONG, "Untagged": "terminate", "RuleId": 8}
    odd = {"RuleId": 7, "TagKey": 5, "Action": "Delete", "Required": "maybe"}
    write_rules(*ARTICLE, {**ARTICLE[0], **scope, "TagKey": LONG}, odd)
    now = datetime.now(UTC)
    found = [
        Finding(
            f"i-{n:017x}", "eu-west-1", LONG, now, 1, notes=[LONG], owner=LONG,
            changes=[Change(LONG, None if n % 2 else "", "🦄" * 256, 1, LONG, outcome, LONG)],
            act=Act.MARK, planned_act=Act.STOP, deadline=now,
        )
        for n, outcome in enumerate(Outcome)
    ]  # fmt: skip
    tags = {one["TagKey"]: TagCount(present=5, missing=3) for one in ARTICLE} | {LONG: TagCount(missing=4)}
    for hours in (2, 1):
        put(Kind.ENFORCE, tags=tags, now=now - timedelta(hours=hours))
    facts = {
        "tags": tags,
        "rules": tuple(ARTICLE),
        "problems": (LONG,),
        "malformed": (LONG,),
        "changed": 3,
        "failed": 1,
    }
    over, live = put(Kind.ENFORCE, *found, **facts), put(Kind.ENFORCE, state=State.APPLYING, to_change=9, changed=4)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(operator)
    problems = []
    pages = [
        RULES,
        f"{RULES}add/",
        f"{RULES}8/change/",
        f"{RULES}7/change/",
        f"{RULES}8/delete/",
        RUNS,
        f"{RUNS}start/",
    ]
    pages += [f"{RUNS}compliance/", f"{RUNS}{over.run_id}/change/", f"{RUNS}{over.run_id}/undo/"]
    for path in pages:
        problems += look(page, path)
    page.goto(f"{RUNS}{live.run_id}/change/")
    expect(page.get_by_role("progressbar")).to_be_visible()
    problems += shown(page, "a run under way")
    assert not problems, "\n".join(problems)


def test_the_charts_are_drawn_in_the_colours_of_the_page(page, sign_in, operator, cloud):
    now = datetime.now(UTC)
    for hours in range(5):
        tags = {"ProjectCode": TagCount(present=60 + hours, missing=40 - hours)}
        put(Kind.ENFORCE, tags=tags, now=now - timedelta(hours=hours))
    sign_in(operator)
    page.goto(f"{RUNS}compliance/")
    drawn = """selector => {
      const canvas = document.querySelector(selector);
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set();
      for (let i = 0; i < data.length; i += 4) colours.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      return [...colours];
    }"""
    for scheme, verdigris in (("light", "27,106,94"), ("dark", "119,199,181")):
        page.emulate_media(color_scheme=scheme)
        for chart in ("#chart-time", "#chart-tags"):
            page.wait_for_function(f"([chart, colour]) => ({drawn})(chart).includes(colour)", arg=[chart, verdigris])
    page.get_by_text("As a table").click()
    table = page.get_by_role("region", name="Run after run")
    expect(table.get_by_role("row")).to_have_count(6)
    # What does not fit on a phone scrolls inside its box.
    for width in (360, 200):
        page.set_viewport_size({"width": width, "height": 740})
        inside, box = table.bounding_box(), page.locator("section.bay").first.bounding_box()
        assert inside["x"] + inside["width"] <= box["x"] + box["width"]
    assert table.evaluate("one => one.scrollWidth > one.clientWidth && getComputedStyle(one).overflowX == 'auto'")
