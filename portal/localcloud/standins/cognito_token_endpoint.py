"""POST /oauth2/token: a code for tokens, and a refresh token for new ones.

MiniStack does not check the client of a federated code, nor its PKCE verifier, nor a missing secret on a refresh.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
"""

import base64
import hmac
import json
import time
from typing import Any
from urllib.parse import unquote

from portal.localcloud.standins.cognito_hosted_ui import HostedUi
from portal.localcloud.standins.cognito_tokens import signed_in_at
from portal.localcloud.standins.faults import Reply
from portal.localcloud.standins.pages import Page, Request
from portal.localcloud.standins.touchpoints import module_with


class TokenEndpoint:
    """Redeems the codes of the hosted pages."""

    def __init__(self, hosted_ui: HostedUi) -> None:
        self._hosted_ui = hosted_ui
        self._cognito = module_with(
            "ministack.services.cognito",
            "_find_pool_by_client_id",
            "_build_auth_result",
            "_refresh_auth_result",
            "_token_claims",
            "_revoke_token",
        )

    def pages(self) -> dict[tuple[str, str], Page]:
        return {("POST", "/oauth2/token"): self.answer, ("POST", "/oauth2/revoke"): self.revoke}

    def answer(self, request: Request) -> Reply:
        pool, client = self._client_of(request)
        if client is None:
            return _refuse("invalid_client")
        match request.form.get("grant_type"):
            case "authorization_code":
                return self._redeem(request, pool, client)
            case "refresh_token":
                return self._refresh(request, pool, client)
            case _:
                return _refuse("unsupported_grant_type")

    def revoke(self, request: Request) -> Reply:
        """Revoke a refresh token of the client's. Reference: …/developerguide/revocation-endpoint.html"""
        _pool, client = self._client_of(request)
        token = request.form.get("token", "")
        if client is None:
            return _refuse("invalid_client")
        if self._cognito._token_claims(token).get("client_id") != client["ClientId"]:
            return _refuse("invalid_request")
        self._cognito._revoke_token({"Token": token})
        return Reply(200, {"Cache-Control": "no-store"}, b"")

    def _client_of(self, request: Request) -> tuple[Any, Any]:
        """Return the pool and the client that has proved itself, by Basic authentication or in the form."""
        client_id, secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                named, _, given = base64.b64decode(encoded, validate=True).decode().partition(":")
            except ValueError:
                return None, None
            # RFC 6749, 2.3.1: both are form-encoded before base64.
            client_id, secret = unquote(named), unquote(given)
        _pool_id, pool, client = self._cognito._find_pool_by_client_id(client_id)
        if client is None:
            return None, None
        expected = client.get("ClientSecret") or ""
        if expected and not hmac.compare_digest(expected.encode(), secret.encode()):
            return None, None
        return pool, client

    def _redeem(self, request: Request, pool: Any, client: Any) -> Reply:
        # Taken before it is looked at: of two who come with it, one gets it; and a wrong guess at the verifier ends it.
        grant = self._hosted_ui.grants.pop(request.form.get("code", ""), None)
        asked = request.form
        if grant is None or not grant.is_for(
            client["ClientId"], asked.get("redirect_uri", ""), asked.get("code_verifier", ""), now=time.time()
        ):
            return _refuse("invalid_grant")
        user = pool["_users"].get(grant.username)
        if user is None or not user.get("Enabled", True):
            return _refuse("invalid_grant")
        with signed_in_at(grant.signed_in_at):
            result = self._cognito._build_auth_result(
                pool["Id"],
                client["ClientId"],
                user,
                nonce=grant.authorization.nonce,
                trigger_source="TokenGeneration_HostedAuth",
                scope=grant.authorization.scope,
            )
        return _tokens(result, grant.authorization.scope)

    def _refresh(self, request: Request, pool: Any, client: Any) -> Reply:
        token = request.form.get("refresh_token", "")
        result, refused = self._cognito._refresh_auth_result(pool, pool["Id"], client["ClientId"], token)
        if refused is not None:
            return _refuse("invalid_grant")
        return _tokens(result, self._cognito._token_claims(token).get("scope", "openid"))


def _tokens(result: dict[str, Any], scope: str) -> Reply:
    content = {
        "access_token": result["AccessToken"],
        "id_token": result["IdToken"] if "openid" in scope.split() else None,
        "refresh_token": result.get("RefreshToken"),
        "token_type": "Bearer",
        "expires_in": result["ExpiresIn"],
    }
    return _json(200, {name: value for name, value in content.items() if value is not None})


def _refuse(code: str) -> Reply:
    return _json(400, {"error": code})


def _json(status: int, content: dict[str, Any]) -> Reply:
    headers = {"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store"}
    return Reply(status, headers, json.dumps(content).encode())
