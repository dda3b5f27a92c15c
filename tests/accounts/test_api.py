"""Who calls the JSON API."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from ninja.errors import AuthenticationError

from portal.accounts.api import from_authorizer
from tests.conftest import SignedUp, TestCloud

EVENT = "apig_wsgi.full_event"


def rest(**claims: Any) -> dict[str, Any]:
    """A Lambda event of a REST API with a Cognito authorizer."""
    return {"requestContext": {"authorizer": {"claims": claims}}}


def http(**claims: Any) -> dict[str, Any]:
    """A Lambda event of an HTTP API with a JWT authorizer."""
    return {"requestContext": {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}}


# --- The token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer ", "BEARER  "])
def test_id_token_says_who_calls(cloud: TestCloud, client: Client, rider: SignedUp, prefix: str) -> None:
    answer = client.get("/me", headers={"Authorization": prefix + rider.id_token})
    assert answer.status_code == 200
    me = answer.json()
    assert me.pop("Claims")["sub"] == rider.sub
    assert me == {
        "Message": "Hello Ada Lovelace!",
        "Username": "rider",
        "Sub": rider.sub,
        "GivenName": "Ada",
        "FamilyName": "Lovelace",
        "Email": "rider@example.com",
        "Groups": [],
    }


def test_groups_come_with_the_token(cloud: TestCloud, client: Client, operator: SignedUp) -> None:
    assert client.get("/me", headers={"Authorization": operator.id_token}).json()["Groups"] == ["operators"]


def test_token_costs_no_aws_call(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    client.get("/me", headers={"Authorization": rider.id_token})
    cloud.forget_calls()
    client.get("/me", headers={"Authorization": rider.id_token})
    assert cloud.calls() == {}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic cmlkZXI6eA==", "eyJraWQiOiJLTzRVMWZs", "Bearer é"])
def test_what_is_no_token_is_401(cloud: TestCloud, client: Client, header: str) -> None:
    answer = client.get("/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["Reference"] == answer["X-Reference"]
    assert "ID token" in answer.json()["Error"]


def test_access_token_is_401(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    for token in (rider.access_token, rider.refresh_token):
        assert client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_nothing_in_the_body_or_the_address_names_the_caller(
    cloud: TestCloud, client: Client, rider: SignedUp, operator: SignedUp
) -> None:
    answer = client.post(
        "/me?Username=operator&sub=x",
        {"Username": "operator", "Sub": operator.sub, "cognito:username": "operator"},
        content_type="application/json",
        headers={"Authorization": rider.id_token, "X-Username": "operator", "X-Apigateway-Event": "{}"},
    )
    assert answer.json()["Username"] == "rider"


def test_keys_that_cannot_be_read_are_503_and_not_401(
    cloud: TestCloud, client: Client, rider: SignedUp, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.accounts import tokens

    def down(url: str) -> list[dict[str, Any]]:
        raise tokens.KeysUnavailable(url)

    settings.JWKS_URL = "http://127.0.0.1:9/other-keys"
    monkeypatch.setattr(tokens, "fetch", down)
    client.raise_request_exception = False
    answer = client.get("/me", headers={"Authorization": rider.id_token})
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert set(answer.json()) == {"Error", "Reference"}


# --- The session ------------------------------------------------------------------------------------------------------


def test_session_says_who_calls(cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp) -> None:
    assert client_for(rider).get("/me").json()["Sub"] == rider.sub


def test_nobody_is_401(client: Client) -> None:
    answer = client.get("/me")
    assert answer.status_code == 401
    assert "sign in" in answer.json()["Error"]


def test_bad_token_is_401_in_spite_of_a_session(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    assert client_for(rider).get("/me", headers={"Authorization": "rubbish"}).status_code == 401


def test_token_comes_before_the_session(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp, author: SignedUp
) -> None:
    client = client_for(rider)
    assert client.get("/me", headers={"Authorization": author.id_token}).json()["Username"] == "author"
    assert cloud.calls()[("dynamodb", "GetItem")] == 0


def test_session_needs_the_csrf_token_to_change_something(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    signed_in = client_for(rider)
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in.cookies
    assert client.get("/me").status_code == 200
    answer = client.post("/me", {}, content_type="application/json")
    assert answer.status_code == 403
    assert "X-CSRFToken" in answer.json()["Error"]
    token = client.get("/profile/").context["csrf_token"]
    answer = client.post("/me", {}, content_type="application/json", headers={"X-CSRFToken": str(token)})
    assert answer.status_code == 200


def test_token_needs_no_csrf_token(cloud: TestCloud, rider: SignedUp) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/me", {}, content_type="application/json", headers={"Authorization": rider.id_token})
    assert answer.status_code == 200


# --- The authorizer in front ------------------------------------------------------------------------------------------


def test_event_of_the_tutorial_is_the_username_in_spite_of_its_header(client: Client) -> None:
    event = rest(**{"cognito:username": "the_username"})
    answer = client.get("/me", headers={"Authorization": "eyJraWQiOiJLTzRVMWZs"}, **{EVENT: event})
    assert answer.json()["Username"] == "the_username"
    assert answer.json()["Sub"] == "username:the_username"
    assert answer.json()["Message"] == "Hello the_username!"


@pytest.mark.parametrize("make", [rest, http])
def test_authorizers_claims_say_who_calls(client: Client, make: Callable[..., dict[str, Any]]) -> None:
    event = make(
        **{
            "sub": "5c1f",
            "cognito:username": "ada",
            "cognito:groups": "auditors,operators" if make is rest else "[auditors operators]",
            "given_name": "Ada",
            "family_name": "Lovelace",
            "iss": settings.TOKEN_ISSUER,
            "aud": settings.API_CLIENT_ID,
            "token_use": "id",
            "exp": str(int(time.time()) + 600),
        }
    )
    me = client.get("/me", **{EVENT: event}).json()
    assert (me["Sub"], me["Message"]) == ("5c1f", "Hello Ada Lovelace!")
    assert me["Groups"] == ["auditors", "operators"]


def test_authorizer_comes_before_session_and_token(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp, author: SignedUp
) -> None:
    event = rest(**{"cognito:username": "the_username"})
    answer = client_for(rider).post(
        "/me", {}, content_type="application/json", headers={"Authorization": author.id_token}, **{EVENT: event}
    )
    assert answer.json()["Username"] == "the_username"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"requestContext": None},
        {"requestContext": {}},
        {"requestContext": {"authorizer": None}},
        {"requestContext": {"authorizer": {"principalId": "operator"}}},
        {"requestContext": {"authorizer": {"claims": None}}},
        {"requestContext": {"authorizer": {"claims": {}}}},
        {"requestContext": {"authorizer": {"claims": "operator"}}},
        {"requestContext": {"authorizer": {"lambda": {"claims": {"sub": "x"}}}}},
    ],
    ids=str,
)
def test_event_without_claims_says_nothing(client: Client, event: dict[str, Any]) -> None:
    assert client.get("/me", **{EVENT: event}).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "5c1f", "token_use": "access"},
        {"sub": "5c1f", "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other"},
        {"sub": "5c1f", "aud": "somebody-elses-client"},
        {"sub": "5c1f", "exp": "1500000000"},
        {"sub": "5c1f", "exp": "Fri Jul 14 02:40:00 UTC 2017"},
        {"sub": "5c1f", "exp": "soon"},
        {"sub": "5c1f", "exp": "nan"},
        {"email": "ada@example.com"},
        {"sub": "", "cognito:username": ""},
        {"sub": ["5c1f"]},
    ],
    ids=str,
)
def test_claims_of_another_kind_of_token_are_401(client: Client, claims: dict[str, Any]) -> None:
    assert client.get("/me", **{EVENT: rest(**claims)}).status_code == 401


def test_expiry_is_read_as_both_kinds_of_api_write_it() -> None:
    later = time.time() + 600
    for text in (int(later), str(int(later)), datetime.fromtimestamp(later, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")):
        assert from_authorizer({"sub": "5c1f", "exp": text})["sub"] == "5c1f"


def test_user_name_without_a_sub_is_nobodys_sub() -> None:
    assert from_authorizer({"cognito:username": "5c1f"})["sub"] == "username:5c1f"
    with pytest.raises(AuthenticationError):
        from_authorizer({})


def test_header_of_a_client_is_no_event(client: Client) -> None:
    headers = {"apig_wsgi.full_event": '{"requestContext": {"authorizer": {"claims": {"sub": "operator"}}}}'}
    assert client.get("/me", headers=headers).status_code == 401
