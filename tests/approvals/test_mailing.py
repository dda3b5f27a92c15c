"""Each mail is sent once, tried again while SES fails, and given up where operators see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import link, mailing
from approvals.approval import Problem
from approvals.assignment import Mail, assignments
from approvals.mailing import PAUSES, TooSoon
from tests.approvals.conftest import Workflows, user
from tests.conftest import SignedUp, TestCloud


def fail(cloud: TestCloud, kind: str = "throttle", **more: object) -> None:
    cloud.faults.add(service="sesv2", action="SendEmail", kind=kind, **more)


def asked_in_vain(workflows: Workflows, cloud: TestCloud, kind: str = "throttle") -> str:
    fail(cloud, kind)
    approval = workflows.asked()
    cloud.faults.clear()
    assert workflows.mails() == []
    return approval.approval_id


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_a_mail_that_ses_does_not_take_is_tried_again_from_the_queue(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, kind: str
) -> None:
    approval_id = asked_in_vain(workflows, cloud, kind)
    waiting = workflows.people(approval_id)["approver"]
    assert (waiting.mail, waiting.mail_key) == (Mail.RETRYING, "asked-1")
    [message] = cloud.messages(settings.APPROVAL_MAILS_QUEUE_URL)
    assert '"Tries": 1' in message
    mailing.send(approval_id, approver.sub, "asked-1", tries=1, now=timezone.now())
    assert len(workflows.mails()) == 1
    # The queue's own message finds that it was sent.
    mailing.send(approval_id, approver.sub, "asked-1", tries=1, now=timezone.now())
    assert len(workflows.mails()) == 1
    assert workflows.people(approval_id)["approver"].mail is Mail.SENT


def test_a_mail_that_ses_never_takes_is_shown_as_undelivered(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp
) -> None:
    approval_id = asked_in_vain(workflows, cloud)
    fail(cloud)
    mailing.send(approval_id, approver.sub, "asked-1", tries=len(PAUSES), now=timezone.now())
    one = workflows.people(approval_id)["approver"]
    assert one.mail is Mail.UNDELIVERED
    assert "TooManyRequests" in one.mail_why
    stored = workflows.approval(approval_id)
    assert (stored.problem_kind, stored.stuck) == (Problem.MAIL, "stuck")
    assert stored.is_open
    # It waits in their inbox all the same, and a mail that arrives later takes it off the operators' list.
    assert one.shelf == f"{approver.sub}#open"
    cloud.faults.clear()
    mailing.send(approval_id, approver.sub, "again-1", tries=0, now=timezone.now())
    assert workflows.approval(approval_id).stuck is None


def test_tries_take_half_an_hour_together() -> None:
    assert timedelta(minutes=30) < timedelta(seconds=sum(PAUSES)) < timedelta(hours=1)
    assert max(PAUSES) <= 900, "SQS delays a message for 15 minutes at most"


def test_somebody_without_a_verified_address_is_asked_without_a_mail(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type(Approver="person:approver")
    who = {"UserPoolId": cloud.outputs["UserPoolId"], "Username": approver.username}
    verified = [{"Name": "email_verified", "Value": "false"}]
    cloud.admin("cognito-idp").admin_update_user_attributes(**who, UserAttributes=verified)
    try:
        approval = workflows.asked()
    finally:
        verified = [{"Name": "email_verified", "Value": "true"}]
        cloud.admin("cognito-idp").admin_update_user_attributes(**who, UserAttributes=verified)
    assert workflows.mails() == []
    assert workflows.people(approval.approval_id)["approver"].mail is Mail.UNDELIVERED
    assert workflows.approval(approval.approval_id).problem == "Grace Hopper has no verified e-mail address."


def test_whoever_is_at_a_mail_is_left_to_it(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    now = timezone.now()
    one = workflows.people(approval.approval_id)["approver"]
    assert mailing.claim(one, "asked-1", now=now) is None, "it was sent"
    claimed = mailing.claim(one, "reminder-1-1", now=now)
    assert claimed
    assert mailing.claim(claimed, "reminder-1-1", now=now + timedelta(minutes=1)) is None
    assert mailing.claim(claimed, "reminder-1-1", now=now + timedelta(minutes=16))


def test_a_mail_says_what_by_whom_until_when_and_leads_to_the_page(
    workflows: Workflows, approver: SignedUp, author: SignedUp
) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": author.username}
    )
    [mail] = workflows.mails()
    assert approval.deadline_at
    for said in (mail.text, mail.html):
        assert "Mary Shelley" in said
        assert "Employee" in said
        assert f"{approval.deadline_at:%d %B %Y, %H:%M} UTC" in said
        assert "Mary Shelley names you as the manager" in said
        for address in mail.links.values():
            assert address in said
    assert mail.links.keys() == {"approve", "reject"}
    assert approval.approval_id not in mail.links["approve"]


def test_a_link_is_its_persons_alone_and_the_table_has_only_its_hash(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, author: SignedUp
) -> None:
    approval = workflows.asked()
    [mail] = workflows.mails()
    secret = mail.links["approve"].split("/")[3]
    assert secret not in str(cloud.items("approval_links"))
    assert secret not in str(cloud.items("audit")) + str(cloud.items("approval_assignments"))
    found = link.find(secret, sub=approver.sub)
    assert found
    assert found.approval_id == approval.approval_id
    assert link.find(secret, sub=author.sub) is None
    for wrong in (secret[:-1], secret + "A", secret.swapcase(), "", "../" + secret, "A" * 43):
        assert link.find(wrong, sub=approver.sub) is None


def test_who_asked_for_it_cannot_send_the_mails_all_the_time(
    workflows: Workflows, approver: SignedUp, author: SignedUp
) -> None:
    approval = workflows.asked(
        {"managerEmailAddress": approver.email, "employeeName": "Ada", "requester": author.username}
    )
    with pytest.raises(TooSoon):
        mailing.resend(approval.approval_id, by=user(author), now=timezone.now())
    later = timezone.now() + timedelta(minutes=11)
    assert mailing.resend(approval.approval_id, by=user(author), now=later) == 1
    workflows.work("approval-mails")
    assert [mail.to for mail in workflows.mails()] == [approver.email] * 2
    assert ("author", "had the mails sent again") in workflows.audited(approval.approval_id)


def test_a_mail_about_what_is_over_is_not_sent(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    workflows.stop(approval.execution_arn)
    workflows.work("executions", wait_seconds=2)
    before = len(workflows.mails())
    mailing.send(approval.approval_id, approver.sub, "reminder-1-1", tries=0, now=timezone.now())
    assert len(workflows.mails()) == before


def test_a_lost_answer_of_ses_is_not_the_end_of_it(workflows: Workflows, cloud: TestCloud, approver: SignedUp) -> None:
    fail(cloud, "lost_reply", times=2)
    approval = workflows.asked()
    cloud.faults.clear()
    one = assignments.get(approval.approval_id, approver.sub, consistent=True)
    assert one.mail in (Mail.RETRYING, Mail.SENT)


def test_a_mail_that_arrives_does_not_hide_another_that_does_not(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, author: SignedUp, request_type: Callable[..., None]
) -> None:
    request_type(Approver="person:approver", Escalation="person:author", DeadlineHours=1)
    approval_id = asked_in_vain(workflows, cloud)
    fail(cloud)
    mailing.send(approval_id, approver.sub, "asked-1", tries=len(PAUSES), now=timezone.now())
    cloud.faults.clear()
    workflows.watch(timezone.now() + timedelta(hours=2))
    workflows.work("approval-mails")
    assert workflows.people(approval_id)["author"].mail is Mail.SENT
    assert workflows.approval(approval_id).problem_kind is Problem.MAIL


def test_what_happened_is_told_in_its_order(workflows: Workflows, approver: SignedUp) -> None:
    approval = workflows.asked()
    told = [what for _, what in workflows.audited(approval.approval_id)]
    assert told == ["asked for it", "was asked by mail"]
