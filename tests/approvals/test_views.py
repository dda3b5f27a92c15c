"""The pages about approvals: to those who are asked and to who asks, to nobody else, and GET changes nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from approvals import deciding
from approvals.approval import Fact, Problem, ReasonDue, State, Terms, approvals
from approvals.assignment import How, Mail, open_shelf
from tests.approvals.build import decided, put_approval, put_assignment
from tests.html import page_problems, problems

ID = "0123456789abcdef" * 2
GET_PAGES = ["", "waiting/", "decided/", "requests/", "new/", "new/employee-promotion/", "away/", f"{ID}/"]
POST_PAGES = [
    "decide/",
    "back/",
    *(f"{ID}/{act}/" for act in ("decide", "comment", "withdraw", "resend", "fresh-link")),
]
TABLES = ("approvals", "approval_assignments", "approval_links", "absences")


def text(answer):
    return answer.content.decode()


def good(answer, status=200):
    """Return a page's text, after a look at its status and its markup."""
    assert answer.status_code == status, text(answer)
    assert not page_problems(text(answer))
    return text(answer)


@pytest.fixture
def decides(client_for, approver):
    return client_for(approver)


@pytest.fixture
def asks(client_for, rider):
    return client_for(rider)


# --- Who, and how -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*GET_PAGES, f"{ID}/progress/", *POST_PAGES])
def test_a_stranger_signs_in_first(cloud, address):
    for method in ("get", "post"):
        answer = getattr(Client(), method)(f"/approvals/{address}")
        assert answer.status_code == 302, (method, address)
        assert answer["Location"].startswith("/sign-in/?next=/approvals/"), (method, address)


def test_an_approval_is_there_for_who_is_asked_and_who_asks_alone(
    client_for, rider, approver, author, outsider, operator
):
    approval = put_approval(rider, approver)
    for person in (rider, approver):
        assert "Charles Babbage" in good(client_for(person).get(f"/approvals/{approval.approval_id}/"))
    for person in (author, outsider, operator):
        client = client_for(person)
        for address in ("", "progress/"):
            answer = client.get(f"/approvals/{approval.approval_id}/{address}")
            assert (answer.status_code, "Charles" in text(answer)) == (404, False), (person.username, address)
        for act in ("decide", "comment", "withdraw", "resend", "fresh-link"):
            answer = client.post(
                f"/approvals/{approval.approval_id}/{act}/", {"decision": "approve", "reason": "x", "text": "x"}
            )
            assert answer.status_code == 404, (person.username, act)
        for address in ("", "decided/", "requests/"):
            assert "Charles" not in text(client.get(f"/approvals/{address}"))
    assert approvals.get(approval.approval_id) == approval


def test_who_is_not_asked_any_more_sees_nothing(client_for, rider, approver, author):
    approval = put_approval(rider, approver)
    put_assignment(approval, author, ended_at=timezone.now(), shelf=None)
    client = client_for(author)
    assert client.get(f"/approvals/{approval.approval_id}/").status_code == 404
    assert client.post(f"/approvals/{approval.approval_id}/comment/", {"text": "x"}).status_code == 404


def test_a_member_of_a_group_that_is_asked_may_look_and_who_left_it_may_not(client_for, rider, operator, author):
    approval = put_approval(rider, groups=("operators",))
    put_assignment(approval, author, how=How.GROUP, group="operators")
    assert "Approve" in good(client_for(operator).get(f"/approvals/{approval.approval_id}/"))
    client = client_for(author)
    assert client.get(f"/approvals/{approval.approval_id}/").status_code == 404
    assert "Charles" not in text(client.get("/approvals/"))


def test_who_asks_decides_nothing_even_where_they_are_asked(client_for, operator, cloud):
    approval = put_approval(operator, operator, groups=("operators",))
    client = client_for(operator)
    assert "Approve" not in good(client.get(f"/approvals/{approval.approval_id}/")).replace("Approvals", "")
    for reason in ("fine", "x" * 2001):
        data = {"decision": "approve", "reason": reason}
        assert client.post(f"/approvals/{approval.approval_id}/decide/", data).status_code == 404
    assert approvals.get(approval.approval_id) == approval


