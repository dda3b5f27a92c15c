"""Contract of identity_pools.py and group_roles.py: identities, the roles of their credentials, their tags."""

import base64
import json
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.identity_pool import HOST, WEB_IDENTITY, IdentityPool, claims
from tests.localcloud.pools import Pool, refusal
from tests.localcloud.roles import allow, key_of, make_role
from tests.localcloud.running_cloud import REGION, RunningCloud, Start


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> IdentityPool:
    made = IdentityPool(cloud)
    made.set_role(make_role(cloud, trust=made.trust()))
    return made


def name_of(role_arn: str) -> str:
    return role_arn.rpartition("/")[2]


def test_identity_stays_the_same_and_is_nobody_elses(pool: IdentityPool) -> None:
    ada, bob = pool.users.add_confirmed(), pool.users.add_confirmed()
    identity = pool.get_id(pool.sign_in(ada))
    assert identity.startswith(f"{REGION}:")
    assert pool.get_id(pool.sign_in(ada)) == identity
    assert pool.get_id(pool.sign_in(bob)) != identity


def test_guest_gets_no_identity_where_guests_are_not_admitted(pool: IdentityPool) -> None:
    expected = ("NotAuthorizedException", "Unauthenticated access is not supported for this identity pool.")
    assert refusal(lambda: pool.identities.get_id(IdentityPoolId=pool.id)) == expected
    identity = pool.get_id(pool.sign_in(pool.users.add_confirmed()))
    assert refusal(lambda: pool.identities.get_credentials_for_identity(IdentityId=identity)) == expected


def test_unknown_identity_gets_no_credentials(pool: IdentityPool) -> None:
    token = pool.sign_in(pool.users.add_confirmed())
    refused = refusal(lambda: pool.credentials(token, f"{REGION}:{uuid.uuid4()}"))
    assert refused[0] == "ResourceNotFoundException"


def test_token_opens_no_other_identity(pool: IdentityPool) -> None:
    ada, bob = (pool.sign_in(pool.users.add_confirmed()) for _ in range(2))
    identity = pool.get_id(bob)
    assert refusal(lambda: pool.credentials(ada, identity))[0] == "NotAuthorizedException"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-8] + "AAAAAAAA",
        lambda token: ".".join([token.split(".")[0], _with(token, sub="somebody"), token.split(".")[2]]),
        lambda _token: "not.a.token",
    ],
    ids=["signature", "claims", "no token"],
)
def test_spoilt_token_is_refused(pool: IdentityPool, spoil: Callable[[str], str]) -> None:
    token = pool.sign_in(pool.users.add_confirmed())
    identity = pool.get_id(token)
    assert refusal(lambda: pool.get_id(spoil(token)))[0] == "NotAuthorizedException"
    assert refusal(lambda: pool.credentials(spoil(token), identity))[0] == "NotAuthorizedException"


def _with(token: str, **changes: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps({**claims(token), **changes}).encode()).rstrip(b"=").decode()


