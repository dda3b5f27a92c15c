"""Every page as a browser has it: axe finds nothing by day and by night, nothing hangs over, no mouse is needed."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.admin.utils import quote
from django.utils import timezone
from playwright.sync_api import expect

from approvals.approval import OPEN_SHELF, STUCK, Fact, Problem, State
from approvals.assignment import How, Mail
from approvals.models import RequestType
from documents.document import Document, Part, documents
from portal.accounts import credentials, identity_pool, people
from rides import dispatch, forms
from rides.rules import Place
from tests.approvals.build import decided, put_approval, put_assignment, put_link
from tests.approvals.conftest import request_type, workflows
from tests.documents.operators import put_render
from tests.streaming.conftest import ask, streaming

__all__ = ["ask", "request_type", "streaming", "workflows"]  # fixtures

HERE = Place(latitude=47.6, longitude=-122.3)
SIZES = {"phone": (360, 740), "tablet": (768, 1024), "wide": (1440, 900)}

OUTSIDE = ["/", "/sign-in/", "/sign-up/", "/forgot-password/", "/local/", "/api/docs"]
INSIDE = [
    "/",
    "/rides/",
    "/documents/",
    "/documents/deleted/",
    "/approvals/",
    "/approvals/decided/",
    "/approvals/requests/",
    "/approvals/new/employee-promotion/",
    "/approvals/away/",
    "/apps/",
    "/profile/",
    "/profile/password/",
    "/profile/two-factor/",
    "/profile/two-factor/app/",
    "/profile/two-factor/phone/",
    "/profile/sessions/",
    "/aws-access/",
]
ADMIN = [
    "/admin/",
    "/admin/approvals/approval/",
    "/admin/approvals/approval/?show=open",
    "/admin/approvals/approval/?show=stuck",
    "/admin/approvals/execution/",
    "/admin/approvals/requesttype/",
    "/admin/approvals/requesttype/add/",
    "/admin/approvals/requesttype/employee-promotion/change/",
    "/admin/approvals/requesttype/employee-promotion/delete/",
    "/admin/rides/unicorn/",
    "/admin/rides/unicorn/angel/change/",
    "/admin/rides/ride/",
    "/admin/people/person/",
    "/admin/people/person/rider/change/",
    "/admin/documents/document/",
    "/admin/documents/render/",
    "/admin/dynamo/auditentry/",
    "/admin/policies/tagpolicy/",
    "/admin/policies/tagpolicy/add/",
    "/admin/policies/policyrun/",
    "/admin/policies/policyrun/start/",
    "/admin/policies/policyrun/compliance/",
]


def sign_in_to_rides(page, person):
    page.goto("/rides/")
    page.get_by_label("User name or e-mail address").fill(person.username)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()


def violations(page):
    # Left to itself, axe loads the style sheets once more into a <style>, which the content security policy forbids.
    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}" for one in found]


def look(page, path):
    """Open a page and return what is wrong with it, at the width it has and at those of other screens."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    return shown(page, path)


