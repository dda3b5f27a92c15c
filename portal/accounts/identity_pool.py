"""The identity pool: the only module that speaks to cognito-identity.

Each person has one identity there, whichever door they come through; what is theirs in AWS is keyed by it.
Reference: https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal import aws
from portal.accounts.refusals import IdentityInUse, Refused, SignedOut
from portal.accounts.sts import Credentials, credentials_of

if TYPE_CHECKING:
    from mypy_boto3_cognito_identity.type_defs import (
        GetCredentialsForIdentityInputTypeDef,
        GetOpenIdTokenForDeveloperIdentityInputTypeDef,
    )

# How long a token that the portal vouches with is good for. It is used at once.
TOKEN_SECONDS = 300

_BY_ERROR: dict[str, type[Refused]] = {
    "DeveloperUserAlreadyRegisteredException": IdentityInUse,
    "NotAuthorizedException": SignedOut,
    "ResourceConflictException": IdentityInUse,
}


@sensitive_variables()
def identity_id(id_token: str) -> str:
    """Return the identity of whom an ID token of the user pool names; it never changes. Raises SignedOut."""
    with _refusals():
        answer = aws.client("cognito-identity").get_id(
            IdentityPoolId=settings.IDENTITY_POOL_ID, Logins={_user_pool(): id_token}
        )
    return answer["IdentityId"]


@sensitive_variables()
def credentials(identity_id: str, id_token: str, role_arn: str | None = None) -> Credentials:
    """Return an hour's credentials: of the role that the ID token prefers, or of another one that it names. Raises
    SignedOut where the person was disabled, deleted or signed out everywhere."""
    asked: GetCredentialsForIdentityInputTypeDef = {"IdentityId": identity_id, "Logins": {_user_pool(): id_token}}
    if role_arn:
        asked["CustomRoleArn"] = role_arn
    with _refusals():
        answer = aws.client("cognito-identity").get_credentials_for_identity(**asked)
    return credentials_of(answer["Credentials"])


@sensitive_variables()
def vouch(
    developer_user: str,
    *,
    sub: str,
    identity_id: str | None = None,
    id_token: str | None = None,
    role_arn: str | None = None,
) -> tuple[str, str]:
    """Vouch for someone whom the portal knows by another door. Return their identity and a token for STS.

    The sessions made with the token are tagged with `sub`, and with the role where it is a group's. With an identity
    and an ID token of it, both ways in lead to this one identity from now on. Raises SignedOut, IdentityInUse.

    Reference: https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdTokenForDeveloperIdentity.html
    """
    logins = {settings.DEVELOPER_PROVIDER: developer_user}
    if id_token:
        logins[_user_pool()] = id_token
    asked: GetOpenIdTokenForDeveloperIdentityInputTypeDef = {
        "IdentityPoolId": settings.IDENTITY_POOL_ID,
        "Logins": logins,
        "PrincipalTags": {"sub": sub} | ({"role": role_arn} if role_arn else {}),
        "TokenDuration": TOKEN_SECONDS,
    }
    if identity_id:
        asked["IdentityId"] = identity_id
    with _refusals():
        answer = aws.client("cognito-identity").get_open_id_token_for_developer_identity(**asked)
    return answer["IdentityId"], answer["Token"]


def unlink(developer_user: str, *, identity_id: str) -> None:
    """Let someone for whom the portal vouches no longer lead to an identity."""
    try:
        aws.client("cognito-identity").unlink_developer_identity(
            IdentityId=identity_id,
            IdentityPoolId=settings.IDENTITY_POOL_ID,
            DeveloperProviderName=settings.DEVELOPER_PROVIDER,
            DeveloperUserIdentifier=developer_user,
        )
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if refusal := _BY_ERROR.get(aws.error_code(error)):
            raise refusal from error
        if aws.error_code(error) == "LimitExceededException":
            raise aws.Unavailable("The identity pool has had too many calls.") from error
        raise


def _user_pool() -> str:
    """Return what the user pool is called among an identity's logins: its issuer, without the scheme."""
    return settings.TOKEN_ISSUER.removeprefix("https://")
