"""Another system's word: which tokens are one, and what comes of it."""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from portal.accounts import tokens
from tests.accounts.conftest import go_on
from tests.conftest import TestCloud

DOOR, ARRIVAL = "/sign-in/vouched/", "/sign-in/arrival/"
ISSUER, PORTAL = "https://partner.example", "https://portal.example.com"
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
CURVE = ECKey.generate_key("P-384", {"kid": "curve", "use": "sig"})
OTHERS = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})


@pytest.fixture(autouse=True)
def partner(cloud: TestCloud, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bool]]:
    settings.VOUCHER_ISSUER, settings.PORTAL_URL = ISSUER, PORTAL
    settings.VOUCHER_KEYS_URL = "https://partner.example/keys"
    state = {"is_down": False}

    def fetch(url: str) -> list[dict[str, Any]]:
        if state["is_down"]:
            raise tokens.KeysUnavailable(url)
        # One without an id, and one of a kind that nobody uses, are passed over.
        return [*(key.as_dict(private=False) for key in (EC, RSA, CURVE)), {"kty": "RSA"}, {"kty": "oct", "kid": "oct"}]

    tokens._keys.cache_clear()
    monkeypatch.setattr(tokens, "fetch", fetch)
    yield state
    tokens._keys.cache_clear()


def token(key: Any = EC, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a token that is good but for the changes; None leaves a claim out."""
    now = int(time.time())
    usual = {
        "iss": ISSUER,
        "aud": PORTAL,
        "sub": "2002",
        "iat": now,
        "exp": now + 240,
        "jti": base64.b64encode(str(time.perf_counter_ns()).encode()).decode(),
        "preferred_username": "joan",
        "given_name": "Joan",
        "family_name": "Clarke",
        "email": "joan@partner.example",
        "email_verified": True,
    }
    claims = {name: value for name, value in {**usual, **changes}.items() if value is not None}
    header = {"alg": "RS256" if key is RSA else "ES256", "kid": key.kid, **(header or {})}
    registry = jws.JWSRegistry(algorithms=list(jws.JWSRegistry.algorithms), strict_check_header=False)
    return jwt.encode(header, claims, key, registry=registry)


def part(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def forged(header: dict[str, Any], secret: bytes) -> str:
    """Return a token with a good one's claims, signed with a secret, or not at all."""
    signed = f"{part(header)}.{token().split('.')[1]}"
    signature = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
    return f"{signed}.{signature if secret else ''}"


def post(text: str, client: Client | None = None, **fields: str) -> Any:
    return (client or Client()).post(DOOR, {"token": text, **fields})


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
def test_a_word_waits_for_the_person(cloud: TestCloud, key: Any) -> None:
    client = Client()
    answer = post(token(key), client, next="/rides/")
    assert (answer.status_code, answer["Location"]) == (303, ARRIVAL)
    assert cloud.items("sessions") == []
    assert "Continue as Joan Clarke?" in client.get(ARRIVAL).content.decode()
    assert go_on(client)["Location"] == "/rides/"
    user = client.get("/profile/").wsgi_request.user
    assert re.fullmatch(r"vouched:[0-9a-f]{32}", user.sub)
    assert (user.username, user.groups) == ("partner.example_joan", ())


def test_the_identity_pool_knows_whom_the_portal_lets_in(cloud: TestCloud) -> None:
    client = Client()
    post(token(sub="known to the pool"), client)
    cloud.forget_calls()
    go_on(client)
    calls = cloud.calls()
    assert calls["cognito-identity", "GetOpenIdTokenForDeveloperIdentity"] == 1
    assert calls["sts", "AssumeRoleWithWebIdentity"] == 1
    # The credentials are there already when they are first used.
    cloud.forget_calls()
    assert client.get("/aws-access/").status_code == 200
    assert not [call for call in cloud.calls() if call[0] in ("sts", "cognito-identity")]


def test_somebody_whom_the_pool_does_not_take_is_not_let_in(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.accounts import identity_pool
    from portal.accounts.refusals import SignedOut

    def vouch(*args: object, **more: object) -> None:
        raise SignedOut

    client = Client()
    post(token(sub="not taken"), client)
    monkeypatch.setattr(identity_pool, "vouch", vouch)
    assert go_on(client).status_code == 403
    assert client.get("/profile/").status_code == 302
    assert cloud.items("sessions") == []


NOW = int(time.time())
NAN = float("nan")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: "", id="nothing"),
        pytest.param(lambda: "a.b.c", id="no token"),
        pytest.param(lambda: "é" * 10, id="not ASCII"),
        pytest.param(lambda: token(padding="x" * 10_000), id="too long"),
        pytest.param(lambda: forged({"alg": "none"}, b""), id="alg none"),
        pytest.param(lambda: forged({"alg": "none", "kid": "ec"}, b""), id="alg none, key id"),
        pytest.param(lambda: forged({"alg": "HS256", "kid": "rsa"}, RSA.as_pem(private=False)), id="HS256, public key"),
        pytest.param(
            lambda: forged({"alg": "HS256", "kid": "ec"}, json.dumps(EC.as_dict(private=False)).encode()),
            id="HS256, public JWK",
        ),
        pytest.param(lambda: token(OTHERS), id="another's key"),
        pytest.param(lambda: token(CURVE, {"alg": "ES384"}), id="another algorithm"),
        pytest.param(lambda: token(RSA, {"alg": "PS256"}), id="PS256"),
        pytest.param(lambda: token(EC, {"kid": "oct"}), id="key that is no key"),
        pytest.param(lambda: token(EC, {"kid": "unknown"}), id="unknown key"),
        pytest.param(lambda: token(EC, {"jwk": EC.as_dict(private=False)}), id="key in the token"),
        pytest.param(lambda: token(EC, {"jku": "https://evil.example"}), id="address of keys in the token"),
        pytest.param(lambda: token(iss="https://evil.example"), id="other issuer"),
        pytest.param(lambda: token(iss=None), id="no issuer"),
        pytest.param(lambda: token(aud="https://other.example"), id="other audience"),
        pytest.param(lambda: token(aud=f"{PORTAL}/"), id="nearly our audience"),
        pytest.param(lambda: token(aud=[PORTAL, "https://other.example"]), id="several audiences"),
        pytest.param(lambda: token(aud=None), id="no audience"),
        pytest.param(lambda: token(exp=NOW - 60), id="expired"),
        pytest.param(lambda: token(exp=NOW + 3600), id="good for too long"),
        pytest.param(lambda: token(exp=NAN), id="end is no number"),
        pytest.param(lambda: token(exp=float("inf")), id="no end"),
        pytest.param(lambda: token(exp="2030"), id="end is text"),
        pytest.param(lambda: token(exp=None), id="without end"),
        pytest.param(lambda: token(iat=NOW + 3600), id="made later"),
        pytest.param(lambda: token(iat=None), id="no iat"),
        pytest.param(lambda: token(nbf=NOW + 3600), id="not yet"),
        pytest.param(lambda: token(sub=None), id="nobody"),
        pytest.param(lambda: token(sub=""), id="empty sub"),
        pytest.param(lambda: token(sub=7), id="sub is a number"),
        pytest.param(lambda: token(sub=["2002"]), id="sub is a list"),
        pytest.param(lambda: token(sub="a\0b"), id="control character"),
        pytest.param(lambda: token(jti=None), id="no jti"),
        pytest.param(lambda: token(jti=""), id="empty jti"),
        pytest.param(lambda: token(jti={}), id="jti is an object"),
        pytest.param(lambda: f"{part({'alg': 'ES256', 'kid': 'ec'})}.{part([1])}.x", id="claims are a list"),
    ],
)
def test_what_is_refused(cloud: TestCloud, caplog: pytest.LogCaptureFixture, make: Callable[[], str]) -> None:
    client, text = Client(), make()
    answer = post(text, client)
    assert answer.status_code == 403
    assert "You are not signed in" in answer.content.decode()
    assert client.get(ARRIVAL).status_code == 302
    assert cloud.items("idempotency") == []
    [line] = [one.getMessage() for one in caplog.records if one.name.endswith("arrival_views")]
    assert "token" in line or "its " in line
    assert not text or text not in caplog.text


