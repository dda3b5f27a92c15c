""" "End now": refuse a person's AWS credentials wherever they are, although nobody can take them back.

Each of the people's roles gets a denial of that person's older sessions. It stays until the last of them has expired.
Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from portal.accounts import credentials, iam, people, probe
from portal.dynamo import audit
from portal.dynamo.values import instant

LONGEST_SESSION = timedelta(hours=1)  # MaxSessionDuration of the roles in the template
# For how long the denial may wait for something to watch it with, and then be watched.
PROBE_SECONDS = 3.0
PROOF_SECONDS = 8.0
ASKED, ENDED = "asked to end AWS access", "ended AWS access"
# What the entries in the audit log call the two moments.
BEFORE, SINCE = "Sessions from before", "In effect since"

# ended-20261121T110203Z-5e1faa0b1c2d
_NAME = re.compile(r"ended-\d{8}T\d{6}Z-[0-9a-z]+")
_MOMENT = "%Y%m%dT%H%M%SZ"
_AT, _WHO = slice(6, 22), slice(23, None)


@dataclass(frozen=True)
class Ended:
    """What is known of an end: every session from before `before` is refused, since `effective_at` as far as seen.

    `effective_at` is None where AWS had not made the denial felt in the seconds for which it was watched.
    """

    asked_at: datetime
    before: datetime
    effective_at: datetime | None


def end(sub: str, username: str, *, by: audit.Actor) -> Ended:
    """Refuse all AWS sessions that a person has, whoever holds their keys. New ones can be made after it.

    It takes up to PROOF_SECONDS, because it watches the denial take effect, with sessions of its own that carry the
    same tag. Two entries in the audit log say when it was asked for and when it was seen to be so.
    """
    watched = probe.start_all(sub, settings.PEOPLE_ROLE_ARNS, within_seconds=PROBE_SECONDS)
    asked_at = datetime.now(UTC)
    # A session's time of issue is in whole seconds: those of this second are refused with the older ones.
    before = asked_at.replace(microsecond=0) + timedelta(seconds=1)
    about = {"by": by, "object": f"accounts.user/{sub}", "object_name": username}
    audit.record(ASKED, **about, changes=[audit.Change(field=BEFORE, new=instant(before))])  # type: ignore[arg-type]
    # Sessions from before the person joined their accounts carry the name of another door.
    person = people.find(sub)
    subs = (sub, *sorted(person.links if person else ()))
    for one in subs:
        credentials.forget(one, not_before=before.timestamp())
    for arn in settings.PEOPLE_ROLE_ARNS:
        deny(arn, subs, before=before, now=asked_at)
    effective_at = probe.all_refused(watched, within_seconds=PROOF_SECONDS)
    since = instant(effective_at) if effective_at else "not seen yet"
    changes = [audit.Change(field=BEFORE, new=instant(before)), audit.Change(field=SINCE, new=since)]
    audit.record(ENDED, **about, changes=changes)  # type: ignore[arg-type]
    return Ended(asked_at, before, effective_at)


def deny(arn: str, subs: Sequence[str], *, before: datetime, now: datetime) -> None:
    """Add the denial to one role; the first sub is the person's own. Those that refuse nothing more than it does, and
    those that have nothing left to refuse, are cleared away."""
    names = iam.inline_policies(arn)
    old = due(names, now)
    for name in old:
        iam.remove(arn, name)
    names = [name for name in names if _NAME.fullmatch(name) and name not in old]
    own = name_of(subs[0], before)
    # They are of one length and end in whose they are, so they sort by their moments.
    earlier = [name for name in names if name[_WHO] == own[_WHO] and name < own]
    try:
        iam.put(arn, own, document(subs, before))
    except iam.RoleFull:
        _deny_everybody(arn, names, before)
    else:
        for name in earlier:
            iam.remove(arn, name)


def _deny_everybody(arn: str, names: list[str], before: datetime) -> None:
    """Replace a full role's denials by one that ends everybody's older sessions. Theirs are made anew unasked.

    At no moment is anybody allowed what was denied: the shorter denial of everybody takes the place of one of the
    others before those go.
    """
    if not names:
        raise iam.RoleFull(arn)
    # Another process may have denied a later moment already.
    before = max(before, *(_moment(name) for name in names))
    place, *others = sorted(names, reverse=True)
    iam.put(arn, place, document(None, before))
    own = name_of(None, before)
    for name in others[:1]:
        iam.remove(arn, name)
    iam.put(arn, own, document(None, before))
    for name in [*others[1:], place]:
        if name != own:
            iam.remove(arn, name)
    credentials.forget_all(not_before=before.timestamp())


def document(subs: Sequence[str] | None, before: datetime) -> str:
    """Return the policy that refuses everything to a person's sessions from before a moment; to everybody's where
    there are no subs. Raises ValueError for a sub that IAM would read as more than text."""
    condition: dict[str, Any] = {"DateLessThan": {"aws:TokenIssueTime": f"{before:%Y-%m-%dT%H:%M:%SZ}"}}
    if subs is not None:
        if not all(re.fullmatch(r"[\w:.-]{1,128}", sub, re.ASCII) for sub in subs):
            raise ValueError("That cannot be a sub.")
        condition["StringEquals"] = {"aws:PrincipalTag/sub": subs[0] if len(subs) == 1 else list(subs)}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def name_of(sub: str | None, before: datetime) -> str:
    """Return what a denial is called: the moment, so that it can be cleared away, and whose it is."""
    who = "everybody" if sub is None else hashlib.sha256(sub.encode()).hexdigest()[:12]
    return f"ended-{before.astimezone(UTC):{_MOMENT}}-{who}"


def due(names: Iterable[str], now: datetime) -> list[str]:
    """Return those denials whose sessions have all expired."""
    return [name for name in names if _NAME.fullmatch(name) and _moment(name) + LONGEST_SESSION < now]


def _moment(name: str) -> datetime:
    return datetime.strptime(name[_AT], _MOMENT).replace(tzinfo=UTC)
