"""Temporary passwords expire, and a password reset by an operator is one that can be reset.

MiniStack's temporary passwords work for ever, and it asks nobody whether they have an address for the code.
Reference: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_PasswordPolicyType.html and
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminResetUserPassword.html
"""

import time
from typing import Any

from portal.localcloud.standins.cognito_calls import (
    CognitoCalls,
    Handler,
    Response,
    attributes_of,
    content_of,
    error,
)

SINCE = "_portico_temporary_since"
DEFAULT_DAYS = 7
EXPIRED = "Temporary password has expired and must be reset by an administrator."


def install(calls: CognitoCalls) -> None:
    """Patch the calls that give a password, take one, and reset one."""

    def give(handler: Handler, data: dict[str, Any]) -> Response:
        response = handler(data)
        user = calls.find_user(calls.pool_of(data), data.get("Username")) if response[0] == 200 else None
        if user is not None and user.get("UserStatus") == "FORCE_CHANGE_PASSWORD":
            user[SINCE] = time.time()
        return response

    def sign_in(handler: Handler, data: dict[str, Any]) -> Response:
        response = handler(data)
        asked = content_of(response)
        if asked.get("ChallengeName") == "NEW_PASSWORD_REQUIRED":
            pool = calls.pool_of(data)
            user = calls.find_user(pool, asked["ChallengeParameters"]["USER_ID_FOR_SRP"])
            if user is not None and has_expired(pool, user, now=time.time()):
                return error("NotAuthorizedException", EXPIRED)
        return response

    def reset(handler: Handler, data: dict[str, Any]) -> Response:
        user = calls.find_user(calls.pool_of(data), data.get("Username"))
        if user is None:
            return handler(data)
        if user.get("UserStatus") in ("FORCE_CHANGE_PASSWORD", "EXTERNAL_PROVIDER", "UNCONFIRMED"):
            return error("NotAuthorizedException", "User password cannot be reset in the current state.")
        if attributes_of(user).get("email_verified") != "true":
            message = "Cannot reset password for the user as there is no registered/verified email or phone_number"
            return error("InvalidParameterException", message)
        return handler({**data, "Username": user["Username"]})

    calls.around("AdminCreateUser", "AdminSetUserPassword", run=give)
    calls.around("InitiateAuth", "AdminInitiateAuth", "RespondToAuthChallenge", run=sign_in)
    calls.around("AdminResetUserPassword", run=reset)


def has_expired(pool: Any, user: Any, *, now: float) -> bool:
    """Return whether a user's temporary password is too old."""
    policy = (pool.get("Policies") or {}).get("PasswordPolicy") or {}
    days = policy.get("TemporaryPasswordValidityDays", DEFAULT_DAYS)
    return user.get(SINCE) is not None and now >= user[SINCE] + int(days) * 24 * 3600
