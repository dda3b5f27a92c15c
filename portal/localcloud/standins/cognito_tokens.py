"""Claims and lifetimes of tokens where MiniStack differs from Cognito.

MiniStack says email_verified of every address nobody verified, puts attributes into ID tokens that the app client may
not read, takes refresh tokens that have expired, and calls the time of a refresh the time of the sign-in.
Reference:
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html and
https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html (what each scope gives)
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from portal.localcloud.standins.cognito_calls import error
from portal.localcloud.standins.touchpoints import TouchpointMissing, module_with

_signed_in_at: ContextVar[int | None] = ContextVar("signed_in_at", default=None)
ALWAYS_READ = frozenset({"sub", "identities"})
SCOPES = {"email": {"email", "email_verified"}, "phone": {"phone_number", "phone_number_verified"}}


def install() -> None:
    """Patch the making and the refreshing of tokens. Raises TouchpointMissing."""
    cognito = module_with(
        "ministack.services.cognito",
        "_fake_token",
        "_signed_jwt",
        "_refresh_auth_user",
        "_refresh_auth_result",
        "_token_claims",
        "_RSA_PRIVATE_KEY",
        "_user_pools",
    )
    if cognito._RSA_PRIVATE_KEY is None:
        raise TouchpointMissing("ministack.services.cognito", "signing key (install the package cryptography)")
    # Touchpoints: all four are looked up in the module at each call.
    make_token, sign = cognito._fake_token, cognito._signed_jwt
    refresh_user, refresh = cognito._refresh_auth_user, cognito._refresh_auth_result

    def token_of_readable(sub: str, pool_id: str, client_id: str, kind: str, **options: Any) -> Any:
        attributes = options.pop("user_attrs", None) or {}
        if kind == "id":
            client = ((cognito._user_pools.get(pool_id) or {}).get("_clients") or {}).get(client_id) or {}
            attributes = readable(attributes, client.get("ReadAttributes") or (), options.get("scope"))
        return make_token(sub, pool_id, client_id, kind, user_attrs=attributes, **options)

    def sign_with_sign_in_time(claims: dict[str, Any], *args: Any, **options: Any) -> Any:
        since = _signed_in_at.get()
        if since is not None and "auth_time" in claims:
            claims = {**claims, "auth_time": since}
        if claims.get("token_use") == "refresh":
            claims = {**claims, "auth_time": since or claims["iat"]}
        return sign(claims, *args, **options)

    def unexpired_refresh_user(pool: Any, pool_id: str, client_id: str, refresh_token: str) -> Any:
        user, refused = refresh_user(pool, pool_id, client_id, refresh_token)
        if refused is None and cognito._token_claims(refresh_token).get("exp", 0) <= time.time():
            return None, error("NotAuthorizedException", "Refresh Token has expired")
        return user, refused

    def refresh_since_sign_in(pool: Any, pool_id: str, client_id: str, refresh_token: str) -> Any:
        claims = cognito._token_claims(refresh_token)
        with signed_in_at(claims.get("auth_time", claims.get("iat"))):
            return refresh(pool, pool_id, client_id, refresh_token)

    cognito._fake_token = token_of_readable
    cognito._signed_jwt = sign_with_sign_in_time
    cognito._refresh_auth_user = unexpired_refresh_user
    cognito._refresh_auth_result = refresh_since_sign_in


@contextmanager
def signed_in_at(epoch: int | None) -> Iterator[None]:
    """Make tokens that say so of someone who signed in at that time."""
    token = _signed_in_at.set(epoch)
    try:
        yield
    finally:
        _signed_in_at.reset(token)


def readable(attributes: Mapping[str, str], names: Any, scope: str | None) -> dict[str, str]:
    """Return the attributes that an ID token may say: those the client may read, and the scopes give."""
    scopes = set((scope or "").split())
    given = None if "profile" in scopes else {name for one in scopes & SCOPES.keys() for name in SCOPES[one]}

    def may_say(name: str) -> bool:
        return name in ALWAYS_READ or ((not names or name in names) and (not given or name in given))

    said = {name: value for name, value in attributes.items() if may_say(name)}
    if "email" in said:
        # MiniStack takes an address for verified when nothing is said.
        said["email_verified"] = attributes.get("email_verified", "false")
    return said
