"""Which texts pass as an ID token."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from django.conf import settings
from joserfc import jws, jwt
from joserfc.jwk import RSAKey

from portal import aws
from portal.accounts import tokens

OURS = RSAKey.generate_key(2048, {"kid": "ours", "use": "sig", "alg": "RS256"})
THEIRS = RSAKey.generate_key(2048, {"kid": "ours", "use": "sig", "alg": "RS256"})
NEXT = RSAKey.generate_key(2048, {"kid": "next", "use": "sig", "alg": "RS256"})


class Jwks:
    """The pool's key set: what it holds, and how often it was read."""

    def __init__(self) -> None:
        self.keys = [OURS.as_dict(private=False)]
        self.reads = 0
        self.is_down = False

    def fetch(self, url: str) -> list[dict[str, Any]]:
        self.reads += 1
        if self.is_down:
            raise tokens.KeysUnavailable(url)
        return self.keys


@pytest.fixture(autouse=True)
def jwks(monkeypatch: pytest.MonkeyPatch) -> Jwks:
    forget()
    served = Jwks()
    monkeypatch.setattr(tokens, "fetch", served.fetch)
    yield served
    forget()


def forget() -> None:
    tokens._keys.cache_clear()
    tokens._signed_claims.cache_clear()


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "sub": "5c1f",
        "iss": settings.TOKEN_ISSUER,
        "aud": settings.API_CLIENT_ID,
        "token_use": "id",
        "iat": now,
        "exp": now + 3600,
        "cognito:username": "ada",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def sign(key: Any = OURS, header: dict[str, Any] | None = None, **changes: Any) -> str:
    header = {"alg": "RS256", "kid": "ours", **(header or {})}
    registry = jws.JWSRegistry(algorithms=list(jws.JWSRegistry.algorithms), strict_check_header=False)
    return jwt.encode(header, claims(**changes), key, registry=registry, default_type=None)


def part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("audience", ["PORTAL_CLIENT_ID", "API_CLIENT_ID"])
def test_id_token_of_either_client_is_valid(audience: str) -> None:
    assert tokens.verify(sign(aud=getattr(settings, audience)))["cognito:username"] == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other"},
        {"iss": None},
        {"iss": [settings.TOKEN_ISSUER]},
        {"aud": "somebody-elses-client"},
        {"aud": None},
        {"aud": [settings.API_CLIENT_ID, "somebody-elses-client"]},
        {"aud": [settings.API_CLIENT_ID]},
        {"token_use": "access"},
        {"token_use": None},
        {"token_use": ["id", "access"]},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": "never"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
    ],
)
def test_claims_of_another_token_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(**changes))


def test_access_token_is_refused() -> None:
    # An access token has client_id instead of aud.
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(token_use="access", aud=None, client_id=settings.API_CLIENT_ID))
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(token_use="access"))


def test_clock_of_cognito_may_be_a_little_ahead() -> None:
    now = int(time.time())
    assert tokens.verify(sign(iat=now + 5, exp=now - 5))["sub"] == "5c1f"


def test_another_key_of_the_same_name_is_refused() -> None:
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(THEIRS))


def test_changed_claims_are_refused() -> None:
    header, _, signature = sign().split(".")
    changed = part({**claims(), "cognito:groups": ["operators"]})
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(f"{header}.{changed}.{signature}")


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
def test_no_signature_is_refused(name: str) -> None:
    for signature in ("", "AAAA"):
        with pytest.raises(tokens.InvalidToken):
            tokens.verify(f"{part({'alg': name, 'kid': 'ours'})}.{part(claims())}.{signature}")


def test_public_key_is_no_shared_secret() -> None:
    signing_input = f"{part({'alg': 'HS256', 'kid': 'ours'})}.{part(claims())}"
    for secret in (OURS.as_pem(private=False), json.dumps(OURS.as_dict(private=False)).encode()):
        digest = hmac.digest(secret, signing_input.encode(), "sha256")
        signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        with pytest.raises(tokens.InvalidToken):
            tokens.verify(f"{signing_input}.{signature}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_algorithms_that_cognito_does_not_use_are_refused(algorithm: str) -> None:
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(RSAKey.import_key(OURS.as_pem(private=True)), {"alg": algorithm}))


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"jwk": THEIRS.as_dict(private=False)},
        {"crit": ["b64"], "b64": True},
        {"cty": "JWT"},
        {"zip": "DEF"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_header_that_asks_for_more_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(OURS, header))


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "eyJraWQiOiJLTzRVMWZs", "a.b.c", "a.b.c.d.e", "é.é.é", "\x00", "x" * 200_000, "e30.e30.e30"],
    ids=lambda text: text[:12].encode("unicode_escape").decode() or "empty",
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(text)


@pytest.mark.parametrize("payload", ["[]", '"text"', "null", "1", "{"])
def test_payload_that_is_no_object_is_refused(payload: str) -> None:
    token = jws.serialize_compact({"alg": "RS256", "kid": "ours"}, payload, OURS)
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(token)


