"""What operators do to accounts: what Cognito holds after it, what they read, and what the audit log says."""

from __future__ import annotations

import contextlib
import re
import uuid

import pytest
from django.test import Client

from portal.dynamo.values import from_item
from portal.people import directory
from tests.html import page_problems
from tests.people.conftest import LIST, Member, do, text

ACTS = ["edit", "groups", "reset-password", "sign-out", "end-aws-access", "disable"]


@pytest.fixture
def invite(asks, cloud):
    """Return a function that fills in the invitation. Who was invited is gone afterwards."""
    names = []

    def send(**fields):
        username = fields.setdefault("username", f"i{uuid.uuid4().hex[:10]}")
        names.append(username)
        fields = {"email": f"{username}@example.com", "given_name": "Mary", "family_name": "Ward", **fields}
        return asks.post(f"{LIST}add/", fields)

    yield send
    administrator = cloud.admin("cognito-idp")
    for name in {*names}:
        with contextlib.suppress(administrator.exceptions.UserNotFoundException):
            administrator.admin_delete_user(UserPoolId=cloud.outputs["UserPoolId"], Username=name)


def mails_to(cloud, address):
    return [mail["BodyText"] for mail in cloud.mails() if address in mail["To"]]


def signs_in(one):
    return Client().post("/sign-in/", {"username": one.username, "password": one.password})


# --- Inviting ---------------------------------------------------------------------------------------------------------


def test_somebody_is_invited_and_comes_in(cloud, asks, invite, account, written):
    answer = invite(username="ward", groups=["auditors"])
    assert answer["Location"] == f"{LIST}ward/change/"
    person = account("ward")
    assert (person["UserStatus"], person["email_verified"]) == ("FORCE_CHANGE_PASSWORD", "true")
    assert person["groups"] == ["auditors"]
    assert written(person["sub"]) == [
        ("operator", "invited", ["E-mail address:  → ward@example.com"]),
        ("operator", "put in a group", ["Group:  → auditors"]),
    ]
    mail = mails_to(cloud, "ward@example.com")[-1]
    [password] = re.findall(r"temporary password (\S+) and", mail)
    assert password not in str(cloud.items("audit"))
    newcomer = Client()
    newcomer.post("/sign-in/", {"username": "ward", "password": password})
    newcomer.post("/sign-in/new-password/", {"new_password": "Another-2026!!"})
    assert newcomer.get(LIST).status_code == 200
    assert "auditors" in text(asks.get(f"{LIST}ward/change/"))


def test_a_name_or_an_address_that_is_taken_is_refused_beside_its_field(cloud, invite, member):
    one = member()
    for fields, field in [({"username": one.username}, "username"), ({"email": one.email}, "email")]:
        answer = invite(**fields)
        assert answer.status_code == 200
        assert list(answer.context["form"].errors) == [field]
        assert not page_problems(answer.content.decode())
    assert invite(username="a b").context["form"].errors["username"]
    assert invite(email="nonsense").context["form"].errors["email"]
    assert {from_item(item)["Action"] for item in cloud.items("audit")} == {"asked to invite"}


@pytest.mark.parametrize(
    ("service", "call", "kind", "is_made"),
    [("dynamodb", "PutItem", "throttle", False), ("cognito-idp", "AdminCreateUser", "lost_reply", True)],
)
def test_nobody_is_invited_without_a_trace(cloud, client_for, operator, service, call, kind, is_made):
    name = f"i{uuid.uuid4().hex[:10]}"
    asks = client_for(operator, raise_request_exception=False)
    cloud.faults.add(service=service, action=call, kind=kind, times=3)
    answer = asks.post(f"{LIST}add/", {"username": name, "email": f"{name}@example.com"})
    assert answer.status_code == 503
    administrator, who = cloud.admin("cognito-idp"), {"UserPoolId": cloud.outputs["UserPoolId"], "Username": name}
    if is_made:
        administrator.admin_delete_user(**who)
        [entry] = map(from_item, cloud.items("audit"))
        assert (entry["Action"], entry["ObjectName"], entry["ActorName"]) == ("asked to invite", name, "operator")
    else:
        with pytest.raises(administrator.exceptions.UserNotFoundException):
            administrator.admin_get_user(**who)


