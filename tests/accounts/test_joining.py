"""One person, one account: joining needs proof of both, and nothing that fails half way locks anybody out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from portal.accounts import identity_pool, people, session
from portal.accounts.doors import federation, joining
from portal.accounts.doors.federation import Account, Identity
from portal.accounts.refusals import SignedOut
from tests.accounts.company import START, Company
from tests.accounts.conftest import PASSWORD, Someone, totp
from tests.conftest import SignedUp, TestCloud

JOIN = "/profile/connections/join/"
CONNECT = START + "&connect"


@pytest.fixture
def user() -> str:
    """Whom the company has, by its own name for them."""
    return f"e-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def account(cloud: TestCloud, someone: Someone) -> Callable[..., Any]:
    """Return a function that tells what the pool knows of `someone`."""
    return lambda: cloud.admin("cognito-idp").admin_get_user(
        UserPoolId=cloud.outputs["UserPoolId"], Username=someone.username
    )


def sub_of(account: Callable[..., Any]) -> str:
    return next(one["Value"] for one in account()["UserAttributes"] if one["Name"] == "sub")


def is_linked(account: Callable[..., Any], user: str) -> bool:
    return any(one["Name"] == "identities" and user in one["Value"] for one in account()["UserAttributes"])


def acts(cloud: TestCloud) -> list[tuple[str, str]]:
    """Return the entries about ways to sign in, oldest first: what was done, and who did it."""
    entries = sorted(cloud.items("audit"), key=lambda one: one["EntryId"]["S"])
    return [(one["Action"]["S"], one["ActorName"]["S"]) for one in entries if "way to sign in" in one["Action"]["S"]]


def sign_in(person: Someone, **options: Any) -> Client:
    client = Client(**options)
    assert client.post("/sign-in/", {"username": person.username, "password": PASSWORD}).status_code == 302
    return client


def said(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


# --- Rules ------------------------------------------------------------------------------------------------------------

LOCAL = Account("sub-1", "rider", "rider@example.com", True, True, "CONFIRMED", ())
VISITOR = joining.Visitor("sub-2", "Rider@Example.com", True, "Acme", "e-1")


def test_the_same_verified_address_may_be_joined() -> None:
    assert joining.may_join(VISITOR, LOCAL)
    assert joining.may_join(replace(VISITOR, person_id="saml:abc", provider="", user_id=""), LOCAL)


@pytest.mark.parametrize(
    ("who", "account"),
    [
        (replace(VISITOR, is_verified=False), LOCAL),
        (VISITOR, replace(LOCAL, is_email_verified=False)),
        (VISITOR, replace(LOCAL, email="other@example.com")),
        (replace(VISITOR, email=""), replace(LOCAL, email="")),
        (VISITOR, replace(LOCAL, is_enabled=False)),
        (VISITOR, replace(LOCAL, status="UNCONFIRMED")),
        (VISITOR, replace(LOCAL, status="FORCE_CHANGE_PASSWORD")),
        (VISITOR, replace(LOCAL, status="RESET_REQUIRED")),
        (VISITOR, replace(LOCAL, status="EXTERNAL_PROVIDER")),
        (VISITOR, replace(LOCAL, sub=VISITOR.person_id)),
    ],
)
def test_nothing_less_may_be_joined(who: joining.Visitor, account: Account) -> None:
    assert not joining.may_join(who, account)


@pytest.mark.parametrize(
    ("has_password", "others", "may"), [(True, [], True), (True, ["x"], True), (False, ["x"], True), (False, [], False)]
)
def test_the_last_way_in_stays(has_password: bool, others: list[str], may: bool) -> None:
    assert joining.may_disconnect(has_password=has_password, others=others) is may


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({"sub": "1", "cognito:username": "rider"}, None),
        ({"sub": "1", "cognito:username": "rider", "identities": [{"providerName": "Acme", "userId": "e"}]}, None),
        (
            {"sub": "1", "cognito:username": "acme_E", "identities": [{"providerName": "Acme", "userId": "e"}]},
            joining.Visitor("1", "", False, "Acme", "e"),
        ),
        ({"sub": "saml:1", "email": "a@b.c", "email_verified": True}, joining.Visitor("saml:1", "a@b.c", True)),
        ({"sub": "vouched:1", "email": "a@b.c"}, joining.Visitor("vouched:1", "a@b.c", False)),
    ],
)
def test_a_visitor_is_whoever_has_no_account_of_their_own(claims: dict[str, Any], who: Any) -> None:
    assert joining.visitor(claims) == who


# --- Through the company first ----------------------------------------------------------------------------------------


def test_who_has_an_account_with_the_same_address_is_asked(acme: Company, someone: Someone, user: str) -> None:
    client = Client()
    assert acme.sign_in(client, user, someone.email, START + "&next=/rides/")["Location"] == JOIN
    content = said(client.get(JOIN))
    assert someone.username in content
    assert someone.email in content
    assert "are not moved" in content


def test_joining_takes_the_password_and_then_both_ways_lead_to_one_account(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email, START + "&next=/rides/")
    answer = client.post(JOIN, {"password": PASSWORD})
    assert answer["Location"] == "/rides/"
    assert client.session["claims"]["sub"] == sub_of(account)
    assert acme.profile(user) is None
    assert is_linked(account, user)
    other = Client()
    assert acme.sign_in(other, user, someone.email)["Location"] == "/"
    assert other.session["claims"]["sub"] == sub_of(account)
    assert other.session["claims"]["cognito:username"] == someone.username
    assert acts(cloud) == [
        ("asked to connect a way to sign in", someone.username),
        ("connected a way to sign in", someone.username),
    ]
    assert "Acme" in said(client.get("/profile/connections/"))


def test_a_wrong_password_changes_nothing(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email)
    answer = client.post(JOIN, {"password": "Wrong-2026!!"})
    assert answer.status_code == 200
    assert "do not belong together" in said(answer)
    profile = acme.profile(user)
    assert profile
    assert client.session["claims"]["sub"] == profile["sub"]
    assert not is_linked(account, user)
    assert acts(cloud) == []


def test_looking_changes_nothing(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email)
    client.get(JOIN)
    client.get("/profile/connections/")
    client.get("/profile/connections/connect/")
    assert acme.profile(user)
    assert not is_linked(account, user)


def test_a_second_factor_is_asked_for_too(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    cognito = cloud.admin("cognito-idp")
    tokens = cognito.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=cloud.outputs["ApiClientId"],
        AuthParameters={"USERNAME": someone.username, "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    secret = cognito.associate_software_token(AccessToken=tokens["AccessToken"])["SecretCode"]
    cognito.verify_software_token(AccessToken=tokens["AccessToken"], UserCode=totp(secret))
    cognito.set_user_mfa_preference(
        AccessToken=tokens["AccessToken"], SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
    )
    client = Client()
    acme.sign_in(client, user, someone.email, START + "&next=/rides/")
    assert client.post(JOIN, {"password": PASSWORD})["Location"] == "/sign-in/code/"
    assert acme.profile(user), "the password alone joins nothing"
    wrong = f"{(int(totp(secret)) + 1) % 1_000_000:06d}"
    client.post("/sign-in/code/", {"code": wrong})
    assert acme.profile(user)
    assert not is_linked(account, user)
    assert client.post("/sign-in/code/", {"code": totp(secret, steps=1)})["Location"] == "/rides/"
    assert is_linked(account, user)


def test_leaving_half_way_and_signing_in_as_usual_joins_nothing(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email)
    client.get(JOIN)
    client.post("/sign-out/")
    client.post("/sign-in/", {"username": someone.username, "password": PASSWORD})
    assert not is_linked(account, user)


@pytest.mark.parametrize("is_later", [False, True])
def test_a_proof_is_good_for_ten_minutes_and_for_one_account(
    cloud: TestCloud, someone: Someone, account: Callable[..., Any], is_later: bool
) -> None:
    client = sign_in(someone)
    request = request_of(client)
    state = joining.begun(VISITOR, replace(LOCAL, sub=sub_of(account) if is_later else "another"))
    state["until"] -= joining.JOINING_SECONDS + 1 if is_later else 0
    assert joining.finish(request, state, "/rides/") == "/rides/"
    assert acts(cloud) == []


@pytest.mark.parametrize(
    "what", ["unverified there", "unverified here", "disabled", "temporary password", "unconfirmed", "another address"]
)
def test_nobody_else_is_asked(cloud: TestCloud, acme: Company, someone: Someone, user: str, what: str) -> None:
    cognito, pool = cloud.admin("cognito-idp"), {"UserPoolId": acme.pool, "Username": someone.username}
    email = someone.email
    match what:
        case "unverified here":
            cognito.admin_update_user_attributes(**pool, UserAttributes=[{"Name": "email_verified", "Value": "false"}])
        case "disabled":
            cognito.admin_disable_user(**pool)
        case "temporary password":
            cognito.admin_set_user_password(**pool, Password=PASSWORD, Permanent=False)
        case "unconfirmed":
            username = f"n{user[2:]}"
            cognito.sign_up(
                ClientId=cloud.outputs["ApiClientId"],
                Username=username,
                Password=PASSWORD,
                UserAttributes=[{"Name": "email", "Value": f"{username}@example.com"}],
            )
            email = f"{username}@example.com"
        case "another address":
            email = f"x{email}"
    client = Client()
    verified = "false" if what == "unverified there" else "true"
    assert acme.sign_in(client, user, email, email_verified=verified)["Location"] == "/"
    assert client.get(JOIN)["Location"] == "/profile/connections/"
    assert client.post(JOIN, {"password": PASSWORD})["Location"] == "/profile/connections/"
    assert acme.profile(user)


def test_an_address_that_cognito_took_away_counts_and_is_given_back(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    """On AWS, the company's profile takes the address from the account: one profile in the pool has it verified."""
    sign_in(someone)
    client = Client()
    acme.sign_in(client, user, someone.email)
    cloud.admin("cognito-idp").admin_update_user_attributes(
        UserPoolId=acme.pool,
        Username=someone.username,
        UserAttributes=[{"Name": "email_verified", "Value": "false"}],
    )
    assert client.post(JOIN, {"password": PASSWORD}).status_code == 302
    assert is_linked(account, user)
    assert {"Name": "email_verified", "Value": "true"} in account()["UserAttributes"]


