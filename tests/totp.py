"""The code that an authenticator app shows."""

from __future__ import annotations

import base64
import hmac
import struct
import time


def totp(secret: str, *, steps: int = 0) -> str:
    """Return the code that an app shows, or will show in some steps of 30 seconds. Reference: RFC 6238."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30 + steps), "sha1")
    offset = digest[-1] & 15
    return f"{(struct.unpack_from('>I', digest, offset)[0] & 0x7FFFFFFF) % 1_000_000:06d}"
