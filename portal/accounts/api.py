"""Who calls the JSON API, and `/me`, which tells them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Schema
from ninja.errors import AuthenticationError, HttpError
from ninja.security import HttpBearer
from ninja.utils import check_csrf
from pydantic import ConfigDict
from pydantic.alias_generators import to_pascal

from portal.accounts import session, tokens
from portal.accounts.models import Claims, User

router = Router(tags=["Me"])


class Caller(HttpBearer):
    """Know the caller by, in this order: the claims that an API Gateway Cognito authorizer put into the Lambda event;
    the ID token in `Authorization`, raw or as `Bearer`; the session, where the CSRF token is due with it.

    request.user is then that User.
    """

    openapi_scheme: str = "bearer"
    openapi_bearerFormat: str = "JWT"  # noqa: N815 - OpenAPI's name

    def __call__(self, request: HttpRequest) -> User | None:
        claims = authorizer_claims(request)
        if claims is not None:
            request.user = User.from_claims(from_authorizer(claims))
            session.bring(request, _token(request.headers.get("Authorization", "")))
        elif header := request.headers.get("Authorization"):
            request.user = self.authenticate(request, header)
        elif request.user.is_authenticated:
            if check_csrf(request):
                raise HttpError(403, "The CSRF token is missing or wrong: send it as X-CSRFToken, or send an ID token.")
        else:
            return None
        assert isinstance(request.user, User)  # noqa: S101 - one of the three above
        return request.user

    def authenticate(self, request: HttpRequest, token: str) -> User:
        token = _token(token)
        try:
            user = User.from_claims(tokens.verify(token))
        except tokens.InvalidToken as error:
            raise AuthenticationError(
                message="The Authorization header holds no valid ID token, or it expired."
            ) from error
        session.bring(request, token)
        return user


def _token(header: str) -> str:
    return re.sub(r"^Bearer +", "", header, flags=re.IGNORECASE)


def authorizer_claims(request: HttpRequest) -> Claims | None:
    """Return the claims that API Gateway's own authorizer verified, if there is one in front.

    The event is beside the HTTP request: no client can write to it.
    Reference: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    """
    event = request.META.get("apig_wsgi.full_event") or {}
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    claims = authorizer.get("claims") or (authorizer.get("jwt") or {}).get("claims")
    return claims if isinstance(claims, dict) and claims else None


def from_authorizer(claims: Claims) -> Claims:
    """Return an authorizer's claims, which are all text, as an ID token has them. Raises AuthenticationError."""
    # The tutorial's event has a user name only. A sub never has a colon, so nobody can be mistaken for someone else.
    sub = claims["sub"] if "sub" in claims else f"username:{claims.get('cognito:username', '')}"
    fits = (
        claims.get("iss", settings.TOKEN_ISSUER) == settings.TOKEN_ISSUER
        and claims.get("aud", settings.PORTAL_CLIENT_ID) in (settings.PORTAL_CLIENT_ID, settings.API_CLIENT_ID)
        and claims.get("token_use", "id") == "id"
        and ("exp" not in claims or _seconds(claims["exp"]) > time.time())
        and isinstance(sub, str)
        and sub not in ("", "username:")
    )
    if not fits:
        raise AuthenticationError(message="The authorizer's claims are not those of an ID token of this user pool.")
    groups = claims.get("cognito:groups", [])
    if isinstance(groups, str):
        # REST APIs write "a,b", HTTP APIs "[a b]".
        groups = [group for group in re.split(r"[,\s]+", groups.strip("[]")) if group]
    return {**claims, "sub": sub, "cognito:groups": groups}


def _seconds(expires: object) -> float:
    """Read an expiry: HTTP APIs write "1795245619", REST APIs "Sat Nov 21 07:20:19 UTC 2026"."""
    try:
        return float(str(expires))
    except ValueError:
        pass
    try:
        return datetime.strptime(str(expires), "%a %b %d %H:%M:%S UTC %Y").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0


class Me(Schema):
    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)

    message: str
    username: str
    sub: str
    given_name: str
    family_name: str
    email: str
    groups: list[str]
    claims: dict[str, Any]


@router.post("/me", response=Me, by_alias=True, operation_id="post_me", summary="Who am I, by POST")
@router.get("/me", response=Me, by_alias=True, operation_id="get_me", summary="Who am I")
def me(request: HttpRequest) -> Me:
    """Greet the caller. Nothing in the request but the token or the session says who that is."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - Caller saw to it
    return Me(
        message=f"Hello {user.get_full_name()}!",
        username=user.username,
        sub=user.sub,
        given_name=user.given_name,
        family_name=user.family_name,
        email=user.email,
        groups=list(user.groups),
        claims=dict(user.claims),
    )
