"""Contract of portal/localcloud/standins/table_settings.py and time_to_live.py."""

import json
import time
from typing import Any

import pytest

from tests.localcloud.running_cloud import RunningCloud, wait_until


def template(name: str, **properties: Any) -> str:
    """Return a template with one table."""
    table = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "Id", "AttributeType": "S"},
            {"AttributeName": "Kind", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-kind",
                "KeySchema": [{"AttributeName": "Kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        **properties,
    }
    return json.dumps({"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": table}}})


def settings_of(cloud: RunningCloud, name: str) -> tuple[str, str]:
    """Return whether time to live and point-in-time recovery are on."""
    dynamodb = cloud.client("dynamodb")
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    return ttl, backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]


def finish(cloud: RunningCloud, name: str, status: str) -> None:
    stacks = cloud.client("cloudformation")
    wait_until(lambda: stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == status)


def test_template_sets_time_to_live_and_recovery(cloud: RunningCloud, name: str) -> None:
    stacks, dynamodb = cloud.client("cloudformation"), cloud.client("dynamodb")
    on = {
        "TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    stacks.create_stack(StackName=name, TemplateBody=template(name, **on))
    finish(cloud, name, "CREATE_COMPLETE")
    assert settings_of(cloud, name) == ("ENABLED", "ENABLED")
    described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert described["AttributeName"] == "ExpiresAt"

    off = {"TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": False}}
    stacks.update_stack(StackName=name, TemplateBody=template(name, **off))
    finish(cloud, name, "UPDATE_COMPLETE")
    assert settings_of(cloud, name) == ("DISABLED", "DISABLED")

    stacks.update_stack(StackName=name, TemplateBody=template(name, **on))
    finish(cloud, name, "UPDATE_COMPLETE")
    assert settings_of(cloud, name) == ("ENABLED", "ENABLED")
    stacks.delete_stack(StackName=name)
    wait_until(lambda: name not in dynamodb.list_tables()["TableNames"])
    stacks.create_stack(StackName=name, TemplateBody=template(name))
    finish(cloud, name, "CREATE_COMPLETE")
    assert settings_of(cloud, name) == ("DISABLED", "DISABLED")


def test_expired_items_go_from_table_index_and_into_the_stream(cloud: RunningCloud, name: str) -> None:
    dynamodb, streams = cloud.client("dynamodb"), cloud.client("dynamodbstreams")
    stream = {"StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}}
    ttl = {"TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": True}}
    cloud.client("cloudformation").create_stack(StackName=name, TemplateBody=template(name, **stream, **ttl))
    finish(cloud, name, "CREATE_COMPLETE")
    now = int(time.time())
    expiries = {
        "expired": {"N": str(now - 10)},
        "future": {"N": str(now + 3600)},
        "text": {"S": str(now - 10)},
        "too old to be a time": {"N": str(now - 6 * 365 * 24 * 3600)},
    }
    for key, expiry in expiries.items():
        dynamodb.put_item(TableName=name, Item={"Id": {"S": key}, "Kind": {"S": "k"}, "ExpiresAt": expiry})
    dynamodb.put_item(TableName=name, Item={"Id": {"S": "without"}, "Kind": {"S": "k"}})
    kept = {"future", "text", "too old to be a time", "without"}
    wait_until(lambda: {item["Id"]["S"] for item in dynamodb.scan(TableName=name)["Items"]} == kept)
    found = dynamodb.query(
        TableName=name,
        IndexName="by-kind",
        KeyConditionExpression="Kind = :kind",
        ExpressionAttributeValues={":kind": {"S": "k"}},
    )
    assert {item["Id"]["S"] for item in found["Items"]} == kept
    assert dynamodb.describe_table(TableName=name)["Table"]["ItemCount"] == len(kept)
    arn = dynamodb.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    removed = [record for record in records if record["eventName"] == "REMOVE"]
    assert [record["dynamodb"]["OldImage"]["Id"]["S"] for record in removed] == ["expired"]
    assert removed[0]["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


@pytest.mark.parametrize("status", ["DISABLED", "never set"])
def test_items_stay_where_time_to_live_is_off(cloud: RunningCloud, name: str, status: str) -> None:
    dynamodb = cloud.client("dynamodb")
    off = {"TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": False}}
    properties = off if status == "DISABLED" else {}
    cloud.client("cloudformation").create_stack(StackName=name, TemplateBody=template(name, **properties))
    finish(cloud, name, "CREATE_COMPLETE")
    past = {"N": str(int(time.time()) - 10)}
    dynamodb.put_item(TableName=name, Item={"Id": {"S": "a"}, "ExpiresAt": past})
    # A sweep has passed when an item of a table with time to live, written later, is gone.
    other = f"{name}-swept"
    on = {"TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": True}}
    cloud.client("cloudformation").create_stack(StackName=other, TemplateBody=template(other, **on))
    finish(cloud, other, "CREATE_COMPLETE")
    dynamodb.put_item(TableName=other, Item={"Id": {"S": "a"}, "ExpiresAt": past})
    wait_until(lambda: not dynamodb.scan(TableName=other)["Items"])
    assert len(dynamodb.scan(TableName=name)["Items"]) == 1
