"""Being away: somebody else answers from the first day to the last, and what waits already goes to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from approvals import absence
from approvals.assignment import How, assignments
from tests.approvals.build import put_approval
from tests.approvals.test_views import good, text


@pytest.fixture
def decides(client_for, approver):
    return client_for(approver)


def day(days: int) -> str:
    return (timezone.now() + timedelta(days=days)).date().isoformat()


def away(client, first=0, last=3, delegate="author"):
    data = {"first_day": day(first), "last_day": day(last), "delegate": delegate}
    return client.post("/approvals/away/", data)


def midnight(days: int) -> datetime:
    return datetime.fromisoformat(day(days)).replace(tzinfo=UTC)


def test_nobody_is_away_at_first(decides):
    page = good(decides.get("/approvals/away/"))
    assert "You are away" not in page
    assert "I am back" not in page
    assert f'min="{day(0)}"' in page


def test_who_is_away_is_said_on_both_pages_and_the_days_are_whole(decides, approver, author):
    answer = away(decides)
    assert answer["Location"] == "/approvals/away/"
    stored = absence.find(approver.sub, now=timezone.now())
    assert (stored.delegate_sub, stored.until_at) == (author.sub, midnight(4))
    assert timezone.now() - stored.from_at < timedelta(minutes=1), "the first day has begun"
    for address in ("/approvals/away/", "/approvals/"):
        page = good(decides.get(address))
        assert "You are away until" in page
        assert "Mary Shelley answers for you." in page
    page = good(decides.get("/approvals/away/"))
    assert "I am back" in page


def test_what_waits_already_goes_to_who_answers(decides, client_for, rider, approver, author):
    approval = put_approval(rider, approver)
    away(decides)
    theirs = assignments.get(approval.approval_id, author.sub)
    assert (theirs.how, theirs.for_name) == (How.DELEGATE, "Grace Hopper")
    page = good(client_for(author).get(f"/approvals/{approval.approval_id}/"))
    assert "asks you, for Grace Hopper, who is away." in page
    assert "for Grace Hopper" in good(client_for(author).get("/approvals/"))


def test_an_absence_to_come_is_said_and_can_be_taken_back(decides, approver):
    away(decides, first=5, last=5, delegate="author@example.com")
    stored = absence.find(approver.sub, now=timezone.now())
    assert (stored.from_at, stored.until_at) == (midnight(5), midnight(6))
    page = good(decides.get("/approvals/away/"))
    assert "You will be away from" in page
    assert "I am not going away" in page
    assert "You are back" in text(decides.post("/approvals/back/", follow=True))
    assert absence.find(approver.sub, now=timezone.now()) is None
    assert "away from" not in good(decides.get("/approvals/away/"))


def test_coming_back_twice_is_no_mistake(decides):
    away(decides)
    for _ in range(2):
        assert decides.post("/approvals/back/").status_code == 302
    assert "You are away" not in good(decides.get("/approvals/"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"first": 3, "last": 2}, "The last day comes before the first."),
        ({"first": -1}, "That day has passed."),
        ({"first": -2, "last": -1}, "That day has passed."),
        ({"last": 366}, "more than a year"),
        ({"delegate": ""}, "say who"),
        ({"delegate": "nobody-of-this-name"}, "Nobody who can sign in"),
        ({"delegate": "approver"}, "Somebody else has to answer for you."),
        ({"delegate": "approver@example.com"}, "Somebody else has to answer for you."),
    ],
)
def test_what_is_no_absence_is_said_and_kept(decides, approver, changes, said):
    page = good(away(decides, **changes), 422)
    assert said in page
    assert f'value="{day(changes.get("first", 0))}"' in page
    assert absence.find(approver.sub, now=timezone.now()) is None


@pytest.mark.parametrize("written", ["", "tomorrow", "2026-02-30", "0000-00-00", "9999-12-31", "99999-01-01"])
def test_a_date_that_is_none_is_said(decides, approver, written):
    data = {"first_day": written, "last_day": written, "delegate": "author"}
    good(decides.post("/approvals/away/", data), 422)
    assert absence.find(approver.sub, now=timezone.now()) is None


def test_somebody_who_is_disabled_answers_for_nobody(decides, approver, author, disable):
    disable(author)
    assert "Nobody who can sign in" in good(away(decides), 422)
    assert absence.find(approver.sub, now=timezone.now()) is None
