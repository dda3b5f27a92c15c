import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.creators import Creator, launches

ACCOUNT = "123456789012"
EVENT_ID = "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
IAM_USER = {
    "type": "IAMUser",
    "principalId": "AIDAJ45Q7YFFAREXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/ops/Alice",
    "accountId": ACCOUNT,
    "userName": "Alice",
}


def session(role: str, name: str, *, path: str = "/", source: str = "", **more: Any) -> dict[str, Any]:
    """Return a userIdentity as CloudTrail's guide shows it for a role's temporary credentials."""
    return {
        "type": "AssumedRole",
        "principalId": f"AROAIDPPEZS35WEXAMPLE:{name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
        "accountId": ACCOUNT,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAIDPPEZS35WEXAMPLE",
                "arn": f"arn:aws:iam::{ACCOUNT}:role{path}{role}",
                "accountId": ACCOUNT,
                "userName": role,
            },
            "attributes": {"creationDate": "2026-11-02T09:58:28Z", "mfaAuthenticated": "false"},
        }
        | ({"sourceIdentity": source} if source else {}),
    } | more


def linked(role: str, name: str, service: str, **more: Any) -> dict[str, Any]:
    return session(role, name, path=f"/aws-service-role/{service}/", invokedBy=service, **more)


def event(identity: Any, *ids: str, tags: dict[str, str] | None = None, **of: Any) -> dict[str, Any]:
    items = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    record = {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": "2026-11-02T10:00:12Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "awsRegion": "eu-west-1",
        "requestParameters": {
            "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 1}]},
            "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": items}]},
        },
        "responseElements": {"instancesSet": {"items": [{"instanceId": one} for one in ids or ("i-1",)]}},
        "eventID": EVENT_ID,
    } | of
    return {"EventId": EVENT_ID, "EventName": "RunInstances", "CloudTrailEvent": json.dumps(record)}


def creator(of: dict[str, Any]) -> Creator:
    [found] = launches(of).values()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (IAM_USER, "Alice"),
        (IAM_USER | {"invokedBy": "signin.amazonaws.com"}, "Alice"),
        (IAM_USER | {"invokedBy": "cloudformation.amazonaws.com"}, "Alice"),
        ({"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/ops/Bob"}, "Bob"),
        # A person behind a role's session, or none to be seen.
        (session("Developers", "mary@example.com"), "mary@example.com"),
        (session("Developers", "mary.smith"), "mary.smith"),
        (session("Developers", "i-0a1b2c3d4e5f67890"), "Developers"),
        (session("Developers", "i-1a2b3c4d"), "Developers"),
        (session("Developers", "1604512345678"), "Developers"),
        (session("Developers", "botocore-session-1604512345"), "Developers"),
        (session("Developers", "aws-go-sdk-1604512345678901234"), "Developers"),
        (session("Developers", "AWSCLI-Session"), "Developers"),
        (session("Developers", EVENT_ID), "Developers"),
        (session("Deploy", "GitHubActions"), "Deploy"),
        (session("Deploy", "AWSCodeBuild-3f2a"), "Deploy"),
        (session("Launcher", "launch-on-demand"), "launch-on-demand"),
        # IAM Identity Center's roles carry its user's name, whatever it looks like.
        (session("AWSReservedSSO_Admin_0123456789abcdef", "1604512345678"), "1604512345678"),
        # A source identity is the person, through any chain of roles.
        (session("Deploy", "GitHubActions", source="mary@example.com"), "mary@example.com"),
        (session("Deploy", "deploy-prod", source="mary@example.com"), "mary@example.com"),
        # Services that keep their caller, and what they call themselves.
        (session("Developers", "mary@example.com", invokedBy="servicecatalog.amazonaws.com"), "mary@example.com"),
        (session("Launch", f"SC-{ACCOUNT}-pp-abcdefg", invokedBy="servicecatalog.amazonaws.com"), "Launch"),
        (session("Stacks", "AWSCloudFormation", invokedBy="cloudformation.amazonaws.com"), "Stacks"),
        (session("Developers", "mary@example.com", invokedBy="AWS Internal"), "mary@example.com"),
        # Services.
        (linked("AWSServiceRoleForEC2Spot", "Spot", "spot.amazonaws.com"), "EC2 Spot"),
        (linked("AWSServiceRoleForSomething", "x", "something.amazonaws.com"), "something.amazonaws.com"),
        ({"type": "AWSService", "invokedBy": "batch.amazonaws.com"}, "AWS Batch"),
        ({"type": "AWSService", "invokedBy": "new.amazonaws.com"}, "new.amazonaws.com"),
        ({"type": "Root", "accountId": ACCOUNT, "invokedBy": "autoscaling.amazonaws.com"}, "Auto Scaling"),
        # Others.
        ({"type": "Root", "accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"}, "root account"),
        ({"type": "FederatedUser", "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/Carol"}, "Carol"),
        ({"type": "FederatedUser", "principalId": f"{ACCOUNT}:Carol"}, "Carol"),
        ({"type": "SAMLUser", "principalId": "SAMLNAMEQUALIFIER:carol", "userName": "carol"}, "carol"),
        ({"type": "WebIdentityUser", "principalId": "accounts.google.com:app:10", "userName": "10"}, "10"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "90a1"}}, "Identity Center user 90a1"),
        ({"type": "Directory", "userName": "carol"}, "carol"),
        ({"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/path/Deploy"}, "Deploy"),
        ({"type": "AWSAccount", "accountId": ACCOUNT, "principalId": "AROA:x"}, f"account {ACCOUNT}"),
    ],
)
def test_the_name_is_one_that_a_person_recognises(identity: dict[str, Any], name: str) -> None:
    assert creator(event(identity)).name == name