def test_get_and_head_change_nothing(asks, decides, cloud, rider, approver):
    approval = put_approval(rider, approver)
    before = {table: cloud.items(table) for table in TABLES}
    for client in (asks, decides):
        for address in [*GET_PAGES, f"{approval.approval_id}/", f"{approval.approval_id}/progress/"]:
            client.get(f"/approvals/{address}")
            client.head(f"/approvals/{address}")
        for address in POST_PAGES:
            for method in (client.get, client.head, client.put):
                assert method(f"/approvals/{address}").status_code == 405, address
    assert {table: cloud.items(table) for table in TABLES} == before
    assert not {action for service, action in cloud.calls() if service == "sqs"}


def test_a_look_is_written_down_and_looking_ahead_is_not(asks, decides, cloud, rider, approver):
    approval = put_approval(rider, approver)
    address = f"/approvals/{approval.approval_id}/"
    decides.head(address)
    for header in ("Sec-Purpose", "Purpose", "X-Moz"):
        decides.get(address, headers={header: "prefetch"})
    decides.get(f"{address}progress/")
    asks.get(address)
    assert cloud.items("audit") == []
    decides.get(address)
    [entry] = cloud.items("audit")
    assert (entry["ActorSub"]["S"], entry["Action"]["S"]) == (approver.sub, "looked at it")


def test_every_post_needs_the_csrf_token(client_for, approver, rider):
    approval = put_approval(rider, approver)
    client = client_for(approver)
    client.handler.enforce_csrf_checks = True
    for address in [*POST_PAGES, "away/", "new/employee-promotion/"]:
        address = address.replace(ID, approval.approval_id)
        assert client.post(f"/approvals/{address}", {"decision": "approve"}).status_code == 403, address
    assert approvals.get(approval.approval_id) == approval


@pytest.mark.parametrize("name", [ID[:-1], ID + "0", ID.upper(), "..", "%2e%2e", "x" * 32, f"{ID}%0a"])
def test_names_that_are_no_ids_lead_nowhere(decides, cloud, name):
    cloud.forget_calls()
    assert decides.get(f"/approvals/{name}/").status_code == 404
    assert cloud.calls()["dynamodb", "GetItem"] <= 1, "the session alone"


def test_what_others_wrote_is_text(decides, asks, rider, approver):
    evil = "<script>alert(1)</script>"
    approval = put_approval(
        rider, approver, title=evil, facts=(Fact(label=evil, value=evil),) * 2, requester_name=evil,
        **decided(State.REJECTED, approver, reason=evil, decided_by_name=evil),
    )  # fmt: skip
    waiting = put_approval(rider, approver, title=evil, facts=(Fact(label=evil, value=evil),) * 2, requester_name=evil)
    for client, addresses in (
        (decides, ["", "decided/", f"{approval.approval_id}/", f"{waiting.approval_id}/"]),
        (asks, ["requests/", f"{approval.approval_id}/"]),
    ):
        for address in addresses:
            page = good(client.get(f"/approvals/{address}"))
            assert "<script>alert" not in page, address
            assert "&lt;script&gt;alert" in page, address


def test_no_page_shows_the_token_or_the_input(decides, asks, rider, approver):
    approval = put_approval(rider, approver)
    for client in (decides, asks):
        for address in ("", "requests/", f"{approval.approval_id}/", f"{approval.approval_id}/progress/"):
            page = text(client.get(f"/approvals/{address}"))
            assert "a-token-that" not in page
            assert "of the input" not in page


# --- The inbox --------------------------------------------------------------------------------------------------------


def test_an_empty_inbox_says_what_would_be_here(decides):
    assert "Nothing waits for you" in good(decides.get("/approvals/"))
    assert "Nothing yet" in good(decides.get("/approvals/decided/"))
    assert "No requests yet" in good(decides.get("/approvals/requests/"))


def test_the_inbox_says_what_who_since_when_and_until_when(decides, rider, approver):
    put_approval(rider, approver)
    put_approval(rider, approver, title="Late one", deadline_at=timezone.now() - timedelta(hours=3))
    page = good(decides.get("/approvals/"))
    for said in ("Employee promotion: Charles Babbage", "Team: Engines", "Ada Lovelace asked 3 minutes ago", "left"):
        assert said in page, said
    assert page.count("3 hours late") == 1
    assert page.index("Late one") < page.index("Employee promotion"), "newest first"


