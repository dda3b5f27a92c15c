"""The user pool: signing in, signing up and passwords. second_factor.py has what belongs to that.

Whatever Cognito refuses for a reason that a person can act on becomes a `Refused` whose text is written for them.
Reference: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from portal import aws
from portal.accounts.refusals import (
    BY_ERROR,
    ChallengeExpired,
    CodeExpired,
    CodeMismatch,
    InputRefused,
    PasswordRefused,
    Refused,
    SignedOut,
    TooManyAttempts,
    UnknownChallenge,
    UsernameRefused,
    UsernameTaken,
    WrongCurrentPassword,
    WrongPassword,
)

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.type_defs import AuthenticationResultTypeTypeDef

# The challenges that Portico knows. A second factor is called as its challenge is.
NEW_PASSWORD = "NEW_PASSWORD_REQUIRED"  # noqa: S105 - the name of a challenge
TOTP = "SOFTWARE_TOKEN_MFA"
SMS = "SMS_MFA"
SELECT = "SELECT_MFA_TYPE"
SETUP = "MFA_SETUP"

INVITE_AGAIN_SECONDS = 60

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """What a sign-in or a refresh gives. Never shown: not by repr, not in logs."""

    id: str = field(repr=False)
    access: str = field(repr=False)
    refresh: str = field(repr=False)


@dataclass(frozen=True)
class Challenge:
    """What Cognito asks next before it gives tokens. Cognito forgets it after three minutes."""

    name: str
    username: str
    session: str = field(repr=False)
    # The second factors that there are to choose from, or to set up.
    kinds: tuple[str, ...] = ()
    # Where a code went, as Cognito shows it: +*******1234.
    sent_to: str = ""


# --- What Cognito refuses --------------------------------------------------------------------------------------------

# What a call is refused for that is sent again because the reply to its first try, which did succeed, was lost.
_OWN_DOING = (UsernameTaken, WrongCurrentPassword, CodeMismatch, CodeExpired, ChallengeExpired)


@contextmanager
def refusing(**more: type[Refused]) -> Iterator[None]:
    """Turn Cognito's errors into refusals, those by name in `more` first."""
    try:
        yield
    except ClientError as error:
        refusal = {**BY_ERROR, **more}.get(aws.error_code(error))
        if refusal is None:
            raise
        reason = error.response["Error"].get("Message", "")
        if "attempts exceeded" in reason.lower():
            refusal = TooManyAttempts
        elif "email format" in reason and refusal is InputRefused:
            refusal = UsernameRefused
        elif "'username'" in reason and refusal is PasswordRefused:
            refusal = CodeMismatch
        raise _certain(refusal(_sentence(reason)), error) from error


def _certain(refusal: Refused, error: ClientError) -> Exception:
    """Return the refusal, or Unavailable where the call may have succeeded before it was refused."""
    if isinstance(refusal, _OWN_DOING) and error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0:
        return aws.Unavailable("Refused at the second try; the first one may have succeeded.")
    return refusal


@contextmanager
def _best_effort(failure: str) -> Iterator[None]:
    """Go on where Cognito refuses or does not answer, and log it without Cognito's words, which may name people."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        log.warning(
            "%s (%s).", failure, aws.error_code(error) if isinstance(error, ClientError) else type(error).__name__
        )


def _sentence(reason: str) -> str:
    """Return Cognito's reason without its preamble ("Password did not conform with policy: …"), ending in a stop."""
    return reason.rpartition("policy: ")[2].strip().rstrip(".") + "."


# --- Signing in and out -----------------------------------------------------------------------------------------------


def sign_in(username: str, password: str) -> Tokens | Challenge:
    """Check a password. Raises WrongPassword, UserNotConfirmed, PasswordResetRequired, TooManyAttempts."""
    with refusing(
        InvalidParameterException=WrongPassword,  # a user name that can be nobody's
        NotAuthorizedException=WrongPassword,
        UserNotFoundException=WrongPassword,
    ):
        answer = aws.client("cognito-idp").admin_initiate_auth(
            **_pool(),
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": password, "SECRET_HASH": _secret_hash(username)},
        )
    return _outcome(answer, username)


def check_password(username: str, password: str) -> None:
    """Raises WrongCurrentPassword, TooManyAttempts."""
    try:
        sign_in(username, password)
    except WrongPassword as error:
        raise WrongCurrentPassword from error


