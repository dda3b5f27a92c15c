"""Contract of appstream_permissions.py: which resource each call is checked on."""

from collections.abc import Iterator
from typing import Any

import pytest

from portal.localcloud.standins.appstream_permissions import resources
from tests.localcloud.appstream import CONTROL, Streams, call_in_json
from tests.localcloud.roles import allow, deny, make_role, session_of
from tests.localcloud.running_cloud import RunningCloud
from tests.localcloud.workflows import code_of

PREFIX = "arn:aws:appstream:eu-west-1:123456789012"
F, S, OTHER = f"{PREFIX}:fleet/f", f"{PREFIX}:stack/s", f"{PREFIX}:fleet/other"
BOTH = {"FleetName": "f", "StackName": "s"}


@pytest.mark.parametrize(
    ("action", "parameters", "arns"),
    [
        ("CreateFleet", {"Name": "f", "ImageName": "i"}, [F, f"{PREFIX}:image/i"]),
        ("CreateFleet", {"Name": "f", "ImageArn": "arn:aws:appstream:eu-west-1::image/i"},
         [F, "arn:aws:appstream:eu-west-1::image/i"]),
        ("UpdateFleet", {"Name": "f"}, [F]),
        ("DeleteFleet", {"Name": "f"}, [F]),
        ("StartFleet", {"Name": "f"}, [F]),
        ("StopFleet", {"Name": "f"}, [F]),
        ("DescribeFleets", {"Names": ["f", "other"]}, [F, OTHER]),
        ("DescribeFleets", {"Names": []}, [f"{PREFIX}:fleet/*"]),
        ("DescribeFleets", {}, [f"{PREFIX}:fleet/*"]),
        ("CreateStack", {"Name": "s"}, [S]),
        ("UpdateStack", {"Name": "s"}, [S]),
        ("DeleteStack", {"Name": "s"}, [S]),
        ("DescribeStacks", {"Names": ["s"]}, [S]),
        ("AssociateFleet", BOTH, [F, S]),
        ("DisassociateFleet", BOTH, [F, S]),
        ("ListAssociatedFleets", {"StackName": "s"}, [S]),
        ("ListAssociatedStacks", {"FleetName": "f"}, [F]),
        ("CreateStreamingURL", {**BOTH, "UserId": "ada"}, [F, S]),
        ("DescribeSessions", BOTH, [F, S]),
        ("ExpireSession", {"SessionId": "x"}, ["*"]),
        ("TagResource", {"ResourceArn": F}, [F]),
        ("UntagResource", {"ResourceArn": S}, [S]),
        ("ListTagsForResource", {"ResourceArn": F}, ["*"]),
    ],
)  # fmt: skip
def test_call_is_checked_on(action: str, parameters: dict[str, Any], arns: list[str]) -> None:
    assert resources(action, parameters, PREFIX) == arns


@pytest.fixture
def fleet(cloud: RunningCloud, name: str, region: str) -> Iterator[Streams]:
    streams = Streams(cloud, name, region)
    streams.make(Tags={"team": "a"})
    yield streams
    cloud.control("DELETE", CONTROL)


def caller(fleet: Streams, *statements: dict[str, Any]) -> Any:
    """Return a client that may do only that."""
    key = session_of(fleet.cloud, make_role(fleet.cloud, *statements))
    return fleet.cloud.client("appstream", key=key, region=fleet.region)


def test_url_takes_the_fleet_and_the_stack(fleet: Streams) -> None:
    request = {"FleetName": fleet.name, "StackName": fleet.name, "UserId": "ada"}

    def code(*arns: str) -> str:
        client = caller(fleet, allow(["appstream:CreateStreamingURL", "appstream:DescribeSessions"], list(arns)))
        codes = {
            code_of(lambda: client.create_streaming_url(**request)),
            code_of(lambda: client.describe_sessions(FleetName=fleet.name, StackName=fleet.name)),
        }
        assert len(codes) == 1
        return codes.pop()

    assert code(fleet.arn("fleet"), fleet.arn("stack")) == ""
    assert code(fleet.arn("fleet")) == code(fleet.arn("stack")) == "AccessDeniedException"
    assert code(fleet.arn("fleet", "other"), fleet.arn("stack")) == "AccessDeniedException"
    assert code(f"arn:aws:appstream:*:*:*/{fleet.name}") == ""