def test_the_inbox_is_paged_and_its_cursor_is_nobody_elses(decides, client_for, rider, approver, operator):
    now = timezone.now()
    for n in range(27):
        put_approval(rider, approver, title=f"Number {n:02}", asked_at=now - timedelta(minutes=n))
    page = good(decides.get("/approvals/"))
    older = re.search(r'href="(\?cursor=[^"]+)"', page)[1]
    rest = good(decides.get(f"/approvals/{older}"))
    assert sorted(re.findall(r">Number (\d\d)", page + rest)) == [f"{n:02}" for n in range(27)]
    assert decides.get("/approvals/?cursor=x").status_code == 400
    assert client_for(operator).get(f"/approvals/{older}").status_code == 400


def test_a_full_inbox_costs_four_calls(decides, cloud, rider, approver):
    for _ in range(25):
        put_approval(rider, approver)
    cloud.forget_calls()
    good(decides.get("/approvals/"))
    # The session and the absence, the list, and what is on it.
    assert cloud.calls() == {("dynamodb", "GetItem"): 2, ("dynamodb", "Query"): 1, ("dynamodb", "BatchGetItem"): 1}


def test_what_was_answered_a_moment_ago_is_not_in_the_inbox(decides, rider, approver):
    approval = put_approval(rider, **decided(State.APPROVED, approver))
    put_assignment(approval, approver, shelf=open_shelf(approver.sub))
    assert "Nothing waits for you" in good(decides.get("/approvals/"))


def test_select_all_works_without_javascript(decides, rider, approver):
    for _ in range(3):
        put_approval(rider, approver)
    assert text(decides.get("/approvals/")).count(" checked>") == 0
    assert text(decides.get("/approvals/?all")).count(" checked>") == 3


def test_several_are_decided_at_once_and_each_is_told(decides, workflows, approver, rider, author, cloud):
    first = workflows.asked({"managerEmailAddress": approver.email, "employeeName": "One"})
    second = workflows.asked({"managerEmailAddress": approver.email, "employeeName": "Two"})
    over = put_approval(rider, approver, **decided(State.REJECTED, author))
    gone = put_approval(rider, approver, title="Gone")
    others = put_approval(rider, author)
    selected = [one.approval_id for one in (first, second, over, gone, others)] + ["nonsense", first.approval_id]
    answer = decides.post(
        "/approvals/decide/", {"selected": selected, "decision": "approve", "reason": ""}, follow=True
    )
    assert answer.redirect_chain == [("/approvals/", 302)]
    said = [str(one) for one in answer.context["messages"]]
    assert said[0] == "2 approved: Employee promotion: One and Employee promotion: Two."
    assert any("1 was rejected by Mary Shelley already" in one for one in said)
    assert any("1 was not decided: The workflow does not wait" in one for one in said)
    assert any("2 were not yours to decide." in one for one in said)
    assert [approvals.get(one.approval_id).state for one in (first, second)] == [State.APPROVED] * 2
    assert approvals.get(others.approval_id) == others


def test_nothing_selected_and_no_button_say_so_and_keep_the_reason(decides, rider, approver):
    approval = put_approval(rider, approver)
    for data, said in (
        ({"decision": "approve", "reason": "typed"}, "Select at least one first."),
        ({"selected": approval.approval_id, "reason": "typed"}, "Press “Approve selected”"),
        ({"selected": [f"{n:032x}" for n in range(26)], "decision": "approve", "reason": "typed"}, "At most 25"),
    ):
        page = good(decides.post("/approvals/decide/", data), 422)
        assert said in page
        assert "typed</textarea>" in page
    assert approvals.get(approval.approval_id) == approval


def test_a_reason_that_is_due_is_asked_for_before_anything_is_decided(decides, rider, approver):
    due = put_approval(rider, approver)
    never = put_approval(rider, approver, title="No reason", terms=Terms(deadline_hours=1, reason_due=ReasonDue.NEVER))
    data = {"selected": [due.approval_id, never.approval_id], "decision": "reject", "reason": " "}
    page = good(decides.post("/approvals/decide/", data), 422)
    assert "A reason is needed to reject “Employee" in page
    assert page.count(" checked>") == 2, "what was selected stays selected"
    assert [approvals.get(one.approval_id) for one in (due, never)] == [due, never]


def test_enter_on_a_checkbox_decides_nothing(decides, rider, approver):
    put_approval(rider, approver)
    form = text(decides.get("/approvals/")).split('id="many"')[1]
    assert 'name="decision" value=""' in re.findall(r"<button[^>]*>", form)[0], "it presses the first button"


