"""Contract of portal/localcloud/standins/ec2_pages.py, ec2_filters.py, ec2_launches.py and ec2_states.py."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.fleet import described, launched, new_vpc_id, refusal, tags_of
from tests.localcloud.running_cloud import RunningCloud

NOBODY = "i-0000000000000dead"


@pytest.fixture
def ec2(cloud: RunningCloud) -> Any:
    return cloud.client("ec2")


def in_vpc(vpc_id: str) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc_id]}]


# --- Pages ------------------------------------------------------------------------------------------------------------


def test_pages_hold_every_instance_once(cloud: RunningCloud, ec2: Any) -> None:
    vpc_id = new_vpc_id()
    ids = launched(cloud, 12, vpc_id=vpc_id)
    pages = list(
        ec2.get_paginator("describe_instances").paginate(Filters=in_vpc(vpc_id), PaginationConfig={"PageSize": 5})
    )
    counts = [sum(len(one["Instances"]) for one in page["Reservations"]) for page in pages]
    assert counts == [5, 5, 2]
    found = [one["InstanceId"] for page in pages for group in page["Reservations"] for one in group["Instances"]]
    assert sorted(found) == sorted(ids)
    reservations = {group["ReservationId"] for page in pages for group in page["Reservations"]}
    assert len(reservations) == 1


def test_page_of_a_large_fleet_is_cheap(cloud: RunningCloud, ec2: Any) -> None:
    vpc_id = new_vpc_id()
    launched(cloud, 5000, vpc_id=vpc_id)

    def quickest(number: int, **asked: Any) -> float:
        """Return the seconds that a page takes when nothing else is in its way: the least of several."""
        taken = []
        for _ in range(5):
            began = time.monotonic()
            assert len(described(ec2, Filters=in_vpc(vpc_id), **asked)) == number
            taken.append(time.monotonic() - began)
        return min(taken)

    assert quickest(5, MaxResults=5) < quickest(1000) / 4
    ec2.terminate_instances(InstanceIds=[one["InstanceId"] for one in described(ec2, Filters=in_vpc(vpc_id))])


def test_token_is_good_for_its_own_request_only(cloud: RunningCloud, ec2: Any) -> None:
    vpc_id = new_vpc_id()
    launched(cloud, 7, vpc_id=vpc_id)
    token = ec2.describe_instances(Filters=in_vpc(vpc_id), MaxResults=5)["NextToken"]
    assert len(described(ec2, Filters=in_vpc(vpc_id), MaxResults=100, NextToken=token)) == 2
    # The name is AWS's own: the documented InvalidNextToken is not what DescribeInstances sends.
    assert refusal(ec2.describe_instances, NextToken=token) == "InvalidParameterValue"
    assert refusal(ec2.describe_instances, NextToken="made up") == "InvalidParameterValue"
    elsewhere = cloud.client("ec2", region="eu-central-1")
    assert refusal(elsewhere.describe_instances, Filters=in_vpc(vpc_id), NextToken=token) == "InvalidParameterValue"


@pytest.mark.parametrize("size", [1, 4, 1001])
def test_page_has_5_to_1000_instances(ec2: Any, size: int) -> None:
    assert refusal(ec2.describe_instances, MaxResults=size) == "InvalidParameterValue"


def test_page_size_and_ids_exclude_each_other(ec2: Any) -> None:
    assert refusal(ec2.describe_instances, InstanceIds=[NOBODY], MaxResults=5) == "InvalidParameterCombination"


def test_unknown_instance_is_not_found(cloud: RunningCloud, ec2: Any) -> None:
    (known,) = launched(cloud)
    for call in (ec2.describe_instances, ec2.stop_instances, ec2.start_instances, ec2.terminate_instances):
        assert refusal(call, InstanceIds=[known, NOBODY]) == "InvalidInstanceID.NotFound"
        assert refusal(call, InstanceIds=["i-banana"]) == "InvalidInstanceID.Malformed"
    assert described(ec2, InstanceIds=[known])[0]["State"]["Name"] == "running"


# --- Filters ----------------------------------------------------------------------------------------------------------


def test_filters_select(cloud: RunningCloud, ec2: Any) -> None:
    vpc_id = new_vpc_id()
    (web,) = launched(cloud, vpc_id=vpc_id, tags={"Name": "web-1", "Project[Code]": "a*b"})
    (worker,) = launched(cloud, vpc_id=vpc_id, tags={"Name": "worker-1", "ProjectCode": ""}, instance_type="m7g.large")
    (bare,) = launched(cloud, vpc_id=vpc_id, state="stopped")

    def found(**filters: list[str]) -> set[str]:
        given = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
        return {one["InstanceId"] for one in described(ec2, Filters=[*in_vpc(vpc_id), *given])}

    assert found() == {web, worker, bare}
    assert found(instance_state_name=["stopped", "stopping"]) == {bare}
    assert found(instance_id=[web, NOBODY]) == {web}
    assert found(**{"tag:Name": ["w*-1"]}) == {web, worker}
    assert found(**{"tag:Name": ["web-?"]}) == {web}
    assert found(**{"tag:Name": ["WEB-1"]}) == set()
    assert found(**{"tag:ProjectCode": [""]}) == {worker}
    assert found(**{"tag:Project[Code]": [r"a\*b"]}) == {web}
    assert found(tag_key=["Project*"]) == {web, worker}
    assert found(tag_value=["web-1"], instance_type=["t3.*"]) == {web}
    assert found(architecture=["arm64"]) == {worker}


def test_unknown_filter_is_refused(ec2: Any) -> None:
    wrong = [{"Name": "colour", "Values": ["white"]}]
    assert refusal(ec2.describe_instances, Filters=wrong) == "InvalidParameterValue"
    many = [{"Name": "instance-id", "Values": [f"i-{number:017x}" for number in range(201)]}]
    assert refusal(ec2.describe_instances, Filters=many) == "FilterLimitExceeded"


# --- Launching --------------------------------------------------------------------------------------------------------


def test_instance_is_described_as_aws_does(cloud: RunningCloud, ec2: Any, name: str) -> None:
    iam = cloud.client("iam")
    profile = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    vpc_id = new_vpc_id()
    launched(cloud, vpc_id=vpc_id)
    subnets = ec2.describe_subnets(Filters=in_vpc(vpc_id))["Subnets"]
    subnet = next(one for one in subnets if one["AvailabilityZone"] == "eu-west-1b")
    answer = ec2.run_instances(
        ImageId="ami-0abcdef1234567890",
        InstanceType="t4g.small",
        KeyName="rider's key",
        MinCount=1,
        MaxCount=2,
        SubnetId=subnet["SubnetId"],
        IamInstanceProfile={"Arn": profile},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "disk"}]},
        ],
    )
    assert [one["State"] for one in answer["Instances"]] == [{"Code": 0, "Name": "pending"}] * 2
    (instance,) = described(ec2, InstanceIds=[answer["Instances"][0]["InstanceId"]])
    (interface,) = instance["NetworkInterfaces"]
    (device,) = instance["BlockDeviceMappings"]
    assert {
        "ImageId": "ami-0abcdef1234567890",
        "InstanceType": "t4g.small",
        "Architecture": "arm64",
        "PlatformDetails": "Linux/UNIX",
        "KeyName": "rider's key",
        "State": {"Code": 16, "Name": "running"},
        "VpcId": vpc_id,
        "SubnetId": subnet["SubnetId"],
        "Tags": [{"Key": "Name", "Value": "web"}],
    }.items() <= instance.items()
    assert instance["Placement"]["AvailabilityZone"] == "eu-west-1b"
    assert instance["IamInstanceProfile"]["Arn"] == profile
    assert instance["PrivateIpAddress"].startswith("10.0.")
    assert interface["PrivateIpAddress"] == instance["PrivateIpAddress"]
    assert interface["Attachment"]["AttachTime"] == device["Ebs"]["AttachTime"] == instance["LaunchTime"]
    assert datetime.now(UTC) - instance["LaunchTime"] < timedelta(minutes=1)
    (volume,) = ec2.describe_volumes(VolumeIds=[device["Ebs"]["VolumeId"]])["Volumes"]
    assert volume["Tags"] == [{"Key": "Name", "Value": "disk"}]
    assert "KeyName" not in described(ec2, InstanceIds=launched(cloud))[0]


def test_answer_has_no_element_that_aws_has_not(cloud: RunningCloud, ec2: Any) -> None:
    ids = launched(cloud, tags={"Name": "web"}, key_name="key")
    answers = []
    ec2.meta.events.register(
        "after-call.ec2.DescribeInstances", lambda http_response, **_: answers.append(http_response)
    )
    described(ec2, InstanceIds=ids)
    (answer,) = answers
    known = ec2.meta.service_model.operation_model("DescribeInstances").output_shape
    unknown_elements(ElementTree.fromstring(answer.content), known)


def unknown_elements(element: ElementTree.Element, shape: Any) -> None:
    """Fail unless every element below this one is in botocore's model of the answer."""
    if shape.type_name == "list":
        for child in element:
            unknown_elements(child, shape.member)
    elif shape.type_name == "structure":
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child in element:
            name = child.tag.rpartition("}")[2]
            if name != "requestId":
                unknown_elements(child, names[name])
    else:
        assert not len(element)


