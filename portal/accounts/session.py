"""Who is signed in with this browser: the tokens and the claims, kept on the server, and kept fresh.

docs/decisions/0009-sessions.md says how long a session may outlive Cognito's answers, and why.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.middleware.csrf import rotate_token
from django.shortcuts import resolve_url

from portal import aws
from portal.accounts import cognito, devices, people, refusals, tokens
from portal.accounts.models import Claims, User
from portal.dynamo import sessions
from portal.dynamo.values import instant

CLAIMS, TOKENS, DOOR, UNTIL = "claims", "tokens", "door", "until"
REFRESH_SECONDS = 60
# Claims that the portal made itself are looked at again as often as Cognito's tokens are.
CHECK_SECONDS = 15 * 60
# How long claims are good for that could not be renewed because Cognito does not answer.
GRACE_SECONDS = 60 * 60
# While Cognito does not answer, nobody waits for it more often than this.
PAUSE_SECONDS = 30

log = logging.getLogger(__name__)


# --- Coming and going -------------------------------------------------------------------------------------------------


def sign_in(request: HttpRequest, issued: cognito.Tokens, *, door: str = "password") -> None:
    """Start a session, under a new key, for the person whose tokens Cognito issued. Raises InvalidToken."""
    user = User.from_claims(tokens.verify(issued.id))
    _start(request, user, door)
    _remember(request, issued, user.claims)


def sign_in_as(request: HttpRequest, claims: Claims, *, door: str, until: datetime) -> None:
    """Start a session, under a new key, for someone who has no tokens of Cognito: the portal itself says who they are,
    and looks again every quarter of an hour. The session ends at `until`."""
    _start(request, User.from_claims(claims), door)
    request.session[UNTIL] = until.timestamp()
    request.session.set_expiry(until)
    request.session[CLAIMS] = _dated(claims)


def _start(request: HttpRequest, user: User, door: str) -> None:
    now = datetime.now(UTC)
    address = devices.address(request)
    # Whatever the anonymous session held, and its key, end here; the new one is stored with the answer, once.
    request.session.flush()
    rotate_token(request)
    request.user = user
    request.session[DOOR] = door
    request.session[sessions.SHOWN] = {
        "Sub": user.sub,
        "SignedInAt": instant(now),
        "Device": devices.device(request.headers.get("User-Agent", "")),
        "Address": address,
        "Place": devices.place(request),
        "Door": door,
    }
    people.remember_sign_in(user, door=door, address=address, now=now)


def sign_out(request: HttpRequest) -> None:
    """End the session here and its tokens at Cognito."""
    issued = request.session.get(TOKENS)
    auth.logout(request)
    if issued:
        cognito.sign_out(issued["refresh"])


def way_out(request: HttpRequest) -> str:
    """Return where signing out leads on to. The hosted UI has a session of its own, which would sign the next person at
    this browser in unasked: also where it was only visited to connect an account."""
    from portal.accounts.doors import hosted

    if door(request) == "hosted" or hosted.has_been_there(request):
        return hosted.logout_url()
    return resolve_url(settings.LOGOUT_REDIRECT_URL)


def end(session_id: str, *, sub: str) -> bool:
    """End one of a person's sessions, by the id of its item, and its tokens. Tell whether there was such a one."""
    ended = sessions.take(session_id, sub=sub)
    if ended is None:
        return False
    if issued := ended.get(TOKENS):
        cognito.sign_out(issued["refresh"])
    return True


def end_all(sub: str, *, but: str = "", now: datetime, revoke: bool = True) -> int:
    """End all of a person's sessions, or all but one, and their tokens. Return how many there were.

    The sessions first: their tokens are revoked as long as Cognito answers, and open no session any more.
    """
    ended: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = sessions.of(sub, now=now, cursor=cursor, limit=100)
        taken = [sessions.take(one.session_id, sub=sub) for one in page.records if one.session_id != but]
        ended += [one for one in taken if one is not None]
        if (cursor := page.cursor) is None:
            break
    if revoke:
        # Stops where Cognito does not answer: each try may take eight seconds.
        all(cognito.sign_out(one[TOKENS]["refresh"]) for one in ended if TOKENS in one)
    return len(ended)


def end_everywhere(request: HttpRequest, username: str, *, sub: str | None = None) -> bool:
    """End all of someone's sessions, this one too, and revoke all their tokens. Tell whether Cognito did its part, for
    those whom it knows."""
    request.session.flush()
    # Other doors' people have a colon in their sub, and no tokens.
    is_done = ":" in (sub or "") or cognito.sign_out_everywhere(username)
    try:
        if sub := sub or cognito.find_sub(username):
            end_all(sub, now=datetime.now(UTC), revoke=not is_done)
    except Exception as error:
        if not aws.is_transient(error):
            raise
        # Tokens that are revoked end their sessions at the next renewal.
        log.warning("Someone's sessions could not be ended at once (%s).", type(error).__name__)
        return False
    return is_done


