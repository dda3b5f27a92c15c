"""The user pool's other identity providers: which there are, who their people are in the pool, and whose they are.

Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-identity-federation-consolidate-users.html
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from portal import aws
from portal.accounts.cognito import refusing
from portal.accounts.refusals import Refused

KEEP_SECONDS = 300
# While Cognito does not answer, nobody waits for it more often than this.
PAUSE_SECONDS = 30
# The pool's own users, among the identity providers that a client supports.
OWN = "COGNITO"

# Cognito's quota.
MOST_LINKED = 5

log = logging.getLogger(__name__)


class LinkedElsewhere(Refused):
    sentence = "That way of signing in leads to another account already."


class TooManyLinked(Refused):
    sentence = "Your account has as many ways to sign in as it can have. Disconnect one first."


class ProfileInTheWay(Refused):
    sentence = "You signed in that way again meanwhile. Try once more."


@dataclass(frozen=True)
class Identity:
    """A person as an identity provider of the pool names them."""

    provider: str
    user_id: str

    @property
    def username(self) -> str:
        """What Cognito calls the profile that it makes of them."""
        return f"{self.provider}_{self.user_id}"


@dataclass(frozen=True)
class Account:
    """A profile in the pool: a local account, or what Cognito made of somebody whom an identity provider sent."""

    sub: str
    username: str
    email: str
    is_email_verified: bool
    is_enabled: bool
    status: str
    identities: tuple[Identity, ...]

    @property
    def is_external(self) -> bool:
        return self.status == "EXTERNAL_PROVIDER"

    @property
    def has_password(self) -> bool:
        """Whether a password opens it, second factor or not."""
        return self.is_enabled and self.status == "CONFIRMED"


# --- Which providers there are ----------------------------------------------------------------------------------------

_lock = threading.Lock()
# Until when, by time.monotonic(), and which.
_known: tuple[float, tuple[str, ...]] = (0.0, ())


def providers() -> tuple[str, ...]:
    """Return the identity providers that the pool knows and the portal's client lets in. While Cognito does not answer,
    those that it had last time, or none."""
    global _known
    with _lock:
        until, names = _known
        if time.monotonic() >= until:
            # The others go on with the old ones meanwhile.
            _known = (time.monotonic() + PAUSE_SECONDS, names)
    if time.monotonic() < until:
        return names
    try:
        names = tuple(_providers())
    except Exception as error:
        if not aws.is_transient(error):
            raise
        log.warning("The identity providers could not be listed (%s).", type(error).__name__)
        return names
    _known = (time.monotonic() + KEEP_SECONDS, names)
    return names


def forget_providers() -> None:
    global _known
    _known = (0.0, ())


def _providers() -> Iterable[str]:
    client = aws.client("cognito-idp")
    supported = client.describe_user_pool_client(UserPoolId=settings.USER_POOL_ID, ClientId=settings.PORTAL_CLIENT_ID)[
        "UserPoolClient"
    ].get("SupportedIdentityProviders", [])
    if not set(supported) - {OWN}:
        return []
    pages = client.get_paginator("list_identity_providers").paginate(UserPoolId=settings.USER_POOL_ID)
    known = [one["ProviderName"] for page in pages for one in page["Providers"]]
    return sorted(set(known) & set(supported))


# --- Whose they are ---------------------------------------------------------------------------------------------------


def find(username: str) -> Account | None:
    """Return the profile of this name, or None."""
    try:
        user = aws.client("cognito-idp").admin_get_user(UserPoolId=settings.USER_POOL_ID, Username=username)
    except ClientError as error:
        if aws.error_code(error) == "UserNotFoundException":
            return None
        raise
    return _account(user, user["UserAttributes"])


def with_address(email: str) -> list[Account]:
    """Return the profiles with this e-mail address, verified or not."""
    # Such an address would need quoting in the filter; nobody has one.
    if '"' in email or "\\" in email:
        return []
    answer = aws.client("cognito-idp").list_users(UserPoolId=settings.USER_POOL_ID, Filter=f'email = "{email}"')
    return [_account(user, user["Attributes"]) for user in answer["Users"]]


def link(identity: Identity, *, username: str) -> None:
    """Let an identity lead to a local account from its next sign-in on. Raises LinkedElsewhere, TooManyLinked, and
    ProfileInTheWay while it has a profile of its own."""
    try:
        with refusing(AliasExistsException=LinkedElsewhere, LimitExceededException=TooManyLinked):
            aws.client("cognito-idp").admin_link_provider_for_user(
                UserPoolId=settings.USER_POOL_ID,
                DestinationUser={"ProviderName": "Cognito", "ProviderAttributeValue": username},
                SourceUser=_subject(identity),
            )
    except (ClientError, LinkedElsewhere) as error:
        account = find(username)
        if account and identity in account.identities:
            return  # the reply to a first try was lost
        if find(identity.username):
            raise ProfileInTheWay from error
        # "Merging is not currently supported, provide a SourceUser that has not been signed up in order to link"
        if "Merging is not" in str(error):
            raise LinkedElsewhere from error
        raise


def unlink(identity: Identity) -> None:
    """Let an identity no longer lead to the account that it was linked to."""
    try:
        aws.client("cognito-idp").admin_disable_provider_for_user(
            UserPoolId=settings.USER_POOL_ID, User=_subject(identity)
        )
    except ClientError as error:
        if aws.error_code(error) not in ("ResourceNotFoundException", "UserNotFoundException"):
            raise


def delete_profile(identity: Identity) -> None:
    """Delete what Cognito made of an identity when it first signed in: an identity with a profile cannot be linked.
    Nothing but such a profile is ever deleted."""
    profile = find(identity.username)
    if profile is None or not profile.is_external:
        return
    try:
        aws.client("cognito-idp").admin_delete_user(UserPoolId=settings.USER_POOL_ID, Username=profile.username)
    except ClientError as error:
        if aws.error_code(error) != "UserNotFoundException":
            raise


def give_address_back(username: str, address: str) -> None:
    """Mark the address of a local account as verified again, while it is still this one. Cognito took that from it when
    a profile with the same verified address appeared in the pool. A failure is only logged: another profile may have
    the address now, and the next sign-in through the provider sets it, too."""
    try:
        account = find(username)
        if account is None or account.is_email_verified or account.email.casefold() != address.casefold():
            return
        aws.client("cognito-idp").admin_update_user_attributes(
            UserPoolId=settings.USER_POOL_ID,
            Username=username,
            UserAttributes=[{"Name": "email_verified", "Value": "true"}],
        )
    except (BotoCoreError, ClientError) as error:
        name = aws.error_code(error) if isinstance(error, ClientError) else type(error).__name__
        log.warning("An address was not given back to its account (%s).", name)


def has_groups(identity: Identity) -> bool:
    """Tell whether an identity's profile is in a group, beside that which Cognito makes for each identity provider's
    users."""
    pages = (
        aws.client("cognito-idp")
        .get_paginator("admin_list_groups_for_user")
        .paginate(UserPoolId=settings.USER_POOL_ID, Username=identity.username)
    )
    own = f"{settings.USER_POOL_ID}_{identity.provider}"
    return any(one["GroupName"] != own for page in pages for one in page["Groups"])


def identities_in(claims: Mapping[str, Any]) -> tuple[Identity, ...]:
    """Return the identities that an ID token, or a profile's attributes, name."""
    found = claims.get("identities") or ()
    if isinstance(found, str):
        found = json.loads(found)
    return tuple(Identity(one["providerName"], one["userId"]) for one in found if one.get("providerName") != "Cognito")


def _subject(identity: Identity) -> Any:
    return {
        "ProviderName": identity.provider,
        "ProviderAttributeName": "Cognito_Subject",
        "ProviderAttributeValue": identity.user_id,
    }


def _account(user: Mapping[str, Any], attributes: Iterable[Mapping[str, Any]]) -> Account:
    values = {one["Name"]: one.get("Value", "") for one in attributes}
    return Account(
        sub=values.get("sub", ""),
        username=user["Username"],
        email=values.get("email", ""),
        is_email_verified=values.get("email_verified") == "true",
        is_enabled=user["Enabled"],
        status=user["UserStatus"],
        identities=identities_in(values),
    )
