"""The mails about approvals: each is sent once to each person, tried again from the queue, and given up in the end.

Whoever sends one first writes down that they are at it; whoever comes meanwhile with the same message leaves it to
them, and their message comes again if they end.
Reference: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from approvals import assignment, link, people, queue, timeline
from approvals.approval import PORTAL, Actor, Approval, Problem, State, amend, approvals, entry
from approvals.assignment import Assignment, How, Mail, assignments
from approvals.letters import QUESTIONS, Letter, compose
from portal import aws
from portal.accounts.models import User
from portal.dynamo import audit
from portal.dynamo.table import Conflict
from portal.people.directory import Person

# How long after a try the next one comes; SQS delays a message for 15 minutes at most.
PAUSES = (10, 60, 300, 900, 900)
# Longer than the mails of one question take, and shorter than the queue hides a message.
_CLAIM = timedelta(minutes=10)
BETWEEN_RESENDS = timedelta(minutes=10)
BETWEEN_LINKS = timedelta(minutes=1)

log = logging.getLogger(__name__)


class TooSoon(Exception):
    """The last mails are too recent; the sentence says when they can be sent again."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.sentence = f"The last mail went out a moment ago. It can be sent again from {at:%H:%M} UTC."
        super().__init__(self.sentence)


def send(approval_id: str, sub: str, key: str, *, tries: int, now: datetime) -> None:
    """Send one of the mails about an approval to one person, unless it was sent or is not wanted any more. After a
    failure it comes again from the queue; after the last, operators see it."""
    approval = approvals.get(approval_id, consistent=True)
    letter = Letter.of(key)
    if letter in QUESTIONS and not approval.is_open:
        return
    if letter is Letter.OUTCOME and key != Letter.OUTCOME.key(approval.state.value, approval.round):
        return  # the workflow has asked once more
    claimed = _claim(approval, sub, key, now=now)
    if claimed is None:
        return
    person = people.of_sub(sub)
    if claimed.group and person and claimed.group not in people.groups_of(person):
        # They have left the group since: they are not asked any more.
        _note(claimed, mail=Mail.NONE, ended_at=now, shelf=None)
        return
    deliver(approval, claimed, person, tries=tries, now=now)


def deliver(approval: Approval, claimed: Assignment, person: Person | None, *, tries: int, now: datetime) -> None:
    """Send the mail that an assignment says is being sent, to its person as the user pool has them."""
    why_not = _why_not(person)
    if why_not or person is None:
        _give_up(approval, claimed, why_not, now=now)
        return
    # It imports requests, for which every page would wait 60 ms at a cold start.
    from anymail.exceptions import AnymailError

    letter = Letter.of(claimed.mail_key)
    secret = link.make(approval, claimed.sub, now=now) if letter in QUESTIONS else ""
    said = timeline.comment(approval, claimed.mail_key) if letter is Letter.COMMENT else ""
    try:
        compose(letter, approval, claimed, person, secret=secret, said=said).send()
    except (AnymailError, ClientError, BotoCoreError) as error:
        why = _in_words(error)
        log.warning("A mail about approval %s was not sent: %s.", approval.approval_id, why)
        if tries >= len(PAUSES):
            _give_up(approval, claimed, f"could not be written to: {why}", now=now)
        else:
            queue.send_mail(
                approval.approval_id, claimed.sub, claimed.mail_key, tries=tries + 1, delay_seconds=PAUSES[tries]
            )
            _note(claimed, mail=Mail.RETRYING, mail_why=why)
    else:
        sent = {"mail": Mail.SENT, "mail_why": "", "mailed": claimed.mailed | {claimed.mail_key}}
        # Not at `now`, which is when the question came: the timeline is in the order of its moments.
        _note(claimed, entry(letter.done, approval, by=Actor(person.username, person.sub)), **sent)
        if approval.problem_kind is Problem.MAIL and not _is_anybody_without(approval):
            amend(approval.approval_id, lambda one: one.unstuck(Problem.MAIL))


def _is_anybody_without(approval: Approval) -> bool:
    """Tell whether a mail to somebody who may answer could not be delivered."""
    return any(one.may_decide and one.mail is Mail.UNDELIVERED for one in assignment.of(approval.approval_id))


def claim(one: Assignment, key: str, *, now: datetime) -> Assignment | None:
    """Return an assignment of which this mail is being sent, or None where it was, or somebody else is at it."""
    if key in one.mailed or not (one.may_decide or one.how is How.REQUESTER):
        return None
    if one.mail is Mail.SENDING and one.mail_key == key and one.mail_at and now < one.mail_at + _CLAIM:
        return None
    return one.model_copy(update={"mail": Mail.SENDING, "mail_key": key, "mail_at": now, "mail_why": ""})


