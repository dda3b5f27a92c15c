"""Answers: an approver decides, who asked withdraws, an operator cancels. Each is one conditional write, and only then
is the workflow told: what comes between the two, the queue and the schedule make good."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from approvals import assignment, finishing, people, queue, workflow
from approvals.approval import Approval, State, amend, approvals, audit_name, entry
from approvals.assignment import Assignment, How, assignments
from approvals.letters import Letter
from approvals.rules import MOST_COMMENT, MOST_NAME, MOST_REASON, may_decide, may_see, may_withdraw, plain
from portal import aws
from portal.accounts.models import User
from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.dynamo.values import to_item

_ID = re.compile(r"[0-9a-f]{32}")
_TRIES = 5
MOST_COMMENTS = 20  # of a person about one approval, in an hour
_HOUR = timedelta(hours=1)
_LOOKED_AT, _PAGES = 200, 10  # entries of the audit log

log = logging.getLogger(__name__)


class Refused(Exception):
    """It is not done; the sentence says why, to who asked for it."""

    sentence = ""

    def __init__(self, sentence: str = "") -> None:
        self.sentence = sentence or self.sentence
        super().__init__(self.sentence)


class NotYours(Refused):
    """To them, there is no such approval."""

    sentence = "There is no such approval."


class AlreadyOver(Refused):
    """It has an answer, or wants none any more."""

    def __init__(self, approval: Approval) -> None:
        self.approval = approval
        super().__init__(_over(approval))


class TooLate(Refused):
    sentence = "The workflow does not wait for an answer any longer. Nothing was decided."


class AskedAnew(Refused):
    sentence = "The workflow has asked anew meanwhile. Look again at what it asks. Nothing was decided."


class ReasonDue(Refused):
    sentence = "Please give a reason."


class TooLong(Refused):
    sentence = f"At most {MOST_REASON:,} characters, please."


@dataclass(frozen=True)
class Standing:
    """What somebody is to an approval, as far as their token tells."""

    may_see: bool
    may_decide: bool
    is_requester: bool
    assignment: Assignment | None


def find(approval_id: str) -> Approval | None:
    """Return an approval, or None where there is none, or could be none."""
    return approvals.find(approval_id, consistent=True) if _ID.fullmatch(approval_id) else None


def find_many(approval_ids: Iterable[str]) -> dict[str, Approval]:
    """Return the approvals with these ids, by id: one call for a page of them."""
    found = approvals.find_many((one,) for one in approval_ids if _ID.fullmatch(one))
    return {one.approval_id: one for one in found}


def standing(approval: Approval, user: User) -> Standing:
    """Return what somebody is to an approval. The groups are the token's; `decide` asks the user pool."""
    one = assignments.find(approval.approval_id, user.sub, consistent=True)
    return Standing(
        may_see=may_see(approval, one, sub=user.sub, groups=user.groups),
        may_decide=approval.is_open and may_decide(approval, one, sub=user.sub, groups=user.groups),
        is_requester=user.sub == approval.requester_sub,
        assignment=one,
    )


def decide(
    approval_id: str,
    verdict: State,
    *,
    reason: str,
    by: User,
    now: datetime,
    round: int | None = None,  # noqa: A002 - the attribute's name
) -> Approval:
    """Approve or reject what was asked in a round: without it, whatever is asked now. Raises NotYours, AlreadyOver,
    AskedAnew, TooLate, ReasonDue, TooLong, aws.Busy."""
    approval = _found(approval_id)
    one = assignments.find(approval_id, by.sub, consistent=True)
    if not may_see(approval, one, sub=by.sub, groups=by.groups):
        raise NotYours
    _check_may_decide(approval, one, by)
    if not approval.is_open:
        raise AlreadyOver(approval)
    if round not in (None, approval.round):
        raise AskedAnew
    reason = _short(reason)
    if approval.reason_is_due(verdict) and not reason:
        raise ReasonDue
    try:
        workflow.heartbeat(approval.task_token or "")
    except workflow.Gone as error:
        finishing.expire(approval_id, approval.task_token or "", now=now)
        raise TooLate from error
    said = "approved it" if verdict is State.APPROVED else "rejected it"
    seen = approval.round
    # Whoever was replaced since was not asked any more.
    still = [_still_asked(one)] if one else []
    decided = _answer(
        approval, lambda now_: now_.is_open and now_.round == seen, verdict, said, still, reason=reason, by=by, now=now
    )
    if one is None:
        _note_member(decided, by, now=now)
    return decided


