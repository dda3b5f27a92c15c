"""Claims and lifetimes of tokens where MiniStack differs from Cognito.

MiniStack says email_verified of every address nobody verified, takes refresh tokens that have expired, and
calls the time of a refresh the time of the sign-in.
Reference:
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
"""

import time
from contextvars import ContextVar
from typing import Any

from portal.localcloud.standins.cognito_calls import error
from portal.localcloud.standins.touchpoints import TouchpointMissing, module_with

_signed_in_at: ContextVar[int | None] = ContextVar("signed_in_at", default=None)


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
    )
    if cognito._RSA_PRIVATE_KEY is None:
        raise TouchpointMissing("ministack.services.cognito", "signing key (install the package cryptography)")
    # Touchpoints: all four are looked up in the module at each call.
    make_token, sign = cognito._fake_token, cognito._signed_jwt
    refresh_user, refresh = cognito._refresh_auth_user, cognito._refresh_auth_result

    def token_of_verified(*args: Any, user_attrs: Any = None, **options: Any) -> Any:
        if user_attrs and "email" in user_attrs:
            user_attrs = {"email_verified": "false", **user_attrs}
        return make_token(*args, user_attrs=user_attrs, **options)

    def sign_with_sign_in_time(claims: dict[str, Any], *args: Any, **options: Any) -> Any:
        signed_in_at = _signed_in_at.get()
        if signed_in_at is not None and "auth_time" in claims:
            claims = {**claims, "auth_time": signed_in_at}
        return sign(claims, *args, **options)

    def unexpired_refresh_user(pool: Any, pool_id: str, client_id: str, refresh_token: str) -> Any:
        user, refused = refresh_user(pool, pool_id, client_id, refresh_token)
        if refused is None and cognito._token_claims(refresh_token).get("exp", 0) <= time.time():
            return None, error("NotAuthorizedException", "Refresh Token has expired")
        return user, refused

    def refresh_since_sign_in(pool: Any, pool_id: str, client_id: str, refresh_token: str) -> Any:
        token = _signed_in_at.set(cognito._token_claims(refresh_token).get("iat"))
        try:
            return refresh(pool, pool_id, client_id, refresh_token)
        finally:
            _signed_in_at.reset(token)

    cognito._fake_token = token_of_verified
    cognito._signed_jwt = sign_with_sign_in_time
    cognito._refresh_auth_user = unexpired_refresh_user
    cognito._refresh_auth_result = refresh_since_sign_in