def test_access_token_and_another_clients_token_are_refused(cloud: RunningCloud, pool: IdentityPool) -> None:
    username = pool.users.add_confirmed()
    access = pool.users.sign_in(username)["AuthenticationResult"]["AccessToken"]
    assert refusal(lambda: pool.get_id(access))[0] == "NotAuthorizedException"
    client = pool.users.cognito.create_user_pool_client(
        UserPoolId=pool.users.pool_id, ClientName="other", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    answer = pool.users.cognito.admin_initiate_auth(
        UserPoolId=pool.users.pool_id,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": "Portico-2026!"},
    )
    foreign = answer["AuthenticationResult"]["IdToken"]
    assert refusal(lambda: pool.get_id(foreign))[0] == "NotAuthorizedException"
    elsewhere = Pool(cloud)
    stranger = elsewhere.sign_in(elsewhere.add_confirmed())["AuthenticationResult"]["IdToken"]
    assert refusal(lambda: pool.get_id(stranger))[0] == "NotAuthorizedException"


def test_expired_token_is_refused(start: Start, tmp_path: Path) -> None:
    """A token of the past, signed with the pool's own key, read from the state. AWS allows five minutes."""
    from tests.localcloud.test_cognito_tokens import resigned

    cloud = start(tmp_path)
    pool = IdentityPool(cloud)
    token = pool.sign_in(pool.users.add_confirmed())
    key = tmp_path / f"services/cognito-pool-keys/{pool.users.pool_id}-id.pem"
    assert pool.get_id(resigned(token, key, exp=claims(token)["exp"]))
    expired = resigned(token, key, exp=claims(token)["iat"] - 301)
    assert refusal(lambda: pool.get_id(expired))[0] == "NotAuthorizedException"
    cloud.stop(signal.SIGKILL)


@pytest.mark.parametrize("how", ["disable_user", "delete_user", "user_global_sign_out"])
def test_user_who_is_gone_gets_no_more_credentials(pool: IdentityPool, how: str) -> None:
    username = pool.users.add_confirmed()
    token = pool.sign_in(username)
    identity = pool.get_id(token)
    pool.credentials(token, identity)
    getattr(pool.users.cognito, f"admin_{how}")(UserPoolId=pool.users.pool_id, Username=username)
    refused = ("NotAuthorizedException", "Invalid login token. Token is expired or was revoked.")
    assert refusal(lambda: pool.credentials(token, identity)) == refused
    assert refusal(lambda: pool.get_id(token)) == refused


def test_without_the_check_the_token_lives_on(cloud: RunningCloud) -> None:
    pool = IdentityPool(cloud)
    pool.set_role(make_role(cloud, trust=pool.trust()))
    pool.identities.update_identity_pool(
        IdentityPoolId=pool.id,
        IdentityPoolName="unchecked",
        AllowUnauthenticatedIdentities=False,
        CognitoIdentityProviders=[{"ProviderName": pool.provider, "ClientId": pool.users.client_id}],
    )
    username = pool.users.add_confirmed()
    token = pool.sign_in(username)
    pool.users.cognito.admin_disable_user(UserPoolId=pool.users.pool_id, Username=username)
    assert pool.credentials(token)


def test_credentials_are_the_roles_and_reach_what_is_keyed_by_the_identity(cloud: RunningCloud, name: str) -> None:
    pool, s3 = IdentityPool(cloud), cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    own = allow("s3:PutObject", f"arn:aws:s3:::{name}/ugc/${{{HOST}:sub}}/*")
    role = make_role(cloud, own, trust=pool.trust())
    pool.set_role(role)
    token, other = (pool.sign_in(pool.users.add_confirmed()) for _ in range(2))
    key = pool.credentials(token)
    assert pool.role_of(key) == name_of(role)
    as_person = cloud.client("s3", key=key)
    as_person.put_object(Bucket=name, Key=f"ugc/{pool.get_id(token)}/1", Body=b"")
    with pytest.raises(as_person.exceptions.ClientError, match="AccessDenied"):
        as_person.put_object(Bucket=name, Key=f"ugc/{pool.get_id(other)}/1", Body=b"")


@pytest.mark.parametrize(
    "conditions",
    [
        {"StringEquals": {f"{HOST}:aud": f"{REGION}:00000000-0000-0000-0000-000000000000"}},
        {"ForAnyValue__StringLike": {f"{HOST}:amr": "unauthenticated"}},
        {"Null": {"aws:RequestTag/sub": "false"}},
    ],
    ids=["another pool", "guests", "tags"],
)
def test_role_that_does_not_trust_the_pool_gives_no_credentials(
    cloud: RunningCloud, conditions: dict[str, Any]
) -> None:
    pool = IdentityPool(cloud)
    pool.set_role(make_role(cloud, trust=pool.trust(**conditions)))
    token = pool.sign_in(pool.users.add_confirmed())
    assert refusal(lambda: pool.credentials(token))[0] == "InvalidIdentityPoolConfigurationException"


def test_pool_without_roles_gives_no_credentials(cloud: RunningCloud) -> None:
    pool = IdentityPool(cloud)
    token = pool.sign_in(pool.users.add_confirmed())
    assert refusal(lambda: pool.credentials(token))[0] == "InvalidIdentityPoolConfigurationException"


def test_claims_become_session_tags(cloud: RunningCloud, name: str) -> None:
    pool, s3 = IdentityPool(cloud), cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    trust = pool.trust(WEB_IDENTITY, "sts:TagSession", Null={"aws:RequestTag/sub": "false"})
    tagged = "/".join(f"${{aws:PrincipalTag/{tag}}}" for tag in ("sub", "mail"))
    pool.set_role(make_role(cloud, allow("s3:PutObject", f"arn:aws:s3:::{name}/{tagged}"), trust=trust))
    pool.tag(sub="sub", mail="email", none="no-such-claim")
    token = pool.sign_in(pool.users.add_confirmed())
    said = claims(token)
    as_person = cloud.client("s3", key=pool.credentials(token))
    as_person.put_object(Bucket=name, Key=f"{said['sub']}/{said['email']}", Body=b"")
    with pytest.raises(as_person.exceptions.ClientError, match="AccessDenied"):
        as_person.put_object(Bucket=name, Key=f"{said['sub']}/x", Body=b"")


def test_tags_need_a_role_that_lets_sessions_be_tagged(cloud: RunningCloud) -> None:
    pool = IdentityPool(cloud)
    pool.set_role(make_role(cloud, trust=pool.trust(WEB_IDENTITY)))
    token = pool.sign_in(pool.users.add_confirmed())
    pool.credentials(token)
    pool.tag(sub="sub")
    assert refusal(lambda: pool.credentials(token))[0] == "InvalidIdentityPoolConfigurationException"


@pytest.fixture
def groups(cloud: RunningCloud) -> tuple[IdentityPool, dict[str, str], Callable[..., str]]:
    """Return a pool that maps roles by token, its roles by name, and a function that signs a member of groups in."""
    pool = IdentityPool(cloud)
    roles = {name: make_role(cloud, trust=pool.trust()) for name in ("person", "operator", "auditor")}

    def sign_in(**precedences: int | None) -> str:
        username = pool.users.add_confirmed()
        for group, precedence in precedences.items():
            given = {} if precedence is None else {"Precedence": precedence}
            name = f"{group}-{uuid.uuid4().hex[:6]}"
            role = {"RoleArn": roles[group]} if group in roles else {}
            pool.users.cognito.create_group(UserPoolId=pool.users.pool_id, GroupName=name, **role, **given)
            pool.users.cognito.admin_add_user_to_group(UserPoolId=pool.users.pool_id, Username=username, GroupName=name)
        return pool.sign_in(username)

    pool.set_role(roles["person"], AmbiguousRoleResolution="AuthenticatedRole")
    return pool, roles, sign_in


@pytest.mark.parametrize(
    ("precedences", "preferred"),
    [
        ({}, "person"),
        ({"plain": 1}, "person"),
        ({"operator": 1}, "operator"),
        ({"auditor": 2, "operator": 1}, "operator"),
        ({"auditor": 1, "operator": 2}, "auditor"),
        ({"auditor": 5, "operator": None}, "auditor"),
        ({"operator": None}, "operator"),
        # Nobody is preferred: the pool's own role.
        ({"auditor": 1, "operator": 1}, "person"),
    ],
)
def test_first_groups_role_is_taken(groups: Any, precedences: dict[str, int | None], preferred: str) -> None:
    pool, roles, sign_in = groups
    token = sign_in(**precedences)
    said = claims(token)
    assert set(said.get("cognito:roles", [])) == {roles[group] for group in precedences if group in roles}
    assert said.get("cognito:preferred_role") == (roles[preferred] if preferred != "person" else None)
    assert pool.role_of(pool.credentials(token)) == name_of(roles[preferred])


def test_another_role_of_the_token_can_be_asked_for(groups: Any) -> None:
    pool, roles, sign_in = groups
    token = sign_in(operator=1, auditor=2)
    assert pool.role_of(pool.credentials(token, CustomRoleArn=roles["auditor"])) == name_of(roles["auditor"])


@pytest.mark.parametrize("asked", ["operator", "person"])
def test_role_that_the_token_does_not_name_cannot_be_asked_for(groups: Any, asked: str) -> None:
    pool, roles, sign_in = groups
    token = sign_in(auditor=1)
    assert refusal(lambda: pool.credentials(token, CustomRoleArn=roles[asked]))[0] == "NotAuthorizedException"


def test_nobody_preferred_can_mean_nobody_admitted(groups: Any) -> None:
    pool, roles, sign_in = groups
    pool.set_role(roles["person"], AmbiguousRoleResolution="Deny")
    token = sign_in()
    assert refusal(lambda: pool.credentials(token))[0] == "NotAuthorizedException"
    assert pool.role_of(pool.credentials(sign_in(auditor=1))) == name_of(roles["auditor"])


def test_role_cannot_be_asked_for_without_a_mapping(cloud: RunningCloud, pool: IdentityPool) -> None:
    role = make_role(cloud, trust=pool.trust())
    token = pool.sign_in(pool.users.add_confirmed())
    assert refusal(lambda: pool.credentials(token, CustomRoleArn=role))[0] == "NotAuthorizedException"


def test_guest_gets_the_guests_role_where_guests_are_admitted(cloud: RunningCloud) -> None:
    pool = IdentityPool(cloud, AllowUnauthenticatedIdentities=True)
    role = make_role(cloud, trust=pool.trust(ForAnyValue__StringLike={f"{HOST}:amr": "unauthenticated"}))
    pool.identities.set_identity_pool_roles(IdentityPoolId=pool.id, Roles={"unauthenticated": role})
    identity = pool.identities.get_id(IdentityPoolId=pool.id)["IdentityId"]
    answer = pool.identities.get_credentials_for_identity(IdentityId=identity)
    assert pool.role_of(key_of(answer["Credentials"])) == name_of(role)
