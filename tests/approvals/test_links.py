"""The links in mails: each opens its page for one person who is signed in, and tells nobody else that it is there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from approvals import link as links
from approvals.approval import ReasonDue, State, Terms, approvals
from approvals.assignment import Mail
from approvals.link import Link
from portal.dynamo.values import from_item
from tests.approvals.build import decided, put_approval, put_assignment, put_link
from tests.approvals.test_views import good, text

NOTHING = "This link does not open anything for you."


@pytest.fixture
def decides(client_for, approver):
    return client_for(approver)


def bare(answer):
    """Return a page without what is another's each time: the CSRF tokens and the reference."""
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text(answer))
    return page.replace(answer["X-Reference"], "")


def rewrite(cloud, settings, **changes):
    """Change the one link that there is."""
    [item] = cloud.items("approval_links")
    new = Link.model_validate(from_item(item)).model_copy(update=changes)
    cloud.empty("approval_links")
    links.links.add(new)


def test_a_link_shows_the_decision_with_its_choice_and_decides_nothing(decides, cloud, rider, approver):
    approval = put_approval(rider, approver, terms=Terms(deadline_hours=48, reason_due=ReasonDue.NEVER))
    address = put_link(approval, approver)
    for choice, first in (("approve", "Approve"), ("reject", "Reject"), ("", None)):
        page = good(decides.get(f"{address}{choice}/" if choice else address))
        buttons = re.findall(r'<button class="([^"]*)"[^>]*name="decision"[^>]*>(\w+)</button>', page)
        assert buttons[0][1] == (first or "Approve")
        assert not {"quiet", "danger"} & set(buttons[0][0].split()), "the first is the one that stands out"
        assert {"quiet", "danger"} & set(buttons[1][0].split())
        assert not re.search(r"<button[^>]*autofocus", page), "Enter, pressed once too often, decides nothing"
        assert f'action="{address}{choice}/"' in page if choice else f'action="{address}"' in page
    assert approvals.get(approval.approval_id) == approval


def test_where_a_reason_is_due_the_link_leads_to_it(decides, rider, approver):
    address = put_link(put_approval(rider, approver), approver)
    page = good(decides.get(f"{address}reject/"))
    assert re.search(r"<textarea[^>]*autofocus", page)
    assert not re.search(r"<button[^>]*autofocus", page)


def test_the_mails_link_decides_once(decides, workflows, approver):
    approval = workflows.asked()
    [mail] = workflows.mails()
    answer = decides.post(mail.links["reject"], {"decision": "approve", "reason": ""})
    assert answer["Location"] == f"/approvals/{approval.approval_id}/"
    assert approvals.get(approval.approval_id).state is State.APPROVED, "the button counts, not the link"
    page = good(decides.get(mail.links["approve"]), 404)
    assert "It opens nothing any more" in page
    assert "You approved it" in page


def test_a_post_that_lacks_something_comes_back_to_the_link(decides, rider, approver):
    approval = put_approval(rider, approver)
    address = put_link(approval, approver)
    page = good(decides.post(f"{address}reject/", {"decision": "reject", "reason": ""}), 422)
    assert "A reason is needed to reject this." in page
    assert f'action="{address}reject/"' in page
    assert approvals.get(approval.approval_id) == approval


def test_who_wrote_a_reason_while_somebody_else_decided_keeps_it(decides, rider, approver, author):
    approval = put_approval(rider, approver, **decided(State.REJECTED, author))
    address = put_link(approval, approver)
    page = good(decides.post(f"{address}approve/", {"decision": "approve", "reason": "I like it"}), 409)
    assert "Mary Shelley rejected this" in page
    assert "I like it" in page


def test_whoever_is_not_signed_in_signs_in_first_whatever_the_link_is(cloud, rider, approver):
    good_one = put_link(put_approval(rider, approver), approver)
    for address in (
        good_one,
        f"{good_one}approve/",
        "/approvals/link/x/",
        "/approvals/link/",
        f"{good_one[:-9]}/reject/",
    ):
        for method in ("get", "head", "post"):
            cloud.forget_calls()
            answer = getattr(Client(), method)(address)
            assert answer.status_code == 302
            assert answer["Location"] == f"/sign-in/?next={address}"
            assert not cloud.calls(), "not even looked for"


def test_signing_in_leads_on_to_the_link(cloud, rider, approver):
    client, address = Client(), f"{put_link(put_approval(rider, approver), approver)}approve/"
    where = client.get(address)["Location"]
    answer = client.post(where, {"username": approver.username, "password": approver.password})
    assert answer["Location"] == address
    assert "Charles Babbage" in good(client.get(address))


