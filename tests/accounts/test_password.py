"""Forgotten and changed passwords."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from portal.accounts import cognito
from portal.accounts.forms import PASSWORD_RULES
from tests.accounts.conftest import MISFIT, Someone, errors, invite
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
    cloud: TestCloud,
    client: Client,
    newcomer: Someone,
    mails_to: Callable[[Someone], list[str]],
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


def test_impatience_sends_one_invitation(
    cloud: TestCloud, client: Client, newcomer: Someone, mails_to: Callable[[Someone], list[str]]
) -> None:
    invite(cloud, newcomer)
    for _ in range(3):
        answer = client.post("/forgot-password/", {"username": newcomer.username})
        assert answer["Location"] == "/forgot-password/confirm/"
    assert len(mails_to(newcomer)) == 2  # the first, and one fresh one


@pytest.mark.parametrize("action", ["AdminGetUser", "AdminCreateUser"])
@pytest.mark.parametrize("kind", ["error", "refused"])
def test_invitation_that_fails_does_not_tell_that_there_is_an_account(
    cloud: TestCloud,
    client: Client,
    newcomer: Someone,
    cognito_refuses: Callable[[str, str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    action: str,
    kind: str,
) -> None:
    monkeypatch.setattr(cognito, "INVITE_AGAIN_SECONDS", 0)
    invite(cloud, newcomer, MessageAction="SUPPRESS")
    if kind == "error":
        cloud.faults.add(service="cognito-idp", action=action, kind="error")
    else:
        cognito_refuses(action, "LimitExceededException", f"Too many mails to {newcomer.email}")
    answer = client.post("/forgot-password/", {"username": newcomer.username})
    assert (answer.status_code, answer["Location"]) == (302, "/forgot-password/confirm/")
    assert "An invitation could not be sent" in caplog.text
    assert newcomer.username not in caplog.text


def test_new_password_by_code_ends_the_sessions_there_were(
    cloud: TestCloud,
    client: Client,
    client_for: Callable[..., Client],
    someone: Someone,
    code_to: Callable[[Someone], str],
) -> None:
    there = client_for(someone)
    client.post("/forgot-password/", {"username": someone.email})
    client.post("/forgot-password/confirm/", {"code": code_to(someone), "new_password": NEW})
    assert there.get("/me").status_code == 401
    assert signs_in(someone, NEW)


def test_code_whose_reply_is_lost_is_not_called_wrong(
    cloud: TestCloud, client: Client, someone: Someone, code_to: Callable[[Someone], str]
) -> None:
    client.raise_request_exception = False
    client.post("/forgot-password/", {"username": someone.username})
    cloud.faults.add(service="cognito-idp", action="ConfirmForgotPassword", kind="lost_reply", times=1)
    answer = client.post("/forgot-password/confirm/", {"code": code_to(someone), "new_password": NEW})
    assert answer.status_code == 503
    assert signs_in(someone, NEW)


@pytest.mark.parametrize(("reason", "field"), [(MISFIT, "code"), ("Value at 'password' is too long", "new_password")])
def test_user_name_that_cognito_cannot_take_is_not_called_a_bad_password(
    cloud: TestCloud,
    client: Client,
    someone: Someone,
    cognito_refuses: Callable[[str, str, str], None],
    reason: str,
    field: str,
) -> None:
    client.post("/forgot-password/", {"username": someone.username})
    cognito_refuses("ConfirmForgotPassword", "InvalidParameterException", reason)
    answer = client.post("/forgot-password/confirm/", {"code": "123456", "new_password": NEW})
    assert list(errors(answer)) == [field]


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


def test_changed_password_ends_the_other_sessions_and_not_this_one(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    here, there = client_for(someone), client_for(someone)
    key = here.cookies[settings.SESSION_COOKIE_NAME].value
    here.post("/profile/password/", {"password": someone.password, "new_password": NEW})
    assert here.get("/me").status_code == 200
    assert there.get("/me").status_code == 401
    assert here.cookies[settings.SESSION_COOKIE_NAME].value != key
    assert len(cloud.items("sessions")) == 1


@pytest.mark.parametrize("way", ["changed", "by code"])
def test_who_could_not_be_signed_out_elsewhere_is_told(
    cloud: TestCloud,
    client_for: Callable[..., Client],
    someone: Someone,
    code_to: Callable[[Someone], str],
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    cloud.faults.add(service="cognito-idp", action="AdminUserGlobalSignOut", kind="error")
    if way == "changed":
        client = client_for(someone)
        client.post("/profile/password/", {"password": someone.password, "new_password": NEW})
        page = client.get("/profile/").content.decode()
    else:
        client = Client()
        client.post("/forgot-password/", {"username": someone.username})
        client.post("/forgot-password/confirm/", {"code": code_to(someone), "new_password": NEW})
        page = client.get("/sign-in/").content.decode()
    assert "could not be signed out elsewhere" in page
    assert someone.username not in caplog.text
    assert signs_in(someone, NEW)


def test_who_cannot_be_kept_signed_in_knows_that_the_password_is_changed(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    client.raise_request_exception = False
    cloud.faults.add(service="cognito-idp", action="AdminInitiateAuth", kind="error")
    answer = client.post("/profile/password/", {"password": someone.password, "new_password": NEW})
    assert answer["Location"] == "/sign-in/"
    cloud.faults.clear()
    assert "Your password is changed." in client.get("/sign-in/").content.decode()
    assert signs_in(someone, NEW)


def test_change_whose_reply_is_lost_does_not_blame_the_current_password(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    client.raise_request_exception = False
    cloud.faults.add(service="cognito-idp", action="ChangePassword", kind="lost_reply", times=1)
    answer = client.post("/profile/password/", {"password": someone.password, "new_password": NEW})
    assert answer.status_code == 503
    assert signs_in(someone, NEW)


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
