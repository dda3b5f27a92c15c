"""What operators take down is out of its owner's reach for good, wherever it was broken off, and can be put back."""

from __future__ import annotations

import itertools
from functools import partial
from urllib.parse import quote_plus, unquote_plus

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from documents import acts, archive, renders
from documents.archive import METADATA_BYTES, REASON_BYTES
from documents.renders import State
from portal import aws
from portal.accounts import people
from tests.documents.conftest import indexed
from tests.documents.operators import LIST, REASON, asks, know, objects, put_render, text, theirs, url, written
from tests.html import page_problems

__all__ = ["asks", "theirs"]  # fixtures

FIRST, LAST = b"# Plan\n\nfirst", b"# Plan\n\nlast"


def fill(corner, content=LAST, pdf_content=b"%PDF"):
    """Write a document with two versions of its text and a PDF, and return what its parts are called."""
    first = corner.put("notes/plan.md", FIRST)
    last = corner.put("notes/plan.md", content, ContentType="text/markdown; charset=utf-8")
    made_of = {"source-etag": last["ETag"].strip('"'), "pages": "3"}
    pdf = corner.put("notes/plan.pdf", pdf_content, ContentType="application/pdf", Metadata=made_of)
    return [
        ("notes/plan.md", first["VersionId"]),
        ("notes/plan.md", last["VersionId"]),
        ("notes/plan.pdf", pdf["VersionId"]),
    ]


def take_down(client, corner, document_id="notes/plan", reason=REASON):
    return client.post(url(corner, document_id, "take_down"), {"reason": reason}, follow=True)


def put_back(client, corner, document_id="notes/plan", query="", **fields):
    return client.post(url(corner, document_id, "put_back") + query, fields, follow=True)


def refused(call, **request):
    with pytest.raises(ClientError) as error:
        call(Bucket=settings.DOCUMENTS_BUCKET, **request)
    return aws.error_code(error.value)


def versions(corner):
    """Return what its owner can list of a corner, of all times."""
    answer = corner.s3.list_object_versions(Bucket=settings.DOCUMENTS_BUCKET, Prefix=corner.key(""))
    return [one["Key"] for one in [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]]


def taken(cloud, corner, path="notes/plan.md"):
    key = f"taken-down/{corner.identity_id}/{path}"
    return cloud.admin("s3").get_object(Bucket=settings.DOCUMENTS_BUCKET, Key=key)["Body"].read()


def came_to_an_end(act):
    """Tell whether an act was done; where it was not, for a reason that passes."""
    try:
        act()
    except Exception as error:
        if not aws.is_transient(error):
            raise
        return False
    return True


@pytest.fixture
def once(cloud, monkeypatch):
    """Let S3 be asked once only, so that one fault is the end of what is under way."""
    client = aws._boto3().client("s3", config=Config(retries={"total_max_attempts": 1}))
    monkeypatch.setattr(archive, "_s3", lambda: client)


# --- Taking down ------------------------------------------------------------------------------------------------------


def test_what_is_taken_down_is_out_of_its_owners_reach(asks, theirs, cloud):
    parts = fill(theirs)
    theirs.put("notes/plan.md.bak", b"another object")
    know(theirs)
    page = asks.get(url(theirs, "notes/plan", "take_down"))
    assert "Earlier versions are deleted for good." in text(page)
    assert not page_problems(page.content.decode())
    assert "It is taken down." in text(take_down(asks, theirs))
    for path, version in parts:
        assert refused(theirs.s3.get_object, Key=theirs.key(path)) in ("NoSuchKey", "AccessDenied")
        assert refused(theirs.s3.get_object, Key=theirs.key(path), VersionId=version) in ("NoSuchVersion", "NoSuchKey")
        moved = f"taken-down/{theirs.identity_id}/{path}"
        assert refused(theirs.s3.get_object, Key=moved) == "AccessDenied"
        assert refused(theirs.s3.delete_object, Key=moved) == "AccessDenied"
        assert refused(theirs.s3.put_object, Key=moved, Body=b"") == "AccessDenied"
    assert versions(theirs) == ["ugc/" + theirs.identity_id + "/notes/plan.md.bak"]
    assert (taken(cloud, theirs), taken(cloud, theirs, "notes/plan.pdf")) == (LAST, b"%PDF")
    name = f"documents.document/{theirs.identity_id}/notes/plan"
    assert written(cloud) == [("operator", "took the document down", name, [REASON])]