def test_declining_is_remembered_and_can_be_undone(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email, START + "&next=/rides/")
    assert client.post(JOIN, {"decline": "yes"})["Location"] == "/rides/"
    assert acme.profile(user)
    again = Client()
    assert acme.sign_in(again, user, someone.email)["Location"] == "/"
    assert JOIN in again.get("/profile/connections/").content.decode()
    assert again.post(JOIN, {"password": PASSWORD}).status_code == 302
    assert is_linked(account, user)


def test_where_cognito_cannot_say_who_has_the_address_nobody_is_kept_out(
    cloud: TestCloud, acme: Company, someone: Someone, user: str
) -> None:
    cloud.faults.add(service="cognito-idp", action="ListUsers", kind="throttle")
    client = Client()
    assert acme.sign_in(client, user, someone.email)["Location"] == "/"
    assert "claims" in client.session


# --- Half way ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["throttle", "error", "lost_reply"])
@pytest.mark.parametrize("action", ["AdminDeleteUser", "AdminLinkProviderForUser"])
def test_what_fails_half_way_locks_nobody_out_and_can_be_done_again(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any], action: str, kind: str
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email)
    cloud.faults.add(service="cognito-idp", action=action, kind=kind)
    assert client.post(JOIN, {"password": PASSWORD})["Location"] == "/profile/connections/"
    cloud.faults.clear()
    assert "could not be joined just now" in said(client.get("/profile/connections/"))
    assert acts(cloud) == [("asked to connect a way to sign in", someone.username)]
    # The password opens the account all the while, and the company's sign-in opens something.
    assert sign_in(someone).session["claims"]["sub"] == sub_of(account)
    other = Client()
    acme.sign_in(other, user, someone.email)
    if other.session["claims"]["sub"] != sub_of(account):
        assert other.post(JOIN, {"password": PASSWORD}).status_code == 302
    assert is_linked(account, user)


