"""Operators see every approval, what keeps it from going on, and do something about it."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape

import pytest
from django.conf import settings
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils import timezone

from approvals import operator_words
from approvals.approval import OPEN_SHELF, STUCK, UNFINISHED_SHELF, Problem, State, approvals
from approvals.assignment import How, Mail, assignments
from portal.dynamo import records
from portal.dynamo.values import from_item
from tests.approvals.build import decided, put_approval, put_assignment
from tests.html import page_problems

LIST = "/admin/approvals/approval/"
NOW = timezone.now()
# Some minutes later it is still this month.
START = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
TOKEN = "a-token-that-no-page-shows"
ARN = "arn:aws:states:eu-west-1:123456789012:execution:elsewhere:e-1"
ACTS = ("resend", "reassign", "cancel", "pass-on", "set-aside")


def url(approval, act="change"):
    return f"{LIST}{approval.approval_id}/{act}/"


def text(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def listed(response):
    return [one.approval_id for one in response.context["listing"].page.records]


def stored(approval):
    return approvals.get(approval.approval_id, consistent=True)


def asked(approval, person):
    return assignments.find(approval.approval_id, person.sub, consistent=True)


def audited(cloud, approval):
    entries = sorted(map(from_item, cloud.items("audit")), key=lambda one: one["EntryId"])
    return [
        (one["ActorName"], one["Action"])
        for one in entries
        if one["Object"] == f"approvals.approval/{approval.approval_id}"
    ]


def mails_waiting(cloud):
    return [json.loads(body) for body in cloud.messages(settings.APPROVAL_MAILS_QUEUE_URL)]


def answers_waiting(cloud):
    return [json.loads(body)["ApprovalId"] for body in cloud.messages(settings.APPROVAL_ANSWERS_QUEUE_URL)]


def press(client, approval, act, **fields):
    """Press an act's button on the approval's page, or confirm it on its own: with what the page carries."""
    page = client.get(url(approval) if act in ("resend", "pass-on", "set-aside") else url(approval, act))
    assert page.status_code == 200, page["Location"]
    carried = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', page.content.decode()))
    return client.post(url(approval, act), {**carried, **fields}, follow=True)


def is_stuck(kind, problem="Something is wrong.", **changes):
    return {"problem_kind": kind, "problem": problem, "stuck": STUCK, **changes}


@pytest.fixture
def asks(client_for, operator):
    """The operator's browser."""
    return client_for(operator)


@pytest.fixture
def open_one(cloud, rider, approver):
    return stored(put_approval(rider, approver, shelf=OPEN_SHELF, next_at=NOW, execution_arn=ARN))


# --- The lists --------------------------------------------------------------------------------------------------------


def test_a_months_approvals_are_listed_with_one_query(cloud, asks, rider, approver):
    due = {"deadline_at": NOW + timedelta(hours=1)}
    waits, broken, done = (
        put_approval(person, asked_at=START + timedelta(minutes=minutes), **changes)
        for minutes, person, changes in (
            (1, rider, due),
            (2, None, {**is_stuck(Problem.NOBODY, "Nobody may decide this."), **due}),
            (3, rider, decided(State.APPROVED, approver)),
        )
    )
    cloud.forget_calls()
    page = asks.get(LIST)
    assert cloud.calls() == {("dynamodb", "GetItem"): 1, ("dynamodb", "Query"): 1}
    assert listed(page) == [done.approval_id, broken.approval_id, waits.approval_id]
    said = text(page)
    for fact in (
        "Employee promotion: Charles Babbage",
        "Ada Lovelace",
        "a workflow",
        "waiting",
        "approved",
        "stuck Nobody may decide this.",
    ):
        assert fact in said, fact
    assert '<span class="tag good">approved</span>' in page.content.decode()
    assert not page_problems(page.content.decode())


def test_a_months_approvals_are_walked_page_by_page(asks, rider, monkeypatch):
    monkeypatch.setitem(records.page.__kwdefaults__, "limit", 2)
    made = [put_approval(rider, asked_at=START + timedelta(minutes=9 - number)).approval_id for number in range(5)]
    page = asks.get(LIST)
    seen = [listed(page)]
    while older := page.context["listing"].page.older:
        page = asks.get(LIST + older)
        seen.append(listed(page))
    assert seen == [made[:2], made[2:4], made[4:]]
    assert listed(asks.get(LIST + page.context["listing"].page.newer)) == made[2:4]


