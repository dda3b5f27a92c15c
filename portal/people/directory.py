"""The user pool as operators see it: finding people, and what only an administrator may do to their accounts.

portal/accounts/cognito.py is the same pool as the people themselves see it.
Reference: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings
from django.core import signing

from portal import aws
from portal.accounts.cognito import SMS, TOTP, refusing
from portal.accounts.refusals import EmailTaken, InputRefused, Refused
from portal.dynamo.table import BadCursor, Instant, Record
from portal.people.search import Query, quoted

PAGE = 50  # Cognito gives 60 at most

# Cognito's names of attributes that are the portal's own. No client of the pool may write them, only operators.
_CUSTOM = {"manager": "custom:manager"}


class Gone(Refused):
    sentence = "This account is not in the user pool any more."


class AddressTaken(EmailTaken):
    about = "email"
    sentence = "Another account has this address."


class CannotReset(Refused):
    sentence = "Cognito does not reset the password of this account as it is now."


class AlreadyIn(Refused):
    sentence = "This person has chosen a password already, so there is nothing to invite them to."


class StaleCursor(BadCursor):
    """Cognito's cursors are good for an hour."""


class Person(Record):
    """Someone in the user pool. What only their own page needs is empty in a list: the second factors."""

    username: str
    sub: str
    status: str
    is_enabled: bool
    created_at: Instant
    changed_at: Instant
    email: str = ""
    is_email_verified: bool = False
    given_name: str = ""
    family_name: str = ""
    phone_number: str = ""
    manager: str = ""  # the user name or e-mail address of whom their requests go to
    # The identity providers that they may come in through, e.g. "Company".
    providers: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    preferred_factor: str = ""

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()

    @property
    def is_federated(self) -> bool:
        """Whether an identity provider is all that they have: no password, no second factor."""
        return self.status == "EXTERNAL_PROVIDER"


@dataclass(frozen=True)
class PersonPage:
    """Some people and, where there may be more, the cursor that fetches the next ones."""

    people: list[Person]
    cursor: str | None = None


# --- Finding ----------------------------------------------------------------------------------------------------------


def page(query: Query, *, cursor: str | None = None, limit: int = PAGE) -> PersonPage:
    """Return a page of those whom a query finds, in the order in which Cognito keeps them: one call.

    Cognito's pages only lead onwards. Raises BadCursor for a cursor of another query, StaleCursor.
    """
    salt = f"people/{query.group}/{query.filter}"
    token = None
    if cursor:
        try:
            token = signing.loads(cursor, salt=salt)
        except signing.BadSignature as error:
            raise BadCursor(cursor) from error
    try:
        users, token = _members(query.group, limit, token) if query.group else _users(query.filter, limit, token)
    except ClientError as error:
        match aws.error_code(error):
            case "InvalidParameterException" if cursor:
                raise StaleCursor(cursor) from error
            case "InvalidParameterException" if query.filter:
                return PersonPage([])  # nobody can have what was typed
            case "ResourceNotFoundException" if query.group:
                return PersonPage([])
        raise
    return PersonPage(
        [_person(user, user["Attributes"]) for user in users],
        signing.dumps(token, salt=salt, compress=True) if token else None,
    )


def _users(filter_: str, limit: int, token: str | None) -> tuple[Iterable[Any], str | None]:
    more: dict[str, Any] = {"Filter": filter_} if filter_ else {}
    if token:
        more["PaginationToken"] = token
    answer = aws.client("cognito-idp").list_users(UserPoolId=settings.USER_POOL_ID, Limit=limit, **more)
    return answer["Users"], answer.get("PaginationToken")


def _members(group: str, limit: int, token: str | None) -> tuple[Iterable[Any], str | None]:
    more: dict[str, Any] = {"NextToken": token} if token else {}
    answer = aws.client("cognito-idp").list_users_in_group(
        UserPoolId=settings.USER_POOL_ID, GroupName=group, Limit=limit, **more
    )
    return answer["Users"], answer.get("NextToken")


def members(group: str) -> list[Person]:
    """Return all members of a group: one of those that have few."""
    found: list[Any] = []
    token: str | None = None
    while True:
        try:
            users, token = _members(group, PAGE, token)
        except ClientError as error:
            if aws.error_code(error) == "ResourceNotFoundException":
                return []
            raise
        found += users
        if not token:
            return [_person(user, user["Attributes"]) for user in found]


def find(username: str) -> Person | None:
    """Return the person of exactly this user name, with their second factors, or None."""
    person = known_as(username)
    return person if person and person.username.lower() == username.lower() else None


def known_as(name: str) -> Person | None:
    """Return whom Cognito takes a name for: a user name, a verified e-mail address or a sub. Or None."""
    try:
        user = aws.client("cognito-idp").admin_get_user(UserPoolId=settings.USER_POOL_ID, Username=name)
    except ClientError as error:
        if aws.error_code(error) in ("UserNotFoundException", "InvalidParameterException"):
            return None
        raise
    return _person(user, user["UserAttributes"])