def withdraw(approval_id: str, *, by: User, now: datetime) -> Approval:
    """Take back what one asked for. Raises NotYours, AlreadyOver, aws.Busy."""
    approval = _found(approval_id)
    if by.sub != approval.requester_sub:
        raise NotYours
    return _answer(
        approval,
        lambda one: may_withdraw(one, sub=by.sub),
        State.WITHDRAWN,
        "withdrew it",
        reason="",
        by=by,
        now=now,
    )


def cancel(approval_id: str, *, reason: str, by: User, now: datetime) -> Approval:
    """End an approval as an operator: its workflow's task fails. Raises AlreadyOver, TooLong, aws.Busy."""
    approval, reason = _found(approval_id), _short(reason)
    return _answer(
        approval, lambda one: not one.is_over, State.CANCELLED, "cancelled it", reason=reason, by=by, now=now
    )


def set_aside(approval_id: str, *, by: User, now: datetime) -> Approval:
    """Take one that is over from what operators have to look at: they have. Raises NotYours where it is open."""
    if not _found(approval_id).is_over:
        raise NotYours("What is open stays there until it is answered.")
    return amend(
        approval_id,
        lambda one: one.unstuck() if one.is_over else None,
        saying=lambda one: entry("set it aside", one, by=by, now=now),
    )


def comment(approval: Approval, text: str, *, by: User, now: datetime) -> None:
    """Say something about an approval to the others who may see it; who asked for it and who may answer get a mail.
    Raises TooLong."""
    text = _short(text, MOST_COMMENT)
    _check_comments(approval, by, now=now)
    said = entry("commented", approval, by=by, changes=[audit.Change(field="Comment", new=text)], now=now)
    audit.entries.add(said)
    asked = [one.sub for one in assignment.of(approval.approval_id) if one.may_decide and one.shelf]
    others = {*asked, approval.requester_sub or ""} - {by.sub, ""}
    for sub in sorted(others):
        queue.send_mail(approval.approval_id, sub, Letter.COMMENT.key(said.entry_id.rpartition("#")[2]))


def _check_comments(approval: Approval, by: User, *, now: datetime) -> None:
    """Each comment is a mail to the others. Raises Refused where somebody writes too many."""
    theirs, cursor = 0, None
    for _ in range(_PAGES):
        page = audit.of_object(audit_name(approval.approval_id), limit=_LOOKED_AT, cursor=cursor)
        recent = [one for one in page.records if one.at > now - _HOUR]
        theirs += sum(one.actor_sub == by.sub and one.action == "commented" for one in recent)
        cursor = page.cursor
        if theirs >= MOST_COMMENTS:
            raise Refused(f"At most {MOST_COMMENTS} comments in an hour, please.")
        if cursor is None or len(recent) < len(page.records):
            return


def looked(approval: Approval, *, by: audit.Actor) -> None:
    """Write down that somebody has looked at it. A failure is only logged: it keeps nobody from deciding."""
    try:
        audit.entries.add(entry("looked at it", approval, by=by))
    except Exception as error:
        if not aws.is_transient(error):
            raise
        log.warning("A look at an approval was not written down (%s).", type(error).__name__)


def _found(approval_id: str) -> Approval:
    approval = find(approval_id)
    if approval is None:
        raise NotYours
    return approval


