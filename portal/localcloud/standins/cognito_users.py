"""What a user's state allows: resending, resetting, inviting again, and which attributes an app may write.

MiniStack resends codes to confirmed users, resets any password, mails the same temporary password again,
tells known from unknown user names by their masked address, and lets users set any attribute of theirs.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pool-managing-errors.html,
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ForgotPassword.html and
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html
"""

import hashlib
from typing import Any

from portal.localcloud.standins.cognito_calls import (
    CognitoCalls,
    Handler,
    Response,
    attributes_of,
    error,
    set_attributes,
)
from portal.localcloud.standins.touchpoints import module_with

COGNITOS_OWN = frozenset({"sub", "email_verified", "phone_number_verified", "identities"})
ADDRESS_TAKEN = "An account with the given email already exists."
NOT_WRITABLE = "A client attempted to write unauthorized attribute"


def install(calls: CognitoCalls) -> None:
    """Patch the calls about one user."""
    cognito = module_with(
        "ministack.services.cognito",
        "_hides_user_existence",
        "_code_delivery_response",
        "_masked_destination",
        "_generate_temp_password",
        "_validate_password",
        "_token_claims",
    )
    # Touchpoint: how an address is shown; MiniStack shows "****" for a name without an address, known ones
    # never do.
    mask = cognito._masked_destination

    def mask_or_pretend(address: str) -> Any:
        if address and "@" not in address:
            letters = (
                hashlib.sha256(address.lower().encode())
                .hexdigest()
                .translate(str.maketrans("0123456789", "ghijklmnop"))
            )
            address = f"{letters[0]}@{letters[1]}"
        return mask(address)

    cognito._masked_destination = mask_or_pretend

    def pretend_sent(username: str) -> Response:
        response: Response = cognito._code_delivery_response(cognito._masked_destination(username))
        return response

    def resend(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        user = calls.find_user(pool, data.get("Username"))
        if user is None:
            return handler(data)
        if not user.get("Enabled", True):
            if cognito._hides_user_existence(pool, data["ClientId"]):
                return pretend_sent(data["Username"])
            return error("NotAuthorizedException", "User is disabled.")
        if user.get("UserStatus") != "UNCONFIRMED":
            return error("InvalidParameterException", "User is already confirmed.")
        return handler(data)

    def forgot(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        user = calls.find_user(pool, data.get("Username"))
        if user is None:
            return handler(data)
        hidden = cognito._hides_user_existence(pool, data["ClientId"])
        if not user.get("Enabled", True):
            return pretend_sent(data["Username"]) if hidden else error("NotAuthorizedException", "User is disabled.")
        if user.get("UserStatus") == "FORCE_CHANGE_PASSWORD":
            return error("NotAuthorizedException", "User password cannot be reset in the current state.")
        if attributes_of(user).get("email_verified") != "true":
            if hidden:
                return pretend_sent(data["Username"])
            message = "Cannot reset password for the user as there is no registered/verified email or phone_number"
            return error("InvalidParameterException", message)
        return handler(data)

    def create(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        user = calls.find_user(pool, data.get("Username"))
        if str(data.get("MessageAction", "")).upper() != "RESEND" or user is None:
            # Of an address that is taken, Cognito says here the same as of a name.
            is_taken = not data.get("ForceAliasCreation") and _takes_address(pool, user, data)
            return error("UsernameExistsException", ADDRESS_TAKEN) if is_taken else handler(data)
        if user.get("UserStatus") != "FORCE_CHANGE_PASSWORD":
            message = f"Resend not possible. {user['Username']} status is not FORCE_CHANGE_PASSWORD"
            return error("UnsupportedUserStateException", message)
        password = data.get("TemporaryPassword") or cognito._generate_temp_password()
        refused: Response | None = cognito._validate_password(pool, password)
        if refused is not None:
            return refused
        user["_password"] = password
        return handler({**data, "Username": user["Username"]})

    def sign_up(handler: Handler, data: dict[str, Any]) -> Response:
        refused = _write_error(calls.pool_of(data), data.get("ClientId"), data.get("UserAttributes"))
        return refused or handler(data)

    def update_own(handler: Handler, data: dict[str, Any]) -> Response:
        _user, pool = cognito._user_pool_for_access_token(data.get("AccessToken"))
        client_id = cognito._token_claims(data.get("AccessToken", "")).get("client_id")
        refused = _write_error(pool, client_id, data.get("UserAttributes"))
        return refused or handler(data)

    def update_by_admin(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        user = calls.find_user(pool, data.get("Username"))
        if _takes_address(pool, user, data):
            return error("AliasExistsException", ADDRESS_TAKEN)
        before = attributes_of(user) if user else {}
        response = handler(data)
        named = {attribute["Name"] for attribute in data.get("UserAttributes") or []}
        for name in ("email", "phone_number"):
            changed = user is not None and attributes_of(user).get(name) != before.get(name)
            if changed and f"{name}_verified" not in named:
                set_attributes(user, **{f"{name}_verified": "false"})
        return response

    def confirm_sign_up(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        user = calls.find_user(pool, data.get("Username"))
        owner = _verified_owner(pool, attributes_of(user).get("email")) if user else None
        if owner is not None and owner is not user and "email" in (pool.get("AliasAttributes") or []):
            if not data.get("ForceAliasCreation"):
                return error("AliasExistsException", "An account with the email already exists.")
            set_attributes(owner, email_verified="false")
        return handler(data)

    calls.around("ResendConfirmationCode", run=resend)
    calls.around("ForgotPassword", run=forgot)
    calls.around("AdminCreateUser", run=create)
    calls.around("SignUp", run=sign_up)
    calls.around("UpdateUserAttributes", run=update_own)
    calls.around("AdminUpdateUserAttributes", run=update_by_admin)
    calls.around("ConfirmSignUp", run=confirm_sign_up)


def _write_error(pool: Any, client_id: Any, attributes: Any) -> Response | None:
    """Return the refusal of attributes that the app client may not write."""
    if pool is None:
        return None
    names = {attribute.get("Name") for attribute in attributes or []}
    writable = (pool["_clients"].get(client_id) or {}).get("WriteAttributes")
    if names & COGNITOS_OWN or (writable and not names <= set(writable)):
        return error("NotAuthorizedException", NOT_WRITABLE)
    return None


def _takes_address(pool: Any, user: Any, data: dict[str, Any]) -> bool:
    """Tell whether a call would verify an address for this user (None: a new one) that is another's."""
    given = {attribute["Name"]: attribute.get("Value") for attribute in data.get("UserAttributes") or []}
    if pool is None or "email" not in (pool.get("AliasAttributes") or []) or given.get("email_verified") != "true":
        return False
    owner = _verified_owner(pool, given.get("email"))
    return owner is not None and owner is not user


def _verified_owner(pool: Any, email: str | None) -> Any:
    """Return the user for whom an address is verified, or None."""
    wanted = (email or "").lower()
    for user in pool["_users"].values() if wanted else ():
        attributes = attributes_of(user)
        if attributes.get("email", "").lower() == wanted and attributes.get("email_verified") == "true":
            return user
    return None
