"""Sessions of people who have no tokens of Cognito: the portal itself says who they are, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest
from django.test import Client, RequestFactory

from portal.accounts import session
from portal.accounts.doors import arrival
from portal.accounts.refusals import SignedOut
from portal.aws import Unavailable
from portal.dynamo.sessions import SessionStore
from tests.accounts.conftest import Someone
from tests.conftest import SignedUp, TestCloud
from tests.html import page_problems

CLAIMS = {
    "sub": "saml:0123",
    "cognito:username": "grace",
    "given_name": "Grace",
    "email": "grace@acme.example",
    "developer_user": "saml:0123",
}


@pytest.fixture
def arrive(cloud: TestCloud) -> Callable[..., Client]:
    """Return a function that signs somebody in through another door."""

    def sign_in(claims: dict[str, Any] = CLAIMS, *, door: str = "saml", minutes: float = 60) -> Client:
        request = RequestFactory().post("/sign-in/arrival/", REMOTE_ADDR="198.51.100.7")
        request.session = SessionStore()
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        session.sign_in_as(request, claims, door=door, until=until)
        request.session.save()
        client = Client(raise_request_exception=False)
        client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
        cloud.forget_calls()
        return client

    return sign_in


@pytest.fixture
def refreshed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[Any]]:
    """Return a function that sets what looking again will say; it returns the list of whom it was asked about."""

    def says(what: Any) -> list[Any]:
        asked: list[Any] = []

        def look(claims: Any) -> Any:
            asked.append(claims)
            if isinstance(what, Exception):
                raise what
            return what

        monkeypatch.setattr(arrival, "refreshed", look)
        return asked

    return says


def age(client: Client, *, seconds_left: float) -> None:
    """Make the claims due in so many seconds."""
    stored = client.session
    stored["claims"] = {**stored["claims"], "exp": int(time.time() + seconds_left)}
    stored.save()


def test_they_are_signed_in_until_then(cloud: TestCloud, arrive: Callable[..., Client]) -> None:
    client = arrive(minutes=30)
    assert client.get("/me").json()["Sub"] == "saml:0123"
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}
    [item] = cloud.items("sessions")
    assert 29 * 60 < int(item["ExpiresAt"]["N"]) - time.time() <= 30 * 60
    assert (item["Door"]["S"], item["Address"]["S"]) == ("saml", "198.51.100.7")


def test_session_ends_when_it_was_said_to(cloud: TestCloud, arrive: Callable[..., Client]) -> None:
    client = arrive()
    stored = client.session
    stored["until"] = time.time() - 1
    stored.save()
    assert client.get("/me").status_code == 401
    assert cloud.items("sessions") == []


def test_their_claims_are_looked_at_again_every_quarter_of_an_hour(
    cloud: TestCloud, arrive: Callable[..., Client], refreshed: Callable[[Any], list[Any]]
) -> None:
    asked = refreshed({**CLAIMS, "cognito:groups": ["auditors"]})
    client = arrive()
    assert client.get("/me").json()["Groups"] == []
    assert asked == []
    assert 14 * 60 < client.session["claims"]["exp"] - time.time() <= 15 * 60
    age(client, seconds_left=30)
    assert client.get("/me").json()["Groups"] == ["auditors"]
    client.get("/me")
    assert len(asked) == 1


def test_who_is_out_is_out_when_looked_at_again(
    cloud: TestCloud, arrive: Callable[..., Client], refreshed: Callable[[Any], list[Any]]
) -> None:
    refreshed(SignedOut())
    client = arrive()
    age(client, seconds_left=30)
    assert client.get("/rides/")["Location"].startswith("/sign-in/")
    assert cloud.items("sessions") == []


def test_grace_is_theirs_too_but_not_beyond_the_end(
    cloud: TestCloud, arrive: Callable[..., Client], refreshed: Callable[[Any], list[Any]]
) -> None:
    asked = refreshed(Unavailable("no answer"))
    client = arrive()
    age(client, seconds_left=-60)
    assert client.get("/me").status_code == 200
    assert client.get("/me").status_code == 200
    assert len(asked) == 1
    stored = client.session
    stored["until"] = time.time() - 1
    stored.save()
    assert client.get("/me").status_code == 401


def test_renewed_session_ends_no_later(
    cloud: TestCloud, arrive: Callable[..., Client], refreshed: Callable[[Any], list[Any]]
) -> None:
    refreshed(CLAIMS)
    client = arrive(minutes=30)
    age(client, seconds_left=5)
    client.get("/me")
    [item] = cloud.items("sessions")
    assert int(item["ExpiresAt"]["N"]) - time.time() <= 30 * 60


@pytest.mark.parametrize(("door", "says"), [("saml", "Your company"), ("vouched", "Your other system")])
def test_what_is_kept_elsewhere_has_no_form_here(arrive: Callable[..., Client], door: str, says: str) -> None:
    client = arrive(door=door)
    for path in ("password/", "two-factor/", "two-factor/app/", "two-factor/phone/", "two-factor/off/app/"):
        for answer in (client.get(f"/profile/{path}"), client.post(f"/profile/{path}", {"password": "x"})):
            page = answer.content.decode()
            assert answer.status_code == 200
            assert not page_problems(page)
            assert f"<h1>{says} looks after this</h1>" in page
            assert 'name="password"' not in page
    assert "looks after it" in client.get("/profile/").content.decode()


def test_they_sign_out_and_end_their_sessions_as_others_do(cloud: TestCloud, arrive: Callable[..., Client]) -> None:
    here, there = arrive(), arrive()
    page = here.get("/profile/sessions/").content.decode()
    assert page.count("through your company") == 2
    here.post("/profile/sessions/end-others/")
    assert there.get("/me").status_code == 401
    assert here.post("/profile/sessions/end-all/")["Location"].startswith("/sign-in/")
    assert cloud.items("sessions") == []
    third = arrive()
    assert third.post("/sign-out/")["Location"].startswith("/sign-in/")
    assert cloud.items("sessions") == []
    assert not [action for service, action in cloud.calls() if service == "cognito-idp"]


def test_whoever_came_by_the_hosted_ui_leaves_by_it(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    for path in ("/sign-out/", "/profile/sessions/end-all/"):
        client = client_for(someone)
        stored = client.session
        stored["door"] = "hosted"
        stored.save()
        # A form that is redirected on to another origin is stopped there, unless the page's policy names it.
        policy = client.get("/profile/sessions/")["Content-Security-Policy"]
        assert f"form-action 'self' {settings.HOSTED_UI_URL}" in policy
        answer = client.post(path)
        assert answer["Location"].startswith(f"{settings.HOSTED_UI_URL}/logout?")
        assert client.get("/me").status_code == 401


# --- Which token, which door ------------------------------------------------------------------------------------------


def asked(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Note which door and which ID token each call of /me has."""
    seen: list[tuple[str, str | None]] = []
    greet = session.user_of

    def noting(request: HttpRequest) -> Any:
        user = greet(request)
        seen.append((session.door(request), session.id_token(request)))
        return user

    monkeypatch.setattr(session, "user_of", noting)
    return seen