def test_an_invitation_is_sent_again_with_another_password(cloud, asks, invite, account, written):
    name = f"ward{uuid.uuid4().hex[:8]}"
    invite(username=name)
    page = do(asks, account_of(account, name), "invite-again")
    address = f"{name}@example.com"
    assert f"The invitation is on its way to {address}." in text(page)
    first, second = (re.findall(r"temporary password (\S+) and", mail)[0] for mail in mails_to(cloud, address))
    assert first != second
    assert written(account(name)["sub"])[-1] == ("operator", "invited again", [])


def test_groups_that_fail_are_named_and_the_person_stays(cloud, asks, invite, account):
    cloud.faults.add(service="cognito-idp", action="AdminAddUserToGroup", kind="throttle")
    answer = asks.get(invite(username="ward", groups=["auditors"])["Location"])
    assert "they are not in these groups yet: auditors." in text(answer)
    assert account("ward")["groups"] == []


def account_of(account, username):
    one = account(username)
    return Member(username, one["sub"], one.get("email", ""))


# --- Editing ----------------------------------------------------------------------------------------------------------


def test_a_name_and_an_address_are_changed_and_the_person_stays_who_they_are(asks, member, account, written):
    one = member(family_name="Old")
    new = f"new{uuid.uuid4().hex[:8]}@example.com"
    page = do(asks, one, "edit", given_name="Some", family_name="New", email=new)
    assert f"{one.username} is changed." in text(page)
    person = account(one.username)
    assert (person["sub"], person["given_name"], person["family_name"]) == (one.sub, "Some", "New")
    assert (person["email"], person["email_verified"]) == (new, "true")
    [(_, action, changes)] = written(one.sub)
    assert action == "changed"
    assert sorted(changes) == [f"E-mail address: {one.email} → {new}", "Family name: Old → New"]


def test_another_persons_address_is_refused_beside_the_field(asks, member, account):
    one, other = member(), member()
    page = do(asks, one, "edit", given_name="Some", family_name="", email=other.email)
    assert list(page.context["form"].errors) == ["email"]
    assert account(one.username)["email"] == one.email


def test_two_who_edit_the_same_name_do_not_overwrite_each_other_unseen(asks, member, account, cloud):
    one = member(given_name="First")
    form = {"sub": one.sub, "initial-given_name": "First", "initial-family_name": "", "initial-email": one.email}
    mine = {**form, "given_name": "Mine", "family_name": "", "email": one.email}
    do(asks, one, "edit", given_name="Theirs", family_name="", email=one.email)
    page = asks.post(one.act("edit"), mine)
    assert "Somebody changed this to “Theirs” meanwhile." in text(page)
    assert account(one.username)["given_name"] == "Theirs"
    # Another field of the same form is no conflict, and leaves theirs alone.
    other = {**form, "given_name": "First", "family_name": "Mine", "email": one.email}
    assert asks.post(one.act("edit"), other).status_code == 302
    assert (account(one.username)["given_name"], account(one.username)["family_name"]) == ("Theirs", "Mine")


def test_nothing_changed_is_nothing_written(cloud, asks, member):
    one = member()
    page = do(asks, one, "edit", given_name="Some", family_name="", email=one.email)
    assert "Nothing was changed." in text(page)
    assert cloud.items("audit") == []
    assert cloud.calls()["cognito-idp", "AdminUpdateUserAttributes"] == 0


# --- Groups -----------------------------------------------------------------------------------------------------------


def test_somebody_is_put_in_groups_and_taken_out(asks, member, account, written):
    one = member(groups=("auditors",))
    page = do(asks, one, "groups", groups=["operators"])
    assert "The groups are changed." in text(page)
    assert account(one.username)["groups"] == ["operators"]
    assert written(one.sub) == [
        ("operator", "took out of a group", ["Group: auditors → "]),
        ("operator", "put in a group", ["Group:  → operators"]),
    ]


def test_only_what_was_ticked_on_the_page_is_done(asks, member, account):
    """Somebody else made this person an operator while the page was open: they stay one."""
    one = member(groups=("operators",))
    asks.post(one.act("groups"), {"sub": one.sub, "groups": ["auditors"]})
    assert account(one.username)["groups"] == ["auditors", "operators"]


def test_leaving_a_group_oneself_has_to_be_meant(client_for, member, account):
    one = member(groups=("operators",))
    asks = client_for(one)
    page = do(asks, one, "groups", groups=["auditors"])
    assert "This takes you yourself out of a group." in text(page)
    assert account(one.username)["groups"] == ["operators"]
    do(asks, one, "groups", groups=["auditors"], sure="on")
    assert account(one.username)["groups"] == ["auditors"]


