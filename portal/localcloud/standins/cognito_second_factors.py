"""Which second factor is asked for, and what a user may prefer.

MiniStack asks for a software token only, lets anything be preferred, and loses a pool's text message settings.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-mfa.html,
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-mfa-totp.html and
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_SetUserMFAPreference.html
"""

import hmac
import json
import time
from typing import Any

from portal.localcloud.standins.cognito_calls import (
    CognitoCalls,
    Handler,
    Response,
    answer,
    attributes_of,
    content_of,
    error,
)
from portal.localcloud.standins.cognito_texts import masked
from portal.localcloud.standins.touchpoints import module_with

TOTP, SMS = "SOFTWARE_TOKEN_MFA", "SMS_MFA"
SETTINGS = {TOTP: "SoftwareTokenMfaSettings", SMS: "SMSMfaSettings"}
TOTP_STEP_SECONDS = 30


def install(calls: CognitoCalls) -> None:
    """Patch the calls about preferences and about a pool's factors."""
    cognito = module_with(
        "ministack.services.cognito", "_user_pool_for_access_token", "_set_user_pool_mfa_config", "_user_pools"
    )

    def prefer(_handler: Handler, data: dict[str, Any]) -> Response:
        if data.get("UserPoolId"):
            pool = calls.pool_of(data)
            user = calls.find_user(pool, data.get("Username"))
        else:
            user, pool = cognito._user_pool_for_access_token(data.get("AccessToken"))
        if pool is None:
            return error("ResourceNotFoundException", "The user pool does not exist.")
        if user is None:
            return error("UserNotFoundException", "User does not exist.")
        return refused_preference(pool, user, data) or set_preference(user, data)

    def show(handler: Handler, data: dict[str, Any]) -> Response:
        response = handler(data)
        if response[0] != 200:
            return response
        content = content_of(response)
        # Cognito leaves out what is not set.
        for name in ("UserMFASettingList", "PreferredMfaSetting"):
            if not content.get(name):
                content.pop(name, None)
        return answer(content)

    def configure(handler: Handler, data: dict[str, Any]) -> Response:
        offered = {**(calls.pool_of(data) or {}), **data}
        if offered.get("MfaConfiguration", "OFF") != "OFF" and not factors_of(offered):
            return error("InvalidParameterException", "At least one MFA must be enabled when MFA is on or optional.")
        return handler(data)

    calls.around("SetUserMFAPreference", "AdminSetUserMFAPreference", run=prefer)
    calls.around("GetUser", "AdminGetUser", run=show)
    calls.around("SetUserPoolMfaConfig", run=configure)
    _patch_template(cognito)


def factors_of(pool: Any) -> list[str]:
    """Return the factors that a pool offers."""
    offered = [SMS] if pool.get("SmsMfaConfiguration") else []
    return [*offered, TOTP] if (pool.get("SoftwareTokenMfaConfiguration") or {}).get("Enabled") else offered


def next_challenge(pool: Any, user: Any) -> tuple[str, dict[str, str]] | None:
    """Return the challenge after a right password, and its parameters; None if there is none."""
    if pool.get("MfaConfiguration", "OFF") == "OFF":
        return None
    enabled = [factor for factor in user.get("_mfa_enabled", []) if factor in factors_of(pool)]
    number = attributes_of(user).get("phone_number")
    if SMS in enabled and not number:
        enabled.remove(SMS)
    if user.get("_preferred_mfa") in enabled:
        return factor_challenge(user, user["_preferred_mfa"])
    if len(enabled) == 1:
        return factor_challenge(user, enabled[0])
    if enabled:
        return "SELECT_MFA_TYPE", {"MFAS_CAN_CHOOSE": json.dumps(sorted(enabled)), "USER_ID_FOR_SRP": user["Username"]}
    if pool["MfaConfiguration"] != "ON":
        return None
    if number and SMS in factors_of(pool):
        return factor_challenge(user, SMS)
    return "MFA_SETUP", {"MFAS_CAN_SETUP": json.dumps(factors_of(pool)), "USER_ID_FOR_SRP": user["Username"]}