def test_all_that_open_nothing_are_the_same_page(decides, cloud, settings, rider, approver, author, client_for):
    theirs = put_link(put_approval(rider, author), author)
    secret = theirs.split("/")[3]
    used = put_link(put_approval(rider, author, **decided(State.APPROVED, author)), author)
    addresses = [
        theirs, used, "/approvals/link/", "/approvals/link/x/", "/approvals/link/x/approve/",
        f"/approvals/link/{secret[:-1]}/approve/", f"/approvals/link/{secret}x/reject/", f"/approvals/link/{'A' * 43}/",
        f"/approvals/link/{secret}/appr/", "/approvals/link/%20%3Cb%3E/approve/", f"/approvals/link/{'x' * 5000}/",
    ]  # fmt: skip
    pages = set()
    for address in addresses:
        for answer in (decides.get(address), decides.post(address, {"decision": "approve", "reason": "x"})):
            assert NOTHING in good(answer, 404)
            assert answer["Cache-Control"] == "private, no-store"
            assert answer["Referrer-Policy"] == "same-origin"
            pages.add(bare(answer))
    rewrite_all_expired(cloud)
    pages.add(bare(decides.get(theirs)))
    assert len(pages) == 1
    assert 'href="/approvals/"' in pages.pop()


def rewrite_all_expired(cloud):
    found = [Link.model_validate(from_item(item)) for item in cloud.items("approval_links")]
    cloud.empty("approval_links")
    for one in found:
        links.links.add(one.model_copy(update={"expires_at": 1}))


@pytest.mark.parametrize("changes", [{"expires_at": 1}, {"round": 7}])
def test_an_old_link_of_ones_own_offers_a_fresh_one(decides, cloud, settings, rider, approver, changes):
    approval = put_approval(rider, approver)
    address = put_link(approval, approver)
    rewrite(cloud, settings, **changes)
    for answer in (decides.get(f"{address}approve/"), decides.post(address, {"decision": "approve"})):
        page = good(answer, 404)
        assert "It opens nothing any more" in page
        assert "this still waits for you" in page
        assert f'action="/approvals/{approval.approval_id}/fresh-link/"' in page
        assert 'name="decision"' not in page
    said = text(decides.post(f"/approvals/{approval.approval_id}/fresh-link/", follow=True))
    assert "A new mail with a new link is on its way to you." in said
    assert len(cloud.messages(settings.APPROVAL_MAILS_QUEUE_URL)) == 1
    assert approvals.get(approval.approval_id) == approval


def test_a_link_of_somebody_who_is_not_asked_any_more_says_nothing(decides, rider, approver):
    approval = put_approval(rider)
    put_assignment(approval, approver, ended_at=timezone.now(), shelf=None)
    page = good(decides.get(put_link(approval, approver)), 404)
    assert "Charles Babbage" not in page


def test_a_fresh_link_is_for_who_is_asked_and_not_every_second(client_for, decides, cloud, rider, approver):
    approval = put_approval(rider)
    put_assignment(approval, approver, mail=Mail.SENT, mail_at=timezone.now() - timedelta(seconds=5))
    address = f"/approvals/{approval.approval_id}/fresh-link/"
    assert client_for(rider).post(address).status_code == 404
    assert "can be sent again from" in text(decides.post(address, follow=True))
    over = put_approval(rider, approver, **decided(State.APPROVED, approver))
    assert "nothing left to decide" in text(decides.post(f"/approvals/{over.approval_id}/fresh-link/", follow=True))


def test_get_and_head_of_a_link_write_nothing_but_the_look(decides, cloud, rider, approver):
    address = f"{put_link(put_approval(rider, approver), approver)}approve/"
    tables = ("approvals", "approval_assignments", "approval_links")
    before = {table: cloud.items(table) for table in tables}
    decides.head(address)
    decides.get(address, headers={"Sec-Purpose": "prefetch;prerender"})
    assert cloud.items("audit") == []
    decides.get(address)
    assert len(cloud.items("audit")) == 1
    assert {table: cloud.items(table) for table in tables} == before


def test_a_link_without_its_last_slash_is_found(decides, rider, approver):
    address = put_link(put_approval(rider, approver), approver)
    page = good(decides.get(f"{address}approve", headers={"Accept": "text/html"}, follow=True))
    assert "Charles Babbage" in page


def test_a_links_form_needs_the_csrf_token(client_for, rider, approver):
    approval = put_approval(rider, approver)
    client = client_for(approver)
    client.handler.enforce_csrf_checks = True
    address = put_link(approval, approver)
    assert client.post(f"{address}approve/", {"decision": "approve"}).status_code == 403
    assert client.put(address).status_code in (403, 405)
    assert approvals.get(approval.approval_id) == approval
