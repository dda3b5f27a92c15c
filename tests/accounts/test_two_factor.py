"""The second factor: turning it on, signing in with it, turning it off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.conf import settings
from django.test import Client

from portal.accounts import totp
from portal.localcloud.people import PASSWORD
from tests.accounts.conftest import Someone, errors
from tests.accounts.conftest import totp as code_of
from tests.conftest import TestCloud


def sign_in(client: Client, person: Someone) -> str:
    """Return where the password led."""
    answer = client.post("/sign-in/?next=/profile/", {"username": person.username, "password": person.password})
    assert answer.status_code == 302, errors(answer)
    return str(answer["Location"])


def secret_on(page: str) -> str:
    return re.search(r'<code id="secret">([A-Z2-7 ]+)</code>', page)[1].replace(" ", "")


@pytest.fixture
def enrolled(client_for: Callable[..., Client], someone: Someone) -> tuple[Client, str]:
    """A signed-in person with a second factor, and the secret in their app."""
    client = client_for(someone)
    client.post("/profile/two-factor/app/", {"password": PASSWORD})
    secret = secret_on(client.get("/profile/two-factor/app/").content.decode())
    assert client.post("/profile/two-factor/app/", {"code": code_of(secret)})["Location"] == "/profile/two-factor/"
    return client, secret


def test_looking_at_the_page_makes_no_secret(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    client.get("/profile/two-factor/app/")
    calls = {("dynamodb", "GetItem"): 1, ("cognito-idp", "GetUser"): 1}
    assert cloud.calls() == {**calls, ("cognito-idp", "GetUserPoolMfaConfig"): 1}
    # The pool's policy is remembered for some minutes.
    cloud.forget_calls()
    client.get("/profile/two-factor/app/")
    assert cloud.calls() == calls


def test_picture_and_letters_carry_the_same_secret(
    cloud: TestCloud, client_for: Callable[..., Client], someone: Someone
) -> None:
    client = client_for(someone)
    client.post("/profile/two-factor/app/", {"password": PASSWORD})
    page = client.get("/profile/two-factor/app/").content.decode()
    secret = secret_on(page)
    assert 'src="data:image/svg+xml' in page
    assert totp.invitation(secret, someone.username)["qr"] in page.replace("&#x27;", "'")
    assert "style=" not in page
    assert secret_on(client.get("/profile/two-factor/app/").content.decode()) == secret


def test_app_is_told_who_and_where() -> None:
    address = urlsplit(totp.invitation("JBSWY3DPEHPK3PXP", "ada lovelace/é")["address"])
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == "/Portico:ada lovelace/é"
    assert parse_qs(address.query) == {"secret": ["JBSWY3DPEHPK3PXP"], "issuer": ["Portico"]}


def test_profile_tells_whether_it_is_on(cloud: TestCloud, enrolled: tuple[Client, str]) -> None:
    client, _ = enrolled
    page = client.get("/profile/").content.decode()
    assert "signing in asks for a code from your app" in page
    assert '<span class="tag good">On</span>' in page


def test_wrong_first_code_leaves_it_off(cloud: TestCloud, client_for: Callable[..., Client], someone: Someone) -> None:
    client = client_for(someone)
    client.post("/profile/two-factor/app/", {"password": PASSWORD})
    secret = secret_on(client.get("/profile/two-factor/app/").content.decode())
    answer = client.post("/profile/two-factor/app/", {"code": code_of(secret, steps=50)})
    assert "code" in errors(answer)
    assert secret_on(answer.content.decode()) == secret
    assert sign_in(Client(), someone) == "/profile/"


def test_it_can_be_left_off_half_way(cloud: TestCloud, client_for: Callable[..., Client], someone: Someone) -> None:
    client = client_for(someone)
    client.post("/profile/two-factor/app/", {"password": PASSWORD})
    assert client.post("/profile/two-factor/app/", {"leave": "yes"})["Location"] == "/profile/two-factor/"
    assert "Set up an authenticator app" in client.get("/profile/two-factor/app/").content.decode()
    assert sign_in(Client(), someone) == "/profile/"


def test_sign_in_asks_for_the_code(cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone) -> None:
    _, secret = enrolled
    client = Client()
    assert sign_in(client, someone) == "/sign-in/code/"
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert client.get("/me").status_code == 401
    assert client.get("/profile/").status_code == 302
    page = client.get("/sign-in/code/").content.decode()
    assert 'autocomplete="one-time-code"' in page
    assert client.session["challenge"]["session"] not in page

    answer = client.post("/sign-in/code/", {"code": code_of(secret, steps=50)})
    assert "That is not the code" in errors(answer)["code"][0]
    assert client.get("/me").status_code == 401

    answer = client.post("/sign-in/code/", {"code": code_of(secret, steps=1)})
    assert (answer.status_code, answer["Location"]) == (302, "/profile/")
    assert client.get("/me").json()["Username"] == someone.username
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before
    assert "challenge" not in client.session


def test_code_works_once(cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone) -> None:
    _, secret = enrolled
    code = code_of(secret, steps=1)
    first, second = Client(), Client()
    sign_in(first, someone)
    sign_in(second, someone)
    assert first.post("/sign-in/code/", {"code": code}).status_code == 302
    assert "used already" in errors(second.post("/sign-in/code/", {"code": code}))["code"][0]


def test_code_can_be_guessed_a_few_times_only(cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone) -> None:
    client = Client()
    sign_in(client, someone)
    answers = [client.post("/sign-in/code/", {"code": f"00000{n}"}) for n in range(6)]
    assert answers[-1]["Location"] == "/sign-in/"
    assert client.get("/sign-in/code/")["Location"] == "/sign-in/"


def test_turning_it_off_takes_the_password(cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone) -> None:
    client, _ = enrolled
    answer = client.post("/profile/two-factor/off/app/", {"password": "Wrong-password-1!"})
    assert errors(answer) == {"password": ["That is not your current password."]}
    assert sign_in(Client(), someone) == "/sign-in/code/"
    answer = client.post("/profile/two-factor/off/app/", {"password": someone.password})
    assert answer["Location"] == "/profile/two-factor/"
    assert "Turn a second factor on" in client.get("/profile/").content.decode()
    assert sign_in(Client(), someone) == "/profile/"


def test_another_app_takes_the_password_too(cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone) -> None:
    client, old = enrolled
    assert set(errors(client.post("/profile/two-factor/app/"))) == {"password"}
    answer = client.post("/profile/two-factor/app/", {"password": "Wrong-password-1!"})
    assert errors(answer) == {"password": ["That is not your current password."]}
    client.post("/profile/two-factor/app/", {"password": someone.password})
    new = secret_on(client.get("/profile/two-factor/app/").content.decode())
    assert client.post("/profile/two-factor/app/", {"code": code_of(new)}).status_code == 302
    elsewhere = Client()
    sign_in(elsewhere, someone)
    assert "code" in errors(elsewhere.post("/sign-in/code/", {"code": code_of(old, steps=1)}))
    assert elsewhere.post("/sign-in/code/", {"code": code_of(new, steps=1)}).status_code == 302


@pytest.mark.parametrize("path", ["app/", "phone/", "off/app/", "off/phone/"])
def test_stranger_is_sent_to_sign_in(cloud: TestCloud, client: Client, path: str) -> None:
    answer = client.post(f"/profile/two-factor/{path}", {"password": "x", "phone_number": "+447700900123"})
    assert answer["Location"].startswith("/sign-in/?next=")


def test_there_is_no_third_kind(cloud: TestCloud, client_for: Callable[..., Client], someone: Someone) -> None:
    assert client_for(someone).get("/profile/two-factor/off/pigeon/").status_code == 404


class TestPoolThatDemandsOne:
    @pytest.fixture(autouse=True)
    def demand(self, cloud: TestCloud) -> Iterator[None]:
        cognito = cloud.admin("cognito-idp")

        def configure(value: str) -> None:
            cognito.set_user_pool_mfa_config(
                UserPoolId=settings.USER_POOL_ID,
                SoftwareTokenMfaConfiguration={"Enabled": True},
                MfaConfiguration=value,
            )

        configure("ON")
        yield
        configure("OPTIONAL")

    def test_it_is_set_up_on_the_way_in(self, client: Client, someone: Someone) -> None:
        assert sign_in(client, someone) == "/sign-in/two-factor/"
        page = client.get("/sign-in/two-factor/").content.decode()
        assert "Leave it off" not in page
        secret = secret_on(page)
        wrong = client.post("/sign-in/two-factor/", {"code": code_of(secret, steps=50)})
        assert "code" in errors(wrong)
        assert client.get("/me").status_code == 401
        answer = client.post("/sign-in/two-factor/", {"code": code_of(secret)})
        assert (answer.status_code, answer["Location"]) == (302, "/profile/")
        assert client.get("/me").json()["Username"] == someone.username
        assert sign_in(Client(), someone) == "/sign-in/code/"


def test_changed_password_asks_for_a_code_to_go_on(
    cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone
) -> None:
    client, secret = enrolled
    answer = client.post("/profile/password/", {"password": someone.password, "new_password": "My-own-word-2026"})
    assert answer["Location"] == "/sign-in/code/"
    assert "Your password is changed." in client.get("/sign-in/code/").content.decode()
    assert client.get("/me").status_code == 401
    assert client.post("/sign-in/code/", {"code": code_of(secret, steps=1)})["Location"] == "/profile/"
    assert client.get("/me").status_code == 200


def test_code_whose_reply_is_lost_is_not_called_wrong(
    cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone
) -> None:
    _, secret = enrolled
    client = Client(raise_request_exception=False)
    sign_in(client, someone)
    cloud.faults.add(service="cognito-idp", action="AdminRespondToAuthChallenge", kind="lost_reply", times=1)
    assert client.post("/sign-in/code/", {"code": code_of(secret, steps=1)}).status_code == 503


def test_what_somebody_does_to_their_second_factor_is_in_the_audit_log(
    cloud: TestCloud, enrolled: tuple[Client, str], someone: Someone
) -> None:
    client, _ = enrolled
    client.post("/profile/two-factor/off/app/", {"password": someone.password})
    done = sorted((one["EntryId"]["S"], one["Action"]["S"], one["ActorName"]["S"]) for one in cloud.items("audit"))
    assert [(action, who) for _, action, who in done] == [
        ("turned a second factor on", someone.username),
        ("turned a second factor off", someone.username),
    ]