def test_the_open_ones_are_listed_soonest_due_first_with_one_query(cloud, asks, rider, approver):
    ids = {
        hours: put_approval(
            rider,
            shelf=OPEN_SHELF,
            # When each is looked at next says nothing of when it is due.
            next_at=NOW + timedelta(minutes=10 - hours),
            deadline_at=NOW + timedelta(hours=hours),
            asked_at=NOW - timedelta(days=70),
        ).approval_id
        for hours in (5, 1, 3)
    }
    put_approval(rider, **decided(State.APPROVED, approver))
    cloud.forget_calls()
    page = asks.get(f"{LIST}?show=open")
    assert cloud.calls() == {("dynamodb", "GetItem"): 1, ("dynamodb", "Query"): 1}
    assert listed(page) == [ids[1], ids[3], ids[5]]
    assert "Open, soonest due first" in text(page)
    assert not page_problems(page.content.decode())


def test_the_open_ones_are_walked_page_by_page_and_back(asks, rider, monkeypatch):
    monkeypatch.setattr("approvals.approval_admin.MOST_OPEN", 2)
    made = [
        put_approval(rider, shelf=OPEN_SHELF, next_at=NOW + timedelta(minutes=n), deadline_at=NOW + timedelta(hours=n))
        for n in range(5)
    ]
    ids = [one.approval_id for one in made]
    first = asks.get(f"{LIST}?show=open")
    assert listed(first) == ids[:2]
    assert "Later ›" in text(first)
    second = asks.get(LIST + first.context["listing"].page.older)
    assert listed(second) == ids[2:4]
    assert "Open, on each page the soonest due first" in text(second)
    third = asks.get(LIST + second.context["listing"].page.older)
    assert listed(third) == ids[4:]
    assert listed(asks.get(LIST + third.context["listing"].page.newer)) == ids[2:4]
    assert listed(asks.get(LIST + second.context["listing"].page.newer)) == ids[:2]


def test_the_stuck_ones_have_a_list_of_their_own(cloud, asks, rider, open_one):
    old = put_approval(rider, **is_stuck(Problem.LATE, "Too late."), asked_at=NOW - timedelta(days=70))
    new = put_approval(rider, **is_stuck(Problem.MAIL, "No address."), updated_at=NOW)
    cloud.forget_calls()
    page = asks.get(f"{LIST}?show=stuck")
    assert cloud.calls() == {("dynamodb", "GetItem"): 1, ("dynamodb", "Query"): 1}
    assert listed(page) == [new.approval_id, old.approval_id]
    assert 'href="/admin/approvals/approval/?show=stuck" aria-current="page"' in page.content.decode()
    assert not page_problems(page.content.decode())


def test_empty_lists_say_so(cloud, asks):
    assert "No approvals in" in text(asks.get(LIST))
    assert "Nothing is open." in text(asks.get(f"{LIST}?show=open"))
    assert "Nothing is stuck." in text(asks.get(f"{LIST}?show=stuck"))
    page = asks.get(f"{LIST}?show=nonsense")
    assert "No approvals in" in text(page)
    assert f'href="{LIST}" aria-current="page"' in page.content.decode()
    assert asks.get(f"{LIST}?show=open&after=x").status_code == 400


def test_an_approval_is_found_by_its_id_its_execution_and_who_asked(asks, rider, author, open_one):
    arn = "arn:aws:states:eu-west-1:123456789012:execution:" + "m" * 80 + ":" + "n" * 80
    by_arn = put_approval(author, execution_arn=arn)
    assert asks.get(LIST, {"q": open_one.approval_id.upper()})["Location"] == url(open_one)
    assert asks.get(LIST, {"q": arn})["Location"] == url(by_arn)
    for who in (rider.username, rider.email, rider.sub):
        page = asks.get(LIST, {"q": who})
        assert listed(page) == [open_one.approval_id], who
        assert "Asked for by Ada Lovelace" in text(page)
    for nothing in ("nobody", "arn:aws:states:eu-west-1:123456789012:execution:a:b", "f" * 32):
        assert f"Nothing found for “{nothing}”." in text(asks.get(LIST, {"q": nothing}))


# --- An approval's page -----------------------------------------------------------------------------------------------


