"""The pages about documents: each to its owner alone, and GET changes nothing."""

from __future__ import annotations

import io
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from documents.place import Place
from tests.documents.conftest import indexed
from tests.html import page_problems

GET_PAGES = ["", "deleted/", "edit/plan/", "versions/plan/"]
POST_PAGES = ["new/", "import/", "rename/plan/", "duplicate/plan/", "delete/plan/", "restore/plan/", "pdf/plan/"]


@pytest.fixture
def corner(author, corner_of):
    return corner_of(author)


@pytest.fixture
def asks(client_for, author, corner):
    return client_for(author)


def text(response):
    return response.content.decode()


def made(response):
    """Return the id of the document that a form led to."""
    assert response.status_code == 302, text(response)
    return re.fullmatch(r"/documents/edit/(.*)/", response["Location"])[1]


# --- The list ---------------------------------------------------------------------------------------------------------


def test_an_empty_corner_says_what_would_be_here(asks):
    page = asks.get("/documents/")
    assert "No documents yet" in text(page)
    assert not page_problems(text(page))
    assert "Nothing" in text(asks.get("/documents/deleted/"))


def test_everything_is_on_the_list_and_on_the_profile_page(asks, corner, catch_up, cloud):
    corner.put("plan.md", b'---\ntitle: "The <plan>"\n---\n')
    corner.put("only.pdf", b"%PDF")
    corner.put("sums.xlsx", b"PK")
    corner.put("images/ab.png", b"\x89PNG")
    catch_up()
    asks.get("/documents/")  # and the credentials are there now
    for address in ("/documents/", "/profile/"):
        cloud.forget_calls()
        page = asks.get(address)
        assert cloud.calls()["dynamodb", "Query"] == 1, address
        for name in ("The &lt;plan&gt;", "only", "sums.xlsx"):
            assert name in text(page), address
        assert "images/ab" not in text(page)
        assert not page_problems(text(page))


def test_the_history_is_paged(asks, corner, catch_up):
    for n in range(23):
        corner.put(f"n{n:02}.md", f"# Number {n:02}".encode())
    catch_up()
    for address in ("/documents/", "/profile/"):
        page = asks.get(address)
        older = re.search(r'href="([^"]*cursor=[^"]*)"', text(page))[1]
        assert older.startswith(f"{address}?cursor=")
        rest = asks.get(older)
        seen = re.findall(r">Number (\d\d)</a>", text(page) + text(rest))
        assert sorted(seen) == [f"{n:02}" for n in range(23)]
        assert asks.get(f"{address}?cursor=x").status_code == 400


def test_titles_are_found(asks, corner, catch_up):
    corner.put("a.md", "# Übersicht der Pläne".encode())
    corner.put("b.md", b"# Other")
    catch_up()
    assert "Übersicht" in text(asks.get("/documents/?q=PLÄNE ü"))
    assert "Other" not in text(asks.get("/documents/?q=pläne"))
    assert "No title has" in text(asks.get("/documents/?q=nothing"))


# --- New, import, duplicate, rename, delete ---------------------------------------------------------------------------


def test_a_new_document_is_open_at_once(asks, corner):
    document_id = made(asks.post("/documents/new/"))
    assert corner.paths() == {f"{document_id}.md"}
    page = asks.get(f"/documents/edit/{document_id}/")
    assert page.status_code == 200
    assert not page_problems(text(page))
    assert corner.get(f"{document_id}.md") == b""
    titled = made(asks.post("/documents/new/", {"title": "Minutes"}))
    assert b"title: Minutes" in corner.get(f"{titled}.md")


def files(*named):
    return {"files": [SimpleUploadedFile(name, content) for name, content in named]}


def test_files_become_documents(asks, corner):
    one = made(asks.post("/documents/import/", files(("notes.md", b"no heading"))))
    assert corner.get(f"{one}.md") == b"---\ntitle: notes\n---\nno heading"
    assert corner.get(f"{made(asks.post('/documents/import/', files(('x.MD', b'# Head'))))}.md") == b"# Head"
    before = corner.paths()
    answer = asks.post(
        "/documents/import/",
        files(("a.md", b"# A"), ("b.txt", b"B"), ("c.exe", b"C"), ("d.md", b"\xff\xfe"), ("e.md", b"x" * 1_000_001)),
        follow=True,
    )
    for said in ("2 of 5 files", "c.exe is no Markdown file", "d.md:", "e.md:"):
        assert said in text(answer), said
    assert len(corner.paths()) == len(before) + 2
    assert "Choose one" in text(asks.post("/documents/import/", follow=True))


