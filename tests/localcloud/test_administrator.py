"""Contract of portal/localcloud/standins/administrator.py: who is root, and who is nobody."""

from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from tests.localcloud.running_cloud import ACCOUNT_ID, ADMINISTRATOR, RunningCloud

CALLS = {
    "sts": "get_caller_identity",
    "s3": "list_buckets",
    "dynamodb": "list_tables",
    "sqs": "list_queues",
    "sns": "list_topics",
    "ses": "list_identities",
    "sesv2": "list_email_identities",
    "ec2": "describe_vpcs",
    "iam": "list_users",
    "stepfunctions": "list_state_machines",
    "cloudformation": "list_stacks",
    "cognito-idp": "list_user_pools",
    "cognito-identity": "list_identity_pools",
    "lambda": "list_functions",
    "logs": "describe_log_groups",
    "events": "list_rules",
    "cloudtrail": "lookup_events",
    "apigateway": "get_rest_apis",
}
IMPOSTORS = {
    "wrong secret": (ADMINISTRATOR[0], "guessed"),
    "the key id test": ("test", "test"),
    "the account's number": (ACCOUNT_ID, ADMINISTRATOR[1]),
    "another account's number": ("999999999999", "999999999999"),
    "an unknown key": ("AKIAUNKNOWNUNKNOWN01", ADMINISTRATOR[1]),
}
REFUSALS = {
    "AccessDenied",
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "MissingParameter",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


def call(client: Any, service: str) -> Any:
    """Make the harmless call of a service."""
    page_size = {"MaxResults": 1} if service.startswith("cognito") else {}
    return getattr(client, CALLS[service])(**page_size)


@pytest.mark.parametrize("service", CALLS)
def test_administrator_is_admitted(cloud: RunningCloud, service: str) -> None:
    call(cloud.client(service), service)


@pytest.mark.parametrize("impostor", IMPOSTORS)
@pytest.mark.parametrize("service", CALLS)
def test_impostor_is_refused(cloud: RunningCloud, service: str, impostor: str) -> None:
    with pytest.raises(ClientError) as refused:
        call(cloud.client(service, key=IMPOSTORS[impostor]), service)
    assert refused.value.response["Error"]["Code"] in REFUSALS


@pytest.mark.parametrize("service", CALLS)
def test_unsigned_call_is_refused(cloud: RunningCloud, service: str) -> None:
    with pytest.raises(ClientError) as refused:
        call(cloud.client(service, signature_version=UNSIGNED), service)
    assert refused.value.response["Error"]["Code"] in REFUSALS


def test_administrator_is_the_account_root(cloud: RunningCloud) -> None:
    identity = cloud.client("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:root")


def test_anonymous_caller_reads_only_what_a_bucket_policy_opens(cloud: RunningCloud, name: str) -> None:
    s3, anonymous = cloud.client("s3"), cloud.client("s3", signature_version=UNSIGNED)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=name, Key="open/a", Body=b"open")
    s3.put_object(Bucket=name, Key="closed/a", Body=b"closed")
    s3.delete_public_access_block(Bucket=name)
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
        f'"Action": "s3:GetObject", "Resource": "arn:aws:s3:::{name}/open/*"}}]}}'
    )
    s3.put_bucket_policy(Bucket=name, Policy=policy)
    assert anonymous.get_object(Bucket=name, Key="open/a")["Body"].read() == b"open"
    with pytest.raises(ClientError, match="AccessDenied"):
        anonymous.get_object(Bucket=name, Key="closed/a")
    with pytest.raises(ClientError, match="AccessDenied"):
        anonymous.put_object(Bucket=name, Key="open/b", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        anonymous.create_bucket(Bucket=name + "-mine")


def test_link_signed_with_a_wrong_secret_is_refused(cloud: RunningCloud, name: str) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=name, Key="a", Body=b"{}")
    link = {"Params": {"Bucket": name, "Key": "a"}, "ExpiresIn": 60}
    signed = s3.generate_presigned_url("get_object", **link)
    assert cloud.control("GET", signed.removeprefix(cloud.endpoint)) == {}
    forged = cloud.client("s3", key=IMPOSTORS["wrong secret"]).generate_presigned_url("get_object", **link)
    with pytest.raises(OSError, match="403") as refused:
        cloud.control("GET", forged.removeprefix(cloud.endpoint))
    refused.value.close()  # type: ignore[attr-defined]


def test_administrator_may_assume_a_role_that_trusts_the_account(cloud: RunningCloud, name: str) -> None:
    trust = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        f'"Principal": {{"AWS": "arn:aws:iam::{ACCOUNT_ID}:root"}}}}]}}'
    )
    role = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    assumed = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="someone")["Credentials"]
    key = (assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    identity = cloud.client("sts", key=key).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/someone"
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("dynamodb", key=key).list_tables()