def test_the_home_page_says_how_many_wait(decides, cloud, rider, approver):
    assert text(decides.get("/approvals/waiting/")) == ""
    assert 'hx-get="/approvals/waiting/"' in text(decides.get("/"))
    for count, said in ((1, "1 waits for you."), (2, "2 wait for you.")):
        put_approval(rider, approver)
        cloud.forget_calls()
        assert text(decides.get("/approvals/waiting/")) == said, count
        one_each = {("dynamodb", name): 1 for name in ("GetItem", "Query", "BatchGetItem")}
        assert cloud.calls() == one_each


def test_what_waited_once_says_who_answered(decides, rider, approver, author):
    approval = put_approval(rider, approver, **decided(State.REJECTED, author))
    page = good(decides.get("/approvals/decided/"))
    assert f"/approvals/{approval.approval_id}/" in page
    assert "Mary Shelley, just now" in page
    assert ">rejected<" in page


# --- A decision -------------------------------------------------------------------------------------------------------


def test_the_page_asks_first_and_then_has_the_reason_and_two_buttons(decides, rider, approver):
    approval = put_approval(rider, approver)
    page = good(decides.get(f"/approvals/{approval.approval_id}/")).split("<main")[1]
    order = [page.index(one) for one in ("<h1>Employee promotion: Charles Babbage</h1>", "Ada Lovelace asks you",
        "Please answer by", "2 days</span> left", "<dd>Engines</dd>", "<textarea", 'value="approve"',
        'value="reject"', "What has happened")]  # fmt: skip
    assert order == sorted(order)
    assert "(needed to reject)" in page
    assert "autofocus" not in page


@pytest.mark.parametrize(("due", "said"), [("never", "(optional)"), ("always", "(needed)"), ("reject", "(needed to")])
def test_the_reason_says_when_it_is_due(decides, rider, approver, due, said):
    approval = put_approval(rider, approver, terms=Terms(deadline_hours=1, reason_due=due))
    page = good(decides.get(f"/approvals/{approval.approval_id}/"))
    assert said in page
    assert ("aria-required" in page) == (due == "always")


def test_a_decision_is_stored_with_its_reason_and_the_page_turns_to_the_workflow(decides, workflows, approver):
    approval = workflows.asked({"managerEmailAddress": approver.email, "employeeName": "Ada"})
    address = f"/approvals/{approval.approval_id}/"
    answer = decides.post(f"{address}decide/", {"decision": "approve", "reason": "Well\r\ndone"})
    assert (answer.status_code, answer["Location"]) == (302, address)
    stored = approvals.get(approval.approval_id)
    assert (stored.state, stored.decided_by_name, stored.reason) == (State.APPROVED, "Grace Hopper", "Well\ndone")
    page = good(decides.get(address))
    for said in ("You approved it just now", "Well<br>done", "The workflow is being told…", 'hx-trigger="every 1s"'):
        assert said in page, said
    mark = re.search(r'hx-get="([^"]+)"', page)[1]
    assert decides.get(mark).status_code == 204, "nothing has changed"
    workflows.work()
    part = text(decides.get(mark))
    assert not problems(part)
    assert "The workflow has the answer." in part
    assert "hx-get" not in part, "nothing is expected to change any more"
    assert 'id="steps" class="steps-list" hx-swap-oob="true"' in part


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"decision": "reject", "reason": " \r\n"}, "A reason is needed to reject this."),
        ({"decision": "maybe", "reason": "typed"}, "Press Approve or Reject."),
        ({"reason": "typed"}, "Press Approve or Reject."),
        ({"decision": "approve", "reason": "typed" + "x" * 1996}, "At most 2000 characters fit in here, and this"),
        ({"decision": "approve", "reason": "typed" + "x" * 100_000}, "and this has 100005"),
        ({"decision": "approve", "reason": "typed\0"}, "Null characters"),
    ],
)  # fmt: skip
def test_what_is_no_decision_comes_back_with_what_was_typed(decides, rider, approver, data, said):
    approval = put_approval(rider, approver)
    page = good(decides.post(f"/approvals/{approval.approval_id}/decide/", data), 422)
    assert said in page
    assert ("typed" in page.split("<textarea")[1]) == ("typed" in data["reason"])
    assert 'role="alert"' in page
    assert approvals.get(approval.approval_id) == approval


