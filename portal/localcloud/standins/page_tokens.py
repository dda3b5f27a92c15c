"""Opaque tokens for the next page of an answer, good for the same request only."""

import base64
import hashlib
import hmac
import json
import secrets


class TokenInvalid(ValueError):
    """The token is none of this cloud's, or is another request's."""


class PageTokens:
    """Seals positions; a restart of the cloud makes its tokens invalid."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def seal(self, position: object, request: object) -> str:
        """Return the token that continues a request at a position. Both are JSON."""
        content = json.dumps(position).encode()
        return base64.urlsafe_b64encode(self._seal_of(content, request) + content).decode()

    def open(self, token: str, request: object) -> object:
        """Return the position of a token. Raises TokenInvalid."""
        try:
            sealed = base64.b64decode(token, altchars=b"-_", validate=True)
        except ValueError as malformed:
            raise TokenInvalid(token) from malformed
        content = sealed[32:]
        if not hmac.compare_digest(sealed[:32], self._seal_of(content, request)):
            raise TokenInvalid(token)
        position: object = json.loads(content)
        return position

    def _seal_of(self, content: bytes, request: object) -> bytes:
        asked = json.dumps(request, sort_keys=True).encode()
        return hmac.digest(self._key, content + b"\0" + asked, hashlib.sha256)