def factor_challenge(user: Any, factor: str) -> tuple[str, dict[str, str]]:
    """Return the challenge of one factor, and its parameters."""
    parameters = {"USER_ID_FOR_SRP": user["Username"]}
    if factor == SMS:
        number = attributes_of(user)["phone_number"]
        return SMS, {
            **parameters,
            "CODE_DELIVERY_DELIVERY_MEDIUM": "SMS",
            "CODE_DELIVERY_DESTINATION": masked(number),
        }
    return TOTP, {**parameters, "FRIENDLY_DEVICE_NAME": "TOTP device"}


def refused_preference(pool: Any, user: Any, data: dict[str, Any]) -> Response | None:
    """Return the refusal of a preference, or None."""
    wishes = {factor: data.get(name) or {} for factor, name in SETTINGS.items()}
    if sum(bool(wish.get("PreferredMfa")) for wish in wishes.values()) > 1:
        return error("InvalidParameterException", "Only one MFA method can be preferred.")
    for factor, wish in wishes.items():
        if wish.get("PreferredMfa") and not wish.get("Enabled"):
            return error("InvalidParameterException", f"{factor} must be enabled to be preferred.")
        if wish.get("Enabled") and factor not in factors_of(pool):
            return error("InvalidParameterException", f"{factor} is not enabled for the user pool.")
    if wishes[TOTP].get("Enabled") and not user.get("_totp_secret"):
        return error("InvalidParameterException", "User has not verified software token mfa")
    attributes = attributes_of(user)
    verified = attributes.get("phone_number") and attributes.get("phone_number_verified") == "true"
    if wishes[SMS].get("Enabled") and not verified:
        return error("InvalidParameterException", "User does not have a verified phone number to turn on SMS_MFA")
    return None


def set_preference(user: Any, data: dict[str, Any]) -> Response:
    """Enable, disable and prefer factors; one that is not named stays as it is."""
    enabled = set(user.get("_mfa_enabled", []))
    for factor, name in SETTINGS.items():
        wish = data.get(name)
        if wish is None:
            continue
        (enabled.add if wish.get("Enabled") else enabled.discard)(factor)
        if wish.get("PreferredMfa"):
            user["_preferred_mfa"] = factor
        elif user.get("_preferred_mfa") == factor:
            user["_preferred_mfa"] = ""
    user.update(_mfa_enabled=sorted(enabled), UserLastModifiedDate=time.time())
    return answer({})


def matching_step(cognito: Any, secret: str, code: object) -> int | None:
    """Return the number of the 30-second step a code is right for, now or one step around it."""
    now_step = int(time.time() // TOTP_STEP_SECONDS)
    for offset in (-1, 0, 1):
        expected = cognito._totp_code(secret, offset)
        if isinstance(code, str) and hmac.compare_digest(expected.encode(), code.encode()):
            return now_step + offset
    return None


def totp_error(cognito: Any, user: Any, code: object) -> Response | None:
    """Use up a one-time code; return the error it deserves, or None."""
    secret = user.get("_totp_secret")
    if not secret:
        return error("SoftwareTokenMFANotFoundException", "Software Token MFA does not exist for the user.")
    step = matching_step(cognito, secret, code)
    if step is None:
        return error("CodeMismatchException", "Invalid code received for user")
    # Reference: RFC 6238, 5.2: the second attempt of a code must not be accepted.
    if step <= user.get("_totp_used_step", 0):
        return error("ExpiredCodeException", "Your software token has already been used once.")
    user["_totp_used_step"] = step
    return None


def _patch_template(cognito: Any) -> None:
    """Make SMS_MFA among a template's EnabledMfas take effect. Touchpoint: the table of resource handlers."""
    provisioners = module_with("ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS")
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Cognito::UserPool"]
    create_pool, update_pool = handlers["create"], handlers["update"]

    def apply(pool_id: str, properties: dict[str, Any]) -> None:
        pool = cognito._user_pools[pool_id]
        if SMS not in (properties.get("EnabledMfas") or []):
            pool.pop("SmsMfaConfiguration", None)
            return
        message = properties.get("SmsAuthenticationMessage")
        pool["SmsMfaConfiguration"] = {
            "SmsConfiguration": properties.get("SmsConfiguration") or {},
            **({"SmsAuthenticationMessage": message} if message else {}),
        }

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        created = create_pool(logical_id, properties, stack_name)
        apply(created[0], properties)
        return created

    def update(pool_id: str, old: dict[str, Any], new: dict[str, Any], *others: Any) -> Any:
        updated = update_pool(pool_id, old, new, *others)
        apply(pool_id, new)
        return updated

    handlers.update(create=create, update=update)
