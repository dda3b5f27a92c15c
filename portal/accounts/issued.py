"""What a person took to use AWS elsewhere, and what became of it: both are read in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.accounts import revocation
from portal.accounts.models import User
from portal.accounts.sts import Credentials
from portal.dynamo import audit
from portal.dynamo.values import instant

TOOK = "took AWS credentials"
SHOWN_FOR = timedelta(hours=24)
ROLE, FORM, KEY_ID, UNTIL = "Role", "Form", "Access key id", "Valid until"


@dataclass(frozen=True)
class Issued:
    """Credentials that left the portal. Their key id finds them in CloudTrail."""

    at: datetime
    role: str
    form: str
    key_id: str
    until: datetime
    is_ended: bool
    is_over: bool


@dataclass(frozen=True)
class End:
    """When an end was asked for and, as far as was seen, since when it is in effect."""

    asked_at: datetime
    by: str
    is_done: bool = False
    effective_at: datetime | None = None


def record(user: User, credentials: Credentials, *, role: str, form: str, now: datetime) -> None:
    """Write down that a person is about to be shown credentials; neither the secret nor the token."""
    changes = {ROLE: role, FORM: form, KEY_ID: credentials.access_key_id, UNTIL: instant(credentials.expires_at)}
    entry = audit.entry(
        TOOK,
        by=user,
        object=f"accounts.user/{user.sub}",
        object_name=user.username,
        changes=[audit.Change(field=field, new=value) for field, value in changes.items()],
        now=now,
    )
    audit.entries.add(entry)


def recent(sub: str, *, now: datetime) -> tuple[list[Issued], End | None]:
    """Return what a person took in the last day, newest first, and the last end of it, if there was one."""
    taken: list[Issued] = []
    last: End | None = None
    done: audit.Entry | None = None
    ended_before: datetime | None = None
    for entry in audit.of_object(f"accounts.user/{sub}", limit=100).records:
        if entry.at < now - SHOWN_FOR:
            break
        values = {change.field: change.new for change in entry.changes}
        if entry.action == revocation.ENDED:
            done = done or entry
        elif entry.action == revocation.ASKED:
            before = datetime.fromisoformat(values[revocation.BEFORE])
            ended_before = max(before, ended_before or before)
            last = last or _end(entry, done)
        elif entry.action == TOOK:
            until = datetime.fromisoformat(values[UNTIL])
            # AWS gives an hour from the second in which it issues.
            is_ended = ended_before is not None and until - revocation.LONGEST_SESSION < ended_before
            taken.append(
                Issued(entry.at, values[ROLE], values[FORM], values[KEY_ID], until, is_ended, is_over=until <= now)
            )
    return taken, last


def _end(asked: audit.Entry, done: audit.Entry | None) -> End:
    if done is None:
        return End(asked.at, asked.actor_name)
    since = next((change.new for change in done.changes if change.field == revocation.SINCE), "")
    try:
        effective_at = datetime.fromisoformat(since)
    except ValueError:
        effective_at = None
    return End(asked.at, asked.actor_name, is_done=True, effective_at=effective_at)
