"""Operators find people's documents by owner, and read them only for a reason that is written down first."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils import timezone

from documents.document import Document, Part, documents
from documents.place import Place
from documents.renders import State
from documents.source import MAX_BYTES
from portal.accounts import people
from portal.dynamo import records
from portal.dynamo.values import from_item
from tests.documents.operators import (
    LIST,
    NOBODY,
    REASON,
    RENDERS,
    asks,
    know,
    listed,
    put_render,
    text,
    theirs,
    url,
    written,
)
from tests.html import page_problems

__all__ = ["asks", "listed", "theirs"]  # fixtures

ACTS = ["read", "take_down", "put_back"]
NOW = timezone.now()


def add(corner, document_id, *, minutes=0, removed=False, **facts):
    """Write a document into the index alone."""
    at = NOW + timedelta(minutes=minutes)
    part = Part(size=1024, removed_at=at, version_id="v") if removed else Part(size=1024, modified_at=at, e_tag="e")
    when = {"removed_at": at} if removed else {"modified_at": at}
    facts = {"title": f"Title of {document_id}", "source": part, **when, **facts}
    document = Document(identity_id=corner.identity_id, document_id=document_id, **facts)
    documents.add(document)
    return document


def titles(response):
    return [document.title for document, *_ in response.context["rows"]]


def read(client, corner, document_id, reason=REASON):
    return client.post(url(corner, document_id, "read"), {"reason": reason})


# --- Finding ----------------------------------------------------------------------------------------------------------


def test_an_owner_is_found_by_name_address_sub_and_identity(asks, listed, rider, cloud):
    add(listed, "a", minutes=0)
    add(listed, "b", minutes=2)
    add(listed, "c", minutes=1)
    add(listed, "gone", removed=True)
    for asked in (rider.username, rider.email, rider.sub, listed.identity_id):
        cloud.forget_calls()
        page = asks.get(LIST, {"q": asked})
        assert titles(page) == ["Title of b", "Title of c", "Title of a"]
        assert f"Documents of {asked if asked == listed.identity_id else 'rider'}" in text(page)
        assert "3 documents, 3.0\xa0KB" in page.content.decode()
        assert not page_problems(page.content.decode())
        assert cloud.calls()["dynamodb", "Query"] == 1
        assert cloud.calls()["dynamodb", "Scan"] == 0


def test_somebody_of_another_door_who_joined_their_accounts_is_found_by_either(asks, listed, rider):
    add(listed, "a")
    people.link("saml:somebody", sub=rider.sub, username="rider")
    assert titles(asks.get(LIST, {"q": "saml:somebody"})) == ["Title of a"]


def test_a_long_list_is_walked_forth_and_back_with_one_query_for_each_page(asks, listed, monkeypatch, cloud):
    monkeypatch.setitem(records.page.__kwdefaults__, "limit", 3)
    for number in range(7):
        add(listed, f"d{number}", minutes=number)
    cloud.forget_calls()
    pages = [asks.get(LIST, {"q": "rider"})]
    while older := pages[-1].context["page"].older:
        pages.append(asks.get(LIST + older))
    names = [titles(page) for page in pages]
    assert [len(one) for one in names] == [3, 3, 1]
    assert list(itertools.chain(*names)) == [f"Title of d{number}" for number in range(6, -1, -1)]
    assert cloud.calls()["dynamodb", "Query"] == 3
    back = [pages[-1]]
    while newer := back[-1].context["page"].newer:
        back.append(asks.get(LIST + newer))
    assert [titles(page) for page in back] == names[::-1]
    assert "on this page" in text(pages[1])


def test_a_cursor_of_another_list_is_refused(asks, listed, monkeypatch):
    monkeypatch.setitem(records.page.__kwdefaults__, "limit", 1)
    add(listed, "a")
    add(listed, "b", minutes=1)
    older = asks.get(LIST, {"q": "rider"}).context["page"].older
    assert asks.get(f"{LIST}{older}&show=removed").status_code == 400


def test_what_is_deleted_and_what_is_taken_down_are_a_list_of_their_own(asks, listed):
    add(listed, "there")
    add(listed, "deleted", minutes=1, removed=True)
    add(listed, "taken", minutes=2, removed=True, taken_down="It named people.")
    page = asks.get(LIST, {"q": "rider", "show": "removed"})
    assert titles(page) == ["Title of taken", "Title of deleted"]
    shown = text(page)
    assert "taken down It named people." in shown
    assert "deleted by its owner" in shown
    assert "2 documents, 2.0 KB" in shown.replace("\xa0", " ")
    assert not page_problems(page.content.decode())


def test_an_empty_list_says_why_and_what_to_do(asks, listed, author):
    assert "type whose you look for" in text(asks.get(LIST))
    assert "Nobody is called “nobody”." in text(asks.get(LIST, {"q": "nobody"}))
    assert "Nobody is called" in text(asks.get(LIST, {"q": "x" * 400}))
    assert "author has no identity in AWS yet" in text(asks.get(LIST, {"q": "author"}))
    assert "There is nothing in this corner." in text(asks.get(LIST, {"q": "rider"}))
    assert "nothing is taken down" in text(asks.get(LIST, {"q": "rider", "show": "removed"}))
    assert "There is nothing in this corner." in text(asks.get(LIST, {"q": NOBODY}))


def test_the_path_of_an_object_leads_to_its_document(asks, listed):
    for path in ("ugc/{}/notes/plan.md", "{}/notes/plan.pdf", "taken-down/{}/notes/plan.md"):
        answer = asks.get(LIST, {"q": path.format(listed.identity_id)})
        assert answer["Location"] == url(listed, "notes/plan")


def test_a_persons_page_leads_to_their_documents(asks, listed, rider):
    add(listed, "a")
    link = f"{LIST}?q={rider.sub}"
    assert link in asks.get("/admin/people/person/rider/change/").content.decode()
    assert titles(asks.get(link)) == ["Title of a"]


# --- A document's page ------------------------------------------------------------------------------------------------


ODD_IDS = [
    "notes/2026/meeting",
    "üñï + 100% & 🦄?",
    "a_b/_2F/change/read",
    "with 'quotes' \"and\" <b>tags</b>",
    "line\nbreak",
    " spaces ",
    "../up",
    "x" * 900,
    "я" * 480,
]


def test_any_id_that_s3_takes_has_a_page_and_its_acts(asks, listed):
    for document_id in ODD_IDS:
        add(listed, document_id)
    links = {document.document_id: link for document, link, *_ in asks.get(LIST, {"q": "rider"}).context["rows"]}
    assert set(links) == set(ODD_IDS)
    for document_id, link in links.items():
        page = asks.get(link)
        assert page.context["record"].document_id == document_id
        assert not page_problems(page.content.decode())
        for _, act, _ in page.context["acts"]:
            assert asks.get(act).status_code == 200


def test_a_document_that_is_not_there_is_said(asks, cloud):
    for key in ("x", "/x", f"{NOBODY}/", f"{NOBODY}/none", f"{NOBODY}/{'x' * 1100}", "я" * 900):
        answer = asks.get(f"{LIST}{quote(key)}/change/", follow=True)
        assert answer.redirect_chain[-1][0] == LIST
        assert "There is no such document." in text(answer)
        for act in ("read", "take-down", "put-back"):
            assert asks.get(f"{LIST}{quote(key)}/{act}/").status_code == 404


def test_a_document_says_what_there_is_of_it(asks, listed, rider):
    part = Part(size=2048, version_id="v1", e_tag="new", modified_at=NOW)
    pdf = Part(size=4096, version_id="v2", e_tag="p", modified_at=NOW, source_e_tag="old", pages=12)
    add(listed, "plan", title="The plan", source=part, pdf=pdf)
    page = asks.get(url(listed, "plan"))
    shown = text(page).replace("\xa0", " ")
    for said in ("The plan", "2.0 KB, saved", "version v1", "4.0 KB, 12 pages, older than the text", "6.0 KB"):
        assert said in shown
    assert "Nothing that the audit log knows of." in shown
    put_render(listed.identity_id, "plan", rider)
    page = asks.get(url(listed, "plan"))
    assert "failed: It takes longer than ten minutes." in text(page)
    assert url(listed, "plan", noun="render") in page.content.decode()


def test_an_owner_is_named_where_the_list_was_listed_and_only_if_it_is_true(asks, listed, rider, author):
    add(listed, "plan")
    people.people.add(people.Person(person_id=author.sub, username="author", identity_id=NOBODY))
    link = f"/admin/people/person/_sub/{quote(rider.sub)}/"
    [(_, from_list, *_)] = asks.get(LIST, {"q": "rider"}).context["rows"]
    assert f'<a href="{link}">rider</a>' in asks.get(from_list).content.decode()
    for unknown in ("", f"?owner={author.sub}", "?owner=nobody"):
        page = asks.get(url(listed, "plan") + unknown).content.decode()
        assert link not in page
        assert "author" not in page
        assert listed.identity_id in page
    put_render(listed.identity_id, "plan", rider)
    assert link in asks.get(url(listed, "plan")).content.decode()


def test_a_picture_is_in_no_list_and_has_a_page(asks, theirs):
    theirs.put("images/ab.png", b"\x89PNG")
    know(theirs)
    assert titles(asks.get(LIST, {"q": "rider"})) == []
    shown = text(asks.get(url(theirs, "images/ab.png")))
    assert "there, and in no list" in shown
    assert "Take down" in shown
    assert "Read the text" not in shown


# --- Reading ----------------------------------------------------------------------------------------------------------


def test_a_text_is_read_for_a_reason_that_is_written_down(asks, theirs, cloud):
    theirs.put("plan.md", b"\n# <b>Plan</b> & more\n\n[x](javascript:alert(1))\n")
    know(theirs)
    page = asks.get(url(theirs, "plan", "read"))
    assert "written into the audit log" in text(page)
    assert not page_problems(page.content.decode())
    answer = read(asks, theirs, "plan")
    assert answer.status_code == 200
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))
    html = answer.content.decode()
    # The first line break is the one that HTML drops.
    assert ">\n\n# &lt;b&gt;Plan&lt;/b&gt; &amp; more\n\n[x](javascript:alert(1))\n</pre>" in html
    assert f"It is written down that you read this, and why: “{REASON}”" in text(answer)
    assert not page_problems(html)
    name = f"documents.document/{theirs.identity_id}/plan"
    assert written(cloud) == [("operator", "read the document", name, [REASON])]
    assert f"operator read the document · Reason: {REASON}" in text(asks.get(url(theirs, "plan")))
    # The audit log leads to it.
    assert url(theirs, "plan") in asks.get("/admin/").content.decode()
    found = asks.get("/admin/dynamo/auditentry/", {"q": name})
    assert "read the document" in text(found)


def test_without_a_reason_nothing_is_read(asks, theirs, cloud):
    theirs.put("plan.md", b"# Secret")
    know(theirs)
    cloud.forget_calls()
    for reason in ("", "too short", " " * 20, "x" * 501, "with a\0nought in it"):
        answer = read(asks, theirs, "plan", reason)
        assert answer.status_code == 422
        assert answer.context["form"].errors["reason"]
        assert "# Secret" not in answer.content.decode()
        assert not page_problems(answer.content.decode())
    assert written(cloud) == []
    assert cloud.calls()["s3", "GetObject"] == 0


def test_a_text_is_not_read_where_it_cannot_be_written_down(client_for, operator, theirs, cloud):
    theirs.put("plan.md", b"# Secret")
    know(theirs)
    asks = client_for(operator, raise_request_exception=False)
    cloud.faults.add(service="dynamodb", action="PutItem", kind="throttle")
    answer = read(asks, theirs, "plan")
    assert answer.status_code == 503
    assert "Secret" not in answer.content.decode()
    assert cloud.calls()["s3", "GetObject"] == 0
    cloud.faults.clear()
    assert written(cloud) == []


def test_a_reading_that_failed_is_written_down_as_well(client_for, operator, theirs, cloud):
    theirs.put("plan.md", b"# Secret")
    know(theirs)
    cloud.faults.add(service="s3", action="GetObject", kind="error")
    assert read(client_for(operator, raise_request_exception=False), theirs, "plan").status_code == 503
    assert [action for _, action, *_ in written(cloud)] == ["read the document", "read the document, which failed"]


def test_what_its_owner_deleted_can_be_read_as_it_was(asks, theirs):
    theirs.put("plan.md", b"# First")
    theirs.put("plan.md", b"# Last")
    theirs.delete("plan.md")
    know(theirs)
    answer = read(asks, theirs, "plan")
    assert "# Last" in text(answer)
    assert "As it was when its owner deleted it" in text(answer)


def test_a_text_that_is_gone_for_good_is_said(asks, listed):
    add(listed, "plan")
    answer = asks.post(url(listed, "plan", "read"), {"reason": REASON}, follow=True)
    assert "There is no text of it any more." in text(answer)


def test_of_a_text_that_is_no_text_and_has_no_end_the_beginning_is_shown(asks, theirs):
    theirs.put("big.md", b"\xff\xfe\0 binary\n" + b"x" * MAX_BYTES)
    theirs.put("empty.md", b"")
    know(theirs)
    answer = read(asks, theirs, "big")
    assert "This is only its beginning." in text(answer)
    assert len(answer.context["text"].content) == MAX_BYTES
    assert "binary" in text(answer)
    assert read(asks, theirs, "empty").context["text"].content == ""


# --- Who may ----------------------------------------------------------------------------------------------------------


def every_address(corner):
    return [
        LIST,
        f"{LIST}?q=rider",
        RENDERS,
        *(url(corner, "plan", act) for act in ("change", "history", "delete", *ACTS)),
        *(url(corner, "plan", act, "render") for act in ("change", "history", "delete", "retry")),
        f"{LIST}add/",
        f"{RENDERS}add/",
    ]


def everything(cloud):
    return [*map(from_item, cloud.items("documents")), *map(from_item, cloud.items("renders"))]


@pytest.mark.parametrize("who", ["rider", "outsider"])
def test_people_without_a_group_see_and_do_nothing(client_for, listed, request, who, cloud):
    client = client_for(request.getfixturevalue(who))
    for address in every_address(listed):
        for method in (client.get, client.head, client.post, client.put, client.delete):
            assert method(address).status_code == 403, address
    assert not [call for call in cloud.calls() if call[0] == "s3"]


def test_strangers_are_sent_to_sign_in_and_change_nothing(listed, cloud):
    client = Client()
    for address in every_address(listed):
        for method in (client.get, client.head, client.post):
            assert method(address)["Location"].startswith("/sign-in/"), address
    assert written(cloud) == []


def test_an_auditor_looks_and_neither_reads_nor_changes(client_for, auditor, theirs, rider, cloud):
    theirs.put("plan.md", b"# Secret")
    know(theirs)
    put_render(theirs.identity_id, "plan", rider)
    before, client = everything(cloud), client_for(auditor)
    assert titles(client.get(f"{LIST}?q=rider")) == ["Secret"]
    page = client.get(url(theirs, "plan"))
    assert page.status_code == 200
    assert page.context["acts"] == []
    assert "object-tools" not in page.content.decode()
    assert client.get(url(theirs, "plan", noun="render")).status_code == 200
    for address in (RENDERS, url(theirs, "plan", noun="render")):
        assert "Retry" not in client.get(address).content.decode()
    form = {"reason": REASON, "render_id": "render-plan"}
    for address in [*(url(theirs, "plan", act) for act in ACTS), url(theirs, "plan", "retry", "render")]:
        assert client.get(address).status_code == 403
        assert client.head(address).status_code == 403
        assert client.post(address, form).status_code == 403
    for address in (LIST, RENDERS, url(theirs, "plan"), url(theirs, "plan", noun="render")):
        assert client.post(address, form).status_code == 403
    assert theirs.get("plan.md") == b"# Secret"
    assert everything(cloud) == before
    assert written(cloud) == []


def test_a_group_is_given_the_one_without_the_other(client_for, auditor, theirs, rider, settings):
    theirs.put("plan.md", b"# Plan")
    know(theirs)
    put_render(theirs.identity_id, "plan", rider)
    client = client_for(auditor)
    settings.GROUP_PERMISSIONS = {"auditors": ["documents.view_render", "documents.change_render"]}
    assert client.get(LIST).status_code == 403
    assert client.get(url(theirs, "plan", "read")).status_code == 403
    assert "Retry" in client.get(RENDERS).content.decode()
    settings.GROUP_PERMISSIONS = {"auditors": ["documents.view_document", "documents.change_document"]}
    assert client.get(RENDERS).status_code == 403
    assert client.post(url(theirs, "plan", "retry", "render")).status_code == 403
    page = client.get(f"{url(theirs, 'plan')}?owner={rider.sub}").content.decode()
    assert "/admin/people/" not in page
    assert read(client, theirs, "plan").status_code == 200


def test_looking_changes_nothing(asks, theirs, rider, cloud):
    theirs.put("plan.md", b"# Plan")
    know(theirs)
    put_render(theirs.identity_id, "plan", rider, state=State.QUEUED, shelf=None)
    before = everything(cloud)
    cloud.forget_calls()
    for address in every_address(theirs):
        for method in (asks.get, asks.head):
            assert method(address, {"reason": REASON, "render_id": "render-plan"}).status_code in (200, 302, 403)
    assert theirs.get("plan.md") == b"# Plan"
    assert everything(cloud) == before
    assert written(cloud) == []
    changing = {("s3", "CopyObject"), ("s3", "DeleteObjects"), ("s3", "PutObject"), ("sqs", "SendMessage")}
    assert not changing & set(cloud.calls())


def test_only_get_and_post_are_answered(asks, theirs):
    theirs.put("plan.md", b"# Plan")
    know(theirs)
    for act in ACTS:
        for method in (asks.put, asks.delete, asks.patch):
            assert method(url(theirs, "plan", act)).status_code == 405
    assert theirs.get(Place("", "plan", "source").path) == b"# Plan"