def answer_challenge(challenge: Challenge, **answers: str) -> Tokens | Challenge:
    """Answer with NEW_PASSWORD, SOFTWARE_TOKEN_MFA_CODE, SMS_MFA_CODE or ANSWER. Raises CodeMismatch, CodeExpired,
    PasswordRefused, ChallengeExpired."""
    with refusing(NotAuthorizedException=ChallengeExpired, InvalidParameterException=PasswordRefused):
        answer = aws.client("cognito-idp").admin_respond_to_auth_challenge(
            **_pool(),
            ChallengeName=challenge.name,  # type: ignore[arg-type]
            Session=challenge.session,
            ChallengeResponses={
                "USERNAME": challenge.username,
                "SECRET_HASH": _secret_hash(challenge.username),
                **answers,
            },
        )
    return _outcome(answer, challenge.username)


def refresh(refresh_token: str, *, username: str) -> Tokens:
    """Return new tokens. Raises SignedOut where the user was disabled, deleted or signed out everywhere."""
    with refusing(
        NotAuthorizedException=SignedOut,
        ResourceNotFoundException=SignedOut,  # a client that was replaced
        UserNotFoundException=SignedOut,
    ):
        answer = aws.client("cognito-idp").admin_initiate_auth(
            **_pool(),
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": refresh_token, "SECRET_HASH": _secret_hash(username)},
        )
    return _tokens(answer["AuthenticationResult"], refresh_token)


def sign_out(refresh_token: str) -> bool:
    """Revoke a refresh token and every token made with it. Tell whether that was done: else it ends by itself."""
    with _best_effort("A refresh token could not be revoked"):
        aws.client("cognito-idp").revoke_token(
            Token=refresh_token, ClientId=settings.PORTAL_CLIENT_ID, ClientSecret=client_secret()
        )
        return True
    return False


def sign_out_everywhere(username: str) -> bool:
    """Revoke all tokens of a user, so that their sessions end at the next renewal. Tell whether that was done."""
    with _best_effort("Someone could not be signed out everywhere"):
        aws.client("cognito-idp").admin_user_global_sign_out(UserPoolId=settings.USER_POOL_ID, Username=username)
        return True
    return False


def _outcome(answer: Mapping[str, Any], username: str) -> Tokens | Challenge:
    if result := answer.get("AuthenticationResult"):
        return _tokens(result, "")
    name = answer["ChallengeName"]
    if name not in (NEW_PASSWORD, TOTP, SMS, SELECT, SETUP):
        raise UnknownChallenge(name)
    parameters = answer.get("ChallengeParameters", {})
    kinds = json.loads(parameters.get("MFAS_CAN_CHOOSE") or parameters.get("MFAS_CAN_SETUP") or "[]")
    return Challenge(
        name,
        # Who signed in by e-mail address answers the challenge by user name.
        parameters.get("USER_ID_FOR_SRP", username),
        answer["Session"],
        tuple(kinds),
        parameters.get("CODE_DELIVERY_DESTINATION", ""),
    )


def _tokens(result: AuthenticationResultTypeTypeDef, refresh_token: str) -> Tokens:
    return Tokens(result["IdToken"], result["AccessToken"], result.get("RefreshToken", refresh_token))


# --- Signing up -------------------------------------------------------------------------------------------------------


def sign_up(username: str, password: str, *, email: str, given_name: str, family_name: str) -> str:
    """Create an unconfirmed user and mail them a code. Return where it went, as Cognito shows it: a***@e***.
    Raises UsernameTaken, PasswordRefused, EmailRefused …"""
    attributes = {"email": email, "given_name": given_name, "family_name": family_name}
    with refusing(InvalidParameterException=InputRefused):
        answer = aws.client("cognito-idp").sign_up(
            **_client(username),
            Password=password,
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items() if value],
        )
    return answer.get("CodeDeliveryDetails", {}).get("Destination", "")


def confirm(username: str, code: str) -> None:
    """Confirm the e-mail address of who signed up; who did so already is told nothing else.
    Raises CodeMismatch, CodeExpired, EmailTaken, TooManyAttempts."""
    with refusing(UserNotFoundException=CodeMismatch, InvalidParameterException=CodeMismatch):
        try:
            aws.client("cognito-idp").confirm_sign_up(**_client(username), ConfirmationCode=code)
        except ClientError as error:
            if aws.error_code(error) != "NotAuthorizedException" or "CONFIRMED" not in str(error):
                raise


def resend(username: str) -> None:
    """Mail a new code to someone who signed up and has not confirmed it; nothing tells whether there is such a user."""
    with refusing():
        try:
            aws.client("cognito-idp").resend_confirmation_code(**_client(username))
        except ClientError as error:
            if aws.error_code(error) not in ("InvalidParameterException", "UserNotFoundException"):
                raise


