"""Forgotten and changed passwords."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from portal.accounts.forms import PASSWORD_RULES
from tests.accounts.conftest import Someone, errors, invite
from tests.conftest import TestCloud

NEW = "My-own-word-2026"


def signs_in(person: Someone, password: str) -> bool:
    answer = Client().post("/sign-in/", {"username": person.username, "password": password})
    return answer.status_code == 302


def test_rules_are_those_of_the_template() -> None:
    template = Path("infrastructure/portal.yaml").read_text()
    policy = dict(re.findall(r"(MinimumLength|Require\w+): (\w+)", template))
    words = {
        "RequireLowercase": "small",
        "RequireUppercase": "capital letter",
        "RequireNumbers": "digit",
        "RequireSymbols": "symbol",
    }
    assert f"At least {policy.pop('MinimumLength')} characters" in PASSWORD_RULES
    assert {name: word in PASSWORD_RULES for name, word in words.items()} == {
        name: policy[name] == "true" for name in words
    }


def test_forgotten_password_is_set_anew_by_the_mailed_code(
    cloud: TestCloud, client: Client, someone: Someone, code_to: Callable[[Someone], str]
) -> None:
    answer = client.post("/forgot-password/", {"username": someone.username})
    assert answer["Location"] == "/forgot-password/confirm/"
    assert "If that account exists, a mail is on its way." in client.get(answer["Location"]).content.decode()
    answer = client.post("/forgot-password/confirm/", {"code": code_to(someone), "new_password": NEW})
    assert answer["Location"] == "/sign-in/"
    page = client.get("/sign-in/").content.decode()
    assert "Your new password is set" in page
    assert f'value="{someone.username}"' in page
    assert signs_in(someone, NEW)
    assert not signs_in(someone, someone.password)


def test_address_of_the_account_does_as_well(
    cloud: TestCloud, client: Client, someone: Someone, code_to: Callable[[Someone], str]
) -> None:
    client.post("/forgot-password/", {"username": someone.email})
    client.post("/forgot-password/confirm/", {"code": code_to(someone), "new_password": NEW})
    assert signs_in(someone, NEW)


def test_nobody_learns_whether_an_account_exists(
    cloud: TestCloud, someone: Someone, newcomer: Someone, mails_to: Callable[[Someone], list[str]]
) -> None:
    invited = Someone(f"{newcomer.username}-invited")
    disabled = Someone(f"{newcomer.username}-disabled")
    unconfirmed = Someone(f"{newcomer.username}-unconfirmed")
    invite(cloud, invited, MessageAction="SUPPRESS")
    invite(cloud, disabled, MessageAction="SUPPRESS")
    cloud.admin("cognito-idp").admin_disable_user(UserPoolId=settings.USER_POOL_ID, Username=disabled.username)
    Client().post(
        "/sign-up/",
        {
            "given_name": "A",
            "family_name": "B",
            "email": unconfirmed.email,
            "username": unconfirmed.username,
            "new_password": NEW,
        },
    )
    pages = set()
    for person in (someone, newcomer, invited, disabled, unconfirmed):
        client = Client()
        answer = client.post("/forgot-password/", {"username": person.username}, follow=True)
        wrong = client.post("/forgot-password/confirm/", {"code": "000000", "new_password": NEW})
        pages.add((visible(answer.content.decode()), tuple(errors(wrong)["code"])))
    assert len(pages) == 1, pages
    assert mails_to(newcomer) == mails_to(disabled) == []


def visible(page: str) -> str:
    """Leave out what differs at every request."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)


def test_who_never_used_a_temporary_password_gets_a_fresh_invitation(
    cloud: TestCloud, client: Client, newcomer: Someone, mails_to: Callable[[Someone], list[str]]
) -> None:
    invite(cloud, newcomer, TemporaryPassword="Long-forgotten-1!")
    answer = client.post("/forgot-password/", {"username": newcomer.email}, follow=True)
    assert "If that account exists, a mail is on its way." in answer.content.decode()
    first, second = mails_to(newcomer)
    assert "Long-forgotten-1!" in first
    [temporary] = re.findall(r"the temporary password (\S+) and choose your own", second)
    assert temporary != "Long-forgotten-1!"
    answer = client.post("/sign-in/", {"username": newcomer.username, "password": temporary})
    assert answer["Location"] == "/sign-in/new-password/"
    client.post("/sign-in/new-password/", {"new_password": NEW})
    assert signs_in(newcomer, NEW)


