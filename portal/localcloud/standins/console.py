"""The federation endpoint: temporary credentials in exchange for a link that opens the AWS console.

There is no console in the local cloud; the link opens a page that says as whom one would be signed in.
Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
"""

import hmac
import json
import secrets
import time
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from portal.localcloud.standins.faults import Reply
from portal.localcloud.standins.touchpoints import module_with

PATH = "/federation"
TOKEN_SECONDS = 15 * 60
SESSION_SECONDS = range(900, 43201)
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>AWS console (local cloud)</title></head>
<body><h1>{heading}</h1><p>{text}</p>{link}</body></html>
"""


class Console:
    """Makes sign-in tokens of sessions and redeems each once."""

    def __init__(self) -> None:
        self._sts = module_with("ministack.services.sts", "_sessions", "_session_expired")
        # Until when, and as whom.
        self._tokens: dict[str, tuple[float, str]] = {}

    def answer(self, method: str, query_string: bytes, body: bytes) -> Reply:
        """Answer a call of the endpoint, whose parameters are in the address or in a form."""
        text = (query_string if method == "GET" else query_string + b"&" + body).decode("utf-8", "replace")
        fields = {name: values[0] for name, values in parse_qs(text).items()}
        match fields.get("Action"):
            case "getSigninToken":
                return self._make(fields)
            case "login":
                return self._redeem(fields)
            case _:
                return Reply(400, {"Content-Type": "text/plain"}, b"Action is getSigninToken or login")

    def _make(self, fields: Mapping[str, str]) -> Reply:
        seconds = fields.get("SessionDuration")
        session = self._session(fields.get("Session", ""))
        wrong_duration = seconds is not None and not (seconds.isdecimal() and int(seconds) in SESSION_SECONDS)
        # AWS refuses a duration for credentials of a chained role, too.
        if session is None or wrong_duration or (seconds is not None and _is_chained(session)):
            return Reply(400, {"Content-Type": "text/plain"}, b"Bad Request")
        now = time.time()
        self._tokens = {token: entry for token, entry in self._tokens.items() if entry[0] > now}
        token = secrets.token_urlsafe(64)
        self._tokens[token] = (min(now + TOKEN_SECONDS, session["Expiration"]), session["Arn"])
        return Reply(200, {"Content-Type": "application/json"}, json.dumps({"SigninToken": token}).encode())

    def _session(self, text: str) -> Any:
        """Return the session of credentials as the endpoint takes them, or None."""
        try:
            given = json.loads(text)
            session = self._sts._sessions.get(given["sessionId"])
            pairs = (("SecretAccessKey", "sessionKey"), ("SessionToken", "sessionToken"))
            good = session is not None and all(
                hmac.compare_digest(str(session.get(ours)).encode(), str(given[theirs]).encode())
                for ours, theirs in pairs
            )
        except (ValueError, KeyError, TypeError):
            return None
        return session if good and not self._sts._session_expired(session) else None

    def _redeem(self, fields: Mapping[str, str]) -> Reply:
        until, arn = self._tokens.pop(fields.get("SigninToken", ""), (0.0, ""))
        if until <= time.time():
            return _page(400, "This link has expired", "A link to the console works once, for a quarter of an hour.")
        issuer = fields.get("Issuer", "")
        link = ""
        if urlsplit(issuer).scheme in ("http", "https"):
            link = f'<p><a href="{escape(issuer)}">Back</a></p>'
        destination = escape(fields.get("Destination", ""))
        role = arn.rpartition(":")[2]
        return _page(200, f"You are signed in to the console as {escape(role)}", f"You asked for {destination}", link)


def _page(status: int, heading: str, text: str, link: str = "") -> Reply:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'",
        "Referrer-Policy": "no-referrer",
    }
    return Reply(status, headers, _PAGE.format(heading=heading, text=text, link=link).encode())


def _is_chained(session: Mapping[str, Any]) -> bool:
    return ":assumed-role/" in str(session.get("SourcePrincipalArn", ""))