def shown(page, what):
    """Return what is wrong with the page that is open, at the width it has and at those of other screens."""
    problems = violations(page)
    before = page.viewport_size
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"hangs over on a {name} screen")
    page.set_viewport_size(before)
    return [f"{what} {problem}" for problem in problems]


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_axe_finds_nothing_and_nothing_hangs_over(page, sign_in, operator, fleet, people_roles, scheme, size, cloud):
    # What tags hold comes into messages, too.
    word = "W" * 256
    cloud.admin("sns").publish(TopicArn=settings.POLICY_REPORTS_TOPIC_ARN, Subject=word[:90], Message=word)
    cloud.admin("sesv2").send_email(
        FromEmailAddress=settings.MAIL_FROM,
        Destination={"ToAddresses": [f"{'w' * 60}@{'w' * 60}.example"]},
        Content={"Simple": {"Subject": {"Data": word}, "Body": {"Text": {"Data": word}}}},
    )
    fleet("rocinante", Name="Rocinante", Color="Yellow", Latitude=47.65)
    fleet("angel", Name="Angel")
    dispatch.request_ride(HERE, by=operator, now=timezone.now() - timedelta(days=1))
    live = dispatch.request_ride(HERE, by=operator, now=timezone.now())
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    problems = [problem for path in OUTSIDE for problem in look(page, path)]
    sign_in(operator)
    for path in [*INSIDE, *ADMIN, f"/rides/{live.ride_id}/"]:
        problems += look(page, path)
    page.get_by_text("Cancel this ride").click()
    problems += violations(page)
    for button in ("Environment variables", "A file for the AWS CLI", "Open the console", "End my AWS access"):
        page.goto("/aws-access/")
        page.get_by_role("button", name=button).click()
        expect(page.get_by_text("In effect since" if "End" in button else "This is shown once.")).to_be_visible()
        problems += shown(page, button)
    assert not problems


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_pages_about_approvals_are_as_good(browser, portal_url, approver, rider, author, scheme, size, cloud):
    # A page of its own: the browser notes a 404 and a 422 in its console.
    word, now = "w" * 120, timezone.now()
    facts = tuple(Fact(label=word[:80], value=word) for _ in range(3))
    long = {"title": word[:80], "facts": facts, "requester_name": word}
    waits = put_approval(rider, approver, **long, deadline_at=now - timedelta(hours=3))
    put_assignment(waits, author, name=word, mail=Mail.UNDELIVERED, mail_at=now)
    over = put_approval(rider, approver, **long, **decided(State.REJECTED, approver, reason=word, decided_by_name=word))
    starting = put_approval(rider, state=State.STARTING)
    link, old = put_link(waits, approver), put_link(over, approver)
    RequestType(type_id="laptop", title=word[:80], fields=f"why: {word[:80]}", workflow="promotion").save()
    width, height = SIZES[size]
    problems = []
    for person, paths in (
        (
            approver,
            ["/approvals/?all", "/approvals/decided/", f"{link}approve/", f"{link}reject/", old, "/approvals/link/x/"],
        ),
        (
            rider,
            [
                "/approvals/requests/",
                "/approvals/new/",
                "/approvals/new/laptop/",
                f"/approvals/{starting.approval_id}/",
            ],
        ),
    ):
        context = browser.new_context(
            base_url=portal_url,
            color_scheme=scheme,
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto("/sign-in/")
        page.get_by_label("User name or e-mail address").fill(person.username)
        page.get_by_label("Password").fill(person.password)
        page.get_by_role("button", name="Sign in").click()
        for path in [*paths, f"/approvals/{waits.approval_id}/", f"/approvals/{over.approval_id}/"]:
            problems += look(page, path)
        page.goto(f"/approvals/{waits.approval_id}/")
        for summary in page.locator("main summary").all():
            summary.click()
        problems += shown(page, "what is folded")
        if person is approver:
            page.get_by_role("button", name="Reject").click()
            expect(page.get_by_role("alert")).to_be_focused()
            problems += shown(page, "a reason that is missing")
        context.close()
    assert not problems


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_operators_pages_about_documents_are_as_good(page, sign_in, operator, rider, scheme, size, cloud):
    word, identity_id, now = "w" * 120, identity_pool.identity_id(rider.id_token), timezone.now()
    people.people.add(people.Person(person_id=rider.sub, username="rider", identity_id=identity_id))
    # Their first use of their own credentials lets the portal vouch for them.
    worker = credentials._worker(identity_id)
    identity_pool.vouch(worker, sub=rider.sub, identity_id=identity_id, id_token=rider.id_token)
    part = Part(size=1, version_id=word, modified_at=now)
    documents.add(Document(identity_id=identity_id, document_id=word, title=word, modified_at=now, source=part))
    gone = Part(size=1, removed_at=now)
    documents.add(Document(identity_id=identity_id, document_id="gone", removed_at=now, taken_down=word, source=gone))
    put_render(identity_id, word, rider, message=word)
    where = {"Bucket": settings.DOCUMENTS_BUCKET, "Key": f"ugc/{identity_id}/{word}.md"}
    cloud.admin("s3").put_object(**where, Body=f"# {word * 3}".encode())
    taken = {"Bucket": settings.DOCUMENTS_BUCKET, "Key": f"taken-down/{identity_id}/gone.md"}
    cloud.admin("s3").put_object(**taken, Body=b"", Metadata={"reason": word})
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(operator)
    document, removed, render = (
        f"/admin/documents/{noun}/{quote(f'{identity_id}/{one}')}"
        for noun, one in (("document", word), ("document", "gone"), ("render", word))
    )
    list_ = "/admin/documents/document/?q=rider"
    acts = [f"{document}/read/", f"{document}/take-down/", f"{removed}/put-back/"]
    pages = [list_, f"{list_}&show=removed", f"{document}/change/", f"{removed}/change/", f"{render}/change/", *acts]
    problems = [problem for path in [*pages, "/admin/documents/render/"] for problem in look(page, path)]
    page.goto(f"{document}/read/")
    page.get_by_label("Reason").fill("Somebody complained about it.")
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_role("region", name="The text")).to_contain_text(word)
    problems += shown(page, "the text")
    assert not problems
    page.goto(f"{document}/take-down/")
    page.get_by_label("Reason").fill("Somebody complained about it.")
    page.get_by_role("button", name="Take it down").click()
    expect(page.get_by_text("It is taken down.")).to_be_visible()
    page.get_by_role("link", name="Put back").click()
    page.get_by_role("button", name="Put it back").click()
    expect(page.get_by_text("It is back.")).to_be_visible()
    cloud.admin("s3").delete_object(**where)


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_operators_pages_about_approvals_are_as_good(
    page, sign_in, operator, approver, rider, author, workflows, request_type, scheme, size
):
    word, now = "w" * 120, timezone.now()
    facts = tuple(Fact(label=word[:80], value=word) for _ in range(3))
    long = {"title": word[:80], "facts": facts, "requester_name": word, "type_id": word[:60], "groups": (word,)}
    stuck = {"problem_kind": Problem.MAIL, "problem": word, "stuck": STUCK, "shelf": OPEN_SHELF, "next_at": now}
    arn = f"arn:aws:states:eu-west-1:123456789012:execution:{word[:80]}:{word[:80]}"
    waits = put_approval(
        rider, approver, **long, **stuck, execution_arn=arn, escalated_at=now, overdue_at=now, round=12
    )
    put_assignment(
        waits, author, name=word, how=How.GROUP, group=word, mail=Mail.UNDELIVERED, mail_why=word, mail_at=now
    )
    put_assignment(waits, operator, how=How.DELEGATE, for_name=word, ended_at=now)
    over = put_approval(rider, approver, **long, **decided(State.REJECTED, approver, reason=word, finished_at=None))
    request_type(word[:60], Title=word[:80], Fields=f"why: {word[:80]}", Approver=f"person:{word}")
    started = workflows.start({word: {word: word * 3}}, name=word[:80])
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(operator)
    one, other = (f"/admin/approvals/approval/{approval.approval_id}" for approval in (waits, over))
    kind, list_ = f"/admin/approvals/requesttype/{word[:60]}", "/admin/approvals/approval/"
    lists = [list_, f"{list_}?show=open", f"{list_}?show=stuck", f"{list_}?q=rider", "/admin/approvals/execution/"]
    pages = [f"{one}/change/", f"{one}/reassign/", f"{one}/cancel/", f"{other}/change/", f"{kind}/change/"]
    pages += [f"{kind}/delete/", "/admin/approvals/requesttype/", "/admin/people/person/rider/edit/"]
    problems = [problem for path in [*lists, *pages] for problem in look(page, path)]
    page.goto(f"/admin/approvals/execution/{quote(started)}/change/")
    for summary in page.locator("main summary").all():
        summary.click()
    problems += shown(page, "an execution")
    assert not problems
    page.goto(f"{one}/reassign/")
    page.get_by_label("Who is to answer").fill("operator")
    page.get_by_label("Instead of").select_option(label="Grace Hopper (the manager)")
    page.get_by_role("button", name="Reassign it").click()
    expect(page.get_by_text("Margaret Hamilton is asked, and gets a mail.")).to_be_visible()
    page.get_by_role("button", name="Resend the mails").click()
    expect(page.get_by_text("mails are on the way.")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_label("Reason").fill("Ada has left the company.")
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_text("It is cancelled.")).to_be_visible()


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_pages_about_applications_are_as_good(page, sign_in, rider, author, streaming, ask, scheme, size, cloud):
    word = "w" * 120
    more = {"Title": word[:80], "Summary": word}
    for name in ("running", "soon", "full", "stopped", "gone"):
        kind = "ON_DEMAND" if name == "soon" else "ALWAYS_ON"
        streaming.fleet(f"sample-{name}", stack=f"sample-{name}", kind=kind, instances=1, running=name != "stopped")
    streaming.pace(fleet_start_seconds=900)
    streaming.fleet("sample-starting", stack="sample-starting")
    for name in ("running", "soon", "full", "stopped", "starting", "missing"):
        streaming.application(name, Stack=f"sample-{name}", Fleet=f"sample-{name}", **more)
    streaming.application("shares", Stack="sample-running", Fleet="sample-running", **more)
    streaming.application("others", Groups=word, ShownToAll=True, **more)
    streaming.application("gone", Stack="sample-gone", Fleet="sample-gone", **more)
    for person, name in ((rider, "running"), (rider, "gone"), (author, "full")):
        streaming.open(ask(person, Application=name).json()["Message"])
    streaming.application("gone", Enabled=False)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(rider)
    problems = look(page, "/apps/")
    states = {tile.get_attribute("data-state") for tile in page.locator(".tile").all()}
    assert states == {"running", "ready", "soon", "full", "stopped", "starting", "broken", "not-for-you"}
    for summary in page.locator(".session summary").all():
        summary.click()
        problems += shown(page, "whether to end it")
        page.keyboard.press("Escape")
    for n in range(14):
        streaming.application(f"many-{n}", Stack="sample-running", Fleet="sample-running")
    cloud.faults.add(service="appstream", kind="throttle")
    problems += look(page, "/apps/")
    assert page.locator(".tile[data-state=unknown]").count() > 12
    cloud.faults.clear()
    assert not problems


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_page_around_a_stream_is_as_good(page, sign_in, rider, streaming, scheme, size):
    streaming.fleet(embed=True)
    streaming.application(Title="w" * 80, Opens="frame")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(rider)
    problems = look(page, "/apps/studio/window/")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Streaming")).to_be_visible()
    problems += shown(page, "a stream in a frame")
    page.get_by_text("End session", exact=True).click()
    problems += shown(page, "whether to end it")
    box = page.locator("iframe").bounding_box()
    assert box["width"] == SIZES[size][0]
    assert box["height"] > SIZES[size][1] / 2
    assert not problems