# --- Disabling and enabling -------------------------------------------------------------------------------------------


def test_a_leaver_is_out_everywhere_at_once_and_can_come_back(
    cloud, asks, client_for, member, account, written, people_roles
):
    one = member()
    browser = client_for(one)
    assert browser.get("/profile/").status_code == 200
    page = do(asks, one, "disable")
    said = text(page)
    assert re.search(r"Disabled at \d\d:\d\d:\d\d UTC\.", said)
    assert re.search(r"Signed out of 1 browser at \d\d:\d\d:\d\d UTC\.", said)
    assert re.search(r"AWS has refused their keys since \d\d:\d\d:\d\d UTC\.", said)
    assert account(one.username)["Enabled"] is False
    assert browser.get("/profile/").status_code == 302
    assert "do not belong together" in text(signs_in(one))
    names = [name for role in people_roles for name in policies(cloud, role) if name.startswith("ended-")]
    assert len(names) == len(people_roles)
    actions = [action for _, action, _ in written(one.sub)]
    assert actions == ["disabled", "signed out everywhere", "asked to end AWS access", "ended AWS access"]
    assert "enabled and can sign in again" in text(do(asks, one, "enable"))
    assert signs_in(one).status_code == 302
    assert written(one.sub)[-1] == ("operator", "enabled", ["Account: disabled → enabled"])


def policies(cloud, role):
    return cloud.admin("iam").list_role_policies(RoleName=role.rpartition("/")[2])["PolicyNames"]


def test_what_could_not_be_ended_yet_is_said_and_the_account_is_disabled(cloud, asks, member, account, people_roles):
    one = member()
    cloud.faults.add(service="iam", action="PutRolePolicy", kind="throttle")
    cloud.faults.add(service="cognito-idp", action="AdminUserGlobalSignOut", kind="throttle")
    said = text(do(asks, one, "disable"))
    assert "Disabled at" in said
    assert "Cognito did not answer. Try again" in said
    assert "Their access to AWS could not be ended yet." in said
    assert account(one.username)["Enabled"] is False


def test_disabling_oneself_has_to_be_meant(client_for, member, account, people_roles):
    one = member(groups=("operators",))
    asks = client_for(one)
    page = do(asks, one, "disable")
    assert "This is you. You are signed out at once" in text(page)
    assert list(page.context["form"].errors) == ["sure"]
    assert account(one.username)["Enabled"] is True
    page = do(asks, one, "disable", sure="on")
    assert page.redirect_chain[-1][0].startswith("/sign-in/")
    assert account(one.username)["Enabled"] is False


# --- Passwords, second factors, sessions ------------------------------------------------------------------------------


def test_a_password_is_reset_by_a_code_in_the_mail(cloud, asks, member, account, written):
    one = member()
    assert f"A code is on its way to {one.email}." in text(do(asks, one, "reset-password"))
    assert account(one.username)["UserStatus"] == "RESET_REQUIRED"
    assert "must reset" in text(asks.get(one.url))
    [mail] = mails_to(cloud, one.email)
    [code] = re.findall(r"\b\d{6}\b", mail)
    assert written(one.sub) == [("operator", "reset the password", [])]
    assert code not in str([from_item(item) for item in cloud.items("audit")])


def test_a_password_without_a_verified_address_is_not_reset_and_the_page_says_why(asks, member, account):
    one = member(email_verified="")
    assert "Their e-mail address is not verified, so no code can be sent to it." in text(asks.get(one.url))
    page = asks.post(one.act("reset-password"), {"sub": one.sub}, follow=True)
    assert "Their e-mail address is not verified" in text(page)
    assert account(one.username)["UserStatus"] == "CONFIRMED"


def test_a_second_factor_is_reset(cloud, asks, member, account, written):
    one = member(phone_number="+447700900123", phone_number_verified="true")
    cloud.admin("cognito-idp").admin_set_user_mfa_preference(
        UserPoolId=cloud.outputs["UserPoolId"],
        Username=one.username,
        SMSMfaSettings={"Enabled": True, "PreferredMfa": True},
    )
    assert "The second factor is off." in text(do(asks, one, "reset-second-factor"))
    assert not account(one.username).get("UserMFASettingList")
    assert written(one.sub) == [("operator", "reset the second factor", ["Second factor: text messages → off"])]
    assert signs_in(one)["Location"] == "/"


