"""Challenges answered with their own session only: new password, software token, and setting one up.

MiniStack gives tokens, or a new password, to whoever names a user in RespondToAuthChallenge: it makes up a
session and never looks at it again. It also lets a software token be preferred before it is verified, accepts
the same one-time code twice, and asks nobody to set one up where the pool requires it.
Reference:
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html
and https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-mfa-totp.html
"""

import base64
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from portal.localcloud.standins.cognito_calls import (
    CognitoCalls,
    Handler,
    Response,
    answer,
    attributes_of,
    content_of,
    error,
    set_attributes,
)
from portal.localcloud.standins.touchpoints import module_with

BOUND_CHALLENGES = ("NEW_PASSWORD_REQUIRED", "SOFTWARE_TOKEN_MFA", "MFA_SETUP", "SMS_MFA")
WRONG_ATTEMPTS = 5
TOTP_STEP_SECONDS = 30


@dataclass
class ChallengeSession:
    """Who has proved what so far, and what is asked next. expires_at in epoch seconds."""

    pool_id: str
    client_id: str
    username: str
    challenge: str
    expires_at: float
    wrong_attempts: int = 0
    totp_secret: str = ""
    totp_verified: bool = False


class ChallengeSessions:
    """The open sessions, by their token. They live minutes, so a restart forgets them."""

    def __init__(self) -> None:
        self._sessions: dict[str, ChallengeSession] = {}
        self._lock = threading.Lock()

    def open(self, session: ChallengeSession, *, token: str = "") -> str:
        """Keep a session and return its token."""
        token = token or base64.b64encode(secrets.token_bytes(48)).decode()
        with self._lock:
            now = time.time()
            self._sessions = {key: kept for key, kept in self._sessions.items() if kept.expires_at > now}
            self._sessions[token] = session
        return token

    def find(self, token: object) -> ChallengeSession | None:
        session = self._sessions.get(token) if isinstance(token, str) else None
        return session if session is not None and session.expires_at > time.time() else None

    def close(self, token: object) -> ChallengeSession | None:
        """Forget a session, so that it cannot be used twice, and return it if it was still open."""
        with self._lock:
            return self._sessions.pop(token, None) if isinstance(token, str) else None


