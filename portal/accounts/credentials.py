"""A person's own AWS credentials: from their verified token to clients that reach what is theirs and nothing else.

They are kept in this process, under the person and the role, until shortly before they expire, and nowhere else.
docs/decisions/0008-own-credentials.md says what they may do and how they end.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from portal import aws
from portal.accounts import identity_pool, people, probe, session, sts, tokens
from portal.accounts.keyring import Holding, Key, Keyring
from portal.accounts.models import Claims, User
from portal.accounts.refusals import SignedOut
from portal.accounts.sts import Credentials

__all__ = [
    "Credentials",
    "client",
    "client_for",
    "developer_user",
    "forget",
    "forget_all",
    "fresh",
    "identity_id",
    "of",
    "roles",
]

EARLY_SECONDS = 300
PEOPLE_AT_ONCE = 512
# What AWS says of credentials that were ended, and also of what they were never good for.
_REFUSED = frozenset({"403", "AccessDenied", "AccessDeniedException"})

log = logging.getLogger(__name__)

_keyring = Keyring(PEOPLE_AT_ONCE, early_seconds=EARLY_SECONDS)


def of(request: HttpRequest, *, role_arn: str | None = None) -> Credentials:
    """Return the credentials of who asks, in the role that their token prefers or in another of `roles`. Raises
    SignedOut."""
    return _held(request, role_arn).credentials


def identity_id(request: HttpRequest) -> str:
    """Return the identity of who asks: what their prefix in the bucket and their items are keyed by. Raises
    SignedOut."""
    return _held(request, None).identity_id


def client(request: HttpRequest, service: str) -> Any:
    """Return a boto3 client, e.g. "s3", with the credentials of who asks. Raises SignedOut.

    It raises Unavailable where credentials were refused that had been good: the next request makes new ones.
    """
    key, holding = _key(_user(request), None), _held(request, None)
    if service not in holding.clients:
        holding.clients[service] = _made(service, key, holding)
    return holding.clients[service]


def developer_user(request: HttpRequest) -> str:
    """Return under which name the identity pool lets the portal vouch for who asks. Raises SignedOut."""
    user = _user(request)
    return user.claims.get("developer_user") or _worker(identity_id(request))


@sensitive_variables()
def client_for(identity_id: str, service: str, *, sub: str, developer_user: str = "") -> Any:
    """Return a boto3 client with new credentials of somebody who does not ask now, for work that they asked for
    before: it reaches their corner, and nothing else. Raises SignedOut.

    The portal vouches for them, so that no token has to wait in a queue, by what `developer_user` returned then.
    """
    user = developer_user or (sub if ":" in sub else _worker(identity_id))
    _, token = identity_pool.vouch(user, sub=sub, identity_id=identity_id)
    made = sts.assume_with_web_identity(token, settings.PERSON_ROLE_ARN, session_name="portico-work")
    return aws.client_with(service, key_id=made.access_key_id, secret=made.secret_access_key, token=made.session_token)


@sensitive_variables()
def fresh(request: HttpRequest, *, role_arn: str | None = None) -> tuple[Credentials, str]:
    """Return new credentials, which the portal itself does not use, and the identity they are of. Raises SignedOut."""
    holding = _keyring.make(_user(request).sub, lambda: _exchange(request, role_arn))
    return holding.credentials, holding.identity_id


def roles(user: User) -> list[str]:
    """Return the ARNs of the roles that a person may take on, the preferred one first."""
    named = user.claims.get("cognito:roles") or []
    if isinstance(named, str):  # as API Gateway's authorizer has it
        named = [role for role in re.split(r"[,\s]+", named.strip("[]")) if role]
    preferred = _preferred(user.claims)
    return [preferred, *(role for role in named if role != preferred)]


def forget(sub: str, *, not_before: float = 0) -> None:
    """Drop what this process holds for a person, and use nothing that was made before a moment (seconds since
    1970)."""
    _keyring.forget(sub, not_before=not_before)


def forget_all(*, not_before: float = 0) -> None:
    """Drop what this process holds for anybody."""
    _keyring.forget_all(not_before=not_before)


def _held(request: HttpRequest, role_arn: str | None) -> Holding:
    return _keyring.get(_key(_user(request), role_arn), lambda: _exchange(request, role_arn))


def _key(user: User, role_arn: str | None) -> Key:
    # By the role's name, not by "the preferred one": somebody who leaves a group leaves its role with the next token.
    # Another door than Cognito's may lead the same person to another identity.
    return user.sub, f"{user.claims.get('developer_user', '')} {role_arn or _preferred(user.claims)}".strip()


def _user(request: HttpRequest) -> User:
    """Return who asks. Looking at request.user is what ends the session of somebody who may no longer come in."""
    user = request.user
    if not isinstance(user, User):
        raise SignedOut
    return user


def _preferred(claims: Claims) -> str:
    preferred: str = claims.get("cognito:preferred_role") or settings.PERSON_ROLE_ARN
    return preferred


@sensitive_variables()
def _exchange(request: HttpRequest, role_arn: str | None) -> Holding:
    user = _user(request)
    if session.door(request) in ("saml", "vouched"):
        role = role_arn or _preferred(user.claims)
        if role not in roles(user):
            raise SignedOut
        identity, token = identity_pool.vouch(
            user.claims["developer_user"],
            sub=user.sub,
            identity_id=user.claims.get("identity_id"),
            role_arn=role if role != settings.PERSON_ROLE_ARN else None,
        )
        _remember(user.sub, identity)
        return Holding(identity, sts.assume_with_web_identity(token, role))
    id_token = session.id_token(request)
    if id_token is None:
        raise SignedOut
    try:
        claims = tokens.verify(id_token)
    except tokens.InvalidToken as error:
        # It was good when the session began, and could not be renewed since.
        raise aws.Unavailable("The ID token has expired and has not been renewed yet.") from error
    if claims["sub"] != user.sub:
        raise SignedOut
    identity = identity_pool.identity_id(id_token)
    _remember(user.sub, identity, id_token)
    # A role that the token does not name cannot be asked for; without a name, it is the preferred one.
    custom = role_arn if role_arn != _preferred(claims) else None
    return Holding(identity, identity_pool.credentials(identity, id_token, custom))


@sensitive_variables()
def _remember(sub: str, identity: str, id_token: str = "") -> None:
    """Note someone's identity, for the operators' pages and for work in the background, if that can be done now."""
    try:
        person = people.remember_identity(sub, identity)
        if id_token and person.worker_of != identity:
            # AWS lets another name lead to an identity only with a token of one that does already.
            identity_pool.vouch(_worker(identity), sub=sub, identity_id=identity, id_token=id_token)
            people.remember_worker(sub, identity)
    except Exception as error:
        if not aws.is_transient(error):
            raise
        log.warning("An identity was not noted (%s).", type(error).__name__)


def _worker(identity: str) -> str:
    """Return the name under which the portal vouches for an identity of the user pool in the background."""
    return f"work:{identity}"


def _made(service: str, key: Key, holding: Holding) -> Any:
    held = holding.credentials
    made = aws.client_with(service, key_id=held.access_key_id, secret=held.secret_access_key, token=held.session_token)

    def look(code: str | None) -> None:
        """Another process may have ended the credentials that this one still holds: then not even the person's own
        prefix can be listed."""
        if code in _REFUSED and probe.of(holding.identity_id, held).is_refused():
            _keyring.drop(key, holding)
            raise aws.Unavailable("Credentials were refused that had been good.")

    if service == "dynamodb":
        made.on_error = look
    else:
        made.meta.events.register("after-call", lambda parsed, **_: look(parsed.get("Error", {}).get("Code")))
    return made
