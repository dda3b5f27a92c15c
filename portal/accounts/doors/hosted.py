"""Cognito's hosted UI: the way there and back, by OpenID Connect's code flow with state, nonce and PKCE.

What the way back must fit is in a signed cookie of the browser that set out, one for each time it did, so that two tabs
do not disturb each other and no browser comes back from a way that another one went.

References: https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html, RFC 9700
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from portal.accounts import cognito, tokens
from portal.accounts.doors import cookies
from portal.accounts.models import Claims
from portal.accounts.refusals import Refused
from portal.aws import Unavailable

FLOW_SECONDS = 600
MOST_FLOWS = 5
TIMEOUT_SECONDS = 5
# The last one lets people who signed in there manage their own account.
SCOPES = "openid email profile phone aws.cognito.signin.user.admin"
# With this prefix, no page of a neighbouring host can plant one.
COOKIE = "portico-hosted-" if settings.LOCAL_CLOUD else "__Host-portico-hosted-"
# The hosted UI may have a session of its own in this browser.
BEEN_THERE = "been-there"
BEEN_THERE_SECONDS = 12 * 60 * 60
# A header has room for so much, and no page of ours has a longer address.
LONGEST_TARGET = 1000


class Astray(Refused):
    sentence = "This sign-in was not started in this browser, took too long, or was used already."


class Cancelled(Refused):
    sentence = "You were not signed in: you cancelled, or were not let in there."


class NotAccepted(Refused):
    sentence = "You were not signed in. Whoever looks after your account there may know why."


@dataclass(frozen=True)
class Flow:
    """What one way to the hosted UI and back has to fit."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    provider: str = ""
    # A page of ours.
    target: str = ""
    # The sub of who wants to connect the provider to their account, and not to sign in.
    connecting: str = ""


def begin(*, provider: str, target: str, connecting: str = "") -> Flow:
    state, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    return Flow(state, nonce, secrets.token_urlsafe(48), provider, own_page(target), connecting)


def authorize_url(flow: Flow) -> str:
    """Return where the browser goes: the provider's sign-in, or the hosted UI's own page where none is named."""
    extra = {"identity_provider": flow.provider} if flow.provider else {}
    if flow.connecting:
        # Not with a session that the hosted UI still has from before.
        extra["prompt"] = "login"
    url, _ = _session("").create_authorization_url(
        f"{settings.HOSTED_UI_URL}/oauth2/authorize",
        state=flow.state,
        nonce=flow.nonce,
        code_verifier=flow.verifier,
        **extra,
    )
    return str(url)


def has_been_there(request: HttpRequest) -> bool:
    return cookies.find(request, BEEN_THERE, seconds=BEEN_THERE_SECONDS) is not None


def logout_url() -> str:
    """Return where the hosted UI ends its own session; it leads back to our sign-in page."""
    # The address must be one of the client's LogoutURLs to the letter.
    query = {
        "client_id": settings.PORTAL_CLIENT_ID,
        "logout_uri": settings.PORTAL_URL + resolve_url(settings.LOGOUT_REDIRECT_URL),
    }
    return f"{settings.HOSTED_UI_URL}/logout?{urlencode(query)}"


def own_page(target: str) -> str:
    """Return the target if it is a page of ours, an absolute path and nothing else, or else the first page."""
    is_ours = (
        target.startswith("/")
        and not target.startswith(("//", "/\\"))  # browsers take either for another host
        and len(target) <= LONGEST_TARGET
        and target.isprintable()
    )
    return target if is_ours else resolve_url(settings.LOGIN_REDIRECT_URL)


# --- What the browser keeps -------------------------------------------------------------------------------------------


