"""Contract of appstream_validation.py, appstream_patterns.py and appstream_rules.py: what a call may say."""

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.localcloud.standins.appstream_errors import Refused
from portal.localcloud.standins.appstream_fleets import DEFAULTS
from portal.localcloud.standins.appstream_patterns import matches
from portal.localcloud.standins.appstream_rules import check_fleet, check_fleet_change, check_ranges
from portal.localcloud.standins.appstream_validation import service_model, status_of, validated
from tests.localcloud.appstream import ELASTIC, FLEET

URL = {"StackName": "s", "FleetName": "f", "UserId": "ada"}
ARN = "arn:aws:appstream:eu-west-1:123456789012:fleet/f"


def refusal(action: str, parameters: dict[str, Any]) -> tuple[str, str]:
    """Return the error's name and message of a call, or nothing of one that is valid."""
    try:
        validated(action, parameters)
    except Refused as refused:
        return refused.code, refused.message
    return "", ""


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("CreateFleet", {"Name": "a" + "b" * 100, **FLEET}),
        ("CreateFleet", {"Name": "0._-", **FLEET}),
        ("CreateFleet", {"Name": "f", **FLEET, "Description": "", "DisplayName": "ü" * 100}),
        ("CreateFleet", {"Name": "f", **FLEET, "Description": None}),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {"Kosten stelle": "", "a:b/c=d+e-f@g": "ÄÖ水 1"}}),
        ("CreateFleet", {"Name": "f", **FLEET, "UsbDeviceFilterStrings": ["a b,c,*d,*e,*1,*2,0,1"]}),
        ("CreateStack", {"Name": "s", "EmbedHostDomains": ["testorigin.tt--com", "portal.localhost", "test.com.us"]}),
        ("CreateStack", {"Name": "s", "UserSettings": [{"Action": "FILE_UPLOAD", "Permission": "ENABLED"}]}),
        ("CreateStreamingURL", {**URL, "UserId": "a+b=c,d.e@f-g_1"}),
        ("CreateStreamingURL", {**URL, "UserId": "x" * 32}),
        ("CreateStreamingURL", {**URL, "Validity": 2**40}),
        ("DescribeSessions", {"StackName": "s", "FleetName": "f", "UserId": "ü " * 64}),
        ("TagResource", {"ResourceArn": ARN, "Tags": {"xaws:a": "b"}}),
        ("DescribeFleets", {"SomethingNew": 1}),
    ],
)  # fmt: skip
def test_accepts(action: str, parameters: dict[str, Any]) -> None:
    assert refusal(action, parameters) == ("", "")


