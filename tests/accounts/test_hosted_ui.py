"""The door through Cognito's hosted UI: there, back, and everything that must not get in with it."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
import urllib3
from django.conf import settings
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts import tokens
from portal.accounts.doors import federation, hosted
from tests.accounts.company import Company, come_back
from tests.accounts.conftest import Someone
from tests.conftest import SignedUp, TestCloud


class HostedPage:
    """A browser on the hosted UI's own page."""

    def __init__(self) -> None:
        self._http = urllib3.PoolManager()
        self.cookie = ""

    def get(self, address: str) -> Any:
        return self._http.request("GET", address, headers={"Cookie": self.cookie}, redirect=False)

    def sign_in(self, address: str, person: Any) -> str:
        """Fill in the form. Return the address of the way back."""
        form = self.get(address)
        assert form.status == 200, form.data
        login = re.findall(r'name="login" value="([^"]+)"', form.data.decode())[0]
        parts = urlsplit(address)
        answer = self._http.request(
            "POST",
            f"{parts.scheme}://{parts.netloc}/login",
            fields={"login": login, "username": person.username, "password": person.password},
            encode_multipart=False,
            redirect=False,
        )
        assert answer.status == 302, answer.data
        self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return answer.headers["Location"]


@pytest.fixture
def hosted_page(cloud: TestCloud) -> HostedPage:
    return HostedPage()


def set_out(client: Client, query: str = "") -> str:
    answer = client.get(f"/sign-in/hosted/{query}")
    assert answer.status_code == 302
    return answer["Location"]


def is_signed_in(client: Client) -> bool:
    return "claims" in client.session


def refused(answer: Any, client: Client) -> str:
    """Return what a refusal says; nobody is signed in by it."""
    assert answer.status_code == 400
    assert not is_signed_in(client)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


# --- There and back ---------------------------------------------------------------------------------------------------


def test_a_user_of_the_pool_signs_in_on_cognitos_page(
    cloud: TestCloud, hosted_page: HostedPage, rider: SignedUp
) -> None:
    client = Client()
    address = set_out(client, "?next=/rides/")
    answer = come_back(client, hosted_page.sign_in(address, rider))
    assert (answer.status_code, answer["Location"]) == (302, "/rides/")
    assert client.session["claims"]["sub"] == rider.sub
    assert client.session["door"] == "hosted"
    [session] = cloud.items("sessions")
    assert session["Door"] == {"S": "hosted"}


def test_the_way_there_has_state_nonce_and_pkce_and_no_secret(cloud: TestCloud) -> None:
    client = Client()
    first, second = (parse_qs(urlsplit(set_out(client)).query) for _ in range(2))
    assert first["response_type"] == ["code"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["client_id"] == [settings.PORTAL_CLIENT_ID]
    assert first["redirect_uri"] == [f"{settings.PORTAL_URL}/sign-in/hosted/callback/"]
    assert set(first) == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
        "code_challenge_method",
    }  # fmt: skip
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 32
        assert first[name] != second[name]


def test_setting_out_changes_nothing_on_the_server(cloud: TestCloud) -> None:
    Client().get("/sign-in/hosted/?next=/rides/")
    assert cloud.items("sessions") == []
    assert Client().post("/sign-in/hosted/").status_code == 405


def test_the_browser_keeps_its_part_out_of_reach(cloud: TestCloud) -> None:
    client = Client()
    set_out(client)
    [kept] = client.cookies.values()
    assert (kept["httponly"], kept["samesite"], kept["path"]) == (True, "Lax", "/")
    assert 0 < kept["max-age"] <= 600