def test_refused_new_password_keeps_the_code(
    cloud: TestCloud, client: Client, someone: Someone, code_to: Callable[[Someone], str]
) -> None:
    client.post("/forgot-password/", {"username": someone.username})
    code = code_to(someone)
    answer = client.post("/forgot-password/confirm/", {"code": code, "new_password": "short"})
    assert list(errors(answer)) == ["new_password"]
    assert f'value="{code}"' in answer.content.decode()
    assert client.post("/forgot-password/confirm/", {"code": code, "new_password": NEW}).status_code == 302


def test_code_works_once(cloud: TestCloud, client: Client, someone: Someone, code_to: Callable[[Someone], str]) -> None:
    client.post("/forgot-password/", {"username": someone.username})
    code = code_to(someone)
    client.post("/forgot-password/confirm/", {"code": code, "new_password": NEW})
    other = Client()
    session = other.session
    session["recovering"] = someone.username
    session.save()
    other.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    answer = other.post("/forgot-password/confirm/", {"code": code, "new_password": "Another-word-2026"})
    assert "code" in errors(answer)
    assert signs_in(someone, NEW)


def test_setting_it_anew_needs_the_first_step(client: Client, cloud: TestCloud) -> None:
    assert client.get("/forgot-password/confirm/")["Location"] == "/forgot-password/"
    answer = client.post("/forgot-password/confirm/", {"code": "123456", "new_password": NEW})
    assert answer["Location"] == "/forgot-password/"


def test_operator_who_resets_a_password_makes_its_owner_set_a_new_one(
    cloud: TestCloud, client: Client, someone: Someone, code_to: Callable[[Someone], str]
) -> None:
    cloud.admin("cognito-idp").admin_reset_user_password(UserPoolId=settings.USER_POOL_ID, Username=someone.username)
    answer = client.post("/sign-in/", {"username": someone.username, "password": someone.password})
    assert answer["Location"] == "/forgot-password/confirm/"
    assert "has to be set anew" in client.get(answer["Location"]).content.decode()


def test_mails_run_out(cloud: TestCloud, client: Client, someone: Someone) -> None:
    answers = [client.post("/forgot-password/", {"username": someone.username}) for _ in range(21)]
    assert "Too many attempts" in errors(answers[-1])["__all__"][0]


# --- Changing it ------------------------------------------------------------------------------------------------------


def test_password_is_changed_with_the_current_one(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    answer = client.post("/profile/password/", {"password": someone.password, "new_password": NEW})
    assert answer["Location"] == "/profile/"
    assert "Your password is changed." in client.get("/profile/").content.decode()
    assert signs_in(someone, NEW)
    assert not signs_in(someone, someone.password)


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"password": "Wrong-password-1!", "new_password": NEW}, "password"),
        ({"password": "Portico-2026!", "new_password": "short"}, "new_password"),
        ({"password": "", "new_password": NEW}, "password"),
        ({"password": "Portico-2026!", "new_password": ""}, "new_password"),
    ],
)
def test_change_that_will_not_do_is_refused_beside_its_field(
    cloud: TestCloud,
    client_for: Callable[..., Client],
    someone: Someone,
    answers: dict[str, str],
    field: str,
) -> None:
    answer = client_for(someone).post("/profile/password/", answers)
    assert list(errors(answer)) == [field]
    assert signs_in(someone, someone.password)


def test_who_is_signed_out_everywhere_meanwhile_signs_in_again(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    cloud.admin("cognito-idp").admin_user_global_sign_out(UserPoolId=settings.USER_POOL_ID, Username=someone.username)
    answer = client.post("/profile/password/", {"password": someone.password, "new_password": NEW})
    assert answer["Location"] == "/sign-in/"
    assert "You have been signed out" in client.get("/sign-in/").content.decode()
    assert cloud.items("sessions") == []


@pytest.mark.parametrize("path", ["/profile/", "/profile/password/", "/profile/two-factor/"])
def test_own_account_needs_a_sign_in(client: Client, path: str) -> None:
    assert client.get(path)["Location"] == f"/sign-in/?next={path}"
    assert client.post(path, {})["Location"] == f"/sign-in/?next={path}"
