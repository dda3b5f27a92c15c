"""Codes that Cognito mails and texts: random, expiring, replaced by the next one, and limited in wrong attempts.

MiniStack mails 123456 for every sign-up and 654321 for every forgotten password, for ever and with any number
of attempts, does not mark an address as verified by its code, and has no attribute verification.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html (24
hours), https://docs.aws.amazon.com/cognito/latest/developerguide/managing-users-passwords.html (one hour) and
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetUserAttributeVerificationCode.html
"""

import secrets
import threading
import time
from typing import Any

from portal.localcloud.standins.cognito_calls import (
    CognitoCalls,
    Handler,
    Response,
    answer,
    attributes_of,
    error,
    set_attributes,
)
from portal.localcloud.standins.cognito_texts import E164, Sender, masked, verification_text
from portal.localcloud.standins.touchpoints import module_with

VERIFIABLE = ("email", "phone_number")
VALIDITY_SECONDS = {"sign_up": 24 * 3600, "password": 3600, **dict.fromkeys(VERIFIABLE, 24 * 3600)}
WRONG_ATTEMPTS = 5
CODES_AN_HOUR = 20
# In the user's own record, so that a restart keeps them.
ISSUED = "_portico_codes"

_lock = threading.Lock()


def install(calls: CognitoCalls, send_text: Sender) -> None:
    """Patch the sending and the checking of codes, and add the two attribute verification calls."""
    cognito = module_with(
        "ministack.services.cognito",
        "_send_verification_email",
        "_confirmation_code_error",
        "_user_pool_for_access_token",
        "_masked_destination",
    )
    # Touchpoints: every code MiniStack makes up goes through these two, looked up in the module at each call.
    send = cognito._send_verification_email

    def send_fresh_code(pool: Any, username: str, attributes: Any, _code: str, attribute_name: str = "email") -> Any:
        user = calls.find_user(pool, username)
        purpose = "password" if attribute_name == "password" else "sign_up"
        return send(pool, username, attributes, issue(user, purpose, now=time.time()), attribute_name)

    def code_error(action: str, data: dict[str, Any]) -> Response | None:
        purpose = {"ConfirmSignUp": "sign_up", "ConfirmForgotPassword": "password"}.get(action)
        user = calls.find_user(calls.pool_of(data), data.get("Username")) if purpose else None
        if purpose is None or user is None:
            return None
        if purpose == "sign_up" and user.get("UserStatus") != "UNCONFIRMED":
            message = f"User cannot be confirmed. Current status is {user.get('UserStatus')}"
            return error("NotAuthorizedException", message)
        return check(user, purpose, data.get("ConfirmationCode"), now=time.time())

    cognito._send_verification_email = send_fresh_code
    cognito._confirmation_code_error = code_error

    def too_many_codes(handler: Handler, data: dict[str, Any]) -> Response:
        user = calls.find_user(calls.pool_of(data), data.get("Username"))
        if user is not None and _issued_lately(user, now=time.time()) >= CODES_AN_HOUR:
            return _limit_exceeded()
        return handler(data)

    def confirm(purpose: str) -> Any:
        def around(handler: Handler, data: dict[str, Any]) -> Response:
            user = calls.find_user(calls.pool_of(data), data.get("Username"))
            response = handler(data)
            if user is not None and response[0] == 200:
                _use(user, purpose)
            return response

        return around

    def deliver(pool: Any, user: Any, attribute: str) -> dict[str, str]:
        """Send a code to what is to be verified and return the delivery details."""
        code, destination = issue(user, attribute, now=time.time()), _pending(user, attribute)
        if attribute == "phone_number":
            send_text(destination, verification_text(pool, code))
            return {"Destination": masked(destination), "DeliveryMedium": "SMS", "AttributeName": attribute}
        send(pool, user["Username"], {**attributes_of(user), "email": destination}, code, "email")
        shown = cognito._masked_destination(destination)
        return {"Destination": shown, "DeliveryMedium": "EMAIL", "AttributeName": attribute}

    def send_attribute_code(data: dict[str, Any]) -> Response:
        user, pool = cognito._user_pool_for_access_token(data.get("AccessToken"))
        attribute = data.get("AttributeName", "")
        if user is None or attribute not in VERIFIABLE or not _pending(user, attribute):
            return error("InvalidParameterException", "The user has no such attribute to verify.")
        if _issued_lately(user, now=time.time()) >= CODES_AN_HOUR:
            return _limit_exceeded()
        return answer({"CodeDeliveryDetails": deliver(pool, user, attribute)})

    def verify_attribute(data: dict[str, Any]) -> Response:
        user, _pool = cognito._user_pool_for_access_token(data.get("AccessToken"))
        attribute = data.get("AttributeName", "")
        if user is None or attribute not in VERIFIABLE:
            return error("InvalidParameterException", "The user has no such attribute to verify.")
        wrong = check(user, attribute, data.get("Code"), now=time.time())
        if wrong is not None:
            return wrong
        _use(user, attribute)
        return answer({})

    def update_attributes(handler: Handler, data: dict[str, Any]) -> Response:
        user, pool = cognito._user_pool_for_access_token(data.get("AccessToken"))
        if user is None:
            return handler(data)
        wanted = {one.get("Name"): one.get("Value", "") for one in data.get("UserAttributes") or []}
        if wanted.get("phone_number") and not E164.fullmatch(wanted["phone_number"]):
            return error("InvalidParameterException", "Invalid phone number format.")
        before = attributes_of(user)
        changed = [name for name in VERIFIABLE if name in wanted and wanted[name] != before.get(name)]
        if changed and _issued_lately(user, now=time.time()) >= CODES_AN_HOUR:
            return _limit_exceeded()
        response = handler(data)
        if response[0] != 200:
            return response
        settings = pool.get("UserAttributeUpdateSettings") or {}
        for name in changed:
            if name in settings.get("AttributesRequireVerificationBeforeUpdate", []) and before.get(name):
                user[ISSUED] = {**user.get(ISSUED, {}), f"new_{name}": wanted[name]}
                set_attributes(user, **{name: before[name]})
            else:
                set_attributes(user, **{f"{name}_verified": "false"})
        automatic = [name for name in changed if wanted[name] and name in (pool.get("AutoVerifiedAttributes") or [])]
        return answer({"CodeDeliveryDetailsList": [deliver(pool, user, name) for name in automatic]})

    calls.around("ResendConfirmationCode", "ForgotPassword", run=too_many_codes)
    calls.around("ConfirmSignUp", run=confirm("sign_up"))
    calls.around("ConfirmForgotPassword", run=confirm("password"))
    calls.around("UpdateUserAttributes", run=update_attributes)
    calls.add("GetUserAttributeVerificationCode", send_attribute_code)
    calls.add("VerifyUserAttribute", verify_attribute)