@pytest.mark.parametrize("action", ["AdminDeleteUser", "AdminLinkProviderForUser"])
def test_a_lost_reply_is_no_failure(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any], action: str
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email, START + "&next=/rides/")
    cloud.faults.add(service="cognito-idp", action=action, kind="lost_reply", times=1)
    assert client.post(JOIN, {"password": PASSWORD})["Location"] == "/rides/"
    assert cloud.faults.hits()
    assert is_linked(account, user)


@pytest.mark.parametrize(
    ("is_linked_here", "code", "outcome"),
    [
        (True, "InvalidParameterException", None),
        (True, "AliasExistsException", None),
        (False, "AliasExistsException", federation.LinkedElsewhere),
        (False, "LimitExceededException", federation.TooManyLinked),
    ],
)
def test_what_cognito_refuses_is_told_by_looking(
    someone: Someone,
    user: str,
    cognito_refuses: Callable[[str, str, str], None],
    is_linked_here: bool,
    code: str,
    outcome: type[Exception] | None,
) -> None:
    identity = Identity("Acme", user)
    if is_linked_here:
        federation.link(identity, username=someone.username)
    cognito_refuses("AdminLinkProviderForUser", code, "SourceUser is already linked to DestinationUser")
    if outcome is None:
        federation.link(identity, username=someone.username)
        return
    with pytest.raises(outcome):
        federation.link(identity, username=someone.username)


