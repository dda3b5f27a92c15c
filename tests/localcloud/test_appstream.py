"""Contract of appstream.py and what it calls: fleets, stacks, associations and tags, in both protocols."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from portal.localcloud.standins.appstream_cbor import decode, encode
from tests.localcloud.appstream import CONTROL, ELASTIC, FLEET, Streams, call_in_cbor, call_in_json
from tests.localcloud.running_cloud import RunningCloud, wait_until
from tests.localcloud.workflows import code_of


@pytest.fixture
def streams(cloud: RunningCloud, name: str, region: str) -> Iterator[Streams]:
    yield Streams(cloud, name, region)
    cloud.control("DELETE", CONTROL)


def test_fleet_is_created_stopped(streams: Streams) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    created = streams.make_fleet(DisplayName="Apps", Description="x", Tags={"team": "a"})
    assert created == streams.fleet()
    assert began < created.pop("CreatedTime") < datetime.now(UTC) + timedelta(seconds=1)
    assert created == {
        "Arn": streams.arn("fleet"),
        "Name": streams.name,
        "DisplayName": "Apps",
        "Description": "x",
        "ImageName": "an-image",
        "InstanceType": "stream.standard.medium",
        "FleetType": "ALWAYS_ON",
        "ComputeCapacityStatus": {"Desired": 2, "Running": 0, "InUse": 0, "Available": 0},
        "MaxUserDurationInSeconds": 57600,
        "DisconnectTimeoutInSeconds": 900,
        "IdleDisconnectTimeoutInSeconds": 0,
        "EnableDefaultInternetAccess": False,
        "StreamView": "APP",
        "Platform": "WINDOWS",
        "State": "STOPPED",
        "FleetErrors": [],
    }


def test_fleet_starts_and_stops_at_once(streams: Streams) -> None:
    streams.make_fleet()
    streams.api.start_fleet(Name=streams.name)
    assert streams.fleet()["State"] == "RUNNING"
    assert code_of(lambda: streams.api.start_fleet(Name=streams.name)) == "OperationNotPermittedException"
    streams.api.stop_fleet(Name=streams.name)
    assert streams.fleet()["State"] == "STOPPED"
    streams.api.stop_fleet(Name=streams.name)


def test_fleet_takes_real_time_when_asked_to(streams: Streams) -> None:
    assert streams.control(fleet_start_seconds=0.4)["fleet_start_seconds"] == 0.4
    streams.make_fleet()
    began = time.monotonic()
    streams.api.start_fleet(Name=streams.name)
    assert streams.fleet()["State"] == "STARTING"
    assert code_of(lambda: streams.api.start_fleet(Name=streams.name)) == "OperationNotPermittedException"
    wait_until(lambda: streams.fleet()["State"] == "RUNNING")
    assert time.monotonic() - began >= 0.4
    streams.api.stop_fleet(Name=streams.name)
    assert streams.fleet()["State"] == "STOPPING"
    assert code_of(lambda: streams.api.delete_fleet(Name=streams.name)) == "ResourceInUseException"
    wait_until(lambda: streams.fleet()["State"] == "STOPPED")
    streams.api.delete_fleet(Name=streams.name)


def test_time_is_let_pass(streams: Streams) -> None:
    streams.control(fleet_start_seconds=600)
    streams.make_fleet()
    streams.api.start_fleet(Name=streams.name)
    streams.control(elapse_seconds=599)
    assert streams.fleet()["State"] == "STARTING"
    assert streams.control(elapse_seconds=2)["elapsed_seconds"] == 601
    assert streams.fleet()["State"] == "RUNNING"


def test_boto3s_waiters_wait(streams: Streams) -> None:
    streams.make_fleet()
    streams.api.start_fleet(Name=streams.name)
    streams.api.get_waiter("fleet_started").wait(Names=[streams.name], WaiterConfig={"MaxAttempts": 1})
    streams.api.stop_fleet(Name=streams.name)
    streams.api.get_waiter("fleet_stopped").wait(Names=[streams.name], WaiterConfig={"MaxAttempts": 1})


def test_fleet_is_changed(streams: Streams) -> None:
    streams.make_fleet()
    vpc = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    update = streams.api.update_fleet
    changed = update(
        Name=streams.name, InstanceType="stream.compute.large", VpcConfig=vpc, ImageArn=streams.arn("image", "other")
    )["Fleet"]
    assert changed == streams.fleet()
    assert (changed["InstanceType"], changed["VpcConfig"]) == ("stream.compute.large", vpc)
    assert "ImageName" not in changed
    kept = update(Name=streams.name, AttributesToDelete=["VPC_CONFIGURATION_SECURITY_GROUP_IDS"])["Fleet"]
    assert kept["VpcConfig"] == {"SubnetIds": ["subnet-1"]}
    assert "VpcConfig" not in update(Name=streams.name, DeleteVpcConfig=True)["Fleet"]
    streams.api.start_fleet(Name=streams.name)
    capacity = update(Name=streams.name, ComputeCapacity={"DesiredInstances": 5})["Fleet"]["ComputeCapacityStatus"]
    assert capacity == {"Desired": 5, "Running": 5, "InUse": 0, "Available": 5}
    update(Name=streams.name, DisplayName="Apps", DisconnectTimeoutInSeconds=60, IdleDisconnectTimeoutInSeconds=0)
    code = code_of(lambda: update(Name=streams.name, DisplayName="No", MaxUserDurationInSeconds=600))
    assert code == "ResourceInUseException"
    assert streams.fleet()["DisplayName"] == "Apps"


def test_update_leaves_a_whole_fleet(streams: Streams) -> None:
    streams.make_fleet()
    for changes, code in (
        ({"ComputeCapacity": {"DesiredSessions": 4}}, "InvalidParameterCombinationException"),
        ({"MaxConcurrentSessions": 4}, "InvalidParameterCombinationException"),
        ({"MaxUserDurationInSeconds": 599}, "ValidationException"),
        ({"ComputeCapacity": {"DesiredInstances": 101}}, "LimitExceededException"),
    ):
        request: dict[str, Any] = {"Name": streams.name, **changes}
        assert code_of(lambda request=request: streams.api.update_fleet(**request)) == code
    assert code_of(lambda: streams.api.update_fleet(DisplayName="x")) == "InvalidParameterCombinationException"
    sessions = {"ComputeCapacity": {"DesiredSessions": 4}, "MaxSessionsPerInstance": 3}
    capacity = streams.api.update_fleet(Name=streams.name, **sessions)["Fleet"]["ComputeCapacityStatus"]
    assert (capacity["Desired"], capacity["DesiredUserSessions"]) == (2, 6)


def test_elastic_fleet_has_sessions_and_no_instances(streams: Streams) -> None:
    created = streams.make_fleet(FleetType="ELASTIC")
    assert created["ComputeCapacityStatus"]["Desired"] == created["MaxConcurrentSessions"] == 2
    refused = {**ELASTIC, "Name": "other", "ComputeCapacity": {"DesiredInstances": 1}}
    assert code_of(lambda: streams.api.create_fleet(**refused)) == "InvalidParameterCombinationException"


def test_stack_is_created_changed_and_deleted(streams: Streams) -> None:
    connectors = [{"ConnectorType": "HOMEFOLDERS"}, {"ConnectorType": "ONE_DRIVE", "Domains": ["a.example"]}]
    created = streams.api.create_stack(
        Name=streams.name, EmbedHostDomains=["portal.localhost"], StorageConnectors=connectors, RedirectURL="https://a"
    )["Stack"]
    assert (created["Arn"], created["StackErrors"]) == (streams.arn("stack"), [])
    assert streams.api.describe_stacks(Names=[streams.name])["Stacks"] == [created]
    changed = streams.api.update_stack(
        Name=streams.name,
        DisplayName="Apps",
        AttributesToDelete=["STORAGE_CONNECTOR_ONE_DRIVE", "REDIRECT_URL", "EMBED_HOST_DOMAINS"],
    )["Stack"]
    assert changed.items() >= {"DisplayName": "Apps", "StorageConnectors": connectors[:1]}.items()
    assert not {"RedirectURL", "EmbedHostDomains"} & changed.keys()
    without = streams.api.update_stack(Name=streams.name, DeleteStorageConnectors=True)["Stack"]
    assert without["StorageConnectors"] == []
    streams.api.delete_stack(Name=streams.name)
    assert streams.api.describe_stacks()["Stacks"] == []


def test_name_is_taken_once(streams: Streams) -> None:
    streams.make()
    assert code_of(streams.make_fleet) == "ResourceAlreadyExistsException"
    assert code_of(lambda: streams.api.create_stack(Name=streams.name)) == "ResourceAlreadyExistsException"
    elsewhere = Streams(streams.cloud, streams.name, f"{streams.region}-2")
    elsewhere.make()
    assert elsewhere.fleet()["Arn"] == elsewhere.arn("fleet") != streams.arn("fleet")


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("describe_fleets", {"Names": ["none"]}),
        ("describe_stacks", {"Names": ["none"]}),
        ("update_fleet", {"Name": "none"}),
        ("update_stack", {"Name": "none"}),
        ("delete_fleet", {"Name": "none"}),
        ("delete_stack", {"Name": "none"}),
        ("start_fleet", {"Name": "none"}),
        ("stop_fleet", {"Name": "none"}),
        ("associate_fleet", {"FleetName": "none", "StackName": "none"}),
        ("disassociate_fleet", {"FleetName": "none", "StackName": "none"}),
        ("list_associated_fleets", {"StackName": "none"}),
        ("list_associated_stacks", {"FleetName": "none"}),
        ("list_tags_for_resource", {"ResourceArn": "arn:aws:appstream:eu-west-1:123456789012:fleet/none"}),
    ],
)
def test_what_is_not_there_is_not_found(streams: Streams, action: str, request_: dict[str, Any]) -> None:
    assert code_of(lambda: getattr(streams.api, action)(**request_)) == "ResourceNotFoundException"


def test_one_name_that_is_not_there_is_enough(streams: Streams) -> None:
    streams.make_fleet()
    names = [streams.name, "none"]
    assert code_of(lambda: streams.api.describe_fleets(Names=names)) == "ResourceNotFoundException"


def test_stack_has_one_fleet_and_a_fleet_several_stacks(streams: Streams) -> None:
    one, two = f"{streams.name}-1", f"{streams.name}-2"
    for name in (one, two):
        streams.make_fleet(name)
        streams.api.create_stack(Name=name)
    associate = streams.api.associate_fleet
    for stack in (two, one):
        associate(FleetName=one, StackName=stack)
        associate(FleetName=one, StackName=stack)
    assert code_of(lambda: associate(FleetName=two, StackName=one)) == "OperationNotPermittedException"
    assert streams.api.list_associated_stacks(FleetName=one)["Names"] == [one, two]
    assert streams.api.list_associated_fleets(StackName=two)["Names"] == [one]
    assert streams.api.list_associated_stacks(FleetName=two)["Names"] == []
    assert code_of(lambda: streams.api.delete_fleet(Name=one)) == "ResourceInUseException"
    assert code_of(lambda: streams.api.delete_stack(Name=one)) == "ResourceInUseException"
    for stack in (one, two):
        streams.api.disassociate_fleet(FleetName=one, StackName=stack)
    code = code_of(lambda: streams.api.disassociate_fleet(FleetName=one, StackName=one))
    assert code == "ResourceNotFoundException"
    streams.api.delete_fleet(Name=one)
    streams.api.delete_stack(Name=one)


def test_fleet_that_runs_is_not_deleted(streams: Streams) -> None:
    streams.make_fleet()
    streams.api.start_fleet(Name=streams.name)
    assert code_of(lambda: streams.api.delete_fleet(Name=streams.name)) == "ResourceInUseException"


def test_lists_have_pages_whose_tokens_are_theirs(streams: Streams) -> None:
    names = [f"s{number:03}" for number in range(60)]
    for name in reversed(names):
        streams.api.create_stack(Name=name)
    first = streams.api.describe_stacks()
    assert len(first["Stacks"]) == 50
    second = streams.api.describe_stacks(NextToken=first["NextToken"])
    assert "NextToken" not in second
    assert [one["Name"] for one in [*first["Stacks"], *second["Stacks"]]] == names
    for call in (
        lambda: streams.api.describe_fleets(NextToken=first["NextToken"]),
        lambda: streams.api.describe_stacks(NextToken=first["NextToken"][:-4] + "AAAA"),
        lambda: streams.api.describe_stacks(NextToken="x"),
    ):
        assert code_of(call) == "InvalidParameterCombinationException"


def test_account_has_its_quotas(streams: Streams) -> None:
    assert code_of(lambda: streams.make_fleet(ComputeCapacity={"DesiredInstances": 101})) == "LimitExceededException"
    for number in range(100):
        streams.api.create_stack(Name=f"s{number}")
    assert code_of(lambda: streams.api.create_stack(Name="one-more")) == "LimitExceededException"


def test_resources_have_tags(streams: Streams) -> None:
    streams.make_fleet(Tags={"a": "1"})
    arn = streams.arn("fleet")
    tag = streams.api.tag_resource
    tag(ResourceArn=arn, Tags={"a": "2", "b": ""})
    assert streams.api.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"a": "2", "b": ""}
    streams.api.untag_resource(ResourceArn=arn, TagKeys=["a", "c"])
    assert streams.api.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"b": ""}
    tag(ResourceArn=arn, Tags={str(number): "" for number in range(49)})
    assert code_of(lambda: tag(ResourceArn=arn, Tags={"x": ""})) == "LimitExceededException"


def test_json_says_the_same(streams: Streams) -> None:
    """The AWS CLI's protocol has its own times and errors."""
    streams.make_fleet()
    status, answer, headers = call_in_json(
        streams.cloud, "DescribeFleets", {"Names": [streams.name]}, region=streams.region
    )
    assert (status, headers["Content-Type"]) == (200, "application/x-amz-json-1.1")
    (fleet,) = answer["Fleets"]
    in_cbor = streams.fleet()
    assert math.isclose(fleet.pop("CreatedTime"), in_cbor.pop("CreatedTime").timestamp(), abs_tol=0.001)
    assert fleet == in_cbor
    status, answer, _headers = call_in_json(streams.cloud, "DescribeFleets", {"Names": ["x"]}, region=streams.region)
    assert (status, answer["__type"]) == (404, "ResourceNotFoundException")
    assert answer["Message"] == "The fleet x was not found"
    status, answer, _headers = call_in_json(streams.cloud, "CreateFleet", {**FLEET, "Name": "-"})
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert answer["message"].startswith("1 validation error detected: Value '-' at 'name'")
    for body in (b"{", b"[]", b'"x"', b"\xff", {"Names": "x"}):
        status, answer, _headers = call_in_json(streams.cloud, "DescribeFleets", body)
        assert (status, answer["__type"]) == (400, "SerializationException")


