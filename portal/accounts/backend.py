"""Django's way to ask who someone is: an ID token says it."""

from __future__ import annotations

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from portal.accounts import tokens
from portal.accounts.models import User


class CognitoBackend(BaseBackend):
    def authenticate(self, request: HttpRequest | None, id_token: str = "") -> User | None:  # type: ignore[override]
        try:
            return User.from_claims(tokens.verify(id_token))
        except tokens.InvalidToken:
            return None

    def get_user(self, user_id: str) -> None:
        """Return None: there is no table of users. A session's user is made of the session's claims (session.py)."""
