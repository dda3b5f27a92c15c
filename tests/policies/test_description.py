"""EC2's answer as the rules need it: the same as botocore reads, whatever is in it."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.sax.saxutils import escape

import pytest
from botocore.parsers import create_parser
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from policies.description import NotXml, read

# What XML 1.0 can hold; EC2 takes nothing else for a tag. A carriage return stands as a reference.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=20
)
TAGS = st.dictionaries(TEXT.filter(bool), TEXT, max_size=8)


SHAPE = Session().get_service_model("ec2").operation_model("DescribeInstances").output_shape


def instance(
    instance_id: str, tags: dict[str, str], *, launched: str = "2026-11-20T10:00:00.000Z", more: str = ""
) -> str:
    tag_set = "".join(f"<item><key>{escape(k)}</key><value>{escape(v)}</value></item>" for k, v in tags.items())
    return f"""
      <item>
        <instanceId>{instance_id}</instanceId><imageId>ami-1</imageId>
        <instanceState><code>16</code><name>running</name></instanceState>
        <instanceType>t3.micro</instanceType><launchTime>{launched}</launchTime>
        <placement><availabilityZone>eu-west-1a</availabilityZone><groupName/><tenancy>default</tenancy></placement>
        <monitoring><state>disabled</state></monitoring>
        <subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId>
        <stateReason><code>pending</code><message>pending</message></stateReason>
        <tagSet>{tag_set}</tagSet>
        <iamInstanceProfile><arn>arn:aws:iam::1:instance-profile/path/web</arn><id>A</id></iamInstanceProfile>
        {more}
      </item>"""


def answer(*instances: str, token: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
      <requestId>r</requestId>
      <reservationSet><item>
        <reservationId>r-1</reservationId><ownerId>123456789012</ownerId>
        <groupSet><item><groupId>sg-1</groupId><groupName>default</groupName></item></groupSet>
        <instancesSet>{"".join(instances)}</instancesSet>
      </item></reservationSet>
      {f"<nextToken>{token}</nextToken>" if token else ""}
    </DescribeInstancesResponse>""".encode()


def test_the_attributes_that_rules_can_name():
    [one], token = read(answer(instance("i-1", {"Name": "web"}), token="next"), "eu-west-1")
    assert token == "next"
    assert (one.instance_id, one.region, one.state, one.tags) == ("i-1", "eu-west-1", "running", {"Name": "web"})
    assert one.created_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    expected = {
        "architecture": None,
        "availabilityZone": "eu-west-1a",
        "iamInstanceProfile": "web",
        "imageId": "ami-1",
        "instanceType": "t3.micro",
        "ownerId": "123456789012",
        "region": "eu-west-1",
        "state": "running",
        "subnetId": "subnet-1",
        "tenancy": "default",
        "vpcId": "vpc-1",
    }
    assert {name: one.attributes.get(name) for name in expected} == expected


def test_every_attribute_of_the_grammar_is_read_or_not_there():
    from policies.description import _NESTED, _PLAIN
    from policies.grammar import ATTRIBUTES

    assert set(ATTRIBUTES) <= {*_PLAIN, *_NESTED.values(), "region", "ownerId"}


def test_one_that_was_stopped_and_started_is_as_old_as_its_first_disk():
    disk = """<blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-1</volumeId>
      <attachTime>2026-01-02T03:04:05.000Z</attachTime></ebs></item></blockDeviceMapping>
      <networkInterfaceSet><item><tagSet><item><key>Not</key><value>its</value></item></tagSet>
      <attachment><attachTime>2026-01-02T03:04:04.000Z</attachTime></attachment></item></networkInterfaceSet>"""
    [one], _ = read(answer(instance("i-1", {"Name": "web"}, more=disk)), "eu-west-1")
    assert one.created_at == datetime(2026, 1, 2, 3, 4, 4, tzinfo=UTC)
    assert one.tags == {"Name": "web"}


@given(st.lists(TAGS, max_size=4))
def test_tags_are_what_botocore_reads(sets):
    body = answer(*(instance(f"i-{n}", tags) for n, tags in enumerate(sets)))
    parsed = create_parser("ec2").parse({"body": body, "headers": {}, "status_code": 200}, SHAPE)
    theirs = [
        {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])}
        for reservation in parsed["Reservations"]
        for one in reservation.get("Instances", [])
    ]
    ours, _ = read(body, "eu-west-1")
    assert [dict(one.tags) for one in ours] == theirs


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad Gateway</html",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        answer("<item><instanceId>i-1</instanceId></item>"),
    ],
)
def test_what_is_not_ec2s_answer_is_refused(body):
    with pytest.raises(NotXml):
        read(body, "eu-west-1")


def test_nothing_at_all():
    assert read(b"<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>", "eu-west-1") == ([], "")