def test_operation_that_is_not_there_says_so(streams: Streams) -> None:
    assert code_of(streams.api.describe_images) == "UnknownOperationException"
    status, answer, _headers = call_in_json(streams.cloud, "DoWhatever", {})
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    status, content, headers = call_in_cbor(streams.cloud, "DescribeImages", encode({}))
    assert (status, headers["smithy-protocol"]) == (400, "rpc-v2-cbor")
    assert decode(content)["message"] == "The local cloud's AppStream has no DescribeImages"
    for path in ("/service/Other/operation/DescribeFleets", "/service/PhotonAdminProxyService/DescribeFleets"):
        status, content, _headers = call_in_cbor(streams.cloud, "", encode({}), path=path)
        assert (status, decode(content)["__type"]) == (400, "com.amazonaws.appstream#UnknownOperationException")


def test_cbor_is_read_however_it_is_written(streams: Streams) -> None:
    streams.make_fleet()
    name = encode("Names") + b"\x9f" + encode(streams.name) + b"\xff"
    status, content, _headers = call_in_cbor(
        streams.cloud, "DescribeFleets", b"\xbf" + name + b"\xff", region=streams.region
    )
    assert (status, decode(content)["Fleets"][0]["Name"]) == (200, streams.name)
    status, content, _headers = call_in_cbor(streams.cloud, "DescribeFleets", b"", region=streams.region)
    assert status == 200
    for malformed in (b"\x61", b"\x80", encode({"Names": "x"})):
        status, content, _headers = call_in_cbor(streams.cloud, "DescribeFleets", malformed)
        assert (status, decode(content)["__type"]) == (400, "com.amazonaws.appstream#SerializationException")