def _check_may_decide(approval: Approval, one: Assignment | None, by: User) -> None:
    """Ask the user pool whether somebody may still come in, and whether a group by which they may answer is still
    theirs. Raises NotYours."""
    person = people.of_sub(by.sub)
    if person is None:
        raise NotYours
    is_by_group = one is None or bool(one.group) or not one.may_decide
    groups = people.groups_of(person) if is_by_group and approval.groups else ()
    if not may_decide(approval, one, sub=by.sub, groups=groups):
        raise NotYours
    if people.Asked.of(approval, now=approval.updated_at).is_requester(person):
        raise NotYours  # another account of who asks for it
    if one and one.how is How.DELEGATE and one.for_sub and not _may_delegate(approval, one.for_sub):
        raise NotYours


def _may_delegate(approval: Approval, sub: str) -> bool:
    """Tell whether the one instead of whom somebody answers could still answer."""
    absent = people.of_sub(sub)
    theirs = assignments.find(approval.approval_id, sub, consistent=True)
    if absent is None or theirs is None:
        return False
    return may_decide(approval, theirs, sub=sub, groups=people.groups_of(absent) if theirs.group else ())


def _still_asked(one: Assignment) -> dict[str, Any]:
    """Return the member of a transaction that fails where somebody was replaced meanwhile."""
    return {
        "ConditionCheck": {
            "TableName": assignments.name,
            "Key": to_item({"ApprovalId": one.approval_id, "Sub": one.sub}),
            "ConditionExpression": "attribute_not_exists(EndedAt)",
        }
    }


def _note_member(approval: Approval, by: User, *, now: datetime) -> None:
    """Remember a member of a group who has decided without having been asked: there may be a mail to them."""
    group = next((one for one in approval.groups if one in by.groups), "")
    people.put(
        Assignment(
            approval_id=approval.approval_id,
            sub=by.sub,
            username=by.username,
            name=plain(by.get_full_name(), MOST_NAME),
            how=How.GROUP,
            asked_at=now,
            round=approval.round,
            group=group,
            shelf=assignment.closed_shelf(by.sub),
        )
    )


def _short(text: str, most: int = MOST_REASON) -> str:
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > most:
        raise TooLong(f"At most {most:,} characters, please. These are {len(text):,}.")
    return text


def _answer(
    approval: Approval,
    may: Callable[[Approval], bool],
    verdict: State,
    said: str,
    also: Sequence[Any] = (),
    *,
    reason: str,
    by: User,
    now: datetime,
) -> Approval:
    """Write an answer, unless there is another one by then, and have the workflow told."""
    changes = [audit.Change(field="Reason", new=reason)] if reason else []
    for _ in range(_TRIES):
        if not may(approval):
            raise AskedAnew if approval.is_open else AlreadyOver(approval)
        new = approval.answered(verdict, by=by, name=plain(by.get_full_name(), MOST_NAME), reason=reason, now=now)
        try:
            together_with = [audit.putting(entry(said, new, by=by, changes=changes, now=now)), *also]
            approvals.replace(new, was=approval, together_with=together_with)
        except Conflict:
            was, approval = approval, _found(approval.approval_id)
            if also and approval == was:  # it is as it was, so they are not asked any more
                raise NotYours from None
            continue
        try:
            queue.send_answer(new.approval_id)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            log.warning("The schedule has to bring an answer to its workflow (%s).", type(error).__name__)
        return new
    raise aws.Busy


def _over(approval: Approval) -> str:
    """Say what became of an approval that wants no answer any more."""
    who, at = approval.decided_by_name, f"{approval.decided_at:%d %b %Y, %H:%M} UTC" if approval.decided_at else ""
    match approval.state:
        case State.APPROVED:
            return f"{who} approved this on {at}. Nothing was changed."
        case State.REJECTED:
            return f"{who} rejected this on {at}. Nothing was changed."
        case State.WITHDRAWN:
            return "This was withdrawn by who had asked for it. Nothing was changed."
        case State.CANCELLED:
            return "An operator has cancelled this. Nothing was changed."
        case State.EXPIRED:
            return "The workflow does not wait for an answer any longer. Nothing was decided."
        case State.FAILED:
            return "The workflow could not be started."
    return "It waits for no answer yet."
