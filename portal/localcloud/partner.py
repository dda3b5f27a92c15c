"""A sample of another system that vouches for its people: who they are there, its key, and what it signs.

The key is new each time the portal starts. Whoever is at this machine may be any of them.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from joserfc import jwt
from joserfc.jwk import ECKey

NAME = "Partner system"
VALID_SECONDS = 240


@dataclass(frozen=True)
class User:
    """Someone in the other system. The number is who they are there for good."""

    number: str
    username: str
    given_name: str
    family_name: str
    email: str
    note: str


USERS = [
    User("2001", "ada", "Ada", "Lovelace", "rider@example.com", "has the address of the sample person rider"),
    User("2002", "joan", "Joan", "Clarke", "joan@partner.example", "is new to Portico"),
]


@cache
def key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": secrets.token_hex(8), "use": "sig", "alg": "ES256"})


def token(user: User) -> str:
    """Return the other system's word for somebody, as it is posted into the portal."""
    now = int(time.time())
    claims = {
        "iss": settings.VOUCHER_ISSUER,
        "aud": settings.PORTAL_URL,
        "sub": user.number,
        "iat": now,
        "exp": now + VALID_SECONDS,
        "jti": secrets.token_urlsafe(16),
        "preferred_username": user.username,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "email": user.email,
        "email_verified": True,
    }
    return jwt.encode({"alg": "ES256", "kid": key().kid}, claims, key())