@pytest.mark.parametrize(
    ("action", "parameters", "at", "constraint"),
    [
        ("CreateFleet", {"InstanceType": "x"}, "name", "Member must not be null"),
        ("CreateFleet", {"Name": None, "InstanceType": "x"}, "name", "Member must not be null"),
        ("CreateFleet", {"Name": "", **FLEET}, "name", "regular expression pattern"),
        ("CreateFleet", {"Name": "a" * 102, **FLEET}, "name", "regular expression pattern"),
        ("CreateFleet", {"Name": "f\n", **FLEET}, "name", "regular expression pattern"),
        ("CreateFleet", {"Name": "-f", **FLEET}, "name", "regular expression pattern"),
        ("CreateFleet", {"Name": "fé", **FLEET}, "name", "regular expression pattern"),
        ("CreateFleet", {"Name": "f", **FLEET, "InstanceType": ""}, "instanceType", "greater than or equal to 1"),
        ("CreateFleet", {"Name": "f", **FLEET, "Description": "x" * 257}, "description", "less than or equal to 256"),
        ("CreateFleet", {"Name": "f", **FLEET, "DisplayName": "x" * 101}, "displayName", "less than or equal to 100"),
        ("CreateFleet", {"Name": "f", **FLEET, "FleetType": "BIG"}, "fleetType", "[ALWAYS_ON, ON_DEMAND, ELASTIC]"),
        ("CreateFleet", {"Name": "f", **FLEET, "StreamView": "app"}, "streamView", "[APP, DESKTOP]"),
        ("CreateFleet", {"Name": "f", **FLEET, "IamRoleArn": "role"}, "iamRoleArn", "regular expression pattern"),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {}}, "tags", "greater than or equal to 1"),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {"aws:a": "b"}}, "tags", "Map keys"),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {"a!": "b"}}, "tags", "Map keys"),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {"": "b"}}, "tags", "Map keys"),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {"a": "<b>"}}, "tags", "Map values"),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {"a": "x" * 257}}, "tags", "Map values"),
        ("CreateFleet", {"Name": "f", **FLEET, "Tags": {str(n): "" for n in range(51)}}, "tags", "equal to 50"),
        ("CreateFleet", {"Name": "f", **FLEET, "VpcConfig": {"SecurityGroupIds": ["x"] * 6}},
         "vpcConfig.securityGroupIds", "less than or equal to 5"),
        ("CreateFleet", {"Name": "f", **FLEET, "VpcConfig": {"SubnetIds": ["x", ""]}},
         "vpcConfig.subnetIds.2.member", "greater than or equal to 1"),
        ("CreateFleet", {"Name": "f", **FLEET, "SessionScriptS3Location": {}},
         "sessionScriptS3Location.s3Bucket", "must not be null"),
        ("CreateStack", {"Name": "s", "EmbedHostDomains": []}, "embedHostDomains", "greater than or equal to 1"),
        ("CreateStack", {"Name": "s", "EmbedHostDomains": ["a.example"] * 21}, "embedHostDomains", "equal to 20"),
        ("CreateStack", {"Name": "s", "EmbedHostDomains": ["test,com"]}, "embedHostDomains.1.member", "pattern"),
        ("CreateStack", {"Name": "s", "EmbedHostDomains": ["127.0.0.1"]}, "embedHostDomains.1.member", "pattern"),
        ("CreateStack", {"Name": "s", "EmbedHostDomains": ["localhost"]}, "embedHostDomains.1.member", "pattern"),
        ("CreateStack", {"Name": "s", "EmbedHostDomains": ["a.example; script-src *"]}, "embedHostDomains.1.member",
         "pattern"),
        ("CreateStack", {"Name": "s", "UserSettings": [{"Action": "FILE_UPLOAD"}]}, "userSettings.1.member.permission",
         "must not be null"),
        ("CreateStreamingURL", {**URL, "UserId": "a"}, "userId", "greater than or equal to 2"),
        ("CreateStreamingURL", {**URL, "UserId": "x" * 33}, "userId", "less than or equal to 32"),
        ("CreateStreamingURL", {**URL, "UserId": "a b"}, "userId", "regular expression pattern"),
        ("CreateStreamingURL", {**URL, "UserId": "jürgen"}, "userId", "regular expression pattern"),
        ("CreateStreamingURL", {**URL, "UserId": "a:b"}, "userId", "regular expression pattern"),
        ("CreateStreamingURL", {**URL, "SessionContext": ""}, "sessionContext", "greater than or equal to 1"),
        ("DescribeSessions", {"StackName": "s", "FleetName": "f", "UserId": "x" * 129}, "userId", "equal to 128"),
        ("DescribeSessions", {"StackName": "s", "FleetName": "f", "AuthenticationType": "MINE"}, "authenticationType",
         "[API, SAML, USERPOOL, AWS_AD]"),
        ("ExpireSession", {}, "sessionId", "must not be null"),
        ("UntagResource", {"ResourceArn": ARN, "TagKeys": []}, "tagKeys", "greater than or equal to 1"),
        ("ListTagsForResource", {"ResourceArn": "fleet/f"}, "resourceArn", "regular expression pattern"),
    ],
)  # fmt: skip
def test_refuses(action: str, parameters: dict[str, Any], at: str, constraint: str) -> None:
    code, message = refusal(action, parameters)
    assert code == "ValidationException"
    assert re.search(r"^\d+ validation errors? detected: ", message)
    assert f" at '{at}' failed to satisfy constraint: " in message
    assert constraint in message


