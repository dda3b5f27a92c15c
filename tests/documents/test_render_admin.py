"""Operators see which PDFs failed in the background and why, and have them made once more."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from documents import renders
from documents.renders import OPEN_SHELF, State
from portal.dynamo import records
from portal.dynamo.table import Conflict
from tests.documents.conftest import Corner
from tests.documents.operators import NOBODY, RENDERS, asks, put_render, text, url, written
from tests.html import page_problems

__all__ = ["asks"]  # fixtures

HERE = Corner(NOBODY, None)
NOW = timezone.now()


@pytest.fixture
def fail(cloud, rider):
    """Return a function that stores a render that failed, or is as it is told."""
    return lambda document_id="notes/long", **facts: put_render(NOBODY, document_id, rider, **facts)


def retry(client, render, **fields):
    address = url(HERE, render.document_id, "retry", "render")
    return client.post(address, {"render_id": render.render_id, **fields}, follow=True)


def stored(document_id="notes/long"):
    return renders.renders.get(NOBODY, document_id, consistent=True)


def sent(cloud):
    return [json.loads(body) for body in cloud.messages(settings.RENDERS_QUEUE_URL)]


def test_what_failed_is_listed_newest_first_with_one_query_for_each_page(asks, fail, monkeypatch, cloud):
    monkeypatch.setitem(records.page.__kwdefaults__, "limit", 3)
    for number in range(5):
        fail(f"d{number}", updated_at=NOW + timedelta(minutes=number), message=f"Reason {number}.")
    fail("done", state=State.DONE, shelf=None)
    cloud.forget_calls()
    first = asks.get(RENDERS)
    assert [row["render"].document_id for row in first.context["rows"]] == ["d4", "d3", "d2"]
    assert "rider" in text(first)
    assert "Reason 4. On page 12 of about 300." in text(first)
    assert not page_problems(first.content.decode())
    second = asks.get(RENDERS + first.context["page"].older)
    assert [row["render"].document_id for row in second.context["rows"]] == ["d1", "d0"]
    assert asks.get(RENDERS + second.context["page"].newer).context["rows"] == first.context["rows"]
    # And one, on the first page, for those that were interrupted.
    assert cloud.calls()["dynamodb", "Query"] == 3 + 1
    assert cloud.calls()["dynamodb", "Scan"] == 0


def test_where_none_failed_it_is_said(asks, cloud):
    page = asks.get(RENDERS)
    assert "None has failed." in text(page)
    assert not page_problems(page.content.decode())


def test_a_renders_page_says_why_it_failed_and_leads_to_the_document(asks, fail):
    fail()
    page = asks.get(url(HERE, "notes/long", noun="render"))
    shown = text(page)
    for said in ("PDF of “notes/long”", "rider", "failed", "It takes longer than ten minutes.", "page 12 of about 300"):
        assert said in shown
    assert url(HERE, "notes/long") in page.content.decode()
    assert not page_problems(page.content.decode())


def test_one_that_was_interrupted_is_listed_and_made_once_more(asks, fail, cloud):
    was = fail(state=State.RENDERING, shelf=OPEN_SHELF, message="", updated_at=NOW - timedelta(hours=1))
    page = asks.get(RENDERS)
    assert "It was interrupted." in text(page)
    retry(asks, was, from_list="yes")
    assert [one["DocumentId"] for one in sent(cloud)] == ["notes/long"]
    assert "It was interrupted." not in text(asks.get(RENDERS))


def test_one_that_failed_is_made_once_more(asks, fail, cloud):
    was = fail()
    page = retry(asks, was, from_list="yes")
    assert page.redirect_chain[-1][0] == RENDERS
    assert "The PDF of “notes/long” is being made once more." in text(page)
    assert "None has failed." in text(page)
    now = stored()
    assert (now.state, now.shelf, now.message, now.sub) == (State.QUEUED, OPEN_SHELF, "", was.sub)
    assert sent(cloud) == [{"IdentityId": NOBODY, "DocumentId": "notes/long", "RenderId": now.render_id}]
    assert written(cloud) == [("operator", "retried the PDF", f"documents.document/{NOBODY}/notes/long", [])]
    assert "operator retried the PDF" in text(asks.get(url(HERE, "notes/long", noun="render")))


def test_one_that_its_owner_has_begun_anew_is_left_alone(asks, fail, cloud, monkeypatch):
    was = fail()
    begun = was.model_copy(update={"render_id": "another", "state": State.RENDERING, "shelf": None})
    renders.renders.replace(begun, was=was)
    said = "Another PDF of “notes/long” was begun meanwhile"
    assert said in text(retry(asks, was))
    assert stored() == begun
    assert sent(cloud) == []
    assert written(cloud) == []

    # The same, where it happens between looking and writing.
    def conflict(*args, **kwargs):
        raise Conflict

    monkeypatch.setattr(renders, "retry", conflict)
    other = fail("other")
    assert "Another PDF of “other” was begun meanwhile" in text(retry(asks, other))
    assert [action for _, action, *_ in written(cloud)] == ["retried the PDF", "retried the PDF, which failed"]


@pytest.mark.parametrize(("state", "said"), [(State.DONE, "is made"), (State.RENDERING, "is being made")])
def test_there_is_nothing_to_retry_where_nothing_failed(asks, fail, cloud, state, said):
    was = fail(state=state, shelf=None)
    assert f"The PDF of “notes/long” {said}." in text(retry(asks, was))
    assert "Retry" not in asks.get(url(HERE, "notes/long", noun="render")).content.decode()
    assert stored() == was
    assert written(cloud) == []


def test_one_that_has_said_nothing_for_long_can_be_retried(asks, fail, cloud):
    was = fail(state=State.RENDERING, shelf=None, updated_at=NOW - timedelta(minutes=20))
    retry(asks, was)
    assert stored().state == State.QUEUED
    assert len(sent(cloud)) == 1


def test_a_message_that_was_not_sent_is_sent_by_pressing_again(asks, fail, cloud):
    was = fail()
    cloud.faults.add(service="sqs", action="SendMessage", kind="error", times=2)
    page = retry(asks, was, from_list="yes")
    assert "A service did not answer. Please retry it once more." in text(page)
    assert page.redirect_chain[-1][0] == url(HERE, "notes/long", noun="render")
    assert (stored(), sent(cloud)) == (was, [])
    assert "is being made once more" in text(retry(asks, was))
    assert [one["RenderId"] for one in sent(cloud)] == [stored().render_id]


def test_one_that_is_forgotten_is_said(asks, fail, cloud):
    was = fail()
    cloud.empty("renders")
    assert "This PDF is not asked for any more." in text(retry(asks, was))


def test_whoever_had_to_sign_in_before_retrying_comes_back_to_the_page(asks, fail):
    fail()
    assert asks.get(url(HERE, "notes/long", "retry", "render"))["Location"] == url(HERE, "notes/long", noun="render")
