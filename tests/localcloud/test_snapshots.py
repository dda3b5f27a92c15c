"""Contract of snapshots.py and table_snapshots.py: what survives a stop and a kill."""

import base64
import contextlib
import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from tests.localcloud.running_cloud import ACCOUNT_ID, RunningCloud, Start, wait_until

PASSWORD = "Portico-2026!"
TEMPLATE = {
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "kept",
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [
                    {"AttributeName": "Owner", "KeyType": "HASH"},
                    {"AttributeName": "Number", "KeyType": "RANGE"},
                ],
                "AttributeDefinitions": [
                    {"AttributeName": "Owner", "AttributeType": "S"},
                    {"AttributeName": "Number", "AttributeType": "N"},
                ],
                "TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": True},
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "kept"}},
    },
    "Outputs": {"Table": {"Value": {"Ref": "Table"}}},
}
ITEM = {
    "Owner": {"S": 'a\u0000"ü'},
    "Number": {"N": "-1.5"},
    "Data": {"B": b"\x00\xff"},
    "Set": {"SS": ["x"]},
}


def save(cloud: RunningCloud) -> None:
    """Wait until nothing written is unsaved."""
    wait_until(lambda: not cloud.control("GET", "/_portico/health")["unsaved_writes"])
    saves = cloud.control("GET", "/_portico/health")["saves"]
    cloud.control("POST", "/_portico/save")
    assert cloud.control("GET", "/_portico/health")["saves"] > saves


def fill(cloud: RunningCloud) -> dict[str, Any]:
    """Make one of everything that must survive and return what is needed to find it again."""
    stacks, cognito, iam = cloud.client("cloudformation"), cloud.client("cognito-idp"), cloud.client("iam")
    stacks.create_stack(StackName="kept", TemplateBody=json.dumps(TEMPLATE))
    wait_until(lambda: stacks.describe_stacks(StackName="kept")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE")
    cloud.client("dynamodb").put_item(TableName="kept", Item=ITEM)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        s3.put_object(Bucket="kept", Key="ä/b.md", Body=body, Metadata={"a": "b"})
    pool = cognito.create_user_pool(PoolName="kept", AutoVerifiedAttributes=["email"])["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="kept",
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    email = [{"Name": "email", "Value": "rider@example.org"}]
    cognito.sign_up(ClientId=client, Username="rider", Password=PASSWORD, UserAttributes=email)
    cognito.admin_confirm_sign_up(UserPoolId=pool, Username="rider")
    tokens = cognito.initiate_auth(
        ClientId=client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "rider", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
            }
        ],
    }
    role = iam.create_role(RoleName="kept", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    session = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="kept")["Credentials"]
    return {
        "pool": pool,
        "client": client,
        "tokens": tokens,
        "keys": cloud.control("GET", f"/{pool}/.well-known/jwks.json"),
        "session": (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]),
    }


def check_filled(cloud: RunningCloud, made: dict[str, Any]) -> None:
    """Assert that everything fill() made is there and works."""
    stack = cloud.client("cloudformation").describe_stacks(StackName="kept")["Stacks"][0]
    assert stack["Outputs"][0]["OutputValue"] == "kept"
    dynamodb = cloud.client("dynamodb")
    key = {name: ITEM[name] for name in ("Owner", "Number")}
    assert dynamodb.get_item(TableName="kept", Key=key)["Item"] == ITEM
    ttl = dynamodb.describe_time_to_live(TableName="kept")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ExpiresAt"}
    s3 = cloud.client("s3")
    stored = s3.get_object(Bucket="kept", Key="ä/b.md")
    assert (stored["Body"].read(), stored["Metadata"]) == (b"second", {"a": "b"})
    assert len(s3.list_object_versions(Bucket="kept")["Versions"]) == 2
    cognito = cloud.client("cognito-idp")
    assert cognito.get_user(AccessToken=made["tokens"]["AccessToken"])["Username"] == "rider"
    for flow, parameters in (
        ("USER_PASSWORD_AUTH", {"USERNAME": "rider", "PASSWORD": PASSWORD}),
        ("REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": made["tokens"]["RefreshToken"]}),
    ):
        cognito.initiate_auth(ClientId=made["client"], AuthFlow=flow, AuthParameters=parameters)
    assert cloud.control("GET", f"/{made['pool']}/.well-known/jwks.json") == made["keys"]
    assert cloud.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
    assert cloud.client("sqs").get_queue_url(QueueName="kept")["QueueUrl"].endswith("/kept")
    assert len(cloud.mails_to("rider@example.org")) == 1
    identity = cloud.client("sts", key=made["session"]).get_caller_identity()
    assert identity["Arn"].endswith("assumed-role/kept/kept")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_everything_survives_a_stop_and_a_kill(start: Start, tmp_path: Path, number: int) -> None:
    cloud = start(tmp_path, CLOUD_SAVE_SECONDS="0.2")
    made = fill(cloud)
    check_filled(cloud, made)
    if number == signal.SIGKILL:
        save(cloud)
    assert cloud.stop(number) == (-number if number == signal.SIGKILL else 0)
    again = start(tmp_path)
    check_filled(again, made)
    unclean = [line for line in again.log if "last stop was unclean" in line]
    assert bool(unclean) == (number == signal.SIGKILL)
    again.stop()