def test_its_owner_reads_why_among_what_they_deleted(asks, client_for, rider, theirs, catch_up):
    fill(theirs)
    catch_up()
    reason = "It named people, “öffentlich” & 100% of them."
    take_down(asks, theirs, reason=reason)
    catch_up()
    document = indexed(theirs, "notes/plan")
    assert document
    assert (document.modified_at, document.taken_down, document.title) == (None, reason, "Plan")
    assert document.expires_at is None
    page = text(client_for(rider).get("/documents/deleted/"))
    assert f"Taken down by an operator: {reason}" in page
    assert "Bring back" not in page
    listed = text(asks.get(LIST, {"q": "rider", "show": "removed"}))
    assert "Plan Markdown PDF" in listed
    assert reason in listed


def test_its_page_knows_it_before_the_index_does(asks, theirs):
    fill(theirs)
    know(theirs)
    page = take_down(asks, theirs)
    assert [said for said, *_ in page.context["acts"]] == ["Read the text", "Put back"]
    assert f"Its owner reads: “{REASON}”" in text(page)
    assert "Taken down in part" not in text(page)
    assert not page_problems(page.content.decode())
    answer = asks.post(url(theirs, "notes/plan", "read"), {"reason": REASON})
    assert answer.context["text"].content.encode() == LAST
    assert "As it was taken down" in text(answer)


def test_what_its_owner_deleted_cannot_be_brought_back_once_it_is_taken_down(asks, theirs, cloud):
    fill(theirs)
    theirs.delete("notes/plan.md")
    theirs.delete("notes/plan.pdf")
    know(theirs)
    take_down(asks, theirs)
    assert versions(theirs) == []
    assert taken(cloud, theirs) == LAST


def test_a_picture_and_any_other_file_is_taken_down_by_itself(asks, theirs, cloud):
    theirs.put("images/ab.png", b"\x89PNG", ContentType="image/png")
    theirs.put("sums.xlsx", b"PK")
    know(theirs)
    take_down(asks, theirs, "images/ab.png")
    assert versions(theirs) == [theirs.key("sums.xlsx")]
    take_down(asks, theirs, "sums.xlsx")
    assert versions(theirs) == []
    assert taken(cloud, theirs, "images/ab.png") == b"\x89PNG"


def test_documents_whose_names_are_alike_stay(asks, theirs):
    for path in ("plan.md", "plan.md.md", "plan", "planned.md", "plan.pdf.pdf"):
        theirs.put(path, b"x")
    know(theirs)
    # Its Markdown is plan.md.md; plan.md is that of another document.
    take_down(asks, theirs, "plan.md")
    assert theirs.paths() == {"plan.md", "plan", "planned.md", "plan.pdf.pdf"}
    take_down(asks, theirs, "plan")
    assert theirs.paths() == {"planned.md", "plan.pdf.pdf"}


def test_without_a_reason_that_its_owner_can_read_nothing_is_taken_down(asks, theirs, cloud):
    fill(theirs)
    know(theirs)
    for reason, said in [
        ("", "Say why."),
        ("too short", "10 characters at least"),
        ("x" * 501, "at most 500"),
        ("причина " * 50, "shorten it"),
    ]:
        answer = take_down(asks, theirs, reason=reason)
        assert answer.status_code == 422
        assert said in text(answer)
        assert not page_problems(answer.content.decode())
    assert len(versions(theirs)) == 3
    assert written(cloud) == []


def test_nothing_is_taken_down_that_cannot_be_written_down(asks, theirs, cloud):
    fill(theirs)
    know(theirs)
    cloud.faults.add(service="dynamodb", action="PutItem", kind="throttle")
    assert "A service did not answer." in text(take_down(asks, theirs))
    assert len(versions(theirs)) == 3
    assert objects(cloud, f"taken-down/{theirs.identity_id}/") == []


@pytest.mark.parametrize(
    ("kind", "actions", "steps"),
    [
        ("error", "ListObjectVersions|HeadObject|CopyObject|DeleteObject", 13),
        ("lost_reply", "CopyObject|DeleteObject", 6),
    ],
)
def test_wherever_taking_down_breaks_off_it_can_be_done_again(asks, theirs, cloud, once, kind, actions, steps):
    fill(theirs)
    know(theirs)
    by = asks.get(LIST).wsgi_request.user
    take = partial(acts.take_down, indexed(theirs, "notes/plan"), reason=REASON, sub="", by=by, now=timezone.now())
    for step in itertools.count():
        newest = {"notes/plan.md": b"# Plan %d" % step, "notes/plan.pdf": b"%%PDF %d" % step}
        fill(theirs, *newest.values())
        theirs.delete("notes/plan.md")
        cloud.faults.add(service="s3", action=actions, kind=kind, skip=step, times=1)
        is_whole = came_to_an_end(take)
        cloud.faults.clear()
        # What was copied is never older than what is gone.
        left = set(versions(theirs))
        for path, content in newest.items():
            assert theirs.key(path) in left or taken(cloud, theirs, path) == content
        take()
        assert versions(theirs) == []
        assert {path: taken(cloud, theirs, path) for path in newest} == newest
        if is_whole:
            break
    assert step == steps
    page = asks.get(url(theirs, "notes/plan"))
    assert [said for said, *_ in page.context["acts"]] == ["Read the text", "Put back"]