@pytest.mark.parametrize(
    ("identity", "tags", "name"),
    [
        (
            linked("AWSServiceRoleForAutoScaling", "AutoScaling", "autoscaling.amazonaws.com"),
            {"aws:autoscaling:groupName": "web", "Owner": "mary"},
            "Auto Scaling: web",
        ),
        (
            linked("AWSServiceRoleForAutoScaling_team", "AutoScaling", "autoscaling.amazonaws.com"),
            {},
            "Auto Scaling",
        ),
        (
            linked("AWSServiceRoleForEC2Fleet", "FleetSession", "ec2fleet.amazonaws.com"),
            {"aws:ec2:fleet-id": "fleet-0a1b"},
            "EC2 Fleet: fleet-0a1b",
        ),
        (
            linked("AWSServiceRoleForEC2SpotFleet", "x", "spotfleet.amazonaws.com"),
            {"aws:ec2spot:fleet-request-id": "sfr-0a1b"},
            "Spot Fleet: sfr-0a1b",
        ),
        (IAM_USER | {"invokedBy": "ec2fleet.amazonaws.com"}, {"aws:ec2:fleet-id": "fleet-0a1b"}, "Alice"),
    ],
)
def test_a_service_is_named_with_its_purpose(identity: dict[str, Any], tags: dict[str, str], name: str) -> None:
    assert creator(event(identity, tags=tags)).name == name


def test_the_group_is_also_found_in_the_answer() -> None:
    tag_set = {"items": [{"key": "aws:autoscaling:groupName", "value": "web"}]}
    found = launches(
        event(
            linked("AWSServiceRoleForAutoScaling", "AutoScaling", "autoscaling.amazonaws.com"),
            responseElements={
                "instancesSet": {"items": [{"instanceId": "i-1", "tagSet": tag_set}, {"instanceId": "i-2"}]}
            },
        )
    )
    assert {one: found and found.name for one, found in found.items()} == {
        "i-1": "Auto Scaling: web",
        "i-2": "Auto Scaling",
    }


