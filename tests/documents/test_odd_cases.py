"""Names, sizes and moments that nobody plans for."""

from __future__ import annotations

import html
import io
import json
import re
import time
from datetime import timedelta
from urllib.parse import quote

import pypdf
import pytest
from botocore.exceptions import ClientError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from documents import acts, archive, bucket, pdf, progress, workshop
from documents import api as documents_api
from documents.corner import Corner
from documents.place import places
from documents.renders import FAILED_SHELF, INTERRUPTED, OPEN_SHELF, Render, State, interrupted, renders
from tests.documents.conftest import indexed


@pytest.fixture
def corner(author, corner_of):
    return corner_of(author)


@pytest.fixture
def asks(client_for, author, corner):
    return client_for(author, raise_request_exception=False)


@pytest.fixture
def api(author, corner):
    def send(method, path, body=None, **headers):
        headers["Authorization"] = f"Bearer {author.id_token}"
        content = {} if method == "GET" else {"data": json.dumps(body or {}), "content_type": "application/json"}
        client = Client(raise_request_exception=False)
        return getattr(client, method.lower())(path, headers=headers, **content)

    api_ = send
    api_("GET", "/documents")  # and whatever is done the first time ever is done
    return api_


@pytest.fixture
def render_of(corner, author):
    """Return a function that stores a render of the document x."""

    def store(state=State.QUEUED, *, ago=timedelta(), **facts):
        then = timezone.now() - ago
        one = Render(
            identity_id=corner.identity_id, document_id="x", render_id="1", state=state, sub=author.sub,
            username="author", source_e_tag="e", started_at=then, updated_at=then, page=3, pages=100,
            expires_at=int(time.time()) + 9_999,
            shelf=FAILED_SHELF if state is State.FAILED else OPEN_SHELF, **facts,
        )  # fmt: skip
        renders.add(one)
        return one

    return store


def work(corner):
    progress.work(corner.identity_id, "x", "1", is_last_try=False, seconds=60)


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document_id", ["file/a", "images/readme", "download/notes.md", "edit/x", "notes/pdf", "会議\u3000メモ"]
)
def test_every_name_can_be_stored_and_opened(api, asks, corner, document_id):
    path = f"/documents/{quote(document_id)}"
    stored = api("PUT", path, {"Text": "# hi"})
    assert stored.status_code == 201
    assert corner.get(f"{document_id}.md") == b"# hi"
    assert api("PUT", path, {"Text": "# ho"}, **{"If-Match": stored.json()["ETag"]}).status_code == 200
    assert asks.get(f"/documents/edit/{quote(document_id)}/").status_code == 200
    assert api("POST", f"{path}/pdf").status_code == 201
    assert api("DELETE", path).status_code == 204


def test_what_is_beside_the_pictures_is_in_the_history(corner, asks, catch_up):
    corner.put("images/readme.md", b"# Readme of pictures")
    catch_up()
    assert "Readme of pictures" in asks.get("/documents/").content.decode()


@pytest.mark.parametrize("name", ["a\nb", "a//b", "../b"])
def test_a_name_that_no_address_can_carry_is_listed_without_one(corner, asks, catch_up, name):
    corner.put(f"{name}.md", b"# Odd")
    corner.put(f"{name}.xlsx", b"PK")
    catch_up()
    for address in ("/documents/", "/profile/"):
        page = asks.get(address)
        assert page.status_code == 200
        assert "only with the AWS CLI" in page.content.decode()
    corner.delete(f"{name}.md")
    catch_up()
    assert "Odd" in asks.get("/documents/deleted/").content.decode()


def test_a_name_with_a_narrow_space_is_opened_and_deleted(corner, asks, catch_up):
    corner.put("Screenshot 9\u202fAM.md", b"# Odd")
    catch_up()
    page = asks.get("/documents/").content.decode()
    [link] = re.findall(r'href="(/documents/edit/[^"]*)"', page)
    assert asks.get(html.unescape(link)).status_code == 200
    assert asks.post(html.unescape(link).replace("/edit/", "/delete/")).status_code == 302
    assert corner.paths() == set()


def test_a_file_beside_a_document_of_its_name_does_not_give_it_its_own(corner, catch_up):
    corner.put("notes.md", b"# My notes")
    corner.put("notes", b"x")
    catch_up()
    assert indexed(corner, "notes").title == "My notes"


# --- Sizes ------------------------------------------------------------------------------------------------------------


def test_files_that_do_not_come_in_are_named(corner, asks):
    files = [SimpleUploadedFile(f"f{n}.md", b"# F") for n in range(25)]
    page = asks.post("/documents/import/", {"files": files}, follow=True).content.decode()
    assert "20 of 25 files" in page
    assert "f24.md" in page
    assert len(corner.paths()) == 20


