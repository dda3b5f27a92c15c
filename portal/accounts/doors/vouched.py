"""Another system's word for somebody: a token that it signed, for this portal, a moment ago, for one use.

Reference: RFC 8725, RFC 7519
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.views.decorators.debug import sensitive_variables
from joserfc import jwt
from joserfc.errors import JoseError

from portal.accounts import tokens
from portal.accounts.refusals import VoucherRefused

ALGORITHMS = ("RS256", "ES256")
MAX_CHARACTERS = 10_000
LONGEST_SECONDS = 5 * 60
LEEWAY_SECONDS = 10


@dataclass(frozen=True)
class Word:
    """Whom the other system names. `said` is shown and decides nothing."""

    person_id: str
    token_id: str
    subject: str
    said: dict[str, Any] = field(repr=False)


@sensitive_variables()
def read(token: str, *, now: datetime) -> Word:
    """Return whom a token names. Raises VoucherRefused and KeysUnavailable."""
    if len(token) > MAX_CHARACTERS:
        raise VoucherRefused("the token is too long")
    try:
        said = tokens.signed_claims(token, settings.VOUCHER_KEYS_URL, algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.VOUCHER_ISSUER},
            aud={"essential": True, "value": settings.PORTAL_URL},
            exp={"essential": True},
            iat={"essential": True},
            jti={"essential": True},
            sub={"essential": True},
        ).validate(said)
    except (JoseError, ValueError, TypeError, tokens.InvalidToken) as error:
        raise VoucherRefused(f"the token is not valid ({type(error).__name__})") from error
    if said["exp"] > now.timestamp() + LONGEST_SECONDS + LEEWAY_SECONDS:
        raise VoucherRefused("the token is good for too long")
    if not isinstance(said["aud"], str):
        raise VoucherRefused("the token is for several systems")
    for name in ("sub", "jti"):
        value = said[name]
        if not isinstance(value, str) or not 0 < len(value) <= 255 or not value.isprintable():
            raise VoucherRefused(f"its {name} cannot be anybody's")
    digest = hashlib.sha256(f"{said['iss']}\0{said['sub']}".encode()).hexdigest()
    return Word(f"vouched:{digest[:32]}", said["jti"], said["sub"], said)


def origin() -> str:
    """Return what the other system is called here: the host in its issuer."""
    return urlsplit(settings.VOUCHER_ISSUER).hostname or str(settings.VOUCHER_ISSUER)
