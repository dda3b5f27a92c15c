"""Somebody else answers while a person is away, and operators let somebody else answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import absence, deciding, delegating
from approvals.approval import Problem, State
from approvals.assignment import How, open_shelf
from approvals.deciding import AlreadyOver, NotYours, Refused
from portal.people import directory
from portal.people.directory import Person
from tests.approvals.conftest import Workflows, user
from tests.conftest import SignedUp, TestCloud

DAY = timedelta(days=1)


def person(one: SignedUp) -> Person:
    found = directory.known_as(one.username)
    assert found
    return found


def test_what_waits_already_goes_to_who_answers_meanwhile(
    workflows: Workflows, approver: SignedUp, author: SignedUp
) -> None:
    approval, now = workflows.asked(), timezone.now()
    delegating.go_away(user(approver), person(author), from_at=now - DAY, until_at=now + DAY, now=now)
    workflows.work()
    asked = workflows.people(approval.approval_id)
    assert (asked["author"].how, asked["author"].for_name) == (How.DELEGATE, "Grace Hopper")
    mail = workflows.mails()[-1]
    assert mail.to == author.email
    assert "you answer for Grace Hopper, who is away" in mail.text
    deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(author), now=now)
    workflows.work()
    assert workflows.ended(approval.execution_arn)["status"] == "SUCCEEDED"


def test_nobody_answers_for_somebody_before_they_are_away_and_after_they_are_back(
    workflows: Workflows, approver: SignedUp, author: SignedUp
) -> None:
    now = timezone.now()
    delegating.go_away(user(approver), person(author), from_at=now + DAY, until_at=now + 2 * DAY, now=now)
    assert list(workflows.people(workflows.asked().approval_id)) == ["approver"]
    delegating.go_away(user(approver), person(author), from_at=now - DAY, until_at=now + 2 * DAY, now=now)
    assert set(workflows.people(workflows.asked().approval_id)) == {"approver", "author"}
    delegating.come_back(user(approver), now=timezone.now())
    assert list(workflows.people(workflows.asked().approval_id)) == ["approver"]
    assert absence.find(approver.sub, now=timezone.now()) is None


def test_who_answers_meanwhile_may_not_be_who_asks(workflows: Workflows, approver: SignedUp, author: SignedUp) -> None:
    now = timezone.now()
    delegating.go_away(user(approver), person(author), from_at=now - DAY, until_at=now + DAY, now=now)
    approval = workflows.asked(
        {"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": author.username}
    )
    assert list(workflows.people(approval.approval_id)) == ["approver"]
    with pytest.raises(NotYours):
        deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(author), now=now)


def test_an_absence_that_makes_no_sense_is_refused(cloud: TestCloud, approver: SignedUp, author: SignedUp) -> None:
    now = timezone.now()
    for delegate, from_at, until_at in [
        (approver, now, now + DAY),
        (author, now, now - DAY),
        (author, now + DAY, now),
        (author, now - 3 * DAY, now - DAY),
        (author, now, now + 500 * DAY),
    ]:
        with pytest.raises(Refused):
            delegating.go_away(user(approver), person(delegate), from_at=from_at, until_at=until_at, now=now)
    assert cloud.items("absences") == []


def test_an_operator_lets_somebody_else_decide(
    workflows: Workflows, approver: SignedUp, author: SignedUp, operator: SignedUp
) -> None:
    approval = workflows.asked()
    by, now = user(operator, "operators"), timezone.now()
    delegating.reassign(approval.approval_id, person(author), instead_of=approver.sub, by=by, now=now)
    workflows.work()
    asked = workflows.people(approval.approval_id)
    assert (asked["author"].how, asked["author"].shelf) == (How.OPERATOR, open_shelf(author.sub))
    assert (asked["approver"].may_decide, asked["approver"].shelf) == (False, None)
    assert workflows.mails()[-1].to == author.email
    with pytest.raises(NotYours):
        deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(approver), now=now)
    assert deciding.decide(approval.approval_id, State.APPROVED, reason="", by=user(author), now=now)


def test_somebody_who_was_replaced_is_not_asked_in_the_next_round(
    workflows: Workflows, approver: SignedUp, author: SignedUp, operator: SignedUp
) -> None:
    approval = workflows.asked()
    by, now = user(operator, "operators"), timezone.now()
    delegating.reassign(approval.approval_id, person(author), instead_of=approver.sub, by=by, now=now)
    workflows.wait_in_vain()
    workflows.question_of(approval.execution_arn, round=2)
    asked = workflows.people(approval.approval_id)
    assert not asked["approver"].may_decide
    assert asked["author"].may_decide
    assert [mail.to for mail in workflows.mails()].count(approver.email) == 1


def test_nobody_to_ask_is_mended_by_naming_somebody(
    workflows: Workflows, approver: SignedUp, operator: SignedUp
) -> None:
    approval = workflows.asked({"employeeName": "Ada", "managerEmailAddress": "nobody@example.com"})
    assert approval.problem_kind is Problem.NOBODY
    by, now = user(operator, "operators"), timezone.now()
    mended = delegating.reassign(approval.approval_id, person(approver), by=by, now=now)
    assert (mended.stuck, mended.problem_kind) == (None, None)
    workflows.work()
    assert [mail.to for mail in workflows.mails()] == [approver.email]


def test_neither_who_asks_nor_somebody_disabled_is_made_to_decide(
    workflows: Workflows, approver: SignedUp, author: SignedUp, operator: SignedUp
) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": author.username}
    )
    by, now = user(operator, "operators"), timezone.now()
    for who in (person(author), person(approver).model_copy(update={"is_enabled": False})):
        with pytest.raises(Refused):
            delegating.reassign(approval.approval_id, who, by=by, now=now)
    deciding.cancel(approval.approval_id, reason="Not needed", by=by, now=now)
    with pytest.raises(AlreadyOver):
        delegating.reassign(approval.approval_id, person(operator), by=by, now=now)


def test_who_is_asked_after_the_deadline_has_as_long_as_the_others_had(
    workflows: Workflows, author: SignedUp, operator: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type(DeadlineHours=3, Escalation="")
    approval = workflows.asked()
    at = approval.asked_at + timedelta(hours=4)
    workflows.watch(at)
    assert workflows.approval(approval.approval_id).problem_kind is Problem.DEADLINE
    mended = delegating.reassign(approval.approval_id, person(author), by=user(operator, "operators"), now=at)
    assert (mended.stuck, mended.overdue_at, mended.deadline_at) == (None, None, at + timedelta(hours=3))
    workflows.watch(at + timedelta(hours=4))
    assert workflows.approval(approval.approval_id).problem_kind is Problem.DEADLINE, "and it is late once more"


def test_an_operator_does_not_choose_who_decides_what_they_ask_for(
    workflows: Workflows, author: SignedUp, operator: SignedUp
) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": "approver@example.com", "employeeName": "Ada", "requester": operator.username}
    )
    with pytest.raises(Refused, match="Somebody else"):
        delegating.reassign(approval.approval_id, person(author), by=user(operator, "operators"), now=timezone.now())