def test_a_file_that_fills_a_document_comes_in_without_a_title_of_its_own(corner, asks):
    files = [SimpleUploadedFile("ok.md", b"# ok"), SimpleUploadedFile("big.md", b"x" * 999_999)]
    assert asks.post("/documents/import/", {"files": files}).status_code == 302
    assert len(corner.paths()) == 2


@pytest.mark.parametrize("act", ["rename", "duplicate"])
@pytest.mark.parametrize("content", [b"\xff\xfe bin", b"a" * 1_000_001])
def test_what_is_no_text_is_said_to_be_that(corner, asks, act, content):
    corner.put("x.md", content)
    answer = asks.post(f"/documents/{act}/x/", {"title": "New"})
    assert answer.status_code == 422
    assert corner.get("x.md") == content


def test_a_conflict_with_what_is_no_text_keeps_what_was_sent(corner, asks, api):
    corner.put("x.md", b"\xff\xfe theirs")
    sent = {"title": "", "text": "mine", "theme": "plain", "paper": "A4", "etag": "abc"}
    answer = asks.post("/documents/edit/x/", sent)
    assert answer.status_code == 409
    assert "mine" in answer.content.decode()
    answer = api("PUT", "/documents/x", {"Text": "mine"}, **{"If-Match": '"abc"'})
    assert (answer.status_code, answer.json()["Current"]) == (412, None)


def test_versions_of_what_is_too_large_are_shown(corner, asks):
    corner.put("x.md", b"# ok")
    corner.put("x.md", b"a" * 1_000_001)
    assert asks.get("/documents/versions/x/").status_code == 200


def test_answers_are_smaller_than_lambdas_may_be(corner, asks, api, monkeypatch):
    version = corner.put("x.md", b"a\n" * 300_000)["VersionId"]
    corner.put("x.md", b"b\n" * 300_000)
    page = asks.get(f"/documents/versions/x/?version={version}")
    assert len(page.content) < 6_000_000
    assert documents_api._MOST_PREVIEW < 5_000_000
    monkeypatch.setattr(documents_api, "_MOST_PREVIEW", 2_000)
    answer = api("POST", "/preview", {"Text": "```python\n" + "a=1;b=2\n" * 33 + "```\n"})
    assert answer.status_code == 422
    assert "preview" in answer.json()["Error"]


@pytest.mark.parametrize("deleted", ["x" * 3_000, "../x", "a%0ab"])
def test_an_odd_question_is_answered(asks, deleted):
    assert asks.get(f"/documents/?deleted={deleted}").status_code == 200


def large_picture():
    out = io.BytesIO()
    Image.radial_gradient("L").resize((3_000, 3_000)).convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_pictures_that_take_long_are_late_and_not_left_out(corner, api, catch_up, monkeypatch):
    data = large_picture()
    for n in range(6):
        corner.put(f"images/p{n}.png", data)
    corner.put("x.md", "\n\n".join(f"![](images/p{n}.png)" for n in range(6)).encode())
    monkeypatch.setattr(pdf, "AT_ONCE_SECONDS", 0.5)
    began = time.monotonic()
    assert api("POST", "/documents/x/pdf").status_code == 202
    assert time.monotonic() - began < 15
    catch_up()
    done = api("GET", "/documents/x/pdf").json()
    assert (done["State"], done["Missing"]) == ("done", [])


# --- First lines that are written into the text -----------------------------------------------------------------------


def test_first_lines_that_are_written_into_the_text_are_meant(api, corner):
    text = "---\ntitle: My title\ntheme: letter\ncover: true\n---\nbody"
    made = api("POST", "/documents", {"Text": "old", "Title": ""}).json()
    fields = {"Title": "", "Theme": "limestone", "Paper": "A5", "Cover": False, "Contents": False}
    answer = api("PUT", f"/documents/{made['Id']}", {"Text": text, **fields}, **{"If-Match": made["ETag"]}).json()
    assert (answer["OwnTitle"], answer["Theme"], answer["Paper"], answer["Cover"]) == ("My title", "letter", "A5", True)
    assert answer["Text"] == "body"
    stored = corner.get(f"{made['Id']}.md")
    assert stored == b"---\ntitle: My title\ntheme: letter\npaper: A5\ncover: true\n---\nbody"
    # What is as it was sent is not sent back.
    again = {"Text": "body 2", "Title": "My title", "Theme": "letter"}
    assert api("PUT", f"/documents/{made['Id']}", again, **{"If-Match": answer["ETag"]}).json()["Text"] is None


# --- Moments ----------------------------------------------------------------------------------------------------------


def test_a_render_that_says_nothing_for_long_was_interrupted(corner, api, asks, render_of):
    corner.put("x.md", b"# x")
    render_of(State.RENDERING, ago=timedelta(hours=2))
    told = api("GET", "/documents/x/pdf").json()
    assert (told["State"], told["Message"]) == ("failed", INTERRUPTED)
    assert INTERRUPTED in asks.get("/documents/edit/x/").content.decode()
    assert [one.document_id for one in interrupted(now=timezone.now())] == ["x"]