# --- Who it is --------------------------------------------------------------------------------------------------------


def user_of(request: HttpRequest) -> User | AnonymousUser:
    """Return who is signed in. Their claims are renewed in their last minute, and with them their groups; someone whom
    Cognito no longer knows, or whose session was ended elsewhere, is anonymous from here on."""
    claims: Claims | None = request.session.get(CLAIMS)
    if claims is None:
        # The middleware takes the cookie away, so that this is said once.
        if request.COOKIES.get(settings.SESSION_COOKIE_NAME) and request.session.session_key is None:
            messages.info(request, refusals.SignedOut.sentence, fail_silently=True)
        return AnonymousUser()
    if UNTIL in request.session and request.session[UNTIL] <= time.time():
        return _end(request)
    if claims["exp"] - time.time() < REFRESH_SECONDS:
        try:
            claims = _renewed(request, claims)
        except refusals.Refused:
            return _end(request)
    return User.from_claims(claims)


def door(request: HttpRequest) -> str:
    """Return the door that the signed-in person came through: "password", "hosted", "saml" or "vouched"."""
    if _brought(request) is not None:
        return "password"
    door: str = request.session.get(DOOR, "password")
    return door


def bring(request: HttpRequest, token: str) -> None:
    """Note the ID token that a caller of the JSON API brought, so that it is used and not the session's."""
    request.brought_token = token  # type: ignore[attr-defined]


def id_token(request: HttpRequest) -> str | None:
    """Return the verified ID token of whoever asks, or None if they have none: the one that a caller of the JSON API
    brought, or else the session's."""
    brought = _brought(request)
    if brought is None:
        token: str | None = request.session.get(TOKENS, {}).get("id")
        return token
    try:
        is_theirs = isinstance(request.user, User) and tokens.verify(brought)["sub"] == request.user.sub
    except tokens.InvalidToken:
        return None
    return brought if is_theirs else None


def access_token(request: HttpRequest) -> str:
    """Return the token with which the signed-in person acts on their own account. Raises SignedOut for those whose
    account is not in Cognito."""
    if TOKENS not in request.session:
        raise refusals.SignedOut
    claims = request.session[CLAIMS]
    if claims["exp"] <= time.time():
        # In the time of grace. What Cognito would say of an expired token sounds like being signed out.
        _renew(request, claims)
    token: str = request.session[TOKENS]["access"]
    return token


def has_cognito_account(request: HttpRequest) -> bool:
    """Tell whether the signed-in person came in with a password or second factor of Cognito's, which they may change
    here; for everybody else, that is their company's business."""
    user = request.user
    return TOKENS in request.session and isinstance(user, User) and not user.is_federated


def _brought(request: HttpRequest) -> str | None:
    return getattr(request, "brought_token", None)


def _end(request: HttpRequest) -> AnonymousUser:
    request.session.flush()
    messages.info(request, refusals.SignedOut.sentence, fail_silently=True)
    return AnonymousUser()


# --- Renewal ----------------------------------------------------------------------------------------------------------

# When Cognito may be asked again, by time.monotonic(). The process's: it did not answer somebody.
_not_before = 0.0


def _renewed(request: HttpRequest, claims: Claims) -> Claims:
    """Renew the claims; return them as they are where that fails in passing and they are in their time of grace.
    Raises SignedOut."""
    global _not_before
    has_grace = claims["exp"] + GRACE_SECONDS > time.time()
    if has_grace and time.monotonic() < _not_before:
        return claims
    try:
        return _renew(request, claims)
    except Exception as error:
        if not (has_grace and aws.is_transient(error)):
            raise
        _not_before = time.monotonic() + PAUSE_SECONDS
        log.warning(
            "Claims could not be renewed yet (%s); they are used for %d s more at most.",
            type(error).__name__,
            claims["exp"] + GRACE_SECONDS - time.time(),
        )
        return claims


def _renew(request: HttpRequest, claims: Claims) -> Claims:
    if TOKENS not in request.session:
        # It needs XML and HTTP, which few processes do.
        from portal.accounts.doors import arrival

        request.session[CLAIMS] = fresh = _dated(arrival.refreshed(claims))
        return fresh
    issued = cognito.refresh(request.session[TOKENS]["refresh"], username=claims["cognito:username"])
    try:
        fresh = tokens.verify(issued.id)
    except tokens.InvalidToken as error:
        raise refusals.SignedOut from error
    _remember(request, issued, fresh)
    return fresh


def _dated(claims: Claims) -> Claims:
    return {**claims, "exp": int(time.time()) + CHECK_SECONDS}


def _remember(request: HttpRequest, issued: cognito.Tokens, claims: Claims) -> None:
    request.session[CLAIMS] = claims
    request.session[TOKENS] = {"id": issued.id, "access": issued.access, "refresh": issued.refresh}