def test_a_ride_is_asked_for_with_the_keyboard_alone(page, sign_in, rider, fleet, cloud):
    fleet("angel", Name="Angel")
    sign_in(rider)
    page.goto("/rides/")
    latitude = page.get_by_label("Latitude")
    expect(latitude).to_have_value("47.6062")
    expect(page.locator("#near")).to_contain_text("Angel")
    page.get_by_role("application", name="Pickup point").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(latitude).not_to_have_value("47.6062")
    picked = latitude.input_value()
    page.get_by_role("button", name="Pickup point. Arrow keys move it.").focus()
    page.keyboard.press("ArrowDown")
    expect(latitude).not_to_have_value(picked)
    picked = latitude.input_value()
    page.get_by_role("button", name="Ask for a unicorn").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Angel")).to_be_visible()
    (ride,) = cloud.items("rides")
    assert float(ride["Pickup"]["M"]["Latitude"]["N"]) == float(picked)


def test_a_click_a_paste_and_here_pick_a_place(page, context, sign_in, rider, fleet):
    fleet("angel")
    context.grant_permissions(["geolocation"])
    context.set_geolocation({"latitude": 51.5, "longitude": -0.12, "accuracy": 30})
    sign_in(rider)
    page.goto("/rides/")
    latitude, longitude = page.get_by_label("Latitude"), page.get_by_label("Longitude")
    page.get_by_role("application", name="Pickup point").click(position={"x": 60, "y": 200})
    expect(latitude).not_to_have_value("47.6062")
    page.get_by_role("button", name="Here, where I am").click()
    expect(page.get_by_text("Found you, to within 30 m.")).to_be_visible()
    expect(latitude).to_have_value("51.5")
    expect(longitude).to_have_value("-0.12")
    latitude.focus()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text", " 47.61, -122.33 ");
          document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(latitude).to_have_value("47.61")
    expect(longitude).to_have_value("-122.33")