def install(calls: CognitoCalls) -> None:
    """Patch the calls that open and answer challenges."""
    cognito = module_with(
        "ministack.services.cognito",
        "_mfa_challenge_for_user",
        "_authenticate_hosted_ui_user",
        "_build_auth_result",
        "_totp_code",
        "_password_policy_errors",
        "_validate_password",
        "_password_signin_refused",
    )
    sessions = ChallengeSessions()
    challenge_for = cognito._mfa_challenge_for_user

    # Touchpoint: what a right password leads to is asked here, looked up in the module at each call.
    def challenge_or_setup(pool: Any, user: Any, pool_id: str, username: str) -> Any:
        asked = challenge_for(pool, user, pool_id, username)
        if asked is None and pool.get("MfaConfiguration") == "ON":
            parameters = {"MFAS_CAN_SETUP": '["SOFTWARE_TOKEN_MFA"]', "USER_ID_FOR_SRP": username}
            token = base64.b64encode(secrets.token_bytes(48)).decode()
            asked = {"ChallengeName": "MFA_SETUP", "Session": token, "ChallengeParameters": parameters}
        return asked

    cognito._mfa_challenge_for_user = challenge_or_setup
    authenticate_hosted = cognito._authenticate_hosted_ui_user

    # Touchpoint: the hosted page signs in with a password alone; it cannot ask for more, so it refuses.
    def authenticate_without_second_factor(pool: Any, username: Any, password: Any) -> Any:
        user, problem = authenticate_hosted(pool, username, password)
        if user is not None and cognito._mfa_challenge_for_user(pool, user, pool["Id"], user["Username"]):
            return None, "This account needs a second factor, which the local sign-in page cannot ask for."
        return user, problem

    cognito._authenticate_hosted_ui_user = authenticate_without_second_factor

    def remember(response: Response, data: dict[str, Any]) -> Response:
        asked = content_of(response)
        pool = calls.pool_of(data)
        user = calls.find_user(pool, asked.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP"))
        if asked.get("ChallengeName") in BOUND_CHALLENGES and user is not None:
            validity_minutes = pool["_clients"][data["ClientId"]].get("AuthSessionValidity") or 3
            session = ChallengeSession(
                pool_id=pool["Id"],
                client_id=data["ClientId"],
                username=user["Username"],
                challenge=asked["ChallengeName"],
                expires_at=time.time() + validity_minutes * 60,
            )
            sessions.open(session, token=asked["Session"])
        return response

    def initiate(handler: Handler, data: dict[str, Any]) -> Response:
        return remember(handler(data), data)

    def respond(handler: Handler, data: dict[str, Any]) -> Response:
        challenge = data.get("ChallengeName")
        if challenge not in BOUND_CHALLENGES:
            return remember(handler(data), data)
        responses = data.get("ChallengeResponses") or {}
        pool, session = calls.pool_of(data), sessions.find(data.get("Session"))
        user = calls.find_user(pool, responses.get("USERNAME"))
        if (
            session is None
            or user is None
            or (session.pool_id, session.client_id) != (pool["Id"], data.get("ClientId"))
            or (session.challenge, session.username) != (challenge, user["Username"])
        ):
            return error("NotAuthorizedException", "Invalid session for the user, session is expired.")
        if not user.get("Enabled", True):
            return error("NotAuthorizedException", "User is disabled.")
        if challenge == "NEW_PASSWORD_REQUIRED":
            response = remember(_set_first_password(cognito, pool, user, data), data)
        elif challenge == "SOFTWARE_TOKEN_MFA":
            response = _answer_totp(cognito, handler, user, data)
        elif challenge == "MFA_SETUP" and session.totp_verified:
            _prefer_totp(user)
            response = handler(data)
        else:
            return error("NotAuthorizedException", "Invalid session for the user.")
        if response[0] == 200:
            sessions.close(data["Session"])
        elif content_of(response)["__type"] == "CodeMismatchException":
            session.wrong_attempts += 1
            if session.wrong_attempts >= WRONG_ATTEMPTS:
                sessions.close(data["Session"])
        return response

    def associate(handler: Handler, data: dict[str, Any]) -> Response:
        if data.get("AccessToken"):
            return handler(data)
        session = sessions.close(data.get("Session"))
        if session is None or session.challenge != "MFA_SETUP":
            return error("NotAuthorizedException", "Invalid session for the user, session is expired.")
        session.totp_secret = base64.b32encode(secrets.token_bytes(20)).decode()
        return answer({"SecretCode": session.totp_secret, "Session": sessions.open(session)})

    def verify(handler: Handler, data: dict[str, Any]) -> Response:
        if data.get("AccessToken"):
            return _verify_signed_in(cognito, handler, data)
        session = sessions.find(data.get("Session"))
        if session is None or not session.totp_secret:
            return error("NotAuthorizedException", "Invalid session for the user, session is expired.")
        user = calls.find_user(cognito._user_pools.get(session.pool_id), session.username)
        step = matching_step(cognito, session.totp_secret, data.get("UserCode"))
        if user is None or step is None:
            return error("EnableSoftwareTokenMFAException", "Code mismatch")
        sessions.close(data["Session"])
        user["_totp_secret"], user["_totp_used_step"] = session.totp_secret, step
        session.totp_verified = True
        return answer({"Status": "SUCCESS", "Session": sessions.open(session)})

    def prefer(handler: Handler, data: dict[str, Any]) -> Response:
        if data.get("UserPoolId"):
            user = calls.find_user(calls.pool_of(data), data.get("Username"))
        else:
            user = cognito._user_pool_for_access_token(data.get("AccessToken"))[0]
        wants_totp = (data.get("SoftwareTokenMfaSettings") or {}).get("Enabled")
        if user is not None and wants_totp and not user.get("_totp_secret"):
            return error("InvalidParameterException", "User has not verified software token mfa")
        return handler(data)

    calls.around("InitiateAuth", "AdminInitiateAuth", run=initiate)
    calls.around("RespondToAuthChallenge", "AdminRespondToAuthChallenge", run=respond)
    calls.around("AssociateSoftwareToken", run=associate)
    calls.around("VerifySoftwareToken", run=verify)
    calls.around("SetUserMFAPreference", "AdminSetUserMFAPreference", run=prefer)


def matching_step(cognito: Any, secret: str, code: object) -> int | None:
    """Return the number of the 30-second step a code is right for, now or one step around it."""
    now_step = int(time.time() // TOTP_STEP_SECONDS)
    for offset in (-1, 0, 1):
        expected = cognito._totp_code(secret, offset)
        if isinstance(code, str) and hmac.compare_digest(expected.encode(), code.encode()):
            return now_step + offset
    return None


def _answer_totp(cognito: Any, handler: Handler, user: Any, data: dict[str, Any]) -> Response:
    secret = user.get("_totp_secret")
    if not secret:
        return error("SoftwareTokenMFANotFoundException", "Software Token MFA does not exist for the user.")
    step = matching_step(cognito, secret, data["ChallengeResponses"].get("SOFTWARE_TOKEN_MFA_CODE"))
    # Reference: RFC 6238, 5.2: the second attempt of a code must not be accepted.
    if step is not None and step <= user.get("_totp_used_step", 0):
        return error("ExpiredCodeException", "Your software token has already been used once.")
    response = handler(data)
    if step is not None and response[0] == 200:
        user["_totp_used_step"] = step
    return response


def _verify_signed_in(cognito: Any, handler: Handler, data: dict[str, Any]) -> Response:
    """Verify a token of a signed-in user, which does not yet make it their preference."""
    user = cognito._user_pool_for_access_token(data["AccessToken"])[0]
    if user is None:
        return handler(data)
    secret = user.get("_totp_pending_secret") or user.get("_totp_secret")
    step = matching_step(cognito, secret, data.get("UserCode")) if secret else None
    enabled, preferred = list(user.get("_mfa_enabled", [])), user.get("_preferred_mfa", "")
    response = handler(data)
    if response[0] == 200:
        user["_mfa_enabled"], user["_preferred_mfa"], user["_totp_used_step"] = enabled, preferred, step
    return response


def _prefer_totp(user: Any) -> None:
    user["_mfa_enabled"] = sorted({*user.get("_mfa_enabled", []), "SOFTWARE_TOKEN_MFA"})
    user["_preferred_mfa"] = "SOFTWARE_TOKEN_MFA"


def _set_first_password(cognito: Any, pool: Any, user: Any, data: dict[str, Any]) -> Response:
    """Set the password a user must choose, then ask for the second factor or give tokens."""
    responses = data["ChallengeResponses"]
    password = responses.get("NEW_PASSWORD", "")
    refused: Response | None = cognito._password_signin_refused(user) or cognito._validate_password(pool, password)
    if refused is not None:
        return refused
    prefix = "userAttributes."
    chosen = {name.removeprefix(prefix): value for name, value in responses.items() if name.startswith(prefix)}
    if {"sub", "email_verified", "phone_number_verified"} & chosen.keys():
        return error("NotAuthorizedException", "A client attempted to write unauthorized attribute")
    if chosen.get("email", attributes_of(user).get("email")) != attributes_of(user).get("email"):
        chosen["email_verified"] = "false"
    set_attributes(user, **chosen)
    user.update(_password=password, UserStatus="CONFIRMED", UserLastModifiedDate=time.time())
    asked = cognito._mfa_challenge_for_user(pool, user, pool["Id"], user["Username"])
    if asked is not None:
        return answer(json.loads(json.dumps(asked)))
    result = cognito._build_auth_result(
        pool["Id"],
        data["ClientId"],
        user,
        trigger_source="TokenGeneration_NewPasswordChallenge",
        client_metadata=data.get("ClientMetadata", {}),
    )
    return answer({"AuthenticationResult": result})