def test_an_old_failure_is_no_news_beside_a_newer_pdf(corner, api, render_of):
    corner.put("x.md", b"# x")
    render_of(State.FAILED, ago=timedelta(hours=2), message="old")
    assert api("GET", "/documents/x/pdf").json()["Message"] == "old"
    assert api("POST", "/documents/x/pdf").status_code == 201
    assert api("GET", "/documents/x/pdf").json()["State"] == "done"


def test_an_older_text_does_not_overwrite_a_newer_pdf(corner, api, render_of, monkeypatch):
    corner.put("x.md", b"# old")
    render_of()
    printed = workshop.pdf

    def slow(rendered, *arguments, **options):
        if "old" in rendered.html:
            corner.put("x.md", b"# new")
            assert api("POST", "/documents/x/pdf").status_code == 201
        return printed(rendered, *arguments, **options)

    monkeypatch.setattr(workshop, "pdf", slow)
    work(corner)
    assert "new" in pypdf.PdfReader(io.BytesIO(corner.get("x.pdf"))).pages[0].extract_text()
    assert renders.get(corner.identity_id, "x").state is State.DONE


def test_a_document_that_is_taken_down_meanwhile_does_not_come_back_as_a_pdf(corner, render_of, catch_up, monkeypatch):
    corner.put("x.md", b"# secret")
    catch_up()
    render_of()
    printed = workshop.pdf

    def then(*arguments, **options):
        made = printed(*arguments, **options)
        acts._stop_render(indexed(corner, "x"), now=timezone.now())
        for place in places(corner.identity_id, "x"):
            archive.take_down(place, reason="Bad words.", title="x", sub="")
        return made

    monkeypatch.setattr(workshop, "pdf", then)
    work(corner)
    catch_up()
    assert corner.paths() == set()
    assert indexed(corner, "x").taken_down == "Bad words."


@pytest.mark.parametrize("in_background", [True, False])
def test_a_document_that_is_deleted_meanwhile_does_not_come_back_as_a_pdf(
    corner, asks, api, render_of, monkeypatch, in_background
):
    corner.put("x.md", b"# gone")
    printed = workshop.pdf

    def then(*arguments, **options):
        made = printed(*arguments, **options)
        asks.post("/documents/delete/x/")
        return made

    monkeypatch.setattr(workshop, "pdf", then)
    if in_background:
        render_of()
        work(corner)
        assert renders.get(corner.identity_id, "x").message == "It was deleted meanwhile."
    else:
        assert api("POST", "/documents/x/pdf").status_code == 404
    assert corner.paths() == set()


def refusing(code, status):
    def store(*_, **__):
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")

    return store


def test_a_write_that_is_still_under_way_is_no_conflict(corner, api, monkeypatch):
    made = api("POST", "/documents", {"Text": "one"}).json()
    for code, status in (("ConditionalRequestConflict", 409), ("PreconditionFailed", 412)):
        monkeypatch.setattr(Corner, "store", refusing(code, status))
        answer = api("PUT", f"/documents/{made['Id']}", {"Text": "two"}, **{"If-Match": made["ETag"]})
        assert answer.status_code == 503, code


def test_renaming_what_is_written_all_the_time_is_told_to_be_tried_again(corner, asks, monkeypatch):
    corner.put("x.md", b"# x")
    saved = bucket.save

    def overtaken(*arguments, **options):
        corner.put("x.md", f"# {time.monotonic()}".encode())
        return saved(*arguments, **options)

    monkeypatch.setattr(bucket, "save", overtaken)
    assert asks.post("/documents/rename/x/", {"title": "New"}).status_code == 503
    assert b"New" not in corner.get("x.md")


def test_a_write_that_is_refused_is_not_taken_for_a_document_that_is_gone(corner, api, monkeypatch):
    made = api("POST", "/documents", {"Text": "one"}).json()
    monkeypatch.setattr(Corner, "store", refusing("AccessDenied", 403))
    assert api("POST", "/documents", {"Text": "two"}).status_code == 500
    for document_id, status in ((made["Id"], 500), ("none", 404)):
        answer = api("PUT", f"/documents/{document_id}", {"Text": "two"}, **{"If-Match": made["ETag"]})
        assert answer.status_code == status


def test_only_what_is_named_by_what_is_in_it_is_kept_by_browsers(corner, asks):
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    corner.put("images/map.png", out.getvalue())
    assert "immutable" not in asks.get("/documents/images/images/map.png/")["Cache-Control"]
    path = asks.post("/documents/images/", out.getvalue(), content_type="image/png").json()["Path"]
    assert "immutable" in asks.get(f"/documents/images/{path}/")["Cache-Control"]