def test_denial_names_what_it_is_about_in_both_protocols(fleet: Streams) -> None:
    role = make_role(fleet.cloud, allow("appstream:Describe*", "*"), deny("appstream:StopFleet", "*"))
    key = session_of(fleet.cloud, role)
    client = fleet.cloud.client("appstream", key=key, region=fleet.region)
    for action, call in (("StartFleet", client.start_fleet), ("StopFleet", client.stop_fleet)):
        with pytest.raises(client.exceptions.ClientError) as refused:
            call(Name=fleet.name)
        error = refused.value.response["Error"]
        assert error["Code"] == "AccessDeniedException"
        assert f"is not authorized to perform: appstream:{action} on resource: {fleet.arn('fleet')}" in error["Message"]
        _status, answer, _headers = call_in_json(
            fleet.cloud, action, {"Name": fleet.name}, key=key, region=fleet.region
        )
        assert (answer["__type"], answer["message"]) == ("AccessDeniedException", error["Message"])
    assert len(client.describe_fleets(Names=[fleet.name])["Fleets"]) == 1


def test_session_is_ended_with_no_resource(fleet: Streams) -> None:
    for resource, code in (("*", ""), (fleet.arn("fleet"), "AccessDeniedException")):
        client = caller(fleet, allow("appstream:ExpireSession", resource))
        assert code_of(lambda client=client: client.expire_session(SessionId="x")) == code


def test_action_is_the_one_that_is_called(fleet: Streams) -> None:
    """Another name in the address does not stand for it."""
    key = session_of(fleet.cloud, make_role(fleet.cloud, allow("appstream:DescribeFleets", "*")))
    client = fleet.cloud.client("appstream", key=key, region=fleet.region)

    def name_another(request: Any, **_: Any) -> None:
        request.url += "?Action=DescribeFleets"

    client.meta.events.register("before-sign.appstream", name_another)
    assert code_of(lambda: client.describe_fleets()) == ""
    assert code_of(lambda: client.stop_fleet(Name=fleet.name)) == "AccessDeniedException"


def test_tags_decide(fleet: Streams) -> None:
    for team, code in (("a", ""), ("b", "AccessDeniedException")):
        condition = {"StringEquals": {"aws:ResourceTag/team": team}}
        client = caller(fleet, allow("appstream:DescribeFleets", "*", **condition))
        assert code_of(lambda client=client: client.describe_fleets(Names=[fleet.name])) == code
    condition = {"StringEquals": {"aws:RequestTag/team": "a"}, "ForAllValues__StringEquals": {"aws:TagKeys": ["team"]}}
    client = caller(fleet, allow("appstream:TagResource", "*", **condition))
    for tags, code in (({"team": "a"}, ""), ({"team": "b"}, "AccessDeniedException"),
                       ({"team": "a", "x": "y"}, "AccessDeniedException")):  # fmt: skip
        request = {"ResourceArn": fleet.arn("fleet"), "Tags": tags}
        assert code_of(lambda request=request: client.tag_resource(**request)) == code


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (("AKIAUNKNOWNUNKNOWN01", "x"), "UnrecognizedClientException"),
        (("AKIALOCALADMINISTR01", "not-the-secret"), "InvalidSignatureException"),
    ],
)
def test_caller_is_somebody(fleet: Streams, key: tuple[str, str], code: str) -> None:
    assert code_of(fleet.cloud.client("appstream", key=key, region=fleet.region).describe_fleets) == code
    _status, answer, _headers = call_in_json(fleet.cloud, "DescribeFleets", {}, key=key, region=fleet.region)
    assert answer["__type"] == code
