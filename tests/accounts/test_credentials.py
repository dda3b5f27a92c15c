"""A person's own AWS credentials: what they reach, what they cost, and that they are nobody else's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from django.conf import settings
from django.http import HttpRequest
from django.test import RequestFactory

from portal import aws
from portal.accounts import credentials, identity_pool, revocation, session, sts, tokens
from portal.accounts.models import User
from portal.accounts.refusals import SignedOut
from tests.conftest import SignedUp, TestCloud

pytestmark = pytest.mark.usefixtures("people_roles")

EXCHANGE = {
    ("cognito-identity", "GetId"): 1,
    ("cognito-identity", "GetCredentialsForIdentity"): 1,
    ("dynamodb", "UpdateItem"): 1,
}
# Once, for work in the background.
FIRST_EXCHANGE = EXCHANGE | {
    ("cognito-identity", "GetOpenIdTokenForDeveloperIdentity"): 1,
    ("dynamodb", "UpdateItem"): 2,
}


@pytest.fixture
def request_of(cloud: TestCloud, rf: RequestFactory) -> Callable[..., HttpRequest]:
    """Return a function that makes a request of a person who brought their ID token."""

    def make(person: SignedUp, **claims: Any) -> HttpRequest:
        request = rf.get("/")
        request.session = {}  # type: ignore[assignment]
        request.user = User.from_claims({**tokens.verify(person.id_token), **claims})
        session.bring(request, person.id_token)
        return request

    return make


@pytest.fixture
def vouched_for(cloud: TestCloud, rf: RequestFactory) -> Callable[[str], HttpRequest]:
    """Return a function that makes a request of somebody who came through another door than Cognito."""

    def make(name: str) -> HttpRequest:
        request = rf.get("/")
        request.session = {session.DOOR: "vouched"}  # type: ignore[assignment]
        request.user = User.from_claims({"sub": f"vouched:{name}", "developer_user": f"vouched:{name}"})
        return request

    return make


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


# --- What they reach --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["rider", "operator", "auditor"])
def test_everybody_reaches_their_own_prefix_and_no_others(
    cloud: TestCloud,
    request_of: Callable[..., HttpRequest],
    author: SignedUp,
    request: pytest.FixtureRequest,
    who: str,
) -> None:
    asking, others = request_of(request.getfixturevalue(who)), request_of(author)
    mine, theirs = credentials.identity_id(asking), credentials.identity_id(others)
    bucket, name = credentials.client(asking, "s3"), settings.DOCUMENTS_BUCKET
    # Other tests of this person leave something there.
    for left in cloud.admin("s3").list_objects_v2(Bucket=name, Prefix=f"ugc/{mine}/").get("Contents", []):
        cloud.admin("s3").delete_object(Bucket=name, Key=left["Key"])
    cloud.admin("s3").put_object(Bucket=name, Key=f"ugc/{theirs}/plan.md", Body=b"secret")

    bucket.put_object(Bucket=name, Key=f"ugc/{mine}/plan.md", Body=b"mine")
    assert bucket.get_object(Bucket=name, Key=f"ugc/{mine}/plan.md")["Body"].read() == b"mine"
    [one] = bucket.list_objects_v2(Bucket=name, Prefix=f"ugc/{mine}/")["Contents"]
    assert one["Key"] == f"ugc/{mine}/plan.md"
    bucket.delete_object(Bucket=name, Key=f"ugc/{mine}/plan.md")

    for key in (f"ugc/{theirs}/plan.md", f"ugc/{mine}-more/plan.md", f"ugc/{mine}", "ugc/*/plan.md", "plan.md"):
        assert refused(lambda key=key: bucket.put_object(Bucket=name, Key=key, Body=b"")) == "AccessDenied"
        assert refused(lambda key=key: bucket.get_object(Bucket=name, Key=key)) == "AccessDenied"
        assert refused(lambda key=key: bucket.delete_object(Bucket=name, Key=key)) == "AccessDenied"
    for prefix in (f"ugc/{theirs}/", "ugc/", f"ugc/{mine}", ""):
        assert refused(lambda prefix=prefix: bucket.list_objects_v2(Bucket=name, Prefix=prefix)) == "AccessDenied"
    assert refused(lambda: bucket.list_objects_v2(Bucket=name)) == "AccessDenied"


def test_items_are_read_by_their_owner_alone(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp, author: SignedUp
) -> None:
    asking, others = request_of(rider), request_of(author)
    mine, theirs = credentials.identity_id(asking), credentials.identity_id(others)
    table, name = credentials.client(asking, "dynamodb"), settings.TABLES["documents"]
    for owner in (mine, theirs):
        cloud.admin("dynamodb").put_item(TableName=name, Item={"IdentityId": {"S": owner}, "DocumentId": {"S": "plan"}})

    def query(owner: str) -> int:
        return table.query(
            TableName=name,
            KeyConditionExpression="IdentityId = :owner",
            ExpressionAttributeValues={":owner": {"S": owner}},
        )["Count"]

    def get(owner: str) -> dict[str, Any]:
        return table.get_item(TableName=name, Key={"IdentityId": {"S": owner}, "DocumentId": {"S": "plan"}})

    assert query(mine) == 1
    assert get(mine)["Item"]
    assert refused(lambda: query(theirs)) == "AccessDeniedException"
    assert refused(lambda: get(theirs)) == "AccessDeniedException"
    assert refused(lambda: table.scan(TableName=name)) == "AccessDeniedException"
    assert refused(lambda: table.put_item(TableName=name, Item=get(mine)["Item"])) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("who", "table", "may_scan"),
    [
        ("rider", "fleet", False),
        ("rider", "audit", False),
        ("auditor", "audit", True),
        ("auditor", "fleet", False),
        ("operator", "audit", True),
        ("operator", "fleet", True),
        ("operator", "sessions", False),
    ],
)
def test_a_groups_role_comes_with_the_group(
    request_of: Callable[..., HttpRequest], request: pytest.FixtureRequest, who: str, table: str, may_scan: bool
) -> None:
    tables = credentials.client(request_of(request.getfixturevalue(who)), "dynamodb")
    if may_scan:
        tables.scan(TableName=settings.TABLES[table])
    else:
        assert refused(lambda: tables.scan(TableName=settings.TABLES[table])) == "AccessDeniedException"


def test_nobody_takes_a_role_that_their_token_does_not_name(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp
) -> None:
    [_, operators, auditors] = settings.PEOPLE_ROLE_ARNS
    for role_arn in (operators, auditors, cloud.outputs["PortalRoleArn"]):
        with pytest.raises((ClientError, SignedOut)):
            credentials.fresh(request_of(rider), role_arn=role_arn)


def test_the_token_that_anybody_can_have_of_the_pool_opens_no_groups_role(cloud: TestCloud, rider: SignedUp) -> None:
    """The classic flow lets its bearer name the role; only the role's own trust is then in the way."""
    anybody = cloud.admin("cognito-identity")
    login = {settings.TOKEN_ISSUER.removeprefix("https://"): rider.id_token}
    identity = identity_pool.identity_id(rider.id_token)
    token = anybody.get_open_id_token(IdentityId=identity, Logins=login)["Token"]
    [_, operators, auditors] = settings.PEOPLE_ROLE_ARNS
    for role_arn in (operators, auditors):
        assert refused(lambda role_arn=role_arn: sts.assume_with_web_identity(token, role_arn)) == "AccessDenied"


