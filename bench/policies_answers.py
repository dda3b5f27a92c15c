"""An instance of the fleet as EC2 describes it and as CloudTrail tells of its launch."""

from __future__ import annotations

import json
from uuid import UUID
from xml.sax.saxutils import escape

from bench.policies_fleet import ACCOUNT, REGION, SEED, USERS, VPC, Launched, Tags

# --- As EC2 describes it ----------------------------------------------------------------------------------------------


def around_tags(one: Launched) -> tuple[str, str]:
    """Return the XML of the reservation before and after the instance's tags: a Linux instance with one volume and one
    network interface, in 2.9 kB. EC2's own answers are indented, too.

    Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """
    n = f"{one.number:017x}"
    at = f"{one.at:%Y-%m-%dT%H:%M:%S.000Z}"
    code = {"running": 16, "stopped": 80}[one.state]
    name = f"ip-{one.address.replace('.', '-')}.{REGION}.compute.internal"
    group = "<item><groupId>sg-0f1e2d3c4b5a69788</groupId><groupName>default</groupName></item>"
    before = f"""<item>
<reservationId>r-{n}</reservationId><ownerId>{ACCOUNT}</ownerId><groupSet/><instancesSet><item>
<instanceId>{one.instance_id}</instanceId><imageId>ami-0c1c30571d2dae5c9</imageId>
<instanceState><code>{code}</code><name>{one.state}</name></instanceState>
<privateDnsName>{name}</privateDnsName><dnsName/><reason/><keyName>operators</keyName>
<amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>{one.instance_type}</instanceType>
<launchTime>{at}</launchTime>
<placement><availabilityZone>{REGION}{"abc"[one.number % 3]}</availabilityZone><groupName/>
<tenancy>default</tenancy></placement>
<monitoring><state>disabled</state></monitoring><subnetId>subnet-0aa1bb2cc3dd4ee5{one.number % 3}</subnetId>
<vpcId>{VPC}</vpcId><privateIpAddress>{one.address}</privateIpAddress>
<sourceDestCheck>true</sourceDestCheck><groupSet>{group}</groupSet><architecture>x86_64</architecture>
<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item>
<deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-{n}</volumeId><status>attached</status>
<attachTime>{at}</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>
<virtualizationType>hvm</virtualizationType>""".replace("\n", "")
    after = f"""<hypervisor>xen</hypervisor><networkInterfaceSet><item>
<networkInterfaceId>eni-{n}</networkInterfaceId><subnetId>subnet-0aa1bb2cc3dd4ee5{one.number % 3}</subnetId>
<vpcId>{VPC}</vpcId><description/><status>in-use</status>
<macAddress>02:{n[-10:-8]}:{n[-8:-6]}:{n[-6:-4]}:{n[-4:-2]}:{n[-2:]}</macAddress>
<privateIpAddress>{one.address}</privateIpAddress><groupSet>{group}</groupSet><attachment>
<attachmentId>eni-attach-{n}</attachmentId><deviceIndex>0</deviceIndex><status>attached</status>
<attachTime>{at}</attachTime><deleteOnTermination>true</deleteOnTermination></attachment><privateIpAddressesSet><item>
<privateIpAddress>{one.address}</privateIpAddress><primary>true</primary>
</item></privateIpAddressesSet></item>
</networkInterfaceSet><iamInstanceProfile><arn>arn:aws:iam::{ACCOUNT}:instance-profile/web</arn>
<id>AIPAEXAMPLE0123456789</id></iamInstanceProfile><ebsOptimized>false</ebsOptimized><enaSupport>true</enaSupport>
<cpuOptions><coreCount>1</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions>
<metadataOptions><state>applied</state><httpTokens>required</httpTokens>
<httpPutResponseHopLimit>2</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint></metadataOptions>
<platformDetails>Linux/UNIX</platformDetails>
</item></instancesSet></item>""".replace("\n", "")
    return before, after


def tag_set(tags: Tags) -> str:
    """Return the tagSet element, which an instance without tags does not have."""
    if not tags:
        return ""
    items = (
        f"<item><key>{escape(key)}</key>{f'<value>{escape(value)}</value>' if value else '<value/>'}</item>"
        for key, value in tags.items()
    )
    return f"<tagSet>{''.join(items)}</tagSet>"


# --- As CloudTrail tells of it ----------------------------------------------------------------------------------------


def identity(creator: str) -> dict[str, object]:
    """Return the userIdentity of an IAM user or, for a mail address, of somebody's session of a role."""
    if creator in USERS:
        return {
            "type": "IAMUser",
            "principalId": f"AIDA{creator.upper():X<17.17}",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{creator}",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": creator,
        }
    role = "AROAIOSFODNN7EXAMPLE0"
    return {
        "type": "AssumedRole",
        "principalId": f"{role}:{creator}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Developers/{creator}",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": role,
                "arn": f"arn:aws:iam::{ACCOUNT}:role/Developers",
                "accountId": ACCOUNT,
                "userName": "Developers",
            },
            "attributes": {"creationDate": "2026-11-01T08:00:00Z", "mfaAuthenticated": "true"},
        },
    }


def event(one: Launched) -> dict[str, object]:
    """Return the RunInstances event as LookupEvents answers it.

    Reference: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    """
    event_id, who = str(UUID(int=SEED << 64 | one.number)), identity(one.creator)
    placement = {"availabilityZone": f"{REGION}a", "tenancy": "default"}
    record = {
        "eventVersion": "1.09",
        "userIdentity": who,
        "eventTime": f"{one.at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.64",
        "userAgent": "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.13.7",
        "requestParameters": {
            "instancesSet": {
                "items": [{"imageId": "ami-0c1c30571d2dae5c9", "minCount": 1, "maxCount": 1, "keyName": "operators"}]
            },
            "groupSet": {"items": [{"groupId": "sg-0f1e2d3c4b5a69788"}]},
            "instanceType": one.instance_type,
            "blockDeviceMapping": {},
            "monitoring": {"enabled": False},
            "disableApiTermination": False,
            "clientToken": str(UUID(int=one.number)),
        },
        "responseElements": {
            "requestId": event_id,
            "reservationId": f"r-{one.number:017x}",
            "ownerId": ACCOUNT,
            "groupSet": {},
            "instancesSet": {
                "items": [
                    {
                        "instanceId": one.instance_id,
                        "imageId": "ami-0c1c30571d2dae5c9",
                        "instanceState": {"code": 0, "name": "pending"},
                        "privateIpAddress": one.address,
                        "keyName": "operators",
                        "amiLaunchIndex": 0,
                        "instanceType": one.instance_type,
                        "launchTime": int(one.at.timestamp()) * 1000,
                        "placement": placement,
                        "vpcId": VPC,
                        "architecture": "x86_64",
                        "rootDeviceType": "ebs",
                        "virtualizationType": "hvm",
                        "hypervisor": "xen",
                    }
                ]
            },
        },
        "requestID": event_id,
        "eventID": event_id,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    return {
        "EventId": event_id,
        "EventName": "RunInstances",
        "ReadOnly": "false",
        "AccessKeyId": who["accessKeyId"],
        "EventTime": one.at.timestamp(),
        "EventSource": "ec2.amazonaws.com",
        "Username": one.creator,
        "Resources": [
            {"ResourceType": "AWS::EC2::Ami", "ResourceName": "ami-0c1c30571d2dae5c9"},
            {"ResourceType": "AWS::EC2::Instance", "ResourceName": one.instance_id},
        ],
        "CloudTrailEvent": json.dumps(record),
    }
