"""Who may see and change people: by group, and nobody more than they may do themselves."""

from __future__ import annotations

import pytest

from tests.people.conftest import LIST, do, text
from tests.people.test_acts import ACTS

HELPDESK = ["people.view_person", "people.change_person"]


@pytest.fixture
def helpdesk(cloud, settings, member, client_for):
    """The browser of somebody who may see and change people, and nothing else."""
    administrator = cloud.admin("cognito-idp")
    names = [{"UserPoolId": cloud.outputs["UserPoolId"], "GroupName": name} for name in ("helpdesk", "beta")]
    for group in names:
        administrator.create_group(**group)
    settings.GROUP_PERMISSIONS = {**settings.GROUP_PERMISSIONS, "helpdesk": HELPDESK}
    yield client_for(member(groups=("helpdesk",)))
    for group in names:
        administrator.delete_group(**group)


@pytest.mark.parametrize(
    "path", [LIST, f"{LIST}rider/change/", f"{LIST}add/", f"{LIST}_sub/x/", f"{LIST}rider/disable/"]
)
def test_people_without_a_group_see_nothing(cloud, client_for, rider, path):
    client = client_for(rider)
    assert client.get(path).status_code == 403
    assert client.post(path).status_code == 403
    assert not [call for call in cloud.calls() if call[0] == "cognito-idp"]


def test_strangers_are_sent_to_sign_in(client):
    assert client.get(LIST)["Location"] == f"/sign-in/?next={LIST}"


def test_an_auditor_sees_everything_and_changes_nothing(cloud, client_for, auditor, member, account):
    one = member()
    client = client_for(auditor)
    page = client.get(one.url)
    assert one.sub in text(page)
    html = page.content.decode() + client.get(LIST).content.decode()
    assert f"{LIST}add/" not in html
    for act in [*ACTS, "enable", "invite-again", "reset-second-factor"]:
        assert one.act(act) not in html
        assert client.get(one.act(act)).status_code == 403
        assert client.post(one.act(act), {"sub": one.sub}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}add/", {"username": "x", "email": "x@example.com"}).status_code == 403
    assert account(one.username)["Enabled"] is True
    assert cloud.items("audit") == []


def test_a_helpdesk_that_may_change_people_does_so(helpdesk, member, account):
    one = member()
    page = do(helpdesk, one, "edit", given_name="Other", family_name="")
    assert "is changed" in text(page)
    assert account(one.username)["given_name"] == "Other"
    assert helpdesk.get(f"{LIST}add/").status_code == 403
    assert helpdesk.get("/admin/rides/ride/").status_code == 403


def test_a_helpdesk_cannot_change_an_address_and_so_get_a_password_sent_to_their_own(helpdesk, member, account):
    one = member()
    fields = {"sub": one.sub, "given_name": "Some", "initial-given_name": "Some"}
    assert "email" not in helpdesk.get(one.act("edit")).context["form"].fields
    helpdesk.post(one.act("edit"), {**fields, "email": "mine@example.com", "initial-email": one.email})
    assert account(one.username)["email"] == one.email


def test_a_helpdesk_gives_its_own_group_and_none_that_may_do_more(helpdesk, member, account):
    one = member()
    offered = helpdesk.get(one.act("groups")).context["form"].fields["groups"].choices
    assert [name for name, _ in offered] == ["helpdesk"]
    for group in ("operators", "auditors", "beta", "nothing"):
        page = helpdesk.post(one.act("groups"), {"sub": one.sub, "groups": [group]})
        assert page.status_code == 200
        assert "groups" in page.context["form"].errors
    assert account(one.username)["groups"] == []
    do(helpdesk, one, "groups", groups=["helpdesk"])
    assert account(one.username)["groups"] == ["helpdesk"]


def test_a_helpdesk_takes_nobody_out_of_a_group_that_may_do_more(helpdesk, member, account):
    one = member(groups=("beta",))
    page = helpdesk.post(one.act("groups"), {"sub": one.sub, "opened": ["beta"], "groups": []})
    assert page.status_code == 403
    assert account(one.username)["groups"] == ["beta"]


@pytest.mark.parametrize("group", ["operators", "auditors"])
def test_a_helpdesk_does_nothing_to_those_who_may_do_more(helpdesk, member, account, group):
    one = member(groups=(group,))
    page = helpdesk.get(one.url)
    assert "This person may do more than you" in text(page)
    for act in ACTS:
        assert one.act(act) not in page.content.decode()
        assert helpdesk.post(one.act(act), {"sub": one.sub}).status_code == 403
    assert account(one.username)["Enabled"] is True


def test_who_may_add_people_invites_them_to_no_group_that_may_do_more(cloud, settings, member, client_for, account):
    administrator, group = cloud.admin("cognito-idp"), {"UserPoolId": cloud.outputs["UserPoolId"], "GroupName": "hosts"}
    administrator.create_group(**group)
    settings.GROUP_PERMISSIONS = {**settings.GROUP_PERMISSIONS, "hosts": ["people.view_person", "people.add_person"]}
    try:
        hosts = client_for(member(groups=("hosts",)))
        page = hosts.post(f"{LIST}add/", {"username": "guest", "email": "guest@example.com", "groups": ["operators"]})
        assert "groups" in page.context["form"].errors
        with pytest.raises(administrator.exceptions.UserNotFoundException):
            account("guest")
        assert hosts.get(f"{LIST}rider/disable/").status_code == 403
    finally:
        administrator.delete_group(**group)
