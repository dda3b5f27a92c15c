"""Documents as JSON: stored in one's own corner with one's own credentials, and nobody's text overwritten unseen."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pypdf
import pytest
import urllib3
from django.conf import settings
from django.test import Client
from PIL import Image

from documents import pdf, workshop
from documents.bucket import picture_path
from documents.renders import State, renders
from tests.conftest import SignedUp


@pytest.fixture
def ask(cloud):
    """Return a function that calls the API with a person's ID token, or as nobody."""

    def send(person: SignedUp | None, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if person:
            headers["Authorization"] = f"Bearer {person.id_token}"
        content = {} if method == "GET" else {"data": "" if body is None else body, "content_type": "application/json"}
        return getattr(Client(), method.lower())(path, headers=headers, **content)

    return send


@pytest.fixture
def stored(ask, author) -> Callable[..., dict[str, Any]]:
    """Return a function that stores a new document of the author's."""

    def store(text: str = "# Plan\n\nText.", **fields: Any) -> dict[str, Any]:
        answer = ask(author, "POST", "/documents", {"Text": text, **fields})
        assert answer.status_code == 201, answer.content
        return answer.json()

    return store


def picture(color: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(out, "PNG")
    return out.getvalue()


# --- Reading and writing ----------------------------------------------------------------------------------------------


def test_a_document_is_in_its_owners_corner(ask, author, corner_of):
    corner = corner_of(author)
    answer = ask(author, "POST", "/documents", {"Text": "Text.", "Title": "Plan", "Theme": "letter", "Cover": True})
    assert answer.status_code == 201
    made = answer.json()
    assert answer["Location"] == f"/documents/{made['Id']}"
    assert corner.paths() == {f"{made['Id']}.md"}
    assert corner.get(f"{made['Id']}.md") == b"---\ntitle: Plan\ntheme: letter\ncover: true\n---\nText."
    read = ask(author, "GET", f"/documents/{made['Id']}")
    assert read["ETag"] == f'"{made["ETag"]}"'
    assert {name: read.json()[name] for name in ("Title", "Text", "Theme", "Paper", "Cover", "Contents", "ETag")} == {
        "Title": "Plan", "Text": "Text.", "Theme": "letter", "Paper": "A4", "Cover": True, "Contents": False,
        "ETag": made["ETag"],
    }  # fmt: skip


def test_a_plain_file_stays_as_it_is(stored, author, corner_of):
    corner = corner_of(author)
    made = stored("# Plan\r\n\r\nText.")
    assert (made["Title"], made["OwnTitle"]) == ("Plan", "")
    assert corner.get(f"{made['Id']}.md") == b"# Plan\r\n\r\nText."


def test_lines_that_portico_does_not_know_are_kept(ask, stored, author, corner_of):
    corner = corner_of(author)
    made = stored("---\ntitle: Plan\ntags: [a, b]\n---\nText.")
    read = ask(author, "GET", f"/documents/{made['Id']}").json()
    assert (read["Title"], read["Text"]) == ("Plan", "---\ntags: [a, b]\n---\nText.")
    again = {name: read[name] for name in ("Text", "Theme", "Paper", "Cover", "Contents")} | {"Title": read["OwnTitle"]}
    answer = ask(author, "PUT", f"/documents/{made['Id']}", again, **{"If-Match": read["ETag"]})
    assert answer.status_code == 200
    assert answer.json()["ETag"] == made["ETag"]
    assert corner.get(f"{made['Id']}.md") == b"---\ntitle: Plan\ntags: [a, b]\n---\nText."


def test_a_save_says_what_it_began_from(ask, stored, author):
    made = stored("one")
    path = f"/documents/{made['Id']}"
    answer = ask(author, "PUT", path, {"Text": "two"}, **{"If-Match": f'"{made["ETag"]}"'})
    assert (answer.status_code, answer.json()["Id"]) == (200, made["Id"])
    assert answer.json()["ETag"] != made["ETag"]
    stale = ask(author, "PUT", path, {"Text": "three"}, **{"If-Match": made["ETag"]})
    assert stale.status_code == 412
    assert stale.json()["Error"]
    assert (stale.json()["Current"]["Text"], stale.json()["Current"]["ETag"]) == ("two", answer.json()["ETag"])
    assert ask(author, "GET", path).json()["Text"] == "two"
    # A reply that was lost: the same again is answered as it was.
    again = ask(author, "PUT", path, {"Text": "two"}, **{"If-Match": made["ETag"]})
    assert (again.status_code, again.json()["ETag"]) == (200, answer.json()["ETag"])


def test_a_new_document_can_have_a_name_and_is_not_overwritten(ask, author, corner_of):
    corner = corner_of(author)
    path = "/documents/notes/2026/meeting"
    assert ask(author, "PUT", path, {"Text": "one"}).status_code == 201
    refused = ask(author, "PUT", path, {"Text": "two"})
    assert (refused.status_code, refused.json()["Current"]["Text"]) == (412, "one")
    assert ask(author, "PUT", path, {"Text": "three"}, **{"If-Match": "*"}).status_code == 200
    assert corner.get("notes/2026/meeting.md") == b"three"
    assert ask(author, "PUT", "/documents/other", {"Text": "x"}, **{"If-Match": "*"}).status_code == 404


def test_a_document_that_was_deleted_meanwhile_is_not_made_again(ask, stored, author):
    made = stored()
    assert ask(author, "DELETE", f"/documents/{made['Id']}").status_code == 204
    assert ask(author, "DELETE", f"/documents/{made['Id']}").status_code == 404
    answer = ask(author, "PUT", f"/documents/{made['Id']}", {"Text": "two"}, **{"If-Match": made["ETag"]})
    assert answer.status_code == 404
    assert ask(author, "GET", f"/documents/{made['Id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"Text": "x" * 1_000_001}, 400, "1000000"),
        ({"Text": "ü" * 600_000}, 413, "1,000,000 bytes"),
        ({"Text": "a\0b"}, 422, ""),
        ({"Text": "x", "Title": "x" * 201}, 400, "Title"),
        ({"Text": "x", "Theme": "comic"}, 422, "limestone"),
        ({"Text": "x", "Paper": "A0"}, 422, "A4"),
        ({"Text": 5}, 400, "Text"),
        ([], 400, "object"),
    ],
)
def test_what_is_no_document_is_refused_with_the_reason(ask, author, corner_of, body, status, said):
    corner = corner_of(author)
    answer = ask(author, "POST", "/documents", body)
    assert answer.status_code == status
    assert said in answer.json()["Error"]
    assert answer.json()["Reference"]
    assert corner.paths() == set()


@pytest.mark.parametrize("name", ["../other", "a/../../b", "a//b", "./a", "a\\b", "%2e%2e/x", "a%0ab", "a%00b"])
def test_names_lead_nowhere_else(ask, author, name):
    for method, body in (("GET", None), ("PUT", {"Text": "x"}), ("DELETE", None), ("POST", None)):
        path = f"/documents/{name}" + ("/pdf" if method == "POST" else "")
        assert ask(author, method, path, body).status_code == 404


def test_nobody_is_asked_to_sign_in(ask):
    for method, path, body in [
        ("GET", "/documents", None),
        ("POST", "/documents", {"Text": "x"}),
        ("GET", "/documents/abc", None),
        ("PUT", "/documents/abc", {"Text": "x"}),
        ("DELETE", "/documents/abc", None),
        ("POST", "/documents/abc/pdf", None),
        ("GET", "/documents/abc/pdf", None),
        ("POST", "/preview", {"Text": "x"}),
    ]:
        answer = ask(None, method, path, body)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer"), (method, path)


def test_somebody_elses_documents_are_not_there(ask, stored, author, outsider, corner_of):
    made, theirs = stored("secret"), corner_of(outsider)
    for method, path, body in [
        ("GET", f"/documents/{made['Id']}", None),
        ("DELETE", f"/documents/{made['Id']}", None),
        ("POST", f"/documents/{made['Id']}/pdf", None),
        ("GET", f"/documents/{made['Id']}/pdf", None),
    ]:
        answer = ask(outsider, method, path, body)
        assert answer.status_code == 404, (method, path)
        assert b"secret" not in answer.content
    # Under the same name they have one of their own.
    assert ask(outsider, "PUT", f"/documents/{made['Id']}", {"Text": "mine"}).status_code == 201
    assert theirs.get(f"{made['Id']}.md") == b"mine"
    assert ask(author, "GET", f"/documents/{made['Id']}").json()["Text"] == "secret"


# --- The list ---------------------------------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_paged(ask, author, corner_of, catch_up):
    corner = corner_of(author)
    for n in range(5):
        corner.put(f"n{n}.md", f"# Number {n}".encode())
    corner.put("images/ab.png", picture())
    catch_up()
    seen, cursor = [], ""
    while True:
        answer = ask(author, "GET", f"/documents?limit=2{cursor and f'&cursor={cursor}'}").json()
        seen += [one["Title"] for one in answer["Documents"]]
        if not answer["Cursor"]:
            break
        cursor = answer["Cursor"]
    assert sorted(seen) == [f"Number {n}" for n in range(5)]
    assert ask(author, "GET", "/documents?cursor=x").status_code == 400
    found = ask(author, "GET", "/documents?q=NUMBER 3").json()
    assert [one["Id"] for one in found["Documents"]] == ["n3"]
    assert found["Cursor"] is None


def test_a_cursor_of_somebody_else_opens_nothing(ask, author, outsider, corner_of, catch_up):
    corner = corner_of(author)
    for n in range(3):
        corner.put(f"n{n}.md")
    catch_up()
    cursor = ask(author, "GET", "/documents?limit=1").json()["Cursor"]
    assert ask(outsider, "GET", f"/documents?limit=1&cursor={cursor}").status_code == 400


# --- Preview ----------------------------------------------------------------------------------------------------------


def test_the_preview_is_clean_html_with_ones_own_pictures(ask, author):
    text = "# Plan\n\n<script>alert(1)</script> *text* ![one](images/ab.png) ![two](https://example.com/x.png)"
    answer = ask(author, "POST", "/preview", {"Text": text})
    assert answer.status_code == 200
    html = answer.json()["Html"]
    assert 'src="/documents/images/images/ab.png/"' in html
    assert "<em>text</em>" in html
    assert "<script" not in html
    assert "example.com" not in html.replace("&", "")  # not even as a link to what is not fetched
    assert answer.json()["Headings"] == [{"Level": 1, "Text": "Plan", "Id": "doc-plan"}]
    assert ask(author, "POST", "/preview", {"Text": "# One\n\ntwo *three*"}).json()["Words"] == 3
    beside = ask(author, "POST", "/preview", {"Text": "![](pic.png)", "Id": "notes/plan"}).json()["Html"]
    assert 'src="/documents/images/notes/pic.png/"' in beside


def test_what_takes_too_long_says_so(ask, author, monkeypatch):
    def slow(*_: object, **__: object) -> None:
        raise workshop.TookTooLong("This text takes too long.")

    monkeypatch.setattr(workshop, "html", slow)
    answer = ask(author, "POST", "/preview", {"Text": "x"})
    assert (answer.status_code, answer.json()["Error"]) == (422, "This text takes too long.")


# --- PDF --------------------------------------------------------------------------------------------------------------


def fetched(url: str) -> urllib3.BaseHTTPResponse:
    return urllib3.PoolManager().request("GET", url)


def test_a_short_document_is_made_at_once(ask, stored, author, corner_of, catch_up):
    corner = corner_of(author)
    corner.put("images/ab.png", picture())
    made = stored(
        "# Chapter one\n\n![A picture](images/ab.png)\n\n![Gone](images/gone.png)\n\nText.", Title="Plän: “A/B”"
    )
    answer = ask(author, "POST", f"/documents/{made['Id']}/pdf")
    assert answer.status_code == 201
    found = answer.json()
    assert (found["Id"], found["Pages"], found["Missing"]) == (made["Id"], 1, ["images/gone.png"])
    assert found["Name"].endswith(".pdf")
    assert "/" not in found["Name"]
    link = fetched(found["Url"])
    assert (link.status, link.headers["Content-Type"]) == (200, "application/pdf")
    assert "Pl%C3%A4n" in link.headers["Content-Disposition"]
    paper = pypdf.PdfReader(io.BytesIO(link.data))
    assert "Chapter one" in paper.pages[0].extract_text()
    assert [one.title for one in paper.outline][-1] == "Chapter one"
    assert paper.metadata.title == "Plän: “A/B”"
    assert len(paper.pages[0].images) == 1
    assert link.data == corner.get(f"{made['Id']}.pdf")
    catch_up()
    [listed] = [one for one in ask(author, "GET", "/documents").json()["Documents"] if one["Id"] == made["Id"]]
    assert (listed["Pdf"]["IsCurrent"], listed["Pdf"]["Pages"]) == (True, 1)
    assert (listed["Size"], listed["ETag"]) == (made["Size"], made["ETag"])
    again = ask(author, "GET", f"/documents/{made['Id']}/pdf").json()
    assert (again["State"], again["Pages"], again["Name"]) == ("done", 1, found["Name"])


def test_pictures_of_other_programs_are_checked_and_uploaded_ones_were(ask, stored, author, corner_of, monkeypatch):
    corner, checked, check = corner_of(author), [], workshop.picture
    uploaded = picture_path(picture("blue"), "png")
    corner.put(uploaded, picture("blue"))
    corner.put("images/red.png", picture())
    corner.put(picture_path(b"<svg/>", "png"), b"<svg/>")
    corner.put("images/svg.png", b"<svg/>")
    paths = [uploaded, "images/red.png", picture_path(b"<svg/>", "png"), "images/svg.png"]
    monkeypatch.setattr(workshop, "picture", lambda data, **options: checked.append(data) or check(data, **options))
    made = stored("\n\n".join(f"![]({path})" for path in paths))
    answer = ask(author, "POST", f"/documents/{made['Id']}/pdf").json()
    assert answer["Missing"] == paths[2:]
    assert sorted(checked) == sorted([picture(), b"<svg/>"])
    assert len(pypdf.PdfReader(io.BytesIO(corner.get(f"{made['Id']}.pdf"))).pages[0].images) == 2


def test_the_same_source_gives_the_same_bytes(ask, stored, author, corner_of):
    corner = corner_of(author)
    first, second = stored("# Same\n\nText."), stored("# Same\n\nText.")
    for one in (first, second):
        assert ask(author, "POST", f"/documents/{one['Id']}/pdf").status_code == 201
    assert corner.get(f"{first['Id']}.pdf") == corner.get(f"{second['Id']}.pdf")


def test_a_link_works_for_five_minutes_and_shows_no_more_than_it_must(ask, stored, author):
    made = stored()
    url = ask(author, "POST", f"/documents/{made['Id']}/pdf").json()["Url"]
    assert "X-Amz-Expires=300" in url
    assert fetched(url.replace(f"{made['Id']}.pdf", f"{made['Id']}.md")).status == 403


def long_text(pages: int) -> str:
    return "\n\n".join(f"# Chapter {n}\n\n{'Some words of the text. ' * 90}" for n in range(pages))


def test_a_long_document_is_made_in_the_background(ask, stored, author, corner_of, catch_up):
    corner = corner_of(author)
    made = stored(long_text(30))
    path = f"/documents/{made['Id']}/pdf"
    assert ask(author, "GET", path).status_code == 404
    answer = ask(author, "POST", path)
    assert answer.status_code == 202
    assert answer.json()["State"] == "queued"
    assert answer.json()["Pages"] > pdf.SHORT_PAGES
    assert ask(author, "GET", path).json()["State"] == "queued"
    # A second press begins no second one.
    first = renders.get(corner.identity_id, made["Id"])
    ask(author, "POST", path)
    assert renders.get(corner.identity_id, made["Id"]) == first
    catch_up()
    done = ask(author, "GET", path).json()
    assert done["State"] == "done"
    assert done["Pages"] == len(pypdf.PdfReader(io.BytesIO(corner.get(f"{made['Id']}.pdf"))).pages)
    assert fetched(done["Url"]).status == 200


def test_nothing_secret_waits_in_the_queue(ask, stored, author, cloud):
    made = stored(long_text(30))
    ask(author, "POST", f"/documents/{made['Id']}/pdf")
    [message] = cloud.messages(settings.RENDERS_QUEUE_URL)
    assert set(json.loads(message)) == {"IdentityId", "DocumentId", "RenderId"}


def test_a_failure_says_why_and_loses_nothing(ask, stored, author, corner_of, catch_up, monkeypatch):
    corner = corner_of(author)
    made = stored(long_text(30))
    path = f"/documents/{made['Id']}/pdf"

    def slow(*_: object, **__: object) -> None:
        raise workshop.TookTooLong("It took longer than ten minutes.")

    with monkeypatch.context() as patch:
        patch.setattr(workshop, "pdf", slow)
        assert ask(author, "POST", path).status_code == 202
        catch_up()
    failed = ask(author, "GET", path).json()
    assert (failed["State"], failed["Message"]) == ("failed", "It took longer than ten minutes.")
    [listed] = renders.query("failed", index="ByShelf").records
    assert (listed.document_id, listed.username) == (made["Id"], "author")
    assert corner.get(f"{made['Id']}.md").startswith(b"# Chapter 0")
    # Trying again begins a new one.
    assert ask(author, "POST", path).json()["State"] == "queued"
    catch_up()
    assert ask(author, "GET", path).json()["State"] == "done"
    assert renders.query("failed", index="ByShelf").records == []


def test_what_is_short_and_slow_goes_on_in_the_background(ask, stored, author, corner_of, catch_up, monkeypatch):
    corner = corner_of(author)
    made = stored()
    printed = workshop.pdf

    def slow_at_once(*arguments: Any, **options: Any) -> Any:
        if options["seconds"] <= pdf.AT_ONCE_SECONDS:
            raise workshop.TookTooLong("…")
        return printed(*arguments, **options)

    monkeypatch.setattr(workshop, "pdf", slow_at_once)
    assert ask(author, "POST", f"/documents/{made['Id']}/pdf").status_code == 202
    catch_up()
    assert renders.get(corner.identity_id, made["Id"]).state is State.DONE
    assert f"{made['Id']}.pdf" in corner.paths()


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_calls_of_aws(ask, stored, author, corner_of, cloud, catch_up):
    corner_of(author)
    made = stored()  # and the credentials are there now
    ask(author, "GET", f"/documents/{made['Id']}")
    catch_up()
    path = f"/documents/{made['Id']}"

    def calls(method: str, path: str, body: Any = None, **headers: str) -> dict[tuple[str, str], int]:
        cloud.forget_calls()
        assert ask(author, method, path, body, **headers).status_code < 300
        return dict(cloud.calls())

    assert calls("PUT", path, {"Text": "two"}, **{"If-Match": made["ETag"]}) == {("s3", "PutObject"): 1}
    assert calls("GET", path) == {("s3", "GetObject"): 1, ("dynamodb", "GetItem"): 1}
    assert calls("GET", "/documents") == {("dynamodb", "Query"): 1}
    assert calls("POST", f"{path}/pdf") == {
        ("s3", "GetObject"): 1,
        ("s3", "PutObject"): 1,
        ("s3", "HeadObject"): 1,  # whether it was deleted meanwhile
    }
    assert calls("POST", "/preview", {"Text": "x"}) == {}