def test_an_approval_has_a_page_with_all_that_is_known(cloud, asks, rider, approver, operator, author, open_one):
    put_assignment(
        open_one,
        author,
        how=How.GROUP,
        group="writers",
        mail=Mail.UNDELIVERED,
        mail_why="has no verified e-mail address",
    )
    put_assignment(open_one, operator, ended_at=NOW, shelf=None)
    put_assignment(open_one, rider, how=How.REQUESTER, shelf=None, mail=Mail.SENT)
    cloud.forget_calls()
    page = asks.get(url(open_one))
    calls = cloud.calls()
    # The session and the approval; who is asked, the history; the look is written down.
    assert calls == {("dynamodb", "GetItem"): 2, ("dynamodb", "Query"): 2, ("dynamodb", "PutItem"): 1}
    said = text(page)
    for fact in (
        "Employee promotion: Charles Babbage",
        "waiting",
        "Ada Lovelace",
        "Employee Charles Babbage",
        "Team Engines",
        "Deadline after 48 hours",
        "at most 3, the first after 12 hours",
        "Asked besides at the deadline nobody",
        "A reason is due when rejecting",
        "0 of at most 3 sent, the next one",
        "Grace Hopper the manager",
        "in the group writers",
        "could not be delivered: has no verified e-mail address",
        "not asked any more since",
        open_one.approval_id,
    ):
        assert fact in said, fact
    html = page.content.decode()
    assert f'href="/admin/people/person/_sub/{approver.sub}/"' in html
    assert 'href="/admin/approvals/requesttype/employee-promotion/change/"' in html
    assert not page_problems(html)
    assert audited(cloud, open_one) == [("operator", "looked at it")]
    assert "operator looked at it" in text(asks.get(url(open_one)))


def test_only_who_really_looks_is_written_down(cloud, asks, open_one):
    assert asks.head(url(open_one)).status_code == 200
    asks.get(url(open_one), headers={"Sec-Purpose": "prefetch"})
    assert audited(cloud, open_one) == []


def test_the_task_token_is_on_no_page(cloud, client_for, operator, auditor, rider, approver, author):
    """Neither for operators, nor where a workflow's own input has it."""
    given = json.dumps({"TaskToken": TOKEN, "deep": [{"taskToken": "another-token"}], "said": f"it is {TOKEN}"})
    made = [
        put_approval(
            rider,
            approver,
            state=state,
            shelf=OPEN_SHELF,
            next_at=NOW,
            input=given,
            execution_arn=ARN,
            groups=("writers",),
            **is_stuck(Problem.MAIL),
        )
        for state in State
    ]
    for person in (operator, auditor):
        asks = client_for(person)
        pages = [
            LIST,
            f"{LIST}?show=open",
            f"{LIST}?show=stuck",
            f"{LIST}?q=rider",
            "/admin/",
            "/admin/dynamo/auditentry/",
        ]
        for one in made:
            pages.append(f"/admin/approvals/execution/{quote(ARN)}/change/?approval={one.approval_id}")
            pages += [url(one), *(url(one, act) for act in ACTS), f"{LIST}?q={one.approval_id}"]
        for page in pages:
            html = asks.get(page, follow=True).content.decode()
            assert TOKEN not in html, page
            assert "another-token" not in html, page
    asks = client_for(operator)
    assert "it is (not shown)" in text(asks.get(url(made[0])))
    assert TOKEN not in press(asks, made[1], "cancel", reason="").content.decode()
    assert TOKEN not in press(asks, made[1], "reassign", to="nobody").content.decode()


def test_the_input_is_shown_to_operators_alone(client_for, operator, auditor, open_one):
    assert "of the input" in text(client_for(operator).get(url(open_one)))
    assert "of the input" not in text(client_for(auditor).get(url(open_one)))


def test_what_others_wrote_is_text(asks, rider, approver):
    word = "<script>alert(1)</script>"
    facts = [{"label": word, "value": word}]
    one = put_approval(
        rider, approver, title=word, facts=facts, problem=word, stuck=STUCK, input=json.dumps({"a": word})
    )
    put_assignment(one, rider, name=word, mail_why=word, how=How.DELEGATE, for_name=word)
    for page in (LIST, url(one), url(one, "cancel"), url(one, "reassign")):
        html = asks.get(page).content.decode()
        assert "<script>alert" not in html
        assert not page_problems(html)