@pytest.mark.parametrize(
    ("identity", "evidence"),
    [
        (IAM_USER, "user Alice"),
        (IAM_USER | {"invokedBy": "cloudformation.amazonaws.com"}, "user Alice through CloudFormation"),
        (session("Developers", "mary@example.com"), "assumed role Developers, session mary@example.com"),
        (
            session("Deploy", "GitHubActions", source="mary"),
            "assumed role Deploy, session GitHubActions, source identity mary",
        ),
        ({"type": "Root", "accountId": ACCOUNT}, f"the root account {ACCOUNT}"),
        ({"type": "AWSService", "invokedBy": "eks.amazonaws.com"}, "EKS"),
    ],
)
def test_the_evidence_can_be_looked_up(identity: dict[str, Any], evidence: str) -> None:
    said = f"CloudTrail: RunInstances by {evidence}, at 2026-11-02 10:00 UTC (event {EVENT_ID})"
    assert creator(event(identity)).evidence == said


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (None, "the event names no identity"),
        ({}, "the event names no identity"),
        ("Alice", "the event names no identity"),
        ({"type": "Unknown"}, "the event's identity, of type Unknown, has no name"),
        ({"type": "IAMUser", "userName": "  "}, "the event's identity, of type IAMUser, has no name"),
        ({"type": "AWSService"}, "the event does not name the service"),
        ({"type": "AssumedRole"}, "the event names neither the role nor a person's session"),
        ({"type": "AssumedRole", "principalId": "AROA:i-1a2b3c4d"}, "the event names neither the role nor a person's"),
    ],
)
def test_what_the_event_does_not_say_is_not_guessed(identity: Any, why: str) -> None:
    found = creator(event(identity))
    assert found.name == ""
    assert found.evidence.startswith(why)
    assert EVENT_ID in found.evidence


def test_every_instance_of_a_launch_has_the_same_creator() -> None:
    ids = [f"i-{number}" for number in range(1000)]
    found = launches(event(IAM_USER, *ids))
    assert list(found) == ids
    assert len(set(found.values())) == 1


def test_a_launch_whose_answer_was_too_long_is_listed_all_the_same() -> None:
    resources = [
        {"ResourceType": "AWS::EC2::Instance", "ResourceName": "i-1"},
        {"ResourceType": "AWS::EC2::VPC", "ResourceName": "vpc-1"},
        {"ResourceType": "AWS::EC2::Instance"},
    ]
    found = launches(event(IAM_USER, responseElements=None) | {"Resources": resources})
    assert list(found) == ["i-1"]


def test_an_event_of_eventbridge_is_read_as_well() -> None:
    detail = json.loads(event(IAM_USER)["CloudTrailEvent"])
    assert creator({"source": "aws.ec2", "detail": detail}).name == "Alice"


@pytest.mark.parametrize(
    "of",
    [
        event(IAM_USER, errorCode="Client.DryRunOperation"),
        event(IAM_USER, errorCode="Client.UnauthorizedOperation", responseElements=None),
        event(IAM_USER, eventName="StartInstances"),
        event(IAM_USER, responseElements=None),
        {"CloudTrailEvent": "{"},
        {"CloudTrailEvent": "[" * 100_000},
        {"CloudTrailEvent": "[]"},
        {"CloudTrailEvent": None},
        {"CloudTrailEvent": 7},
        {"detail": "x"},
        {},
    ],
)
def test_other_failed_and_malformed_events_give_nothing(of: dict[str, Any]) -> None:
    assert launches(of) == {}


@pytest.mark.parametrize("at", ["", "yesterday", None, 7, "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_read_is_left_out(at: Any) -> None:
    said = f"CloudTrail: RunInstances by user Alice (event {EVENT_ID})"
    assert creator(event(IAM_USER, eventTime=at)).evidence == said


def test_names_fit_into_a_tag_and_into_xml() -> None:
    group = {"aws:autoscaling:groupName": "😀" * 255}
    identity = linked("AWSServiceRoleForAutoScaling", "AutoScaling", "autoscaling.amazonaws.com")
    name = creator(event(identity, tags=group)).name
    assert len(name) == 256
    assert name.endswith("😀…")
    assert creator(event(IAM_USER | {"userName": "a\x00\ud800b"})).name == "a b"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_no_shape_of_an_event_raises(data: st.DataObject) -> None:
    record = json.loads(event(session("Developers", "mary"), tags={"a": "b"})["CloudTrailEvent"])
    at: Any = record
    # Somewhere in a good record is anything.
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
        if not at[key] or not isinstance(at[key], (dict, list)) or data.draw(st.booleans()):
            at[key] = data.draw(json_values)
            break
        at = at[key]
    for found in launches({"CloudTrailEvent": json.dumps(record)}).values():
        assert found is not None
        assert len(found.name) <= 256
        assert found.name == found.name.strip()
        assert found.evidence
