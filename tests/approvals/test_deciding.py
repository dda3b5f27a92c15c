"""Who may answer is looked at again when they do, one answer counts, and the workflow gets it whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import assignment, deciding, finishing, workflow
from approvals.approval import Approval, Problem, State, approvals
from approvals.deciding import AlreadyOver, NotYours, ReasonDue, Refused, TooLate, TooLong
from portal.dynamo.table import Conflict
from tests.approvals.conftest import Group, Workflows, until, user
from tests.conftest import SignedUp, TestCloud


def decide(approval: Approval, person: SignedUp, *groups: str, verdict: State = State.APPROVED) -> Approval:
    return deciding.decide(
        approval.approval_id, verdict, reason="Because", by=user(person, *groups), now=timezone.now()
    )


# --- Who --------------------------------------------------------------------------------------------------------------


def test_to_an_outsider_there_is_no_such_approval(workflows: Workflows, outsider: SignedUp) -> None:
    approval = workflows.asked()
    with pytest.raises(NotYours):
        decide(approval, outsider, "operators")
    assert workflows.approval(approval.approval_id).state is State.OPEN


def test_requester_cannot_decide_what_they_asked_for(workflows: Workflows, author: SignedUp) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": "approver@example.com", "employeeName": "Ada", "requester": author.username}
    )
    with pytest.raises(NotYours):
        decide(approval, author)


def test_somebody_who_was_disabled_meanwhile_cannot_decide(
    workflows: Workflows, approver: SignedUp, disable: Callable[[SignedUp], None]
) -> None:
    approval = workflows.asked()
    disable(approver)
    with pytest.raises(NotYours):
        decide(approval, approver)
    assert workflows.approval(approval.approval_id).state is State.OPEN


def test_who_has_left_the_group_cannot_decide_though_their_token_says_so(
    workflows: Workflows, auditor: SignedUp, deciders: Group, request_type: Callable[..., None]
) -> None:
    deciders.add(auditor)
    request_type(Approver=f"group:{deciders.name}")
    approval = workflows.asked()
    deciders.remove(auditor)
    with pytest.raises(NotYours):
        decide(approval, auditor, deciders.name)
    deciders.add(auditor)
    assert decide(approval, auditor, deciders.name).state is State.APPROVED


def test_an_id_that_cannot_be_asks_no_table(cloud: TestCloud) -> None:
    cloud.forget_calls()
    assert deciding.find("../../etc/passwd") is None
    assert deciding.find("A" * 32) is None
    assert not cloud.calls()


# --- Once -------------------------------------------------------------------------------------------------------------


def test_a_second_answer_is_told_of_the_first(workflows: Workflows, approver: SignedUp, operator: SignedUp) -> None:
    approval = workflows.asked()
    workflows.watch(timezone.now() + timedelta(hours=49))
    decide(approval, approver)
    with pytest.raises(AlreadyOver) as error:
        decide(approval, operator, "operators", verdict=State.REJECTED)
    assert error.value.sentence.startswith("Grace Hopper approved this on ")
    assert workflows.approval(approval.approval_id).state is State.APPROVED


def test_of_many_answers_at_once_one_counts(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()

    def one(number: int) -> State | None:
        try:
            verdict = State.APPROVED if number % 2 else State.REJECTED
            return decide(approval, approver, verdict=verdict).state
        except AlreadyOver:
            return None

    with ThreadPoolExecutor(8) as pool:
        said = [state for state in pool.map(one, range(16)) if state]
    [verdict] = said
    assert workflows.approval(approval.approval_id).state is verdict
    workflows.work()
    workflows.ended(approval.execution_arn)
    answers = [what for _, what in workflows.audited(approval.approval_id) if what in ("approved it", "rejected it")]
    assert len(answers) == 1


def test_a_reason_that_is_due_is_asked_for(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    with pytest.raises(ReasonDue):
        deciding.decide(approval.approval_id, State.REJECTED, reason="  ", by=user(approver), now=timezone.now())
    with pytest.raises(TooLong):
        deciding.decide(
            approval.approval_id, State.REJECTED, reason="x" * 100_000, by=user(approver), now=timezone.now()
        )
    assert workflows.approval(approval.approval_id).state is State.OPEN


def test_who_asked_for_it_withdraws_it(workflows: Workflows, author: SignedUp, approver: SignedUp) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": author.username}
    )
    with pytest.raises(NotYours):
        deciding.withdraw(approval.approval_id, by=user(approver), now=timezone.now())
    deciding.withdraw(approval.approval_id, by=user(author), now=timezone.now())
    workflows.work()
    end = workflows.ended(approval.execution_arn)
    assert (end["status"], end["error"]) == ("FAILED", "Withdrawn")
    with pytest.raises(AlreadyOver):
        decide(approval, approver)


# --- Too late ---------------------------------------------------------------------------------------------------------


def test_an_answer_to_a_workflow_that_does_not_wait_any_longer_is_refused(
    workflows: Workflows, approver: SignedUp
) -> None:
    approval = workflows.asked()
    workflows.stop(approval.execution_arn)
    with pytest.raises(TooLate):
        decide(approval, approver)
    workflows.work()
    stored = workflows.approval(approval.approval_id)
    assert (stored.state, stored.decided_at) == (State.EXPIRED, None)
    assert workflows.people(approval.approval_id)["approver"].shelf == assignment.closed_shelf(approver.sub)


def test_an_answer_that_the_workflow_did_not_take_is_told_of_as_too_late(
    workflows: Workflows, approver: SignedUp
) -> None:
    approval = workflows.asked()
    decide(approval, approver)
    workflows.stop(approval.execution_arn)
    workflows.work("approval-answers")
    workflows.work("approval-mails")
    stored = workflows.approval(approval.approval_id)
    assert (stored.state, stored.is_late, stored.problem_kind) == (State.EXPIRED, True, Problem.LATE)
    assert stored.stuck
    assert "Your answer came too late: Employee promotion: Ada" in [mail.subject for mail in workflows.mails()]


def test_the_end_of_an_execution_closes_what_it_waited_for(workflows: Workflows) -> None:
    approval = workflows.asked()
    workflows.stop(approval.execution_arn)
    until(lambda: workflows.work("executions"))
    workflows.work()
    stored = workflows.approval(approval.approval_id)
    assert (stored.state, stored.shelf) == (State.EXPIRED, None)


# --- Between the answer and its delivery ------------------------------------------------------------------------------


def killed(code: str, cloud: TestCloud, once: Callable[[], object]) -> None:
    """Run Python code in a process of its own, and kill -9 it when something has come true."""
    environment = {
        **os.environ,
        **cloud.cloud.portal_environment(cloud.outputs),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    begin = "import django; django.setup()\nfrom django.utils import timezone\n"
    process = subprocess.Popen([sys.executable, "-c", begin + code], env=environment)
    try:
        until(once, seconds=60)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        cloud.faults.clear()


def test_kill_9_between_the_decision_and_its_delivery_loses_nothing(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    approval = workflows.asked()
    cloud.faults.add(service="sqs", action="SendMessage", kind="delay", delay_seconds=30)
    code = f"""
