"""Regions that fail, and what an instance's age is read from."""

from __future__ import annotations

from datetime import UTC, datetime

from botocore.exceptions import EndpointConnectionError

from policies import applying, description, engine, tasks
from policies import instances as ec2
from policies.runs import Kind, runs
from tests.policies.test_going_on import COST
from tests.policies.test_tasks import Context, scheduled

XML = b"""<DescribeInstancesResponse><reservationSet><item><ownerId>1</ownerId><instancesSet><item>
<instanceId>i-1</instanceId><instanceState><name>running</name></instanceState><launchTime>2026-11-20T10:00:00.000Z</launchTime>
<blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><attachTime>2026-11-10T10:00:00.000Z</attachTime></ebs></item></blockDeviceMapping>
<networkInterfaceSet><item><attachment><deviceIndex>0</deviceIndex><attachTime>2026-11-01T10:00:00.000Z</attachTime></attachment></item></networkInterfaceSet>
</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"""


def test_a_replaced_root_volume_makes_no_instance_younger():
    [one], _ = description.read(XML, "eu-west-1")
    assert one.created_at == datetime(2026, 11, 1, 10, tzinfo=UTC)


def test_a_region_that_fails_while_applying_holds_up_no_other(instances, write_rules, monkeypatch, queued):
    write_rules({**COST, "Regions": ["eu-west-1", "us-east-1"]})
    [here] = instances.launch({"Name": "here"})
    instances.launch({"Name": "there"}, region="us-east-1")
    real = applying.instances.some

    def some(region, ids):
        if region == "us-east-1":
            raise ec2.Unavailable("x") from EndpointConnectionError(endpoint_url="https://x")
        return real(region, ids)

    monkeypatch.setattr(applying, "FRESH_SECONDS", -1)
    monkeypatch.setattr(applying.instances, "some", some)
    for n in range(3):  # three hours
        try:
            tasks.enforce(scheduled(f"{n}{n}{n}{n}0000-"), Context())
        except Exception as error:
            print(type(error))
    assert instances.tags(here).get("Cost") == "shared"


def test_preview_cancelled_after_its_worker_died(instances, write_rules, operator, queued):
    write_rules(COST)
    run = engine.begin(Kind.PREVIEW, by=operator, now=datetime.now(UTC))  # its message went to the dead letters
    engine.cancel(run.run_id, by=operator)
    tasks.enforce(scheduled(), Context())
    assert runs.get(run.run_id, consistent=True).is_over
