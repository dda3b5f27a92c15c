"""Approvals as they lie in the tables, without a workflow that waits for them."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.utils import timezone

from approvals import link
from approvals.approval import Approval, Fact, State, Terms, approvals, month_of
from approvals.assignment import Assignment, How, assignments, closed_shelf, open_shelf
from tests.conftest import SignedUp


def put_approval(requester: SignedUp | None = None, *approvers: SignedUp, **changes: Any) -> Approval:
    """Store an approval that waits for these approvers, unless what is changed says otherwise."""
    now = timezone.now()
    asked_at = changes.pop("asked_at", now - timedelta(minutes=3))
    approval = Approval(
        **{
            "approval_id": secrets.token_hex(16),
            "state": State.OPEN,
            "type_id": "employee-promotion",
            "title": "Employee promotion",
            "facts": (Fact(label="Employee", value="Charles Babbage"), Fact(label="Team", value="Engines")),
            "terms": Terms(deadline_hours=48, reminder_hours=12, reminders=3),
            "month": month_of(asked_at),
            "asked_at": asked_at,
            "updated_at": asked_at,
            "requester_sub": requester.sub if requester else None,
            "requester_username": requester.username if requester else "",
            "requester_name": f"{requester.given_name} {requester.family_name}" if requester else "",
            "task_token": "a-token-that-no-page-shows",
            "input": '{"secret": "of the input"}',
            "round": 1,
            "deadline_at": asked_at + timedelta(hours=48),
            "next_reminder_at": asked_at + timedelta(hours=12),
            **changes,
        }
    )
    approvals.add(approval)
    for approver in approvers:
        put_assignment(approval, approver)
    # As it is stored: times have milliseconds there.
    return approvals.get(approval.approval_id)


def put_assignment(approval: Approval, person: SignedUp, **changes: Any) -> Assignment:
    """Store that somebody is asked, or was where the approval is over."""
    shelf = closed_shelf(person.sub) if approval.is_over else open_shelf(person.sub)
    one = Assignment(
        **{
            "approval_id": approval.approval_id,
            "sub": person.sub,
            "username": person.username,
            "name": f"{person.given_name} {person.family_name}",
            "how": How.MANAGER,
            "asked_at": approval.asked_at,
            "shelf": shelf,
            **changes,
        }
    )
    assignments.add(one)
    return one


def put_link(approval: Approval, person: SignedUp) -> str:
    """Store a link of somebody's mail, and return its address without the choice."""
    return f"/approvals/link/{link.make(approval, person.sub, now=timezone.now())}/"


def decided(state: State, by: SignedUp, **changes: Any) -> dict[str, Any]:
    """Return what an approval has that was decided a moment ago and is finished."""
    now = timezone.now()
    return {
        "state": state,
        "decided_at": now,
        "decided_by": by.sub,
        "decided_by_name": f"{by.given_name} {by.family_name}",
        "decision_id": "d",
        "updated_at": now,
        "finished_at": now,
        "next_reminder_at": None,
        **changes,
    }
