"""Approvals as JSON: the same rules as the pages, with an ID token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from approvals.approval import State, approvals
from approvals.assignment import Mail
from tests.approvals.build import decided, put_approval, put_assignment
from tests.conftest import SignedUp

ID = "0123456789abcdef" * 2


@pytest.fixture
def ask(cloud):
    """Return a function that calls the API with a person's ID token, or as nobody."""

    def send(person: SignedUp | None, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if person:
            headers["Authorization"] = f"Bearer {person.id_token}"
        content = {} if method == "GET" else {"data": "" if body is None else body, "content_type": "application/json"}
        return getattr(Client(), method.lower())(f"/approvals{path}", headers=headers, **content)

    return send


def refused(answer: Any, status: int, said: str = "") -> None:
    assert answer.status_code == status, answer.content
    assert set(answer.json()) == {"Error", "Reference"}
    assert said in answer.json()["Error"]


def everything(approval_id: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"/{approval_id}", None),
        ("POST", f"/{approval_id}/decision", {"Decision": "approve"}),
        ("POST", f"/{approval_id}/withdraw", None),
        ("POST", f"/{approval_id}/resend", None),
        ("POST", f"/{approval_id}/comments", {"Text": "Hello"}),
    ]


# --- Who --------------------------------------------------------------------------------------------------------------


def test_nobody_is_asked_to_sign_in(ask):
    new = {"Type": "employee-promotion", "Fields": {"employeeName": "Ada"}}
    for method, path, body in [("GET", "", None), ("GET", "/types", None), ("POST", "", new), *everything(ID)]:
        answer = ask(None, method, path, body)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer"), (method, path)


def test_to_others_there_is_no_such_approval(ask, rider, approver, author, outsider, operator):
    approval = put_approval(rider, approver)
    for person in (author, outsider, operator):
        for method, path, body in everything(approval.approval_id):
            refused(ask(person, method, path, body), 404, "There is no such approval.")
        for box in ("inbox", "requests", "decided"):
            assert ask(person, "GET", f"?Box={box}").json() == {"Approvals": [], "Cursor": None}
    for path in (f"/{ID}", "/x", f"/{ID}0"):
        refused(ask(approver, "GET", path), 404)
    assert approvals.get(approval.approval_id) == approval


def test_who_asks_does_not_decide_and_who_is_asked_does_not_withdraw(ask, rider, approver):
    approval = put_approval(rider, approver)
    refused(ask(rider, "POST", f"/{approval.approval_id}/decision", {"Decision": "approve"}), 404)
    refused(ask(approver, "POST", f"/{approval.approval_id}/withdraw"), 404)
    refused(ask(approver, "POST", f"/{approval.approval_id}/resend"), 404)
    assert approvals.get(approval.approval_id) == approval


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_the_boxes_have_what_waits_what_did_and_what_one_asked_for(ask, rider, approver, author):
    open_ = put_approval(rider, approver)
    over = put_approval(rider, approver, **decided(State.REJECTED, author, reason="No"))
    [waits] = ask(approver, "GET", "").json()["Approvals"]
    assert (waits["Id"], waits["State"], waits["Requester"]) == (open_.approval_id, "open", "Ada Lovelace")
    assert waits["Facts"][0] == {"Label": "Employee", "Value": "Charles Babbage"}
    [was] = ask(approver, "GET", "?Box=decided").json()["Approvals"]
    assert (was["Id"], was["DecidedBy"], was["Reason"]) == (over.approval_id, "Mary Shelley", "No")
    asked = ask(rider, "GET", "?Box=requests").json()["Approvals"]
    assert {one["Id"] for one in asked} == {open_.approval_id, over.approval_id}
    refused(ask(approver, "GET", "?Box=other"), 400, "Box")
    refused(ask(approver, "GET", "?Cursor=forged"), 400, "cursor")