@pytest.mark.parametrize("kid", [None, 7, ["ours"], "", "another-pools"])
def test_key_that_the_pool_does_not_have_is_refused(kid: object) -> None:
    header = {"alg": "RS256"} if kid is None else {"alg": "RS256", "kid": kid}
    signing_input = f"{part(header)}.{part(claims())}"
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(f"{signing_input}.AAAA")


def test_keys_are_read_once(jwks: Jwks) -> None:
    for n in range(3):
        tokens.verify(sign(sub=f"person-{n}"))
    assert jwks.reads == 1


def test_invented_key_ids_read_the_keys_no_more_than_once_a_minute(jwks: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(5):
        with pytest.raises(tokens.InvalidToken):
            tokens.verify(sign(NEXT, {"kid": f"invented-{n}"}))
    assert jwks.reads == 1
    now = time.monotonic()
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now + tokens.REFETCH_SECONDS + 1)
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(NEXT, {"kid": "invented-again"}))
    assert jwks.reads == 2


def test_new_key_of_the_pool_is_found(jwks: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens.verify(sign())
    jwks.keys = [OURS.as_dict(private=False), NEXT.as_dict(private=False)]
    now = time.monotonic()
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now + tokens.REFETCH_SECONDS + 1)
    assert tokens.verify(sign(NEXT, {"kid": "next"}))["sub"] == "5c1f"


def test_keys_that_cannot_be_read_are_a_passing_failure(jwks: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    jwks.is_down = True
    for _ in range(3):
        with pytest.raises(tokens.KeysUnavailable) as caught:
            tokens.verify(sign())
        assert aws.is_transient(caught.value)
    assert jwks.reads == 1, "not at every token that anybody sends"
    jwks.is_down = False
    now = time.monotonic()
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now + tokens.RETRY_SECONDS + 1)
    assert tokens.verify(sign())["sub"] == "5c1f"


def test_keys_that_cannot_be_read_again_are_not_waited_for_by_every_invented_key_id(
    jwks: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.verify(sign())
    jwks.is_down = True
    now = time.monotonic()
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now + tokens.REFETCH_SECONDS + 1)
    with pytest.raises(tokens.KeysUnavailable):
        tokens.verify(sign(NEXT, {"kid": "invented"}))
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign(NEXT, {"kid": "invented-too"}))
    assert jwks.reads == 2
    assert tokens.verify(sign(sub="known"))["sub"] == "known"


def test_keys_for_encryption_or_of_another_kind_do_not_sign(jwks: Jwks) -> None:
    jwks.keys = [{**OURS.as_dict(private=False), "use": "enc"}, {"kty": "oct", "kid": "ours", "k": "AAAA"}]
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(sign())


def test_remembered_token_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    token = sign()
    tokens.verify(token)
    later = time.time() + 3600 + tokens.LEEWAY_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(token)


def test_claims_that_were_given_out_cannot_change_the_remembered_ones() -> None:
    token = sign()
    tokens.verify(token)["sub"] = "somebody else"
    assert tokens.verify(token)["sub"] == "5c1f"


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"<html>"), (200, b"{}"), (302, b"")])
def test_key_set_that_is_not_one_is_a_passing_failure(
    status: int, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    class Answer:
        def __init__(self) -> None:
            self.status, self.data = status, body

    monkeypatch.setattr(tokens._http, "request", lambda method, url: Answer())
    with pytest.raises(tokens.KeysUnavailable):
        tokens.fetch("http://127.0.0.1:9/")


def test_key_set_behind_a_closed_port_is_a_passing_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(tokens, "_http", urllib3.PoolManager(timeout=0.5, retries=False))
    with pytest.raises(tokens.KeysUnavailable):
        tokens.fetch("http://127.0.0.1:9/")


class TestOverTheCloud:
    """The same with the local cloud's own tokens."""

    @pytest.fixture(autouse=True)
    def real_keys(self, jwks: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()

    def test_id_token_is_valid_and_access_and_refresh_token_are_not(self, rider: Any) -> None:
        verified = tokens.verify(rider.id_token)
        assert (verified["sub"], verified["cognito:username"]) == (rider.sub, "rider")
        for other in (rider.access_token, rider.refresh_token):
            with pytest.raises(tokens.InvalidToken):
                tokens.verify(other)

    def test_token_of_another_pool_is_refused(self, cloud: Any) -> None:
        cognito = cloud.admin("cognito-idp")
        pool = cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
        client = cognito.create_user_pool_client(
            UserPoolId=pool, ClientName="other", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        cognito.admin_create_user(UserPoolId=pool, Username="rider", MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username="rider", Password="Portico-2026!", Permanent=True)
        issued = cognito.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=client,
            AuthParameters={"USERNAME": "rider", "PASSWORD": "Portico-2026!"},
        )["AuthenticationResult"]
        cognito.delete_user_pool(UserPoolId=pool)
        with pytest.raises(tokens.InvalidToken):
            tokens.verify(issued["IdToken"])


def test_verification_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    token = sign()
    first = tokens.verify(token)
    monkeypatch.setattr(tokens.jwt, "decode", forbidden)
    assert tokens.verify(token) == first


def forbidden(*args: object, **kwargs: object) -> Callable[..., None]:
    raise AssertionError("verified again")
