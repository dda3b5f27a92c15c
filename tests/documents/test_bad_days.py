"""S3, the queue and the worker fail, at every step: no text is lost, and what was begun comes to an end."""

from __future__ import annotations

import io
import json

import pypdf
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from django.conf import settings
from django.test import Client
from django.utils import timezone

from documents import bucket, pdf, progress, renders, tasks, workshop
from documents.bucket import DocumentMissing
from documents.corner import Corner
from documents.renders import State
from portal import aws
from portal.accounts import identity_pool
from portal.localcloud.worker import Context

LONG = "\n\n".join(f"# Chapter {n}\n\n{'Some words of the text. ' * 90}" for n in range(30))


@pytest.fixture
def asks(cloud, author):
    client = Client(headers={"Authorization": f"Bearer {author.id_token}"}, raise_request_exception=False)
    client.get("/documents")  # and the credentials are there now
    return client


@pytest.fixture
def corner(author, corner_of):
    corner = corner_of(author)
    corner.put("plan.md", LONG.encode())
    return corner


def post(client, path):
    return client.post(path, content_type="application/json")


def begun(client, document_id="plan"):
    """Ask for a PDF and return the queue's event for it."""
    answer = post(client, f"/documents/{document_id}/pdf")
    assert answer.status_code == 202, answer.content

    def event(tries=1):
        identity_id = identity_pool.identity_id(client.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        render = renders.renders.get(identity_id, document_id, consistent=True)
        body = {"IdentityId": identity_id, "DocumentId": document_id, "RenderId": render.render_id}
        return {"Records": [{"body": json.dumps(body), "attributes": {"ApproximateReceiveCount": str(tries)}}]}

    return event


def state_of(corner):
    return renders.renders.get(corner.identity_id, "plan", consistent=True)


def unanswered(cloud, action, **fault):
    cloud.faults.add(**{"service": "s3", "action": action, "kind": "error", **fault})


# --- At once ----------------------------------------------------------------------------------------------------------


def test_s3_that_dies_between_the_text_and_the_pdf_loses_neither(asks, corner, cloud):
    corner.put("short.md", b"# Short")
    unanswered(cloud, "PutObject")
    answer = post(asks, "/documents/short/pdf")
    assert answer.status_code == 503
    assert answer.json()["Reference"]
    assert corner.get("short.md") == b"# Short"
    cloud.faults.clear()
    assert post(asks, "/documents/short/pdf").status_code == 201


@pytest.mark.parametrize("kind", ["error", "throttle", "lost_reply"])
def test_a_save_that_s3_does_not_take_says_so_and_can_be_repeated(asks, corner, cloud, kind):
    e_tag = asks.get("/documents/plan").json()["ETag"]
    unanswered(cloud, "PutObject", kind=kind)
    save = {"data": {"Text": "two"}, "content_type": "application/json", "headers": {"If-Match": e_tag}}
    assert asks.put("/documents/plan", **save).status_code == 503
    cloud.faults.clear()
    answer = asks.put("/documents/plan", **save)
    assert answer.status_code == 200
    assert corner.get("plan.md") == b"two"


def test_pictures_that_s3_does_not_give_now_are_not_left_out_of_a_pdf(asks, corner, cloud):
    corner.put("short.md", b"![](images/ab.png)")
    unanswered(cloud, "GetObject", skip=1)
    assert post(asks, "/documents/short/pdf").status_code == 503
    assert "short.pdf" not in corner.paths()


# --- In the background ------------------------------------------------------------------------------------------------


def test_what_passes_is_tried_again(asks, corner, cloud, monkeypatch):
    event = begun(asks)
    unanswered(cloud, "PutObject", kind="throttle")
    with pytest.raises(ClientError):
        tasks.render(event(), Context())
    assert state_of(corner).state is State.QUEUED
    assert "tried again" in state_of(corner).message
    assert asks.get("/documents/plan/pdf").json()["State"] == "queued"
    cloud.faults.clear()
    tasks.render(event(tries=2), Context())
    assert (state_of(corner).state, state_of(corner).message) == (State.DONE, "")
    assert len(pypdf.PdfReader(io.BytesIO(corner.get("plan.pdf"))).pages) == state_of(corner).pages


def test_what_does_not_pass_in_three_tries_fails_and_is_a_dead_letter(asks, corner, cloud):
    event = begun(asks)
    unanswered(cloud, "PutObject")
    with pytest.raises(ClientError):
        tasks.render(event(tries=tasks.RENDER_TRIES), Context())
    assert state_of(corner).state is State.FAILED
    assert "did not answer" in state_of(corner).message
    # The dead letter that is given back later finds that it is over.
    tasks.render(event(), Context())
    assert state_of(corner).state is State.FAILED


def test_the_queue_of_the_template_gives_a_message_as_often_as_the_code_says(cloud):
    attributes = cloud.admin("sqs").get_queue_attributes(
        QueueUrl=settings.RENDERS_QUEUE_URL, AttributeNames=["RedrivePolicy"]
    )["Attributes"]
    assert int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]) == tasks.RENDER_TRIES


def test_a_message_that_comes_twice_makes_one_pdf(asks, corner, cloud):
    event = begun(asks)
    tasks.render(event(), Context())
    made = state_of(corner)
    cloud.forget_calls()
    tasks.render(event(), Context())
    assert ("s3", "PutObject") not in cloud.calls()
    assert state_of(corner) == made


