"""Contract of developer_identities.py and web_identities.py: people an app vouches for, and the classic flow."""

import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED

from tests.localcloud.identity_pool import HOST, WEB_IDENTITY, IdentityPool, claims
from tests.localcloud.pools import refusal
from tests.localcloud.roles import allow, deny, document, key_of, make_role, trusting
from tests.localcloud.running_cloud import ACCOUNT_ID, REGION, RunningCloud, Start, wait_until

PROVIDER = "portico"


class Vouching(IdentityPool):
    """An identity pool with a developer provider and the classic flow."""

    def __init__(self, cloud: RunningCloud, **settings: Any) -> None:
        super().__init__(cloud, **{"DeveloperProviderName": PROVIDER, "AllowClassicFlow": True, **settings})

    def vouch(self, user: str, *, logins: dict[str, str] | None = None, **options: Any) -> tuple[str, str]:
        answer = self.identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=self.id, Logins={PROVIDER: user, **(logins or {})}, **options
        )
        return answer["IdentityId"], answer["Token"]

    def lookup(self, **by: str) -> Any:
        return self.identities.lookup_developer_identity(IdentityPoolId=self.id, MaxResults=10, **by)

    def assume(self, token: str, role: str, **options: Any) -> Any:
        sts = self.cloud.client("sts", signature_version=UNSIGNED)
        return sts.assume_role_with_web_identity(
            **{"RoleArn": role, "RoleSessionName": "someone", "WebIdentityToken": token, **options}
        )


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> Vouching:
    return Vouching(cloud)


@pytest.fixture(scope="module")
def role(cloud: RunningCloud, pool: Vouching) -> str:
    return make_role(cloud, trust=pool.trust(WEB_IDENTITY, "sts:TagSession"))


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex[:8]}"


def test_developer_user_keeps_one_identity(pool: Vouching, user: str) -> None:
    identity, token = pool.vouch(user)
    assert pool.vouch(user)[0] == identity
    assert pool.vouch(user + "x")[0] != identity
    assert pool.lookup(DeveloperUserIdentifier=user)["IdentityId"] == identity
    assert pool.lookup(IdentityId=identity)["DeveloperUserIdentifierList"] == [user]
    assert pool.identities.describe_identity(IdentityId=identity)["Logins"] == [PROVIDER]
    said = claims(token)
    assert (said["iss"], said["aud"], said["sub"]) == (f"https://{HOST}", pool.id, identity)
    assert said["amr"] == ["authenticated", PROVIDER, f"{PROVIDER}:{pool.id}:{user}"]
    assert said["exp"] - said["iat"] == 900


def test_token_says_tags_and_lasts_as_told(pool: Vouching, user: str) -> None:
    _, token = pool.vouch(user, PrincipalTags={"sub": "ada"}, TokenDuration=60)
    said = claims(token)
    assert said["exp"] - said["iat"] == 60
    assert said["https://aws.amazon.com/tags"] == {"principal_tags": {"sub": ["ada"]}}


def test_another_provider_is_not_the_pools(pool: Vouching, user: str) -> None:
    vouch = pool.identities.get_open_id_token_for_developer_identity
    refused = refusal(lambda: vouch(IdentityPoolId=pool.id, Logins={"other": user}))
    assert refused[0] == "NotAuthorizedException"


def test_vouching_needs_permission(cloud: RunningCloud, pool: Vouching, user: str) -> None:
    call = {"IdentityPoolId": pool.id, "Logins": {PROVIDER: user}}
    arn = f"arn:aws:cognito-identity:{REGION}:{ACCOUNT_ID}:identitypool/{pool.id}"
    for resource, may in ((arn, True), (arn + "x", False)):
        made = make_role(cloud, allow("cognito-identity:GetOpenIdTokenForDeveloperIdentity", resource))
        key = key_of(cloud.client("sts").assume_role(RoleArn=made, RoleSessionName="app")["Credentials"])
        vouch = cloud.client("cognito-identity", key=key).get_open_id_token_for_developer_identity
        if may:
            vouch(**call)
        else:
            assert refusal(lambda vouch=vouch: vouch(**call))[0] == "AccessDeniedException"
    unsigned = cloud.client("cognito-identity", signature_version=UNSIGNED)
    refused = refusal(lambda: unsigned.get_open_id_token_for_developer_identity(**call))
    assert refused[0] == "MissingAuthenticationTokenException"