def test_who_signs_in_there_once_more_in_between_is_joined_all_the_same(
    acme: Company, someone: Someone, user: str, account: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email)
    delete, seen = federation.delete_profile, []

    def delete_slowly(identity: Identity) -> None:
        delete(identity)
        if not seen:
            seen.append(acme.sign_in(Client(), user, someone.email))

    monkeypatch.setattr(federation, "delete_profile", delete_slowly)
    client.post(JOIN, {"password": PASSWORD})
    assert seen
    assert is_linked(account, user)


def test_only_a_profile_that_cognito_made_is_ever_deleted(cloud: TestCloud, acme: Company, user: str) -> None:
    username = f"acme_{user}"
    cloud.admin("cognito-idp").admin_create_user(
        UserPoolId=acme.pool, Username=username, MessageAction="SUPPRESS",
        UserAttributes=[{"Name": "email", "Value": "local@example.com"}],
    )  # fmt: skip
    federation.delete_profile(Identity("acme", user))
    assert federation.find(username)


# --- From one's own account -------------------------------------------------------------------------------------------


def test_connecting_asks_once_more_and_keeps_the_session(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = sign_in(someone)
    before = client.session["tokens"]
    assert "Connect Acme" in said(client.get("/profile/connections/"))
    assert acme.sign_in(client, user, someone.email, CONNECT)["Location"] == "/profile/connections/connect/"
    assert user in said(client.get("/profile/connections/connect/"))
    assert not is_linked(account, user), "coming back alone connects nothing"
    assert client.post("/profile/connections/connect/")["Location"] == "/profile/connections/"
    assert is_linked(account, user)
    assert client.session["tokens"] == before
    content = said(client.get("/profile/connections/"))
    assert "Acme is connected" in content
    assert "Connect Acme" not in content
    other = Client()
    acme.sign_in(other, user, someone.email)
    assert other.session["claims"]["sub"] == sub_of(account)
    assert [action for action, _ in acts(cloud)] == [
        "asked to connect a way to sign in",
        "connected a way to sign in",
    ]


def test_connecting_asks_the_company_for_a_fresh_sign_in(acme: Company, someone: Someone) -> None:
    assert "prompt=login" in acme.set_out(sign_in(someone), CONNECT)


def test_an_old_sign_in_at_the_company_connects_nothing() -> None:
    claims = {
        "sub": "2", "cognito:username": "Acme_e", "identities": [{"providerName": "Acme", "userId": "e"}],
        "auth_time": int(time.time()) - joining.FRESH_SECONDS - 1,
    }  # fmt: skip
    with pytest.raises(joining.NotFresh):
        joining.proven(claims, to=people.User(sub="1", username="rider"))


def test_leaving_it_connects_nothing(acme: Company, someone: Someone, user: str, account: Callable[..., Any]) -> None:
    client = sign_in(someone)
    acme.sign_in(client, user, someone.email, CONNECT)
    client.post("/profile/connections/connect/", {"leave": "yes"})
    client.post("/profile/connections/connect/")
    assert not is_linked(account, user)


@pytest.mark.parametrize("what", ["another address", "not verified there"])
def test_another_persons_identity_is_not_connected(
    acme: Company, someone: Someone, user: str, account: Callable[..., Any], what: str
) -> None:
    client = sign_in(someone)
    email = f"x{someone.email}" if what == "another address" else someone.email
    verified = "false" if what == "not verified there" else "true"
    answer = acme.sign_in(client, user, email, CONNECT, email_verified=verified)
    assert answer["Location"] == "/profile/connections/"
    assert "same verified address" in said(client.get("/profile/connections/"))
    client.post("/profile/connections/connect/")
    assert not is_linked(account, user)


def test_an_identity_that_leads_elsewhere_is_refused(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any], rider: Any
) -> None:
    federation.link(Identity("Acme", user), username=rider.username)
    try:
        client = sign_in(someone)
        assert acme.sign_in(client, user, rider.email, CONNECT)["Location"] == "/profile/connections/"
        assert "leads to another account" in said(client.get("/profile/connections/"))
        assert client.session["claims"]["sub"] == sub_of(account)
        with pytest.raises(federation.LinkedElsewhere):
            federation.link(Identity("Acme", user), username=someone.username)
    finally:
        federation.unlink(Identity("Acme", user))