def test_says_all_that_is_wrong() -> None:
    code, message = refusal("CreateStreamingURL", {"UserId": "a:"})
    assert code == "ValidationException"
    assert message.startswith("3 validation errors detected: Value null at 'stackName' failed")


@pytest.mark.parametrize(
    "parameters",
    [
        {"Name": 5},
        {"Name": ["f"]},
        {"Name": "f", "InstanceType": "x", "MaxUserDurationInSeconds": "600"},
        {"Name": "f", "InstanceType": "x", "MaxUserDurationInSeconds": True},
        {"Name": "f", "InstanceType": "x", "MaxUserDurationInSeconds": 600.5},
        {"Name": "f", "InstanceType": "x", "MaxUserDurationInSeconds": 2**31},
        {"Name": "f", "InstanceType": "x", "EnableDefaultInternetAccess": "true"},
        {"Name": "f", "InstanceType": "x", "ComputeCapacity": []},
        {"Name": "f", "InstanceType": "x", "Tags": [{"Key": "a"}]},
        {"Name": "f", "InstanceType": "x", "UsbDeviceFilterStrings": "a"},
    ],
)
def test_refuses_another_type(parameters: dict[str, Any]) -> None:
    assert refusal("CreateFleet", parameters)[0] == "SerializationException"


@pytest.mark.parametrize("action", service_model().operation_names)
def test_every_pattern_of_the_model_is_understood(action: str) -> None:
    def patterns(shape: Any, above: frozenset[str] = frozenset()) -> set[str]:
        if shape is None or shape.name in above:
            return set()
        below = above | {shape.name}
        parts = [getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)]
        inner = [*parts, *getattr(shape, "members", {}).values()]
        own = {shape.metadata["pattern"]} if "pattern" in shape.metadata else set()
        return own.union(*(patterns(one, below) for one in inner))

    for pattern in patterns(service_model().operation_model(action).input_shape):
        matches(pattern, "anything")


@given(st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1, max_size=20))
def test_letters_numbers_and_spaces_of_any_script_may_be_in_a_tag(text: str) -> None:
    assert refusal("TagResource", {"ResourceArn": ARN, "Tags": {text: text}}) == ("", "")


@given(st.characters(exclude_categories=["L", "N", "Z"]).filter(lambda one: one not in "_.:/=+-@"))
def test_nothing_else_may_be_in_a_tag(character: str) -> None:
    assert refusal("TagResource", {"ResourceArn": ARN, "Tags": {f"a{character}b": ""}})[0] == "ValidationException"


@pytest.mark.parametrize(
    ("code", "status"),
    [("ResourceNotFoundException", 404), ("ResourceInUseException", 400), ("ValidationException", 400)],
)
def test_error_has_the_status_of_the_model(code: str, status: int) -> None:
    assert status_of(code) == status


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("Validity", 1, 604800),
        ("MaxUserDurationInSeconds", 600, 432000),
        ("DisconnectTimeoutInSeconds", 60, 36000),
        ("IdleDisconnectTimeoutInSeconds", 60, 36000),
        ("Limit", 1, 50),
    ],
)
def test_number_is_in_its_documented_range(name: str, least: int, most: int) -> None:
    for good in (least, most):
        check_ranges({name: good})
    for bad in (least - 1, most + 1, -1):
        with pytest.raises(Refused) as refused:
            check_ranges({name: bad})
        assert refused.value.code == "ValidationException"


def test_nobody_need_be_disconnected_for_being_idle() -> None:
    check_ranges({"IdleDisconnectTimeoutInSeconds": 0})


def without(properties: dict[str, Any], *names: str, **changes: Any) -> dict[str, Any]:
    return {**{name: value for name, value in properties.items() if name not in names}, **changes}


def instances(count: int) -> dict[str, Any]:
    return {"ComputeCapacity": {"DesiredInstances": count}}


