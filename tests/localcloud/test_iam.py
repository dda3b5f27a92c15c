"""Contract of policy_variables.py, condition_keys.py and role_policies.py."""

import json
import signal
import time
import urllib.error
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pools import refusal
from tests.localcloud.roles import allow, deny, document, make_role, session_of
from tests.localcloud.running_cloud import ACCOUNT_ID, REGION, RunningCloud, Start

OWN = "${aws:PrincipalTag/owner}"


def allowed(call: Callable[[], Any]) -> bool:
    """Return whether IAM lets a call through. Raises whatever else is wrong with it."""
    try:
        call()
    except ClientError as refused:
        if refused.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403"):
            return False
        raise
    return True


@pytest.fixture(scope="module")
def bucket(cloud: RunningCloud) -> str:
    s3, name = cloud.client("s3"), f"bucket-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    for key in ("ada/1", "bob/1", "*/1", "d/1", "other/1"):
        s3.put_object(Bucket=name, Key=key, Body=b"1")
    return name


def reads(cloud: RunningCloud, bucket: str, session: Any, key: str) -> bool:
    s3 = cloud.client("s3", key=session)
    return allowed(lambda: s3.get_object(Bucket=bucket, Key=key))


@pytest.fixture
def reader(cloud: RunningCloud, bucket: str) -> Callable[..., Callable[[str], bool]]:
    def make(resource: str, *, tags: dict[str, str] | None = None, version: str = "2012-10-17") -> Any:
        role = make_role(cloud, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/{resource}"), version=version)
        session = session_of(cloud, role, tags=tags)
        return lambda key: reads(cloud, bucket, session, key)

    return make


def test_resource_is_the_bearers_own(reader: Any) -> None:
    may_read = reader(f"{OWN}/*", tags={"owner": "ada"})
    assert may_read("ada/1")
    assert not may_read("bob/1")


def test_value_is_literal(cloud: RunningCloud, bucket: str) -> None:
    """A caller chooses the prefix, so that it may hold what a tag may not."""
    condition = {"StringLike": {"s3:delimiter": "${s3:prefix}"}}
    s3 = cloud.client(
        "s3", key=session_of(cloud, make_role(cloud, allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", **condition)))
    )
    assert allowed(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="*", Delimiter="*"))
    assert not allowed(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="*", Delimiter="/"))


def test_missing_variable_matches_nothing(reader: Any) -> None:
    may_read = reader(f"{OWN}*")
    assert not may_read("ada/1")


def test_default_stands_in(reader: Any) -> None:
    assert reader("${aws:PrincipalTag/owner, 'ada'}/*")("ada/1")
    assert not reader("${aws:PrincipalTag/owner, 'ada'}/*", tags={"owner": "bob"})("ada/1")


def test_escaped_characters_are_themselves(reader: Any) -> None:
    may_read = reader("${*}/${?}")
    assert not may_read("*/1")
    assert not may_read("ada/1")
    assert reader("${*}/1")("*/1")


def test_older_policy_language_has_no_variables(reader: Any) -> None:
    assert not reader(f"{OWN}/*", tags={"owner": "ada"}, version="2008-10-17")("ada/1")


def test_user_id_of_a_session_is_a_variable(cloud: RunningCloud, reader: Any, bucket: str) -> None:
    role = make_role(cloud, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*/${{aws:userid}}"))
    session = session_of(cloud, role)
    user_id = cloud.client("sts", key=session).get_caller_identity()["UserId"]
    cloud.client("s3").put_object(Bucket=bucket, Key=f"x/{user_id}", Body=b"1")
    assert reads(cloud, bucket, session, f"x/{user_id}")
    assert not reads(cloud, bucket, session, "ada/1")


def test_user_name_is_a_variable(cloud: RunningCloud, bucket: str, name: str) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="ada")
    policy = document(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/${{aws:username}}/*"))
    iam.put_user_policy(UserName="ada", PolicyName="own", PolicyDocument=policy)
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    session = (key["AccessKeyId"], key["SecretAccessKey"])
    assert reads(cloud, bucket, session, "ada/1")
    assert not reads(cloud, bucket, session, "bob/1")


@pytest.mark.parametrize("where", ["managed policy", "boundary", "session policy"])
def test_variables_work_wherever_a_policy_is(cloud: RunningCloud, bucket: str, where: str, name: str) -> None:
    iam = cloud.client("iam")
    own = document(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/{OWN}/*"))
    everything = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    session_policy = {}
    if where == "session policy":
        role = make_role(cloud, everything)
        session_policy = {"Policy": own}
    else:
        arn = iam.create_policy(PolicyName=name, PolicyDocument=own)["Policy"]["Arn"]
        if where == "boundary":
            role = make_role(cloud, everything, PermissionsBoundary=arn)
        else:
            role = make_role(cloud)
            iam.attach_role_policy(RoleName=role.rpartition("/")[2], PolicyArn=arn)
    session = session_of(cloud, role, tags={"owner": "ada"}, **session_policy)
    assert reads(cloud, bucket, session, "ada/1")
    assert not reads(cloud, bucket, session, "bob/1")


@pytest.mark.parametrize(
    ("operator", "value", "tags", "holds"),
    [
        ("StringEquals", OWN, {"owner": "ada"}, True),
        ("StringEquals", OWN, {"owner": "bob"}, False),
        ("StringEquals", OWN, {}, False),
        ("StringNotEquals", OWN, {"owner": "bob"}, True),
        ("StringNotEquals", OWN, {"owner": "ada"}, False),
        # What has no value is equal to nothing.
        ("StringNotEquals", OWN, {}, True),
        ("StringLike", "${aws:PrincipalTag/owner}*", {"owner": "ad"}, True),
        ("StringLike", "${aws:PrincipalTag/none, '*'}", {}, False),
        ("StringEquals", "ad${aws:PrincipalTag/none, 'a'}", {}, True),
        ("ForAllValues:StringEquals", OWN, {"owner": "bob"}, False),
    ],
)
def test_condition_compares_with_a_variable(
    cloud: RunningCloud, bucket: str, operator: str, value: str, tags: dict[str, str], holds: bool
) -> None:
    condition = {operator.replace(":", "__"): {"s3:prefix": value}}
    role = make_role(cloud, allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", **condition))
    s3 = cloud.client("s3", key=session_of(cloud, role, tags=tags))
    assert allowed(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="ada")) is holds


def test_denial_through_a_variable_wins(cloud: RunningCloud, bucket: str) -> None:
    everything = f"arn:aws:s3:::{bucket}/*"
    role = make_role(cloud, allow("s3:GetObject", everything), deny("s3:GetObject", f"arn:aws:s3:::{bucket}/{OWN}/*"))
    session = session_of(cloud, role, tags={"owner": "ada"})
    assert not reads(cloud, bucket, session, "ada/1")
    assert reads(cloud, bucket, session, "bob/1")


def test_sessions_from_before_are_refused_and_later_ones_are_not(cloud: RunningCloud, bucket: str) -> None:
    role = make_role(cloud, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    session = session_of(cloud, role, tags={"sub": "ada"})
    other = session_of(cloud, role, tags={"sub": "bob"})
    assert reads(cloud, bucket, session, "ada/1")
    for offset, still_in in ((timedelta(hours=-1), True), (timedelta(seconds=2), False)):
        moment = (datetime.now(UTC) + offset).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "StringEquals": {"aws:PrincipalTag/sub": "ada"},
            "DateLessThan": {"aws:TokenIssueTime": moment},
        }
        cloud.client("iam").put_role_policy(
            RoleName=role.rpartition("/")[2], PolicyName="end", PolicyDocument=document(deny("*", "*", **condition))
        )
        assert reads(cloud, bucket, session, "ada/1") is still_in
    assert reads(cloud, bucket, other, "ada/1")


@pytest.fixture(scope="module")
def tables(cloud: RunningCloud) -> tuple[str, str]:
    dynamodb, names = cloud.client("dynamodb"), (f"table-{uuid.uuid4().hex[:8]}", f"table-{uuid.uuid4().hex[:8]}")
    for table in names:
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("P", "S", "G")],
            KeySchema=[{"AttributeName": "P", "KeyType": "HASH"}, {"AttributeName": "S", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "ByG",
                    "KeySchema": [{"AttributeName": "G", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    return names


@pytest.fixture(scope="module")
def role(cloud: RunningCloud, tables: tuple[str, str]) -> str:
    """Return a role that may do everything with its own keys in the first table and anything in the second."""
    arns = [f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}" for table in tables]
    own = {
        "ForAllValues__StringEquals": {"dynamodb:LeadingKeys": [OWN]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    return make_role(
        cloud,
        allow("dynamodb:*", [arns[0], f"{arns[0]}/index/*"], **own),
        allow("dynamodb:*", arns[1]),
    )


@pytest.fixture(scope="module")
def ada(cloud: RunningCloud, role: str) -> Any:
    return cloud.client("dynamodb", key=session_of(cloud, role, tags={"owner": "ada"}))


@pytest.mark.parametrize(("owner", "may"), [("ada", True), ("bob", False)])
@pytest.mark.parametrize(
    "operation",
    [
        "get_item",
        "put_item",
        "update_item",
        "delete_item",
        "query",
        "query with names",
        "query, the other way round",
        "legacy query",
        "query an index",
        "batch_get_item",
        "batch_write_item",
        "transact_get_items",
        "transact_write_items",
    ],
)
def test_every_call_with_a_key_is_checked(
    ada: Any, tables: tuple[str, str], operation: str, owner: str, may: bool
) -> None:
    table, value = tables[0], {"S": owner}
    key = {"P": value, "S": {"S": "1"}}
    own = {"P": {"S": "ada"}, "S": {"S": "2"}}
    calls: dict[str, Callable[[], Any]] = {
        "get_item": lambda: ada.get_item(TableName=table, Key=key),
        "put_item": lambda: ada.put_item(TableName=table, Item=key),
        "update_item": lambda: ada.update_item(TableName=table, Key=key),
        "delete_item": lambda: ada.delete_item(TableName=table, Key=key),
        "query": lambda: ada.query(
            TableName=table,
            KeyConditionExpression="S BETWEEN :a AND :b AND P = :p",
            ExpressionAttributeValues={":p": value, ":a": {"S": "0"}, ":b": {"S": "9"}},
        ),
        "query with names": lambda: ada.query(
            TableName=table,
            KeyConditionExpression="#s = :s and #p = :p",
            ExpressionAttributeNames={"#p": "P", "#s": "S"},
            ExpressionAttributeValues={":p": value, ":s": {"S": "ada"}},
        ),
        "query, the other way round": lambda: ada.query(
            TableName=table, KeyConditionExpression="(P=:p)", ExpressionAttributeValues={":p": value}
        ),
        "legacy query": lambda: ada.query(
            TableName=table, KeyConditions={"P": {"ComparisonOperator": "EQ", "AttributeValueList": [value]}}
        ),
        "query an index": lambda: ada.query(
            TableName=table,
            IndexName="ByG",
            KeyConditionExpression="G = :g",
            ExpressionAttributeValues={":g": value},
        ),
        "batch_get_item": lambda: ada.batch_get_item(RequestItems={table: {"Keys": [own, key]}}),
        "batch_write_item": lambda: ada.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": own}}, {"DeleteRequest": {"Key": key}}]}
        ),
        "transact_get_items": lambda: ada.transact_get_items(
            TransactItems=[{"Get": {"TableName": table, "Key": one}} for one in (own, key)]
        ),
        "transact_write_items": lambda: ada.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": table, "Item": own}},
                {"Delete": {"TableName": table, "Key": key}},
            ]
        ),
    }
    if operation in ("batch_get_item", "batch_write_item", "transact_get_items", "transact_write_items"):
        own["S"] = {"S": "3"}
    assert allowed(calls[operation]) is may


def test_each_table_is_checked_with_its_own_keys(ada: Any, tables: tuple[str, str]) -> None:
    def write(owner: str) -> None:
        ada.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": tables[0], "Item": {"P": {"S": owner}, "S": {"S": "4"}}}},
                {"Put": {"TableName": tables[1], "Item": {"P": {"S": "anybody"}, "S": {"S": "4"}}}},
            ]
        )

    assert allowed(lambda: write("ada"))
    assert not allowed(lambda: write("bob"))


def test_scan_has_no_key(ada: Any, tables: tuple[str, str]) -> None:
    assert not allowed(lambda: ada.scan(TableName=tables[0]))


def test_without_a_null_check_a_scan_slips_through_as_on_aws(cloud: RunningCloud, tables: tuple[str, str]) -> None:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{tables[0]}"
    role = make_role(cloud, allow("dynamodb:*", arn, ForAllValues__StringEquals={"dynamodb:LeadingKeys": [OWN]}))
    dynamodb = cloud.client("dynamodb", key=session_of(cloud, role, tags={"owner": "ada"}))
    assert allowed(lambda: dynamodb.scan(TableName=tables[0]))


def test_denial_by_key_wins(cloud: RunningCloud, tables: tuple[str, str]) -> None:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{tables[0]}"
    blocked = deny("dynamodb:*", arn, ForAnyValue__StringLike={"dynamodb:LeadingKeys": ["secret-*"]})
    role = make_role(cloud, allow("dynamodb:*", arn), blocked)
    dynamodb = cloud.client("dynamodb", key=session_of(cloud, role))

    def get(owner: str) -> bool:
        return allowed(lambda: dynamodb.get_item(TableName=tables[0], Key={"P": {"S": owner}, "S": {"S": "1"}}))

    assert get("open-1")
    assert not get("secret-1")


@pytest.mark.parametrize("with_boundary", [True, False])
@pytest.mark.parametrize("action", ["put", "attach", "detach", "delete", "create"])
def test_roles_with_the_boundary_may_be_changed_and_others_not(
    cloud: RunningCloud, name: str, action: str, with_boundary: bool
) -> None:
    iam = cloud.client("iam")
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document(allow("s3:GetObject", "*")))["Policy"]["Arn"]
    boundary = {"PermissionsBoundary": arn} if with_boundary else {}
    role = make_role(cloud, allow("s3:GetObject", "*"), **boundary).rpartition("/")[2]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    changer = make_role(cloud, allow("iam:*", "*", StringEquals={"iam:PermissionsBoundary": arn}))
    as_changer = cloud.client("iam", key=session_of(cloud, changer))
    policy = document(deny("*", "*"))
    calls: dict[str, Callable[[], Any]] = {
        "put": lambda: as_changer.put_role_policy(RoleName=role, PolicyName="end", PolicyDocument=policy),
        "attach": lambda: as_changer.attach_role_policy(RoleName=role, PolicyArn=arn),
        "detach": lambda: as_changer.detach_role_policy(RoleName=role, PolicyArn=arn),
        "delete": lambda: as_changer.delete_role_policy(RoleName=role, PolicyName="inline"),
        "create": lambda: as_changer.create_role(RoleName=name, AssumeRolePolicyDocument=policy, **boundary),
    }
    assert allowed(calls[action]) is with_boundary


def test_inline_policies_of_a_role_have_a_limit_together(cloud: RunningCloud) -> None:
    iam, role = cloud.client("iam"), make_role(cloud).rpartition("/")[2]

    def put(name: str, characters: int) -> None:
        empty = len(document(allow("s3:GetObject", "")).replace(" ", ""))
        text = document(allow("s3:GetObject", "x" * (characters - empty)))
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)

    put("one", 5_000)
    put("two", 5_240)
    put("two", 5_240)
    assert refusal(lambda: put("two", 5_241)) == (
        "LimitExceeded",
        f"Maximum policy size of 10240 bytes exceeded for role {role}",
    )
    assert refusal(lambda: put("three", 200))[0] == "LimitExceeded"


@pytest.mark.parametrize(("seconds", "code"), [(899, "ValidationError"), (3601, "ValidationError"), (3600, "")])
def test_duration_is_within_the_roles_limits(cloud: RunningCloud, seconds: int, code: str) -> None:
    role = make_role(cloud)
    if code:
        # boto3 would refuse the short one itself.
        sts = cloud.client("sts", parameter_validation=False)
        call = {"RoleArn": role, "RoleSessionName": "someone", "DurationSeconds": seconds}
        assert refusal(lambda: sts.assume_role(**call))[0] == code
    else:
        session_of(cloud, role, DurationSeconds=seconds)


def test_chained_session_lasts_an_hour_at_most(cloud: RunningCloud) -> None:
    long = make_role(cloud, MaxSessionDuration=7200)
    first = make_role(cloud, allow("sts:AssumeRole", long))
    session_of(cloud, long, DurationSeconds=7200)
    chained = cloud.client("sts", key=session_of(cloud, first))
    assume = {"RoleArn": long, "RoleSessionName": "again"}
    chained.assume_role(**assume, DurationSeconds=3600)
    assert refusal(lambda: chained.assume_role(**assume, DurationSeconds=3601))[0] == "ValidationError"


def test_credentials_are_never_the_same(cloud: RunningCloud) -> None:
    role = make_role(cloud)
    sessions = [session_of(cloud, role) for _ in range(5)]
    for part in range(3):
        assert len({session[part] for session in sessions}) == 5
        assert all(len(session[part]) >= 20 for session in sessions)


def test_wrong_session_token_is_refused(cloud: RunningCloud) -> None:
    role = make_role(cloud, allow("s3:ListAllMyBuckets", "*"))
    ours, other = session_of(cloud, role), session_of(cloud, role)
    s3 = cloud.client("s3", key=(ours[0], ours[1], other[2]))
    assert refusal(s3.list_buckets)[0] == "InvalidToken"


def test_expired_credentials_are_refused_everywhere(start: Start, tmp_path: Path) -> None:
    """The shortest session lasts a quarter of an hour, so the test ages one in the state of a stopped cloud."""
    cloud = start(tmp_path)
    session = session_of(cloud, make_role(cloud, allow("*", "*")))
    cloud.stop(signal.SIGTERM)
    kept = tmp_path / "services/portico-sessions.json"
    state = json.loads(kept.read_text())
    state["payload"][session[0]]["Expiration"] = time.time() - 1
    kept.write_text(json.dumps(state))
    again = start(tmp_path)
    assert refusal(again.client("s3", key=session).list_buckets)[0] == "ExpiredToken"
    assert refusal(again.client("dynamodb", key=session).list_tables)[0] == "ExpiredTokenException"
    assert refusal(again.client("sts", key=session).get_caller_identity)[0] == "ExpiredToken"
    parts = dict(zip(("sessionId", "sessionKey", "sessionToken"), session, strict=True))
    asked = urlencode({"Action": "getSigninToken", "Session": json.dumps(parts)})
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        again.control("GET", f"/federation?{asked}")
    refused.value.close()
