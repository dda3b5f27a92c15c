"""What portal/localcloud/sample_fleet.py puts into a new local cloud."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from portal.localcloud import sample_fleet
from portal.localcloud.cloud import Cloud, free_port


@pytest.fixture
def new_cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(port=free_port(), folder=tmp_path, keep=False)
    cloud.start()
    yield cloud
    cloud.stop()


def events_of(cloud: Cloud) -> list[dict[str, Any]]:
    request = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "RunInstances"}]}
    answer = cloud.client("cloudtrail").lookup_events(**request)
    events: list[dict[str, Any]] = answer["Events"]
    return events


def test_fleet_is_tagged_as_badly_as_fleets_are(new_cloud: Cloud) -> None:
    sample_fleet.load(new_cloud)
    ec2 = new_cloud.client("ec2")
    instances = [one for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]]
    assert len(instances) == 48
    tags = [{tag["Key"]: tag["Value"] for tag in one.get("Tags", [])} for one in instances]
    assert 0.35 < sum("ProjectCode" not in one for one in tags) / 48 < 0.45
    assert 0.25 < sum("CreatedBy" not in one for one in tags) / 48 < 0.35
    assert tags.count({}) == 3
    assert max(map(len, tags)) == 50
    assert [one["Name"] for one in tags if one.get("ProjectCode") == ""] == ["reports-1"]
    values = [value for one in tags for value in one.values()]
    assert any(value.startswith("<script>") for value in values)
    assert any(value.startswith("=") for value in values)
    names = {vpc["VpcId"]: vpc["Tags"][0]["Value"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc.get("Tags")}
    assert Counter(names[one["VpcId"]] for one in instances).keys() == {"production", "staging"}
    assert Counter(one["State"]["Name"] for one in instances) == {"running": 45, "stopped": 3}


def test_launches_have_their_events(new_cloud: Cloud) -> None:
    sample_fleet.load(new_cloud)
    events = events_of(new_cloud)
    assert Counter(one["Username"] for one in events).keys() == {
        "rider",
        "author@example.com",
        "approver",
        "AutoScaling",
        "FleetManager",
        "root",
    }
    assert len(events) == 46
    ages = [datetime.now(UTC) - one["EventTime"] for one in events]
    assert timedelta(days=55) < max(ages) < timedelta(days=60)
    instances = new_cloud.client("ec2").describe_instances()["Reservations"]
    launched_at = {one["InstanceId"]: one["LaunchTime"] for group in instances for one in group["Instances"]}
    for event in events:
        (instance,) = [one["ResourceName"] for one in event["Resources"] if one["ResourceType"] == "AWS::EC2::Instance"]
        assert launched_at.pop(instance) == event["EventTime"]
    assert all(at < datetime.now(UTC) - timedelta(days=90) for at in launched_at.values())


def test_fleet_is_loaded_once(new_cloud: Cloud) -> None:
    sample_fleet.load(new_cloud)
    ec2 = new_cloud.client("ec2")
    ids = {one["InstanceId"] for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]}
    ec2.terminate_instances(InstanceIds=[min(ids)])
    sample_fleet.load(new_cloud)
    again = {one["InstanceId"] for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]}
    assert again == ids