def test_an_identity_that_leads_here_already_is_no_problem(acme: Company, someone: Someone, user: str) -> None:
    federation.link(Identity("Acme", user), username=someone.username)
    client = sign_in(someone)
    acme.sign_in(client, user, someone.email, CONNECT)
    assert "Acme leads to this account already" in said(client.get("/profile/connections/"))


def test_nobody_connects_who_is_not_signed_in_or_is_somebody_else_by_then(
    acme: Company, someone: Someone, user: str, account: Callable[..., Any], rider: Any
) -> None:
    assert Client().get(CONNECT).status_code == 404
    client = sign_in(someone)
    back = acme.way_back(acme.set_out(client, CONNECT), user, someone.email)
    client.post("/sign-out/")
    client.post("/sign-in/", {"username": rider.username, "password": rider.password})
    answer = client.get(back[back.index("/sign-in/") :])
    assert answer.status_code == 400
    assert not is_linked(account, user)


# --- Disconnecting ----------------------------------------------------------------------------------------------------


@pytest.fixture
def linked(acme: Company, someone: Someone, user: str) -> Identity:
    identity = Identity("Acme", user)
    federation.link(identity, username=someone.username)
    return identity


def disconnect(client: Client, identity: Identity) -> Any:
    return client.post(
        "/profile/connections/disconnect/", {"provider": identity.provider, "user": identity.user_id}, follow=True
    )


def test_disconnecting_ends_that_way_and_the_other_sessions(
    cloud: TestCloud, acme: Company, someone: Someone, linked: Identity, account: Callable[..., Any]
) -> None:
    elsewhere, client = Client(), sign_in(someone)
    acme.sign_in(elsewhere, linked.user_id, someone.email)
    assert "is disconnected" in said(disconnect(client, linked))
    assert not is_linked(account, linked.user_id)
    assert elsewhere.get("/profile/").status_code == 302
    assert client.get("/profile/").status_code == 200
    acme.sign_in(elsewhere, linked.user_id, someone.email)
    assert elsewhere.session["claims"]["sub"] != sub_of(account)
    assert acts(cloud)[-1] == ("disconnected a way to sign in", someone.username)


def test_the_last_way_in_is_not_disconnected(
    cloud: TestCloud, someone: Someone, linked: Identity, account: Callable[..., Any]
) -> None:
    client = sign_in(someone)
    cloud.admin("cognito-idp").admin_reset_user_password(
        UserPoolId=cloud.outputs["UserPoolId"], Username=someone.username
    )
    assert "your only one" in said(client.get("/profile/connections/"))
    assert "your only way to sign in" in said(disconnect(client, linked))
    assert is_linked(account, linked.user_id)


def test_nobody_disconnects_another_persons_way(
    rider: Any, client_for: Callable[..., Client], linked: Identity, account: Callable[..., Any]
) -> None:
    answer = client_for(rider).post(
        "/profile/connections/disconnect/", {"provider": linked.provider, "user": linked.user_id}
    )
    assert answer.status_code == 404
    assert is_linked(account, linked.user_id)