def test_a_place_is_read_in_the_browser_as_on_the_server(page, sign_in, rider, fleet):
    fleet("angel")
    sign_in(rider)
    page.goto("/rides/")
    module = page.locator("script[src*='rides/pick']").get_attribute("src").replace("pick", "degrees")
    written = ["47.6", "47,6", " \u2212122.3 ", "47.6° N", "47.6 S", "122.3 W", "-1 S", "5°"]
    written += ["nan", "", "1e-5", "1e999", "4 7", "47,"]
    written += ["47.6, -122.3", "(47,6; 8,1)", "47,122", "47,-122", "47.6,8", "47,6,8,1", "1 2 3", "47.6° N, 122.3° W"]
    read = page.evaluate(
        """async ([module, written]) => {
          const { degrees, pair } = await import(module);
          return written.map((one) => [Number.isFinite(degrees(one, "SN")) ? degrees(one, "SN") : null, pair(one)]);
        }""",
        [module, written],
    )
    ours = [[forms.degrees(one, directions="SN"), list(forms.pair(one) or ()) or None] for one in written]
    assert dict(zip(written, read, strict=True)) == dict(zip(written, ours, strict=True))


def test_a_pair_typed_into_one_field_moves_the_pin_and_becomes_two_numbers(page, sign_in, rider, fleet):
    fleet("angel")
    sign_in(rider)
    page.goto("/rides/")
    page.get_by_label("Longitude").fill("51,5 \u22120,12")
    page.get_by_label("Longitude").press("Tab")
    expect(page.get_by_label("Latitude")).to_have_value("51,5")
    expect(page.get_by_label("Longitude")).to_have_value("-0,12")
    expect(page.locator(".map-edge-y")).to_contain_text("51.")
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_label("Longitude").fill("-122.33210")
    assert page.get_by_label("Longitude").evaluate("input => input.scrollWidth <= input.clientWidth")