@pytest.mark.parametrize(
    ("kind", "changes", "does"),
    [
        (Problem.NOBODY, {}, "Reassign it to somebody who may answer."),
        (Problem.MAIL, {}, "Look up their e-mail address"),
        (Problem.DEADLINE, {}, "Resend the mails, or reassign it"),
        (Problem.ANSWER, {"state": State.APPROVED}, "pass the answer on again"),
        (Problem.LATE, {"state": State.EXPIRED, "is_late": True}, "Start the workflow anew"),
        (Problem.START, {"state": State.FAILED}, "Look whether the state machine is there"),
        (Problem.START, {"state": State.STARTING}, "Look at the execution"),
        (None, {}, "Look at what happened below"),
    ],
)
def test_the_page_of_a_stuck_one_says_what_is_wrong_and_what_to_do(asks, rider, approver, kind, changes, does):
    one = put_approval(rider, approver, **is_stuck(kind, **changes))
    page = asks.get(url(one))
    assert "Stuck: Something is wrong." in text(page)
    assert does in text(page)
    assert not page_problems(page.content.decode())


def test_every_kind_of_problem_has_something_that_can_be_done():
    assert set(operator_words.WHAT_TO_DO) == set(Problem)
    assert set(operator_words.HOW) == set(How)
    assert set(operator_words.MAILS) == set(Mail)


def test_there_is_no_page_of_what_is_no_approval(asks):
    for key in ("0" * 32, "nonsense", "x" * 500):
        assert "There is no such approval." in text(asks.get(f"{LIST}{key}/change/", follow=True))
        for act in ACTS:
            assert asks.get(f"{LIST}{key}/{act}/").status_code == 404


# --- Resending --------------------------------------------------------------------------------------------------------


def test_everybody_who_is_asked_gets_a_new_mail(cloud, asks, approver, author, open_one):
    put_assignment(open_one, author)
    page = press(asks, open_one, "resend")
    assert "2 mails are on the way." in text(page)
    assert sorted(one["Sub"] for one in mails_waiting(cloud)) == sorted([approver.sub, author.sub])
    assert ("operator", "had the mails sent again") in audited(cloud, open_one)


def test_pressing_twice_resends_once(cloud, asks, approver, open_one):
    page = asks.get(url(open_one))
    shown_at = re.search(r'name="shown_at" value="([^"]*)"', page.content.decode())[1]
    asks.post(url(open_one, "resend"), {"shown_at": shown_at})
    for stale in (shown_at, "", "nonsense"):
        page = asks.post(url(open_one, "resend"), {"shown_at": stale}, follow=True)
        assert "The mails were sent again already. Look whether they have arrived." in text(page)
    assert len(mails_waiting(cloud)) == 1
    # Who has seen that may have them sent once more.
    assert "1 mail is on the way." in text(press(asks, open_one, "resend"))


def test_nobody_is_mailed_about_what_is_over(cloud, asks, rider, approver):
    one = put_approval(rider, approver, **decided(State.REJECTED, approver))
    assert "Resend" not in text(asks.get(url(one)))
    page = asks.post(url(one, "resend"), {"shown_at": "x"}, follow=True)
    assert "It is not open any more, so nobody is asked." in text(page)
    assert mails_waiting(cloud) == []


# --- Reassigning ------------------------------------------------------------------------------------------------------


def test_somebody_else_is_asked_instead(cloud, asks, approver, author, rider, open_one):
    page = asks.get(url(open_one, "reassign"))
    assert "Grace Hopper (the manager)" in text(page)
    assert not page_problems(page.content.decode())
    page = press(asks, open_one, "reassign", to="author", instead_of=approver.sub)
    assert "Mary Shelley is asked, and gets a mail." in text(page)
    assert asked(open_one, author).how is How.OPERATOR
    assert asked(open_one, author).may_decide
    assert not asked(open_one, approver).may_decide
    assert [one["Sub"] for one in mails_waiting(cloud)] == [author.sub]
    assert {("operator", "had somebody else decide"), ("author", "is asked instead")} <= {*audited(cloud, open_one)}


def test_somebody_is_asked_besides_by_their_address_and_it_is_not_stuck_any_more(cloud, asks, approver, author, rider):
    one = put_approval(rider, approver, **is_stuck(Problem.DEADLINE, shelf=OPEN_SHELF, next_at=NOW))
    press(asks, one, "reassign", to=author.email)
    assert asked(one, author).may_decide
    assert asked(one, approver).may_decide
    assert stored(one).stuck is None
    assert text(asks.get(f"{LIST}?show=stuck")).count("Nothing is stuck.") == 1