def test_two_logins_are_linked_to_one_identity(pool: Vouching, user: str) -> None:
    token = pool.sign_in(pool.users.add_confirmed())
    identity = pool.get_id(token)
    assert pool.vouch(user, logins={pool.provider: token}, IdentityId=identity)[0] == identity
    assert pool.vouch(user)[0] == identity
    assert pool.get_id(token) == identity
    assert sorted(pool.identities.describe_identity(IdentityId=identity)["Logins"]) == [pool.provider, PROVIDER]


def test_developer_user_of_another_identity_is_not_linked(pool: Vouching, user: str) -> None:
    pool.vouch(user)
    token = pool.sign_in(pool.users.add_confirmed())
    identity = pool.get_id(token)
    refused = refusal(lambda: pool.vouch(user, logins={pool.provider: token}, IdentityId=identity))
    assert refused[0] == "DeveloperUserAlreadyRegisteredException"


def test_another_name_leads_to_an_identity_only_with_a_login_that_does_already(pool: Vouching, user: str) -> None:
    identity, _ = pool.vouch(user)
    refused = refusal(lambda: pool.vouch(f"{user}-work", IdentityId=identity))
    assert refused[0] == "NotAuthorizedException"
    assert pool.vouch(user, IdentityId=identity)[0] == identity


def test_login_of_another_identity_is_not_linked(pool: Vouching, user: str) -> None:
    identity, _ = pool.vouch(user)
    token = pool.sign_in(pool.users.add_confirmed())
    pool.get_id(token)
    refused = refusal(lambda: pool.vouch(user, logins={pool.provider: token}, IdentityId=identity))
    assert refused[0] == "ResourceConflictException"


def test_spoilt_login_is_not_linked(pool: Vouching, user: str) -> None:
    token = pool.sign_in(pool.users.add_confirmed())[:-8] + "AAAAAAAA"
    assert refusal(lambda: pool.vouch(user, logins={pool.provider: token}))[0] == "NotAuthorizedException"
    assert refusal(lambda: pool.lookup(DeveloperUserIdentifier=user))[0] == "ResourceNotFoundException"


def test_stranger_cannot_sign_in_to_a_developer_users_identity(
    cloud: RunningCloud, pool: Vouching, user: str, role: str
) -> None:
    pool.set_role(role)
    identity, token = pool.vouch(user)
    stranger = pool.sign_in(pool.users.add_confirmed())
    other_identity, other_token = pool.vouch(user + "x")
    get = pool.identities.get_credentials_for_identity
    for logins in ({pool.provider: stranger}, {HOST: other_token}, {HOST: "not.a.token"}, {}):
        refused = refusal(lambda logins=logins: get(IdentityId=identity, Logins=logins))
        assert refused[0] == "NotAuthorizedException", logins
    answer = pool.identities.get_credentials_for_identity(IdentityId=identity, Logins={HOST: token})
    assert pool.role_of(key_of(answer["Credentials"])) == role.rpartition("/")[2]
    assert pool.identities.describe_identity(IdentityId=identity)["Logins"] == [PROVIDER]
    assert pool.get_id(stranger) not in (identity, other_identity)


def test_users_are_unlinked_and_merged(pool: Vouching, user: str) -> None:
    (source, _), (kept, _) = pool.vouch(user), pool.vouch(user + "x")
    merged = pool.identities.merge_developer_identities(
        SourceUserIdentifier=user,
        DestinationUserIdentifier=user + "x",
        DeveloperProviderName=PROVIDER,
        IdentityPoolId=pool.id,
    )
    assert merged["IdentityId"] == kept != source
    assert pool.vouch(user)[0] == kept
    unlink = {"IdentityPoolId": pool.id, "DeveloperProviderName": PROVIDER, "DeveloperUserIdentifier": user}
    pool.identities.unlink_developer_identity(IdentityId=kept, **unlink)
    assert refusal(lambda: pool.lookup(DeveloperUserIdentifier=user))[0] == "ResourceNotFoundException"
    assert pool.lookup(DeveloperUserIdentifier=user + "x")["IdentityId"] == kept
    refused = refusal(lambda: pool.identities.unlink_developer_identity(IdentityId=kept, **unlink))
    assert refused[0] == "ResourceConflictException"


