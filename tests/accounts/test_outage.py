"""Cognito does not answer: who is signed in goes on working for a while, and everybody else is told so plainly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from django.conf import settings
from django.test import Client

from portal import aws
from portal.accounts import cognito, session, tokens
from portal.accounts.session import GRACE_SECONDS, PAUSE_SECONDS
from tests.accounts.conftest import Someone, age, errors
from tests.conftest import SignedUp, TestCloud

AUTH = ("cognito-idp", "AdminInitiateAuth")
# The client tries twice.
WAYS: dict[str, dict[str, Any]] = {
    "throttled": {"kind": "throttle"},
    "out of order": {"kind": "error"},
    "silent": {"kind": "delay", "delay_seconds": 0.5},
    "lost": {"kind": "lost_reply"},
}


@pytest.fixture
def client(client_for: Callable[..., Client], someone: Someone) -> Client:
    client = client_for(someone)
    client.raise_request_exception = False
    return client


@pytest.fixture(params=list(WAYS))
def outage(
    request: pytest.FixtureRequest, cloud: TestCloud, client: Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestCloud]:
    """Cognito, which fails at every sign-in and every renewal since `client` has signed in."""
    if request.param == "silent":
        # Wait for a fifth of a second instead of four.
        monkeypatch.setattr(aws, "_CONFIG", aws._CONFIG.merge(Config(read_timeout=0.2)))
        aws.client.cache_clear()
        cognito.client_secret()
    cloud.faults.add(service="cognito-idp", action="AdminInitiateAuth", **WAYS[request.param])
    yield cloud
    if request.param == "silent":
        aws.client.cache_clear()


def pause_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_not_before", time.monotonic() - 1)


@pytest.mark.parametrize("seconds_left", [40, -1, -GRACE_SECONDS + 60])
def test_who_is_signed_in_goes_on_working(
    outage: TestCloud, client: Client, monkeypatch: pytest.MonkeyPatch, seconds_left: float
) -> None:
    age(client, seconds_left=seconds_left)
    assert client.get("/me").status_code == 200
    assert client.get("/rides/").status_code == 200
    outage.faults.clear()
    pause_is_over(monkeypatch)
    assert client.get("/me").status_code == 200
    assert client.session["claims"]["exp"] > time.time() + 600


def test_cognito_is_not_asked_at_each_request(
    cloud: TestCloud, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.faults.add(service="cognito-idp", action="AdminInitiateAuth", kind="throttle")
    age(client, seconds_left=-1)
    client.get("/")
    cloud.forget_calls()
    for _ in range(3):
        client.get("/")
    assert cloud.calls() == {("dynamodb", "GetItem"): 3}
    assert 0 < session._not_before - time.monotonic() <= PAUSE_SECONDS
    pause_is_over(monkeypatch)
    cloud.forget_calls()
    client.get("/")
    assert cloud.calls()[AUTH] == 2


def test_grace_ends(outage: TestCloud, client: Client) -> None:
    age(client, seconds_left=-GRACE_SECONDS - 1)
    assert client.get("/rides/").status_code == 503
    answer = client.get("/me")
    assert answer.status_code == 503
    assert set(answer.json()) == {"Error", "Reference"}
    outage.faults.clear()
    assert client.get("/me").status_code == 200


def test_session_beyond_its_grace_does_not_wait_for_the_pause_of_others(
    cloud: TestCloud, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_not_before", time.monotonic() + PAUSE_SECONDS)
    age(client, seconds_left=-GRACE_SECONDS - 1)
    assert client.get("/me").status_code == 200


def test_refusal_has_no_grace(cloud: TestCloud, client: Client, someone: Someone) -> None:
    cloud.admin("cognito-idp").admin_disable_user(UserPoolId=settings.USER_POOL_ID, Username=someone.username)
    age(client, seconds_left=-1)
    assert client.get("/me").status_code == 401
    assert cloud.items("sessions") == []


def test_session_that_an_operator_ended_has_no_grace(outage: TestCloud, client: Client) -> None:
    age(client, seconds_left=-1)
    assert client.get("/me").status_code == 200
    outage.empty("sessions")
    assert client.get("/me").status_code == 401


def test_own_account_waits_for_a_token_that_is_good_and_signs_nobody_out(
    cloud: TestCloud, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.faults.add(service="cognito-idp", action="AdminInitiateAuth", kind="error")
    age(client, seconds_left=-1)
    assert client.get("/profile/two-factor/").status_code == 503
    assert client.get("/me").status_code == 200
    cloud.faults.clear()
    # Even before the pause is over: Cognito would call the expired token a sign-out.
    assert client.get("/profile/two-factor/").status_code == 200
    assert client.session["claims"]["exp"] > time.time() + 600


def test_profile_is_there_without_cognito(cloud: TestCloud, client: Client) -> None:
    cloud.faults.add(service="cognito-idp", action=".*", kind="error")
    answer = client.get("/profile/")
    assert answer.status_code == 200
    assert "See and change it" in answer.content.decode()


def test_who_comes_to_sign_in_is_told_so_and_keeps_the_form(outage: TestCloud, someone: Someone) -> None:
    client = Client(raise_request_exception=False)
    answer = client.post("/sign-in/?next=/rides/", {"username": someone.username, "password": someone.password})
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    [said] = errors(answer)["__all__"]
    assert said.startswith("This does not work just now")
    assert answer["X-Reference"] in said
    page = answer.content.decode()
    assert f'value="{someone.username}"' in page
    assert someone.password not in page
    assert not client.cookies.get(settings.SESSION_COOKIE_NAME)
    outage.faults.clear()
    again = client.post("/sign-in/?next=/rides/", {"username": someone.username, "password": someone.password})
    assert again["Location"] == "/rides/"


@pytest.mark.parametrize(
    ("path", "action", "answers"),
    [
        ("/forgot-password/", "ForgotPassword", {"username": "somebody"}),
        (
            "/sign-up/",
            "SignUp",
            {
                "given_name": "Some",
                "family_name": "One",
                "email": "some@example.com",
                "username": "somebody",
                "new_password": "Portico-2026!",
            },
        ),
    ],
)
def test_other_forms_are_kept_too(cloud: TestCloud, path: str, action: str, answers: dict[str, str]) -> None:
    cloud.faults.add(service="cognito-idp", action=action, kind="throttle")
    answer = Client(raise_request_exception=False).post(path, answers)
    assert answer.status_code == 503
    assert 'value="somebody"' in answer.content.decode()


def test_program_with_a_token_needs_cognito_only_for_new_keys(
    cloud: TestCloud, rider: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(raise_request_exception=False, headers={"Authorization": rider.id_token})
    assert client.get("/me").status_code == 200
    tokens._signed_claims.cache_clear()
    cloud.faults.add(service="cognito-idp", action=".*", kind="error")
    assert client.get("/me").status_code == 200
    tokens._signed_claims.cache_clear()
    tokens._keys.cache_clear()
    monkeypatch.setattr(settings, "JWKS_URL", "http://127.0.0.1:9/keys")
    answer = client.get("/me")
    assert answer.status_code == 503
    assert set(answer.json()) == {"Error", "Reference"}


def test_sign_in_is_not_kept_waiting_by_what_is_only_noted(
    cloud: TestCloud, someone: Someone, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.faults.add(service="dynamodb", action="UpdateItem", kind="throttle")
    client = Client()
    answer = client.post("/sign-in/", {"username": someone.username, "password": someone.password})
    assert answer.status_code == 302
    assert client.get("/me").status_code == 200
    assert "A sign-in was not noted" in caplog.text
    assert cloud.items("people") == []