def test_who_cannot_answer_is_refused_beside_the_field(cloud, asks, approver, rider, outsider, open_one, disable):
    disable(outsider)
    for name, said in [
        ("nobody", "Nobody who may sign in has this user name or verified e-mail address."),
        ("outsider", "Nobody who may sign in has this user name or verified e-mail address."),
        ("", "Say who."),
        ("rider", "Who asked for it cannot decide it."),
        ("approver", "Grace Hopper is asked already."),
    ]:
        page = press(asks, open_one, "reassign", to=name)
        assert page.status_code == 422
        assert page.context["form"].errors == {"to": [said]}
        assert not page_problems(page.content.decode())
    assert len(cloud.items("approval_assignments")) == 1
    assert mails_waiting(cloud) == []


def test_pressing_twice_reassigns_once(cloud, asks, approver, author, open_one):
    page = asks.get(url(open_one, "reassign"))
    data = {"round": page.context["form"].initial["round"], "to": "author", "instead_of": approver.sub}
    asks.post(url(open_one, "reassign"), data)
    again = asks.post(url(open_one, "reassign"), data)
    assert again.status_code == 422
    assert "They are not asked any more. Look again who is." in text(again)
    assert len(mails_waiting(cloud)) == 1


def test_a_form_of_an_earlier_round_is_refused(cloud, asks, author, approver, open_one):
    approvals.replace(open_one.model_copy(update={"round": 2}), was=open_one)
    page = asks.post(url(open_one, "reassign"), {"round": 1, "to": "author"}, follow=True)
    assert "The workflow has asked anew meanwhile. Look again who is asked." in text(page)
    page = asks.post(url(open_one, "cancel"), {"round": 1, "reason": "Not needed"}, follow=True)
    assert "The workflow has asked anew meanwhile. Look again." in text(page)
    assert stored(open_one).is_open
    assert asked(open_one, author) is None


# --- Cancelling -------------------------------------------------------------------------------------------------------


def test_an_approval_is_cancelled_with_a_reason(cloud, asks, operator, open_one):
    page = asks.get(url(open_one, "cancel"))
    assert "The workflow’s task fails with the error Cancelled" in text(page)
    assert not page_problems(page.content.decode())
    page = press(asks, open_one, "cancel", reason="Ada has left the company.")
    assert "It is cancelled. The workflow hears of it within seconds." in text(page)
    now = stored(open_one)
    assert (now.state, now.reason, now.decided_by) == (State.CANCELLED, "Ada has left the company.", operator.sub)
    assert answers_waiting(cloud) == [open_one.approval_id]
    [entry] = [one for one in map(from_item, cloud.items("audit")) if one["Action"] == "cancelled it"]
    assert (entry["ActorName"], entry["Changes"][0]["To"]) == ("operator", "Ada has left the company.")


def test_cancelling_wants_a_reason(asks, open_one):
    for reason, said in [("", "Say why."), ("x", "Say a little more."), ("x" * 501, "at most 500 characters")]:
        page = press(asks, open_one, "cancel", reason=reason)
        assert page.status_code == 422
        assert said in page.context["form"].errors["reason"][0]
        assert not page_problems(page.content.decode())
    assert stored(open_one).is_open


def test_cancelling_twice_changes_nothing_and_says_so(cloud, asks, rider, approver, open_one):
    data = {"round": 1, "reason": "Not needed any more"}
    asks.post(url(open_one, "cancel"), data)
    before = stored(open_one)
    assert "It is over already. Nothing was changed." in text(asks.post(url(open_one, "cancel"), data, follow=True))
    assert "It is over already. Nothing was changed." in text(asks.get(url(open_one, "cancel"), follow=True))
    assert stored(open_one) == before


def test_somebody_who_decided_a_moment_before_is_not_overruled(cloud, asks, approver, open_one, monkeypatch):
    """Between looking and writing."""
    from approvals import deciding

    cancel = deciding.cancel

    def too_late(approval_id, **how):
        won = open_one.answered(State.APPROVED, by=approver, name="Grace Hopper", reason="", now=timezone.now())
        approvals.replace(won, was=open_one)
        return cancel(approval_id, **how)

    monkeypatch.setattr(deciding, "cancel", too_late)
    page = press(asks, open_one, "cancel", reason="Not needed")
    assert "Grace Hopper approved this on" in text(page)
    assert stored(open_one).state is State.APPROVED


# --- Passing an answer on again ---------------------------------------------------------------------------------------


