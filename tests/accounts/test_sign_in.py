"""The way in and out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.accounts.conftest import MISFIT, Someone, errors, invite
from tests.conftest import SignedUp, TestCloud

WRONG = "That user name and password do not belong together."


def sign_in(client: Client, person: Any, *, password: str = "", path: str = "/sign-in/", **extra: Any) -> Any:
    return client.post(path, {"username": person.username, "password": password or person.password}, **extra)


def test_right_password_signs_in(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    answer = sign_in(client, rider)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    page = client.get("/profile/").content.decode()
    assert "Ada Lovelace" in page
    assert "rider@example.com" in page


def test_email_address_signs_in_too(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    answer = client.post("/sign-in/", {"username": rider.email, "password": rider.password})
    assert answer.status_code == 302
    assert client.get("/me").json()["Sub"] == rider.sub


def test_sign_in_does_not_tell_a_wrong_name_from_a_wrong_password(
    cloud: TestCloud, client: Client, someone: Someone, newcomer: Someone
) -> None:
    wrong_password = sign_in(client, someone, password="Wrong-password-1!")
    nobody = sign_in(client, newcomer)
    cloud.admin("cognito-idp").admin_disable_user(UserPoolId=settings.USER_POOL_ID, Username=someone.username)
    disabled = sign_in(client, someone)
    for answer in (wrong_password, nobody, disabled):
        assert answer.status_code == 200
        [said] = errors(answer)["__all__"]
        assert said.startswith(WRONG)
    assert settings.SESSION_COOKIE_NAME not in client.cookies


def test_form_keeps_the_name_and_not_the_password(cloud: TestCloud, client: Client, someone: Someone) -> None:
    page = sign_in(client, someone, password="Wrong-password-1!").content.decode()
    assert f'value="{someone.username}"' in page
    assert "Wrong-password-1!" not in page


def test_empty_form_says_what_is_missing_beside_each_field(client: Client) -> None:
    answer = client.post("/sign-in/", {})
    assert set(errors(answer)) == {"username", "password"}
    assert 'aria-invalid="true"' in answer.content.decode()


def test_fields_tell_password_managers_what_they_are(client: Client) -> None:
    page = client.get("/sign-in/").content.decode()
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page
    assert "autofocus" in page


def test_too_many_wrong_passwords_are_said_to_be_too_many(cloud: TestCloud, client: Client, someone: Someone) -> None:
    said = [errors(sign_in(client, someone, password="Wrong-password-1!"))["__all__"][0] for _ in range(7)]
    assert said[0].startswith(WRONG)
    assert said[-1].startswith("Too many attempts")


def test_pages_of_signing_in_are_not_kept_by_caches(client: Client) -> None:
    assert "no-store" in client.get("/sign-in/")["Cache-Control"]


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-up/", "/forgot-password/"])
@pytest.mark.parametrize("name", ["two words", "tab\tbed", "no-break\u00a0space"])
def test_user_name_with_a_space_in_it_is_refused_beside_its_field(
    cloud: TestCloud, client: Client, path: str, name: str
) -> None:
    client.get(path)  # it may ask Cognito for the identity providers, once in a while
    cloud.forget_calls()
    answer = client.post(path, {"username": name, "password": "Portico-2026!"})
    assert errors(answer)["username"] == ["There is no space in a user name or an e-mail address."]
    # The sign-in page asks, once in a while, which doors there are.
    assert {action for _, action in cloud.calls()} <= {"DescribeUserPoolClient", "ListIdentityProviders"}


def test_user_name_that_cognito_cannot_take_is_a_wrong_one(
    client: Client, newcomer: Someone, cognito_refuses: Callable[[str, str, str], None]
) -> None:
    cognito_refuses("AdminInitiateAuth", "InvalidParameterException", f"1 validation error: {MISFIT}")
    assert errors(sign_in(client, newcomer))["__all__"][0].startswith(WRONG)


# --- The session ------------------------------------------------------------------------------------------------------


def test_session_gets_a_new_key_at_sign_in(cloud: TestCloud, client: Client, someone: Someone) -> None:
    client.post("/forgot-password/", {"username": someone.username})
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    sign_in(client, someone)
    after = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert before != after
    assert len(cloud.items("sessions")) == 1
    assert Client(headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={before}"}).get("/me").status_code == 401


def test_planted_session_key_is_not_used(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = "plantedplantedplantedplantedplan"
    sign_in(client, rider)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != "plantedplantedplantedplantedplan"
    assert client.get("/me").status_code == 200


def test_cookie_of_the_session_is_out_of_reach_of_scripts_and_other_sites(
    cloud: TestCloud, client: Client, rider: SignedUp
) -> None:
    cookie = sign_in(client, rider).cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"


def test_signed_in_page_reads_its_session_once_and_writes_nothing(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client = client_for(rider)
    assert client.get("/").status_code == 200
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}


def test_signing_in_as_someone_else_leaves_nothing_of_the_first(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp, author: SignedUp
) -> None:
    client = client_for(rider)
    sign_in(client, author)
    assert client.get("/me").json()["Username"] == "author"
    assert len(cloud.items("sessions")) == 1


def test_sign_out_ends_the_session_here_and_its_tokens_at_cognito(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    refresh_token = client.session["tokens"]["refresh"]
    answer = client.post("/sign-out/")
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/?stay")
    assert cloud.items("sessions") == []
    assert client.get("/me").status_code == 401
    assert "You are signed out." in client.get("/sign-in/").content.decode()
    cognito = cloud.admin("cognito-idp")
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        cognito.admin_initiate_auth(
            UserPoolId=settings.USER_POOL_ID,
            ClientId=settings.PORTAL_CLIENT_ID,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": refresh_token},
        )


def test_sign_out_works_while_cognito_does_not(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    cloud.faults.add(service="cognito-idp", action="RevokeToken", kind="error")
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/me").status_code == 401


def test_sign_out_is_not_kept_from_anybody_by_a_refusal(
    client_for: Callable[..., Client],
    someone: Someone,
    cognito_refuses: Callable[[str, str, str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = client_for(someone)
    refresh_token = client.session["tokens"]["refresh"]
    cognito_refuses("RevokeToken", "UnsupportedTokenTypeException", f"{refresh_token} is no token")
    assert client.post("/sign-out/")["Location"] == "/sign-in/?stay"
    assert client.get("/me").status_code == 401
    assert "A refresh token could not be revoked (UnsupportedTokenTypeException)" in caplog.text
    assert refresh_token not in caplog.text


def test_link_cannot_sign_out(cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp) -> None:
    client = client_for(rider)
    assert client.get("/sign-out/").status_code == 405
    assert client.get("/me").status_code == 200


# --- Where it leads ---------------------------------------------------------------------------------------------------


def test_sign_in_leads_to_the_page_that_was_asked_for(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    answer = client.get("/profile/")
    assert answer["Location"] == "/sign-in/?next=/profile/"
    assert sign_in(client, rider, path=answer["Location"])["Location"] == "/profile/"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "http://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "http:\\\\evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "//testserver@evil.example/",
        "https://testserver.evil.example/",
        " //evil.example/",
        "\t//evil.example/",
        "/\t/evil.example/",
        "\x00//evil.example",
    ],
)
def test_sign_in_leads_nowhere_else(cloud: TestCloud, client: Client, rider: SignedUp, target: str) -> None:
    answer = client.post(
        "/sign-in/", {"username": rider.username, "password": rider.password}, query_params={"next": target}
    )
    assert answer["Location"] == "/"
    # Nor for who is signed in already.
    assert client.get("/sign-in/", {"next": target})["Location"] == "/"


def test_who_is_signed_in_goes_on_from_the_sign_in_page(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client = client_for(rider)
    assert client.get("/sign-in/")["Location"] == "/"
    assert client.get("/sign-in/?next=/rides/")["Location"] == "/rides/"


def test_admin_has_no_sign_in_of_its_own(client: Client) -> None:
    assert client.get("/admin/login/?next=/admin/")["Location"] == "/sign-in/?next=/admin/"


# --- Other sites ------------------------------------------------------------------------------------------------------


def test_another_site_cannot_sign_a_browser_in(cloud: TestCloud, rider: SignedUp) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = sign_in(client, rider)
    assert answer.status_code == 403
    assert "came from another site" in answer.content.decode()
    client.get("/sign-in/")
    assert sign_in(client, rider).status_code == 403
    assert settings.SESSION_COOKIE_NAME not in client.cookies


def test_own_form_signs_a_browser_in(cloud: TestCloud, rider: SignedUp) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get("/sign-in/")
    token = page.context["csrf_token"]
    answer = client.post(
        "/sign-in/",
        {"username": rider.username, "password": rider.password, "csrfmiddlewaretoken": str(token)},
    )
    assert answer.status_code == 302


def test_csrf_token_changes_at_sign_in(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    client.get("/sign-in/")
    before = client.cookies[settings.CSRF_COOKIE_NAME].value
    sign_in(client, rider)
    assert client.cookies[settings.CSRF_COOKIE_NAME].value != before


# --- Faults and logs --------------------------------------------------------------------------------------------------


def test_cognito_out_of_order_is_answered_503_and_nobody_is_signed_in(
    cloud: TestCloud, client: Client, rider: SignedUp
) -> None:
    client.raise_request_exception = False
    cloud.faults.add(service="cognito-idp", action="AdminInitiateAuth", kind="error")
    answer = sign_in(client, rider)
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert cloud.items("sessions") == []
    # Twice each: more would keep a request of several calls waiting for longer than API Gateway does.
    assert cloud.calls()["cognito-idp", "AdminInitiateAuth"] == 2


def test_passing_hiccup_of_cognito_is_not_noticed(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    cloud.faults.add(service="cognito-idp", action="AdminInitiateAuth", kind="throttle", times=1)
    assert sign_in(client, rider).status_code == 302


def test_no_password_and_no_token_is_logged(
    cloud: TestCloud, client: Client, someone: Someone, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "portal", "django", "rides"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.WARNING, logger="botocore")  # as in settings.LOGGING
    caplog.set_level(logging.WARNING, logger="urllib3")
    sign_in(client, someone, password="Wrong-password-1!")
    sign_in(client, someone)
    issued = client.session["tokens"]
    client.get("/me", headers={"Authorization": issued["access"]})
    client.post("/sign-out/")
    for secret in (someone.password, "Wrong-password-1!", *issued.values()):
        assert secret not in caplog.text
        assert secret.rpartition(".")[2] not in caplog.text


def test_tokens_hide_in_a_repr() -> None:
    from portal.accounts.cognito import Challenge, Tokens

    assert "secret" not in repr(Tokens("secret", "secret", "secret"))
    assert "secret" not in repr(Challenge("SOFTWARE_TOKEN_MFA", "ada", "secret"))


# --- A first password -------------------------------------------------------------------------------------------------


@pytest.fixture
def invited(cloud: TestCloud, newcomer: Someone) -> Someone:
    """Someone who was invited with the temporary password of `password`."""
    invite(cloud, newcomer, TemporaryPassword=newcomer.password)
    return newcomer


def test_temporary_password_must_be_replaced(cloud: TestCloud, client: Client, invited: Someone) -> None:
    answer = sign_in(client, invited, path="/sign-in/?next=/profile/")
    assert answer["Location"] == "/sign-in/new-password/"
    assert client.get("/me").status_code == 401
    page = client.get("/sign-in/new-password/").content.decode()
    assert 'autocomplete="new-password"' in page
    assert "At least 12 characters" in page
    challenge = client.session["challenge"]
    assert challenge["session"] not in page
    answer = client.post("/sign-in/new-password/", {"new_password": "My-own-word-2026"})
    assert (answer.status_code, answer["Location"]) == (302, "/profile/")
    assert client.get("/me").json()["Username"] == invited.username
    again = Client()
    assert sign_in(again, invited, password="My-own-word-2026").status_code == 302


def test_weak_first_password_is_refused_with_cognitos_reason(
    cloud: TestCloud, client: Client, invited: Someone
) -> None:
    sign_in(client, invited)
    answer = client.post("/sign-in/new-password/", {"new_password": "short"})
    [said] = errors(answer)["new_password"]
    assert said.startswith("Password ")
    assert "12" in said
    assert client.post("/sign-in/new-password/", {"new_password": "My-own-word-2026"}).status_code == 302


def test_invited_person_who_signs_in_by_email_answers_the_challenge_by_name(
    cloud: TestCloud, client: Client, invited: Someone
) -> None:
    client.post("/sign-in/", {"username": invited.email, "password": invited.password})
    answer = client.post("/sign-in/new-password/", {"new_password": "My-own-word-2026"})
    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.parametrize("page", ["code", "new-password", "two-factor"])
def test_second_step_cannot_come_first(cloud: TestCloud, client: Client, page: str) -> None:
    assert client.get(f"/sign-in/{page}/")["Location"] == "/sign-in/"
    answer = client.post(f"/sign-in/{page}/", {"code": "123456", "new_password": "My-own-word-2026"})
    assert answer["Location"] == "/sign-in/"


def test_second_step_after_too_long_starts_again(cloud: TestCloud, client: Client, invited: Someone) -> None:
    sign_in(client, invited)
    session = client.session
    session["challenge"] = {**session["challenge"], "session": "one-that-cognito-forgot-" + "x" * 40}
    session.save()
    answer = client.post("/sign-in/new-password/", {"new_password": "My-own-word-2026"})
    assert answer["Location"] == "/sign-in/"
    assert "That took too long" in client.get("/sign-in/").content.decode()
