"""RunInstances, and launches that nobody called for: those of tests and samples.

MiniStack launches MinCount instances, all in one zone, and takes no more than the simplest of tags.
Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from portal.localcloud.standins.ec2_calls import Ec2Calls, Params, members, refuse_dry_run, value
from portal.localcloud.standins.ec2_instance_view import instance_xml
from portal.localcloud.standins.ec2_networks import Networks, Place
from portal.localcloud.standins.ec2_tags import Tag, tags_of_specifications
from portal.localcloud.standins.role_sessions import Refusal
from portal.localcloud.standins.touchpoints import module_with

IMAGE = "ami-0123456789abcdef0"
INSTANCE_TYPE = "t3.micro"
INSTANCES_PER_CALL = 1000
ROOT_DEVICE = "/dev/xvda"
_ARM_FAMILIES = ("a1", "c6g", "c7g", "m6g", "m7g", "r6g", "r7g", "t4g")


@dataclass(frozen=True)
class Launch:
    """Instances that start together. tag_sets are given out in turn; none gives no tags."""

    count: int
    place: Place
    at: datetime
    image_id: str = IMAGE
    instance_type: str = INSTANCE_TYPE
    key_name: str = ""
    user_data: str = ""
    client_token: str = ""
    profile: Any = None
    tag_sets: Sequence[list[dict[str, str]]] = field(default_factory=list)
    volume_tags: list[dict[str, str]] = field(default_factory=list)


class Launches:
    """Adds instances with their volumes to MiniStack's records."""

    def __init__(self, calls: Ec2Calls, networks: Networks) -> None:
        self._ec2 = calls.ec2
        self._networks = networks
        self._responses = module_with("ministack.core.responses", "get_account_id", "get_region")
        calls.answer("RunInstances", self._run)

    def perform(self, launch: Launch) -> list[Any]:
        """Return the new instances, which run already."""
        ec2, at = self._ec2, timestamp(launch.at)
        reservation = f"r-{secrets.token_hex(9)[:17]}"
        region = self._responses.get_region()
        launched = []
        for index in range(launch.count):
            instance = _instance(f"i-{secrets.token_hex(9)[:17]}", launch, at, index, region)
            instance["ReservationId"] = reservation
            instance_id = instance["InstanceId"]
            volume = _volume(instance, at)
            ec2._volumes[volume["VolumeId"]] = volume
            ec2._instances[instance_id] = instance
            if launch.tag_sets:
                tags = launch.tag_sets[index % len(launch.tag_sets)]
                if tags:
                    ec2._tags[instance_id] = [dict(tag) for tag in tags]
            if launch.volume_tags:
                ec2._tags[volume["VolumeId"]] = [dict(tag) for tag in launch.volume_tags]
            if launch.profile:
                ec2._upsert_iam_instance_profile_association(instance_id, launch.profile)
            launched.append(instance)
        return launched

    def _run(self, params: Params) -> str:
        count = _count(params)
        tags = tags_of_specifications(params)
        unknown = set(tags) - {"instance", "volume", "network-interface", "spot-instances-request"}
        if unknown:
            message = f"'{unknown.pop()}' is not a valid taggable resource type for this operation."
            raise Refusal("InvalidParameterValue", message)
        subnet = value(params, "SubnetId") or value(params, "NetworkInterface.1.SubnetId")
        groups = members(params, "SecurityGroupId") or members(params, "NetworkInterface.1.SecurityGroupId")
        launch = Launch(
            count=count,
            place=self._networks.place(subnet, groups, value(params, "Placement.AvailabilityZone")),
            at=datetime.now(UTC),
            image_id=value(params, "ImageId", IMAGE),
            instance_type=value(params, "InstanceType", INSTANCE_TYPE),
            key_name=value(params, "KeyName"),
            user_data=value(params, "UserData"),
            client_token=value(params, "ClientToken"),
            profile=self._profile(params),
            tag_sets=[_records(tags.get("instance", []))],
            volume_tags=_records(tags.get("volume", [])),
        )
        refuse_dry_run(params)
        launched = self._repeated(launch.client_token) or self.perform(launch)
        account = self._responses.get_account_id()
        # AWS answers before the instances run; here they do by the next call.
        items = "".join(
            instance_xml(pending(one), self._ec2._tags.get(one["InstanceId"]) or [], account) for one in launched
        )
        return (
            f"<reservationId>{launched[0]['ReservationId']}</reservationId><ownerId>{account}</ownerId><groupSet/>"
            f"<instancesSet>{items}</instancesSet>"
        )

    def _repeated(self, client_token: str) -> list[Any]:
        """Return what the same call, sent again because its answer was lost, has launched before."""
        instances = self._ec2._instances.values() if client_token else ()
        return [one for one in instances if one.get("ClientToken") == client_token]

    def _profile(self, params: Params) -> Any:
        arn, name = value(params, "IamInstanceProfile.Arn"), value(params, "IamInstanceProfile.Name")
        if not arn and not name:
            return None
        profile, refused = self._ec2._resolve_iam_instance_profile(iam_arn=arn, iam_name=name, allow_missing=True)
        if refused:
            message = f"Value ({arn or name}) for parameter iamInstanceProfile is invalid."
            raise Refusal("InvalidParameterValue", message)
        return profile