def test_a_token_works_once(cloud: TestCloud, caplog: pytest.LogCaptureFixture) -> None:
    text = token()
    assert post(text).status_code == 303
    assert post(text).status_code == 403
    # A second one with the same jti, too.
    assert post(token(jti="same")).status_code == 303
    assert post(token(jti="same", sub="2001")).status_code == 403
    assert "used already" in caplog.text


def test_of_two_at_once_one_is_taken(cloud: TestCloud) -> None:
    text = token()
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: post(text).status_code, range(4))) == [303, 403, 403, 403]


def test_while_the_keys_cannot_be_read_it_is_a_503(partner: dict[str, bool]) -> None:
    partner["is_down"] = True
    text = token()
    assert post(text, Client(raise_request_exception=False)).status_code == 503
    partner["is_down"] = False
    tokens._keys.cache_clear()  # a moment later
    assert post(text).status_code == 303


@pytest.mark.parametrize("setting", ["VOUCHER_ISSUER", "VOUCHER_KEYS_URL"])
def test_without_a_system_there_is_no_door(settings: Any, setting: str) -> None:
    setattr(settings, setting, "")
    assert post(token()).status_code == 404


def test_a_word_is_posted_and_not_linked_to() -> None:
    assert Client().get(DOOR, {"token": "x"}).status_code == 405


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "\\\\evil.example", "/a\r\nb: c"])
def test_nobody_is_sent_on_to_another_site(target: str) -> None:
    client = Client()
    post(token(), client, next=target)
    assert go_on(client)["Location"] == "/"


