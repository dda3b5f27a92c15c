"""Approvals in a browser: several at once, a page that turns by itself, a mail's link, and all without a script."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from approvals.approval import State, approvals
from tests.approvals.build import decided, put_approval, put_assignment, put_link
from tests.approvals.conftest import workflows  # noqa: F401 - a fixture


def test_a_mails_link_decides_nothing_by_a_key_that_was_pressed_too_often(page, sign_in, workflows, approver):  # noqa: F811
    approval = workflows.asked()
    [mail] = workflows.mails()
    sign_in(approver)
    page.goto(mail.links["approve"])
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert approvals.get(approval.approval_id) == approval, "opening it decides nothing"
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_text("The workflow is being told…")).to_be_visible()
    workflows.work()
    expect(page.get_by_text("The workflow has the answer.")).to_be_visible()
    expect(page.get_by_text("The workflow has got the answer")).to_be_visible()


def test_the_page_of_a_request_turns_by_itself_and_keeps_what_is_typed(page, sign_in, rider, approver, cloud):
    starting = put_approval(rider, state=State.STARTING, updated_at=timezone.now())
    sign_in(rider)
    page.goto(f"/approvals/{starting.approval_id}/")
    expect(page.get_by_text("Starting the workflow…")).to_be_visible()
    page.locator("#comment summary").click()
    page.get_by_label("Comment").fill("half a sentence")
    put_assignment(starting, approver)
    approvals.replace(starting.model_copy(update={"state": State.OPEN}), was=starting)
    expect(page.get_by_text("Waiting for Grace Hopper")).to_be_visible()
    expect(page.get_by_role("button", name="Send the mail again")).to_be_visible()
    expect(page.get_by_label("Comment")).to_have_value("half a sentence")
    page.get_by_text("Withdraw", exact=True).click()
    page.get_by_role("button", name="Yes, withdraw it").click()
    expect(page.get_by_text("You withdrew it just now")).to_be_visible()


def test_all_are_selected_with_one_press_and_enter_presses_no_button(page, sign_in, rider, approver, cloud):
    some = [put_approval(rider, approver, title=f"Number {n}") for n in range(3)]
    sign_in(approver)
    page.goto("/approvals/")
    everything, boxes = page.get_by_label("Select all"), page.locator("[name=selected]")
    everything.check()
    expect(page.locator("[name=selected]:checked")).to_have_count(3)
    boxes.first.uncheck()
    assert everything.evaluate("box => box.indeterminate && !box.checked")
    boxes.first.check()
    expect(everything).to_be_checked()
    for box in (everything, boxes.first):
        box.focus()
        page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")
    assert [approvals.get(one.approval_id) for one in some] == some
    everything.uncheck()
    expect(page.locator("[name=selected]:checked")).to_have_count(0)


@pytest.fixture
def plain(browser, portal_url, approver, cloud):
    """The approver's browser without JavaScript."""
    context = browser.new_context(base_url=portal_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/sign-in/")
    page.get_by_label("User name or e-mail address").fill(approver.username)
    page.get_by_label("Password").fill(approver.password)
    page.get_by_role("button", name="Sign in").click()
    yield page
    context.close()


def test_without_javascript_all_are_selected_and_rejected(plain, workflows, approver):  # noqa: F811
    some = [workflows.asked({"managerEmailAddress": approver.email, "employeeName": str(n)}) for n in range(2)]
    plain.goto("/approvals/")
    plain.get_by_role("button", name="Reject selected").click()
    expect(plain.get_by_role("alert")).to_contain_text("Select at least one first.")
    plain.locator("[name=selected]").first.check()
    plain.locator("[name=selected]").first.press("Enter")
    expect(plain.get_by_role("alert")).to_contain_text("Nothing was decided.")
    plain.get_by_role("link", name="Select all").click()
    plain.get_by_label("Reason").fill("Not now")
    plain.get_by_role("button", name="Reject selected").click()
    expect(plain.get_by_text("2 rejected: ")).to_be_visible()
    expect(plain.get_by_text("Nothing waits for you")).to_be_visible()
    assert [approvals.get(one.approval_id).state for one in some] == [State.REJECTED] * 2


def test_without_javascript_who_comes_second_keeps_the_reason(plain, rider, approver, author):
    approval = put_approval(rider, approver, author)
    plain.goto(f"{put_link(approval, approver)}reject/")
    plain.get_by_label("Reason").fill("Too early")
    approvals.replace(approval.model_copy(update=decided(State.APPROVED, author)), was=approval)
    plain.get_by_role("button", name="Reject").click()
    expect(plain.get_by_role("alert")).to_contain_text("Mary Shelley approved this")
    expect(plain.get_by_role("alert")).to_contain_text("Too early")


def test_the_home_page_says_what_waits(page, sign_in, rider, approver, cloud):
    put_approval(rider, approver, asked_at=timezone.now() - timedelta(days=1))
    sign_in(approver)
    page.goto("/")
    expect(page.get_by_text("1 waits for you.")).to_be_visible()
    page.get_by_role("link", name="Approvals").last.click()
    expect(page.get_by_role("link", name="Employee promotion: Charles Babbage")).to_be_visible()