def test_no_offers_are_left_where_looking_fails_or_the_place_is_wrong(browser, portal_url, rider, fleet, cloud):
    # A page of its own: the browser notes the 503 in its console.
    fleet("angel", Name="Angel")
    context = browser.new_context(base_url=portal_url)
    page = context.new_page()
    sign_in_to_rides(page, rider)
    near, latitude = page.locator("#near"), page.get_by_label("Latitude")
    expect(near).to_contain_text("Angel")
    page.route("**/rides/near/**", lambda route: route.fulfill(status=503))
    latitude.fill("47.7")
    expect(near).to_have_attribute("aria-busy", "true")
    expect(near).to_have_text("Could not look just now.")
    expect(near).to_have_attribute("aria-live", "polite")
    expect(page.locator(".map .unicorn-name")).to_have_count(0)
    page.unroute("**/rides/near/**")
    latitude.fill("47.8")
    expect(near).to_contain_text("Angel")
    page.route("**/rides/near/**", lambda route: route.abort())
    latitude.fill("47.9")
    expect(near).to_have_text("Could not look just now.")
    page.unroute("**/rides/near/**")
    latitude.fill("47.6")
    expect(near).to_contain_text("Angel")
    latitude.fill("abc")
    expect(near).to_have_text("Pick a place to see who is near.")
    expect(near).to_have_attribute("aria-busy", "false")
    expect(page.locator(".map .unicorn-name")).to_have_count(0)
    context.close()


def test_names_on_one_spot_do_not_lie_on_each_other(page, sign_in, operator, fleet):
    for n in range(3):
        fleet(f"u{n}", Name=f"Unicorn {n}", Color="White", Latitude=47.6 + n / 1e6)
    fleet("away", Name="Away", Color="White", Latitude=40)
    sign_in(operator)
    page.goto("/admin/rides/unicorn/")
    names = page.locator(".map .unicorn-name")
    expect(names).to_have_count(4)
    expect(names.filter(visible=True)).to_have_count(2)
    crowded = names.filter(visible=False).first.text_content()
    page.locator(f".map .unicorn-icon[aria-label='{crowded}, White']").focus()
    expect(names.filter(has_text=crowded)).to_be_visible()