def test_repeated_call_launches_nothing_more(cloud: RunningCloud, region: str) -> None:
    ec2 = cloud.client("ec2", region=region)
    request = {"ImageId": "ami-0abcdef1234567890", "MinCount": 2, "MaxCount": 2, "ClientToken": "once"}
    first, again = (ec2.run_instances(**request) for _ in range(2))
    ids = [one["InstanceId"] for one in first["Instances"]]
    assert [one["InstanceId"] for one in again["Instances"]] == ids
    assert first["ReservationId"] == again["ReservationId"]
    assert len(described(ec2)) == 2


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"MinCount": 3, "MaxCount": 2}, "InvalidParameterCombination"),
        ({"MinCount": 0, "MaxCount": 0}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-0000000000000dead"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0000000000000dead"]}, "InvalidGroup.NotFound"),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "AWS:x", "Value": ""}]}]},
            "InvalidParameterValue",
        ),
        (
            {
                "TagSpecifications": [
                    {"ResourceType": "instance", "Tags": [{"Key": str(number), "Value": ""} for number in range(51)]}
                ]
            },
            "TagLimitExceeded",
        ),
    ],
)
def test_impossible_launch_is_refused(ec2: Any, parameters: dict[str, Any], code: str) -> None:
    request = {"ImageId": "ami-0abcdef1234567890", "MinCount": 1, "MaxCount": 1, **parameters}
    assert refusal(ec2.run_instances, **request) == code