def test_developer_identities_survive_a_restart(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path)
    pool = Vouching(cloud)
    pool.set_role(make_role(cloud, allow("s3:ListAllMyBuckets", "*"), trust=pool.trust()))
    identity, token = pool.vouch("ada")
    key = key_of(pool.identities.get_credentials_for_identity(IdentityId=identity, Logins={HOST: token})["Credentials"])
    cloud.stop(signal.SIGTERM)
    again = start(tmp_path)
    identities = again.client("cognito-identity")
    found = identities.lookup_developer_identity(IdentityPoolId=pool.id, DeveloperUserIdentifier="ada")
    assert found["IdentityId"] == identity
    answer = identities.get_credentials_for_identity(IdentityId=identity, Logins={HOST: token})
    assert answer["IdentityId"] == identity
    again.client("s3", key=key).list_buckets()


def test_session_of_a_vouched_user_is_theirs(cloud: RunningCloud, pool: Vouching, user: str, name: str) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    own = allow("s3:PutObject", f"arn:aws:s3:::{name}/${{{HOST}:sub}}/${{aws:PrincipalTag/sub}}/*")
    made = make_role(cloud, own, trust=pool.trust(WEB_IDENTITY, "sts:TagSession"))
    identity, token = pool.vouch(user, PrincipalTags={"sub": "ada"})
    answer = pool.assume(token, made)
    assert (answer["SubjectFromWebIdentityToken"], answer["Audience"], answer["Provider"]) == (identity, pool.id, HOST)
    assert answer["AssumedRoleUser"]["Arn"].endswith(f"assumed-role/{made.rpartition('/')[2]}/someone")
    as_person = cloud.client("s3", key=key_of(answer["Credentials"]))
    as_person.put_object(Bucket=name, Key=f"{identity}/ada/1", Body=b"")
    for key in (f"{identity}/bob/1", "other/ada/1"):
        assert refusal(lambda key=key: as_person.put_object(Bucket=name, Key=key, Body=b""))[0] == "AccessDenied"


def test_session_policy_narrows_the_session(cloud: RunningCloud, pool: Vouching, user: str) -> None:
    made = make_role(cloud, allow("s3:ListAllMyBuckets", "*"), trust=pool.trust())
    _, token = pool.vouch(user)
    plain = pool.assume(token, made)
    narrowed = pool.assume(token, made, Policy=document(deny("*", "*")))
    cloud.client("s3", key=key_of(plain["Credentials"])).list_buckets()
    assert refusal(cloud.client("s3", key=key_of(narrowed["Credentials"])).list_buckets)[0] == "AccessDenied"


def test_user_pools_token_opens_the_classic_flow_too(cloud: RunningCloud, pool: Vouching) -> None:
    trust = pool.trust(WEB_IDENTITY, "sts:TagSession", Null={"aws:RequestTag/sub": "false"})
    made = make_role(cloud, trust=trust)
    pool.tag(sub="sub")
    token = pool.sign_in(pool.users.add_confirmed())
    identity = pool.get_id(token)
    classic = pool.identities.get_open_id_token(IdentityId=identity, Logins={pool.provider: token})
    said = claims(classic["Token"])
    assert said["https://aws.amazon.com/tags"]["principal_tags"]["sub"] == [claims(token)["sub"]]
    assert pool.assume(classic["Token"], made)["SubjectFromWebIdentityToken"] == identity


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda token: token[:-8] + "AAAAAAAA", "InvalidIdentityToken"),
        (lambda _token: "not.a.token", "InvalidIdentityToken"),
    ],
)
def test_spoilt_token_opens_no_session(pool: Vouching, role: str, user: str, spoil: Any, code: str) -> None:
    _, token = pool.vouch(user)
    assert refusal(lambda: pool.assume(spoil(token), role))[0] == code


def test_expired_token_opens_no_session(pool: Vouching, role: str, user: str) -> None:
    _, token = pool.vouch(user, TokenDuration=1)
    wait_until(lambda: time.time() > claims(token)["exp"])
    assert refusal(lambda: pool.assume(token, role))[0] == "ExpiredTokenException"


