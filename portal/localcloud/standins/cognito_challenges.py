"""Challenges answered with their own session only: new password, second factors, and setting one up.

MiniStack gives tokens, or a new password, to whoever names a user in RespondToAuthChallenge: it makes up a
session and never looks at it again. It also accepts the same one-time code twice, sends no code by text message,
and asks nobody to set a second factor up where the pool requires it.
Reference:
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html
"""

import base64
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
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
from portal.localcloud.standins.cognito_second_factors import (
    SMS,
    TOTP,
    factor_challenge,
    factors_of,
    matching_step,
    next_challenge,
    totp_error,
)
from portal.localcloud.standins.cognito_texts import Sender, authentication_text
from portal.localcloud.standins.touchpoints import module_with

BOUND_CHALLENGES = ("NEW_PASSWORD_REQUIRED", TOTP, SMS, "SELECT_MFA_TYPE", "MFA_SETUP")
WRONG_ATTEMPTS = 5
INVALID_SESSION = "Invalid session for the user, session is expired."


@dataclass
class ChallengeSession:
    """Who has proved what so far, and what is asked next. expires_at in epoch seconds."""

    pool_id: str
    client_id: str
    username: str
    challenge: str
    expires_at: float
    choices: list[str] = field(default_factory=list)
    texted_code: str = field(default="", repr=False)
    wrong_attempts: int = 0
    totp_secret: str = field(default="", repr=False)
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


def install(calls: CognitoCalls, send_text: Sender) -> None:
    """Patch the calls that open and answer challenges."""
    cognito = module_with(
        "ministack.services.cognito",
        "_mfa_challenge_for_user",
        "_build_auth_result",
        "_totp_code",
        "_validate_password",
        "_password_signin_refused",
    )
    sessions = ChallengeSessions()

    # Touchpoint: what a right password leads to is asked here, looked up in the module at each call.
    def second_factor(pool: Any, user: Any, _pool_id: str, _username: str) -> Any:
        asked = next_challenge(pool, user)
        return asked and _challenge(*asked)

    cognito._mfa_challenge_for_user = second_factor

    def remember(response: Response, data: dict[str, Any]) -> Response:
        asked = content_of(response)
        parameters = asked.get("ChallengeParameters", {})
        pool = calls.pool_of(data)
        user = calls.find_user(pool, parameters.get("USER_ID_FOR_SRP"))
        if asked.get("ChallengeName") in BOUND_CHALLENGES and user is not None:
            validity_minutes = pool["_clients"][data["ClientId"]].get("AuthSessionValidity") or 3
            session = ChallengeSession(
                pool_id=pool["Id"],
                client_id=data["ClientId"],
                username=user["Username"],
                challenge=asked["ChallengeName"],
                expires_at=time.time() + validity_minutes * 60,
                choices=json.loads(parameters.get("MFAS_CAN_CHOOSE", "[]")),
            )
            if session.challenge == SMS:
                session.texted_code = f"{secrets.randbelow(10**6):06d}"
                send_text(attributes_of(user)["phone_number"], authentication_text(pool, session.texted_code))
            sessions.open(session, token=asked["Session"])
        return response

    def initiate(handler: Handler, data: dict[str, Any]) -> Response:
        return remember(handler(data), data)

    def tokens(user: Any, data: dict[str, Any]) -> Response:
        result = cognito._build_auth_result(
            calls.pool_of(data)["Id"], data["ClientId"], user, client_metadata=data.get("ClientMetadata", {})
        )
        return answer({"AuthenticationResult": result})

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
            return error("NotAuthorizedException", INVALID_SESSION)
        if not user.get("Enabled", True):
            return error("NotAuthorizedException", "User is disabled.")
        match challenge:
            case "NEW_PASSWORD_REQUIRED":
                response = remember(_set_first_password(cognito, pool, user, data), data)
            case "SOFTWARE_TOKEN_MFA":
                response = totp_error(cognito, user, responses.get("SOFTWARE_TOKEN_MFA_CODE")) or tokens(user, data)
            case "SMS_MFA":
                response = _text_error(user, session, responses.get("SMS_MFA_CODE")) or tokens(user, data)
            case "SELECT_MFA_TYPE":
                if responses.get("ANSWER") not in session.choices:
                    return error("InvalidParameterException", "ANSWER is none of the factors that can be chosen.")
                response = remember(answer(_challenge(*factor_challenge(user, responses["ANSWER"]))), data)
            case _ if session.totp_verified:
                user.update(_mfa_enabled=sorted({*user.get("_mfa_enabled", []), TOTP}), _preferred_mfa=TOTP)
                response = tokens(user, data)
            case _:
                return error("NotAuthorizedException", INVALID_SESSION)
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
            return error("NotAuthorizedException", INVALID_SESSION)
        if TOTP not in factors_of(cognito._user_pools[session.pool_id]):
            return error("SoftwareTokenMFANotFoundException", "Software Token MFA is not enabled for the user pool.")
        session.totp_secret = base64.b32encode(secrets.token_bytes(20)).decode()
        return answer({"SecretCode": session.totp_secret, "Session": sessions.open(session)})

    def verify(handler: Handler, data: dict[str, Any]) -> Response:
        if data.get("AccessToken"):
            return _verify_signed_in(cognito, handler, data)
        session = sessions.find(data.get("Session"))
        if session is None or not session.totp_secret:
            return error("NotAuthorizedException", INVALID_SESSION)
        user = calls.find_user(cognito._user_pools.get(session.pool_id), session.username)
        step = matching_step(cognito, session.totp_secret, data.get("UserCode"))
        if user is None or step is None:
            return error("EnableSoftwareTokenMFAException", "Code mismatch")
        sessions.close(data["Session"])
        user["_totp_secret"], user["_totp_used_step"] = session.totp_secret, step
        session.totp_verified = True
        return answer({"Status": "SUCCESS", "Session": sessions.open(session)})

    calls.around("InitiateAuth", "AdminInitiateAuth", run=initiate)
    calls.around("RespondToAuthChallenge", "AdminRespondToAuthChallenge", run=respond)
    calls.around("AssociateSoftwareToken", run=associate)
    calls.around("VerifySoftwareToken", run=verify)


def _challenge(name: str, parameters: dict[str, str]) -> dict[str, Any]:
    token = base64.b64encode(secrets.token_bytes(48)).decode()
    return {"ChallengeName": name, "Session": token, "ChallengeParameters": parameters}


def _text_error(user: Any, session: ChallengeSession, code: object) -> Response | None:
    """Return the error that a code deserves, or None: then the telephone is verified."""
    expected, session_code = session.texted_code.encode(), str(code).encode()
    if not expected or not secrets.compare_digest(expected, session_code):
        return error("CodeMismatchException", "Invalid code or auth state for the user.")
    # Whoever read the text has the telephone.
    set_attributes(user, phone_number_verified="true")
    return None


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
