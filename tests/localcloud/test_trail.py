"""Contract of portal/localcloud/standins/trail_*.py."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from tests.localcloud.fleet import AUTO_SCALING, RIDER, described, hours_ago, launched, refusal
from tests.localcloud.roles import allow, make_role, session_of
from tests.localcloud.running_cloud import ACCOUNT_ID, ADMINISTRATOR, RunningCloud, Start
from tests.localcloud.trail import (
    ANSWER_MEMBERS,
    EVENT_MEMBERS,
    LAUNCHED_MEMBERS,
    REQUEST_MEMBERS,
    looked_up,
    only_event,
    start_example,
    stop_example,
)

IMAGE = "ami-0abcdef1234567890"


def run(cloud: RunningCloud, region: str, key: tuple[str, ...] = ADMINISTRATOR, **request: Any) -> str:
    """Launch an instance and return its id."""
    answer = cloud.client("ec2", key=key, region=region).run_instances(
        ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType="t3.nano", **request
    )
    return str(answer["Instances"][0]["InstanceId"])


# --- What is recorded -------------------------------------------------------------------------------------------------


def test_launch_is_recorded_as_aws_does(cloud: RunningCloud, region: str) -> None:
    tags = [{"Key": "Name", "Value": "<b>web</b> & co."}, {"Key": "Empty", "Value": ""}, {"Key": "on", "Value": "true"}]
    ec2 = cloud.client("ec2", region=region)
    answer = ec2.run_instances(
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=2,
        InstanceType="t3.nano",
        UserData="a secret",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    ids = [one["InstanceId"] for one in answer["Instances"]]
    summary, event = only_event(cloud, region, "RunInstances")
    assert event.keys() >= EVENT_MEMBERS
    assert event["requestParameters"].keys() >= REQUEST_MEMBERS
    assert event["responseElements"].keys() >= ANSWER_MEMBERS
    items = event["responseElements"]["instancesSet"]["items"]
    assert [one["instanceId"] for one in items] == ids
    assert items[0].keys() >= LAUNCHED_MEMBERS
    assert items[0]["instanceState"] == {"code": 0, "name": "pending"}
    assert items[0]["launchTime"] == answer["Instances"][0]["LaunchTime"].timestamp() * 1000
    assert items[0]["tagSet"]["items"] == [{"key": tag["Key"], "value": tag["Value"]} for tag in tags]
    assert event["requestParameters"]["instancesSet"] == {"items": [{"imageId": IMAGE, "minCount": 1, "maxCount": 2}]}
    assert event["requestParameters"]["userData"] == "<sensitiveDataRemoved>"
    assert event["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert {
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "eventType": "AwsApiCall",
        "awsRegion": region,
        "readOnly": False,
        "recipientAccountId": ACCOUNT_ID,
        "sourceIPAddress": "127.0.0.1",
    }.items() <= event.items()
    assert event["userAgent"].startswith("Boto3/")
    assert {
        "EventId": event["eventID"],
        "EventName": "RunInstances",
        "ReadOnly": "false",
        "AccessKeyId": ADMINISTRATOR[0],
        "EventSource": "ec2.amazonaws.com",
        "Username": "root",
    }.items() <= summary.items()
    assert summary["EventTime"] == datetime.fromisoformat(event["eventTime"])
    found = {(one["ResourceType"], one["ResourceName"]) for one in summary["Resources"]}
    assert {("AWS::EC2::Instance", one) for one in ids} <= found
    assert ("AWS::EC2::Ami", IMAGE) in found
    assert ("AWS::EC2::VPC", items[0]["vpcId"]) in found


def test_caller_is_who_signed(cloud: RunningCloud, region: str, name: str) -> None:
    iam = cloud.client("iam")
    user = iam.create_user(UserName=name)["User"]
    everything = json.dumps({"Version": "2012-10-17", "Statement": [allow("ec2:*", "*")]})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=everything)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    run(cloud, region, (key["AccessKeyId"], key["SecretAccessKey"]))
    summary, event = only_event(cloud, region, "RunInstances")
    assert (summary["Username"], summary["AccessKeyId"]) == (name, key["AccessKeyId"])
    assert event["userIdentity"] == {
        "type": "IAMUser",
        "principalId": user["UserId"],
        "arn": user["Arn"],
        "accountId": ACCOUNT_ID,
        "accessKeyId": key["AccessKeyId"],
        "userName": name,
    }


def test_caller_in_a_role_is_its_session(cloud: RunningCloud, region: str) -> None:
    role_arn = make_role(cloud, allow("ec2:*", "*"))
    key = session_of(cloud, role_arn, RoleSessionName="author@example.com")
    run(cloud, region, key)
    summary, event = only_event(cloud, region, "RunInstances")
    role = role_arn.rpartition("/")[2]
    identity = event["userIdentity"]
    assert summary["Username"] == "author@example.com"
    assert (identity["type"], identity["accessKeyId"]) == ("AssumedRole", key[0])
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/author@example.com"
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert issuer == {
        "type": "Role",
        "principalId": cloud.client("iam").get_role(RoleName=role)["Role"]["RoleId"],
        "arn": role_arn,
        "accountId": ACCOUNT_ID,
        "userName": role,
    }
    assert identity["principalId"] == f"{issuer['principalId']}:author@example.com"
    assert identity["sessionContext"]["attributes"]["mfaAuthenticated"] == "false"


def test_refused_and_failed_calls_have_an_error_and_no_answer(cloud: RunningCloud, region: str) -> None:
    key = session_of(cloud, make_role(cloud, allow("ec2:DescribeInstances", "*")))
    ec2 = cloud.client("ec2", key=key, region=region)
    assert refusal(ec2.run_instances, ImageId=IMAGE, MinCount=1, MaxCount=1) == "UnauthorizedOperation"
    _summary, event = only_event(cloud, region, "RunInstances")
    assert (event["errorCode"], event["responseElements"]) == ("Client.UnauthorizedOperation", None)
    assert event["userIdentity"]["type"] == "AssumedRole"
    refusal(cloud.client("ec2", region=region).stop_instances, InstanceIds=["i-0000000000000dead"])
    summary, event = only_event(cloud, region, "StopInstances")
    assert event["errorCode"] == "Client.InvalidInstanceID.NotFound"
    assert event["errorMessage"] == "The instance ID 'i-0000000000000dead' does not exist"
    assert summary["Resources"] == [{"ResourceType": "AWS::EC2::Instance", "ResourceName": "i-0000000000000dead"}]


def test_changes_of_state_are_recorded_as_in_aws_examples(cloud: RunningCloud, region: str) -> None:
    (instance,) = launched(cloud, region=region)
    ec2 = cloud.client("ec2", region=region)
    ec2.stop_instances(InstanceIds=[instance])
    ec2.start_instances(InstanceIds=[instance])
    for name, example in (("StopInstances", stop_example(instance)), ("StartInstances", start_example(instance))):
        summary, event = only_event(cloud, region, name)
        assert event["requestParameters"] == example[0]
        assert event["responseElements"] == {"requestId": event["requestID"], **example[1]}
        assert [one["ResourceName"] for one in summary["Resources"]] == [instance]


def test_tagging_and_terminating_are_recorded(cloud: RunningCloud, region: str) -> None:
    (instance,) = launched(cloud, region=region)
    ec2 = cloud.client("ec2", region=region)
    ec2.create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": "web"}])
    ec2.delete_tags(Resources=[instance], Tags=[{"Key": "Name"}])
    ec2.terminate_instances(InstanceIds=[instance])
    described(ec2)
    events = {one["EventName"]: one for one in looked_up(cloud, region, ("ResourceName", instance))}
    assert events.keys() == {"CreateTags", "DeleteTags", "TerminateInstances"}
    tagged = json.loads(events["CreateTags"]["CloudTrailEvent"])
    assert tagged["requestParameters"] == {
        "resourcesSet": {"items": [{"resourceId": instance}]},
        "tagSet": {"items": [{"key": "Name", "value": "web"}]},
    }
    assert tagged["responseElements"]["_return"] is True
    reads = {
        one["EventName"]: json.loads(one["CloudTrailEvent"]) for one in looked_up(cloud, region, ("ReadOnly", "true"))
    }
    assert reads.keys() == {"DescribeInstances", "LookupEvents"}
    assert reads["DescribeInstances"]["responseElements"] is None


def test_other_services_have_their_name_and_caller_but_no_data_events(cloud: RunningCloud, region: str) -> None:
    sqs = cloud.client("sqs", region=region)
    url = sqs.create_queue(QueueName=region)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="secret")
    cloud.client("sns", region=region).create_topic(Name=region)
    events = looked_up(cloud, region)
    assert [(one["EventSource"], one["EventName"], one["Username"]) for one in events] == [
        ("sns.amazonaws.com", "CreateTopic", "root"),
        ("sqs.amazonaws.com", "CreateQueue", "root"),
    ]


def test_error_of_another_service_has_its_name(cloud: RunningCloud, region: str) -> None:
    refusal(cloud.client("sqs", region=region).delete_queue, QueueUrl=f"{cloud.endpoint}/{ACCOUNT_ID}/absent")
    refusal(cloud.client("iam", region=region).delete_user, UserName="absent")
    codes = {one["EventName"]: json.loads(one["CloudTrailEvent"])["errorCode"] for one in looked_up(cloud, region)}
    assert codes == {"DeleteQueue": "QueueDoesNotExist", "DeleteUser": "NoSuchEntity"}


# --- Looking up -------------------------------------------------------------------------------------------------------


def test_pages_are_newest_first_and_complete(cloud: RunningCloud, region: str) -> None:
    ids = [
        launched(cloud, region=region, record=True, at=hours_ago(hours), identity=identity)[0]
        for hours, identity in ((3, RIDER), (1, AUTO_SCALING), (2, RIDER))
    ]
    trail = cloud.client("cloudtrail", region=region)
    request = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "RunInstances"}]}
    first = trail.lookup_events(MaxResults=2, **request)
    launched(cloud, region=region, record=True)  # what happens meanwhile shifts nothing
    second = trail.lookup_events(MaxResults=2, NextToken=first["NextToken"], **request)
    assert "NextToken" not in second
    found = [
        one["ResourceName"]
        for event in [*first["Events"], *second["Events"]]
        for one in event["Resources"]
        if one["ResourceType"] == "AWS::EC2::Instance"
    ]
    assert found == [ids[1], ids[2], ids[0]]


def test_every_member_of_an_answer_is_one_of_the_service_model(cloud: RunningCloud, region: str) -> None:
    launched(cloud, region=region, record=True)
    launched(cloud, region=region, record=True, identity=AUTO_SCALING)
    trail = cloud.client("cloudtrail", region=region)
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        bodies.append(response_dict["body"])

    trail.meta.events.register("before-parse.cloudtrail.LookupEvents", keep)
    attribute = {"AttributeKey": "EventName", "AttributeValue": "RunInstances"}
    parsed = trail.lookup_events(LookupAttributes=[attribute], MaxResults=1)
    del parsed["ResponseMetadata"]
    shape = trail.meta.service_model.operation_model("LookupEvents").output_shape
    assert not ParamValidator().validate(parsed, shape).has_errors()
    sent = json.loads(bodies[0])
    event, members = sent["Events"][0], shape.members["Events"].member.members
    assert sent.keys() == {"Events", "NextToken"} <= shape.members.keys()
    # An event of a service has no access key; all others have every member.
    assert event.keys() <= members.keys()
    assert members.keys() - event.keys() <= {"AccessKeyId"}
    assert event["Resources"][0].keys() == members["Resources"].member.members.keys()


def test_token_is_good_for_its_own_request_only(cloud: RunningCloud, region: str) -> None:
    for hours in (1, 2):
        launched(cloud, region=region, record=True, at=hours_ago(hours))
    trail = cloud.client("cloudtrail", region=region)
    token = trail.lookup_events(MaxResults=1)["NextToken"]
    other = [{"AttributeKey": "Username", "AttributeValue": "rider"}]
    assert refusal(trail.lookup_events, LookupAttributes=other, NextToken=token) == "InvalidNextTokenException"


@pytest.mark.parametrize(
    "attribute",
    [
        ("EventName", "RunInstances"),
        ("Username", "AutoScaling"),
        ("ResourceType", "AWS::EC2::Instance"),
        ("EventSource", "ec2.amazonaws.com"),
        ("ReadOnly", "false"),
        ("AccessKeyId", "ASIAEXAMPLE"),
    ],
)
def test_each_attribute_finds_the_event(cloud: RunningCloud, region: str, attribute: tuple[str, str]) -> None:
    identity = {**AUTO_SCALING, "accessKeyId": "ASIAEXAMPLE"}
    launched(cloud, region=region, record=True, identity=identity)
    assert len(looked_up(cloud, region, attribute)) == 1
    assert looked_up(cloud, region, (attribute[0], "another")) == []


def test_event_is_found_by_instance_and_by_id(cloud: RunningCloud, region: str) -> None:
    instance, _other = (launched(cloud, region=region, record=True)[0] for _ in range(2))
    (event,) = looked_up(cloud, region, ("ResourceName", instance))
    assert looked_up(cloud, region, ("EventId", event["EventId"])) == [event]


def test_times_select_including_both_ends(cloud: RunningCloud, region: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(days=days) for days in (4, 3, 2, 1)]
    for at in times:
        launched(cloud, region=region, record=True, at=at.isoformat())
    found = looked_up(cloud, region, StartTime=times[1], EndTime=times[2])
    assert [one["EventTime"] for one in found] == [times[2], times[1]]
    trail = cloud.client("cloudtrail", region=region)
    assert refusal(trail.lookup_events, StartTime=times[1], EndTime=times[0]) == "InvalidTimeRangeException"


def test_events_are_found_for_90_days(cloud: RunningCloud, region: str) -> None:
    (young,) = launched(cloud, region=region, record=True, at=hours_ago(89 * 24))
    launched(cloud, region=region, record=True, at=hours_ago(91 * 24))
    (event,) = looked_up(cloud, region, StartTime=datetime.now(UTC) - timedelta(days=200))
    assert young in event["CloudTrailEvent"]


def test_only_one_attribute_is_taken(cloud: RunningCloud, region: str) -> None:
    trail = cloud.client("cloudtrail", region=region)
    both = [
        {"AttributeKey": "EventName", "AttributeValue": "RunInstances"},
        {"AttributeKey": "Username", "AttributeValue": "rider"},
    ]
    assert refusal(trail.lookup_events, LookupAttributes=both) == "InvalidLookupAttributesException"
    assert refusal(trail.lookup_events, MaxResults=51) == "InvalidMaxResultsException"


def test_two_requests_a_second_pass_in_each_region(cloud: RunningCloud, region: str) -> None:
    trail = cloud.client("cloudtrail", region=region)
    trail.lookup_events()
    trail.lookup_events()
    assert refusal(trail.lookup_events) == "ThrottlingException"
    cloud.client("cloudtrail", region=f"{region}-b").lookup_events()
    cloud.client("cloudtrail", region=region, attempts=5).lookup_events()


# --- Keeping ----------------------------------------------------------------------------------------------------------


def test_history_survives_a_stop_and_a_kill(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path)
    (first,) = launched(cloud, record=True, at=hours_ago(2))
    launched(cloud, record=True, at=hours_ago(91 * 24))
    cloud.stop()
    cloud = start(tmp_path)
    second = run(cloud, "eu-west-1")
    cloud.stop(signal.SIGKILL)
    kept = tmp_path / "trail.jsonl"
    kept.write_text(kept.read_text() + '["{\\"eventVers')  # a line that the kill cut short
    cloud = start(tmp_path)
    newest, oldest = looked_up(cloud, "eu-west-1", ("EventName", "RunInstances"))
    assert second in newest["CloudTrailEvent"]
    assert first in oldest["CloudTrailEvent"]
    assert kept.stat().st_mode & 0o077 == 0
    run(cloud, "eu-west-1")
    assert len(kept.read_text().splitlines()) == 3
    cloud.stop()


def test_reset_forgets_the_history(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path)
    launched(cloud, record=True)
    cloud.control("POST", "/_ministack/reset")
    assert looked_up(cloud, "eu-west-1") == []
    assert not (tmp_path / "trail.jsonl").exists()
    cloud.stop()