def test_a_page_says_what_was_broken_off(asks, theirs, cloud, once):
    fill(theirs)
    know(theirs)
    cloud.faults.add(service="s3", action="DeleteObject", kind="error", times=1)
    page = take_down(asks, theirs)
    said = text(page)
    assert "It may be taken down in part. Take it down again." in said
    assert "Taken down in part" in said
    assert [name for name, *_ in page.context["acts"]] == ["Read the text", "Take down", "Put back"]
    assert [action for _, action, *_ in written(cloud)][-1] == "took the document down, which failed"
    assert "Taken down in part" not in text(take_down(asks, theirs))


def test_what_its_owner_writes_meanwhile_is_taken_as_well(asks, theirs, cloud, monkeypatch):
    fill(theirs)
    know(theirs)
    copy, written_by_owner = archive._copy, iter([b"# Plan\n\nwritten meanwhile"])

    def slow(place, *args, **notes):
        copy(place, *args, **notes)
        for content in written_by_owner:
            theirs.put("notes/plan.pdf" if place.kind == "pdf" else "notes/plan.md", content)

    monkeypatch.setattr(archive, "_copy", slow)
    take_down(asks, theirs)
    assert versions(theirs) == []
    assert taken(cloud, theirs, "notes/plan.md") == b"# Plan\n\nwritten meanwhile"


def test_an_owner_who_does_not_stop_writing_is_not_waited_for(asks, theirs, monkeypatch):
    fill(theirs)
    know(theirs)
    copy = archive._copy

    def slow(place, *args, **notes):
        copy(place, *args, **notes)
        theirs.put("notes/plan.pdf", b"%PDF again")

    monkeypatch.setattr(archive, "_copy", slow)
    assert "Take it down again." in text(take_down(asks, theirs))


def test_two_operators_at_once_take_down_one_document(asks, theirs, cloud, monkeypatch):
    fill(theirs)
    know(theirs)
    copy, others = archive._copy, iter(["the other operator’s reason"])

    def slow(place, *args, **notes):
        for reason in others:
            assert "It is taken down." in text(take_down(asks, theirs, reason=reason))
        copy(place, *args, **notes)

    monkeypatch.setattr(archive, "_copy", slow)
    assert "It is taken down." in text(take_down(asks, theirs))
    assert versions(theirs) == []
    assert (taken(cloud, theirs), taken(cloud, theirs, "notes/plan.pdf")) == (LAST, b"%PDF")
    assert "Nothing of it was there." in text(take_down(asks, theirs))


def test_every_version_goes_by_its_id(asks, theirs, cloud):
    theirs.put("plan.md", b"# 0")
    know(theirs)
    for number in range(1, 40):
        theirs.put("plan.md", b"# %d" % number)
    take_down(asks, theirs, "plan")
    assert versions(theirs) == []
    assert taken(cloud, theirs, "plan.md") == b"# 39"
    assert cloud.calls()["s3", "DeleteObject"] == 40


def test_a_pdf_that_is_being_made_does_not_come_after(asks, theirs, rider):
    fill(theirs)
    know(theirs)
    put_render(theirs.identity_id, "notes/plan", rider, state=State.RENDERING, shelf=None, message="")
    take_down(asks, theirs)
    render = renders.renders.find(theirs.identity_id, "notes/plan")
    assert render
    assert (render.state, render.shelf, render.message) == (State.FAILED, None, "An operator took the document down.")


# --- Putting back -----------------------------------------------------------------------------------------------------


