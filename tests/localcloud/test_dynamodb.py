"""What the portal relies on in the cloud's DynamoDB and its policies; MiniStack passes as it is."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.running_cloud import ACCOUNT_ID, REGION, RunningCloud

Item = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def table(cloud: RunningCloud) -> Iterator[str]:
    """Return a table with a numeric and a textual index, the second with some attributes only."""
    name = f"rides-{uuid.uuid4().hex[:8]}"
    dynamodb = cloud.client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "Owner", "KeyType": "HASH"},
            {"AttributeName": "Id", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "Owner", "AttributeType": "S"},
            {"AttributeName": "Id", "AttributeType": "S"},
            {"AttributeName": "Status", "AttributeType": "S"},
            {"AttributeName": "Number", "AttributeType": "N"},
            {"AttributeName": "At", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-number",
                "KeySchema": [
                    {"AttributeName": "Status", "KeyType": "HASH"},
                    {"AttributeName": "Number", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": "by-time",
                "KeySchema": [
                    {"AttributeName": "Status", "KeyType": "HASH"},
                    {"AttributeName": "At", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Title"]},
            },
        ],
    )
    yield name
    dynamodb.delete_table(TableName=name)


def ride(owner: str, number: int, **attributes: Any) -> Item:
    """Return an item whose id sorts otherwise than its number."""
    return {
        "Owner": {"S": owner},
        "Id": {"S": f"{(number * 7) % 10}-{number}"},
        "Status": {"S": owner},
        "Number": {"N": str(number)},
        "At": {"S": f"2026-01-{number + 1:02d}T00:00:00Z"},
        "Title": {"S": f"t{number}"},
        "Secret": {"S": "s"},
        **attributes,
    }


@pytest.fixture
def owner(dynamodb: Any, table: str, name: str) -> str:
    """Return an owner of twelve rides, numbered 0 to 11."""
    for number in range(12):
        dynamodb.put_item(TableName=table, Item=ride(name, number))
    return name


def numbers(answer: Any) -> list[int]:
    return [int(item["Number"]["N"]) for item in answer["Items"]]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = error.value.response["Error"]["Code"]
    return code


def test_numeric_index_sorts_by_number_both_ways(dynamodb: Any, table: str, owner: str) -> None:
    query = {
        "TableName": table,
        "IndexName": "by-number",
        "KeyConditionExpression": "#status = :status AND #number BETWEEN :low AND :high",
        "ExpressionAttributeNames": {"#status": "Status", "#number": "Number"},
        "ExpressionAttributeValues": {":status": {"S": owner}, ":low": {"N": "2"}, ":high": {"N": "10"}},
    }
    assert numbers(dynamodb.query(**query)) == list(range(2, 11))
    assert numbers(dynamodb.query(**query, ScanIndexForward=False)) == list(range(10, 1, -1))


def test_pages_of_an_index_join_without_gap_or_repetition(dynamodb: Any, table: str, owner: str) -> None:
    query = {
        "TableName": table,
        "IndexName": "by-time",
        "KeyConditionExpression": "#status = :status",
        "ExpressionAttributeNames": {"#status": "Status"},
        "ExpressionAttributeValues": {":status": {"S": owner}},
        "ScanIndexForward": False,
        "Limit": 5,
    }
    found: list[str] = []
    start: dict[str, Any] = {}
    sizes = []
    while True:
        page = dynamodb.query(**query, **start)
        found += [item["Title"]["S"] for item in page["Items"]]
        sizes.append(page["Count"])
        if "LastEvaluatedKey" not in page:
            break
        assert set(page["LastEvaluatedKey"]) == {"Owner", "Id", "Status", "At"}
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == [f"t{number}" for number in range(11, -1, -1)]
    assert sizes == [5, 5, 2]


def test_included_attributes_are_all_an_index_has(dynamodb: Any, table: str, owner: str) -> None:
    item = dynamodb.query(
        TableName=table,
        IndexName="by-time",
        KeyConditionExpression="#status = :status",
        ExpressionAttributeNames={"#status": "Status"},
        ExpressionAttributeValues={":status": {"S": owner}},
        Limit=1,
    )["Items"][0]
    assert set(item) == {"Owner", "Id", "Status", "At", "Title"}


def test_limit_counts_before_the_filter(dynamodb: Any, table: str, owner: str) -> None:
    page = dynamodb.query(
        TableName=table,
        IndexName="by-number",
        KeyConditionExpression="#status = :status",
        FilterExpression="#number >= :least",
        ExpressionAttributeNames={"#status": "Status", "#number": "Number"},
        ExpressionAttributeValues={":status": {"S": owner}, ":least": {"N": "3"}},
        Limit=5,
    )
    assert (page["ScannedCount"], page["Count"], numbers(page)) == (5, 2, [3, 4])
    assert page["LastEvaluatedKey"]["Number"] == {"N": "4"}


def test_item_without_the_index_keys_is_not_in_the_index(dynamodb: Any, table: str, owner: str) -> None:
    key = {"Owner": {"S": owner}, "Id": {"S": "0-0"}}
    update = {"TableName": table, "Key": key, "ExpressionAttributeNames": {"#number": "Number"}}
    dynamodb.update_item(**update, UpdateExpression="REMOVE #number")
    query = {
        "TableName": table,
        "IndexName": "by-number",
        "KeyConditionExpression": "#status = :status",
        "ExpressionAttributeNames": {"#status": "Status"},
        "ExpressionAttributeValues": {":status": {"S": owner}},
    }
    assert numbers(dynamodb.query(**query)) == list(range(1, 12))


def test_consumed_capacity_is_reported(dynamodb: Any, table: str, owner: str) -> None:
    values = {":owner": {"S": owner}}
    for consistent, units in ((False, 0.5), (True, 1.0)):
        page = dynamodb.query(
            TableName=table,
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "Owner"},
            ExpressionAttributeValues=values,
            ConsistentRead=consistent,
            ReturnConsumedCapacity="TOTAL",
        )
        assert page["ConsumedCapacity"] == {"TableName": table, "CapacityUnits": units}
    index = dynamodb.query(
        TableName=table,
        IndexName="by-time",
        KeyConditionExpression="#status = :owner",
        ExpressionAttributeNames={"#status": "Status"},
        ExpressionAttributeValues=values,
        ReturnConsumedCapacity="INDEXES",
    )
    assert index["ConsumedCapacity"]["GlobalSecondaryIndexes"]["by-time"]["CapacityUnits"] == 0.5
    item = {"Owner": {"S": owner}, "Id": {"S": "plain"}}
    written = dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": table, "Item": item}}], ReturnConsumedCapacity="TOTAL"
    )
    assert written["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}]


def test_transaction_with_the_same_token_is_done_once(dynamodb: Any, table: str, name: str) -> None:
    key = {"Owner": {"S": name}, "Id": {"S": "counter"}}
    add = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "ADD Hits :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    token = uuid.uuid4().hex
    for _ in range(3):
        dynamodb.transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken=token)
    assert dynamodb.get_item(TableName=table, Key=key)["Item"]["Hits"] == {"N": "1"}
    other = {**add, "ExpressionAttributeValues": {":one": {"N": "2"}}}
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[{"Update": other}], ClientRequestToken=token)
    assert code_of(refused) == "IdempotentParameterMismatchException"


def test_cancelled_transaction_says_why_and_shows_the_item(dynamodb: Any, table: str, owner: str) -> None:
    key = {"Owner": {"S": owner}, "Id": {"S": "0-0"}}
    new = {"Owner": {"S": owner}, "Id": {"S": "new"}}
    with pytest.raises(ClientError) as cancelled:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": table, "Item": new}},
                {
                    "ConditionCheck": {
                        "TableName": table,
                        "Key": key,
                        "ConditionExpression": "#number = :other",
                        "ExpressionAttributeNames": {"#number": "Number"},
                        "ExpressionAttributeValues": {":other": {"N": "99"}},
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
            ]
        )
    assert code_of(cancelled) == "TransactionCanceledException"
    reasons = cancelled.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"] == ride(owner, 0)
    assert "Item" not in dynamodb.get_item(TableName=table, Key=new)


def test_failed_condition_shows_the_item(dynamodb: Any, table: str, owner: str) -> None:
    with pytest.raises(ClientError) as failed:
        dynamodb.put_item(
            TableName=table,
            Item=ride(owner, 0),
            ConditionExpression="attribute_not_exists(Id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert code_of(failed) == "ConditionalCheckFailedException"
    assert failed.value.response["Item"] == ride(owner, 0)  # type: ignore[typeddict-item]


def test_update_sets_removes_and_returns(dynamodb: Any, table: str, owner: str) -> None:
    answer = dynamodb.update_item(
        TableName=table,
        Key={"Owner": {"S": owner}, "Id": {"S": "0-0"}},
        UpdateExpression="SET Title = :title, Version = if_not_exists(Version, :zero) + :one REMOVE Secret",
        ConditionExpression="attribute_exists(Id) AND (attribute_not_exists(Version) OR Version = :zero)",
        ExpressionAttributeValues={":title": {"S": "new"}, ":zero": {"N": "0"}, ":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert (answer["Title"], answer["Version"], "Secret" in answer) == ({"S": "new"}, {"N": "1"}, False)


def test_concurrent_writers_lose_nothing(cloud: RunningCloud, dynamodb: Any, table: str, name: str) -> None:
    key = {"Owner": {"S": name}, "Id": {"S": "counter"}}
    add = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "ADD Hits :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }

    def write(number: int) -> None:
        if number % 2:
            dynamodb.update_item(**add)
        else:
            dynamodb.transact_write_items(TransactItems=[{"Update": add}])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(200)))
    assert dynamodb.get_item(TableName=table, Key=key)["Item"]["Hits"] == {"N": "200"}


def role_key(cloud: RunningCloud, name: str, *statements: dict[str, Any]) -> tuple[str, str, str]:
    """Return the key of a session of a role that may do what the statements say."""
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
    }
    iam = cloud.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=document(*statements))
    session = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_policy_of_a_table_does_not_cover_its_indexes(cloud: RunningCloud, table: str, owner: str, name: str) -> None:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}"
    by_table = {
        "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": {"#owner": "Owner"},
        "ExpressionAttributeValues": {":owner": {"S": owner}},
    }
    by_index = {**by_table, "ExpressionAttributeNames": {"#owner": "Status"}}
    allow = {"Effect": "Allow", "Action": "dynamodb:Query"}
    for resource, permitted in (
        (arn, "table"),
        (f"{arn}/index/by-time", "by-time"),
        (f"{arn}/index/*", "by-*"),
    ):
        key = role_key(cloud, f"{name}-{permitted.replace('*', 'all')}", {**allow, "Resource": resource})
        dynamodb = cloud.client("dynamodb", key=key)
        outcomes = {}
        for index in ("", "by-time", "by-number"):
            query = {**by_index, "IndexName": index} if index else by_table
            try:
                dynamodb.query(TableName=table, **query)
                outcomes[index] = ""
            except ClientError as refused:
                outcomes[index] = refused.response["Error"]["Code"]
        denied = "AccessDeniedException"
        assert outcomes == {
            "": "" if permitted == "table" else denied,
            "by-time": "" if permitted.startswith("by-") else denied,
            "by-number": "" if permitted == "by-*" else denied,
        }


def test_transaction_needs_the_permission_of_each_part(cloud: RunningCloud, table: str, owner: str, name: str) -> None:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}"
    key = role_key(cloud, name, {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": arn})
    dynamodb = cloud.client("dynamodb", key=key)
    put = {"Put": {"TableName": table, "Item": ride(owner, 20)}}
    dynamodb.transact_write_items(TransactItems=[put])
    delete = {"Delete": {"TableName": table, "Key": {"Owner": {"S": owner}, "Id": {"S": "0-0"}}}}
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[put, delete])
    assert code_of(refused) == "AccessDeniedException"


def test_explicit_deny_wins(cloud: RunningCloud, table: str, owner: str, name: str) -> None:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}"
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": "dynamodb:DeleteItem", "Resource": arn}
    dynamodb = cloud.client("dynamodb", key=role_key(cloud, name, allow, deny))
    ride_key = {"Owner": {"S": owner}, "Id": {"S": "0-0"}}
    assert "Item" in dynamodb.get_item(TableName=table, Key=ride_key)
    with pytest.raises(ClientError) as refused:
        dynamodb.delete_item(TableName=table, Key=ride_key)
    assert code_of(refused) == "AccessDeniedException"


def test_lost_reply_of_a_transaction_is_harmless_with_its_token(start: Any, name: str) -> None:
    cloud = start()
    dynamodb = cloud.client("dynamodb", attempts=3)
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
    )
    fault = {"service": "dynamodb", "action": "TransactWriteItems", "kind": "lost_reply", "times": 1}
    cloud.control("POST", "/_portico/faults", fault)
    add = {
        "TableName": name,
        "Key": {"Id": {"S": "a"}},
        "UpdateExpression": "ADD Hits :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    dynamodb.transact_write_items(TransactItems=[{"Update": add}])
    assert dynamodb.get_item(TableName=name, Key={"Id": {"S": "a"}})["Item"]["Hits"] == {"N": "1"}
    assert cloud.control("GET", "/_portico/calls")["services"]["dynamodb"]["TransactWriteItems"] == 2