def test_a_copy_has_the_text_and_another_title(asks, corner):
    corner.put("plan.md", b"---\ntheme: letter\n---\n# Plan\n\nText.")
    copy = made(asks.post("/documents/duplicate/plan/"))
    assert corner.get(f"{copy}.md") == b"---\ntitle: Copy of Plan\ntheme: letter\n---\n# Plan\n\nText."


def test_renaming_leaves_the_text_alone(asks, corner):
    corner.put("plan.md", b"# Plan\r\n\r\nText.")
    answer = asks.post("/documents/rename/plan/", {"title": 'A "better" one', "from": "profile"})
    assert answer["Location"] == "/profile/"
    assert corner.get("plan.md").endswith(b"---\n# Plan\r\n\r\nText.")
    assert 'value="A &quot;better&quot; one"' in text(asks.get("/documents/edit/plan/"))
    assert "between 1 and 200" in text(asks.post("/documents/rename/plan/", {"title": ""}, follow=True))


def test_deleting_can_be_undone_at_once_and_later(asks, corner, catch_up):
    stored = corner.put("plan.md", b"# Plan")
    corner.put("plan.pdf", b"%PDF", Metadata={"source-etag": stored["ETag"].strip('"')})
    catch_up()
    page = asks.post("/documents/delete/plan/", follow=True)
    assert corner.paths() == set()
    # The index has not heard of it yet.
    assert "is deleted" in text(page)
    assert "/documents/edit/plan/" not in text(page)
    asks.post("/documents/restore/plan/")
    assert corner.paths() == {"plan.md", "plan.pdf"}
    catch_up()
    assert indexed(corner, "plan").pdf_is_current
    asks.post("/documents/delete/plan/")
    catch_up()
    assert "Plan" not in text(asks.get("/documents/"))
    assert "Plan" in text(asks.get("/documents/deleted/"))
    assert asks.post("/documents/restore/plan/").status_code == 302
    assert corner.get("plan.md") == b"# Plan"
    # What is not deleted cannot be brought back.
    assert asks.post("/documents/restore/plan/").status_code == 404


def test_deleting_what_is_called_like_anothers_markdown_leaves_that_alone(asks, corner):
    corner.put("x.md", b"# X")
    corner.put("x.md.md", b"# X dot md")
    asks.post("/documents/delete/x.md/")
    assert corner.paths() == {"x.md"}
    corner.delete("x.md")
    asks.post("/documents/restore/x.md/")
    assert corner.paths() == {"x.md.md"}


# --- Editing without JavaScript ---------------------------------------------------------------------------------------


def form(page, **changes):
    source = page.context["source"]
    initial = {"etag": page.context["etag"], "title": source.title, "text": source.text}
    options = source.options
    flags = {name: "on" for name in ("cover", "contents") if getattr(options, name)}
    return initial | {"theme": options.theme, "paper": options.paper} | flags | changes


def test_the_form_alone_saves(asks, corner):
    corner.put("plan.md", b"---\ntags: x\n---\n# Plan")
    page = asks.get("/documents/edit/plan/")
    answer = asks.post("/documents/edit/plan/", form(page, text="# Plan\r\n\r\nTwo", title="T", cover="on"))
    assert answer.status_code == 302
    assert corner.get("plan.md") == b"---\ntitle: T\ncover: true\n---\n# Plan\n\nTwo"
    assert "<textarea" in text(page)


def test_a_form_that_began_from_something_else_shows_both(asks, corner):
    corner.put("plan.md", b"one")
    page = asks.get("/documents/edit/plan/")
    corner.put("plan.md", b"theirs")
    answer = asks.post("/documents/edit/plan/", form(page, text="mine"))
    assert answer.status_code == 409
    assert corner.get("plan.md") == b"theirs"
    assert "mine" in text(answer)
    assert "theirs" in text(answer)
    assert not page_problems(text(answer))
    # Whoever has seen both may save.
    assert asks.post("/documents/edit/plan/", form(answer)).status_code == 302
    assert corner.get("plan.md") == b"mine"


def test_what_cannot_be_saved_stays_in_the_form(asks, corner):
    corner.put("plan.md", b"one")
    page = asks.get("/documents/edit/plan/")
    answer = asks.post("/documents/edit/plan/", form(page, text="mine " + "x" * 1_000_000))
    assert answer.status_code == 422
    assert "1,000,000 bytes" in text(answer)
    assert "mine x" in text(answer)
    assert corner.get("plan.md") == b"one"


