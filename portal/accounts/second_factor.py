"""The second factor, in the user pool: a code from an app (TOTP), a code in a text message (SMS), or both.

Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-mfa.html
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal import aws
from portal.accounts.cognito import SMS, TOTP, Challenge, Tokens, answer_challenge, refusing
from portal.accounts.refusals import (
    ChallengeExpired,
    CodeMismatch,
    LastFactor,
    NoFactorToSetUp,
    PhoneRefused,
    SignedOut,
)

POLICY_SECONDS = 300
_SETTINGS = {TOTP: "SoftwareTokenMfaSettings", SMS: "SMSMfaSettings"}


@dataclass(frozen=True)
class Policy:
    """What the pool allows and demands."""

    kinds: tuple[str, ...] = ()
    is_required: bool = False


@dataclass(frozen=True)
class Factors:
    """What somebody has. `preferred` is "" where signing in asks each time which one it shall be."""

    kinds: tuple[str, ...] = ()
    preferred: str = ""
    phone_number: str = ""  # a verified one

    def may_turn_off(self, kind: str, policy: Policy) -> bool:
        """Tell whether one is left that the pool knows, or none is needed."""
        left = set(self.kinds) & set(policy.kinds) - {kind}
        return kind in self.kinds and (not policy.is_required or bool(left))

    def with_one(self, kind: str) -> Factors:
        """Turn one on. The first one is preferred."""
        kinds = tuple(dict.fromkeys((*self.kinds, kind)))
        return replace(self, kinds=kinds, preferred=self.preferred if self.kinds else kind)

    def without(self, kind: str) -> Factors:
        """Turn one off. The one that is left is preferred."""
        left = tuple(one for one in self.kinds if one != kind)
        return replace(self, kinds=left, preferred=self.preferred if self.preferred in left else "".join(left[:1]))


def policy() -> Policy:
    """Return the pool's policy, as it was within the last minutes."""
    return _policy(int(time.monotonic() // POLICY_SECONDS))


@lru_cache(maxsize=1)
def _policy(_window: int) -> Policy:
    answer = aws.client("cognito-idp").get_user_pool_mfa_config(UserPoolId=settings.USER_POOL_ID)
    mode = answer.get("MfaConfiguration", "OFF")
    is_there = {
        TOTP: answer.get("SoftwareTokenMfaConfiguration", {}).get("Enabled", False),
        SMS: bool(answer.get("SmsMfaConfiguration", {}).get("SmsConfiguration")),
    }
    kinds = tuple(kind for kind in (TOTP, SMS) if is_there[kind] and mode != "OFF")
    return Policy(kinds, mode == "ON")


def of(access_token: str) -> Factors:
    """Return somebody's second factors. Raises SignedOut."""
    with refusing(NotAuthorizedException=SignedOut, UserNotFoundException=SignedOut):
        user = aws.client("cognito-idp").get_user(AccessToken=access_token)
    attributes = {one["Name"]: one.get("Value", "") for one in user["UserAttributes"]}
    is_verified = attributes.get("phone_number_verified") == "true"
    return Factors(
        tuple(kind for kind in (TOTP, SMS) if kind in user.get("UserMFASettingList", [])),
        user.get("PreferredMfaSetting", ""),
        attributes.get("phone_number", "") if is_verified else "",
    )


def turn_on(access_token: str, kind: str) -> Factors:
    """Ask for this factor at every sign-in from now on, or go on asking for the one that is preferred.

    Raises SignedOut, and PhoneRefused where no number of theirs is verified to which a text could go."""
    factors = of(access_token)
    if kind == SMS and not factors.phone_number:
        raise PhoneRefused
    new = factors.with_one(kind)
    _change(access_token, factors, new)
    return new


def turn_off(access_token: str, kind: str) -> None:
    """Raises LastFactor where the pool demands one and there is no other, SignedOut."""
    factors = of(access_token)
    if kind in factors.kinds:
        if not factors.may_turn_off(kind, policy()):
            raise LastFactor
        _change(access_token, factors, factors.without(kind))


def prefer(access_token: str, kind: str) -> None:
    """Ask for this factor where there are two; for "", ask each time which one. Raises SignedOut."""
    factors = of(access_token)
    _change(access_token, factors, replace(factors, preferred=kind if kind in factors.kinds else ""))


def _change(access_token: str, was: Factors, new: Factors) -> None:
    wanted: dict[str, Any] = {
        _SETTINGS[kind]: {"Enabled": kind in new.kinds, "PreferredMfa": kind == new.preferred}
        for kind in {*was.kinds, *new.kinds}
    }
    with refusing(NotAuthorizedException=SignedOut, InvalidParameterException=PhoneRefused):
        aws.client("cognito-idp").set_user_mfa_preference(AccessToken=access_token, **wanted)


# --- A code from an app -----------------------------------------------------------------------------------------------


def start_totp(access_token: str) -> str:
    """Return a new secret for an authenticator app, in base 32. Raises SignedOut."""
    with refusing(NotAuthorizedException=SignedOut):
        return aws.client("cognito-idp").associate_software_token(AccessToken=access_token)["SecretCode"]


@sensitive_variables("code")
def finish_totp(access_token: str, code: str) -> Factors:
    """Turn the app on, by its first code. Raises CodeMismatch, SignedOut."""
    with refusing(NotAuthorizedException=SignedOut, InvalidParameterException=CodeMismatch):
        answer = aws.client("cognito-idp").verify_software_token(AccessToken=access_token, UserCode=code)
    if answer["Status"] != "SUCCESS":
        raise CodeMismatch
    return turn_on(access_token, TOTP)


def start_totp_at_sign_in(challenge: Challenge) -> tuple[str, Challenge]:
    """Return a new secret for someone who must set a second factor up to come in, and the challenge as it goes on.
    Raises ChallengeExpired, NoFactorToSetUp."""
    if challenge.kinds and TOTP not in challenge.kinds:
        raise NoFactorToSetUp
    with refusing(NotAuthorizedException=ChallengeExpired):
        answer = aws.client("cognito-idp").associate_software_token(Session=challenge.session)
    return answer["SecretCode"], replace(challenge, session=answer["Session"])


@sensitive_variables("code")
def finish_totp_at_sign_in(challenge: Challenge, code: str) -> Tokens | Challenge:
    """Raises CodeMismatch, ChallengeExpired."""
    with refusing(NotAuthorizedException=ChallengeExpired, InvalidParameterException=CodeMismatch):
        answer = aws.client("cognito-idp").verify_software_token(Session=challenge.session, UserCode=code)
    if answer["Status"] != "SUCCESS":
        raise CodeMismatch
    return answer_challenge(replace(challenge, session=answer["Session"]))


# --- A code in a text message -----------------------------------------------------------------------------------------


def send_code(access_token: str, phone_number: str) -> None:
    """Send a code to a number (E.164) that somebody says is theirs. Until they have typed it in, the number that they
    had before stays theirs, and no other code goes to the new one. Raises PhoneRefused, TooManyAttempts, SignedOut."""
    with refusing(
        NotAuthorizedException=SignedOut,
        InvalidParameterException=PhoneRefused,
        CodeDeliveryFailureException=PhoneRefused,
        InvalidSmsRoleAccessPolicyException=PhoneRefused,
        InvalidSmsRoleTrustRelationshipException=PhoneRefused,
    ):
        aws.client("cognito-idp").update_user_attributes(
            AccessToken=access_token, UserAttributes=[{"Name": "phone_number", "Value": phone_number}]
        )


@sensitive_variables("code")
def verify_phone(access_token: str, code: str) -> None:
    """Raises CodeMismatch, CodeExpired, TooManyAttempts, SignedOut."""
    with refusing(NotAuthorizedException=SignedOut, InvalidParameterException=CodeMismatch):
        aws.client("cognito-idp").verify_user_attribute(
            AccessToken=access_token, AttributeName="phone_number", Code=code
        )