def test_the_cross_is_for_the_keyboard_alone(page, sign_in, rider, fleet):
    fleet("angel")
    sign_in(rider)
    page.goto("/rides/")
    cross, map_ = page.locator(".map-cross"), page.get_by_role("application", name="Pickup point")
    # A browser takes a focus that a script moves out of a text field for the keyboard's.
    page.get_by_label("Latitude").click()
    map_.click(position={"x": 60, "y": 200})
    expect(map_).to_be_focused()
    expect(cross).to_be_hidden()
    page.keyboard.press("ArrowUp")
    expect(cross).to_be_visible()
    map_.click(position={"x": 90, "y": 200})
    expect(cross).to_be_hidden()
    page.get_by_label("Latitude").focus()
    map_.focus()
    expect(cross).to_be_visible()


def test_errors_beside_the_coordinates_have_the_whole_width(browser, portal_url, rider, fleet, cloud):
    # A page of its own: the browser notes the 422 in its console.
    context = browser.new_context(base_url=portal_url, viewport={"width": 360, "height": 740})
    page = context.new_page()
    sign_in_to_rides(page, rider)
    page.get_by_label("Latitude").fill("abc")
    page.get_by_role("button", name="Ask for a unicorn").click()
    error = page.locator("#id_latitude_error")
    expect(error).to_have_text("“abc” is not a latitude: write a number such as 47.6.")
    assert error.bounding_box()["width"] > 250
    context.close()


def test_the_tables_of_the_admin_hide_nothing_on_a_small_screen(page, sign_in, operator, fleet):
    fleet("angel", Name="Angel")
    sign_in(operator)
    page.goto("/admin/rides/unicorn/angel/change/")
    page.get_by_label("Name").fill("Angela")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    page.set_viewport_size({"width": 768, "height": 1024})
    table = page.locator("#changelist .results").bounding_box()
    filters = page.locator("#changelist-filter").bounding_box()
    assert table["width"] > 700
    assert filters["y"] + filters["height"] <= table["y"]
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/admin/rides/unicorn/angel/history/", "/admin/dynamo/auditentry/"):
        page.goto(path)
        assert page.locator(".scroll").evaluate("box => box.scrollWidth <= box.clientWidth")
        cell = page.locator("[data-title=Changes]").first
        expect(cell).to_contain_text("Angela")
        assert cell.bounding_box()["height"] < 100
    page.goto("/admin/")
    page.get_by_role("link", name="Angela").click()
    page.wait_for_url("**/admin/rides/unicorn/angel/change/")


def test_the_documentation_of_the_api_says_how_a_program_signs_in(page):
    page.goto("/api/docs")
    section = page.get_by_role("region", name="A token for a program")
    expect(section).to_contain_text("aws cognito-idp initiate-auth --auth-flow USER_PASSWORD_AUTH")
    expect(section).to_contain_text('"Authorization: Bearer $TOKEN"')


def test_a_refused_place_says_what_to_do(page, context, sign_in, rider, fleet):
    fleet("angel")
    context.clear_permissions()
    sign_in(rider)
    page.goto("/rides/")
    page.get_by_role("button", name="Here, where I am").click()
    expect(page.locator("#here-says")).to_contain_text("pick a place on the map")
    expect(page.get_by_role("button", name="Here, where I am")).to_be_enabled()


def test_the_map_is_drawn_without_the_internet(page, sign_in, rider, fleet):
    fleet("angel", Name="Angel")
    sign_in(rider)
    page.goto("/rides/")
    expect(page.locator(".map .unicorn-name")).to_have_text(["Angel"])
    # Land, sea, coast and graticule are at least four colours.
    page.wait_for_function(
        """() => {
          const colours = new Set();
          for (const tile of document.querySelectorAll(".atlas canvas")) {
            const { data } = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
            for (let i = 0; i < data.length; i += 4) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
          }
          return colours.size >= 4;
        }"""
    )
    assert page.locator(".map-edge-x span").count() >= 2
    assert page.locator(".map-edge-y span").count() >= 1