def test_its_owner_has_again_what_is_put_back(asks, theirs, rider, catch_up, cloud):
    fill(theirs)
    catch_up()
    before = indexed(theirs, "notes/plan")
    query = f"?owner={rider.sub}"
    asks.post(url(theirs, "notes/plan", "take_down") + query, {"reason": REASON})
    catch_up()
    # Whose it is, was noted with the copy.
    page = asks.get(url(theirs, "notes/plan", "put_back") + "?owner=somebody")
    assert "owner" not in page.context["form"].fields
    assert not page_problems(page.content.decode())
    page = put_back(asks, theirs)
    assert "It is back." in text(page)
    assert [said for said, *_ in page.context["acts"]] == ["Read the text", "Take down"]
    assert (theirs.get("notes/plan.md"), theirs.get("notes/plan.pdf")) == (LAST, b"%PDF")
    assert objects(cloud, f"taken-down/{theirs.identity_id}/") == []
    pdf = theirs.s3.head_object(Bucket=settings.DOCUMENTS_BUCKET, Key=theirs.key("notes/plan.pdf"))
    assert pdf["ContentType"] == "application/pdf"
    assert pdf["Metadata"]["pages"] == "3"
    catch_up()
    after = indexed(theirs, "notes/plan")
    assert before
    assert after
    assert (after.taken_down, after.removed_at, after.title) == ("", None, "Plan")
    assert after.pdf_is_current
    assert after.size == before.size
    assert [action for _, action, *_ in written(cloud)] == ["took the document down", "put the document back"]


def test_whose_it_is_has_to_be_said_where_nobody_knows(asks, theirs, author, cloud):
    fill(theirs)
    know(theirs)
    take_down(asks, theirs)
    people.people.add(people.Person(person_id=author.sub, username="author", identity_id="eu-west-1:another"))
    for name in ("", "author", "nobody", theirs.identity_id):
        answer = put_back(asks, theirs, owner=name)
        assert answer.status_code == 422
        assert not page_problems(answer.content.decode())
    assert theirs.paths() == set()
    assert "It is back." in text(put_back(asks, theirs, owner="rider@example.com"))
    assert theirs.paths() == {"notes/plan.md", "notes/plan.pdf"}


def test_what_its_owner_wrote_since_is_not_overwritten(asks, theirs, cloud):
    fill(theirs)
    know(theirs)
    take_down(asks, theirs)
    theirs.put("notes/plan.md", b"# Another plan")
    assert "Its owner has written something else in its place." in text(put_back(asks, theirs, owner="rider"))
    assert theirs.get("notes/plan.md") == b"# Another plan"
    assert theirs.paths() == {"notes/plan.md"}
    assert taken(cloud, theirs) == LAST
    # And taken down once more, it is the newer one that is kept.
    take_down(asks, theirs)
    assert taken(cloud, theirs) == b"# Another plan"


def test_wherever_putting_back_breaks_off_it_can_be_done_again(asks, theirs, cloud, once):
    fill(theirs)
    know(theirs)
    by, sub, document = asks.get(LIST).wsgi_request.user, "sub", indexed(theirs, "notes/plan")
    for step in itertools.count():
        acts.take_down(document, reason=REASON, sub=sub, by=by, now=timezone.now())
        some = archive.taken_down(theirs.identity_id, "notes/plan")
        # The owner's client tries twice.
        cloud.faults.add(service="s3", action="GetObject|PutObject|DeleteObject", kind="error", skip=step, times=2)
        is_whole = came_to_an_end(partial(acts.put_back, document, some, sub=sub, by=by))
        cloud.faults.clear()
        acts.put_back(document, archive.taken_down(theirs.identity_id, "notes/plan"), sub=sub, by=by)
        assert (theirs.get("notes/plan.md"), theirs.get("notes/plan.pdf")) == (LAST, b"%PDF")
        assert objects(cloud, f"taken-down/{theirs.identity_id}/") == []
        if is_whole:
            break
    assert step >= 5


def test_nothing_is_put_back_that_is_not_taken_down(asks, theirs, cloud):
    fill(theirs)
    know(theirs)
    assert "Nothing of it is taken down." in text(put_back(asks, theirs))
    assert written(cloud) == []


# --- What is noted ----------------------------------------------------------------------------------------------------

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
OWN = st.dictionaries(st.text("abc-", min_size=1, max_size=20), st.text("xyz é", max_size=400), max_size=8)


@given(own=OWN, reason=ANY.filter(lambda one: len(quote_plus(one)) <= REASON_BYTES), title=ANY)
def test_what_is_noted_fits_and_the_reason_is_whole(own, reason, title):
    noted = archive.metadata(own, reason=reason, title=title, sub="00000000-0000-4000-8000-000000000000")
    assert all(value.isascii() for value in noted.values())
    assert sum(len(name) + len(value) for name, value in noted.items()) <= METADATA_BYTES
    assert unquote_plus(noted["reason"]) == reason
    assert title.startswith(unquote_plus(noted["title"]))


def test_what_says_how_a_pdf_was_made_always_fits():
    own = {"source-etag": "0" * 32, "pages": "9999"}
    sub = "s" * 100
    noted = archive.metadata(own, reason="%" * 500, title="%" * 200, sub=sub)
    assert {noted["own-source-etag"], noted["own-pages"]} == {"0" * 32, "9999"}