@pytest.mark.parametrize(
    "trust",
    [
        lambda _pool: trusting({"Federated": HOST}, WEB_IDENTITY, StringEquals={f"{HOST}:aud": "another pool"}),
        lambda _pool: trusting({"AWS": "*"}, "sts:AssumeRole"),
        lambda pool: pool.trust(WEB_IDENTITY),  # and no sts:TagSession
        lambda pool: pool.trust(WEB_IDENTITY, "sts:TagSession", StringEquals={"aws:RequestTag/sub": "bob"}),
    ],
    ids=["another pool", "no web identities", "no tags", "another tag"],
)
def test_role_must_trust_the_bearer(cloud: RunningCloud, pool: Vouching, user: str, trust: Any) -> None:
    made = make_role(cloud, trust=trust(pool))
    _, token = pool.vouch(user, PrincipalTags={"sub": "ada"})
    expected = ("AccessDenied", f"Not authorized to perform {WEB_IDENTITY}")
    assert refusal(lambda: pool.assume(token, made)) == expected


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"Policy": "no policy"}, "MalformedPolicyDocument"),
        ({"DurationSeconds": 3601}, "ValidationError"),
        ({"RoleSessionName": "no name"}, "ValidationError"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/nobody"}, "AccessDenied"),
    ],
)
def test_call_must_be_in_order(pool: Vouching, role: str, user: str, options: dict[str, Any], code: str) -> None:
    _, token = pool.vouch(user)
    assert refusal(lambda: pool.assume(token, role, **options))[0] == code


def test_classic_flow_can_be_off(cloud: RunningCloud, user: str) -> None:
    pool = Vouching(cloud, AllowClassicFlow=False)
    made = make_role(cloud, trust=pool.trust())
    pool.set_role(made)
    identity, token = pool.vouch(user)
    assert refusal(lambda: pool.assume(token, made))[0] == "AccessDenied"
    id_token = pool.sign_in(pool.users.add_confirmed())
    logins = {"IdentityId": pool.get_id(id_token), "Logins": {pool.provider: id_token}}
    assert refusal(lambda: pool.identities.get_open_id_token(**logins))[0] == "InvalidParameterException"
    # The enhanced one still takes the pool's own token.
    assert pool.identities.get_credentials_for_identity(IdentityId=identity, Logins={HOST: token})


def test_user_pool_is_an_oidc_provider_like_any_other(cloud: RunningCloud, pool: Vouching) -> None:
    token = pool.sign_in(pool.users.add_confirmed())
    arn = f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{pool.provider}"
    trust = trusting({"Federated": arn}, WEB_IDENTITY, StringEquals={f"{pool.provider}:aud": pool.users.client_id})
    made = make_role(cloud, trust=trust)
    assert refusal(lambda: pool.assume(token, made))[0] == "InvalidIdentityToken"
    cloud.client("iam").create_open_id_connect_provider(
        Url=f"https://{pool.provider}", ClientIDList=[pool.users.client_id], ThumbprintList=["0" * 40]
    )
    assert pool.assume(token, made)["Audience"] == pool.users.client_id
    assert refusal(lambda: pool.assume(token[:-8] + "AAAAAAAA", made))[0] == "InvalidIdentityToken"


def test_unsigned_call_is_counted_and_can_fail(cloud: RunningCloud, pool: Vouching, role: str, user: str) -> None:
    _, token = pool.vouch(user)
    fault = {"service": "sts", "action": "AssumeRoleWithWebIdentity", "kind": "throttle", "times": 1}
    cloud.control("POST", "/_portico/faults", fault)
    try:
        assert refusal(lambda: pool.assume(token, role))[0] == "Throttling"
        pool.assume(token, role)
    finally:
        cloud.control("DELETE", "/_portico/faults")
    assert cloud.control("GET", "/_portico/calls")["services"]["sts"]["AssumeRoleWithWebIdentity"] >= 2


def test_second_login_of_somebody_else_is_not_linked_on_the_way_to_credentials(
    cloud: RunningCloud, pool: Vouching, user: str, role: str
) -> None:
    pool.set_role(role)
    identity, token = pool.vouch(user)
    other = pool.sign_in(pool.users.add_confirmed())
    owner = pool.get_id(other)
    logins = {HOST: token, pool.provider: other}
    get = pool.identities.get_credentials_for_identity
    assert refusal(lambda: get(IdentityId=identity, Logins=logins))[0] == "ResourceConflictException"
    assert pool.get_id(other) == owner
    assert pool.vouch(user)[0] == identity