def keep(request: HttpRequest, response: HttpResponse, flow: Flow) -> None:
    """Give the browser what it needs to come back. Lax: it comes back from another site."""
    earlier = [name for name in request.COOKIES if name.startswith(COOKIE)]
    if len(earlier) >= MOST_FLOWS:
        for name in earlier:
            _delete(response, name)
    response.set_cookie(
        _cookie(flow.state),
        signing.dumps(asdict(flow), salt=COOKIE),
        max_age=FLOW_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


@sensitive_variables()
def kept(request: HttpRequest) -> Flow:
    """Return the flow with which this browser set out and now comes back. Raises Astray."""
    state = request.GET.get("state", "")
    try:
        flow = Flow(**signing.loads(request.COOKIES.get(_cookie(state), ""), salt=COOKIE, max_age=FLOW_SECONDS))
    except (signing.BadSignature, TypeError) as error:
        raise Astray from error
    if not hmac.compare_digest(flow.state.encode(), state.encode()):
        raise Astray
    return flow


def forget(request: HttpRequest, response: HttpResponse) -> None:
    """Take the browser's part of a flow away: nobody comes back twice."""
    name = _cookie(request.GET.get("state", ""))
    if name in request.COOKIES:
        _delete(response, name)


def _cookie(state: str) -> str:
    return COOKIE + hashlib.sha256(state.encode()).hexdigest()[:16]


def _delete(response: HttpResponse, name: str) -> None:
    response.delete_cookie(name, samesite="Lax")


# --- What Cognito says ------------------------------------------------------------------------------------------------


def code_in(answer: Mapping[str, str]) -> str:
    """Return the code with which the hosted UI sent somebody back. Raises Cancelled, NotAccepted, Astray."""
    # RFC 9207: an answer that says whom it is from is from nobody else. Cognito's does not say yet.
    if answer.get("iss", settings.TOKEN_ISSUER) != settings.TOKEN_ISSUER:
        raise Astray
    if error := answer.get("error"):
        raise Cancelled if error == "access_denied" else NotAccepted
    if not (code := answer.get("code")):
        raise Astray
    return code


@sensitive_variables()
def exchange(flow: Flow, code: str) -> cognito.Tokens:
    """Trade a code for tokens. Raises Astray for a code that is not this flow's, Unavailable."""
    from authlib.common.errors import AuthlibBaseError
    from requests import RequestException

    try:
        answer = _session(cognito.client_secret()).fetch_token(
            f"{settings.HOSTED_UI_URL}/oauth2/token",
            code=code,
            code_verifier=flow.verifier,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        return cognito.Tokens(answer["id_token"], answer["access_token"], answer["refresh_token"])
    except AuthlibBaseError as error:
        if error.error == "invalid_grant":
            raise Astray from error
        if error.error == "invalid_client":
            # The client has a new secret.
            cognito.client_secret.cache_clear()
        raise Unavailable(f"The hosted UI refused a code: {error.error}") from error
    except (RequestException, ValueError, KeyError) as error:
        # From None: a failed request has the code in it.
        raise Unavailable(f"The hosted UI gave no tokens ({type(error).__name__}).") from None


@sensitive_variables()
def verified(flow: Flow, issued: cognito.Tokens) -> Claims:
    """Return the claims of an ID token that was issued for this flow. Raises InvalidToken."""
    claims = tokens.verify(issued.id)
    if claims["aud"] != settings.PORTAL_CLIENT_ID:
        raise tokens.InvalidToken("It was issued for another client.")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
        raise tokens.InvalidToken("It was issued for another sign-in.")
    return claims


def _session(secret: str) -> Any:
    # It takes 40 ms to import, and many processes never need it.
    from authlib.integrations.requests_client import OAuth2Session

    session = OAuth2Session(
        settings.PORTAL_CLIENT_ID,
        secret,
        scope=SCOPES,
        redirect_uri=settings.PORTAL_URL + reverse("accounts:hosted-callback"),
        token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - how the secret is sent
        code_challenge_method="S256",
    )
    session.register_compliance_hook("access_token_response", _not_throttled)
    return session


def _not_throttled(answer: Any) -> Any:
    if answer.status_code == 429:
        raise Unavailable("The hosted UI is throttled.")
    return answer