@pytest.mark.parametrize(("box", "size"), [("inbox", 25), ("requests", 20), ("decided", 25)])
def test_each_box_is_paged(ask, rider, approver, box, size):
    now = timezone.now()
    over = decided(State.APPROVED, approver) if box == "decided" else {}
    for n in range(size + 2):
        put_approval(rider, approver, title=f"{n}", asked_at=now - timedelta(minutes=n), **over)
    person = rider if box == "requests" else approver
    page = ask(person, "GET", f"?Box={box}").json()
    rest = ask(person, "GET", f"?Box={box}&Cursor={page['Cursor']}").json()
    assert [one["Title"] for one in page["Approvals"] + rest["Approvals"]] == [str(n) for n in range(size + 2)]
    assert rest["Cursor"] is None
    refused(ask(rider if person is approver else approver, "GET", f"?Box={box}&Cursor={page['Cursor']}"), 400)


def test_an_approval_says_what_its_reader_may_do_and_holds_no_token(ask, rider, approver, cloud):
    approval = put_approval(rider, approver)
    theirs = ask(approver, "GET", f"/{approval.approval_id}")
    assert {name: theirs.json()[name] for name in ("MayDecide", "MayWithdraw", "ReasonDue", "IsOverdue")} == {
        "MayDecide": True, "MayWithdraw": False, "ReasonDue": "reject", "IsOverdue": False,
    }  # fmt: skip
    mine = ask(rider, "GET", f"/{approval.approval_id}")
    assert (mine.json()["MayDecide"], mine.json()["MayWithdraw"]) == (False, True)
    assert b"a-token" not in theirs.content + mine.content
    assert b"of the input" not in theirs.content + mine.content
    assert [entry["ActorSub"]["S"] for entry in cloud.items("audit")] == [approver.sub], "who is asked has looked"


def test_head_is_no_look(cloud, rider, approver):
    approval = put_approval(rider, approver)
    client = Client(headers={"Authorization": approver.id_token})
    assert client.head(f"/approvals/{approval.approval_id}").status_code == 200
    assert cloud.items("audit") == []


def test_a_browser_is_sent_to_the_page(cloud):
    for path, page in (
        ("", "/approvals/"),
        ("/types", "/approvals/new/"),
        (f"/{ID}", f"/approvals/{ID}/"),
    ):
        answer = Client().get(f"/approvals{path}", headers={"Accept": "text/html,*/*;q=0.8"})
        assert (answer.status_code, answer["Location"]) == (302, page)


# --- Asking -----------------------------------------------------------------------------------------------------------


def test_what_can_be_asked_for_and_asking_it_once(ask, workflows, rider, cloud):
    [kind] = ask(rider, "GET", "/types").json()["Types"]
    assert kind == {
        "Type": "employee-promotion",
        "Title": "Employee promotion",
        "Fields": [{"Name": "employeeName", "Label": "Employee"}],
        "NeedsManager": True,
    }
    body = {"Type": "employee-promotion", "Fields": {"employeeName": "Ada"}, "IdempotencyKey": "once"}
    first, second = (ask(rider, "POST", "", body) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first["Location"] == f"/approvals/{first.json()['Id']}"
    assert first.json()["Id"] == second.json()["Id"]
    assert first.json()["State"] == "starting"
    approval = workflows.question_of(approvals.get(first.json()["Id"]).execution_arn)
    assert ask(rider, "GET", f"/{approval.approval_id}").json()["State"] == "open"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "Type"),
        ({"Type": "employee-promotion"}, 400, "Fields"),
        ({"Type": "employee-promotion", "Fields": {}}, 422, "Employee"),
        ({"Type": "employee-promotion", "Fields": {"employeeName": "x" * 201}}, 400, "200"),
        ({"Type": "employee-promotion", "Fields": {"employeeName": 5}}, 400, "employeeName"),
        ({"Type": "other", "Fields": {}}, 422, "Type"),
        ({"Type": "employee-promotion", "Fields": {str(n): "" for n in range(31)}}, 400, "Fields"),
        ({"Type": "employee-promotion", "Fields": {"employeeName": "x"}, "IdempotencyKey": "x" * 65}, 400, "64"),
        ([], 400, "object"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_the_reason(ask, cloud, rider, body, status, said):
    refused(ask(rider, "POST", "", body), status, said)
    assert cloud.items("approvals") == []


def test_who_has_no_manager_names_one(ask, cloud, operator, approver):
    body = {"Type": "employee-promotion", "Fields": {"employeeName": "Ada"}}
    refused(ask(operator, "POST", "", body), 422, "manager")
    refused(ask(operator, "POST", "", body | {"ManagerEmailAddress": operator.email}), 422, "yourself")
    refused(ask(operator, "POST", "", body | {"ManagerEmailAddress": "nobody@example.com"}), 422, "Nobody")
    assert cloud.items("approvals") == []
    assert ask(operator, "POST", "", body | {"ManagerEmailAddress": approver.email}).status_code == 201
    cloud.end_executions()


# --- Acting -----------------------------------------------------------------------------------------------------------


def test_a_decision_is_taken_once(ask, workflows, approver):
    approval = workflows.asked()
    path = f"/{approval.approval_id}/decision"
    refused(ask(approver, "POST", path, {"Decision": "reject"}), 422, "reason")
    answer = ask(approver, "POST", path, {"Decision": "reject", "Reason": "Too early"})
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("State", "DecidedBy", "Reason", "MayDecide", "FinishedAt")} == {
        "State": "rejected", "DecidedBy": "Grace Hopper", "Reason": "Too early", "MayDecide": False, "FinishedAt": None,
    }  # fmt: skip
    refused(ask(approver, "POST", path, {"Decision": "approve"}), 409, "Grace Hopper rejected this")
    workflows.work()
    assert ask(approver, "GET", f"/{approval.approval_id}").json()["FinishedAt"]


