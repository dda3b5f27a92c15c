"""A nomination's whole path in browsers: the form, the mail on /local/, the decision, and the workflow's end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from approvals.approval import approvals
from tests.approvals.conftest import Workflows, workflows
from tests.conftest import SignedUp, TestCloud

__all__ = ["workflows"]  # a fixture


@pytest.fixture
def second_page(browser: Browser, portal_url: str) -> Iterator[Page]:
    """A page in another browser."""
    context = browser.new_context(base_url=portal_url, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def nominate(page: Page, sign_in: Callable[..., None], rider: SignedUp, name: str) -> None:
    sign_in(rider)
    page.goto("/approvals/")
    page.get_by_role("link", name="Your requests").click()
    page.get_by_role("link", name="New request").click()
    page.get_by_label("Employee").fill(name)
    page.get_by_role("button").filter(has_text="Ask for it").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def open_from_mail(page: Page, approver: SignedUp, word: str, name: str) -> None:
    """Open a mail's link from the page of the local cloud, as from an inbox, and sign in on the way."""
    page.goto("/local/")
    mail = page.get_by_role("article").filter(has_text=f"Please decide: Employee promotion: {name}")
    # The page renews itself every few seconds, and the address may be shortened on it.
    page.goto(mail.locator(f"a[href*='/{word}/']").get_attribute("href") or "")
    page.get_by_label("User name or e-mail").fill(approver.username)
    page.get_by_label("Password", exact=True).fill(approver.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def execution_of(name: str, cloud: TestCloud) -> str:
    [one] = [approvals.load(item) for item in cloud.items("approvals")]
    assert one.called.endswith(name)
    return one.execution_arn


def test_a_nomination_is_approved_from_the_mail_and_the_execution_succeeds(
    page: Page,
    second_page: Page,
    sign_in: Callable[..., None],
    workflows: Workflows,
    cloud: TestCloud,
    rider: SignedUp,
    approver: SignedUp,
) -> None:
    nominate(page, sign_in, rider, "Katherine Johnson")
    arn = execution_of("Katherine Johnson", cloud)
    workflows.question_of(arn)
    expect(page.get_by_text("Waiting for Grace Hopper")).to_be_visible()
    open_from_mail(second_page, approver, "approve", "Katherine Johnson")
    assert workflows.describe(arn)["status"] == "RUNNING", "opening it decides nothing"
    second_page.get_by_role("button", name="Approve").click()
    expect(second_page.get_by_text("You approved it.")).to_be_visible()
    workflows.work()
    assert workflows.ended(arn)["status"] == "SUCCEEDED"
    expect(second_page.get_by_text("The workflow has the answer.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Grace Hopper approved it").first).to_be_visible()
    page.goto("/local/")
    expect(page.get_by_text("Approved: Employee promotion: Katherine Johnson").first).to_be_visible()


def test_a_nomination_is_rejected_from_the_mail_and_the_execution_fails(
    page: Page,
    second_page: Page,
    sign_in: Callable[..., None],
    workflows: Workflows,
    cloud: TestCloud,
    rider: SignedUp,
    approver: SignedUp,
) -> None:
    nominate(page, sign_in, rider, "Mary Jackson")
    arn = execution_of("Mary Jackson", cloud)
    workflows.question_of(arn)
    open_from_mail(second_page, approver, "reject", "Mary Jackson")
    # A reason is due: without one nothing is decided.
    second_page.get_by_role("button", name="Reject").click()
    expect(second_page.get_by_text("A reason is needed to reject this.").first).to_be_visible()
    assert workflows.describe(arn)["status"] == "RUNNING"
    second_page.get_by_label("Reason").fill("Next year.")
    second_page.get_by_role("button", name="Reject").click()
    expect(second_page.get_by_text("You rejected it.")).to_be_visible()
    workflows.work()
    end = workflows.ended(arn)
    assert (end["status"], end["error"]) == ("FAILED", "Rejected")
    page.reload()
    expect(page.get_by_text("Next year.").first).to_be_visible()


def test_a_timeout_sends_again_and_then_escalates_to_somebody_who_decides(
    page: Page,
    sign_in: Callable[..., None],
    workflows: Workflows,
    cloud: TestCloud,
    rider: SignedUp,
    approver: SignedUp,
    operator: SignedUp,
) -> None:
    nominate(page, sign_in, rider, "Dorothy Vaughan")
    arn = execution_of("Dorothy Vaughan", cloud)
    workflows.question_of(arn)
    workflows.wait_in_vain()
    workflows.question_of(arn, round=2)
    workflows.wait_in_vain()
    workflows.question_of(arn, round=3)
    assert [mail.to for mail in workflows.mails()].count(approver.email) == 2 + 1, "two rounds, and the escalation's"
    page.reload()
    expect(page.get_by_text("asked once more").first).to_be_visible()
    page.context.clear_cookies()
    sign_in(operator)
    page.goto("/approvals/")
    page.get_by_role("link", name="Dorothy Vaughan").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("You approved it.")).to_be_visible()
    workflows.work()
    assert workflows.ended(arn)["status"] == "SUCCEEDED"


def test_a_workflow_that_times_out_while_the_page_is_open_is_told_of_there(
    second_page: Page,
    workflows: Workflows,
    approver: SignedUp,
) -> None:
    approval = workflows.asked({"managerEmailAddress": approver.email, "employeeName": "Annie Easley"})
    open_from_mail(second_page, approver, "approve", "Annie Easley")
    workflows.stop(approval.execution_arn)
    second_page.get_by_role("button", name="Approve").click()
    expect(second_page.get_by_text("does not wait for an answer any longer").first).to_be_visible()
    assert approvals.get(approval.approval_id).decided_at is None
