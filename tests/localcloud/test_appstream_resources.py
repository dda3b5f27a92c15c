"""Contract of appstream_resources.py: CloudFormation's stacks, fleets and associations."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.localcloud.appstream import CONTROL, Streams, fetch
from tests.localcloud.running_cloud import RunningCloud, wait_until

FLEET: dict[str, Any] = {
    "FleetType": "ON_DEMAND",
    "InstanceType": "stream.standard.small",
    "ImageName": "an-image",
    "ComputeCapacity": {"DesiredInstances": "2"},
    "EnableDefaultInternetAccess": "true",
}


def template(name: str, *, policy: Any = None, stack: Any = None, **properties: Any) -> str:
    fleet = {name: one for name, one in {**FLEET, **properties}.items() if one is not None}
    tags = [{"Key": "team", "Value": "a"}]
    resources = {
        "Stack": {
            "Type": "AWS::AppStream::Stack",
            "Properties": {"Name": name, "EmbedHostDomains": ["portal.localhost"], "Tags": tags, **(stack or {})},
        },
        "Fleet": {
            "Type": "AWS::AppStream::Fleet",
            "Properties": {"Name": name, "Tags": tags, **fleet},
            **({"CreationPolicy": policy} if policy else {}),
        },
        "Association": {
            "Type": "AWS::AppStream::StackFleetAssociation",
            "Properties": {"FleetName": {"Ref": "Fleet"}, "StackName": {"Ref": "Stack"}},
        },
    }
    outputs = {one: {"Value": {"Ref": one}} for one in resources}
    return json.dumps({"Resources": resources, "Outputs": outputs})


class Deployed(Streams):
    """A stack of CloudFormation's of the test's name, with an AppStream stack and fleet of this name, too."""

    @property
    def stacks(self) -> Any:
        return self.cloud.client("cloudformation", region=self.region)

    def status(self) -> str:
        def done() -> str:
            status = self.stacks.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
            return "" if status.endswith("PROGRESS") else str(status)

        return str(wait_until(done))

    def reasons(self) -> str:
        events = self.stacks.describe_stack_events(StackName=self.name)["StackEvents"]
        return "\n".join(one.get("ResourceStatusReason", "") for one in events)

    def create(self, **changes: Any) -> str:
        self.stacks.create_stack(StackName=self.name, TemplateBody=template(self.name, **changes))
        return self.status()

    def change(self, **changes: Any) -> str:
        self.stacks.update_stack(StackName=self.name, TemplateBody=template(self.name, **changes))
        return self.status()

    def outputs(self) -> dict[str, str]:
        (stack,) = self.stacks.describe_stacks(StackName=self.name)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


@pytest.fixture
def deployed(cloud: RunningCloud, name: str, region: str) -> Iterator[Deployed]:
    deployed = Deployed(cloud, name, region)
    yield deployed
    deployed.stacks.delete_stack(StackName=name)
    cloud.control("DELETE", CONTROL)


def test_template_makes_a_stack_a_fleet_that_is_stopped_and_their_association(deployed: Deployed) -> None:
    assert deployed.create() == "CREATE_COMPLETE"
    name = deployed.name
    assert deployed.outputs() == {"Stack": name, "Fleet": name, "Association": f"{name}|{name}"}
    fleet = deployed.fleet()
    assert (fleet["State"], fleet["FleetType"], fleet["EnableDefaultInternetAccess"]) == ("STOPPED", "ON_DEMAND", True)
    assert fleet["ComputeCapacityStatus"]["Desired"] == 2
    assert deployed.api.list_associated_fleets(StackName=name)["Names"] == [name]
    for kind in ("fleet", "stack"):
        tags = deployed.api.list_tags_for_resource(ResourceArn=deployed.arn(kind))["Tags"]
        assert tags.items() >= {"team": "a", "aws:cloudformation:stack-name": name}.items()


def test_fleet_is_started_when_its_creation_policy_says_so(deployed: Deployed) -> None:
    assert deployed.create(policy={"StartFleet": True}) == "CREATE_COMPLETE"
    assert deployed.fleet()["State"] == "RUNNING"


def test_template_changes_what_it_made(deployed: Deployed) -> None:
    deployed.create(DisplayName="Old", VpcConfig={"SubnetIds": ["subnet-1"]}, stack={"RedirectURL": "https://a"})
    created = deployed.fleet()["CreatedTime"]
    changes: dict[str, Any] = {"ComputeCapacity": {"DesiredInstances": 3}, "DisplayName": "New"}
    assert deployed.change(**changes, stack={"EmbedHostDomains": ["apps.example"]}) == "UPDATE_COMPLETE"
    fleet = deployed.fleet()
    assert (fleet["DisplayName"], fleet["ComputeCapacityStatus"]["Desired"]) == ("New", 3)
    assert fleet["CreatedTime"] == created
    assert "VpcConfig" not in fleet
    (stack,) = deployed.api.describe_stacks(Names=[deployed.name])["Stacks"]
    assert stack["EmbedHostDomains"] == ["apps.example"]
    assert "RedirectURL" not in stack


def test_fleet_that_runs_is_not_changed_in_everything(deployed: Deployed) -> None:
    deployed.create()
    deployed.api.start_fleet(Name=deployed.name)
    assert deployed.change(ComputeCapacity={"DesiredInstances": 1}) == "UPDATE_COMPLETE"
    assert deployed.change(InstanceType="stream.standard.large") == "UPDATE_ROLLBACK_COMPLETE"
    assert "The fleet must be stopped to complete this action." in deployed.reasons()
    assert deployed.fleet()["InstanceType"] == "stream.standard.small"


def test_new_names_are_new_resources(deployed: Deployed) -> None:
    deployed.create()
    other = f"{deployed.name}-2"
    deployed.stacks.update_stack(StackName=deployed.name, TemplateBody=template(other))
    assert deployed.status() == "UPDATE_COMPLETE"
    assert [one["Name"] for one in deployed.api.describe_fleets()["Fleets"]] == [other]
    assert [one["Name"] for one in deployed.api.describe_stacks()["Stacks"]] == [other]
    assert deployed.api.list_associated_fleets(StackName=other)["Names"] == [other]
    assert deployed.outputs()["Association"] == f"{other}|{other}"


def test_stack_is_deleted_with_all_it_made_even_while_somebody_streams(deployed: Deployed) -> None:
    deployed.create()
    deployed.control(fleet_start_seconds=100)
    deployed.api.start_fleet(Name=deployed.name)
    deployed.control(elapse_seconds=100)
    assert fetch(deployed.url()).status == 200
    deployed.stacks.delete_stack(StackName=deployed.name)
    wait_until(lambda: not deployed.api.describe_stacks()["Stacks"])
    wait_until(lambda: not deployed.api.describe_fleets()["Fleets"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Instances": 1}, "#: extraneous key [Instances] is not permitted"),
        ({"ComputeCapacity": {"Desired": 1}}, "#/ComputeCapacity: extraneous key [Desired] is not permitted"),
        ({"stack": {"EmbedHostDomains": ["localhost"]}}, "failed to satisfy constraint"),
        ({"FleetType": "BIG"}, "Member must satisfy enum value set"),
        ({"ComputeCapacity": {"DesiredInstances": "many"}}, "SerializationException"),
        ({"ComputeCapacity": None}, "InvalidParameterCombinationException"),
        ({"InstanceType": None}, "Value null at 'instanceType'"),
        ({"MaxUserDurationInSeconds": 599}, "MaxUserDurationInSeconds must be between 600 and 432000"),
    ],
)
def test_wrong_properties_fail_the_stack_with_the_reason(deployed: Deployed, changes: Any, reason: str) -> None:
    assert deployed.create(**changes) in ("ROLLBACK_COMPLETE", "CREATE_FAILED")
    assert reason in deployed.reasons()
    assert deployed.api.describe_fleets()["Fleets"] == deployed.api.describe_stacks()["Stacks"] == []


def test_tests_between_each_other_leave_what_the_template_made(deployed: Deployed) -> None:
    deployed.create()
    deployed.api.start_fleet(Name=deployed.name)
    fetch(deployed.url())
    deployed.api.update_fleet(Name=deployed.name, ComputeCapacity={"DesiredInstances": 9}, DisplayName="x")
    deployed.make_fleet("another")
    deployed.cloud.control("DELETE", CONTROL)
    (fleet,) = deployed.api.describe_fleets()["Fleets"]
    assert (fleet["State"], fleet["ComputeCapacityStatus"]["Desired"]) == ("STOPPED", 2)
    assert "DisplayName" not in fleet
    assert deployed.sessions() == []
    deployed.api.disassociate_fleet(FleetName=deployed.name, StackName=deployed.name)
    deployed.api.delete_fleet(Name=deployed.name)
    deployed.cloud.control("DELETE", CONTROL)
    assert deployed.api.list_associated_fleets(StackName=deployed.name)["Names"] == [deployed.name]
    deployed.stacks.delete_stack(StackName=deployed.name)
    wait_until(lambda: not deployed.api.describe_fleets()["Fleets"])
    deployed.cloud.control("DELETE", CONTROL)
    assert deployed.api.describe_fleets()["Fleets"] == []