def find_by_sub(sub: str) -> Person | None:
    """Return the person with this sub, whatever they are called, or None."""
    found = page(Query(filter=f"sub = {quoted(sub)}"), limit=1).people
    return found[0] if found else None


def _person(user: Mapping[str, Any], attributes: Iterable[Any]) -> Person:
    given = {one["Name"]: one.get("Value", "") for one in attributes}
    kinds = user.get("UserMFASettingList", ())
    return Person(
        username=user["Username"],
        sub=given.get("sub", ""),
        status=user["UserStatus"],
        is_enabled=user["Enabled"],
        created_at=user["UserCreateDate"],
        changed_at=user["UserLastModifiedDate"],
        email=given.get("email", ""),
        is_email_verified=given.get("email_verified", "").lower() == "true",
        given_name=given.get("given_name", ""),
        family_name=given.get("family_name", ""),
        phone_number=given.get("phone_number", ""),
        manager=given.get(_CUSTOM["manager"], ""),
        providers=_providers(given.get("identities", "")),
        factors=tuple(kind for kind in (TOTP, SMS) if kind in kinds),
        preferred_factor=user.get("PreferredMfaSetting", ""),
    )


def _providers(identities: str) -> tuple[str, ...]:
    try:
        listed = json.loads(identities or "[]")
    except ValueError:
        return ()
    return tuple(str(one["providerName"]) for one in listed if isinstance(one, dict) and one.get("providerName"))


# --- Accounts ---------------------------------------------------------------------------------------------------------


def invite(username: str, *, email: str, given_name: str, family_name: str) -> Person:
    """Create somebody's account and mail them a temporary password. The address counts as verified: whoever reads the
    mail comes in. Raises UsernameTaken, UsernameRefused, AddressTaken, EmailRefused, InputRefused."""
    attributes = {"email": email, "email_verified": "true", "given_name": given_name, "family_name": family_name}
    with refusing(InvalidParameterException=InputRefused, AliasExistsException=AddressTaken):
        try:
            answer = aws.client("cognito-idp").admin_create_user(
                **account(username),
                UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items() if value],
                DesiredDeliveryMediums=["EMAIL"],
            )
        except ClientError as error:
            # Of an address that is taken, Cognito says the same as of a name, but in other words.
            if aws.error_code(error) == "UsernameExistsException" and "email" in str(error).lower():
                raise AddressTaken from error
            raise
    return _person(answer["User"], answer["User"]["Attributes"])


def invite_again(username: str) -> None:
    """Mail a fresh temporary password. Raises AlreadyIn, Gone, EmailRefused."""
    with refusing(UnsupportedUserStateException=AlreadyIn, UserNotFoundException=Gone):
        aws.client("cognito-idp").admin_create_user(
            **account(username), MessageAction="RESEND", DesiredDeliveryMediums=["EMAIL"]
        )


def change(username: str, attributes: Mapping[str, str]) -> None:
    """Change attributes; an empty one is removed. An address is verified because an operator says it is theirs.
    Raises AddressTaken, Gone, InputRefused."""
    if "email" in attributes:
        attributes = {**attributes, "email_verified": "true"}
    with refusing(
        AliasExistsException=AddressTaken, UserNotFoundException=Gone, InvalidParameterException=InputRefused
    ):
        aws.client("cognito-idp").admin_update_user_attributes(
            **account(username),
            UserAttributes=[{"Name": _CUSTOM.get(name, name), "Value": value} for name, value in attributes.items()],
        )


def enable(username: str) -> None:
    """Raises Gone."""
    with refusing(UserNotFoundException=Gone):
        aws.client("cognito-idp").admin_enable_user(**account(username))


def disable(username: str) -> None:
    """Let somebody in no more, and revoke their tokens. Raises Gone."""
    with refusing(UserNotFoundException=Gone):
        aws.client("cognito-idp").admin_disable_user(**account(username))


def reset_password(username: str) -> None:
    """Make a password useless, and mail a code with which to choose another. Raises CannotReset, TooManyAttempts,
    Gone."""
    with refusing(
        InvalidParameterException=CannotReset, NotAuthorizedException=CannotReset, UserNotFoundException=Gone
    ):
        aws.client("cognito-idp").admin_reset_user_password(**account(username))


def remove_factors(person: Person) -> None:
    """Ask somebody for no second factor any more. Raises Gone."""
    off: Any = {"Enabled": False, "PreferredMfa": False}
    settings_of = {TOTP: "SoftwareTokenMfaSettings", SMS: "SMSMfaSettings"}
    wanted = {settings_of[kind]: off for kind in person.factors}
    with refusing(UserNotFoundException=Gone):
        aws.client("cognito-idp").admin_set_user_mfa_preference(**account(person.username), **wanted)


def account(username: str) -> Any:
    """Return the parameters of a call that is about one account."""
    return {"UserPoolId": settings.USER_POOL_ID, "Username": username}