def test_what_is_no_text_is_not_opened_for_writing(asks, corner):
    corner.put("plan.md", b"\xff\xfe\x00")
    page = asks.get("/documents/edit/plan/")
    assert page.status_code == 422
    assert "<textarea" not in text(page)


# --- Versions ---------------------------------------------------------------------------------------------------------


def test_versions_are_compared_and_restored(asks, corner):
    corner.put("plan.md", b"one\ntwo\nthree")
    corner.put("plan-b.md", b"another document")
    corner.put("plan.md", b"one\n2\nthree")
    page = asks.get("/documents/versions/plan/")
    versions = page.context["versions"]
    assert [one.is_latest for one in versions] == [True, False]
    compared = asks.get(f"/documents/versions/plan/?version={versions[1].version_id}")
    lines = [(kind, line) for kind, line in compared.context["compared"]["lines"] if kind in "+-"]
    assert lines == [("-", "two"), ("+", "2")]
    assert not page_problems(text(compared))
    asks.post("/documents/restore/plan/", {"version": versions[1].version_id})
    assert corner.get("plan.md") == b"one\ntwo\nthree"
    assert len(asks.get("/documents/versions/plan/").context["versions"]) == 3
    for nothing in ("x", "00000000-0000-0000-0000-000000000000"):
        assert asks.get(f"/documents/versions/plan/?version={nothing}").status_code == 404
        assert asks.post("/documents/restore/plan/", {"version": nothing}).status_code == 404


def test_many_versions_are_paged(asks, corner, monkeypatch):
    from documents import bucket, version_views

    for n in range(5):
        corner.put("plan.md", f"{n}".encode())
    listed = bucket.versions
    monkeypatch.setattr(version_views.bucket, "versions", lambda *a, **k: listed(*a, limit=2, **k))
    seen, cursor = [], ""
    while cursor is not None:
        page = asks.get("/documents/versions/plan/", {"cursor": cursor} if cursor else {})
        seen += [one.version_id for one in page.context["versions"]]
        cursor = page.context["cursor"]
    assert len(seen) == len(set(seen)) == 5


# --- Pictures ---------------------------------------------------------------------------------------------------------


def picture(kind="PNG", size=(40, 30)):
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind)
    return out.getvalue()


def upload(client, data, content_type="image/png"):
    return client.post("/documents/images/", data, content_type=content_type)