def test_an_own_mistake_is_written_down_and_raised(asks, corner, monkeypatch):
    event = begun(asks)

    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(workshop, "pdf", broken)
    for tries, state in ((1, State.RENDERING), (tasks.RENDER_TRIES, State.FAILED)):
        with pytest.raises(RuntimeError):
            tasks.render(event(tries=tries), Context())
        assert state_of(corner).state is state
    assert "a bug" not in state_of(corner).message


def test_the_owner_who_begins_another_one_is_not_overtaken(asks, corner, monkeypatch):
    """The text is changed, and the PDF asked for anew, while the first one is being made."""
    event, printed = begun(asks), workshop.pdf
    first = event()

    def slow(*arguments, **options):
        corner.put("plan.md", LONG.replace("Chapter", "Section").encode())
        begun(asks)
        options["on_page"](1)
        return printed(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(workshop, "pdf", slow)
        tasks.render(first, Context())
    assert state_of(corner).state is State.QUEUED
    assert "plan.pdf" not in corner.paths()
    tasks.render(event(), Context())
    assert state_of(corner).state is State.DONE
    assert "Section 0" in pypdf.PdfReader(io.BytesIO(corner.get("plan.pdf"))).pages[0].extract_text()


def test_what_was_deleted_meanwhile_fails_with_the_reason(asks, corner):
    event = begun(asks)
    corner.delete("plan.md")
    tasks.render(event(), Context())
    assert (state_of(corner).state, state_of(corner).message) == (State.FAILED, "It was deleted meanwhile.")


def test_progress_is_written_down_page_by_page(asks, corner, monkeypatch):
    event, printed, seen = begun(asks), workshop.pdf, []

    def watched(*arguments, on_page, **options):
        def tell(page):
            on_page(page)
            seen.append((state_of(corner).state, state_of(corner).page))

        return printed(*arguments, on_page=tell, **options)

    monkeypatch.setattr(workshop, "pdf", watched)
    tasks.render(event(), Context())
    assert {state for state, _ in seen} == {State.RENDERING}
    assert seen[0][1] == 1
    assert [page for _, page in seen] == sorted(page for _, page in seen)
    assert len(seen) >= state_of(corner).pages
    assert state_of(corner).page == state_of(corner).pages


def test_a_queue_that_does_not_answer_is_told_and_the_next_press_sends(asks, corner, cloud, catch_up):
    cloud.faults.add(service="sqs", action="SendMessage", kind="error")
    assert post(asks, "/documents/plan/pdf").status_code == 503
    cloud.faults.clear()
    assert cloud.messages(settings.RENDERS_QUEUE_URL) == []
    assert post(asks, "/documents/plan/pdf").status_code == 202
    catch_up()
    assert state_of(corner).state is State.DONE


def test_a_render_whose_function_was_killed_can_be_begun_anew(asks, corner, catch_up):
    begun(asks)
    render = state_of(corner)
    silent = render.model_copy(update={"state": State.RENDERING, "updated_at": timezone.now() - renders.SILENT})
    renders.renders.replace(silent, was=render)
    begun(asks)
    assert state_of(corner).render_id != render.render_id
    catch_up()
    assert state_of(corner).state is State.DONE


# --- What S3 says where one may only list a part of it ----------------------------------------------------------------


def test_what_is_refused_in_ones_own_corner_is_not_there(someone):
    """AWS answers 403, and not 404, where the caller may not list the whole bucket; the local cloud does not."""
    mine = someone()

    class Empty:
        def stream(self, *_, **__):
            return iter([b""])

    def answer(request, **_):
        return AWSResponse(request.url, 403, {}, Empty())

    corner = Corner(mine.identity_id, lambda: mine.s3)
    bucket.create(corner, "plan", b"x")
    mine.s3.meta.events.register_first("before-send.s3", answer)
    assert not bucket.is_there(corner, "none", "pdf")
    assert bucket.find_pdf(corner, "none") is None
    with pytest.raises(DocumentMissing):
        bucket.read(corner, "none")
    with pytest.raises(DocumentMissing):
        bucket.save(corner, "none", b"x", was="0" * 32)


def test_two_writers_at_the_same_moment_are_told_to_try_again(someone):
    """S3 answers 409 to the one that is late, which may be the first try of the same write: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
    mine = someone()
    corner = Corner(mine.identity_id, lambda: mine.s3)
    stored = bucket.create(corner, "plan", b"one")

    class Body:
        def stream(self, *_, **__):
            return iter([b"<Error><Code>ConditionalRequestConflict</Code><Message>Conflict</Message></Error>"])

    def answer(request, **_):
        if request.method == "PUT":
            return AWSResponse(request.url, 409, {}, Body())
        return None

    mine.s3.meta.events.register_first("before-send.s3", answer)
    with pytest.raises(aws.Busy):
        bucket.save(corner, "plan", b"two", was=stored.e_tag)


def test_the_longest_times_fit_into_what_lambda_and_api_gateway_have():
    assert pdf.AT_ONCE_SECONDS < 29 - 10
    assert progress.LONGEST_SECONDS < 900
    assert aws.is_transient(aws.Busy())