# --- States -----------------------------------------------------------------------------------------------------------


def changed(answer: dict[str, Any], member: str) -> tuple[str, str]:
    (change,) = answer[member]
    return change["PreviousState"]["Name"], change["CurrentState"]["Name"]


def test_states_are_answered_on_the_way(cloud: RunningCloud, ec2: Any) -> None:
    ids = launched(cloud, at="2026-01-01T00:00:00Z")
    assert changed(ec2.start_instances(InstanceIds=ids), "StartingInstances") == ("running", "running")
    assert changed(ec2.stop_instances(InstanceIds=ids), "StoppingInstances") == ("running", "stopping")
    (stopped,) = described(ec2, InstanceIds=ids)
    assert (stopped["State"]["Code"], stopped["StateReason"]["Code"]) == (80, "Client.UserInitiatedShutdown")
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    assert changed(ec2.stop_instances(InstanceIds=ids), "StoppingInstances") == ("stopped", "stopped")
    assert changed(ec2.start_instances(InstanceIds=ids), "StartingInstances") == ("stopped", "pending")
    assert changed(ec2.terminate_instances(InstanceIds=ids), "TerminatingInstances") == ("running", "shutting-down")
    assert changed(ec2.terminate_instances(InstanceIds=ids), "TerminatingInstances") == ("terminated", "terminated")
    assert refusal(ec2.stop_instances, InstanceIds=ids) == "IncorrectInstanceState"
    assert refusal(ec2.start_instances, InstanceIds=ids) == "IncorrectInstanceState"


