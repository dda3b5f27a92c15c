"""What may be used one time only: assertions, other systems' tokens, arrivals. Each is remembered by its hash, for
longer than it is good for."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from portal.dynamo.table import Conflict, Record, Table

KEPT_FOR = timedelta(days=1)


class Use(Record):
    """That something was used. `by` is random: with it, a write that is sent again is told from another one."""

    idempotency_key: str
    by: str
    expires_at: int


uses = Table(Use, name="idempotency", key=("IdempotencyKey",))


def use(kind: str, *names: str, now: datetime) -> bool:
    """Note that something is used. Tell whether it was for the first time; of two at once, one is told so."""
    key = hashlib.sha256("\0".join([kind, *names]).encode()).hexdigest()
    try:
        uses.add(Use(idempotency_key=key, by=secrets.token_hex(16), expires_at=int((now + KEPT_FOR).timestamp())))
    except Conflict:
        return False
    return True
