"""An instance as EC2 describes it: the XML of DescribeInstances and RunInstances.

MiniStack leaves out the network interface and gives a terminated instance its network still.
Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
"""

from typing import Any

from portal.localcloud.standins.ec2_calls import text


def instance_xml(instance: Any, tags: list[dict[str, str]], account: str) -> str:
    """Return the <item> of an instance. Without a network, as AWS shows it, once it is terminated."""
    state = instance["State"]
    is_there = state["Name"] not in ("terminated", "shutting-down")
    placement = instance["Placement"]
    parts = [
        "<item>",
        f"<instanceId>{instance['InstanceId']}</instanceId><imageId>{text(instance['ImageId'])}</imageId>",
        f"<instanceState><code>{state['Code']}</code><name>{state['Name']}</name></instanceState>",
        f"<privateDnsName>{instance['PrivateDnsName'] if is_there else ''}</privateDnsName>",
        f"<dnsName>{instance.get('PublicDnsName', '') if state['Name'] == 'running' else ''}</dnsName>",
        f"<reason>{text(instance.get('StateTransitionReason', ''))}</reason>",
        f"<keyName>{text(instance['KeyName'])}</keyName>" if instance.get("KeyName") else "",
        f"<amiLaunchIndex>{instance['AmiLaunchIndex']}</amiLaunchIndex><productCodes/>",
        f"<instanceType>{text(instance['InstanceType'])}</instanceType>",
        f"<launchTime>{instance['LaunchTime']}</launchTime>",
        f"<placement><availabilityZone>{placement['AvailabilityZone']}</availabilityZone><groupName/>",
        f"<tenancy>{placement['Tenancy']}</tenancy></placement>",
        f"<monitoring><state>{instance['Monitoring']['State']}</state></monitoring>",
        _network_xml(instance, account) if is_there else "<groupSet/>",
        _reason_xml(instance),
        f"<architecture>{instance['Architecture']}</architecture>",
        f"<rootDeviceType>{instance['RootDeviceType']}</rootDeviceType>",
        f"<rootDeviceName>{instance['RootDeviceName']}</rootDeviceName>",
        _volumes_xml(instance) if is_there else "<blockDeviceMapping/>",
        f"<virtualizationType>{instance['Virtualization']}</virtualizationType>",
        f"<clientToken>{text(instance.get('ClientToken', ''))}</clientToken>",
        tag_set_xml(tags),
        f"<hypervisor>{instance['Hypervisor']}</hypervisor>",
        _interface_xml(instance, account) if is_there else "<networkInterfaceSet/>",
        _profile_xml(instance.get("IamInstanceProfile")) if is_there else "",
        "<ebsOptimized>false</ebsOptimized><enaSupport>true</enaSupport>",
        "<platformDetails>Linux/UNIX</platformDetails><usageOperation>RunInstances</usageOperation>",
        f"<usageOperationUpdateTime>{attached_at(instance)}</usageOperationUpdateTime>",
        "</item>",
    ]
    return "".join(parts)


def tag_set_xml(tags: list[dict[str, str]]) -> str:
    """Return tags as EC2 answers them."""
    items = "".join(
        f"<item><key>{text(tag['Key'])}</key><value>{text(tag.get('Value', ''))}</value></item>" for tag in tags
    )
    return f"<tagSet>{items}</tagSet>"


def attached_at(instance: Any) -> str:
    """Return when an instance got its root volume and network interface: its first launch, never renewed."""
    volumes = instance.get("BlockDeviceMappings") or [{}]
    return str(volumes[0].get("Ebs", {}).get("AttachTime") or instance["LaunchTime"])


def interface_id(instance: Any) -> str:
    """Return the id of an instance's network interface, which MiniStack does not make."""
    return f"eni-{instance['InstanceId'][2:]}"


def reservation_id(instance: Any) -> str:
    """Return the id of the reservation, that is of the call, that an instance was launched with."""
    return str(instance.get("ReservationId") or f"r-{instance['InstanceId'][2:]}")


def _network_xml(instance: Any, account: str) -> str:
    address = instance.get("PublicIpAddress")
    public = f"<ipAddress>{address}</ipAddress>" if address and instance["State"]["Name"] == "running" else ""
    return (
        f"<subnetId>{instance['SubnetId']}</subnetId><vpcId>{instance['VpcId']}</vpcId>"
        f"<privateIpAddress>{instance['PrivateIpAddress']}</privateIpAddress>{public}"
        f"<sourceDestCheck>{str(bool(instance.get('SourceDestCheck', True))).lower()}</sourceDestCheck>"
        + _groups_xml(instance)
    )


def _groups_xml(instance: Any) -> str:
    items = "".join(
        f"<item><groupId>{one['GroupId']}</groupId><groupName>{text(one['GroupName'])}</groupName></item>"
        for one in instance.get("SecurityGroups") or []
    )
    return f"<groupSet>{items}</groupSet>"


def _reason_xml(instance: Any) -> str:
    reason = instance.get("StateReason")
    if not reason:
        return ""
    return f"<stateReason><code>{reason['Code']}</code><message>{text(reason['Message'])}</message></stateReason>"


def _volumes_xml(instance: Any) -> str:
    items = "".join(
        f"<item><deviceName>{text(one['DeviceName'])}</deviceName><ebs><volumeId>{one['Ebs']['VolumeId']}</volumeId>"
        f"<status>{one['Ebs'].get('Status', 'attached')}</status><attachTime>{one['Ebs']['AttachTime']}</attachTime>"
        f"<deleteOnTermination>{str(bool(one['Ebs'].get('DeleteOnTermination', True))).lower()}</deleteOnTermination>"
        "</ebs></item>"
        for one in instance.get("BlockDeviceMappings") or []
    )
    return f"<blockDeviceMapping>{items}</blockDeviceMapping>"


def _interface_xml(instance: Any, account: str) -> str:
    digits, address = instance["InstanceId"][2:], instance["PrivateIpAddress"]
    hardware = ":".join(["06", *(digits[at : at + 2] for at in (0, 2, 4, 6)), "01"])
    return (
        f"<networkInterfaceSet><item><networkInterfaceId>{interface_id(instance)}</networkInterfaceId>"
        f"<subnetId>{instance['SubnetId']}</subnetId><vpcId>{instance['VpcId']}</vpcId><description/>"
        f"<ownerId>{account}</ownerId><status>in-use</status><macAddress>{hardware}</macAddress>"
        f"<privateIpAddress>{address}</privateIpAddress><privateDnsName>{instance['PrivateDnsName']}</privateDnsName>"
        f"<sourceDestCheck>true</sourceDestCheck>{_groups_xml(instance)}"
        f"<attachment><attachmentId>eni-attach-{digits}</attachmentId><deviceIndex>0</deviceIndex>"
        f"<status>attached</status><attachTime>{attached_at(instance)}</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>"
        f"<privateIpAddressesSet><item><privateIpAddress>{address}</privateIpAddress><primary>true</primary></item>"
        "</privateIpAddressesSet><interfaceType>interface</interfaceType></item></networkInterfaceSet>"
    )


def _profile_xml(profile: Any) -> str:
    if not profile:
        return ""
    return (
        f"<iamInstanceProfile><arn>{text(profile.get('Arn', ''))}</arn>"
        f"<id>{text(profile.get('Id', ''))}</id></iamInstanceProfile>"
    )
