"""Contract of portal/localcloud/standins/ec2_tags.py."""

from typing import Any

import pytest

from tests.localcloud.fleet import described, launched, refusal, tags_of
from tests.localcloud.running_cloud import RunningCloud


@pytest.fixture
def ec2(cloud: RunningCloud) -> Any:
    return cloud.client("ec2")


@pytest.fixture
def instance(cloud: RunningCloud) -> str:
    return launched(cloud, tags={"Name": "web", "Team": "rides"})[0]


def tag(key: str, value: str = "") -> dict[str, str]:
    return {"Key": key, "Value": value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("<Name>", '<script>alert("1")</script> & co.'),
        ("k" * 128, "v" * 256),
        ("🦄" * 128, "🦄" * 256),
        ("formula", '=HYPERLINK("http://x")'),
        ("spaces", "  two  \tand\r\nlines "),
        ("empty", ""),
        ("a.b/c:d=e+f-g@h", "%26+%20&amp;"),
    ],
)
def test_tag_survives_the_round_trip(ec2: Any, instance: str, key: str, value: str) -> None:
    ec2.create_tags(Resources=[instance], Tags=[tag(key, value)])
    assert tags_of(ec2, instance)[key] == value
    ec2.delete_tags(Resources=[instance], Tags=[tag(key, value)])
    assert key not in tags_of(ec2, instance)


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([tag("k" * 129)], "InvalidParameterValue"),
        ([tag("k", "v" * 257)], "InvalidParameterValue"),
        ([tag("aws:x")], "InvalidParameterValue"),
        ([tag("AwS:x")], "InvalidParameterValue"),
        ([tag("k", "1"), tag("k", "2")], "InvalidParameterValue"),
        ([tag("")], "InvalidParameterValue"),
        ([tag("k", "\x01")], "InvalidParameterValue"),
        ([], "MissingParameter"),
        ([tag(f"k{number}") for number in range(49)], "TagLimitExceeded"),
    ],
)
def test_tag_outside_the_limits_is_refused_whole(
    ec2: Any, instance: str, tags: list[dict[str, str]], code: str
) -> None:
    assert refusal(ec2.create_tags, Resources=[instance], Tags=tags) == code
    assert tags_of(ec2, instance) == {"Name": "web", "Team": "rides"}


def test_keys_differ_by_case(ec2: Any, instance: str) -> None:
    ec2.create_tags(Resources=[instance], Tags=[tag("name", "other")])
    assert tags_of(ec2, instance) == {"Name": "web", "Team": "rides", "name": "other"}


def test_50_tags_fit_beside_those_of_aws(cloud: RunningCloud, ec2: Any) -> None:
    (scaled,) = launched(cloud, tags={"aws:autoscaling:groupName": "web"})
    ec2.create_tags(Resources=[scaled], Tags=[tag(f"k{number}") for number in range(50)])
    assert len(tags_of(ec2, scaled)) == 51
    ec2.create_tags(Resources=[scaled], Tags=[tag("k1", "again")])
    assert refusal(ec2.create_tags, Resources=[scaled], Tags=[tag("one more")]) == "TagLimitExceeded"
    ec2.delete_tags(Resources=[scaled])
    assert tags_of(ec2, scaled) == {"aws:autoscaling:groupName": "web"}
    assert refusal(ec2.delete_tags, Resources=[scaled], Tags=[{"Key": "aws:autoscaling:groupName"}]) == (
        "InvalidParameterValue"
    )


def test_one_full_instance_keeps_the_others_untagged(cloud: RunningCloud, ec2: Any, instance: str) -> None:
    (full,) = launched(cloud, tags={f"k{number}": "" for number in range(50)})
    assert refusal(ec2.create_tags, Resources=[instance, full], Tags=[tag("new")]) == "TagLimitExceeded"
    assert tags_of(ec2, instance) == {"Name": "web", "Team": "rides"}


@pytest.mark.parametrize(
    ("unknown", "code"),
    [
        ("i-0000000000000dead", "InvalidInstanceID.NotFound"),
        ("i-banana", "InvalidInstanceID.Malformed"),
        ("vol-0000000000000dead", "InvalidVolume.NotFound"),
        ("vpc-0000000000000dead", "InvalidVpcID.NotFound"),
        ("banana", "InvalidID"),
    ],
)
def test_unknown_resource_keeps_the_others_as_they_are(ec2: Any, instance: str, unknown: str, code: str) -> None:
    assert refusal(ec2.create_tags, Resources=[instance, unknown], Tags=[tag("new")]) == code
    assert refusal(ec2.delete_tags, Resources=[instance, unknown], Tags=[{"Key": "Name"}]) == code
    assert tags_of(ec2, instance) == {"Name": "web", "Team": "rides"}


def test_1000_resources_are_tagged_in_one_call(cloud: RunningCloud, ec2: Any) -> None:
    ids = launched(cloud, 1001, at="2026-01-01T00:00:00Z")
    assert refusal(ec2.create_tags, Resources=ids, Tags=[tag("a", "b")]) == "InvalidParameterValue"
    ec2.create_tags(Resources=ids[:1000], Tags=[tag("a", "b")])
    counts = [len(one.get("Tags", [])) for one in described(ec2, InstanceIds=ids)]
    assert sum(counts) == 1000


@pytest.mark.parametrize(
    ("given", "is_deleted"),
    [
        ({"Key": "Name"}, True),
        ({"Key": "Name", "Value": "web"}, True),
        ({"Key": "Name", "Value": "other"}, False),
        ({"Key": "Name", "Value": ""}, False),
        ({"Key": "name"}, False),
        ({"Key": "Absent"}, False),
    ],
)
def test_tag_is_deleted_if_a_given_value_is_its_own(
    ec2: Any, instance: str, given: dict[str, str], is_deleted: bool
) -> None:
    ec2.delete_tags(Resources=[instance], Tags=[given])
    assert ("Name" not in tags_of(ec2, instance)) == is_deleted


def test_empty_value_deletes_only_an_empty_tag(ec2: Any, instance: str) -> None:
    ec2.create_tags(Resources=[instance], Tags=[tag("Name", "")])
    ec2.delete_tags(Resources=[instance], Tags=[tag("Name", "")])
    assert tags_of(ec2, instance) == {"Team": "rides"}


def test_vpc_takes_tags(ec2: Any) -> None:
    vpc_id = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc_id], Tags=[tag("Name", "production")])
    (vpc,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    assert vpc["Tags"] == [tag("Name", "production")]
