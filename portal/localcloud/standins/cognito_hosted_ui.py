"""Cognito's hosted sign-in pages: authorize, log in, log out.

MiniStack's ask for a password only, look at few of the client's settings, remember nobody, and sign a person in with
any SAML response. These sign in through the same calls as every app does, second factors and all.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html,
https://docs.aws.amazon.com/cognito/latest/developerguide/login-endpoint.html and
https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portal.localcloud.standins import pages
from portal.localcloud.standins.cognito_calls import CognitoCalls, content_of
from portal.localcloud.standins.cognito_hosted_pages import OWN_USERS, challenge_page, password_page, problem_page
from portal.localcloud.standins.faults import Reply
from portal.localcloud.standins.pages import Request
from portal.localcloud.standins.touchpoints import module_with

COOKIE = "cognito"
SESSION_SECONDS = 3600
CODE_SECONDS = 300
LOGIN_SECONDS = 300
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43,128}")


@dataclass(frozen=True)
class Authorization:
    """What an app asked for at /oauth2/authorize, checked."""

    pool_id: str
    client_id: str
    redirect_uri: str
    scope: str
    state: str
    nonce: str
    code_challenge: str
    provider: str
    query: dict[str, str]

    def refuse(self, error: str, description: str = "") -> Reply:
        """Send the browser back to the app with an error."""
        parameters = {"error": error, "error_description": description, "state": self.state}
        return pages.redirect(self.redirect_uri, parameters)


@dataclass(frozen=True)
class Grant:
    """Who an authorization code is for. Times in epoch seconds."""

    authorization: Authorization
    username: str
    signed_in_at: int
    expires_at: float

    def is_for(self, client_id: str, redirect_uri: str, verifier: str, *, now: float) -> bool:
        """Return whether a client may redeem the code. Reference: RFC 7636, 4.6; without a challenge, no verifier."""
        challenge = ""
        if verifier:
            digest = hashlib.sha256(verifier.encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        asked = self.authorization
        return (
            now <= self.expires_at
            and (client_id, redirect_uri) == (asked.client_id, asked.redirect_uri)
            and hmac.compare_digest(challenge, asked.code_challenge)
        )


@dataclass
class Login:
    """Someone who is signing in on the pages."""

    authorization: Authorization
    expires_at: float
    username: str = ""
    challenge: str = ""
    session: str = field(default="", repr=False)
    parameters: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class HostedSession:
    """Someone who is signed in on the pages of a pool, with the provider that said so."""

    pool_id: str
    username: str
    provider: str
    signed_in_at: int


# Sends someone who signs in to their provider.
Federation = Callable[[Any, Authorization], Reply]


class HostedUi:
    """The pages. Logins, sessions and codes live an hour at most, so a restart forgets them."""

    def __init__(self, calls: CognitoCalls) -> None:
        self._calls = calls
        self._cognito = module_with(
            "ministack.services.cognito",
            "_find_pool_by_client_id",
            "_token_claims",
            "_admin_initiate_auth",
            "_admin_respond_to_auth_challenge",
            "_associate_software_token",
            "_verify_software_token",
        )
        self._logins: dict[str, Login] = {}
        self._sessions: dict[str, HostedSession] = {}
        self.grants: dict[str, Grant] = {}
        self.federation: Federation | None = None

    def pages(self) -> dict[tuple[str, str], pages.Page]:
        return {
            ("GET", "/oauth2/authorize"): self.authorize,
            ("GET", "/login"): self.authorize,
            ("POST", "/login"): self.log_in,
            ("GET", "/logout"): self.log_out,
        }

    # --- /oauth2/authorize ----------------------------------------------------------------------------------------

    def authorize(self, request: Request) -> Reply:
        pool_id, pool, client = self._cognito._find_pool_by_client_id(request.query.get("client_id", ""))
        if client is None or not pool.get("Domain"):
            return problem_page("Client does not exist, or its user pool has no domain.")
        asked = request.query
        if asked.get("redirect_uri", "") not in client.get("CallbackURLs", []):
            return problem_page("redirect_mismatch")
        authorization = Authorization(
            pool_id=pool_id,
            client_id=client["ClientId"],
            redirect_uri=asked["redirect_uri"],
            scope=asked.get("scope") or " ".join(client.get("AllowedOAuthScopes", [])),
            state=asked.get("state", ""),
            nonce=asked.get("nonce", ""),
            code_challenge=asked.get("code_challenge", ""),
            provider=asked.get("identity_provider", ""),
            query=dict(asked),
        )
        refused = _refused(authorization, client)
        if refused is not None:
            return authorization.refuse(refused)
        session = self._session_of(request, pool)
        if session is not None and authorization.provider in ("", session.provider) and asked.get("prompt") != "login":
            return self.finish(authorization, session)
        supported = client.get("SupportedIdentityProviders", [])
        provider = authorization.provider or (supported[0] if len(supported) == 1 else "")
        if provider and provider != OWN_USERS:
            if self.federation is None or provider not in pool.get("_identity_providers", {}):
                return authorization.refuse("invalid_request", f"Identity provider {provider} does not exist")
            return self.federation(pool["_identity_providers"][provider], authorization)
        token = secrets.token_urlsafe(32)
        self._logins = _unexpired(self._logins)
        self._logins[token] = Login(authorization, time.time() + LOGIN_SECONDS)
        return password_page(token, authorization.query, client, asked.get("login_hint", ""))

    def _session_of(self, request: Request, pool: Any) -> HostedSession | None:
        session = self._sessions.get(request.cookie(COOKIE))
        if session is None or session.pool_id != pool["Id"] or time.time() > session.signed_in_at + SESSION_SECONDS:
            return None
        user = pool["_users"].get(session.username)
        return session if user is not None and user.get("Enabled", True) else None

    def start_session(self, pool_id: str, username: str, provider: str) -> HostedSession:
        return HostedSession(pool_id, username, provider, int(time.time()))

    def finish(self, authorization: Authorization, session: HostedSession) -> Reply:
        """Send a person who is signed in back to the app, with a code; and remember them for an hour."""
        now = time.time()
        self._sessions = {
            key: kept for key, kept in self._sessions.items() if kept.signed_in_at + SESSION_SECONDS > now
        }
        self.grants = _unexpired(self.grants)
        code, cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.grants[code] = Grant(authorization, session.username, session.signed_in_at, now + CODE_SECONDS)
        self._sessions[cookie] = session
        return pages.redirect(
            authorization.redirect_uri,
            {"code": code, "state": authorization.state},
            Set_Cookie=f"{COOKIE}={cookie}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax",
        )

    # --- /login ---------------------------------------------------------------------------------------------------

    def log_in(self, request: Request) -> Reply:
        token = request.form.get("login", "")
        login = self._logins.get(token)
        if login is None or time.time() > login.expires_at:
            return problem_page("This page is too old. Go back to the app and sign in again.")
        context = {"UserPoolId": login.authorization.pool_id, "ClientId": login.authorization.client_id}
        if not login.challenge:
            username, password = request.form.get("username", ""), request.form.get("password", "")
            parameters = {"USERNAME": username, "PASSWORD": password}
            response = self._calls.perform(
                "AdminInitiateAuth", {**context, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH", "AuthParameters": parameters}
            )
        elif login.challenge == "MFA_SETUP":
            code = {"Session": login.session, "UserCode": request.form.get("code", "")}
            verified = self._calls.perform("VerifySoftwareToken", code)
            if verified[0] != 200:
                return challenge_page(token, login.challenge, login.parameters, content_of(verified)["message"])
            response = self._answer(login, context, content_of(verified)["Session"], {})
        else:
            answers = {
                "NEW_PASSWORD_REQUIRED": {"NEW_PASSWORD": request.form.get("password", "")},
                "SMS_MFA": {"SMS_MFA_CODE": request.form.get("code", "")},
                "SOFTWARE_TOKEN_MFA": {"SOFTWARE_TOKEN_MFA_CODE": request.form.get("code", "")},
                "SELECT_MFA_TYPE": {"ANSWER": request.form.get("answer", "")},
            }
            response = self._answer(login, context, login.session, answers[login.challenge])
        content = content_of(response)
        if response[0] != 200:
            if not login.challenge:
                client = self._cognito._find_pool_by_client_id(login.authorization.client_id)[2]
                query = login.authorization.query
                return password_page(token, query, client, request.form.get("username", ""), content["message"])
            return challenge_page(token, login.challenge, login.parameters, content["message"])
        if "AuthenticationResult" in content:
            del self._logins[token]
            username = self._cognito._token_claims(content["AuthenticationResult"]["AccessToken"])["username"]
            session = self.start_session(login.authorization.pool_id, username, OWN_USERS)
            return self.finish(login.authorization, session)
        login.challenge, login.session = content["ChallengeName"], content["Session"]
        login.parameters = content["ChallengeParameters"]
        login.username = login.parameters["USER_ID_FOR_SRP"]
        if login.challenge == "MFA_SETUP":
            associated = self._calls.perform("AssociateSoftwareToken", {"Session": login.session})
            login.session = content_of(associated).get("Session", "")
            login.parameters["SECRET"] = content_of(associated).get("SecretCode", "")
        return challenge_page(token, login.challenge, login.parameters)

    def _answer(self, login: Login, context: dict[str, str], session: str, answers: dict[str, str]) -> Any:
        responses = {"USERNAME": login.username, **answers}
        challenge = {"ChallengeName": login.challenge, "Session": session, "ChallengeResponses": responses}
        return self._calls.perform("AdminRespondToAuthChallenge", {**context, **challenge})

    # --- /logout --------------------------------------------------------------------------------------------------

    def log_out(self, request: Request) -> Reply:
        client = self._cognito._find_pool_by_client_id(request.query.get("client_id", ""))[2]
        if client is None:
            return problem_page("Client does not exist.")
        address = request.query.get("logout_uri", "")
        if address not in client.get("LogoutURLs", []):
            return problem_page("redirect_mismatch")
        self._sessions.pop(request.cookie(COOKIE), None)
        return pages.redirect(address, Set_Cookie=f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")


def _refused(authorization: Authorization, client: Any) -> str | None:
    """Return the OAuth error that a request deserves, or None."""
    asked = authorization.query
    if not asked.get("response_type"):
        return "invalid_request"
    allowed = client.get("AllowedOAuthFlowsUserPoolClient") and "code" in client.get("AllowedOAuthFlows", [])
    if not allowed or asked["response_type"] != "code":
        return "unauthorized_client"
    if not set(authorization.scope.split()) <= set(client.get("AllowedOAuthScopes", [])):
        return "invalid_scope"
    method = asked.get("code_challenge_method", "")
    if (authorization.code_challenge or method) and (
        method != "S256" or not _CHALLENGE.fullmatch(authorization.code_challenge)
    ):
        return "invalid_request"
    supported = client.get("SupportedIdentityProviders", [])
    if not supported or (authorization.provider and authorization.provider not in supported):
        return "invalid_request"
    return None


def _unexpired(kept: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    return {key: value for key, value in kept.items() if value.expires_at > now}
