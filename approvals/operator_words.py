"""What the operators' pages say of an approval: who is asked and how, what became of the mails, what is wrong, and what
can be done about it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from approvals.approval import Approval, Problem, ReasonDue, State
from approvals.assignment import Assignment, How, Mail
from approvals.rules import Malformed, approver
from approvals.words import counted

HOW = {
    How.PERSON: "named",
    How.GROUP: "in a group",
    How.MANAGER: "the manager",
    How.ESCALATION: "asked besides at the deadline",
    How.DELEGATE: "answers for somebody who is away",
    How.OPERATOR: "named by an operator",
    How.REQUESTER: "asked for it",
}
MAILS = {
    Mail.NONE: "none yet",
    Mail.SENDING: "on its way",
    Mail.SENT: "sent",
    Mail.RETRYING: "not sent yet, is tried again",
    Mail.UNDELIVERED: "could not be delivered",
}
REASONS = {ReasonDue.NEVER: "never", ReasonDue.REJECT: "when rejecting", ReasonDue.ALWAYS: "always"}
HIDDEN = "(not shown)"
# What an operator can do about each kind of problem.
WHAT_TO_DO = {
    Problem.NOBODY: "Reassign it to somebody who may answer.",
    Problem.MAIL: "Look up their e-mail address among the people, and whether SES may write to it. Then resend the"
    " mails, or reassign it to somebody else. They can answer on the page meanwhile, without a mail.",
    Problem.DEADLINE: "Resend the mails, or reassign it to somebody else. The workflow waits on.",
    Problem.ANSWER: "Look at the execution: where it still waits, pass the answer on again. Where it is over, there is"
    " nobody to give the answer to, and the workflow has to be started anew.",
    Problem.LATE: "There is nothing left to answer. Start the workflow anew: who asked for it can ask once more. Then"
    " set this aside.",
    Problem.EXPIRED: "There is nothing left to answer. Who asked for it was told, and can ask once more. Then set this"
    " aside.",
    Problem.HEARTBEAT: "Look at the execution, and whether the portal may answer it. It gives up when it hears nothing"
    " for longer than its HeartbeatSeconds.",
    Problem.START: "Look whether the state machine is there and the portal may start it. Then it has to be asked for"
    " anew, and this can be set aside.",
}
_NOT_ASKED_YET = "Look at the execution, which says where it stands. Where it will not ask any more, cancel this."


def what_to_do(approval: Approval) -> str:
    """Return what an operator can do about an approval that is stuck, or nothing where it is not."""
    if not approval.stuck:
        return ""
    if approval.state is State.STARTING:
        return _NOT_ASKED_YET
    if approval.problem_kind:
        return WHAT_TO_DO[approval.problem_kind]
    return "Look at what happened below, and at the execution."


def how(one: Assignment) -> str:
    """Return why somebody is asked, e.g. "in the group managers"."""
    match one.how:
        case How.GROUP if one.group:
            return f"in the group {one.group}"
        case How.DELEGATE if one.for_name:
            return f"answers for {one.for_name}, who is away"
    return HOW[one.how]


def mail(one: Assignment) -> str:
    """Return what became of the last mail to somebody, with why it was not delivered."""
    return f"{MAILS[one.mail]}: {one.mail_why}" if one.mail_why else MAILS[one.mail]


def named(text: str) -> str:
    """Return whom a request type names, e.g. "the group managers"."""
    try:
        found = approver(text, is_needed=False)
    except Malformed:
        return f"malformed: {text}"
    words = {"manager": "the manager of who asks", "nobody": "nobody", "group": f"the group {found.name}"}
    return words.get(found.kind, found.name)


def reminders(first_hours: int, most: int) -> str:
    if not first_hours or not most:
        return "none"
    return f"at most {most}, the first after {counted(first_hours, 'hour')}"


def terms(approval: Approval) -> list[tuple[str, str]]:
    """Return the names and values of what the request type said when the question was asked."""
    said = approval.terms
    return [
        ("Deadline after", counted(said.deadline_hours, "hour")),
        ("Reminders", reminders(said.reminder_hours, said.reminders)),
        ("Asked besides at the deadline", named(said.escalation)),
        ("A reason is due", REASONS[said.reason_due]),
    ]


def may_pass_on(approval: Approval) -> bool:
    """Tell whether there is an answer that the workflow does not have yet."""
    return approval.is_answered and approval.finished_at is None


def may_set_aside(approval: Approval) -> bool:
    """Tell whether it hangs though it is over: there is nothing to be done about it but to know of it."""
    return bool(approval.stuck) and approval.is_over and not may_pass_on(approval)


def may_cancel(approval: Approval) -> bool:
    return approval.state in (State.OPEN, State.STARTING)


def pretty(text: str, *, hiding: Iterable[str | None] = (), most: int = 20_000) -> str:
    """Return JSON laid out to be read, or another text as it is. A task token in it is not shown: whoever has it can
    answer."""
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(_without_tokens(json.loads(text)), ensure_ascii=False, indent=2)
    for token in filter(None, hiding):
        text = text.replace(token, HIDDEN)
    return text if len(text) <= most else f"{text[:most]}\n… and {len(text) - most:,} characters more"


def _without_tokens(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: HIDDEN if _is_token(key, one) else _without_tokens(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_tokens(one) for one in value]
    return value


def _is_token(key: str, value: Any) -> bool:
    return "token" in key.lower() and isinstance(value, str)