def test_two_thousand_characters_are_not_too_many_whatever_the_ends_of_lines_are(decides, workflows, approver):
    approval = workflows.asked()
    data = {"decision": "reject", "reason": "x\r\n" * 999 + "xx"}
    assert decides.post(f"/approvals/{approval.approval_id}/decide/", data).status_code == 302
    assert len(approvals.get(approval.approval_id).reason) == 2000


def test_who_comes_second_is_told_who_was_first_and_keeps_what_they_wrote(decides, rider, approver, author):
    approval = put_approval(rider, approver, author, **decided(State.REJECTED, author, reason="Not now"))
    answer = decides.post(f"/approvals/{approval.approval_id}/decide/", {"decision": "approve", "reason": "I like it"})
    page = good(answer, 409)
    assert "Mary Shelley rejected this" in page
    assert "Mary Shelley rejected it just now" in page
    assert "I like it" in page
    assert "Not now" in page
    assert 'name="decision"' not in page


def test_a_workflow_that_stopped_waiting_is_said_plainly(decides, rider, approver):
    approval = put_approval(rider, approver)  # with a token that nobody waits with
    page = good(decides.post(f"/approvals/{approval.approval_id}/decide/", {"decision": "approve"}), 409)
    assert "does not wait for an answer any longer" in page
    assert "Not answered in time" in page
    assert 'name="decision"' not in page
    late = put_approval(rider, approver, **decided(State.APPROVED, approver, is_late=True) | {"state": State.EXPIRED})
    assert "The answer changed nothing." in good(decides.get(f"/approvals/{late.approval_id}/"))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.WITHDRAWN, "Ada Lovelace withdrew it"),
        (State.CANCELLED, "Margaret Hamilton cancelled it"),
        (State.APPROVED, "Margaret Hamilton approved it"),
        (State.FAILED, "could not be started"),
        (State.EXPIRED, "stopped waiting before anybody answered"),
    ],
)
def test_each_ending_has_its_words(decides, rider, approver, operator, state, said):
    by = rider if state is State.WITHDRAWN else operator
    approval = put_approval(rider, approver, **decided(state, by))
    page = good(decides.get(f"/approvals/{approval.approval_id}/"))
    assert said in page
    assert "hx-get" not in page.split("<main")[1]


def test_an_answer_that_is_stuck_is_said_softly(asks, rider, approver):
    stuck = decided(State.APPROVED, approver, finished_at=None, problem="AWS said NoSuchThing.", stuck="stuck")
    page = good(asks.get(f"/approvals/{put_approval(rider, approver, **stuck).approval_id}/"))
    assert "nothing is lost" in page
    assert "NoSuchThing" not in page


def test_nothing_is_asked_for_again_and_again_for_ever(asks, rider, approver):
    now = timezone.now()
    for minutes, polls in ((0, True), (4, True), (6, False)):
        was = decided(State.APPROVED, approver, finished_at=None, updated_at=now - timedelta(minutes=minutes))
        page = good(asks.get(f"/approvals/{put_approval(rider, approver, **was).approval_id}/"))
        assert ("hx-trigger" in page.split("<main")[1]) == polls, minutes


def test_aws_that_does_not_answer_is_a_page_that_says_so(decides, workflows, cloud):
    approval = workflows.asked()
    decides.raise_request_exception = False
    cloud.faults.add(service="stepfunctions", action="SendTaskHeartbeat", kind="error", times=9)
    answer = decides.post(f"/approvals/{approval.approval_id}/decide/", {"decision": "approve"})
    assert answer.status_code == 503
    assert approvals.get(approval.approval_id).state is State.OPEN


# --- Comments ---------------------------------------------------------------------------------------------------------


def test_too_many_comments_come_back_with_what_was_typed(decides, rider, approver, monkeypatch):
    monkeypatch.setattr(deciding, "MOST_COMMENTS", 0)
    approval = put_approval(rider, approver)
    page = decides.post(f"/approvals/{approval.approval_id}/comment/", {"text": "One more"})
    assert page.status_code == 422
    assert "At most 0 comments in an hour" in page.content.decode()
    assert "One more" in page.content.decode()


def test_a_comment_is_read_by_the_others(decides, asks, rider, approver):
    approval = put_approval(rider, approver)
    address = f"/approvals/{approval.approval_id}/"
    answer = decides.post(f"{address}comment/", {"text": "Which <team>?"})
    assert (answer.status_code, answer["Location"]) == (302, address)
    page = good(asks.get(address))
    assert "Grace Hopper commented" in page
    assert "Which &lt;team&gt;?" in page


