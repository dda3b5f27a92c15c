"""The second factor in a text message: a number that is proved, the codes that come to it, and two factors at once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.test import Client

from portal.accounts import second_factor
from portal.accounts.forms import PhoneForm
from portal.localcloud import sent
from portal.localcloud.people import PASSWORD
from tests.accounts.conftest import Someone, errors, totp
from tests.conftest import TestCloud
from tests.html import page_problems


@pytest.fixture
def number() -> str:
    """A telephone number that no other test uses."""
    return f"+4477{secrets.randbelow(10**8):08}"


def texts_to(number: str) -> list[str]:
    """Return the texts to a number, newest first."""
    return [message.text for message in sent.texts() if message.to == number]


def code_to(number: str) -> str:
    return re.findall(r"\b\d{6}\b", texts_to(number)[0])[0]


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def sign_in(client: Client, person: Someone) -> str:
    answer = client.post("/sign-in/?next=/profile/", {"username": person.username, "password": person.password})
    assert answer.status_code == 302, errors(answer)
    return str(answer["Location"])


@pytest.fixture
def client(client_for: Callable[..., Client], someone: Someone) -> Client:
    return client_for(someone)


def turn_on(client: Client, number: str) -> None:
    answer = client.post("/profile/two-factor/phone/", {"phone_number": number, "password": PASSWORD})
    assert answer.status_code == 302, errors(answer)
    answer = client.post("/profile/two-factor/phone/", {"code": code_to(number)})
    assert answer["Location"] == "/profile/two-factor/"


def turn_on_app(client: Client) -> str:
    client.post("/profile/two-factor/app/", {"password": PASSWORD})
    page = client.get("/profile/two-factor/app/").content.decode()
    [secret] = re.findall(r'<code id="secret">([A-Z2-7 ]+)</code>', page)
    secret = secret.replace(" ", "")
    assert client.post("/profile/two-factor/app/", {"code": totp(secret)}).status_code == 302
    return secret


# --- The number -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("+447700900123", "+447700900123"),
        (" +44 7700 900-123 ", "+447700900123"),
        ("+44 (0)7700 900123", "+447700900123"),
        ("0041 44 668 18 00", "+41446681800"),
        ("+1 (206) 555\u20110100", "+12065550100"),
        ("07700 900123", None),
        ("+0447700900123", None),
        ("+44", None),
        ("+44 7700 900123 ext 5", None),
        ("+1234567890123456", None),
        ("+\u0664\u0664\u0667\u0667\u0660\u0660\u0669\u0660\u0660", None),
        ("", None),
    ],
)
def test_number_is_read_as_people_write_it(written: str, read: str | None) -> None:
    form = PhoneForm({"phone_number": written, "password": PASSWORD})
    assert form.is_valid() is (read is not None)
    if read:
        assert form.cleaned_data["phone_number"] == read


def test_number_is_proved_by_the_code_that_comes_to_it(
    cloud: TestCloud, client: Client, someone: Someone, number: str
) -> None:
    assert not page_problems(client.get("/profile/two-factor/phone/").content.decode())
    client.post("/profile/two-factor/phone/", {"phone_number": number, "password": PASSWORD})
    page = client.get("/profile/two-factor/phone/").content.decode()
    assert not page_problems(page)
    assert number in page
    answer = client.post("/profile/two-factor/phone/", {"code": other_than(code_to(number))})
    assert errors(answer) == {"code": ["That is not the code."]}
    assert sign_in(Client(), someone) == "/profile/"
    assert client.post("/profile/two-factor/phone/", {"code": code_to(number)}).status_code == 302
    page = client.get("/profile/two-factor/").content.decode()
    assert not page_problems(page)
    assert number in page
    assert sign_in(Client(), someone) == "/sign-in/code/"


def test_wrong_number_can_be_corrected_and_gets_no_further_code(
    cloud: TestCloud, client: Client, someone: Someone, number: str
) -> None:
    wrong = other_than(number[-6:])
    wrong = number[:-6] + wrong
    client.post("/profile/two-factor/phone/", {"phone_number": wrong, "password": PASSWORD})
    client.post("/profile/two-factor/phone/", {"again": "yes"})
    assert "Which phone" in client.get("/profile/two-factor/phone/").content.decode()
    turn_on(client, number)
    sign_in(Client(), someone)
    assert len(texts_to(wrong)) == 1
    assert len(texts_to(number)) == 2


def test_number_that_was_left_half_way_is_no_factor(
    cloud: TestCloud, client: Client, someone: Someone, number: str
) -> None:
    client.post("/profile/two-factor/phone/", {"phone_number": number, "password": PASSWORD})
    assert client.post("/profile/two-factor/phone/", {"leave": "yes"})["Location"] == "/profile/two-factor/"
    assert number not in client.get("/profile/two-factor/").content.decode()
    assert sign_in(Client(), someone) == "/profile/"


def test_changed_number_takes_the_password_and_counts_when_it_is_proved(
    cloud: TestCloud, client: Client, someone: Someone, number: str
) -> None:
    turn_on(client, number)
    new = number[:-6] + other_than(number[-6:])
    answer = client.post("/profile/two-factor/phone/", {"phone_number": new, "password": "Wrong-password-1!"})
    assert errors(answer) == {"password": ["That is not your current password."]}
    assert texts_to(new) == []
    client.post("/profile/two-factor/phone/", {"phone_number": new, "password": someone.password})
    before = len(texts_to(number))
    sign_in(Client(), someone)
    assert (len(texts_to(number)), len(texts_to(new))) == (before + 1, 1)
    assert client.post("/profile/two-factor/phone/", {"code": code_to(new)}).status_code == 302
    before = len(texts_to(number))
    sign_in(Client(), someone)
    assert (len(texts_to(number)), len(texts_to(new))) == (before, 2)


def test_number_that_was_proved_before_needs_no_code(
    cloud: TestCloud, client: Client, someone: Someone, number: str
) -> None:
    turn_on(client, number)
    client.post("/profile/two-factor/off/phone/", {"password": someone.password})
    before = len(texts_to(number))
    assert (
        client.post("/profile/two-factor/phone/", {"phone_number": number, "password": PASSWORD})["Location"]
        == "/profile/two-factor/"
    )
    assert len(texts_to(number)) == before
    assert sign_in(Client(), someone) == "/sign-in/code/"


def test_number_that_nothing_can_be_sent_to_is_said_beside_its_field(
    client: Client, cognito_refuses: Callable[[str, str, str], None]
) -> None:
    cognito_refuses("UpdateUserAttributes", "InvalidParameterException", "Invalid phone number format.")
    answer = client.post("/profile/two-factor/phone/", {"phone_number": "+447700900123", "password": PASSWORD})
    assert errors(answer) == {"phone_number": ["No text message can be sent to that number."]}


# --- Signing in with it -----------------------------------------------------------------------------------------------


def test_sign_in_asks_for_the_code_in_the_text(cloud: TestCloud, client: Client, someone: Someone, number: str) -> None:
    turn_on(client, number)
    newcomer = Client()
    assert sign_in(newcomer, someone) == "/sign-in/code/"
    page = newcomer.get("/sign-in/code/").content.decode()
    assert not page_problems(page)
    assert "Code from the text message" in page
    assert number not in page
    assert number[-4:] in page
    code = code_to(number)
    assert errors(newcomer.post("/sign-in/code/", {"code": other_than(code)})) == {"code": ["That is not the code."]}
    assert newcomer.get("/me").status_code == 401
    assert newcomer.post("/sign-in/code/", {"code": code})["Location"] == "/profile/"
    assert newcomer.get("/me").json()["Username"] == someone.username


def test_code_is_of_one_sign_in_only(cloud: TestCloud, client: Client, someone: Someone, number: str) -> None:
    turn_on(client, number)
    first, second = Client(), Client()
    sign_in(first, someone)
    code = code_to(number)
    sign_in(second, someone)
    assert code != code_to(number)
    assert "code" in errors(second.post("/sign-in/code/", {"code": code}))
    assert first.post("/sign-in/code/", {"code": code}).status_code == 302


def test_too_many_wrong_codes_start_again(cloud: TestCloud, client: Client, someone: Someone, number: str) -> None:
    turn_on(client, number)
    newcomer = Client()
    sign_in(newcomer, someone)
    wrong = other_than(code_to(number))
    answers = [newcomer.post("/sign-in/code/", {"code": wrong}) for _ in range(6)]
    assert answers[-1]["Location"] == "/sign-in/"
    assert newcomer.get("/sign-in/code/")["Location"] == "/sign-in/"


# --- Two of them ------------------------------------------------------------------------------------------------------


def test_second_one_leaves_the_first_preferred(cloud: TestCloud, client: Client, someone: Someone, number: str) -> None:
    turn_on_app(client)
    turn_on(client, number)
    newcomer = Client()
    sign_in(newcomer, someone)
    assert "your authenticator app" in newcomer.get("/sign-in/code/").content.decode()
    assert len(texts_to(number)) == 1


def test_person_says_which_one_is_asked_for(cloud: TestCloud, client: Client, someone: Someone, number: str) -> None:
    turn_on_app(client)
    turn_on(client, number)
    assert client.get("/profile/two-factor/").context["form"].initial == {"kind": "SOFTWARE_TOKEN_MFA"}
    assert client.post("/profile/two-factor/", {"kind": "SMS_MFA"})["Location"] == "/profile/two-factor/"
    newcomer = Client()
    sign_in(newcomer, someone)
    assert "Code from the text message" in newcomer.get("/sign-in/code/").content.decode()
    assert errors(client.post("/profile/two-factor/", {"kind": "pigeon"}))


@pytest.mark.parametrize("kind", ["SMS_MFA", "SOFTWARE_TOKEN_MFA"])
def test_whoever_is_asked_each_time_chooses(
    cloud: TestCloud, client: Client, someone: Someone, number: str, kind: str
) -> None:
    secret = turn_on_app(client)
    turn_on(client, number)
    client.post("/profile/two-factor/", {"kind": ""})
    newcomer = Client()
    assert sign_in(newcomer, someone) == "/sign-in/choose/"
    page = newcomer.get("/sign-in/choose/").content.decode()
    assert not page_problems(page)
    before = len(texts_to(number))
    assert newcomer.post("/sign-in/choose/", {"kind": kind})["Location"] == "/sign-in/code/"
    assert newcomer.get("/me").status_code == 401
    assert len(texts_to(number)) == before + (kind == "SMS_MFA")
    code = code_to(number) if kind == "SMS_MFA" else totp(secret, steps=1)
    assert newcomer.post("/sign-in/code/", {"code": code})["Location"] == "/profile/"


def test_turning_one_off_leaves_the_other(cloud: TestCloud, client: Client, someone: Someone, number: str) -> None:
    turn_on_app(client)
    turn_on(client, number)
    assert not page_problems(client.get("/profile/two-factor/off/app/").content.decode())
    client.post("/profile/two-factor/off/app/", {"password": someone.password})
    newcomer = Client()
    sign_in(newcomer, someone)
    assert "Code from the text message" in newcomer.get("/sign-in/code/").content.decode()
    client.post("/profile/two-factor/off/phone/", {"password": someone.password})
    assert sign_in(Client(), someone) == "/profile/"
    assert client.get("/profile/two-factor/off/phone/")["Location"] == "/profile/two-factor/"


# --- What the pool says -----------------------------------------------------------------------------------------------


@pytest.fixture
def pool_says(cloud: TestCloud) -> Iterator[Callable[..., None]]:
    """Return a function that changes the pool's policy until the test is over."""
    cognito = cloud.admin("cognito-idp")
    was = cognito.get_user_pool_mfa_config(UserPoolId=settings.USER_POOL_ID)
    wanted = {key: was[key] for key in ("SmsMfaConfiguration", "SoftwareTokenMfaConfiguration", "MfaConfiguration")}

    def configure(mode: str, **more: object) -> None:
        cognito.set_user_pool_mfa_config(
            UserPoolId=settings.USER_POOL_ID, **{**wanted, "MfaConfiguration": mode, **more}
        )
        second_factor._policy.cache_clear()

    yield configure
    configure(was["MfaConfiguration"])