def test_no_session_is_to_be_had_that_end_now_could_not_name(cloud: TestCloud) -> None:
    token = cloud.admin("cognito-identity").get_open_id_token_for_developer_identity(
        IdentityPoolId=settings.IDENTITY_POOL_ID, Logins={settings.DEVELOPER_PROVIDER: "without-a-tag"}
    )["Token"]
    for role_arn in settings.PEOPLE_ROLE_ARNS:
        assert refused(lambda role_arn=role_arn: sts.assume_with_web_identity(token, role_arn)) == "AccessDenied"


def test_somebody_whom_the_portal_vouches_for_reaches_their_own_prefix(
    cloud: TestCloud, vouched_for: Callable[[str], HttpRequest]
) -> None:
    ada, grace = vouched_for("ada"), vouched_for("grace")
    bucket, name = credentials.client(ada, "s3"), settings.DOCUMENTS_BUCKET
    bucket.put_object(Bucket=name, Key=f"ugc/{credentials.identity_id(ada)}/plan.md", Body=b"")
    key = f"ugc/{credentials.identity_id(grace)}/plan.md"
    assert refused(lambda: bucket.put_object(Bucket=name, Key=key, Body=b"")) == "AccessDenied"
    # The same person has the same identity wherever the portal runs.
    before = credentials.identity_id(ada)
    credentials.forget_all()
    assert credentials.identity_id(ada) == before


# --- What they cost ---------------------------------------------------------------------------------------------------


