"""The one verifier of ID tokens: for the forms, the sessions and the JSON API.

Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any

import urllib3
from django.conf import settings
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol, RSAKey

from portal.aws import Unavailable

LEEWAY_SECONDS = 10
REFETCH_SECONDS = 60
RETRY_SECONDS = 2
# Anything else (crit, jku, x5u, b64 …) would ask the verifier to do something. Cognito sends alg and kid.
HEADERS = frozenset({"alg", "kid", "typ"})

Key = RSAKey | ECKey
_KINDS: dict[str, type[Key]] = {"RSA": RSAKey, "EC": ECKey}

_http = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=2, read=3), retries=urllib3.Retry(1, redirect=0, backoff_factor=0.1)
)


class InvalidToken(Exception):
    """The text is not an ID token of our user pool for one of our clients, or no longer."""


class KeysUnavailable(Unavailable):
    """The user pool's public keys could not be read, so nothing can be said about the token."""


def verify(token: str) -> dict[str, Any]:
    """Return the claims of an ID token. Raises InvalidToken and KeysUnavailable."""
    try:
        claims = _signed_claims(token, settings.JWKS_URL)
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.TOKEN_ISSUER},
            aud={"essential": True, "values": [settings.PORTAL_CLIENT_ID, settings.API_CLIENT_ID]},
            token_use={"essential": True, "value": "id"},
            exp={"essential": True},
            sub={"essential": True},
        )
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise InvalidToken(type(error).__name__) from error
    if not isinstance(claims["aud"], str) or not isinstance(claims["token_use"], str):
        raise InvalidToken("A Cognito ID token has one audience and one use.")
    return dict(claims)


def signed_claims(token: str, keys_url: str, *, algorithms: Sequence[str] = ("RS256",)) -> dict[str, Any]:
    """Return what is signed in a token with one of the keys at an address, and no more than signed: who it is from, for
    whom and until when is still to be looked at. Raises InvalidToken, KeysUnavailable, JoseError and ValueError."""

    def key(signed: GuestProtocol) -> Key:
        header = signed.headers()
        if not set(header) <= HEADERS:
            raise InvalidToken("The header has fields that Cognito does not write.")
        return _keys(keys_url).find(header.get("kid"))

    return jwt.decode(token, key, algorithms=list(algorithms)).claims


# A signature costs 0.2 ms to check and stays true, so the last ones are remembered. The claims are weighed every
# time: they may have expired since.
_signed_claims = lru_cache(maxsize=512)(signed_claims)


class _Keys:
    """The public keys of an issuer, read when first needed and again for a key id that is not among them, but not
    more often than once a minute: anybody can invent key ids."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, Key] = {}
        self._fetched_at: float | None = None
        self._is_down = False
        self._lock = threading.Lock()

    def find(self, kid: object) -> Key:
        """Return the key with this id. Raises InvalidToken and KeysUnavailable."""
        if not isinstance(kid, str):
            raise InvalidToken("The header names no key.")
        if kid not in self._keys:
            with self._lock:
                if kid not in self._keys and self._may_fetch():
                    # Also where it fails: a slow endpoint is not waited for at every invented key id.
                    self._fetched_at, self._is_down = time.monotonic(), True
                    self._keys = dict(_read(fetch(self._url)))
                    self._fetched_at, self._is_down = time.monotonic(), False
        if self._is_down and not self._keys:
            raise KeysUnavailable(f"{self._url} was not read a moment ago")
        try:
            return self._keys[kid]
        except KeyError as error:
            raise InvalidToken("The key is not one of the issuer's.") from error

    def _may_fetch(self) -> bool:
        if self._fetched_at is None:
            return True
        # Without any key nobody gets in, so the next try comes soon.
        pause = RETRY_SECONDS if self._is_down and not self._keys else REFETCH_SECONDS
        return time.monotonic() - self._fetched_at > pause


_keys = cache(_Keys)


def _read(found: list[dict[str, Any]]) -> Iterator[tuple[str, Key]]:
    """Yield the keys that can check a signature; one that cannot be read spoils none of the others."""
    for key in found:
        if "kid" in key and key.get("kty") in _KINDS and key.get("use", "sig") == "sig":
            with suppress(JoseError, ValueError, KeyError, TypeError):
                yield key["kid"], _KINDS[key["kty"]].import_key(key)


def fetch(url: str) -> list[dict[str, Any]]:
    """Return the keys of a JSON Web Key Set. Raises KeysUnavailable."""
    try:
        answer = _http.request("GET", url)
        if answer.status != 200:
            raise KeysUnavailable(f"{url} answered {answer.status}")
        keys: list[dict[str, Any]] = json.loads(answer.data)["keys"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
        raise KeysUnavailable(url) from error
    return keys