def test_it_takes_a_form_of_ours(someone: Someone, linked: Identity, account: Callable[..., Any]) -> None:
    client = sign_in(someone, enforce_csrf_checks=False)
    client.handler.enforce_csrf_checks = True
    assert disconnect(client, linked).status_code == 403
    assert client.post("/profile/connections/connect/").status_code == 403
    assert client.get("/profile/connections/disconnect/").status_code == 405
    assert is_linked(account, linked.user_id)


# --- People of the other doors ----------------------------------------------------------------------------------------


def request_of(client: Client) -> Any:
    """Return a request that a client's browser could have made."""
    request = RequestFactory().get("/")
    engine = import_module(settings.SESSION_ENGINE)
    key = client.cookies.get(settings.SESSION_COOKIE_NAME)
    request.session = engine.SessionStore(key.value if key else None)
    request._messages = []  # type: ignore[attr-defined]
    request.user = session.user_of(request)
    return request


@pytest.fixture
def stranger(cloud: TestCloud, someone: Someone) -> Iterator[Callable[..., Client]]:
    """Return a function that signs somebody in whom another system vouched for, with the address of `someone`."""

    def arrive(person_id: str, **claims: Any) -> Client:
        client = Client()
        request = request_of(client)
        said_of = {
            "sub": person_id, "developer_user": person_id, "cognito:username": "Partner_x",
            "email": someone.email, "email_verified": True, **claims,
        }  # fmt: skip
        session.sign_in_as(request, said_of, door="vouched", until=datetime.now(UTC) + timedelta(hours=1))
        request.session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
        return client

    return arrive


@pytest.fixture
def person_id() -> str:
    return f"vouched:{uuid.uuid4().hex}"


def test_a_vouched_person_joins_by_the_password_and_has_one_corner_in_aws(
    cloud: TestCloud,
    someone: Someone,
    stranger: Callable[..., Client],
    person_id: str,
    account: Callable[..., Any],
) -> None:
    client = stranger(person_id)
    assert joining.offer(request_of(client), "/rides/") == JOIN
    assert "another system" in said(client.get(JOIN))
    assert client.post(JOIN, {"password": "Wrong-2026!!"}).status_code == 200
    before = people.find(person_id)
    assert before
    assert not before.linked_sub
    assert client.post(JOIN, {"password": PASSWORD}).status_code == 302
    person, other = people.find(sub_of(account)), people.find(person_id)
    assert other
    assert (other.linked_sub, other.linked_username) == (sub_of(account), someone.username)
    assert person
    assert person.links == {person_id}
    identities = cloud.admin("cognito-identity").lookup_developer_identity(
        IdentityPoolId=settings.IDENTITY_POOL_ID, DeveloperUserIdentifier=person_id, MaxResults=1
    )
    assert identities["IdentityId"] == person.identity_id
    assert client.session["claims"]["sub"] == sub_of(account)
    assert acts(cloud)[-1] == ("connected a way to sign in", someone.username)


def test_disconnecting_a_vouched_person_shuts_them_out_of_the_corner(
    cloud: TestCloud,
    someone: Someone,
    stranger: Callable[..., Client],
    person_id: str,
    account: Callable[..., Any],
) -> None:
    client = stranger(person_id)
    client.post(JOIN, {"password": PASSWORD})
    assert person_id in client.get("/profile/connections/").content.decode()
    answer = client.post("/profile/connections/disconnect/", {"link": person_id}, follow=True)
    assert "is disconnected" in said(answer)
    person, other = people.find(sub_of(account)), people.find(person_id)
    assert person
    assert not person.links
    assert other
    assert not other.linked_sub
    identity, _ = identity_pool.vouch(person_id, sub=person_id)
    assert identity != person.identity_id


def test_a_person_who_is_somebody_else_already_is_refused(
    cloud: TestCloud, stranger: Callable[..., Client], person_id: str, rider: Any, account: Callable[..., Any]
) -> None:
    client = stranger(person_id)
    people.link(person_id, sub=rider.sub, username=rider.username)
    answer = client.post(JOIN, {"password": PASSWORD}, follow=True)
    assert "leads to another account already" in said(answer)
    person = people.find(person_id)
    assert person
    assert person.linked_sub == rider.sub


