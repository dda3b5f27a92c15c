"""The links in mails: each holds a random id that says nothing, is good for one person and one round of one approval,
and only opens a page. The table has the id's hash, so that nobody can read a link out of it."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta

from approvals.approval import Approval
from portal.dynamo.table import Record, Table

KEPT = timedelta(days=30)
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Link(Record):
    """An item of the ApprovalLinks table."""

    link_id: str  # the hash of what is in the address
    approval_id: str
    sub: str
    round: int
    expires_at: int  # seconds since 1970


links = Table(Link, name="approval_links", key=("LinkId",))


def make(approval: Approval, sub: str, *, now: datetime) -> str:
    """Store a new link for a person, and return what its address has in it."""
    secret = secrets.token_urlsafe(32)
    links.add(
        Link(
            link_id=_hash(secret),
            approval_id=approval.approval_id,
            sub=sub,
            round=approval.round,
            expires_at=int((now + KEPT).timestamp()),
        )
    )
    return secret


def find(secret: str, *, sub: str) -> Link | None:
    """Return the link of an address if it is this person's, expired or not: nobody else learns that there is one.
    What cannot be a link is not looked for."""
    link = links.find(_hash(secret)) if _SECRET.fullmatch(secret) else None
    return link if link and link.sub == sub else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