def test_start_renews_the_launch_time_and_nothing_else(cloud: RunningCloud, ec2: Any) -> None:
    ids, at = launched(cloud, at="2026-01-01T00:00:00Z", state="stopped"), datetime(2026, 1, 1, tzinfo=UTC)
    assert described(ec2, InstanceIds=ids)[0]["LaunchTime"] == at
    ec2.start_instances(InstanceIds=ids)
    (started,) = described(ec2, InstanceIds=ids)
    assert datetime.now(UTC) - started["LaunchTime"] < timedelta(minutes=1)
    assert started["NetworkInterfaces"][0]["Attachment"]["AttachTime"] == at
    assert started["BlockDeviceMappings"][0]["Ebs"]["AttachTime"] == at


def test_terminated_instance_has_left_its_network_and_keeps_its_tags(cloud: RunningCloud, ec2: Any) -> None:
    vpc_id = new_vpc_id()
    ids = launched(cloud, vpc_id=vpc_id, tags={"Name": "gone"})
    volume = described(ec2, InstanceIds=ids)[0]["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    ec2.terminate_instances(InstanceIds=ids)
    (gone,) = described(ec2, InstanceIds=ids)
    assert not {"VpcId", "SubnetId", "PrivateIpAddress"} & gone.keys()
    assert gone["NetworkInterfaces"] == gone["BlockDeviceMappings"] == []
    assert described(ec2, Filters=in_vpc(vpc_id)) == []
    ec2.create_tags(Resources=ids, Tags=[{"Key": "Late", "Value": "yes"}])
    assert tags_of(ec2, ids[0]) == {"Name": "gone", "Late": "yes"}
    assert refusal(ec2.create_tags, Resources=[volume], Tags=[{"Key": "a", "Value": ""}]) == "InvalidVolume.NotFound"


# --- Trying -----------------------------------------------------------------------------------------------------------


def test_dry_run_changes_nothing(cloud: RunningCloud, ec2: Any) -> None:
    vpc_id = new_vpc_id()
    ids = launched(cloud, vpc_id=vpc_id, tags={"Name": "web"})
    subnet = described(ec2, InstanceIds=ids)[0]["SubnetId"]
    tag = [{"Key": "Name", "Value": "web"}]
    attempts = [
        lambda: ec2.describe_instances(DryRun=True),
        lambda: ec2.run_instances(ImageId="ami-0abcdef1", MinCount=1, MaxCount=1, SubnetId=subnet, DryRun=True),
        lambda: ec2.stop_instances(InstanceIds=ids, DryRun=True),
        lambda: ec2.start_instances(InstanceIds=ids, DryRun=True),
        lambda: ec2.terminate_instances(InstanceIds=ids, DryRun=True),
        lambda: ec2.create_tags(Resources=ids, Tags=[{"Key": "New", "Value": ""}], DryRun=True),
        lambda: ec2.delete_tags(Resources=ids, Tags=tag, DryRun=True),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as tried:
            attempt()
        assert tried.value.response["Error"]["Code"] == "DryRunOperation"
        assert tried.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    (instance,) = described(ec2, Filters=in_vpc(vpc_id))
    assert (instance["State"]["Name"], instance["Tags"]) == ("running", tag)
