"""Contract of portal/localcloud/standins/ec2_permissions.py and ses_permissions.py, and of what the portal's role needs
besides."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.fleet import launched, tags_of
from tests.localcloud.roles import allow, deny, make_role, session_of
from tests.localcloud.running_cloud import ACCOUNT_ID, RunningCloud

INSTANCES = "arn:aws:ec2:*:*:instance/*"
NAME = [{"Key": "Name", "Value": "web"}]


def is_allowed(call: Any, **request: Any) -> bool:
    """Return whether IAM lets a call through. Raises whatever else is wrong with it."""
    try:
        call(**request)
    except ClientError as refused:
        if refused.response["Error"]["Code"] in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException"):
            return False
        if refused.response["Error"]["Code"] in ("AuthorizationError", "AWS.SimpleQueueService.AccessDenied"):
            return False
        raise
    return True


def client_of(cloud: RunningCloud, service: str, *statements: dict[str, Any], **options: Any) -> Any:
    """Return a client in a new role with these statements."""
    return cloud.client(service, key=session_of(cloud, make_role(cloud, *statements)), **options)


# --- EC2 --------------------------------------------------------------------------------------------------------------


def test_describing_needs_all_resources(cloud: RunningCloud) -> None:
    ids = launched(cloud)
    everywhere = client_of(cloud, "ec2", allow("ec2:DescribeInstances", "*"))
    assert is_allowed(everywhere.describe_instances)
    assert is_allowed(everywhere.describe_instances, InstanceIds=ids)
    narrow = client_of(cloud, "ec2", allow("ec2:DescribeInstances", INSTANCES))
    assert not is_allowed(narrow.describe_instances)
    assert not is_allowed(narrow.describe_instances, InstanceIds=ids)


def test_tagging_is_checked_on_every_resource(cloud: RunningCloud) -> None:
    ids = launched(cloud, 2)
    ec2 = client_of(cloud, "ec2", allow(["ec2:CreateTags", "ec2:DeleteTags"], INSTANCES))
    assert is_allowed(ec2.create_tags, Resources=ids, Tags=NAME)
    assert is_allowed(ec2.delete_tags, Resources=ids, Tags=NAME)
    assert not is_allowed(ec2.create_tags, Resources=[ids[0], "vpc-00000001"], Tags=NAME)
    one = client_of(cloud, "ec2", allow("ec2:CreateTags", f"arn:aws:ec2:*:*:instance/{ids[0]}"))
    assert is_allowed(one.create_tags, Resources=ids[:1], Tags=NAME)
    assert not is_allowed(one.create_tags, Resources=ids, Tags=NAME)
    assert tags_of(cloud.client("ec2"), ids[1]) == {}


@pytest.mark.parametrize("key", ["aws:ResourceTag/Team", "ec2:ResourceTag/Team"])
def test_tags_of_each_resource_decide(cloud: RunningCloud, key: str) -> None:
    ours, theirs = launched(cloud, 2, tag_sets=[{"Team": "rides"}, {"Team": "billing"}])
    condition = {"StringEquals": {key: "rides"}}
    ec2 = client_of(
        cloud, "ec2", allow(["ec2:StopInstances", "ec2:TerminateInstances", "ec2:CreateTags"], INSTANCES, **condition)
    )
    for call in (ec2.stop_instances, ec2.terminate_instances):
        assert not is_allowed(call, InstanceIds=[ours, theirs])
        assert is_allowed(call, InstanceIds=[ours])
    assert is_allowed(ec2.create_tags, Resources=[ours], Tags=NAME)
    assert not is_allowed(ec2.create_tags, Resources=[theirs], Tags=NAME)


def test_what_was_not_marked_is_not_stopped(cloud: RunningCloud) -> None:
    marked, bare = launched(cloud, 2, tag_sets=[{"portico:deadline": "2026-12-01"}, {}])
    ec2 = client_of(
        cloud, "ec2", allow("ec2:StopInstances", INSTANCES, Null={"aws:ResourceTag/portico:deadline": "false"})
    )
    assert is_allowed(ec2.stop_instances, InstanceIds=[marked])
    assert not is_allowed(ec2.stop_instances, InstanceIds=[bare])


def test_dry_run_tells_what_is_allowed(cloud: RunningCloud) -> None:
    ids = launched(cloud)
    ec2 = client_of(cloud, "ec2", allow("ec2:StopInstances", INSTANCES))
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.stop_instances(InstanceIds=ids, DryRun=True)
    assert not is_allowed(ec2.terminate_instances, InstanceIds=ids, DryRun=True)


@pytest.mark.parametrize(
    ("operator", "key", "expected", "tags", "allowed"),
    [
        ("StringEquals", "aws:RequestTag/Team", "rides", {"Team": "rides"}, True),
        ("StringEquals", "aws:RequestTag/Team", "rides", {"Team": "billing"}, False),
        ("StringEquals", "aws:RequestTag/Team", "rides", {"Other": "rides"}, False),
        ("StringLike", "aws:RequestTag/Team", "r*", {"Team": "rides"}, True),
        ("Null", "aws:RequestTag/Team", "false", {"Other": ""}, False),
        ("Null", "aws:RequestTag/Team", "false", {"Team": ""}, True),
        ("ForAllValues__StringEquals", "aws:TagKeys", ["Team", "Name"], {"Team": ""}, True),
        ("ForAllValues__StringEquals", "aws:TagKeys", ["Team", "Name"], {"Team": "", "Owner": ""}, False),
        ("ForAllValues__StringLike", "aws:TagKeys", ["portico:*"], {"portico:deadline": ""}, True),
        ("ForAnyValue__StringEquals", "aws:TagKeys", ["Team"], {"Team": "", "Owner": ""}, True),
        ("ForAnyValue__StringEquals", "aws:TagKeys", ["Team"], {"Owner": ""}, False),
    ],
)
def test_tags_of_the_request_decide(
    cloud: RunningCloud, operator: str, key: str, expected: str | list[str], tags: dict[str, str], allowed: bool
) -> None:
    ids = launched(cloud)
    ec2 = client_of(cloud, "ec2", allow("ec2:CreateTags", INSTANCES, **{operator: {key: expected}}))
    pairs = [{"Key": name, "Value": content} for name, content in tags.items()]
    assert is_allowed(ec2.create_tags, Resources=ids, Tags=pairs) == allowed


def test_deleted_keys_are_the_requests_too(cloud: RunningCloud) -> None:
    ids = launched(cloud, tags={"Team": "rides", "portico:deadline": "x"})
    keys = {"aws:TagKeys": ["portico:*"]}
    ec2 = client_of(cloud, "ec2", allow("ec2:DeleteTags", INSTANCES, ForAllValues__StringLike=keys))
    assert is_allowed(ec2.delete_tags, Resources=ids, Tags=[{"Key": "portico:deadline"}])
    assert not is_allowed(ec2.delete_tags, Resources=ids, Tags=[{"Key": "Team"}])


def test_deny_of_a_tag_wins(cloud: RunningCloud) -> None:
    protected, other = launched(cloud, 2, tag_sets=[{"Protected": "yes"}, {}])
    ec2 = client_of(
        cloud,
        "ec2",
        allow("ec2:*", "*"),
        deny("ec2:TerminateInstances", "*", StringEquals={"ec2:ResourceTag/protected": "yes"}),
    )
    assert not is_allowed(ec2.terminate_instances, InstanceIds=[protected])
    assert is_allowed(ec2.terminate_instances, InstanceIds=[other])


def test_launch_is_checked_on_what_it_uses_and_by_its_tags(cloud: RunningCloud) -> None:
    image = "ami-0abcdef1234567890"
    tagged = allow("ec2:RunInstances", INSTANCES, StringEquals={"aws:RequestTag/Team": "rides"})
    rest = allow("ec2:RunInstances", [f"arn:aws:ec2:*:*:{kind}/*" for kind in ("subnet", "security-group", "volume")])
    used = allow("ec2:RunInstances", [f"arn:aws:ec2:*::image/{image}", "arn:aws:ec2:*:*:network-interface/*"])
    ec2 = client_of(cloud, "ec2", tagged, rest, used)

    def request(image_id: str, team: str) -> dict[str, Any]:
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Team", "Value": team}]}]
        return {"ImageId": image_id, "MinCount": 1, "MaxCount": 1, "TagSpecifications": tags}

    assert is_allowed(ec2.run_instances, **request(image, "rides"))
    assert not is_allowed(ec2.run_instances, **request(image, "billing"))
    assert not is_allowed(ec2.run_instances, **request("ami-00000000000000000", "rides"))


def test_1000_resources_are_checked_in_time(cloud: RunningCloud) -> None:
    ids = launched(cloud, 1000, at="2026-01-01T00:00:00Z", tags={"Team": "rides"})
    ec2 = client_of(cloud, "ec2", allow("ec2:CreateTags", INSTANCES, StringEquals={"aws:ResourceTag/Team": "rides"}))
    began = time.monotonic()
    assert is_allowed(ec2.create_tags, Resources=ids, Tags=NAME)
    assert time.monotonic() - began < 3


# --- Other services ---------------------------------------------------------------------------------------------------


def test_history_is_looked_up_by_who_may(cloud: RunningCloud, region: str) -> None:
    allowed = client_of(cloud, "cloudtrail", allow("cloudtrail:LookupEvents", "*"), region=region)
    assert is_allowed(allowed.lookup_events)
    narrow = client_of(cloud, "cloudtrail", allow("cloudtrail:LookupEvents", "arn:aws:cloudtrail:*:*:trail/x"))
    assert not is_allowed(narrow.lookup_events)


def test_topic_is_published_to_by_who_may(cloud: RunningCloud, name: str) -> None:
    sns = cloud.client("sns")
    ours, other = (sns.create_topic(Name=f"{name}-{which}")["TopicArn"] for which in ("ours", "other"))
    publisher = client_of(cloud, "sns", allow("sns:Publish", ours))
    assert is_allowed(publisher.publish, TopicArn=ours, Message="a report")
    # A topic admits its own account's principals by a policy of its own, until it has another.
    policy = {"Version": "2012-10-17", "Statement": []}
    sns.set_topic_attributes(TopicArn=other, AttributeName="Policy", AttributeValue=json.dumps(policy))
    assert not is_allowed(publisher.publish, TopicArn=other, Message="a report")


def test_queue_is_used_by_who_may(cloud: RunningCloud, name: str) -> None:
    sqs = cloud.client("sqs")
    ours, other = (sqs.create_queue(QueueName=f"{name}-{which}")["QueueUrl"] for which in ("ours", "other"))
    actions = ["SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"]
    worker = client_of(
        cloud, "sqs", allow([f"sqs:{one}" for one in actions], f"arn:aws:sqs:eu-west-1:{ACCOUNT_ID}:{name}-ours")
    )
    assert is_allowed(worker.send_message, QueueUrl=ours, MessageBody="a run")
    (message,) = worker.receive_message(QueueUrl=ours)["Messages"]
    handle = message["ReceiptHandle"]
    assert is_allowed(worker.change_message_visibility, QueueUrl=ours, ReceiptHandle=handle, VisibilityTimeout=5)
    assert is_allowed(worker.delete_message, QueueUrl=ours, ReceiptHandle=handle)
    assert not is_allowed(worker.send_message, QueueUrl=other, MessageBody="a run")
    assert not is_allowed(worker.receive_message, QueueUrl=other)
    assert not is_allowed(worker.purge_queue, QueueUrl=ours)


@pytest.mark.parametrize("is_whole", [False, True])
def test_mail_is_sent_from_the_address_that_may(cloud: RunningCloud, name: str, is_whole: bool) -> None:
    domain = f"{name}.example.com"
    cloud.client("sesv2").create_email_identity(EmailIdentity=domain)
    address = f"portico@{domain}"
    arn = f"arn:aws:ses:eu-west-1:{ACCOUNT_ID}:identity/{domain}"
    actions = ["ses:SendEmail", "ses:SendRawEmail"]
    ses = client_of(cloud, "sesv2", allow(actions, arn, StringEquals={"ses:FromAddress": address}))

    def mail(sender: str) -> dict[str, Any]:
        simple = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
        whole = {"Raw": {"Data": f"From: {sender}\r\nTo: rider@example.com\r\nSubject: s\r\n\r\nt".encode()}}
        to = {"ToAddresses": ["rider@example.com"]}
        return {"FromEmailAddress": sender, "Destination": to, "Content": whole if is_whole else simple}

    assert is_allowed(ses.send_email, **mail(address))
    assert is_allowed(ses.send_email, **mail(f"Portico <{address}>"))
    assert not is_allowed(ses.send_email, **mail(f"billing@{domain}"))
    only_built = client_of(cloud, "sesv2", allow("ses:SendEmail", arn))
    assert is_allowed(only_built.send_email, **mail(address)) == (not is_whole)
    cloud.client("sesv2").create_email_identity(EmailIdentity=address)
    assert not is_allowed(ses.send_email, **mail(address))