# --- Passwords --------------------------------------------------------------------------------------------------------


def forgot_password(username: str) -> None:
    """Mail a code, or a fresh invitation to someone who never used a temporary password; nothing tells whether there is
    such a user. Raises TooManyAttempts."""
    with refusing():
        try:
            aws.client("cognito-idp").forgot_password(**_client(username))
        except ClientError as error:
            match aws.error_code(error):
                case "NotAuthorizedException":
                    # "User password cannot be reset in the current state."
                    invite_again(username)
                case "InvalidParameterException" | "UserNotFoundException" | "CodeDeliveryFailureException":
                    pass  # nobody of that name, or without an address that a mail could go to
                case _:
                    raise


def invite_again(username: str) -> None:
    """Mail a fresh temporary password to someone who never used theirs, but not twice in a minute; anyone else gets
    nothing. A failure is only logged: it would tell that there is such a user."""
    with _best_effort("An invitation could not be sent"):
        user = aws.client("cognito-idp").admin_get_user(UserPoolId=settings.USER_POOL_ID, Username=username)
        # A fresh invitation changes the user; the first one made them.
        invited_again_at = user["UserLastModifiedDate"]
        seconds_ago = (datetime.now(UTC) - invited_again_at).total_seconds()
        is_patient = invited_again_at == user["UserCreateDate"] or seconds_ago >= INVITE_AGAIN_SECONDS
        if user["UserStatus"] == "FORCE_CHANGE_PASSWORD" and user["Enabled"] and is_patient:
            aws.client("cognito-idp").admin_create_user(
                UserPoolId=settings.USER_POOL_ID,
                Username=user["Username"],
                MessageAction="RESEND",
                DesiredDeliveryMediums=["EMAIL"],
            )


def find_sub(username: str) -> str | None:
    """Return the sub of the user of this name (or e-mail address or sub), or None."""
    try:
        user = aws.client("cognito-idp").admin_get_user(UserPoolId=settings.USER_POOL_ID, Username=username)
    except ClientError as error:
        if aws.error_code(error) in ("UserNotFoundException", "InvalidParameterException"):
            return None
        raise
    return next((one.get("Value") for one in user["UserAttributes"] if one["Name"] == "sub"), None)


def confirm_forgot_password(username: str, code: str, password: str) -> None:
    """Set a new password by the mailed code. Raises CodeMismatch, PasswordRefused, TooManyAttempts."""
    # For a name that nobody has, Cognito says "mismatch"; who has no code open must not be told apart from that.
    with refusing(
        ExpiredCodeException=CodeMismatch,
        NotAuthorizedException=CodeMismatch,
        UserNotFoundException=CodeMismatch,
        UserNotConfirmedException=CodeMismatch,
        InvalidParameterException=PasswordRefused,
    ):
        aws.client("cognito-idp").confirm_forgot_password(**_client(username), ConfirmationCode=code, Password=password)


def change_password(access_token: str, *, old: str, new: str) -> None:
    """Raises WrongCurrentPassword, PasswordRefused, TooManyAttempts, SignedOut."""
    with refusing(NotAuthorizedException=SignedOut, InvalidParameterException=PasswordRefused):
        try:
            aws.client("cognito-idp").change_password(
                AccessToken=access_token, PreviousPassword=old, ProposedPassword=new
            )
        except ClientError as error:
            if "Incorrect username or password" in str(error):
                raise _certain(WrongCurrentPassword(), error) from error
            raise


# --- The portal's own client ------------------------------------------------------------------------------------------


@cache
def client_secret() -> str:
    """Return the secret of the portal's client: read once, and again by whom it fails, after `cache_clear`."""
    answer = aws.client("cognito-idp").describe_user_pool_client(
        UserPoolId=settings.USER_POOL_ID, ClientId=settings.PORTAL_CLIENT_ID
    )
    return answer["UserPoolClient"]["ClientSecret"]


def _secret_hash(username: str) -> str:
    # Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html
    message = (username + settings.PORTAL_CLIENT_ID).encode()
    return base64.b64encode(hmac.digest(client_secret().encode(), message, hashlib.sha256)).decode()


class _Pool(TypedDict):
    UserPoolId: str
    ClientId: str


class _Client(TypedDict):
    ClientId: str
    Username: str
    SecretHash: str


def _pool() -> _Pool:
    return {"UserPoolId": settings.USER_POOL_ID, "ClientId": settings.PORTAL_CLIENT_ID}


def _client(username: str) -> _Client:
    return {"ClientId": settings.PORTAL_CLIENT_ID, "Username": username, "SecretHash": _secret_hash(username)}