def test_policy_off_hides_it_all(client: Client, pool_says: Callable[..., None]) -> None:
    pool_says("OFF")
    assert "Second factor" not in client.get("/profile/").content.decode()
    assert "There is none here" in client.get("/profile/two-factor/").content.decode()
    for path in ("app", "phone"):
        assert client.get(f"/profile/two-factor/{path}/")["Location"] == "/profile/two-factor/"
        answer = client.post(f"/profile/two-factor/{path}/", {"phone_number": "+447700900123", "password": PASSWORD})
        assert answer["Location"] == "/profile/two-factor/"


def test_only_what_the_pool_knows_is_offered(client: Client, pool_says: Callable[..., None]) -> None:
    pool_says("OPTIONAL", SoftwareTokenMfaConfiguration={"Enabled": False})
    page = client.get("/profile/two-factor/").content.decode()
    assert "Text messages" in page
    assert "Authenticator app" not in page
    assert client.get("/profile/two-factor/app/")["Location"] == "/profile/two-factor/"


def test_last_one_cannot_be_turned_off_where_one_is_needed(
    cloud: TestCloud, client: Client, someone: Someone, number: str, pool_says: Callable[..., None]
) -> None:
    turn_on(client, number)
    pool_says("ON")
    page = client.get("/profile/two-factor/").content.decode()
    assert "It cannot be turned off" in page
    assert "off/phone/" not in page
    assert "Everybody here needs" in client.get("/profile/two-factor/off/phone/").content.decode()
    answer = client.post("/profile/two-factor/off/phone/", {"password": someone.password})
    assert errors(answer)["__all__"][0].startswith("Everybody here needs a second factor")
    assert sign_in(Client(), someone) == "/sign-in/code/"
    turn_on_app(client)
    answer = client.post("/profile/two-factor/off/phone/", {"password": someone.password})
    assert answer["Location"] == "/profile/two-factor/"
    newcomer = Client()
    sign_in(newcomer, someone)
    assert "your authenticator app" in newcomer.get("/sign-in/code/").content.decode()


def test_whoever_cannot_set_one_up_is_sent_to_an_operator(
    cloud: TestCloud, someone: Someone, pool_says: Callable[..., None]
) -> None:
    pool_says("ON", SoftwareTokenMfaConfiguration={"Enabled": False})
    answer = Client().post("/sign-in/", {"username": someone.username, "password": someone.password})
    assert "Ask an operator" in errors(answer)["__all__"][0]
