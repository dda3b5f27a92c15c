"""The timeline of an approval: what the audit log has of it, for those whom it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from approvals.approval import PORTAL, WORKFLOW, Approval, audit_name
from approvals.letters import Letter
from approvals.rules import plain
from portal.dynamo import audit

_MOST, _PAGES = 200, 5
# What others are told of without its details.
_FOR_OPERATORS = frozenset({"asked for it", "could not deliver a mail"})
# What people who asked or may answer see, and of what kind it is; operators see all.
_KINDS = {
    "asked for it": "asked",
    "asked for a decision": "asked",
    "did not wait any longer, and asked once more": "asked",
    "was asked by mail": "mailed",
    "was asked by mail, because nobody had answered": "escalated",
    "is asked as well": "mailed",
    "is asked instead": "mailed",
    "was reminded by mail": "reminded",
    "was sent the mail again": "mailed",
    "had the mails sent again": "mailed",
    "could not deliver a mail": "problem",
    "nobody had answered by the deadline, so more people are asked": "escalated",
    "nobody has answered by the deadline": "problem",
    "commented": "commented",
    "approved it": "decided",
    "rejected it": "decided",
    "withdrew it": "over",
    "cancelled it": "over",
    "has got the answer": "over",
    "did not wait any longer": "over",
    "was not started": "problem",
    "was told of the outcome by mail": "mailed",
}


@dataclass(frozen=True)
class Step:
    """One line: when, who did what, and what they said."""

    at: datetime
    who: str
    did: str
    note: str
    kind: str

    @property
    def text(self) -> str:
        return f"{self.who} {self.did}".strip()

    @property
    def is_comment(self) -> bool:
        return self.kind == "commented"


def steps(approval: Approval, *, everything: bool = False) -> list[Step]:
    """Return what has become of an approval, oldest first: one Query of the audit log, or some where it was looked at
    very often. With everything there are also looks and operators' acts."""
    found: list[audit.Entry] = []
    cursor = None
    for _ in range(_PAGES):
        page = audit.of_object(audit_name(approval.approval_id), limit=_MOST, cursor=cursor)
        found += [one for one in page.records if everything or one.action in _KINDS]
        cursor = page.cursor
        if cursor is None or len(found) >= _MOST:
            break
    return [_step(one, everything=everything) for one in reversed(found)]


def _step(one: audit.Entry, *, everything: bool) -> Step:
    who = {PORTAL.sub: "", WORKFLOW.sub: "The workflow"}.get(one.actor_sub, one.actor_name)
    did = one.action if who else one.action[:1].upper() + one.action[1:]
    is_words = one.action in ("commented", "approved it", "rejected it", "withdrew it", "cancelled it")
    # What is asked for stands at the top of the page.
    # Why a mail did not reach somebody is theirs and the operators'.
    changes = one.changes if everything or one.action not in _FOR_OPERATORS else ()
    notes = [change.new if is_words else f"{change.field}: {change.in_words()}" for change in changes]
    return Step(at=one.at, who=who, did=did, note="\n".join(filter(None, notes)), kind=_KINDS.get(one.action, "looked"))


def comment(approval: Approval, key: str) -> str:
    """Return the comment that a mail with this key tells of, and whose it is."""
    page = audit.of_object(audit_name(approval.approval_id), limit=_MOST)
    for one in page.records:
        if one.action == "commented" and key == Letter.COMMENT.key(one.entry_id.rpartition("#")[2]):
            return f"{one.actor_name}: {plain(one.changes[0].new) if one.changes else ''}"
    return ""
