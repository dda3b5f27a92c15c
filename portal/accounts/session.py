"""Who is signed in with this browser: the tokens and the claims, kept on the server, and kept fresh."""

from __future__ import annotations

import logging
import time

from django.contrib import auth, messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from portal import aws
from portal.accounts import cognito, refusals, tokens
from portal.accounts.models import Claims, User

CLAIMS, TOKENS = "claims", "tokens"
REFRESH_SECONDS = 60

log = logging.getLogger(__name__)


def sign_in(request: HttpRequest, issued: cognito.Tokens) -> None:
    """Start a session, under a new key, for the person whose tokens Cognito issued. Raises InvalidToken."""
    user = User.from_claims(tokens.verify(issued.id))
    # Whatever the anonymous session held, and its key, end here.
    request.session.flush()
    auth.login(request, user)
    _remember(request, issued, user.claims)


def sign_out(request: HttpRequest) -> None:
    """End the session here and its tokens at Cognito."""
    issued = request.session.get(TOKENS)
    auth.logout(request)
    if issued:
        cognito.sign_out(issued["refresh"])


def end_everywhere(request: HttpRequest, username: str) -> None:
    """End all sessions of someone who has a new password: this one now, others when their tokens need renewal."""
    request.session.flush()
    if not cognito.sign_out_everywhere(username):
        messages.warning(
            request,
            "You could not be signed out elsewhere. If someone else may know your password, change it once more.",
        )


def user_of(request: HttpRequest) -> User | AnonymousUser:
    """Return who is signed in. Their ID token is renewed in its last minute, and with it their groups; someone whom
    Cognito no longer knows is signed out and anonymous from here on."""
    claims: Claims | None = request.session.get(CLAIMS)
    if claims is None:
        return AnonymousUser()
    seconds_left = claims["exp"] - time.time()
    if seconds_left < REFRESH_SECONDS:
        try:
            claims = _refresh(request, claims)
        except refusals.Refused:
            request.session.flush()
            messages.info(request, refusals.SignedOut.sentence, fail_silently=True)
            return AnonymousUser()
        except Exception as error:
            if not aws.is_transient(error) or seconds_left <= 0:
                raise
            log.warning("Tokens could not be renewed yet; they are good for %d s.", seconds_left)
    return User.from_claims(claims)


def access_token(request: HttpRequest) -> str:
    """Return the token with which the signed-in person acts on their own account."""
    token: str = request.session[TOKENS]["access"]
    return token


def _refresh(request: HttpRequest, claims: Claims) -> Claims:
    issued = cognito.refresh(request.session[TOKENS]["refresh"], username=claims["cognito:username"])
    fresh = tokens.verify(issued.id)
    _remember(request, issued, fresh)
    return fresh


def _remember(request: HttpRequest, issued: cognito.Tokens, claims: Claims) -> None:
    request.session[CLAIMS] = claims
    request.session[TOKENS] = {"id": issued.id, "access": issued.access, "refresh": issued.refresh}
