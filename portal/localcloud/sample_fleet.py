"""The instances of a new local cloud: two VPCs, launched over sixty days by people and services one recognises, and
tagged as badly as fleets are."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.localcloud.cloud import ACCOUNT, Cloud

PRODUCTION = "vpc-0a5c1e0f7b3d92f01"
STAGING = "vpc-0b6d2f1a8c4ea3012"
VPC_NAMES = {PRODUCTION: "production", STAGING: "staging"}


def _session(role: str, name: str, path: str = "/", **more: str) -> dict[str, Any]:
    """Return the userIdentity of a role's session."""
    role_id = f"AROA{role.upper()[:16]:X<16}"
    issuer = {
        "type": "Role",
        "principalId": role_id,
        "arn": f"arn:aws:iam::{ACCOUNT}:role{path}{role}",
        "accountId": ACCOUNT,
        "userName": role,
    }
    return {
        "type": "AssumedRole",
        "principalId": f"{role_id}:{name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
        "accountId": ACCOUNT,
        "sessionContext": {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "false"}},
        **more,
    }


def _service(role: str, name: str, service: str) -> dict[str, Any]:
    return _session(role, name, f"/aws-service-role/{service}/", invokedBy=service)


RIDER = {
    "type": "IAMUser",
    "principalId": "AIDARIDERXXXXXXXXXXXX",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/rider",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIARIDERXXXXXXXXXXX",
    "userName": "rider",
}
ROOT = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
AUTHOR = _session("Developer", "author@example.com", accessKeyId="ASIAAUTHORXXXXXXXXXX")
APPROVER = _session("Developer", "approver", accessKeyId="ASIAAPPROVERXXXXXXXX")
AUTO_SCALING = _service("AWSServiceRoleForAutoScaling", "AutoScaling", "autoscaling.amazonaws.com")
EC2_FLEET = _service("AWSServiceRoleForEC2Fleet", "FleetManager", "ec2fleet.amazonaws.com")


@dataclass(frozen=True)
class Group:
    """Instances of one kind. Their names are numbered; every next one is some days older than the one before."""

    name: str
    count: int
    vpc_id: str
    by: dict[str, Any]
    days_ago: float
    instance_type: str = "t3.medium"
    project: str | None = None
    created_by: str | None = None
    environment: str | None = None
    cost_centre: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    days_apart: float = 0
    stopped: int = 0
    has_event: bool = True

    def launches(self, now: datetime) -> Iterator[dict[str, Any]]:
        """Yield what /_portico/launches takes."""
        for number in range(self.count):
            tags = {"Name": f"{self.name}-{number + 1}" if self.name else None, "ProjectCode": self.project}
            tags |= {"CreatedBy": self.created_by, "Environment": self.environment, "CostCentre": self.cost_centre}
            tags |= self.more
            at = now - timedelta(days=self.days_ago + number * self.days_apart, minutes=7 * number)
            yield {
                "instances": 1,
                "identity": self.by,
                "at": at.isoformat(timespec="seconds"),
                "vpc_id": self.vpc_id,
                "instance_type": self.instance_type,
                "tags": {key: value for key, value in tags.items() if value is not None},
                "state": "stopped" if number < self.stopped else "running",
                "record": self.has_event,
            }


GROUPS = [
    Group(
        "web",
        6,
        PRODUCTION,
        AUTO_SCALING,
        12,
        "t3.large",
        "RIDES-1",
        environment="prod",
        cost_centre="RIDES-1",
        more={"aws:autoscaling:groupName": "web"},
    ),
    Group(
        "checkout",
        4,
        PRODUCTION,
        AUTHOR,
        38,
        "m7i.large",
        "RIDES-2",
        "author@example.com",
        "prod",
        "RIDES-2",
        days_apart=1,
    ),
    Group(
        "checkout-worker",
        6,
        PRODUCTION,
        AUTO_SCALING,
        0.2,
        more={"aws:autoscaling:groupName": "workers"},
        days_apart=0.6,
    ),
    Group("maps", 3, PRODUCTION, APPROVER, 25, "c7g.xlarge", "MAPS-7", "approver", "prod", "MAPS-7"),
    Group("billing-db", 2, PRODUCTION, RIDER, 59, "r7g.2xlarge", created_by="rider", more={"Backup": "daily"}),
    Group("bastion", 1, PRODUCTION, ROOT, 51, "t3.nano", created_by="root"),
    # From before what CloudTrail remembers.
    Group("legacy-ftp", 1, PRODUCTION, ROOT, 214, "t2.small", has_event=False),
    Group("legacy-mail", 1, PRODUCTION, ROOT, 131, "t2.medium", created_by="author@example.com", has_event=False),
    Group("demo", 5, STAGING, RIDER, 0.5, created_by="rider", environment="test", days_apart=2, stopped=1),
    Group(
        "batch",
        8,
        STAGING,
        APPROVER,
        17,
        "c7i.large",
        "RIDES-2",
        "approver",
        "test",
        "RIDES-2",
        days_apart=0.5,
        stopped=2,
    ),
    Group("load-test", 4, STAGING, AUTHOR, 6, "c7i.2xlarge", "MAPS-7", "author@example.com", "dev"),
    Group("", 1, STAGING, RIDER, 2),
    Group("", 1, STAGING, AUTHOR, 15),
    Group("", 1, PRODUCTION, EC2_FLEET, 0.1),
    Group(
        "inventory",
        1,
        STAGING,
        AUTHOR,
        30,
        project="RIDES-1",
        created_by="author@example.com",
        more={f"inventory:{number:02}": f"shelf {number}" for number in range(1, 48)},
    ),
    Group("reports", 1, STAGING, APPROVER, 44, project="", created_by="approver"),
    Group(
        "blog",
        1,
        STAGING,
        AUTHOR,
        21,
        project="MAPS-7",
        created_by="author@example.com",
        environment="live",  # which no rule allows
        more={"Description": '<script>alert("unicorns")</script> & <b>friends</b>'},
    ),
    Group(
        "sheets",
        1,
        STAGING,
        RIDER,
        9,
        project="RIDES-1",
        created_by="rider",
        more={"Note": '=HYPERLINK("https://example.com/","Q4 budget")'},
    ),
]


def load(cloud: Cloud) -> None:
    """Launch the sample instances, unless there are instances already."""
    ec2 = cloud.client("ec2")
    if ec2.describe_instances(MaxResults=5)["Reservations"]:
        return
    now = datetime.now(UTC)
    launches = [launch for group in GROUPS for launch in group.launches(now)]
    request = urllib.request.Request(
        f"{cloud.endpoint}/_portico/launches", data=json.dumps(launches).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=30):
        pass
    for vpc_id, name in VPC_NAMES.items():
        ec2.create_tags(Resources=[vpc_id], Tags=[{"Key": "Name", "Value": name}])
