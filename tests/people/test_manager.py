"""Whom somebody's requests go to: an attribute of the user pool that operators keep."""

from __future__ import annotations

import json

import pytest

from portal.people import directory
from tests.html import page_problems
from tests.people.conftest import do, text
from tests.people.test_permissions import helpdesk

__all__ = ["helpdesk"]  # a fixture


@pytest.fixture
def company_user(cloud, member):
    """Somebody whose company keeps their name and address."""
    one = member()
    identities = json.dumps([{"providerName": "Acme", "userId": "ada"}])
    cloud.admin("cognito-idp").admin_update_user_attributes(
        UserPoolId=cloud.outputs["UserPoolId"],
        Username=one.username,
        UserAttributes=[{"Name": "identities", "Value": identities}],
    )
    return one


def test_an_operator_says_who_somebodys_manager_is(cloud, asks, member, approver, account, written):
    one = member()
    assert "Manager –" in text(asks.get(one.url))
    page = do(asks, one, "edit", given_name="Some", family_name="", email=one.email, manager="approver")
    assert f"{one.username} is changed." in text(page)
    assert account(one.username)["custom:manager"] == "approver"
    assert written(one.sub) == [("operator", "changed", ["Manager:  → approver"])]
    assert directory.known_as(one.username).manager == "approver"
    page = asks.get(one.url)
    assert "Manager approver" in text(page)
    assert 'href="/admin/people/person/approver/change/"' in page.content.decode()
    assert not page_problems(page.content.decode())


def test_an_address_is_kept_as_the_user_name_which_stays_theirs(asks, member, approver, account, written):
    one = member()
    do(asks, one, "edit", given_name="Some", family_name="", email=one.email, manager=approver.email)
    assert account(one.username)["custom:manager"] == "approver"
    # The same person by the other name is no change.
    page = do(asks, one, "edit", given_name="Some", family_name="", email=one.email, manager=approver.email)
    assert "Nothing was changed." in text(page)
    assert len(written(one.sub)) == 1


def test_a_manager_is_taken_away(asks, member, account, written):
    one = member(**{"custom:manager": "approver"})
    do(asks, one, "edit", given_name="Some", family_name="", email=one.email, manager="")
    assert not account(one.username).get("custom:manager")
    assert "Manager –" in text(asks.get(one.url))
    assert written(one.sub) == [("operator", "changed", ["Manager: approver → "])]


def test_who_cannot_be_a_manager_is_refused_beside_the_field(cloud, asks, member, approver, account, written):
    one, gone = member(), member()
    who = {"UserPoolId": cloud.outputs["UserPoolId"], "Username": gone.username}
    cloud.admin("cognito-idp").admin_disable_user(**who)
    for name, said in [
        ("nobody", "Nobody in the user pool has this user name or verified e-mail address."),
        ("nobody@example.com", "Nobody in the user pool has this user name or verified e-mail address."),
        (approver.sub, "Nobody in the user pool has this user name or verified e-mail address."),
        (one.username, "Nobody is their own manager."),
        (one.email, "Nobody is their own manager."),
        (gone.username, f"The account of {gone.username} is disabled."),
    ]:
        page = do(asks, one, "edit", given_name="Some", family_name="", email=one.email, manager=name)
        assert page.context["form"].errors == {"manager": [said]}, name
        assert not page_problems(page.content.decode())
    assert "custom:manager" not in account(one.username)
    assert written(one.sub) == []


def test_a_manager_who_has_left_since_does_not_keep_the_form_from_being_saved(asks, member, account):
    one = member(**{"custom:manager": "left-long-ago"})
    do(asks, one, "edit", given_name="Other", family_name="", email=one.email, manager="left-long-ago")
    assert account(one.username)["given_name"] == "Other"
    assert account(one.username)["custom:manager"] == "left-long-ago"


def test_two_who_choose_a_manager_do_not_overwrite_each_other_unseen(asks, member, account):
    one = member()
    form = {"sub": one.sub, "initial-given_name": "Some", "initial-email": one.email, "initial-manager": ""}
    form |= {"given_name": "Some", "email": one.email}
    do(asks, one, "edit", given_name="Some", family_name="", email=one.email, manager="approver")
    page = asks.post(one.act("edit"), {**form, "manager": "author"})
    assert "Somebody changed this to “approver” meanwhile." in text(page)
    assert account(one.username)["custom:manager"] == "approver"


def test_a_companys_person_has_a_manager_too_and_nothing_else_is_changed(asks, company_user, account, monkeypatch):
    one = company_user
    monkeypatch.setattr(directory.Person, "is_federated", property(lambda self: self.username == one.username))
    page = asks.get(one.act("edit"))
    assert list(page.context["form"].fields) == ["manager"]
    assert "Their company keeps their name and address." in text(page)
    do(asks, one, "edit", manager="approver", given_name="Mallory", email="mallory@example.com")
    now = account(one.username)
    assert (now["custom:manager"], now["given_name"], now["email"]) == ("approver", "Some", one.email)


def test_an_address_of_a_manager_leads_to_who_has_it(asks, member, approver):
    one = member(**{"custom:manager": approver.email})
    assert f'href="/admin/people/person/?q={approver.email.replace("@", "%40")}"' in asks.get(one.url).content.decode()


def test_nobody_but_an_operator_chooses_their_own_manager(helpdesk, cloud, member, account, operator, client_for):
    other = member()
    assert "manager" in helpdesk.get(other.act("edit")).context["form"].fields
    me = helpdesk.get("/profile/").context["user"].username
    page = helpdesk.get(f"/admin/people/person/{me}/edit/")
    assert "manager" not in page.context["form"].fields
    helpdesk.post(f"/admin/people/person/{me}/edit/", {"sub": account(me)["sub"], "manager": "approver"})
    assert "custom:manager" not in account(me)