def sessions(count: int) -> dict[str, Any]:
    return {"ComputeCapacity": {"DesiredSessions": count}}


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        (FLEET, ""),
        ({**FLEET, "FleetType": "ON_DEMAND"}, ""),
        ({**FLEET, **instances(0)}, ""),
        ({**FLEET, **sessions(5), "MaxSessionsPerInstance": 2}, ""),
        (without(FLEET, "ImageName", ImageArn=ARN), ""),
        (ELASTIC, ""),
        ({**FLEET, "InstanceType": "stream.memory.z1d.12xlarge"}, ""),
        ({**FLEET, "InstanceType": "t3.large"}, "InvalidParameterCombinationException"),
        ({**ELASTIC, "InstanceType": "stream.memory.z1d.12xlarge"}, "InvalidParameterCombinationException"),
        ({**FLEET, **instances(-1)}, "ValidationException"),
        ({**FLEET, "ComputeCapacity": {}}, "InvalidParameterCombinationException"),
        ({**FLEET, "ComputeCapacity": {"DesiredInstances": 1, "DesiredSessions": 1}},
         "InvalidParameterCombinationException"),
        (without(FLEET, "ComputeCapacity"), "InvalidParameterCombinationException"),
        (without(FLEET, "ImageName"), "InvalidParameterCombinationException"),
        ({**FLEET, **sessions(5)}, "InvalidParameterCombinationException"),
        ({**FLEET, "MaxSessionsPerInstance": 2}, "InvalidParameterCombinationException"),
        ({**FLEET, **sessions(5), "MaxSessionsPerInstance": 0}, "ValidationException"),
        ({**FLEET, "MaxConcurrentSessions": 2}, "InvalidParameterCombinationException"),
        ({**FLEET, "SessionScriptS3Location": {"S3Bucket": "b", "S3Key": "k"}}, "InvalidParameterCombinationException"),
        ({**ELASTIC, **instances(1)}, "InvalidParameterCombinationException"),
        ({**ELASTIC, "ImageName": "i"}, "InvalidParameterCombinationException"),
        ({**ELASTIC, "DomainJoinInfo": {}}, "InvalidParameterCombinationException"),
        ({**ELASTIC, "MaxConcurrentSessions": 0}, "ValidationException"),
        (without(ELASTIC, "MaxConcurrentSessions"), "InvalidParameterCombinationException"),
        (without(ELASTIC, "VpcConfig"), "InvalidParameterCombinationException"),
        ({**ELASTIC, "VpcConfig": {"SubnetIds": ["a", "a"]}}, "InvalidParameterCombinationException"),
    ],
)  # fmt: skip
def test_fleet_is_whole(properties: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) if code else contextlib.nullcontext() as refused:
        check_fleet({**DEFAULTS, **properties})
    assert not code or refused.value.code == code


@pytest.mark.parametrize(
    ("kind", "state", "name", "possible"),
    [
        ("ALWAYS_ON", "STOPPED", "InstanceType", True),
        ("ALWAYS_ON", "RUNNING", "InstanceType", False),
        ("ALWAYS_ON", "RUNNING", "MaxUserDurationInSeconds", False),
        ("ALWAYS_ON", "RUNNING", "ComputeCapacity", True),
        ("ON_DEMAND", "RUNNING", "ImageName", True),
        ("ON_DEMAND", "RUNNING", "DisplayName", True),
        ("ON_DEMAND", "RUNNING", "MaxConcurrentSessions", False),
        ("ELASTIC", "RUNNING", "MaxConcurrentSessions", True),
        ("ELASTIC", "RUNNING", "ImageName", False),
        ("ON_DEMAND", "STARTING", "DisplayName", False),
        ("ON_DEMAND", "STOPPING", "DisplayName", False),
    ],
)
def test_fleet_that_runs_is_changed_in_part(kind: str, state: str, name: str, possible: bool) -> None:
    if possible:
        check_fleet_change("f", kind, state, {name})
        return
    with pytest.raises(Refused, match="must be stopped") as refused:
        check_fleet_change("f", kind, state, {name})
    assert refused.value.code == "ResourceInUseException"