def test_session_gives_its_token_and_its_door(
    cloud: TestCloud,
    client_for: Callable[..., Client],
    rider: SignedUp,
    arrive: Callable[..., Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = client_for(rider), arrive()
    id_token = clients[0].session["tokens"]["id"]
    seen = asked(cloud, monkeypatch)
    for client in clients:
        client.get("/profile/")
    assert seen == [("password", id_token), ("saml", None)]


def request_with(store: SessionStore) -> HttpRequest:
    request = RequestFactory().get("/me")
    request.session = store
    request._messages = CookieStorage(request)
    return request


def test_token_that_a_program_brings_is_used_and_not_the_sessions(
    cloud: TestCloud, arrive: Callable[..., Client], rider: SignedUp, author: SignedUp
) -> None:
    from portal.accounts.api import Caller

    client = arrive()
    request = request_with(SessionStore(client.cookies[settings.SESSION_COOKIE_NAME].value))
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {rider.id_token}"
    Caller()(request)
    assert request.user.sub == rider.sub
    assert (session.door(request), session.id_token(request)) == ("password", rider.id_token)
    # Somebody else's token is nobody's, and never falls back to the session's.
    session.bring(request, author.id_token)
    assert session.id_token(request) is None
    session.bring(request, "nonsense")
    assert session.id_token(request) is None


def test_claims_of_an_authorizer_come_with_the_token_that_it_checked(cloud: TestCloud, rider: SignedUp) -> None:
    from portal.accounts.api import Caller

    claims = {"sub": rider.sub, "cognito:username": "rider"}
    for header, token in ((rider.id_token, rider.id_token), ("", None)):
        request = request_with(SessionStore())
        request.META["HTTP_AUTHORIZATION"] = header
        request.META["apig_wsgi.full_event"] = {"requestContext": {"authorizer": {"claims": claims}}}
        Caller()(request)
        assert (session.door(request), session.id_token(request)) == ("password", token)


@pytest.mark.parametrize(
    ("username", "identities", "is_federated"),
    [
        ("company_ada", [{"providerName": "Company", "userId": "ada"}], True),
        ("Company_ada@acme.example", [{"providerName": "Company", "userId": "ada@acme.example"}], True),
        ("ada", [{"providerName": "Company", "userId": "ada"}], False),
        ("company_ada", [], False),
        ("company_ada", None, False),
        ("ada", "nonsense", False),
    ],
)
def test_federated_is_who_has_no_account_of_the_pools_own(username: str, identities: Any, is_federated: bool) -> None:
    from portal.accounts.models import User

    claims = {"sub": "sub", "cognito:username": username, "identities": identities}
    assert User.from_claims(claims).is_federated is is_federated