def issue(user: Any, purpose: str, *, now: float) -> str:
    """Return a new six-digit code for the user, which replaces the one before."""
    code = f"{secrets.randbelow(10**6):06d}"
    with _lock:
        issued = user.setdefault(ISSUED, {})
        issued["times"] = [*(at for at in issued.get("times", []) if at > now - 3600), now]
        issued[purpose] = {
            "code": code,
            "expires_at": now + VALIDITY_SECONDS[purpose],
            "destination": _pending(user, purpose) if purpose in VERIFIABLE else attributes_of(user).get("email"),
        }
    return code


def check(user: Any, purpose: str, code: object, *, now: float) -> Response | None:
    """Return the error a code deserves, or None. Wrong ones count for an hour, across new codes."""
    with _lock:
        issued = user.setdefault(ISSUED, {})
        wrong_at = [at for at in issued.get("wrong_at", []) if at > now - 3600]
        if len(wrong_at) >= WRONG_ATTEMPTS:
            return _limit_exceeded()
        entry = issued.get(purpose)
        if entry is None or entry["expires_at"] <= now:
            return error("ExpiredCodeException", "Invalid code provided, please request a code again.")
        if not isinstance(code, str) or not secrets.compare_digest(entry["code"].encode(), code.encode()):
            issued["wrong_at"] = [*wrong_at, now]
            return error("CodeMismatchException", "Invalid verification code provided, please try again.")
        issued.pop("wrong_at", None)
    return None


def _use(user: Any, purpose: str) -> None:
    """Forget a code that was right and mark what it was sent to as verified."""
    with _lock:
        entry = user.get(ISSUED, {}).pop(purpose, None)
        if entry is None or not entry["destination"]:
            return
        if purpose in VERIFIABLE:
            user[ISSUED].pop(f"new_{purpose}", None)
            set_attributes(user, **{purpose: entry["destination"], f"{purpose}_verified": "true"})
        elif entry["destination"] == attributes_of(user).get("email"):
            set_attributes(user, email_verified="true")


def _pending(user: Any, attribute: str) -> str:
    """Return the value that is to be verified."""
    value: str = user.get(ISSUED, {}).get(f"new_{attribute}") or attributes_of(user).get(attribute, "")
    return value


def _issued_lately(user: Any, *, now: float) -> int:
    return sum(at > now - 3600 for at in user.get(ISSUED, {}).get("times", []))


def _limit_exceeded() -> Response:
    return error("LimitExceededException", "Attempt limit exceeded, please try after some time.")