def _claim(approval: Approval, sub: str, key: str, *, now: datetime) -> Assignment | None:
    claimed: list[Assignment | None] = [None]

    def change(one: Assignment) -> Assignment | None:
        claimed[0] = claim(one, key, now=now)
        return claimed[0]

    found = assignment.amend(approval.approval_id, sub, change)
    if found is None and sub == approval.requester_sub:
        _add_requester(approval, now=now)
        assignment.amend(approval.approval_id, sub, change)
    return claimed[0]


def _add_requester(approval: Approval, *, now: datetime) -> None:
    with contextlib.suppress(Conflict):  # another message was quicker
        assignments.add(
            Assignment(
                approval_id=approval.approval_id,
                sub=approval.requester_sub or "",
                username=approval.requester_username,
                name=approval.requester_name,
                how=How.REQUESTER,
                asked_at=now,
            )
        )


def _note(claimed: Assignment, *entries: audit.Entry, **changes: Any) -> None:
    """Write down what became of a mail, whatever else became of its assignment meanwhile."""
    together_with = [audit.putting(one) for one in entries]
    try:
        assignments.replace(claimed.model_copy(update=changes), was=claimed, together_with=together_with)
    except Conflict:
        for one in entries:
            audit.entries.add(one)
        assignment.amend(claimed.approval_id, claimed.sub, lambda now: _noted(now, claimed.mail_key, changes))


def _noted(one: Assignment, key: str, changes: dict[str, Any]) -> Assignment:
    """Return an assignment with what became of a mail; of another one that is on its way meanwhile, it says nothing."""
    mailed = one.mailed | {key} if changes.get("mail") is Mail.SENT else one.mailed
    return one.model_copy(update={**(changes if one.mail_key == key else {}), "mailed": mailed})


def _why_not(person: Person | None) -> str:
    if person is None:
        return "is disabled, or not in the user pool any more"
    return "" if person.email and person.is_email_verified else "has no verified e-mail address"


def _give_up(approval: Approval, claimed: Assignment, why: str, *, now: datetime) -> None:
    change = audit.Change(field=claimed.name or claimed.username, new=why)
    _note(
        claimed,
        entry("could not deliver a mail", approval, by=PORTAL, changes=[change]),
        mail=Mail.UNDELIVERED,
        mail_why=why,
    )
    if claimed.how is not How.REQUESTER:
        problem = f"{claimed.name or claimed.username} {why}."
        amend(
            approval.approval_id,
            lambda one: one.with_problem(Problem.MAIL, problem, now=now) if one.is_open and not one.stuck else None,
        )


def _in_words(error: Exception) -> str:
    cause = error if isinstance(error, ClientError) else error.__cause__
    return f"SES said {aws.error_code(cause)}" if isinstance(cause, ClientError) else type(cause or error).__name__


# --- Once more --------------------------------------------------------------------------------------------------------


def resend(approval_id: str, *, by: User, now: datetime) -> int:
    """Have everybody who may answer sent a new mail, and return how many those are. Raises TooSoon for who asked for
    it; operators may always."""
    approval = approvals.get(approval_id, consistent=True)
    asked = [one for one in assignment.of(approval_id) if one.may_decide and one.shelf]
    last = max((one.mail_at for one in asked if one.mail_at), default=None)
    if approval.state is not State.OPEN or not asked:
        return 0
    is_operator = by.has_perm("approvals.change_approval") and by.sub != approval.requester_sub

    def resent(one: Approval) -> Approval:
        recent = max((at for at in (last, one.resent_at) if at), default=None)
        if recent and not is_operator and now < recent + BETWEEN_RESENDS:
            raise TooSoon(recent + BETWEEN_RESENDS)
        return one.model_copy(update={"resent_at": now})

    amend(approval_id, resent, saying=lambda one: entry("had the mails sent again", one, by=by, now=now))
    for one in asked:
        queue.send_mail(approval_id, one.sub, Letter.AGAIN.key(now))
    return len(asked)


def fresh_link(approval: Approval, one: Assignment, *, now: datetime) -> None:
    """Have one approver sent a new mail with a new link. Raises TooSoon."""

    def asked(is_now: Assignment) -> Assignment:
        recent = max((at for at in (is_now.mail_at, is_now.link_asked_at) if at), default=None)
        if recent and now < recent + BETWEEN_LINKS:
            raise TooSoon(recent + BETWEEN_LINKS)
        return is_now.model_copy(update={"link_asked_at": now})

    assignment.amend(approval.approval_id, one.sub, asked)
    queue.send_mail(approval.approval_id, one.sub, Letter.AGAIN.key(now))
