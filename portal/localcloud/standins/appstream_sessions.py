"""A streaming session and a streaming URL, each as far as it follows from the time.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_Session.html and
https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateStreamingURL.html
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PENDING, ACTIVE, EXPIRED = "PENDING", "ACTIVE", "EXPIRED"
# How a session was signed in to: by a streaming URL.
BY_URL = "API"


def new_secret() -> str:
    """Return an unguessable text of 256 bits that may stand in an address."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return what is kept of a secret. It is too long to be guessed, so that one round is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass
class Session:
    """A session. Times are of the stand-in's clock; pages are the digests of its pages' secrets."""

    id: str
    stack: str
    fleet: str
    user_id: str
    instance_id: str
    started_at: float
    active_at: float
    expires_at: float
    disconnect_seconds: float
    application: str = ""
    context: str = ""
    disconnected_at: float | None = None
    ended_at: float | None = None
    pages: list[str] = field(default_factory=list)

    def state(self, now: float) -> str:
        over = now >= self.expires_at or (self.ended_at is not None and now >= self.ended_at)
        if over or (self.disconnected_at is not None and now >= self.disconnected_at + self.disconnect_seconds):
            return EXPIRED
        return ACTIVE if now >= self.active_at else PENDING

    def is_connected(self, now: float) -> bool:
        return self.disconnected_at is None and self.state(now) == ACTIVE

    def described(self, now: float) -> dict[str, Any]:
        """Return it as DescribeSessions does."""
        return {
            "Id": self.id,
            "UserId": self.user_id,
            "StackName": self.stack,
            "FleetName": self.fleet,
            "State": self.state(now),
            "ConnectionState": "CONNECTED" if self.is_connected(now) else "NOT_CONNECTED",
            "StartTime": datetime.fromtimestamp(self.started_at, UTC),
            "MaxExpirationTime": datetime.fromtimestamp(self.expires_at, UTC),
            "AuthenticationType": BY_URL,
            "InstanceId": self.instance_id,
        }


@dataclass
class StreamingUrl:
    """What a streaming URL opens. It is kept by its secret's digest."""

    stack: str
    fleet: str
    user_id: str
    expires_at: float
    application: str = ""
    context: str = ""
    is_used: bool = False