from approvals import deciding
from approvals.approval import State
from portal.accounts.models import User
by = User(sub={approver.sub!r}, username="approver", given_name="Grace", family_name="Hopper")
deciding.decide({approval.approval_id!r}, State.APPROVED, reason="", by=by, now=timezone.now())
"""
    killed(code, cloud, lambda: workflows.approval(approval.approval_id).state is State.APPROVED)
    assert cloud.messages(settings.APPROVAL_ANSWERS_QUEUE_URL) == []
    assert workflows.describe(approval.execution_arn)["status"] == "RUNNING"
    assert workflows.watch(timezone.now() + timedelta(minutes=5)) == 1
    assert workflows.ended(approval.execution_arn)["status"] == "SUCCEEDED"
    assert workflows.approval(approval.approval_id).finished_at is not None


def test_kill_9_between_the_delivery_and_writing_it_down_delivers_once(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    approval = workflows.asked()
    decide(approval, approver)
    cloud.faults.add(service="dynamodb", action="Query", kind="delay", delay_seconds=30)
    code = f"from approvals import finishing\nfinishing.finish({approval.approval_id!r}, now=timezone.now())"
    killed(code, cloud, lambda: workflows.describe(approval.execution_arn)["status"] == "SUCCEEDED")
    assert workflows.approval(approval.approval_id).finished_at is None
    workflows.work()
    stored = workflows.approval(approval.approval_id)
    assert (stored.state, stored.is_late) == (State.APPROVED, False)
    assert stored.finished_at is not None


@pytest.mark.parametrize("kind", ["throttle", "error", "lost_reply"])
def test_a_lost_answer_of_step_functions_is_no_late_one(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, kind: str
) -> None:
    approval = workflows.asked()
    decide(approval, approver)
    cloud.faults.add(service="stepfunctions", action="SendTaskSuccess", kind=kind, times=2)
    for _ in range(2):
        try:
            finishing.finish(approval.approval_id, now=timezone.now())
        except Exception as error:  # whatever AWS fails at: the queue brings it again
            assert "SendTaskSuccess" in str(error) or kind == "lost_reply"  # noqa: PT017
    assert cloud.faults.hits()[0]["hits"] >= 1
    cloud.faults.clear()
    workflows.work()
    stored = workflows.approval(approval.approval_id)
    assert (stored.state, stored.is_late) == (State.APPROVED, False)
    assert workflows.ended(approval.execution_arn)["status"] == "SUCCEEDED"


def test_an_answer_is_kept_where_the_queue_does_not_take_the_message(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    approval = workflows.asked()
    cloud.faults.add(service="sqs", action="SendMessage", kind="error")
    assert decide(approval, approver).state is State.APPROVED
    cloud.faults.clear()
    workflows.watch(timezone.now() + timedelta(minutes=5))
    assert workflows.ended(approval.execution_arn)["status"] == "SUCCEEDED"


def test_every_delivery_may_come_twice(workflows: Workflows, cloud: TestCloud, approver: SignedUp) -> None:
    approval = workflows.asked({"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": "author"})
    decide(approval, approver)
    for _ in range(3):
        finishing.finish(approval.approval_id, now=timezone.now())
    workflows.work()
    outcomes = [mail for mail in workflows.mails() if mail.subject.startswith("Approved")]
    assert [mail.to for mail in outcomes] == ["author@example.com"]
    assert "Reason: Because" in outcomes[0].text


# --- What is stored ---------------------------------------------------------------------------------------------------


def test_the_token_is_in_the_table_and_nowhere_else(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, caplog: pytest.LogCaptureFixture
) -> None:
    approval = workflows.asked()
    token = approval.task_token
    assert token
    decide(approval, approver)
    workflows.work()
    others = [name for name in settings.TABLES if name != "approvals"]
    assert not [name for name in others if token in json.dumps(cloud.items(name))]
    assert token not in caplog.text
    assert not [mail for mail in workflows.mails() if token in mail.text + mail.html + mail.subject]
    queues = (settings.APPROVAL_MAILS_QUEUE_URL, settings.APPROVAL_ANSWERS_QUEUE_URL, settings.DEAD_LETTER_QUEUE_URL)
    assert not [url for url in queues if token in json.dumps(cloud.messages(url))]
    assert token not in json.dumps([dict(one.details) for one in workflow.history(approval.execution_arn)], default=str)


def test_a_comment_goes_to_the_others(workflows: Workflows, approver: SignedUp, author: SignedUp) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": author.username}
    )
    workflows.forget_mails()
    deciding.comment(approval, "Which grade?", by=user(approver), now=timezone.now())
    workflows.work()
    [mail] = workflows.mails()
    assert (mail.to, mail.subject) == (author.email, "A comment: Employee promotion: Ada")


def test_nothing_that_is_over_changes_any_more(workflows: Workflows, approver: SignedUp, operator: SignedUp) -> None:
    approval = workflows.asked()
    decide(approval, approver)
    workflows.work()
    with pytest.raises(AlreadyOver):
        deciding.cancel(approval.approval_id, reason="", by=user(operator, "operators"), now=timezone.now())
    with pytest.raises(Conflict):
        approvals.replace(approval.over(State.EXPIRED, now=timezone.now()), was=approval)


def test_nobody_floods_the_others_with_comments(workflows: Workflows, approver: SignedUp) -> None:
    approval, now = workflows.asked(), timezone.now()
    for number in range(deciding.MOST_COMMENTS):
        deciding.comment(approval, f"Number {number}", by=user(approver), now=now)
    with pytest.raises(Refused, match="in an hour"):
        deciding.comment(approval, "One more", by=user(approver), now=now)
    deciding.comment(approval, "Later", by=user(approver), now=now + timedelta(minutes=61))
