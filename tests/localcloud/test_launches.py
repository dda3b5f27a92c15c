"""Contract of `/_portico/launches`, with which tests and the sample data launch instances as anybody, at any time."""

from datetime import datetime
from urllib.error import HTTPError

import pytest

from tests.localcloud.fleet import AUTO_SCALING, RIDER, described, hours_ago, launched, new_vpc_id
from tests.localcloud.running_cloud import ACCOUNT_ID, RunningCloud, Start
from tests.localcloud.trail import ANSWER_MEMBERS, LAUNCHED_MEMBERS, looked_up, only_event


def test_launch_of_the_past_is_anybodys(cloud: RunningCloud, region: str) -> None:
    vpc_id, at = new_vpc_id(), hours_ago(26 * 24)
    ids = launched(
        cloud,
        3,
        region=region,
        record=True,
        at=at,
        vpc_id=vpc_id,
        identity=AUTO_SCALING,
        instance_type="m7i.large",
        tag_sets=[{"Name": "a"}, {"Name": "b"}, {}],
    )
    summary, event = only_event(cloud, region, "RunInstances")
    assert event["userIdentity"] == AUTO_SCALING
    assert event["sourceIPAddress"] == event["userAgent"] == "autoscaling.amazonaws.com"
    assert summary["Username"] == "AutoScaling"
    assert "AccessKeyId" not in summary
    assert event["responseElements"].keys() >= ANSWER_MEMBERS - {"requestId"}
    assert event["responseElements"]["instancesSet"]["items"][0].keys() >= LAUNCHED_MEMBERS - {"clientToken"}
    ec2 = cloud.client("ec2", region=region)
    instances = {one["InstanceId"]: one for one in described(ec2, Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])}
    assert instances.keys() == set(ids)
    assert [instances[one].get("Tags", []) for one in ids] == [
        [{"Key": "Name", "Value": "a"}],
        [{"Key": "Name", "Value": "b"}],
        [],
    ]
    assert {one["LaunchTime"] for one in instances.values()} == {datetime.fromisoformat(at)}
    assert ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["CidrBlock"] == "10.0.0.0/16"


def test_launch_goes_into_a_vpc_without_subnets(cloud: RunningCloud, region: str) -> None:
    ec2 = cloud.client("ec2", region=region)
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    (instance,) = described(ec2, InstanceIds=launched(cloud, region=region, vpc_id=vpc_id))
    assert (instance["VpcId"], instance["PrivateIpAddress"][:5]) == (vpc_id, "10.9.")
    assert instance["SecurityGroups"][0]["GroupName"] == "default"


def test_launch_may_have_no_event(cloud: RunningCloud, region: str) -> None:
    launched(cloud, region=region, record=False)
    assert looked_up(cloud, region) == []


@pytest.mark.parametrize(
    ("identity", "username"),
    [
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT_ID}:root"}, "root"),
        ({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}, None),
        ({"type": "AssumedRole", "principalId": "AROAEXAMPLE:i-0abc"}, "i-0abc"),
        ({"type": "FederatedUser", "arn": f"arn:aws:sts::{ACCOUNT_ID}:federated-user/author"}, "author"),
    ],
)
def test_username_follows_the_kind_of_caller(
    cloud: RunningCloud, region: str, identity: dict[str, str], username: str | None
) -> None:
    launched(cloud, region=region, record=True, identity=identity)
    (event,) = looked_up(cloud, region)
    assert event.get("Username") == username


@pytest.mark.parametrize(
    "wrong",
    [
        {"instances": 0, "identity": RIDER},
        {"instances": 1},
        {"instances": 1, "identity": RIDER, "at": "yesterday"},
        {"instances": 1, "identity": RIDER, "colour": "white"},
        {"instances": 1, "identity": RIDER, "tags": ["Name"]},
        "launch",
    ],
)
def test_malformed_launch_is_refused_whole(cloud: RunningCloud, region: str, wrong: object) -> None:
    with pytest.raises(HTTPError) as refused:
        cloud.control("POST", "/_portico/launches", [{"instances": 1, "identity": RIDER, "region": region}, wrong])
    assert refused.value.code == 400
    refused.value.close()
    assert described(cloud.client("ec2", region=region)) == []


def test_thousands_are_launched_at_once(start: Start) -> None:
    cloud = start()
    launches = [{"instances": 1, "identity": RIDER, "at": hours_ago(1)}] * 1000
    for _ in range(3):
        assert len(cloud.control("POST", "/_portico/launches", launches)) == 1000
    assert len(looked_up(cloud, "eu-west-1")) == 50
