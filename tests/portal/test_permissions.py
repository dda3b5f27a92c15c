"""The portal's role may do what the portal does and nothing else: each action it has is one that is really called."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.decode import cfn_yaml
from django.conf import settings
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.test import Client

from approvals import executions, workflow
from approvals.approval import amend
from approvals.link import Link, links
from policies import engine
from policies.runs import Kind, State, runs
from portal import aws, events
from portal.accounts import cognito, iam, identity_pool, people, second_factor
from portal.accounts.doors import federation
from portal.accounts.models import User
from portal.localcloud.cloud import TEMPLATE
from portal.localcloud.people import PASSWORD
from portal.localcloud.worker import read
from portal.streaming import appstream, launch, launching, models, overdue, own, pictures
from tests.accounts.company import START, company
from tests.approvals.conftest import Workflows
from tests.conftest import SignedUp, TestCloud
from tests.documents.conftest import Corner
from tests.documents.operators import REASON, put_render, url
from tests.policies.conftest import ARTICLE, Instances, instances, write_rules
from tests.policies.test_untagged import set_mark
from tests.streaming.conftest import Streaming

__all__ = ["instances", "write_rules"]  # fixtures

# What a transaction's parts are called in a policy.
PARTS = {"ConditionCheckItem", "PutItem", "UpdateItem"}
# What S3's calls are called in a policy. Those that name a version are their own actions, with the same call.
S3_ACTIONS = {
    ("s3", call): {("s3", action) for action in actions}
    for call, actions in {
        "CopyObject": ["GetObject", "GetObjectVersion", "PutObject"],
        "DeleteObject": ["DeleteObjectVersion"],
        "GetObject": ["GetObjectVersion"],
        "HeadObject": ["GetObject"],
        "ListObjectVersions": ["ListBucketVersions"],
        "ListObjectsV2": ["ListBucket"],
    }.items()
}


def allowed() -> set[tuple[str, str]]:
    """Return (service, action) of all that the template lets the portal's role do."""
    role = cfn_yaml.load(TEMPLATE)["Resources"]["PortalRole"]["Properties"]
    actions = [
        action
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    return {(service, action) for service, action in (action.split(":") for action in actions)}


def last_mail(cloud: TestCloud, username: str) -> str:
    return [mail["BodyText"] for mail in cloud.mails() if f"{username}@example.com" in mail["To"]][-1]


def end_access(cloud: TestCloud, client: Client) -> None:
    """Look at what may be taken of AWS, and end it, on a role with a denial that has nothing left to refuse."""
    role = settings.PERSON_ROLE_ARN.rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    cloud.admin("iam").put_role_policy(
        RoleName=role,
        PolicyName="ended-20200101T000000Z-somebody",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    iam._described.cache_clear()
    assert client.get("/aws-access/").status_code == 200
    assert client.post("/aws-access/end/").status_code == 302


def operate(cloud: TestCloud, client: Client, username: str) -> None:
    """Do everything to somebody's account that an operator can."""
    here = f"/admin/people/person/{username}"
    client.get("/admin/people/person/")
    client.get("/admin/people/person/?group=operators")
    who = {"UserPoolId": cloud.outputs["UserPoolId"], "Username": username}
    phone = [{"Name": "phone_number", "Value": "+447700900123"}, {"Name": "phone_number_verified", "Value": "true"}]
    cloud.admin("cognito-idp").admin_update_user_attributes(**who, UserAttributes=phone)
    [sub] = [
        one["Value"]
        for one in cloud.admin("cognito-idp").admin_get_user(**who)["UserAttributes"]
        if one["Name"] == "sub"
    ]
    sms = {"Enabled": True, "PreferredMfa": True}
    cloud.admin("cognito-idp").admin_set_user_mfa_preference(**who, SMSMfaSettings=sms)
    for act, fields in [
        ("edit", {"given_name": "New", "email": f"{username}@example.com"}),
        ("groups", {"groups": ["auditors"]}),
        ("groups", {"opened": ["auditors"]}),
        ("reset-second-factor", {}),
        ("disable", {}),
        ("enable", {}),
        ("reset-password", {}),
    ]:
        assert client.post(f"{here}/{act}/", {"sub": sub, **fields}).status_code == 302, act


def connect_and_disconnect(cloud: TestCloud, client: Client, person: SignedUp) -> None:
    """Come in through the company, connect that, and disconnect it and another system's word again."""
    federation.forget_providers()
    with company(cloud) as acme:
        assert acme.sign_in(Client(), "e-permissions", person.email)["Location"] == "/profile/connections/join/"
        acme.sign_in(client, "e-permissions", person.email, f"{START}&connect")
        client.post("/profile/connections/connect/")
    stranger = f"vouched:{uuid.uuid4().hex}"
    people.link(stranger, sub=person.sub, username=person.username)
    identity, _ = identity_pool.vouch(stranger, sub=person.sub)
    people.remember_identity(person.sub, identity)
    for way in ({"link": stranger}, {"provider": "Acme", "user": "e-permissions"}):
        answer = client.post("/profile/connections/disconnect/", way, follow=True)
        assert "is disconnected" in answer.content.decode()


def keep_order(instances: Instances, write_rules: Callable[..., None]) -> None:
    """Have the queue's function run rules that find one of everything to do."""
    rule = {"TagKey": "Team", "Action": "Update", "Required": "Y", "Default": "none"}
    stop, terminate = "vpc-0000000000000000a", "vpc-0000000000000000b"
    write_rules(
        *ARTICLE,
        {**rule, "RuleId": 11, "VpcIds": [stop], "Untagged": "stop"},
        {**rule, "RuleId": 12, "VpcIds": [terminate], "Untagged": "terminate"},
    )
    [tagged] = instances.launch({"CreatedBy": "rider"})
    [unknown] = instances.launch({"Name": "web"})
    [stopped], [terminated] = instances.launch({}, vpc_id=stop), instances.launch({}, vpc_id=terminate)
    for one, end in ((stopped, "stop"), (terminated, "terminate")):
        set_mark(instances, one, end, datetime.now(UTC) - timedelta(hours=1))
    [saved] = instances.launch({"Name": "web", "portico:deadline": "stop 2026-01-01T00:00:00Z"}, vpc_id=stop)

    run = engine.start(Kind.ENFORCE, by=None, now=datetime.now(UTC))
    work_off_queues()
    run = runs.get(run.run_id)
    assert (run.state, run.failed, run.problems) == (State.DONE, 0, ())
    assert instances.tags(tagged)["ProjectCode"] == "Proj007"
    assert instances.tags(unknown)["CreatedBy"] == "mary"
    assert instances.state(stopped) in ("stopping", "stopped")
    assert instances.state(terminated) in ("shutting-down", "terminated")
    assert "portico:deadline" not in instances.tags(saved)


def work_off_queues() -> None:
    from portal.lambda_entry import lambda_handler

    for queue in read(events.stages()["local"], lambda_handler)[0]:
        queue.check()
        while queue.poll(0):
            pass


def keep_documents(cloud: TestCloud, operators: Client, author: SignedUp) -> None:
    """Write, delete and print documents, and have operators do everything to them that they can."""
    asks = Client(headers={"Authorization": f"Bearer {author.id_token}"})
    identity = identity_pool.identity_id(author.id_token)
    people.remember_identity(author.sub, identity)
    text = "\n\n".join(["# Chapter", "Some words of the text. " * 90] * 30)
    for name in ("permissions", "deleted", "failed"):
        asks.put(f"/documents/{name}", {"Text": text}, "application/json", headers={"If-Match": "*"})
        asks.put(f"/documents/{name}", {"Text": text}, "application/json")
    assert asks.post("/documents/permissions/pdf", content_type="application/json").status_code == 202
    assert asks.delete("/documents/deleted").status_code == 204
    call_command("rebuild_index", identity=identity, stdout=StringIO())
    work_off_queues()
    assert asks.get("/documents/permissions/pdf").json()["State"] == "done"
    put_render(identity, "failed", author)
    corner = Corner(identity, None)
    operators.get(f"/admin/documents/document/?q={author.username}")
    operators.get("/admin/documents/render/")
    assert operators.post(url(corner, "failed", "retry", "render")).status_code == 302
    assert text[:40] in operators.post(url(corner, "permissions", "read"), {"reason": REASON}).content.decode()
    assert operators.post(url(corner, "permissions", "take_down"), {"reason": REASON}).status_code == 302
    assert asks.get("/documents/permissions").status_code == 404
    assert operators.post(url(corner, "permissions", "put_back")).status_code == 302
    assert asks.get("/documents/permissions").json()["Text"] == text


def keep_approvals(
    cloud: TestCloud, operators: Client, approvers: Client, riders: SignedUp, approver: SignedUp
) -> None:
    """Ask for promotions in both ways, and have them approved, rejected, withdrawn and looked at."""
    asks = Client(headers={"Authorization": f"Bearer {riders.id_token}"})
    works = Workflows(cloud)
    body = {"Type": "employee-promotion", "Fields": {"employeeName": "Ada"}}
    asked = [asks.post("/approvals", body, "application/json").json()["Id"] for _ in range(2)]
    for one, decision in zip(asked, ("approve", "reject"), strict=True):
        works.question_of(works.approval(one).execution_arn)
        assert approvers.get("/approvals/").status_code == 200
        answer = {"Decision": decision, "Reason": "Because"}
        decides = Client(headers={"Authorization": f"Bearer {approver.id_token}"})
        assert decides.post(f"/approvals/{one}/decision", answer, "application/json").status_code == 200
    [first, *_] = asked
    token = works.approval(first).task_token
    assert token
    works.work()
    # Its answer comes once more, as after a crash: only the history tells that it is there.
    amend(
        first, lambda one: one.model_copy(update={"finished_at": None, "shelf": "unfinished", "next_at": one.asked_at})
    )
    works.watch()
    assert works.approval(first).state == "approved"
    # One that is withdrawn before it is asked, and one that waits with an activity.
    withdrawn = asks.post("/approvals", body, "application/json").json()["Id"]
    assert asks.post(f"/approvals/{withdrawn}/withdraw", content_type="application/json").status_code == 200
    works.work("approval-answers")
    works.start(
        {"managerEmailAddress": approver.email, "employeeName": "Bo"},
        machine=settings.MANUAL_PROMOTION_STATE_MACHINE_ARN,
    )
    assert executions.any_unasked()
    assert workflow.take(settings.MANUAL_STEP_ARN, worker="portico")
    arn = works.approval(first).execution_arn
    assert operators.get(f"/admin/approvals/execution/{quote(arn)}/change/").status_code == 200
    opened = Link(link_id="a" * 64, approval_id=first, sub=approver.sub, round=1, expires_at=2**31)
    links.add(opened)
    approvers.get(f"/approvals/link/{'x' * 43}/approve/")
    cloud.end_executions()


def keep_streaming(cloud: TestCloud, riders: SignedUp) -> Counter[tuple[str, str]]:
    """Start a fleet, launch an application that wants a frame, end the session and stop the fleet."""
    made = Streaming(cloud)
    made.fleet(running=False, embed=True)
    made.application(Opens="frame", MostMinutes=60)
    appstream.start("sample-fleet")
    asks = Client(headers={"Authorization": f"Bearer {riders.id_token}"})
    url = asks.generic("POST", "/streaming-url").json()["Message"]
    assert made.open(url).status == 200
    rider = User(sub=riders.sub, username=riders.username)
    [application] = models.applications()
    assert launching.opens_in_frame(application)
    [found] = own.sessions(rider).found
    assert launch.of_many([found.session.user_id], stack="sample-stack", fleet="sample-fleet")
    assert own.end(found.session.session_id, by=rider)
    assert overdue.end_all(now=datetime.now(UTC) + timedelta(hours=2), seconds=60) == 0
    picture = pictures.Picture(picture_id="0" * 32, data="AAAA")
    pictures.keep(picture)
    assert pictures.content(picture.picture_id)
    application.title = "Another"
    application.save()
    application.delete()
    appstream.stop("sample-fleet")
    called = cloud.calls()
    made.forget()
    return called


def test_every_action_that_the_role_allows_is_called(
    cloud: TestCloud,
    fleet: Callable[..., str],
    rider: SignedUp,
    author: SignedUp,
    operator: SignedUp,
    approver: SignedUp,
    people_roles: list[str],
    client_for: Callable[..., Client],
    instances: Instances,
    write_rules: Callable[..., None],
) -> None:
    fleet("angel", Name="Angel")
    pool, administrator = cloud.outputs["UserPoolId"], cloud.admin("cognito-idp")
    invited, forgetful = (f"{kind}{uuid.uuid4().hex[:8]}" for kind in ("invited", "forgetful"))
    for username in (invited, forgetful):
        attributes = [
            {"Name": "email", "Value": f"{username}@example.com"},
            {"Name": "email_verified", "Value": "true"},
        ]
        administrator.admin_create_user(
            UserPoolId=pool, Username=username, TemporaryPassword=PASSWORD, UserAttributes=attributes
        )
    administrator.admin_set_user_password(UserPoolId=pool, Username=forgetful, Password=PASSWORD, Permanent=True)
    riders, operators, approvers = client_for(rider), client_for(operator), client_for(approver)
    cloud.forget_calls()
    cognito.client_secret.cache_clear()
    second_factor._policy.cache_clear()

    newcomers = Client()
    newcomers.post("/forgot-password/", {"username": invited})
    invitation = last_mail(cloud, invited)
    [temporary] = re.findall(r"temporary password (\S+) and", invitation)
    newcomers.post("/sign-in/", {"username": invited, "password": temporary})
    newcomers.post("/sign-in/new-password/", {"new_password": "Another-2026!!"})
    newcomers.post("/forgot-password/", {"username": forgetful})
    [code] = re.findall(r"\b\d{6}\b", last_mail(cloud, forgetful))
    answer = newcomers.post("/forgot-password/confirm/", {"code": code, "new_password": "Another-2026!!"})
    assert answer.status_code == 302
    ride = riders.post(
        "/rides/",
        {"latitude": "47.6", "longitude": "-122.3", "idempotency_key": "key"},
        follow=True,
    )
    assert ride.status_code == 200
    riders.get("/rides/")
    riders.get("/profile/two-factor/")
    riders.get("/profile/sessions/")
    connect_and_disconnect(cloud, riders, rider)
    end_access(cloud, riders)
    riders.post("/sign-out/")
    operate(cloud, operators, forgetful)
    operators.get("/admin/rides/unicorn/")
    operators.get("/admin/")
    called = cloud.calls()
    keep_order(instances, write_rules)
    keep_documents(cloud, operators, author)
    keep_approvals(cloud, operators, approvers, rider, approver)
    called += cloud.calls()
    called += keep_streaming(cloud, rider)
    done = {(service, action) for service, action in called}
    done |= {("states", action) for service, action in done if service == "stepfunctions"}
    if ("sesv2", "SendEmail") in done:
        # Ours are whole messages, for which SES wants both.
        done |= {("ses", "SendEmail"), ("ses", "SendRawEmail")}
    done |= {action for call in done for action in S3_ACTIONS.get(call, ())}
    if ("dynamodb", "TransactWriteItems") in done:
        done |= {("dynamodb", part) for part in PARTS}
    assert allowed() - done == set()


def ec2() -> Any:
    return aws.client_in("ec2", "eu-west-1")


def refused(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    return aws.error_code(error.value)


def test_an_instance_that_was_not_marked_can_be_neither_stopped_nor_terminated(instances: Instances) -> None:
    bare, marked = instances.launch({}, {"portico:deadline": "stop 2026-01-01T00:00:00Z"})
    for call in (ec2().stop_instances, ec2().terminate_instances):
        assert refused(call, InstanceIds=[bare]) == "UnauthorizedOperation"
        assert refused(call, InstanceIds=[bare, marked]) == "UnauthorizedOperation"
    assert instances.state(bare) == instances.state(marked) == "running"


def test_only_instances_are_tagged_and_none_is_launched(cloud: TestCloud) -> None:
    tags = [{"Key": "Name", "Value": "web"}]
    assert refused(ec2().create_tags, Resources=["vpc-0123456789abcdef0"], Tags=tags) == "UnauthorizedOperation"
    assert refused(ec2().delete_tags, Resources=["vol-0123456789abcdef0"], Tags=tags) == "UnauthorizedOperation"
    launch = {"ImageId": "ami-0123456789abcdef0", "MinCount": 1, "MaxCount": 1}
    assert refused(ec2().run_instances, **launch) == "UnauthorizedOperation"


def test_mail_comes_from_one_address_only(cloud: TestCloud) -> None:
    cloud.admin("sesv2").create_email_identity(EmailIdentity="example.com")
    simple = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
    mail = {"Destination": {"ToAddresses": ["rider@example.com"]}, "Content": simple}
    try:
        code = refused(aws.client("sesv2").send_email, FromEmailAddress="billing@example.com", **mail)
    finally:
        cloud.admin("sesv2").delete_email_identity(EmailIdentity="example.com")
    assert "AccessDenied" in code
    assert aws.client("sesv2").send_email(FromEmailAddress=settings.MAIL_FROM, **mail)["MessageId"]


def test_queues_and_topics_of_others_are_out_of_reach(cloud: TestCloud) -> None:
    other = cloud.admin("sqs").create_queue(QueueName="somebody-elses")["QueueUrl"]
    sqs = aws.client("sqs")
    assert "AccessDenied" in refused(sqs.send_message, QueueUrl=other, MessageBody="x")
    assert "AccessDenied" in refused(sqs.receive_message, QueueUrl=other)
    assert "AccessDenied" in refused(sqs.send_message, QueueUrl=settings.LAUNCHES_QUEUE_URL, MessageBody="x")
    assert "AccessDenied" in refused(sqs.purge_queue, QueueUrl=settings.POLICY_RUNS_QUEUE_URL)


def test_only_the_templates_and_the_named_stacks_and_fleets_are_streamed_from(cloud: TestCloud) -> None:
    made = Streaming(cloud)
    made.forget()
    try:
        made.fleet()
        made.fleet("finance", stack="finance")
        finance = {"StackName": "finance", "FleetName": "finance"}
        for action, request in [
            ("StartFleet", {"Name": "finance"}),
            ("StopFleet", {"Name": "finance"}),
            ("DescribeFleets", {"Names": ["finance"]}),
            ("DescribeFleets", {}),
            ("DescribeStacks", {"Names": ["sample-stack", "finance"]}),
            ("ListAssociatedFleets", {"StackName": "finance"}),
            ("DescribeSessions", {**finance, "FleetName": "sample-fleet"}),
            ("CreateStreamingURL", {**finance, "UserId": "ada"}),
            ("CreateStreamingURL", {**finance, "FleetName": "sample-fleet", "UserId": "ada"}),
            ("CreateStreamingURL", {**finance, "StackName": "sample-stack", "UserId": "ada"}),
            ("CreateStack", {"Name": "sample-another"}),
            ("DeleteFleet", {"Name": "sample-fleet"}),
            ("UpdateFleet", {"Name": "sample-fleet"}),
        ]:
            assert refused(aws.client("appstream").call, action=action, **request) == "AccessDeniedException", action
    finally:
        made.forget()