@pytest.mark.parametrize(("typed", "said"), [(" ", "Write something first."), ("typed" + "x" * 2000, "At most 2000")])
def test_a_comment_that_is_none_comes_back(decides, rider, approver, cloud, typed, said):
    approval = put_approval(rider, approver)
    page = good(decides.post(f"/approvals/{approval.approval_id}/comment/", {"text": typed}), 422)
    assert said in page
    assert ("typed" in page) == ("typed" in typed)
    assert '<details class="confirm" id="comment" open>' in page
    assert cloud.items("audit") == []


# --- Who asks ---------------------------------------------------------------------------------------------------------


def test_who_asks_sees_whom_it_waits_for_and_what_happens_next(asks, rider, approver, author):
    approval = put_approval(rider, approver, author)
    page = good(asks.get(f"/approvals/{approval.approval_id}/"))
    for said in (
        "You asked 3 minutes ago",
        "Waiting for Grace Hopper and Mary Shelley",
        "the first answer counts",
        "A reminder goes out <time",
        "The deadline is <time",
        "in 2 days",
        "Send the mail again",
        "Withdraw",
    ):
        assert said in page, said
    assert 'name="decision"' not in page


def test_who_asks_hears_of_mails_that_did_not_arrive_and_of_nobody_who_could_decide(asks, rider, approver):
    approval = put_approval(rider)
    put_assignment(approval, approver, mail=Mail.UNDELIVERED)
    assert "No mail has reached Grace Hopper." in good(asks.get(f"/approvals/{approval.approval_id}/"))
    nobody = put_approval(rider, problem_kind=Problem.NOBODY, problem="Secret words for operators.", stuck="stuck")
    page = good(asks.get(f"/approvals/{nobody.approval_id}/"))
    assert "There is nobody who may decide this." in page
    assert "Secret words" not in page


def test_late_is_said_to_who_asks_and_who_is_asked(asks, decides, rider, approver):
    approval = put_approval(
        rider, approver, deadline_at=timezone.now() - timedelta(hours=5), escalated_at=timezone.now()
    )
    page = good(asks.get(f"/approvals/{approval.approval_id}/"))
    assert "5 hours ago. Others have been asked since. It can still be answered." in page
    assert "5 hours ago.</span> You can still answer." in good(decides.get(f"/approvals/{approval.approval_id}/"))
    assert ">late<" in good(asks.get("/approvals/requests/"))


def test_requests_are_paged_newest_first(asks, rider, client_for, author):
    now = timezone.now()
    for n in range(23):
        put_approval(rider, title=f"Number {n:02}", asked_at=now - timedelta(minutes=n))
    page = good(asks.get("/approvals/requests/"))
    older = re.search(r'href="(\?cursor=[^"]+)"', page)[1]
    rest = good(asks.get(f"/approvals/requests/{older}"))
    assert re.findall(r">Number (\d\d)", page + rest) == [f"{n:02}" for n in range(23)]
    assert asks.get("/approvals/requests/?cursor=x").status_code == 400
    assert client_for(author).get(f"/approvals/requests/{older}").status_code == 400


def test_withdrawing_asks_once_and_ends_it(asks, decides, rider, approver):
    approval = put_approval(rider, approver)
    address = f"/approvals/{approval.approval_id}/"
    assert "Yes, withdraw it" in good(asks.get(address))
    assert decides.post(f"{address}withdraw/").status_code == 404, "only who asked"
    page = text(asks.post(f"{address}withdraw/", follow=True))
    assert "is withdrawn." in page
    assert "You withdrew it just now" in page
    assert approvals.get(approval.approval_id).state is State.WITHDRAWN
    assert "withdrawn by who had asked for it" in text(asks.post(f"{address}withdraw/", follow=True))
    assert "Yes, withdraw it" not in text(asks.get(address))


