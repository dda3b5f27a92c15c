"""Signing up, and confirming the address."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.accounts.conftest import MISFIT, Someone, errors
from tests.conftest import TestCloud


def sign_up(client: Client, person: Someone, **changes: str) -> Any:
    answers = {
        "given_name": "Emmy",
        "family_name": "Noether",
        "email": person.email,
        "username": person.username,
        "new_password": person.password,
    }
    return client.post("/sign-up/", {**answers, **changes})


def user(cloud: TestCloud, person: Someone) -> dict[str, Any]:
    return cloud.admin("cognito-idp").admin_get_user(UserPoolId=settings.USER_POOL_ID, Username=person.username)


def test_newcomer_signs_up_confirms_and_signs_in(
    cloud: TestCloud, client: Client, newcomer: Someone, code_to: Callable[[Someone], str]
) -> None:
    answer = sign_up(client, newcomer)
    assert (answer.status_code, answer["Location"]) == (302, "/sign-up/confirm/")
    assert user(cloud, newcomer)["UserStatus"] == "UNCONFIRMED"
    page = client.get("/sign-up/confirm/").content.decode()
    assert newcomer.username in page
    assert 'autocomplete="one-time-code"' in page
    assert 'inputmode="numeric"' in page

    answer = client.post("/sign-up/confirm/", {"code": code_to(newcomer)})
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/")
    confirmed = user(cloud, newcomer)
    assert confirmed["UserStatus"] == "CONFIRMED"
    attributes = {one["Name"]: one["Value"] for one in confirmed["UserAttributes"]}
    assert attributes["email_verified"] == "true"
    page = client.get("/sign-in/").content.decode()
    assert "Your e-mail address is confirmed" in page
    assert f'value="{newcomer.username}"' in page
    assert re.search(r'<input type="password"[^>]* autofocus', page)

    client.post("/sign-in/", {"username": newcomer.username, "password": newcomer.password})
    me = client.get("/me").json()
    assert me["Message"] == "Hello Emmy Noether!"
    assert me["Email"] == newcomer.email


def test_rules_for_the_password_are_there_before_it_is_typed(client: Client) -> None:
    page = client.get("/sign-up/").content.decode()
    assert "At least 12 characters" in page
    assert 'autocomplete="new-password"' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("new_password", "short"),
        ("new_password", "no-capital-letter-1"),
        ("new_password", "No-digit-at-all-here"),
        ("new_password", "NoSymbolAtAll2026"),
        ("email", "not an address"),
        ("email", ""),
        ("username", ""),
        ("username", "someone@example.com"),
        ("username", "two words"),
        ("given_name", ""),
        ("family_name", "x" * 101),
    ],
)
def test_answer_that_will_not_do_is_refused_beside_its_field(
    cloud: TestCloud, client: Client, newcomer: Someone, field: str, value: str
) -> None:
    answer = sign_up(client, newcomer, **{field: value})
    assert answer.status_code == 200
    assert list(errors(answer)) == [field]
    page = answer.content.decode()
    assert newcomer.password not in page
    if field != "given_name":
        assert 'value="Emmy"' in page
    with pytest.raises(cloud.admin("cognito-idp").exceptions.UserNotFoundException):
        user(cloud, newcomer)


def test_taken_user_name_is_refused(cloud: TestCloud, client: Client, someone: Someone) -> None:
    answer = sign_up(client, someone, email="somebody-else@example.com")
    assert errors(answer) == {"username": ["That user name is taken."]}


def test_sign_up_whose_reply_is_lost_is_not_called_taken(cloud: TestCloud, client: Client, newcomer: Someone) -> None:
    client.raise_request_exception = False
    cloud.faults.add(service="cognito-idp", action="SignUp", kind="lost_reply", times=1)
    assert sign_up(client, newcomer).status_code == 503
    assert user(cloud, newcomer)["UserStatus"] == "UNCONFIRMED"
    answer = client.post("/sign-in/", {"username": newcomer.username, "password": newcomer.password})
    assert answer["Location"] == "/sign-up/confirm/"


def test_confirmation_whose_reply_is_lost_confirms(
    cloud: TestCloud, client: Client, newcomer: Someone, code_to: Callable[[Someone], str]
) -> None:
    sign_up(client, newcomer)
    cloud.faults.add(service="cognito-idp", action="ConfirmSignUp", kind="lost_reply", times=1)
    assert client.post("/sign-up/confirm/", {"code": code_to(newcomer)})["Location"] == "/sign-in/"


def test_user_name_that_cognito_cannot_take_has_no_code(
    cloud: TestCloud, client: Client, newcomer: Someone, cognito_refuses: Callable[[str, str, str], None]
) -> None:
    sign_up(client, newcomer)
    cognito_refuses("ConfirmSignUp", "InvalidParameterException", MISFIT)
    assert "That is not the code" in errors(client.post("/sign-up/confirm/", {"code": "123456"}))["code"][0]


def test_wrong_code_does_not_confirm(
    cloud: TestCloud, client: Client, newcomer: Someone, code_to: Callable[[Someone], str]
) -> None:
    sign_up(client, newcomer)
    wrong = "000000" if code_to(newcomer) != "000000" else "111111"
    answer = client.post("/sign-up/confirm/", {"code": wrong})
    assert "That is not the code" in errors(answer)["code"][0]
    assert user(cloud, newcomer)["UserStatus"] == "UNCONFIRMED"


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "12 34", "１２３４５６x"])
def test_what_is_no_code_does_not_reach_cognito(cloud: TestCloud, client: Client, newcomer: Someone, code: str) -> None:
    sign_up(client, newcomer)
    cloud.forget_calls()
    assert "code" in errors(client.post("/sign-up/confirm/", {"code": code}))
    assert ("cognito-idp", "ConfirmSignUp") not in cloud.calls()


def test_code_may_be_set_out_with_a_space(
    cloud: TestCloud, client: Client, newcomer: Someone, code_to: Callable[[Someone], str]
) -> None:
    sign_up(client, newcomer)
    code = code_to(newcomer)
    assert client.post("/sign-up/confirm/", {"code": f" {code[:3]} {code[3:]} "}).status_code == 302


def test_new_code_replaces_the_old_one(
    cloud: TestCloud,
    client: Client,
    newcomer: Someone,
    code_to: Callable[[Someone], str],
    mails_to: Callable[[Someone], list[str]],
) -> None:
    sign_up(client, newcomer)
    first = code_to(newcomer)
    answer = client.post("/sign-up/confirm/resend/")
    assert answer["Location"] == "/sign-up/confirm/"
    assert len(mails_to(newcomer)) == 2
    assert "A new code is on its way" in client.get("/sign-up/confirm/").content.decode()
    second = code_to(newcomer)
    if first != second:
        assert "code" in errors(client.post("/sign-up/confirm/", {"code": first}))
    assert client.post("/sign-up/confirm/", {"code": second}).status_code == 302


def test_codes_run_out(cloud: TestCloud, client: Client, newcomer: Someone) -> None:
    sign_up(client, newcomer)
    for _ in range(21):
        client.post("/sign-up/confirm/resend/")
    assert "Too many attempts" in client.get("/sign-up/confirm/").content.decode()


def test_wrong_codes_run_out(cloud: TestCloud, client: Client, newcomer: Someone) -> None:
    sign_up(client, newcomer)
    answers = [client.post("/sign-up/confirm/", {"code": f"00000{n}"}) for n in range(7)]
    assert "Too many attempts" in answers[-1].content.decode()


def test_link_cannot_send_codes(cloud: TestCloud, client: Client, newcomer: Someone) -> None:
    sign_up(client, newcomer)
    assert client.get("/sign-up/confirm/resend/").status_code == 405


def test_who_did_not_confirm_is_asked_to_when_signing_in(
    cloud: TestCloud, client: Client, newcomer: Someone, code_to: Callable[[Someone], str]
) -> None:
    sign_up(Client(), newcomer)
    answer = client.post("/sign-in/", {"username": newcomer.username, "password": newcomer.password})
    assert answer["Location"] == "/sign-up/confirm/"
    assert client.post("/sign-up/confirm/", {"code": code_to(newcomer)})["Location"] == "/sign-in/"


def test_confirming_twice_is_no_error(
    cloud: TestCloud, client: Client, newcomer: Someone, code_to: Callable[[Someone], str]
) -> None:
    sign_up(client, newcomer)
    cloud.admin("cognito-idp").admin_confirm_sign_up(UserPoolId=settings.USER_POOL_ID, Username=newcomer.username)
    client.post("/sign-up/confirm/resend/")
    assert "is on its way" in client.get("/sign-up/confirm/").content.decode()
    assert client.post("/sign-up/confirm/", {"code": code_to(newcomer)})["Location"] == "/sign-in/"


@pytest.mark.parametrize("path", ["/sign-up/confirm/", "/sign-up/confirm/resend/"])
def test_confirming_needs_a_sign_up(cloud: TestCloud, client: Client, path: str) -> None:
    assert client.post(path, {"code": "123456"})["Location"] == "/sign-in/"


def test_newcomer_comes_to_the_page_that_they_were_sent_to(
    client: Client, newcomer: Someone, code_to: Callable[[Someone], str]
) -> None:
    page = client.get("/sign-in/?next=/rides/").content.decode()
    assert 'href="/sign-up/?next=%2Frides%2F"' in page
    assert 'href="/forgot-password/?next=%2Frides%2F"' in page
    answers = {"given_name": "", "family_name": "N", "email": newcomer.email, "username": newcomer.username}
    client.post("/sign-up/?next=/rides/", {**answers, "given_name": "E", "new_password": newcomer.password})
    answer = client.post("/sign-up/confirm/", {"code": code_to(newcomer)})
    assert answer["Location"] == "/sign-in/?next=%2Frides%2F"
    answer = client.post(answer["Location"], {"username": newcomer.username, "password": newcomer.password})
    assert answer["Location"] == "/rides/"
    assert client.get("/sign-up/")["Location"] == "/"


def test_page_for_the_code_shows_where_it_went(client: Client, newcomer: Someone, cloud: TestCloud) -> None:
    sign_up(client, newcomer)
    page = client.get("/sign-up/confirm/").content.decode()
    # Cognito masks most of it.
    assert re.search(r"We mailed a code to <strong>[^<]+@[^<]+</strong>", page)
    assert "Sign up again" in page


def test_forgotten_password_comes_back_to_the_page(
    client: Client, someone: Someone, code_to: Callable[[Someone], str]
) -> None:
    client.post("/forgot-password/?next=/rides/", {"username": someone.username})
    new = {"code": code_to(someone), "new_password": "Another-2026!!"}
    assert client.post("/forgot-password/confirm/", new)["Location"] == "/sign-in/?next=%2Frides%2F"
