"""Where an instance is launched: its subnet, an address in it and its security groups.

MiniStack puts every instance in zone "a" and on an address of its own choice, whatever the subnet.
"""

import ipaddress
import zlib
from dataclasses import dataclass
from typing import Any

from portal.localcloud.standins.ec2_calls import Ec2Calls, not_existing
from portal.localcloud.standins.role_sessions import Refusal

VPC_RANGE = "10.0.0.0/16"
ZONES = "abc"
# The first four addresses and the last of a subnet are AWS's own.
RESERVED_ADDRESSES = 4


@dataclass(frozen=True)
class Place:
    """A subnet and the security groups there."""

    subnet_id: str
    vpc_id: str
    zone: str
    range: ipaddress.IPv4Network
    groups: tuple[tuple[str, str], ...]

    def address(self, instance_id: str) -> str:
        """Return the private address of an instance. Two instances may share one: nothing here routes."""
        count = self.range.num_addresses - RESERVED_ADDRESSES - 1
        return str(self.range[RESERVED_ADDRESSES + int(instance_id.removeprefix("i-"), 16) % count])


class Networks:
    """Finds subnets in MiniStack's records, and makes a VPC that a test or sample only names."""

    def __init__(self, calls: Ec2Calls) -> None:
        self._ec2 = calls.ec2

    def place(self, subnet_id: str, group_ids: list[str], zone: str = "") -> Place:
        """Return the place of that subnet, or of the default VPC's subnet in the zone. Raises Refusal."""
        ec2 = self._ec2
        if not subnet_id:
            return self._place_in(ec2._DEFAULT_VPC_ID, group_ids, zone)
        if subnet_id not in ec2._subnets:
            raise Refusal("InvalidSubnetID.NotFound", not_existing("subnet ID", [subnet_id]))
        return self._of(ec2._subnets[subnet_id], group_ids)

    def place_in_vpc(self, vpc_id: str, account: str, region: str) -> Place:
        """Return a place in that VPC. It is made if there is none, and gets subnets if it has none."""
        ec2, vpc_id = self._ec2, vpc_id or self._ec2._DEFAULT_VPC_ID
        if vpc_id not in ec2._vpcs:
            self._make(vpc_id, account)
        if all(subnet["VpcId"] != vpc_id for subnet in ec2._subnets.values()):
            self._add_subnets(vpc_id, account, region)
        return self._place_in(vpc_id, [], "")

    def _place_in(self, vpc_id: str, group_ids: list[str], zone: str) -> Place:
        for subnet in self._ec2._subnets.values():
            if subnet["VpcId"] == vpc_id and zone in ("", subnet["AvailabilityZone"]):
                return self._of(subnet, group_ids)
        if zone:
            raise Refusal("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
        raise Refusal("MissingInput", f"No subnets found for the VPC '{vpc_id}'. Please specify a subnet.")

    def _of(self, subnet: Any, group_ids: list[str]) -> Place:
        ec2, vpc_id = self._ec2, subnet["VpcId"]
        missing = [one for one in group_ids if one not in ec2._security_groups]
        if missing:
            raise Refusal("InvalidGroup.NotFound", not_existing("security group", missing))
        groups = group_ids or [ec2._vpcs.get(vpc_id, {}).get("DefaultSecurityGroupId", "")]
        return Place(
            subnet_id=subnet["SubnetId"],
            vpc_id=vpc_id,
            zone=subnet["AvailabilityZone"],
            range=ipaddress.IPv4Network(subnet["CidrBlock"]),
            groups=tuple(
                (one, ec2._security_groups[one]["GroupName"]) for one in groups if one in ec2._security_groups
            ),
        )

    def _make(self, vpc_id: str, account: str) -> None:
        """Make a VPC with a default security group."""
        ec2 = self._ec2
        digits = f"{zlib.crc32(vpc_id.encode()):08x}"
        group_id = f"sg-{digits}"
        everywhere = {"IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "PrefixListIds": []}
        ec2._security_groups[group_id] = {
            "GroupId": group_id,
            "GroupName": "default",
            "Description": "default VPC security group",
            "VpcId": vpc_id,
            "OwnerId": account,
            "IpPermissions": [],
            "IpPermissionsEgress": [{"IpProtocol": "-1", **everywhere, "UserIdGroupPairs": []}],
        }
        ec2._vpcs[vpc_id] = {
            "VpcId": vpc_id,
            "CidrBlock": VPC_RANGE,
            "State": "available",
            "IsDefault": False,
            "DhcpOptionsId": "dopt-00000001",
            "InstanceTenancy": "default",
            "OwnerId": account,
            "DefaultNetworkAclId": f"acl-{digits}",
            "DefaultSecurityGroupId": group_id,
            "MainRouteTableId": f"rtb-{digits}",
        }

    def _add_subnets(self, vpc_id: str, account: str, region: str) -> None:
        """Make a subnet in each zone."""
        ec2, digits = self._ec2, f"{zlib.crc32(vpc_id.encode()):08x}"
        quarters = ipaddress.IPv4Network(ec2._vpcs[vpc_id]["CidrBlock"]).subnets(prefixlen_diff=2)
        for number, (letter, quarter) in enumerate(zip(ZONES, quarters, strict=False)):
            zone, subnet_id = f"{region}{letter}", f"subnet-{digits}{number}"
            ec2._subnets[subnet_id] = {
                "SubnetId": subnet_id,
                "VpcId": vpc_id,
                "CidrBlock": str(quarter),
                "AvailabilityZone": zone,
                "AvailabilityZoneId": ec2._az_id_for_zone_name(zone),
                "AvailableIpAddressCount": quarter.num_addresses - RESERVED_ADDRESSES - 1,
                "State": "available",
                "DefaultForAz": False,
                "MapPublicIpOnLaunch": False,
                "OwnerId": account,
            }