def test_two_tabs_do_not_disturb_each_other(cloud: TestCloud, hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    first, second = set_out(client, "?next=/rides/"), set_out(client, "?next=/profile/")
    back = HostedPage().sign_in(second, rider)
    assert come_back(client, hosted_page.sign_in(first, rider))["Location"] == "/rides/"
    assert come_back(client, back)["Location"] == "/profile/"


def test_cookies_of_sign_ins_that_nobody_finished_do_not_pile_up(cloud: TestCloud) -> None:
    client = Client()
    for _ in range(12):
        set_out(client)
    assert len([one for one in client.cookies.values() if one.value]) <= hosted.MOST_FLOWS


def test_a_person_of_the_company_signs_in(cloud: TestCloud, acme: Company) -> None:
    client = Client()
    answer = acme.sign_in(client, "e-1", "one@acme.example")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    profile = acme.profile("e-1")
    assert profile
    assert client.session["claims"]["sub"] == profile["sub"]
    assert "Your company looks after it" in client.get("/profile/").content.decode()


def test_the_second_sign_in_there_asks_nothing(hosted_page: HostedPage, rider: SignedUp) -> None:
    first, second = Client(), Client()
    come_back(first, hosted_page.sign_in(set_out(first), rider))
    come_back(second, hosted_page.get(set_out(second)).headers["Location"])
    assert second.session["claims"]["sub"] == rider.sub


def test_signing_out_ends_the_hosted_session_too(hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    come_back(client, hosted_page.sign_in(set_out(client), rider))
    out = client.post("/sign-out/")["Location"]
    assert out.startswith(f"{settings.HOSTED_UI_URL}/logout?")
    answer = hosted_page.get(out)
    assert (answer.status, answer.headers["Location"]) == (302, f"{settings.PORTAL_URL}/sign-in/?stay")
    assert hosted_page.get(set_out(client)).status == 200, "the password is asked for again"


# --- The sign-in page -------------------------------------------------------------------------------------------------


def test_the_sign_in_page_has_a_button_for_each_provider(cloud: TestCloud) -> None:
    content = Client().get("/sign-in/?next=/rides/").content.decode()
    assert '/sign-in/hosted/?provider=Acme&amp;next=%2Frides%2F"' in content
    assert "Sign in with Acme" in content


def test_the_providers_are_asked_for_once_in_a_while(cloud: TestCloud) -> None:
    for _ in range(3):
        Client().get("/sign-in/")
    assert cloud.calls()["cognito-idp", "ListIdentityProviders"] == 1
    federation._known = (time.monotonic() - 1, federation._known[1])
    Client().get("/sign-in/")
    assert cloud.calls()["cognito-idp", "ListIdentityProviders"] == 2


@pytest.mark.parametrize("action", ["ListIdentityProviders", "DescribeUserPoolClient"])
def test_the_form_works_while_the_providers_cannot_be_listed(
    cloud: TestCloud, rider: SignedUp, client_for: Callable[..., Client], action: str
) -> None:
    client_for(rider)
    cloud.faults.add(service="cognito-idp", action=action, kind="throttle")
    federation.forget_providers()
    answer = Client().get("/sign-in/")
    assert answer.status_code == 200
    assert "Sign in with Acme" not in answer.content.decode()
    cloud.forget_calls()
    assert is_signed_in(client_for(rider))
    Client().get("/sign-in/")
    assert not cloud.calls()["cognito-idp", action], "nobody waits for it again so soon"


def test_who_was_listed_before_stays_listed_while_cognito_is_down(cloud: TestCloud) -> None:
    Client().get("/sign-in/")
    cloud.faults.add(service="cognito-idp", action="ListIdentityProviders", kind="throttle")
    federation._known = (0.0, federation._known[1])
    assert "Sign in with Acme" in Client().get("/sign-in/").content.decode()


class TestStraightToTheCompany:
    @pytest.fixture(autouse=True)
    def _straight(self, cloud: TestCloud, settings: Any) -> None:
        settings.SIGN_IN_PROVIDER = "Acme"

    def test_who_comes_to_sign_in_is_sent_there(self) -> None:
        answer = Client().get("/sign-in/?next=/rides/", follow=False)
        assert answer["Location"] == "/sign-in/hosted/?provider=Acme&next=%2Frides%2F"

    def test_who_leaves_stays_out(self, rider: SignedUp, client_for: Callable[..., Client]) -> None:
        client = client_for(rider)
        out = client.post("/sign-out/")["Location"]
        assert client.get(out).status_code == 200
        assert client.get(out).status_code == 200, "also when the page is loaded again"

    def test_whoever_is_told_something_reads_it(self, rider: SignedUp, client_for: Callable[..., Client]) -> None:
        client = client_for(rider)
        client.session.flush()
        answer = client.get(client.get("/rides/")["Location"])
        assert answer.status_code == 200
        assert "You have been signed out" in answer.content.decode()

    def test_the_form_is_still_there(self) -> None:
        assert "Password" in Client().get("/sign-in/?stay").content.decode()

    def test_a_provider_that_is_gone_leads_nobody_astray(self, settings: Any) -> None:
        settings.SIGN_IN_PROVIDER = "Gone"
        assert Client().get("/sign-in/").status_code == 200


# --- What must not get in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["Nobody", "acme", "Acme&scope=admin", "COGNITO", "Acme\r\nX: y", "../x"])
def test_a_provider_that_the_pool_does_not_have_is_not_asked(cloud: TestCloud, provider: str) -> None:
    assert Client().get("/sign-in/hosted/", {"provider": provider}).status_code == 404


def test_coming_back_twice_is_refused(hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    back = hosted_page.sign_in(set_out(client), rider)
    come_back(client, back)
    assert not [name for name, one in client.cookies.items() if name.startswith(hosted.COOKIE) and one.value]
    client.session.flush()
    assert "not started in this browser" in refused(come_back(client, back), client)


def test_a_used_code_is_refused_even_with_its_cookie(hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    back = hosted_page.sign_in(set_out(client), rider)
    kept = {name: one.value for name, one in client.cookies.items()}
    come_back(client, back)
    other = Client()
    for name, value in kept.items():
        other.cookies[name] = value
    refused(come_back(other, back), other)


def test_another_browsers_way_back_is_refused(hosted_page: HostedPage, rider: SignedUp) -> None:
    """Mallory sends somebody the end of her own sign-in."""
    mallory, victim = Client(), Client()
    back = hosted_page.sign_in(set_out(mallory), rider)
    refused(come_back(victim, back), victim)
    set_out(victim)
    refused(come_back(victim, back), victim)


@pytest.mark.parametrize("state", ["", "x", "é", "a" * 3000])
def test_a_missing_or_invented_state_is_refused(hosted_page: HostedPage, rider: SignedUp, state: str) -> None:
    client = Client()
    refused(come_back(client, hosted_page.sign_in(set_out(client), rider), state=state), client)


def test_a_code_from_another_sign_in_is_refused(hosted_page: HostedPage, rider: SignedUp, operator: SignedUp) -> None:
    """A stolen code, put into one's own way back: the verifier does not fit."""
    mallory, victim = Client(), Client()
    stolen = parse_qs(urlsplit(hosted_page.sign_in(set_out(victim), operator)).query)["code"][0]
    back = HostedPage().sign_in(set_out(mallory), rider)
    refused(come_back(mallory, back, code=stolen), mallory)


@pytest.mark.parametrize("code", ["", "invented", "a b&c"])
def test_a_code_that_cognito_did_not_give_is_refused(hosted_page: HostedPage, rider: SignedUp, code: str) -> None:
    client = Client()
    refused(come_back(client, hosted_page.sign_in(set_out(client), rider), code=code), client)


def test_a_sign_in_that_took_too_long_is_refused(hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    with time_machine.travel(time.time() - hosted.FLOW_SECONDS - 5, tick=True):
        address = set_out(client)
    back = hosted_page.sign_in(address, rider)
    assert "took too long" in refused(come_back(client, back), client)


def test_an_answer_that_says_it_is_anothers_is_refused(hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    back = hosted_page.sign_in(set_out(client), rider)
    refused(come_back(client, back, iss="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Another00"), client)
    client = Client()
    come_back(client, HostedPage().sign_in(set_out(client), rider), iss=settings.TOKEN_ISSUER)
    assert is_signed_in(client)


@pytest.mark.parametrize(
    ("error", "said"),
    [("access_denied", "you cancelled, or were not let in"), ("server_error", "may know why"), ("<b>", "may know why")],
)
def test_an_error_from_there_is_said_in_our_words(cloud: TestCloud, error: str, said: str) -> None:
    client = Client()
    state = parse_qs(urlsplit(set_out(client)).query)["state"][0]
    answer = client.get(
        "/sign-in/hosted/callback/", {"state": state, "error": error, "error_description": "Call 0900-MALLORY"}
    )
    assert said in refused(answer, client)
    assert "MALLORY" not in answer.content.decode()
    assert error not in answer.content.decode() or error == "<b>"
    assert '/sign-in/?stay"' in answer.content.decode()


def test_whom_cognito_knows_as_disabled_is_refused(cloud: TestCloud, acme: Company) -> None:
    acme.sign_in(Client(), "e-leaver", "leaver@acme.example")
    cloud.admin("cognito-idp").admin_disable_user(UserPoolId=acme.pool, Username="Acme_e-leaver")
    client = Client()
    refused(acme.sign_in(client, "e-leaver", "leaver@acme.example"), client)


# --- Tokens that are not this sign-in's -------------------------------------------------------------------------------


def forged(token: str, *, alg: str | None = None, **changes: Any) -> str:
    """Return an ID token with other claims. With alg none it has no signature, else the old one, which is wrong."""
    header, claims, signature = token.split(".")

    def part(text: str, new: dict[str, Any]) -> str:
        old = json.loads(base64.urlsafe_b64decode(text + "=="))
        return base64.urlsafe_b64encode(json.dumps({**old, **new}).encode()).rstrip(b"=").decode()

    return ".".join(
        (part(header, {"alg": alg} if alg else {}), part(claims, changes), "" if alg == "none" else signature)
    )


@pytest.fixture
def token_endpoint(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, str], str]], None]:
    """Return a function that changes the ID token on its way: from it, and the flow's nonce, to another one. That the
    endpoint itself was bribed is what no local cloud does."""
    real = hosted.exchange

    def install(change: Callable[[str, str], str]) -> None:
        def exchange(flow: hosted.Flow, code: str) -> Any:
            issued = real(flow, code)
            return SimpleNamespace(id=change(issued.id, flow.nonce), access=issued.access, refresh=issued.refresh)

        monkeypatch.setattr(hosted, "exchange", exchange)

    return install


def test_a_token_for_another_sign_in_is_refused(
    hosted_page: HostedPage, rider: SignedUp, token_endpoint: Callable[..., None]
) -> None:
    """A token that is good in every way but its nonce: it was issued to the password form."""
    plain = Client()
    plain.post("/sign-in/", {"username": rider.username, "password": rider.password})
    other = plain.session["tokens"]["id"]
    client = Client()
    back = hosted_page.sign_in(set_out(client), rider)
    token_endpoint(lambda _token, _nonce: other)
    refused(come_back(client, back), client)


def test_the_api_clients_token_is_refused(
    hosted_page: HostedPage, rider: SignedUp, token_endpoint: Callable[..., None]
) -> None:
    client = Client()
    back = hosted_page.sign_in(set_out(client), rider)
    token_endpoint(lambda _token, _nonce: rider.id_token)
    refused(come_back(client, back), client)
    with pytest.raises(tokens.InvalidToken, match="another client"):
        hosted.verified(hosted.Flow("state", "", "verifier"), SimpleNamespace(id=rider.id_token))  # type: ignore[arg-type]


@pytest.mark.parametrize("alg", ["none", "HS256", None])
def test_a_token_without_a_good_signature_is_refused(
    hosted_page: HostedPage, rider: SignedUp, token_endpoint: Callable[..., None], alg: str | None
) -> None:
    client = Client()
    back = hosted_page.sign_in(set_out(client), rider)
    token_endpoint(lambda token, nonce: forged(token, alg=alg, nonce=nonce, sub="somebody-else"))
    refused(come_back(client, back), client)


# --- Where it leads on to ---------------------------------------------------------------------------------------------

ELSEWHERE = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
    "http:///evil.example", "///evil.example", "/%0d%0aSet-Cookie:a=b\r\nX: y", "\t//evil.example", "/\t/evil.example",
    "javascript:alert(1)", "evil.example", "/\n/evil.example", "//evil.example\\@x", "/" + "a" * 2000,
    " //evil.example",
]  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_nobody_is_led_to_another_site(hosted_page: HostedPage, rider: SignedUp, target: str) -> None:
    client = Client()
    location = client.get("/sign-in/hosted/", {"next": target})["Location"]
    assert come_back(client, hosted_page.sign_in(location, rider))["Location"] == "/"


@given(st.text(max_size=30))
def test_a_target_is_an_absolute_path_of_ours(text: str) -> None:
    for target in (text, f"/{text}", f"//{text}", f"/\\{text}"):
        kept = hosted.own_page(target)
        assert kept.startswith("/")
        assert not kept.startswith(("//", "/\\"))
        assert kept.isprintable()


def test_what_the_callback_is_asked_for_leads_nowhere_else(hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    back = hosted_page.sign_in(set_out(client, "?next=/rides/"), rider)
    assert come_back(client, back, next="//evil.example", redirect_uri="//evil.example")["Location"] == "/rides/"


def test_signing_out_leads_nowhere_else(hosted_page: HostedPage, rider: SignedUp) -> None:
    client = Client()
    come_back(client, hosted_page.sign_in(set_out(client), rider))
    out = client.post("/sign-out/?next=//evil.example", {"next": "//evil.example"}, HTTP_HOST="127.0.0.1")["Location"]
    assert "evil" not in out


def test_no_address_is_made_of_the_requests_host(cloud: TestCloud) -> None:
    address = Client().get("/sign-in/hosted/", HTTP_HOST="localhost")["Location"]
    assert parse_qs(urlsplit(address).query)["redirect_uri"][0].startswith(settings.PORTAL_URL)


# --- Bad days ---------------------------------------------------------------------------------------------------------


def test_where_cognito_does_not_answer_the_page_says_so_and_loading_it_again_helps(
    hosted_page: HostedPage, rider: SignedUp, settings: Any
) -> None:
    client = Client(raise_request_exception=False)
    back = hosted_page.sign_in(set_out(client), rider)
    real, settings.HOSTED_UI_URL = settings.HOSTED_UI_URL, "http://127.0.0.1:9"
    answer = come_back(client, back)
    assert (answer.status_code, is_signed_in(client)) == (503, False)
    settings.HOSTED_UI_URL = real
    assert come_back(client, back).status_code == 302
    assert is_signed_in(client)


def test_no_code_token_or_secret_is_logged(
    hosted_page: HostedPage, rider: SignedUp, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="portal")
    client = Client(raise_request_exception=False)
    back = hosted_page.sign_in(set_out(client), rider)
    code = parse_qs(urlsplit(back).query)["code"][0]
    real, settings.HOSTED_UI_URL = settings.HOSTED_UI_URL, "http://127.0.0.1:9"
    come_back(client, back)
    settings.HOSTED_UI_URL = real
    come_back(client, back, code="another")
    flow = hosted.begin(provider="Acme", target="/")
    said = caplog.text + repr(flow)
    assert "refused (Astray)" in said
    for secret in (code, flow.state, flow.nonce, flow.verifier, rider.password):
        assert secret not in said


def test_someone_made_for_one_test_can_sign_in_there(hosted_page: HostedPage, someone: Someone) -> None:
    client = Client()
    come_back(client, hosted_page.sign_in(set_out(client), someone))
    assert client.session["claims"]["cognito:username"] == someone.username
