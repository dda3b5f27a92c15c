"""The Documents table follows the bucket, whatever S3's events do on their way."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from documents import index, tasks
from documents.document import Document, Part, documents
from documents.place import Place
from portal import aws
from portal.dynamo.table import Conflict
from portal.localcloud.worker import Context
from tests.documents.conftest import Corner, indexed


def deliver(*events: dict[str, Any]) -> None:
    records = [{"body": json.dumps(event), "attributes": {"ApproximateReceiveCount": "1"}} for event in events]
    for record in records:
        tasks.index({"Records": [record]}, Context())


def known(corner):
    """Return what the table has of all that `fill` made."""
    found = [indexed(corner, name) for name in NAMES]
    return [without_sequencers(one) for one in found if one]


def without_sequencers(document: Document) -> dict[str, Any]:
    content = document.model_dump()
    for kind in ("source", "pdf", "file"):
        if content[kind]:
            content[kind].pop("sequencer")
    return content


def test_an_object_of_another_program_is_a_document(someone, catch_up):
    corner = someone()
    corner.put("notes/2026/meeting.md", b"Preamble\n\n# The *meeting*\n\nText.")
    assert catch_up() == 1
    document = indexed(corner, "notes/2026/meeting")
    assert document
    assert (document.title, document.title_key, document.size) == ("The meeting", "the meeting", 32)
    assert document.has_source
    assert document.source
    assert document.modified_at == document.source.modified_at
    assert not document.has_pdf


@pytest.mark.parametrize(
    ("path", "data", "document_id", "title"),
    [
        ("a.md", b"---\ntitle: From the front\n---\n# Heading", "a", "From the front"),
        ("plain.md", b"no heading", "plain", "plain"),
        ("empty.md", b"", "empty", "empty"),
        ("not-text.md", b"\xff\xfe\x00# x", "not-text", "not-text"),
        ("sums.xlsx", b"PK", "sums.xlsx", "sums.xlsx"),
        ("only.pdf", b"%PDF", "only", ""),
        (
            "\u00fcn\u00ef + 100% & \U0001f984?.md",
            "# \U0001f984".encode(),
            "\u00fcn\u00ef + 100% & \U0001f984?",
            "\U0001f984",
        ),
        ("long.md", b"# " + b"x" * 300, "long", "x" * 200),
        # The head of the file ends within a character.
        ("cut.md", b"# Cut\n" + b"x" * (16 * 1024 - 7) + "\u00fc".encode() * 9, "cut", "Cut"),
    ],
)
def test_titles(someone, catch_up, path, data, document_id, title):
    corner = someone()
    corner.put(path, data)
    catch_up()
    document = indexed(corner, document_id)
    assert document
    assert (document.title, document.size) == (title, len(data))


def test_pictures_are_written_down_and_not_listed(someone, catch_up):
    corner = someone()
    corner.put("images/ab.png", b"\x89PNG")
    catch_up()
    document = indexed(corner, "images/ab.png")
    assert document
    assert document.size == 4
    assert document.modified_at is None


def test_everything_s3_tells_of_a_document_is_in_one_item(someone, catch_up, cloud):
    corner = someone()
    stored = corner.put("plan.md", b"# Plan")
    corner.put("plan.pdf", b"%PDF", Metadata={"source-etag": stored["ETag"].strip('"'), "pages": "3"})
    assert catch_up() == 2
    [item] = [one for one in cloud.items("documents") if one["IdentityId"] == {"S": corner.identity_id}]
    assert item["DocumentId"] == {"S": "plan"}
    document = indexed(corner, "plan")
    assert document
    assert document.pdf_is_current
    assert document.pdf
    assert document.pdf.pages == 3
    assert document.title == "Plan"


def test_shuffled_and_doubled_events_give_the_same_table(someone, bucket_events):
    corner = someone()
    for n in range(4):
        corner.put("plan.md", f"# Plan {n}".encode())
        corner.put("plan.pdf", b"%PDF" + b"x" * n)
        if n % 2:
            corner.delete("plan.pdf")
    corner.put("gone.md", b"# Gone")
    corner.delete("gone.md")
    told = bucket_events()
    assert len(told) == 12
    expected = None
    for seed in range(6):
        shuffled = told + random.Random(seed).choices(told, k=6)
        random.Random(seed).shuffle(shuffled)
        deliver(*shuffled)
        found = [indexed(corner, one).model_dump() for one in ("plan", "gone")]
        expected = expected or found
        assert found == expected
    assert expected
    assert [one["title"] for one in expected] == ["Plan 3", "Gone"]
    assert [bool(one["modified_at"]) for one in expected] == [True, False]


def test_an_event_that_was_read_before_a_later_one_writes_nothing(someone, bucket_events, monkeypatch):
    """The older one looks, and then waits until the newer one is written down."""
    corner = someone()
    corner.put("plan.md", b"# Plan")
    [created] = bucket_events()
    looked, look = [], index.look

    def slow(place: Place, **now: Any) -> index.Look:
        seen = look(place, **now)
        if not looked:
            looked.append(place)
            corner.delete("plan.md")
            [removed] = bucket_events()
            deliver(removed)
        return seen

    monkeypatch.setattr(index, "look", slow)
    deliver(created)
    document = indexed(corner, "plan")
    assert looked
    assert document
    assert document.modified_at is None
    assert document.removed_at
    assert document.title == "Plan"


def test_what_is_written_anew_is_no_longer_deleted(someone, catch_up):
    corner = someone()
    corner.put("plan.md", b"# Plan")
    corner.delete("plan.md")
    catch_up()
    document = indexed(corner, "plan")
    assert document
    assert document.removed_at
    assert document.expires_at
    corner.put("plan.md", b"# Plan again")
    catch_up()
    document = indexed(corner, "plan")
    assert document
    assert (document.removed_at, document.expires_at, document.title) == (None, None, "Plan again")


@pytest.mark.parametrize(
    "event",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "portico"},
        {"Records": []},
        {"Records": [{"s3": {"bucket": {"name": "another"}, "object": {"key": "ugc/me/a.md", "sequencer": "1"}}}]},
    ],
)
def test_what_is_not_about_the_corners_is_left_alone(cloud, event):
    deliver(event)
    assert cloud.items("documents") == []


def test_s3_that_does_not_answer_leaves_the_message_in_the_queue(someone, bucket_events, cloud, monkeypatch):
    # Not with the client that tries for minutes.
    monkeypatch.setattr(index, "_s3", lambda: aws.client("s3"))
    corner = someone()
    corner.put("plan.md", b"# Plan")
    [created] = bucket_events()
    cloud.faults.add(service="s3", action="GetObject", kind="throttle")
    with pytest.raises(Exception, match="SlowDown") as caught:
        deliver(created)
    assert aws.is_transient(caught.value)
    cloud.faults.clear()
    deliver(created)
    assert indexed(corner, "plan")


def test_a_save_costs_one_read_of_s3_and_two_calls_of_dynamodb(someone, bucket_events, cloud):
    corner = someone()
    corner.put("plan.md", b"# Plan")
    [created] = bucket_events()
    deliver(created)
    corner.put("plan.md", b"# Plan 2")
    [changed] = bucket_events()
    cloud.forget_calls()
    deliver(changed)
    assert cloud.calls() == {("s3", "GetObject"): 1, ("dynamodb", "GetItem"): 1, ("dynamodb", "UpdateItem"): 1}


def test_for_an_event_that_is_late_s3_is_not_asked(someone, bucket_events, cloud):
    corner = someone()
    corner.put("plan.md", b"# Plan")
    corner.put("plan.md", b"# Plan 2")
    first, second = bucket_events()
    deliver(second)
    cloud.forget_calls()
    deliver(first)
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}


# --- rebuild_index ----------------------------------------------------------------------------------------------------


@pytest.fixture
def rebuild() -> Callable[..., str]:
    def run(corner: Corner) -> str:
        out = StringIO()
        call_command("rebuild_index", identity=corner.identity_id, stdout=out)
        return out.getvalue()

    return run


def fill(corner: Corner) -> None:
    stored = corner.put("plan.md", b"# Plan")
    corner.put("plan.pdf", b"%PDF", Metadata={"source-etag": stored["ETag"].strip('"'), "pages": "2"})
    corner.put("notes/a.md", b"---\ntitle: A\n---\n")
    corner.put("notes/a.md", b"---\ntitle: B\n---\n")
    corner.put("sums.xlsx", b"PK")
    corner.put("images/ab.png", b"\x89PNG")
    corner.put("gone.md", b"# Gone")
    corner.put("gone.pdf", b"%PDF")
    corner.delete("gone.pdf")
    corner.delete("gone.md")


NAMES = ("plan", "notes/a", "sums.xlsx", "images/ab.png", "gone")


def test_the_bucket_alone_makes_the_same_table(someone, catch_up, rebuild, cloud):
    corner = someone()
    fill(corner)
    catch_up()
    by_events = known(corner)
    assert len(by_events) == len(NAMES)
    cloud.empty("documents")
    assert "5 of 5 documents" in rebuild(corner)
    assert known(corner) == by_events


def test_rebuilding_mends_what_is_wrong_and_forgets_what_is_not_there(someone, catch_up, rebuild, cloud):
    corner = someone()
    fill(corner)
    catch_up()
    right = known(corner)
    table = settings.TABLES["documents"]
    key = {"IdentityId": {"S": corner.identity_id}}
    dynamodb = cloud.admin("dynamodb")
    dynamodb.delete_item(TableName=table, Key=key | {"DocumentId": {"S": "notes/a"}})
    dynamodb.update_item(
        TableName=table,
        Key=key | {"DocumentId": {"S": "plan"}},
        UpdateExpression="SET Title = :wrong REMOVE Pdf",
        ExpressionAttributeValues={":wrong": {"S": "Wrong"}},
    )
    part = Part(size=1, modified_at=timezone.now())
    documents.add(
        Document(identity_id=corner.identity_id, document_id="ghost", modified_at=part.modified_at, source=part)
    )
    rebuild(corner)
    assert known(corner) == right
    gone = indexed(corner, "ghost")
    assert gone
    assert (gone.modified_at, gone.removed_at) == (None, None)
    assert gone.expires_at
    # What is right is not written again.
    cloud.forget_calls()
    rebuild(corner)
    assert {action for (service, action) in cloud.calls() if service == "dynamodb"} == {"Scan", "GetItem", "UpdateItem"}


def test_events_that_come_after_rebuilding_are_taken(someone, bucket_events, rebuild):
    corner = someone()
    corner.put("plan.md", b"# Plan")
    told = bucket_events()
    rebuild(corner)
    corner.put("plan.md", b"# Plan 2")
    deliver(*bucket_events())
    deliver(*told)
    document = indexed(corner, "plan")
    assert document
    assert document.title == "Plan 2"


def test_nothing_to_rebuild_is_said(someone, rebuild, cloud):
    assert "nothing" in rebuild(someone())


def test_a_record_that_others_write_all_the_time_says_so(someone, monkeypatch):
    def taken(*_: Any, **__: Any) -> None:
        raise Conflict

    corner = someone()
    corner.put("plan.md", b"# Plan")
    monkeypatch.setattr(documents, "add", taken)
    with pytest.raises(aws.Busy):
        index.record(Place(corner.identity_id, "plan", "source"), now=timezone.now())