def test_two_corners_in_aws_are_never_made_one(
    cloud: TestCloud, stranger: Callable[..., Client], person_id: str, someone: Someone
) -> None:
    local = sign_in(someone)
    identity_pool.identity_id(local.session["tokens"]["id"])
    identity_pool.vouch(person_id, sub=person_id)
    answer = stranger(person_id).post(JOIN, {"password": PASSWORD}, follow=True)
    assert "cannot be joined" in said(answer)
    person = people.find(person_id)
    assert person
    assert not person.linked_sub


# --- What is looked at before a profile is deleted --------------------------------------------------------------------


def test_a_link_that_cognito_would_refuse_for_good_deletes_nothing(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email)
    for number in range(federation.MOST_LINKED):
        federation.link(Identity("Acme", f"{user}-{number}"), username=someone.username)
    before = acme.profile(user)
    client.post(JOIN, {"password": PASSWORD})
    assert acme.profile(user) == before
    assert not is_linked(account, f'"{user}"')


def test_a_profile_in_a_group_is_not_joined_away(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = Client()
    acme.sign_in(client, user, someone.email)
    cloud.admin("cognito-idp").admin_add_user_to_group(
        UserPoolId=acme.pool, Username=f"Acme_{user}", GroupName="auditors"
    )
    client.post(JOIN, {"password": PASSWORD})
    assert "belongs to groups of its own" in client.get("/profile/connections/").content.decode()
    assert acme.profile(user)
    assert not is_linked(account, user)
    cloud.admin("cognito-idp").admin_delete_user(UserPoolId=acme.pool, Username=f"Acme_{user}")


def test_a_profile_that_was_disabled_since_it_was_proven_is_not_joined(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client = sign_in(someone)
    acme.sign_in(client, user, someone.email, CONNECT)
    cloud.admin("cognito-idp").admin_disable_user(UserPoolId=acme.pool, Username=f"Acme_{user}")
    client.post("/profile/connections/connect/")
    assert not is_linked(account, user)
    assert acme.profile(user)


def test_what_would_be_refused_for_good_is_not_offered(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    assert acme.sign_in(Client(), user, someone.email)["Location"] == JOIN
    group = {"UserPoolId": acme.pool, "Username": f"Acme_{user}", "GroupName": "auditors"}
    cloud.admin("cognito-idp").admin_add_user_to_group(**group)
    assert acme.sign_in(Client(), user, someone.email)["Location"] == "/"
    client = sign_in(someone)
    assert acme.sign_in(client, user, someone.email, CONNECT)["Location"] == "/profile/connections/"
    assert "belongs to groups of its own" in said(client.get("/profile/connections/"))
    cloud.admin("cognito-idp").admin_remove_user_from_group(**group)
    assert acme.sign_in(Client(), user, someone.email)["Location"] == JOIN


def test_the_group_that_cognito_makes_for_a_provider_is_no_hindrance(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any]
) -> None:
    client, cognito, own = Client(), cloud.admin("cognito-idp"), {"UserPoolId": acme.pool}
    acme.sign_in(client, user, someone.email)
    name = f"{acme.pool}_Acme"
    # The local cloud may have made it already.
    with suppress(cognito.exceptions.GroupExistsException):
        cognito.create_group(**own, GroupName=name)
    cognito.admin_add_user_to_group(**own, Username=f"Acme_{user}", GroupName=name)
    client.post(JOIN, {"password": PASSWORD})
    assert is_linked(account, user)


def test_an_account_that_is_gone_by_then_costs_no_profile(
    cloud: TestCloud, acme: Company, someone: Someone, user: str
) -> None:
    client = sign_in(someone)
    by = client.get("/profile/").wsgi_request.user
    acme.sign_in(Client(), user, someone.email)
    cloud.admin("cognito-idp").admin_delete_user(UserPoolId=acme.pool, Username=someone.username)
    with pytest.raises(SignedOut):
        joining.join(joining.Visitor("x", someone.email, True, "Acme", user), by=by, id_token=None)
    assert acme.profile(user)


# --- When a step fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["UpdateItem", "TransactWriteItems"])
def test_whoever_could_not_be_linked_has_nothing_of_the_account_in_aws(
    cloud: TestCloud, someone: Someone, step: str
) -> None:
    client = sign_in(someone)
    token = client.session["tokens"]["id"]
    sub, other_door = client.session["claims"]["sub"], f"saml:{uuid.uuid4().hex}"
    own = people.remember_identity(sub, identity_pool.identity_id(token)).identity_id
    by = client.get("/profile/").wsgi_request.user
    cloud.faults.add(service="dynamodb", action=step, kind="throttle", times=9)
    with pytest.raises(Exception, match="Throughput"):
        joining.join(joining.Visitor(other_door, someone.email, True), by=by, id_token=token)
    cloud.faults.clear()
    identity, _ = identity_pool.vouch(other_door, sub=other_door)
    assert identity != own


@pytest.mark.parametrize("fault", ["throttle", "error"])
def test_an_address_that_cannot_be_given_back_is_given_back_the_next_time(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, account: Callable[..., Any], fault: str
) -> None:
    sign_in(someone)
    client = Client()
    acme.sign_in(client, user, someone.email)
    cloud.admin("cognito-idp").admin_update_user_attributes(
        UserPoolId=acme.pool,
        Username=someone.username,
        UserAttributes=[{"Name": "email_verified", "Value": "false"}],
    )
    cloud.faults.add(service="cognito-idp", action="AdminUpdateUserAttributes", kind=fault, times=9)
    assert client.post(JOIN, {"password": PASSWORD}).status_code == 302
    cloud.faults.clear()
    assert is_linked(account, user)
    by = client.get("/profile/").wsgi_request.user
    joining.join(joining.Visitor("x", someone.email, True, "Acme", user), by=by, id_token=None)
    assert {"Name": "email_verified", "Value": "true"} in account()["UserAttributes"]


def test_only_the_address_that_was_proven_is_given_back(
    cloud: TestCloud, someone: Someone, account: Callable[..., Any]
) -> None:
    cloud.admin("cognito-idp").admin_update_user_attributes(
        UserPoolId=cloud.outputs["UserPoolId"],
        Username=someone.username,
        UserAttributes=[{"Name": "email_verified", "Value": "false"}],
    )
    federation.give_address_back(someone.username, "another@example.com")
    assert {"Name": "email_verified", "Value": "false"} in account()["UserAttributes"]
    federation.give_address_back(someone.username, someone.email.upper())
    assert {"Name": "email_verified", "Value": "true"} in account()["UserAttributes"]


def test_an_address_that_another_profile_has_by_then_hides_no_joining(
    cloud: TestCloud,
    acme: Company,
    someone: Someone,
    user: str,
    account: Callable[..., Any],
    cognito_refuses: Callable[[str, str, str], None],
) -> None:
    sign_in(someone)
    client = Client()
    acme.sign_in(client, user, someone.email)
    cloud.admin("cognito-idp").admin_update_user_attributes(
        UserPoolId=acme.pool,
        Username=someone.username,
        UserAttributes=[{"Name": "email_verified", "Value": "false"}],
    )
    cognito_refuses("AdminUpdateUserAttributes", "AliasExistsException", "An account with the email already exists.")
    client.post(JOIN, {"password": PASSWORD})
    assert "Your accounts are joined" in said(client.get("/profile/connections/"))
    assert is_linked(account, user)


def test_nobody_disconnects_somebody_elses_way_beside_their_own(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, rider: SignedUp
) -> None:
    client = sign_in(someone)
    acme.sign_in(client, user, someone.email, CONNECT)
    client.post("/profile/connections/connect/")
    theirs = f"saml:{uuid.uuid4().hex}"
    people.link(theirs, sub=rider.sub, username=rider.username)
    before = acts(cloud)
    answer = client.post("/profile/connections/disconnect/", {"provider": "Acme", "user": user, "link": theirs})
    assert answer.status_code == 404
    assert acts(cloud) == before


@pytest.mark.parametrize("answer", [{}, {"leave": "yes"}])
def test_signing_out_after_a_visit_to_the_company_ends_that_session_too(
    cloud: TestCloud, acme: Company, someone: Someone, user: str, answer: dict[str, str]
) -> None:
    client = sign_in(someone)
    assert client.post("/sign-out/")["Location"] == "/sign-in/?stay"
    client = sign_in(someone)
    acme.sign_in(client, user, someone.email, CONNECT)
    client.post("/profile/connections/connect/", answer)
    assert client.post("/sign-out/")["Location"].startswith(f"{settings.HOSTED_UI_URL}/logout?")
