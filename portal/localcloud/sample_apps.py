"""Sample applications: two that are ready, one of them in a page of the portal, and one whose fleet is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal.dynamo.values import to_item
from portal.localcloud.cloud import Cloud

DESIGNERS, DESIGNER = "designers", "author"
ARCHIVISTS = "archivists"
IMAGE, INSTANCE = "sample-image", "stream.standard.small"
FLEETS = [
    {"Name": "sample-studio", "FleetType": "ALWAYS_ON", "StreamView": "APP"},
    {"Name": "sample-ledger", "FleetType": "ON_DEMAND", "StreamView": "APP"},
]
STARTED = ("portico-apps", "sample-studio")


def catalogue(outputs: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "ApplicationId": "desktop",
            "Title": "Desktop",
            "Summary": "A whole computer, with a browser and an office suite.",
            "Groups": "*",
            "Stack": outputs["StreamingStack"],
            "Fleet": outputs["StreamingFleet"],
            "Application": "Desktop",
            "Opens": "frame",
            "IsDefault": True,
        },
        {
            "ApplicationId": "design-studio",
            "Title": "Design studio",
            "Summary": "Drawings, plans and pictures, on a machine that is fast enough for them.",
            "Groups": DESIGNERS,
            "Stack": "sample-studio",
            "Fleet": "sample-studio",
            "Application": "Studio",
            "MostMinutes": 240,
        },
        {
            "ApplicationId": "ledger",
            "Title": "Ledger",
            "Summary": "The books of the years before 2020, for whoever has to look something up.",
            "Groups": ARCHIVISTS,
            "ShownToAll": True,
            "Stack": "sample-ledger",
            "Fleet": "sample-ledger",
            "Application": "Ledger",
        },
    ]


def load(cloud: Cloud, outputs: Mapping[str, str]) -> None:
    """Add the group, the fleets and the catalogue where there is no catalogue yet."""
    dynamodb, table = cloud.client("dynamodb"), outputs["StreamingApplicationsTable"]
    if dynamodb.scan(TableName=table, Limit=1)["Items"]:
        return
    cognito, pool = cloud.client("cognito-idp"), outputs["UserPoolId"]
    there = [one["GroupName"] for one in cognito.list_groups(UserPoolId=pool)["Groups"]]
    for group, may in ((DESIGNERS, "May start the design studio"), (ARCHIVISTS, "May start the ledger")):
        if group not in there:
            cognito.create_group(UserPoolId=pool, GroupName=group, Description=may)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=DESIGNER, GroupName=DESIGNERS)
    _make_fleets(cloud.client("appstream"))
    for one in catalogue(outputs):
        dynamodb.put_item(TableName=table, Item=to_item({"Opens": "tab", "Enabled": True, **one}))


def _make_fleets(appstream: Any) -> None:
    there = {one["Name"]: one["State"] for one in appstream.describe_fleets()["Fleets"]}
    for fleet in FLEETS:
        if fleet["Name"] not in there:
            appstream.create_stack(Name=fleet["Name"])
            appstream.create_fleet(
                ImageName=IMAGE, InstanceType=INSTANCE, ComputeCapacity={"DesiredInstances": 1}, **fleet
            )
            appstream.associate_fleet(FleetName=fleet["Name"], StackName=fleet["Name"])
    for name in STARTED:
        if there.get(name, "STOPPED") == "STOPPED":
            appstream.start_fleet(Name=name)