def test_an_answer_that_hangs_is_passed_on_again(cloud, asks, rider, approver):
    hanging = decided(State.APPROVED, approver, finished_at=None, shelf=UNFINISHED_SHELF, next_at=NOW)
    one = put_approval(rider, approver, **hanging)
    assert "The workflow does not have the answer yet." in text(asks.get(url(one)))
    page = press(asks, one, "pass-on")
    assert "The answer is on its way to the workflow." in text(page)
    assert answers_waiting(cloud) == [one.approval_id]
    assert ("operator", "had the answer passed on again") in audited(cloud, one)
    page = asks.post(url(one, "pass-on"), {"decision_id": "another"}, follow=True)
    assert "There is another answer meanwhile. Look again." in text(page)
    assert len(answers_waiting(cloud)) == 1


@pytest.mark.parametrize("state", [State.OPEN, State.EXPIRED, State.APPROVED])
def test_there_is_nothing_to_pass_on_where_no_answer_hangs(cloud, asks, rider, approver, state):
    changes = decided(state, approver) if state is State.APPROVED else {"state": state}
    one = put_approval(rider, approver, **changes)
    assert "Pass the answer on again" not in text(asks.get(url(one)))
    page = asks.post(url(one, "pass-on"), {"decision_id": one.decision_id}, follow=True)
    assert "There is no answer that the workflow does not have." in text(page)
    assert answers_waiting(cloud) == []


def test_what_hangs_though_it_is_over_is_set_aside(cloud, asks, operator, rider, approver):
    late = put_approval(
        rider, approver, state=State.EXPIRED, is_late=True, problem_kind=Problem.LATE, problem="Too late.", stuck=STUCK
    )
    page = press(asks, late, "set-aside")
    assert "not among those that are stuck any more" in text(page)
    assert approvals.get(late.approval_id).stuck is None
    assert ("operator", "set it aside") in audited(cloud, late)
    assert "There is nothing to set aside." in text(press(asks, late, "set-aside"))


def test_what_is_open_cannot_be_set_aside(cloud, asks, rider, approver):
    stuck = put_approval(rider, approver, problem_kind=Problem.DEADLINE, problem="Nobody has.", stuck=STUCK)
    assert "There is nothing to set aside." in text(press(asks, stuck, "set-aside"))
    assert approvals.get(stuck.approval_id).stuck == STUCK


def test_where_a_service_does_not_answer_it_is_said(cloud, asks, rider, approver):
    one = put_approval(rider, approver, **decided(State.APPROVED, approver, finished_at=None))
    cloud.faults.add(service="sqs", action="SendMessage", kind="error", times=5)
    page = press(asks, one, "pass-on")
    assert "A service did not answer." in text(page)
    # It was written down before it was tried.
    assert ("operator", "had the answer passed on again") in audited(cloud, one)


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_auditors_see_everything_and_do_nothing(cloud, client_for, auditor, open_one):
    asks = client_for(auditor)
    page = asks.get(url(open_one))
    html = page.content.decode()
    assert "Grace Hopper" in text(page)
    for act in ACTS:
        assert url(open_one, act) not in html
        assert asks.get(url(open_one, act)).status_code == 403
        assert asks.post(url(open_one, act), {"round": 1, "to": "author", "reason": "Not needed"}).status_code == 403
    assert stored(open_one) == open_one
    assert audited(cloud, open_one) == [("auditor", "looked at it")]


def test_everybody_else_is_sent_away(client, client_for, rider, approver, open_one):
    for person in (rider, approver):
        asks = client_for(person)
        for path in (LIST, url(open_one), *(url(open_one, act) for act in ACTS)):
            assert asks.get(path).status_code == 403
            assert asks.post(path).status_code == 403
    assert client.get(url(open_one))["Location"].startswith("/sign-in/")


def test_acts_want_a_form_of_the_portals_own(client_for, operator, open_one):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client_for(operator).cookies
    for act in ACTS:
        assert strict.post(url(open_one, act)).status_code == 403


@pytest.mark.parametrize("act", ["resend", "pass-on"])
def test_whoever_had_to_sign_in_before_pressing_comes_back_to_the_page(asks, open_one, act):
    assert asks.get(url(open_one, act))["Location"] == url(open_one)


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_pages_themselves_take_no_orders(asks, open_one, method):
    for path in (LIST, url(open_one), f"{LIST}add/", url(open_one, "delete")):
        assert getattr(asks, method)(path).status_code == 403


def test_the_audit_log_leads_to_the_approval(asks, open_one):
    asks.get(url(open_one))
    assert f'href="{url(open_one)}"' in asks.get("/admin/").content.decode()