def test_an_hours_use_costs_one_exchange(
    cloud: TestCloud,
    request_of: Callable[..., HttpRequest],
    _person: Any,  # noqa: PT019 - a function
) -> None:
    # With a token that is not as old as the session's tests are.
    _person.known.pop("rider", None)
    rider = _person("rider")
    start, asking = datetime.now(UTC), request_of(rider)
    cloud.forget_calls()
    credentials.of(asking)
    assert cloud.calls() == FIRST_EXCHANGE
    credentials.forget_all()
    cloud.forget_calls()
    first = credentials.of(asking)
    assert cloud.calls() == EXCHANGE
    cloud.forget_calls()
    for minutes in (1, 30, 54):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            asking = request_of(rider)
            assert credentials.of(asking) is first
            assert credentials.identity_id(asking)
            assert credentials.client(asking, "s3") is credentials.client(asking, "s3")
    assert cloud.calls() == {}


@pytest.mark.parametrize(("seconds", "is_new"), [(310, False), (299, True), (-1, True)])
def test_they_are_renewed_five_minutes_before_they_expire(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp, seconds: int, is_new: bool
) -> None:
    credentials.of(request_of(rider))
    [place] = credentials._keyring._places.values()
    assert place.holding
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    held = replace(place.holding.credentials, expires_at=until)
    place.holding = replace(place.holding, credentials=held)
    assert (credentials.of(request_of(rider)) is not held) is is_new


# --- When there are none ----------------------------------------------------------------------------------------------


def test_somebody_anonymous_has_none(cloud: TestCloud, rf: RequestFactory) -> None:
    from django.contrib.auth.models import AnonymousUser

    request = rf.get("/")
    request.user = AnonymousUser()
    with pytest.raises(SignedOut):
        credentials.of(request)
    assert cloud.calls() == {}


def test_a_token_of_somebody_else_is_not_used(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp, author: SignedUp
) -> None:
    asking = request_of(rider)
    session.bring(asking, author.id_token)
    cloud.forget_calls()
    with pytest.raises(SignedOut):
        credentials.of(asking)
    assert cloud.calls() == {}


def test_somebody_signed_out_everywhere_gets_no_more(cloud: TestCloud, someone: Any) -> None:
    cognito = cloud.admin("cognito-idp")
    issued = cognito.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=settings.API_CLIENT_ID,
        AuthParameters={"USERNAME": someone.username, "PASSWORD": someone.password},
    )["AuthenticationResult"]
    identity = identity_pool.identity_id(issued["IdToken"])
    cognito.admin_disable_user(UserPoolId=settings.USER_POOL_ID, Username=someone.username)
    with pytest.raises(SignedOut):
        identity_pool.credentials(identity, issued["IdToken"])


@pytest.mark.parametrize("action", ["GetId", "GetCredentialsForIdentity"])
def test_a_failure_that_passes_is_one_and_leaves_nothing_behind(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp, action: str
) -> None:
    cloud.faults.add(service="cognito-identity", action=action, kind="throttle", times=2)
    with pytest.raises(ClientError) as caught:
        credentials.of(request_of(rider))
    assert aws.is_transient(caught.value)
    cloud.faults.clear()
    assert credentials.of(request_of(rider))


def test_an_identity_that_cannot_be_noted_holds_nobody_up(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp
) -> None:
    cloud.faults.add(service="dynamodb", action="UpdateItem", kind="throttle", times=9)
    assert credentials.of(request_of(rider))


# --- Ended elsewhere --------------------------------------------------------------------------------------------------


def test_credentials_that_another_process_ended_are_made_anew_by_the_next_request(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp
) -> None:
    asking, name, now = request_of(rider), settings.DOCUMENTS_BUCKET, datetime.now(UTC)
    first, bucket = credentials.of(asking), credentials.client(asking, "s3")
    revocation.deny(settings.PERSON_ROLE_ARN, [rider.sub], before=now + timedelta(seconds=1), now=now)
    with pytest.raises(aws.Unavailable):
        bucket.list_objects_v2(Bucket=name, Prefix=f"ugc/{credentials.identity_id(asking)}/")
    assert credentials.of(request_of(rider)) != first


def test_what_is_not_theirs_is_refused_without_new_credentials(
    cloud: TestCloud, request_of: Callable[..., HttpRequest], rider: SignedUp
) -> None:
    asking = request_of(rider)
    first, bucket = credentials.of(asking), credentials.client(asking, "s3")
    assert refused(lambda: bucket.list_objects_v2(Bucket=settings.DOCUMENTS_BUCKET, Prefix="ugc/")) == "AccessDenied"
    assert credentials.of(request_of(rider)) is first


# --- What is kept where -----------------------------------------------------------------------------------------------


def test_no_secret_is_stored_or_logged(
    cloud: TestCloud,
    request_of: Callable[..., HttpRequest],
    rider: SignedUp,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        made = credentials.of(request_of(rider))
    stored = repr([cloud.items(table) for table in settings.TABLES])
    for secret in (made.secret_access_key, made.session_token, rider.id_token):
        assert secret not in stored
        assert secret not in caplog.text
        assert secret not in repr(made)