def test_killed_while_writing_loses_only_the_last_moments(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path, CLOUD_SAVE_SECONDS="0.1")
    dynamodb = cloud.client("dynamodb")
    make_table(dynamodb)
    for number in range(200):
        dynamodb.put_item(TableName="numbers", Item={"Number": {"N": str(number)}})
        if number == 100:
            save(cloud)
    cloud.stop(signal.SIGKILL)
    again = start(tmp_path)
    kept = {int(item["Number"]["N"]) for item in again.client("dynamodb").scan(TableName="numbers")["Items"]}
    again.stop()
    assert set(range(101)) <= kept <= set(range(200))
    # What is kept has no gap: a snapshot is one moment.
    assert kept == set(range(len(kept)))


def test_transaction_over_two_tables_is_kept_whole_or_not_at_all(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path, CLOUD_SAVE_SECONDS="0.05")
    dynamodb = cloud.client("dynamodb")
    make_table(dynamodb)
    make_table(dynamodb, name="squares")
    stopping = threading.Event()

    def write() -> None:
        number = 0
        while not stopping.is_set():
            items = [("numbers", number), ("squares", number)]
            puts = [{"Put": {"TableName": table, "Item": {"Number": {"N": str(value)}}}} for table, value in items]
            with contextlib.suppress(BotoCoreError):
                dynamodb.transact_write_items(TransactItems=puts)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    saves = cloud.control("GET", "/_portico/health")["saves"]
    wait_until(lambda: cloud.control("GET", "/_portico/health")["saves"] > saves + 3)
    cloud.stop(signal.SIGKILL)
    stopping.set()
    writer.join(timeout=10)
    again = start(tmp_path)
    scan = again.client("dynamodb").scan
    numbers, squares = (
        {item["Number"]["N"] for item in scan(TableName=table)["Items"]} for table in ("numbers", "squares")
    )
    again.stop()
    assert numbers == squares
    assert numbers


def test_deleted_and_replaced_items_stay_so(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path, CLOUD_SAVE_SECONDS="30")
    dynamodb = cloud.client("dynamodb")
    make_table(dynamodb)
    make_table(dynamodb, name="dropped")
    for number in range(3):
        dynamodb.put_item(TableName="numbers", Item={"Number": {"N": str(number)}})
    cloud.control("POST", "/_portico/save")
    dynamodb.delete_item(TableName="numbers", Key={"Number": {"N": "0"}})
    dynamodb.put_item(TableName="numbers", Item={"Number": {"N": "1"}, "New": {"BOOL": True}})
    dynamodb.delete_table(TableName="dropped")
    cloud.control("POST", "/_portico/save")
    cloud.stop(signal.SIGKILL)
    again = start(tmp_path)
    dynamodb = again.client("dynamodb")
    items = dynamodb.scan(TableName="numbers")["Items"]
    tables = dynamodb.list_tables()["TableNames"]
    again.stop()
    assert sorted(items, key=str) == [{"Number": {"N": "1"}, "New": {"BOOL": True}}, {"Number": {"N": "2"}}]
    assert tables == ["numbers"]


def test_snapshot_cut_short_between_renames_is_finished_at_the_next_start(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path)
    make_table(cloud.client("dynamodb"))
    cloud.stop()
    services, staged = tmp_path / "services", tmp_path / "next"
    (services / "dynamodb.json").rename(staged / "dynamodb.json")
    (staged / "COMPLETE").touch()
    again = start(tmp_path)
    tables = again.client("dynamodb").list_tables()["TableNames"]
    again.stop()
    assert tables == ["numbers"]


def test_half_written_snapshot_is_not_used(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path)
    make_table(cloud.client("dynamodb"))
    cloud.stop()
    (tmp_path / "next/dynamodb.json").write_text('{"__ministack_format__": 2, "payl')
    again = start(tmp_path)
    tables = again.client("dynamodb").list_tables()["TableNames"]
    again.stop()
    assert tables == ["numbers"]


def test_reading_does_not_write(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path, CLOUD_SAVE_SECONDS="30")
    dynamodb = cloud.client("dynamodb")
    make_table(dynamodb)
    cloud.control("POST", "/_portico/save")
    dynamodb.scan(TableName="numbers")
    dynamodb.describe_table(TableName="numbers")
    cloud.client("sts").get_caller_identity()
    cloud.mails_to("nobody@example.org")
    assert not cloud.control("GET", "/_portico/health")["unsaved_writes"]
    dynamodb.put_item(TableName="numbers", Item={"Number": {"N": "1"}})
    assert cloud.control("GET", "/_portico/health")["unsaved_writes"]
    cloud.stop()


def test_without_a_state_directory_signing_keys_are_new_each_time(start: Start) -> None:
    keys = []
    for _ in range(2):
        cloud = start()
        pool = cloud.client("cognito-idp").create_user_pool(PoolName="pool")["UserPool"]["Id"]
        keys.append(cloud.control("GET", f"/{pool}/.well-known/jwks.json")["keys"][0]["n"])
        cloud.stop()
    assert keys[0] != keys[1]
    assert len(base64.urlsafe_b64decode(keys[0] + "==")) == 256


def make_table(dynamodb: Any, name: str = "numbers") -> None:
    """Make a table with a numeric key."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "Number", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Number", "AttributeType": "N"}],
    )