def test_what_is_said_of_someone_gives_no_rights_and_no_account(cloud: TestCloud) -> None:
    client = Client()
    said = {"cognito:groups": ["operators"], "groups": ["operators"], "cognito:username": "operator"}
    post(token(preferred_username="operator", email="operator@example.com", email_verified=False, **said), client)
    go_on(client)
    user = client.get("/profile/").wsgi_request.user
    assert (user.username, user.groups, user.is_staff) == ("partner.example_operator", (), False)


@pytest.mark.parametrize("value", [None, 7, ["x"], "a\0b", ""])
def test_odd_names_are_left_out(value: Any) -> None:
    client = Client()
    post(token(preferred_username=value, given_name=value, family_name=value, email=value), client)
    assert "2002" in client.get(ARRIVAL).content.decode()
    assert go_on(client).status_code == 302


def test_keys_that_cannot_be_read_are_not_asked_for_at_every_token(
    cloud: TestCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def down(url: str) -> list[dict[str, Any]]:
        asked.append(url)
        raise tokens.KeysUnavailable(url)

    tokens._keys.cache_clear()
    monkeypatch.setattr(tokens, "fetch", down)
    client = Client(raise_request_exception=False)
    assert [post(token(), client).status_code for _ in range(4)] == [503] * 4
    assert len(asked) == 1
    tokens._keys.cache_clear()


def test_one_key_that_cannot_be_read_spoils_none_of_the_others(
    cloud: TestCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = {"kty": "EC", "kid": "strange", "crv": "P-512x", "x": "AA", "y": "AA"}
    keys = [EC.as_dict(private=False), strange]
    tokens._keys.cache_clear()
    monkeypatch.setattr(tokens, "fetch", lambda url: keys)
    assert post(token()).status_code == 303
    tokens._keys.cache_clear()