def test_the_mails_are_sent_again_and_not_too_soon(asks, decides, rider, approver, cloud, settings):
    approval = put_approval(rider, approver)
    address = f"/approvals/{approval.approval_id}/"
    assert decides.post(f"{address}resend/").status_code == 404, "only who asked"
    assert "1 mail is on the way again." in text(asks.post(f"{address}resend/", follow=True))
    assert len(cloud.messages(settings.APPROVAL_MAILS_QUEUE_URL)) == 1
    recent = put_approval(rider)
    put_assignment(recent, approver, mail=Mail.SENT, mail_at=timezone.now() - timedelta(minutes=4))
    page = good(asks.get(f"/approvals/{recent.approval_id}/"))
    assert "It can be sent again from <time" in page
    assert re.search(r"<button[^>]*disabled[^>]*>Send the mail again", page)
    assert "It can be sent again from" in text(asks.post(f"/approvals/{recent.approval_id}/resend/", follow=True))
    over = put_approval(rider, approver, **decided(State.APPROVED, approver))
    assert "no mail was sent" in text(asks.post(f"/approvals/{over.approval_id}/resend/", follow=True))


# --- Asking -----------------------------------------------------------------------------------------------------------


def fields_of(page):
    return {"key": re.search(r'name="key" value="([^"]+)"', page)[1]}


def test_a_request_starts_its_workflow_once_and_its_page_turns_by_itself(asks, workflows, rider, approver):
    assert asks.get("/approvals/new/")["Location"] == "/approvals/new/employee-promotion/", "there is one to choose"
    page = good(asks.get("/approvals/new/employee-promotion/"))
    assert "Grace Hopper, your manager, decides." in page
    assert 'name="manager"' not in page
    assert "managerEmailAddress" not in page
    data = fields_of(page) | {"field-employeeName": "Charles Babbage"}
    first, second = (asks.post("/approvals/new/employee-promotion/", data) for _ in range(2))
    assert first.status_code == 302
    assert first["Location"] == second["Location"]
    page = good(asks.get(first["Location"]))
    for said in ("Employee promotion: Charles Babbage", "Starting the workflow…", 'hx-trigger="every 1s"', "Withdraw"):
        assert said in page, said
    progress = re.search(r'hx-get="([^"]+)"', page)[1]
    approval_id = first["Location"].split("/")[2]
    workflows.question_of(approvals.get(approval_id).execution_arn)
    part = text(asks.get(progress))
    assert not problems(part)
    assert "Waiting for Grace Hopper" in part
    assert 'hx-trigger="every 15s"' in part, "the answer shows by itself"
    assert "Send the mail again" in part, "what can be done is renewed with it"
    assert "was asked by mail" in part, "and what has happened"


def test_who_has_no_manager_names_one(client_for, workflows, operator, approver):
    client = client_for(operator)
    page = good(client.get("/approvals/new/employee-promotion/"))
    assert 'type="email" name="manager"' in page
    data = fields_of(page) | {"field-employeeName": "Ada"}
    for typed, said in (
        ("", "Somebody has to decide"),
        ("nobody@example.com", "Nobody in the user pool has this address."),
        (operator.email, "You cannot approve what you ask for yourself."),
    ):
        page = good(client.post("/approvals/new/employee-promotion/", data | {"manager": typed}), 422)
        assert said in page
        assert 'value="Ada"' in page, "what was typed stays"
        assert f'value="{data["key"]}"' in page
    answer = client.post("/approvals/new/employee-promotion/", data | {"manager": approver.email})
    assert answer.status_code == 302


@pytest.mark.parametrize(("typed", "said"), [("", "This is needed."), ("x" * 201, "At most 200 characters")])
def test_a_field_that_is_missing_or_too_long_is_said_beside_it(asks, cloud, typed, said):
    page = good(asks.post("/approvals/new/employee-promotion/", {"key": "k", "field-employeeName": typed}), 422)
    assert said in page
    assert cloud.items("approvals") == []


def test_only_what_is_offered_can_be_asked_for(asks, request_type):
    request_type(Enabled=False)
    assert "Nothing can be asked for yet" in good(asks.get("/approvals/new/"))
    for address in ("employee-promotion", "nothing"):
        assert asks.get(f"/approvals/new/{address}/").status_code == 404
        assert asks.post(f"/approvals/new/{address}/", {"key": "k"}).status_code == 404
    request_type()
    request_type("laptop", Title="A laptop", Fields="model: Model\nwhy: Why", Approver="person:approver")
    page = good(asks.get("/approvals/new/"))
    assert "A laptop" in page
    assert "Employee promotion" in page
    page = good(asks.get("/approvals/new/laptop/"))
    assert page.index(">Model") < page.index(">Why")
    assert "your manager" not in page
