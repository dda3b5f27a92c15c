"""The list of people: each page is one call, and every search is one filter."""

from __future__ import annotations

import uuid

import pytest
from django.core import signing

from portal.people import directory, search
from tests.html import page_problems
from tests.people.conftest import LIST, text


def names(response):
    return [row[0].partition(">")[2].partition("<")[0] for row in response.context["rows"]]


def test_a_page_of_people_is_one_call_and_the_next_one_follows(cloud, asks, member, monkeypatch):
    monkeypatch.setitem(directory.page.__kwdefaults__, "limit", 3)
    stem = f"walk{uuid.uuid4().hex[:6]}"
    made = [member(f"{stem}{number}").username for number in range(7)]
    path, seen = f"{LIST}?q={stem}", []
    while True:
        cloud.forget_calls()
        page = asks.get(path)
        assert cloud.calls() == {("cognito-idp", "ListUsers"): 1, ("dynamodb", "GetItem"): 1}  # and the session
        assert not page_problems(page.content.decode())
        seen += names(page)
        if not page.context["older"]:
            break
        path = LIST + page.context["older"]
    assert sorted(seen) == made
    assert len(seen) == 7


@pytest.mark.parametrize("query", ["", "?is=invited", "?group=operators"])
def test_a_cursor_of_another_list_is_refused(asks, member, monkeypatch, query):
    monkeypatch.setitem(directory.page.__kwdefaults__, "limit", 1)
    stem = f"walk{uuid.uuid4().hex[:6]}"
    for number in range(2):
        member(f"{stem}{number}")
    older = asks.get(f"{LIST}?q={stem}").context["older"]
    cursor = older.rpartition("after=")[2]
    assert asks.get(f"{LIST}{query}{'&' if query else '?'}after={cursor}").status_code == 400
    assert asks.get(f"{LIST}?after=nonsense").status_code == 400


def test_a_page_that_was_open_for_too_long_leads_to_the_first_one(asks, member):
    """Cognito's own cursors are good for an hour."""
    query = search.for_text("walk")
    cursor = signing.dumps("stale", salt=f"people//{query.filter}", compress=True)
    page = asks.get(LIST, {"q": "walk", "after": cursor}, follow=True)
    assert "That page was left open for too long." in text(page)
    assert page.redirect_chain == [("?q=walk", 302)]


def test_people_are_found_by_whatever_is_known_of_them(asks, member):
    family = f"Findable{uuid.uuid4().hex[:6]}"
    one = member(family_name=family, given_name="Zoë")
    for typed, how in [
        (one.username[:-1], "User name"),
        (one.email[:14], "E-mail address"),
        (f"Zoë {family[:-1]}", "Family name"),
        (one.sub, "Sub"),
    ]:
        page = asks.get(LIST, {"q": typed})
        assert names(page) == [one.username], typed
        assert f"{how} begins with" in text(page)
    assert names(asks.get(LIST, {"q": family, "in": "family_name"})) == [one.username]
    # One word that is nobody's user name is half of a name.
    page = asks.get(LIST, {"q": family}, follow=True)
    assert names(page) == [one.username]
    assert "Family name begins with" in text(page)
    nobody = asks.get(LIST, {"q": f"{family}x"})
    assert names(nobody) == []
    assert "Nobody fits what you look for." in text(nobody)
    assert f"?q={family}x&amp;in=family_name" in nobody.content.decode()


def test_a_search_that_cognito_cannot_read_finds_nobody(asks, member):
    for typed in ('"', "\\", '" or sub ^= "', "<script>", "ü" * 300):
        assert asks.get(LIST, {"q": typed}).status_code == 200


def test_people_are_listed_by_how_far_their_accounts_are_and_by_group(cloud, asks, member, operator, auditor):
    invited = member(is_confirmed=False)
    gone = member()
    cloud.admin("cognito-idp").admin_disable_user(UserPoolId=cloud.outputs["UserPoolId"], Username=gone.username)
    assert invited.username in names(asks.get(f"{LIST}?is=invited"))
    page = asks.get(f"{LIST}?is=disabled")
    assert gone.username in names(page)
    assert invited.username not in names(page)
    assert "disabled" in text(page)
    cloud.forget_calls()
    page = asks.get(f"{LIST}?group=auditors")
    assert cloud.calls()["cognito-idp", "ListUsersInGroup"] == 1
    assert auditor.username in names(page)
    assert not {invited.username, gone.username, operator.username} & set(names(page))
    assert names(asks.get(f"{LIST}?group=nothing")) == []
    nonsense = asks.get(f"{LIST}?is=nonsense")
    assert nonsense.context["is_all"]
    assert names(nonsense)


def test_an_unverified_address_is_marked(asks, member):
    one = member(email_verified="")
    assert f"{one.email} not verified" in text(asks.get(LIST, {"q": one.username}))


def test_a_pool_that_does_not_answer_is_a_plain_503(cloud, client_for, operator):
    asks = client_for(operator, raise_request_exception=False)
    cloud.faults.add(service="cognito-idp", action="ListUsers", kind="throttle")
    answer = asks.get(LIST)
    assert answer.status_code == 503
    assert answer["X-Reference"] in answer.content.decode()