def test_somebody_is_signed_out_everywhere_and_can_come_back(asks, client_for, member, written):
    one = member()
    browsers = [client_for(one), client_for(one)]
    assert "Signed out of 2 browsers at" in text(do(asks, one, "sign-out"))
    assert [browser.get("/profile/").status_code for browser in browsers] == [302, 302]
    assert written(one.sub) == [("operator", "signed out everywhere", [])]
    assert signs_in(one).status_code == 302


def test_access_to_aws_is_ended(cloud, asks, member, written, people_roles):
    one = member()
    assert "AWS has refused their keys since" in text(do(asks, one, "end-aws-access"))
    assert [action for _, action, _ in written(one.sub)] == ["asked to end AWS access", "ended AWS access"]


# --- Whatever the act -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
def test_a_page_asks_first_and_changes_nothing(cloud, asks, member, account, act):
    one = member()
    before = account(one.username)
    page = asks.get(one.act(act))
    assert not page_problems(page.content.decode())
    after = account(one.username)
    assert {**before, "ResponseMetadata": 0} == {**after, "ResponseMetadata": 0}
    assert cloud.items("audit") == []


@pytest.mark.parametrize(
    ("act", "call", "fields"),
    [
        ("edit", "AdminUpdateUserAttributes", {"given_name": "Other"}),
        ("groups", "AdminAddUserToGroup", {"groups": ["auditors"]}),
        ("disable", "AdminDisableUser", {}),
        ("reset-password", "AdminResetUserPassword", {}),
    ],
)
def test_an_act_that_fails_in_passing_is_a_503_and_is_written_down_as_failed(
    cloud, client_for, operator, member, account, written, act, call, fields
):
    one = member()
    asks = client_for(operator, raise_request_exception=False)
    before = account(one.username)
    cloud.faults.add(service="cognito-idp", action=call, kind="throttle")
    fields = {"sub": one.sub, "initial-given_name": "Some", "email": one.email, "initial-email": one.email, **fields}
    answer = asks.post(one.act(act), fields)
    assert answer.status_code == 503
    assert answer["X-Reference"] in answer.content.decode()
    assert {**account(one.username), "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}
    did, failed = (action for _, action, _ in written(one.sub))
    assert failed == f"{did}, which failed"


@pytest.mark.parametrize("act", ["disable", "reset-password", "sign-out", "end-aws-access"])
def test_what_cannot_be_written_down_is_not_done(cloud, client_for, operator, member, account, act, people_roles):
    one = member()
    asks = client_for(operator, raise_request_exception=False)
    browser = client_for(one)
    cloud.faults.add(service="dynamodb", action="PutItem", kind="throttle", times=3)
    assert asks.post(one.act(act), {"sub": one.sub}).status_code == 503
    person = account(one.username)
    assert (person["Enabled"], person["UserStatus"]) == (True, "CONFIRMED")
    assert browser.get("/profile/").status_code == 200


@pytest.mark.parametrize("act", ACTS)
def test_somebody_who_is_deleted_while_the_act_is_at_work_is_gone(cloud, asks, member, act, people_roles, monkeypatch):
    one = member()
    find = directory.find

    def find_and_lose(username):
        person = find(username)
        cloud.admin("cognito-idp").admin_delete_user(UserPoolId=cloud.outputs["UserPoolId"], Username=username)
        return person

    monkeypatch.setattr(directory, "find", find_and_lose)
    fields = {"sub": one.sub, "groups": ["auditors"], "given_name": "X", "initial-given_name": "Some"}
    answer = asks.post(one.act(act), {**fields, "email": one.email, "initial-email": one.email})
    assert answer.status_code == 302


def test_an_act_on_somebody_who_is_gone_or_somebody_else_by_now_does_nothing(cloud, asks, member, account):
    one = member()
    for form in ({"sub": "another"}, {}):
        page = asks.post(one.act("disable"), form, follow=True)
        assert "This account is not in the user pool any more." in text(page)
    assert account(one.username)["Enabled"] is True
    assert cloud.items("audit") == []
    for method in (asks.get, asks.post):
        assert "not in the user pool any more" in text(method(f"{LIST}nobody/disable/", follow=True))