def test_a_picture_is_stored_under_what_is_in_it(asks, corner):
    answer = upload(asks, picture("JPEG"))
    assert answer.status_code == 201
    path = answer.json()["Path"]
    assert re.fullmatch(r"images/[0-9a-f]{32}\.jpg", path)
    assert answer.json()["Markdown"] == f"![]({path})"
    assert upload(asks, picture("JPEG")).json()["Path"] == path
    assert corner.paths() == {path}
    shown = asks.get(f"/documents/images/{path}/")
    assert (shown["Content-Type"], shown["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
    assert shown["Cache-Control"].startswith("private")
    assert shown.content == corner.get(path)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422),
        (b"<html>", 422),
        (b"", 422),
        (picture()[:60], 422),
        (b"\x89PNG" + b"x" * 4_000_000, 413),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(asks, corner, data, status):
    answer = upload(asks, data)
    assert answer.status_code == status
    assert answer.json()["Error"]
    assert answer.json()["Reference"]
    assert corner.paths() == set()


def test_uploading_needs_the_csrf_token_and_somebody(client, client_for, author, corner):
    answer = upload(client, picture())
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/json")
    strict = client_for(author, enforce_csrf_checks=False)
    strict.handler.enforce_csrf_checks = True
    assert upload(strict, picture()).status_code == 403
    assert corner.paths() == set()


def test_only_pictures_are_shown_as_pictures(asks, corner):
    corner.put("page.png", b"<script>alert(1)</script>", ContentType="text/html")
    assert asks.get("/documents/images/page.png/").status_code == 404
    corner.put("ok.bin", picture("WEBP"), ContentType="text/html")
    assert asks.get("/documents/images/ok.bin/")["Content-Type"] == "image/webp"


# --- Downloads --------------------------------------------------------------------------------------------------------


def test_downloads_lead_to_signed_links_with_the_right_name(asks, corner, catch_up):
    corner.put("plan.md", "# Plän".encode())
    corner.put("plan.pdf", b"%PDF")
    corner.put("sums.xlsx", b"PK")
    catch_up()
    for address, name in [
        ("download/plan.md/", "Pl%C3%A4n.md"),
        ("download/plan.pdf/", "Pl%C3%A4n.pdf"),
        ("file/sums.xlsx/", "sums.xlsx"),
    ]:
        answer = asks.get(f"/documents/{address}")
        assert answer.status_code == 302
        assert "X-Amz-Expires=300" in answer["Location"]
        assert "X-Amz-Signature" in answer["Location"]
        assert name in answer["Location"].replace("%25", "%"), address
        assert answer["Cache-Control"] == "private, no-store"
    assert asks.get("/documents/download/none.pdf/").status_code == 404


# --- Who, and how -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*GET_PAGES, "download/plan.md/", "download/plan.pdf/", "images/images/ab.png/"])
def test_a_stranger_signs_in_first(client, cloud, address):
    answer = client.get(f"/documents/{address}")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


def test_somebody_else_finds_nothing(client_for, outsider, corner, catch_up):
    corner.put("plan.md", b"# Secret")
    corner.put("plan.pdf", b"%PDF")
    corner.put("images/ab.png", picture())
    catch_up()
    theirs = client_for(outsider)
    for address in ("edit/plan/", "versions/plan/", "download/plan.md/", "download/plan.pdf/", "images/images/ab.png/"):
        answer = theirs.get(f"/documents/{address}")
        assert answer.status_code == 404, address
        assert "Secret" not in text(answer)
    for address in ("rename/plan/", "duplicate/plan/", "restore/plan/", "pdf/plan/"):
        assert theirs.post(f"/documents/{address}", {"title": "x"}).status_code == 404, address
    theirs.post("/documents/delete/plan/")
    assert corner.get("plan.md") == b"# Secret"
    assert "Secret" not in text(theirs.get("/documents/")) + text(theirs.get("/profile/"))


def test_get_and_head_change_nothing(asks, corner, cloud):
    corner.put("plan.md", b"# Plan")
    for address in POST_PAGES:
        assert asks.get(f"/documents/{address}").status_code == 405, address
        assert asks.head(f"/documents/{address}").status_code == 405, address
    for address in [*GET_PAGES, "download/plan.md/"]:
        cloud.forget_calls()
        asks.get(f"/documents/{address}")
        asks.head(f"/documents/{address}")
        written = {action for service, action in cloud.calls() if service in ("s3", "sqs")}
        assert not written & {"PutObject", "DeleteObject", "CopyObject", "SendMessage"}, address
    assert corner.paths() == {"plan.md"}


def test_every_post_needs_the_csrf_token(client_for, author, corner):
    corner.put("plan.md", b"# Plan")
    asks = client_for(author)
    asks.handler.enforce_csrf_checks = True
    for address in [*POST_PAGES, "edit/plan/"]:
        assert asks.post(f"/documents/{address}", {"title": "x"}).status_code == 403, address
    assert corner.paths() == {"plan.md"}


@pytest.mark.parametrize("name", ["..", "a/../../b", "a//b", "%2e%2e/x", "a%0ab"])
def test_names_lead_nowhere_else(asks, name):
    assert asks.get(f"/documents/edit/{name}/").status_code == 404
    assert asks.get(f"/documents/images/{name}/").status_code == 404


def test_s3_that_does_not_answer_is_said_and_the_account_page_is_there(asks, corner, cloud):
    corner.put("plan.md", b"# Plan")
    asks.get("/documents/edit/plan/")
    asks.raise_request_exception = False
    cloud.faults.add(service="s3", action="GetObject", kind="error")
    assert asks.get("/documents/edit/plan/").status_code == 503
    cloud.faults.add(service="dynamodb", action="Query", kind="throttle")
    page = asks.get("/profile/")
    assert page.status_code == 200
    assert "cannot be listed just now" in text(page)


def test_somebody_whose_credentials_aws_refuses_signs_in_again(asks, corner, monkeypatch):
    from documents import bucket
    from portal.accounts.refusals import SignedOut

    def refuse(*_):
        raise SignedOut

    monkeypatch.setattr(bucket, "corner", refuse)
    assert asks.get("/documents/edit/plan/")["Location"].startswith("/sign-in/")


def test_the_keys_that_views_make_are_the_owners(corner):
    assert Place(corner.identity_id, "plan", "source").key == corner.key("plan.md")
