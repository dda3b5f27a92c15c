"""The person who asks: made of the claims of a verified ID token, not of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from portal.accounts import rules

Claims = dict[str, Any]


class User(models.Model):
    """Someone in the Cognito user pool, as the ID token described them. `sub` is who they are; the rest may change."""

    sub = models.CharField(primary_key=True, max_length=150)
    username = models.CharField(max_length=128, unique=True)
    email = models.EmailField(blank=True)
    given_name = models.CharField(max_length=2048, blank=True)
    family_name = models.CharField(max_length=2048, blank=True)

    groups: tuple[str, ...] = ()
    claims: Claims = {}

    is_active: ClassVar[bool] = True  # Cognito gives a disabled user no tokens
    is_anonymous: ClassVar[bool] = False
    is_authenticated: ClassVar[bool] = True

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        managed = False

    def __str__(self) -> str:
        return self.username

    @classmethod
    def from_claims(cls, claims: Claims) -> User:
        """Make the user that an ID token's verified claims describe."""
        user = cls(
            sub=claims["sub"],
            username=claims.get("cognito:username") or claims["sub"],
            email=claims.get("email", ""),
            given_name=claims.get("given_name", ""),
            family_name=claims.get("family_name", ""),
        )
        # Cognito puts an identity provider's users into a group of its own making, which allows nothing.
        user.groups = tuple(
            group for group in claims.get("cognito:groups", ()) if not group.startswith(f"{settings.USER_POOL_ID}_")
        )
        user.claims = claims
        return user

    def get_username(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        """Return given and family name, or the user name of someone who gave neither."""
        return f"{self.given_name} {self.family_name}".strip() or self.username

    def get_short_name(self) -> str:
        return self.given_name or self.username

    @property
    def is_federated(self) -> bool:
        """Whether the user pool has this person from an identity provider alone. Someone who joined the two has the
        local account's name."""
        identities = self.claims.get("identities") or ()
        names = [f"{one.get('providerName')}_{one.get('userId')}" for one in identities if isinstance(one, dict)]
        return self.username.lower() in map(str.lower, names)

    @property
    def _grants(self) -> list[rules.Grant]:
        return [settings.GROUP_PERMISSIONS[group] for group in self.groups if group in settings.GROUP_PERMISSIONS]

    @property
    def is_staff(self) -> bool:
        return bool(self._grants)

    @property
    def is_superuser(self) -> bool:
        return "all" in self._grants

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return any(rules.allows(grant, perm) for grant in self._grants)

    def has_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return any(rules.reaches(grant, app_label) for grant in self._grants)