def test_a_ride_is_followed_and_cancelled(page, sign_in, rider, fleet):
    fleet("angel", Name="Angel", Latitude=47.9)
    sign_in(rider)
    ride = dispatch.request_ride(HERE, by=rider, now=timezone.now())
    page.goto(f"/rides/{ride.ride_id}/")
    marker = page.locator(".unicorn-icon")
    expect(marker).to_have_text("Angel")
    expect(page.get_by_role("progressbar", name="The way to you")).to_be_visible()
    page.get_by_text("Cancel this ride").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_text("The ride is cancelled and the unicorn is free again.")).to_be_visible()
    expect(page.get_by_role("link", name="Ask for another")).to_be_visible()


def test_a_page_that_renews_itself_goes_to_sign_in_when_the_session_is_over(page, sign_in, rider, fleet, cloud):
    fleet("angel", Latitude=47.9)
    sign_in(rider)
    ride = dispatch.request_ride(HERE, by=rider, now=timezone.now())
    page.clock.install()
    page.goto(f"/rides/{ride.ride_id}/")
    expect(page.locator("#status")).to_be_visible()
    cloud.empty("sessions")
    page.clock.fast_forward("01:30")
    page.wait_for_url(lambda url: "/sign-in/" in url and unquote(url).endswith(f"?next=/rides/{ride.ride_id}/"))


def test_when_none_is_free_the_page_asks_again_by_itself(browser, portal_url, rider, fleet, cloud):
    # A page of its own: the browser notes the 409 in its console.
    free_at = timezone.now() + timedelta(minutes=7)
    fleet("angel", Name="Angel", BusyUntil=int(free_at.timestamp()), RideId="another")
    context = browser.new_context(base_url=portal_url)
    page = context.new_page()
    page.clock.install()
    sign_in_to_rides(page, rider)
    page.get_by_role("button", name="Ask for a unicorn").click()
    expect(page.get_by_role("alert")).to_contain_text("No unicorn is free right now.")
    page.get_by_role("button", name="Ask again then").click()
    expect(page.locator("[data-countdown]")).to_contain_text("in ")
    fleet("gil", Name="Gil")
    page.clock.fast_forward("08:00")
    expect(page.get_by_role("heading", name="Gil")).to_be_visible()
    context.close()


def test_without_javascript_a_ride_is_asked_for_by_typing(browser, portal_url, rider, fleet, cloud):
    fleet("angel", Name="Angel")
    context = browser.new_context(base_url=portal_url, java_script_enabled=False)
    page = context.new_page()
    sign_in_to_rides(page, rider)
    page.get_by_label("Latitude").fill("47.61")
    page.get_by_label("Longitude").fill("-122.33")
    page.get_by_role("button", name="Ask for a unicorn").click()
    expect(page.get_by_role("heading", name="Angel")).to_be_visible()
    page.get_by_role("link", name="Rides").first.click()
    expect(page.get_by_role("link", name="Angel")).to_be_visible()
    context.close()


def test_a_wrong_number_is_said_first_and_leads_to_its_field(browser, portal_url, rider, fleet, cloud):
    # A page of its own: the browser notes the 422 in its console.
    context = browser.new_context(base_url=portal_url)
    page = context.new_page()
    sign_in_to_rides(page, rider)
    page.get_by_label("Latitude").fill("95")
    page.get_by_role("button", name="Ask for a unicorn").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Latitude")).to_have_value("95")
    page.get_by_role("link", name="Latitude").click()
    expect(page.get_by_label("Latitude")).to_be_focused()
    assert not violations(page)
    context.close()


def test_tiles_are_asked_for_where_a_setting_names_a_server(page, sign_in, rider, fleet, settings, portal_url):
    settings.MAP_TILES_URL = f"{portal_url}/static/portal/favicon.svg?{{z}}-{{x}}-{{y}}"
    settings.MAP_ATTRIBUTION = "© The Surveyors"
    fleet()
    sign_in(rider)
    with page.expect_request(lambda request: "favicon.svg?" in request.url):
        page.goto("/rides/")
    expect(page.locator(".leaflet-control-attribution")).to_contain_text("© The Surveyors")