@pytest.fixture
def faults(cloud: RunningCloud) -> Iterator[RunningCloud]:
    cloud.control("DELETE", "/_portico/calls")
    yield cloud
    cloud.control("DELETE", "/_portico/faults")


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ({"kind": "throttle"}, "ThrottlingException", 400),
        ({"kind": "error"}, "InternalServerError", 500),
        ({"kind": "error", "code": "ResourceNotAvailableException"}, "ResourceNotAvailableException", 400),
    ],
)
def test_faults_are_errors_in_both_protocols(
    faults: RunningCloud, streams: Streams, fault: dict[str, str], code: str, status: int
) -> None:
    faults.control("POST", "/_portico/faults", {"service": "appstream", "action": "DescribeFleets", **fault})
    with pytest.raises(streams.api.exceptions.ClientError) as failed:
        streams.api.describe_fleets()
    assert failed.value.response["Error"]["Code"] == code
    assert failed.value.response["Error"]["Message"]
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    answered, answer, _headers = call_in_json(streams.cloud, "DescribeFleets", {}, region=streams.region)
    assert (answered, answer["__type"]) == (status, code)
    calls = faults.control("GET", "/_portico/calls")["services"]
    assert calls == {"appstream": {"DescribeFleets": 2}}


def test_lost_reply_was_carried_out(faults: RunningCloud, streams: Streams) -> None:
    fault = {"service": "appstream", "action": "CreateStack", "kind": "lost_reply", "times": 1}
    faults.control("POST", "/_portico/faults", fault)
    with pytest.raises(ConnectionClosedError):
        streams.api.create_stack(Name=streams.name)
    assert code_of(lambda: streams.api.create_stack(Name=streams.name)) == "ResourceAlreadyExistsException"


@pytest.mark.parametrize(
    "content",
    [[], {"fleet_start_seconds": "x"}, {"elapse_seconds": -1}, {"elapse_seconds": 1e12}, {"other": 1}, {"x": None}],
)
def test_control_takes_seconds_only(cloud: RunningCloud, content: Any) -> None:
    before = cloud.control("GET", CONTROL)
    with pytest.raises(OSError, match="400"):
        cloud.control("POST", CONTROL, content)
    assert cloud.control("GET", CONTROL) == before


def test_all_is_forgotten_on_request(streams: Streams) -> None:
    streams.make()
    streams.url()
    streams.control(fleet_start_seconds=5, session_start_seconds=5, elapse_seconds=5)
    left = streams.cloud.control("DELETE", CONTROL)
    assert streams.name not in left.pop("fleets")
    assert set(left.values()) == {0}
    assert streams.api.describe_fleets()["Fleets"] == streams.api.describe_stacks()["Stacks"] == []
