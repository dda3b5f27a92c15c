"""The peer: the loop of the published example, which makes one call for each instance and tag.

For each instance and rule it looks at the tag and, where that is missing or empty, calls CreateTags; who launched an
instance it asks CloudTrail about that instance. It is written anew after the article's description. The article then
stops or terminates what has no tags, which is left out here: no other side does that unless a rule says so.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import boto3

ec2, dynamodb, cloudtrail = boto3.client("ec2"), boto3.client("dynamodb"), boto3.client("cloudtrail")


def value_of(rule: dict[str, Any], instance_id: str) -> str:
    if rule["Action"]["S"] == "Update":
        return str(rule["Default"]["S"])
    if rule["Action"]["S"] == "UserLookup":
        events = cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": instance_id}]
        )["Events"]
        return str(next(event["Username"] for event in events if event["EventName"] == "RunInstances"))
    return f"{datetime.now(UTC):%Y-%m-%d}"


def main() -> None:
    rules = dynamodb.scan(TableName=os.environ["PORTICO_TAG_POLICIES_TABLE"])["Items"]
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "vpc-id", "Values": [os.environ["BENCH_VPC"]]}]
    )
    for page in pages:
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
                for rule in rules:
                    key = rule["TagKey"]["S"]
                    if not tags.get(key):
                        ec2.create_tags(
                            Resources=[instance["InstanceId"]],
                            Tags=[{"Key": key, "Value": value_of(rule, instance["InstanceId"])}],
                        )


if __name__ == "__main__":
    main()