def pending(instance: dict[str, Any]) -> dict[str, Any]:
    """Return an instance as RunInstances answers it: it has no volumes yet."""
    reason = {"Code": "pending", "Message": "pending"}
    return {**instance, "State": {"Code": 0, "Name": "pending"}, "StateReason": reason, "BlockDeviceMappings": []}


def timestamp(moment: datetime) -> str:
    """Return a moment as EC2 writes it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _count(params: Params) -> int:
    """Return how many instances a call asks for: as AWS has room, MaxCount. Raises Refusal."""
    given = value(params, "MinCount", "1"), value(params, "MaxCount", "1")
    for one, name in zip(given, ("minCount", "maxCount"), strict=True):
        if not one.isdigit() or int(one) < 1:
            message = f"Value ({one}) for parameter {name} is invalid. The value must be greater than 0."
            raise Refusal("InvalidParameterValue", message)
    smallest, largest = map(int, given)
    if smallest > largest:
        message = f"Value ({smallest}) for parameter minCount is invalid. Parameter minCount must not exceed maxCount."
        raise Refusal("InvalidParameterCombination", message)
    if largest > INSTANCES_PER_CALL:
        raise Refusal("InstanceLimitExceeded", f"You have requested more instances ({largest}) than your limit allows.")
    return largest


def _records(tags: list[Tag]) -> list[dict[str, str]]:
    return [{"Key": tag.key, "Value": tag.value or ""} for tag in tags]


def _instance(instance_id: str, launch: Launch, at: str, index: int, region: str) -> dict[str, Any]:
    """Return an instance in the shape of MiniStack's records."""
    address = launch.place.address(instance_id)
    volume = {
        "VolumeId": f"vol-{secrets.token_hex(9)[:17]}",
        "Status": "attached",
        "AttachTime": at,
        "DeleteOnTermination": True,
    }
    return {
        "InstanceId": instance_id,
        "ImageId": launch.image_id,
        "InstanceType": launch.instance_type,
        "KeyName": launch.key_name,
        "State": {"Code": 16, "Name": "running"},
        "SubnetId": launch.place.subnet_id,
        "VpcId": launch.place.vpc_id,
        "PrivateIpAddress": address,
        "PublicIpAddress": "",
        "PrivateDnsName": f"ip-{address.replace('.', '-')}.{region}.compute.internal",
        "PublicDnsName": "",
        "SourceDestCheck": True,
        "SecurityGroups": [{"GroupId": group_id, "GroupName": name} for group_id, name in launch.place.groups],
        "Architecture": "arm64" if launch.instance_type.startswith(_ARM_FAMILIES) else "x86_64",
        "RootDeviceType": "ebs",
        "RootDeviceName": ROOT_DEVICE,
        "Hypervisor": "xen",
        "Virtualization": "hvm",
        "Placement": {"AvailabilityZone": launch.place.zone, "Tenancy": "default"},
        "Monitoring": {"State": "disabled"},
        "AmiLaunchIndex": index,
        "UserData": launch.user_data,
        "ClientToken": launch.client_token,
        "LaunchTime": at,
        "BlockDeviceMappings": [{"DeviceName": ROOT_DEVICE, "Ebs": volume}],
        "IamInstanceProfile": launch.profile,
    }


def _volume(instance: dict[str, Any], at: str) -> dict[str, Any]:
    """Return an instance's root volume in the shape of MiniStack's records."""
    attachment = instance["BlockDeviceMappings"][0]["Ebs"]
    return {
        "VolumeId": attachment["VolumeId"],
        "Size": 8,
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
        "State": "in-use",
        "VolumeType": "gp3",
        "SnapshotId": "",
        "Iops": 3000,
        "Encrypted": False,
        "CreateTime": at,
        "Attachments": [
            {
                "VolumeId": attachment["VolumeId"],
                "InstanceId": instance["InstanceId"],
                "Device": ROOT_DEVICE,
                "State": "attached",
                "AttachTime": at,
                "DeleteOnTermination": True,
            }
        ],
        "MultiAttachEnabled": False,
        "Throughput": 125,
    }