def test_a_workflow_that_waits_no_longer_is_409(ask, rider, approver):
    approval = put_approval(rider, approver)  # with a token that nobody waits with
    answer = ask(approver, "POST", f"/{approval.approval_id}/decision", {"Decision": "approve"})
    refused(answer, 409, "does not wait")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Decision": "maybe"},
        {"Decision": "approve", "Reason": "x" * 2001},
        {"Decision": "approve", "Reason": "x" * 100_000},
        {"Decision": "approve", "Reason": None},
        {"Decision": True},
    ],
    ids=lambda body: repr(body)[:40],
)
def test_what_is_no_decision_is_refused(ask, rider, approver, body):
    approval = put_approval(rider, approver)
    refused(ask(approver, "POST", f"/{approval.approval_id}/decision", body), 400)
    assert approvals.get(approval.approval_id) == approval


def test_withdrawing_is_for_who_asked_and_once(ask, rider, approver):
    approval = put_approval(rider, approver)
    answer = ask(rider, "POST", f"/{approval.approval_id}/withdraw")
    assert (answer.status_code, answer.json()["State"], answer.json()["MayWithdraw"]) == (200, "withdrawn", False)
    refused(ask(rider, "POST", f"/{approval.approval_id}/withdraw"), 409, "withdrawn")


def test_mails_are_sent_again_and_not_too_soon(ask, rider, approver):
    approval = put_approval(rider, approver)
    answer = ask(rider, "POST", f"/{approval.approval_id}/resend")
    assert (answer.status_code, answer.json()) == (202, {"Mails": 1})
    recent = put_approval(rider)
    put_assignment(recent, approver, mail=Mail.SENT, mail_at=timezone.now())
    refused(ask(rider, "POST", f"/{recent.approval_id}/resend"), 409, "again from")
    over = put_approval(rider, approver, **decided(State.APPROVED, approver))
    refused(ask(rider, "POST", f"/{over.approval_id}/resend"), 409, "no mail was sent")


def test_comments_are_steps_that_everybody_reads(ask, rider, approver):
    approval = put_approval(rider, approver)
    path = f"/{approval.approval_id}/comments"
    assert ask(approver, "POST", path, {"Text": "Which team?"}).status_code == 201
    steps = ask(rider, "GET", f"/{approval.approval_id}").json()["Steps"]
    assert [(one["Kind"], one["Note"]) for one in steps] == [("commented", "Which team?")]
    for body, status in (({"Text": ""}, 400), ({"Text": " \n"}, 422), ({"Text": "x" * 2001}, 400), ({}, 400)):
        refused(ask(approver, "POST", path, body), status)
