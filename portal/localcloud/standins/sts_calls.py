"""The one place where stand-ins step into MiniStack's handling of an STS call.

Two calls are answered here altogether, because they open sessions on somebody else's word.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from portal.localcloud.standins.role_sessions import DEFAULT_SECONDS, Refusal, RoleSession, RoleSessions
from portal.localcloud.standins.touchpoints import module_with

Response = tuple[int, dict[str, str], bytes]
Params = Mapping[str, list[str]]
# Returns what the answer's result element holds.
Handler = Callable[[Params], Mapping[str, Any]]
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


class StsCalls:
    """Answers actions of its own, and refuses role sessions that are too long."""

    def __init__(self, roles: RoleSessions) -> None:
        self.roles = roles
        self._sts = module_with("ministack.services.sts", "handle_request", "_sessions", "_xml", "_error")
        self._router = module_with("ministack.core.router", "extract_access_key_id")
        self._added: dict[str, Handler] = {}
        # Touchpoint: looked up in the module at each call.
        handle = self._sts.handle_request

        async def handle_added(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
            params = _params(headers, body, query)
            action = (params.get("Action") or [""])[0]
            try:
                if action in self._added:
                    return self._answer(action, self._added[action](params))
                if action == "AssumeRole":
                    self._check_duration(params, self._router.extract_access_key_id(headers, query))
            except Refusal as refusal:
                return self._sts._error(refusal.status, refusal.code, escape(refusal.message), ns="sts")
            return await handle(method, path, headers, body, query)

        self._sts.handle_request = handle_added

    def add(self, action: str, handler: Handler) -> None:
        """Answer an action with what a handler returns or raises (Refusal)."""
        self._added[action] = handler

    def _check_duration(self, params: Params, access_key_id: str) -> None:
        role = self.roles.role(one(params, "RoleArn"))
        if role is not None:
            caller = self._sts._sessions.get(access_key_id) or {}
            chained = caller.get("PrincipalType") == "AssumedRole"
            self.roles.check_duration(role, seconds_of(params), chained=chained)

    def _answer(self, action: str, result: Mapping[str, Any]) -> Any:
        return self._sts._xml(200, f"{action}Response", f"<{action}Result>{_xml(result)}</{action}Result>", ns="sts")


def one(params: Params, name: str) -> str:
    """Return a parameter's value, or "" where there is none."""
    return (params.get(name) or [""])[0]


def seconds_of(params: Params) -> int:
    """Return the duration that a call asks for. Raises Refusal."""
    asked = one(params, "DurationSeconds") or str(DEFAULT_SECONDS)
    if not asked.isdecimal():
        raise Refusal("ValidationError", "DurationSeconds is not a number")
    return int(asked)


def opened(session: RoleSession) -> dict[str, Any]:
    """Return what every answer says of the session that a call opened."""
    return {
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": datetime.fromtimestamp(session.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "AssumedRoleUser": {"AssumedRoleId": session.role_id, "Arn": session.arn},
        "PackedPolicySize": 0,
    }


def _params(headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return a call's parameters from its query, its form or its JSON."""
    params = {name: value if isinstance(value, list) else [value] for name, value in query.items()}
    target = headers.get("x-amz-target", "")
    if target:
        params["Action"] = [target.rpartition(".")[2]]
    try:
        if target and body:
            content = json.loads(body).items()
            return params | {name: value if isinstance(value, list) else [str(value)] for name, value in content}
        return params | parse_qs(body.decode())
    except (ValueError, AttributeError):
        return params


def _xml(content: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_xml(value) if isinstance(value, Mapping) else escape(str(value))}</{name}>"
        for name, value in content.items()
    )
