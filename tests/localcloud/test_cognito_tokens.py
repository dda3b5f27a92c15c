"""Contract of cognito_tokens.py, and the claims and refusals the portal relies on."""

import base64
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.pools import PASSWORD, Pool, refusal
from tests.localcloud.running_cloud import REGION, RunningCloud, Start


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> Pool:
    """Return a pool with ID tokens of five minutes."""
    return Pool(
        cloud,
        pool_settings={"AliasAttributes": ["email"]},
        IdTokenValidity=5,
        AccessTokenValidity=10,
        RefreshTokenValidity=2,
        TokenValidityUnits={"IdToken": "minutes", "AccessToken": "minutes", "RefreshToken": "hours"},
    )


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def refresh(pool: Pool, token: str, *, by_admin: bool = False) -> Any:
    parameters = {"REFRESH_TOKEN": token}
    if not by_admin:
        return pool.initiate("REFRESH_TOKEN_AUTH", **parameters)
    return pool.cognito.admin_initiate_auth(
        UserPoolId=pool.pool_id,
        ClientId=pool.client_id,
        AuthFlow="REFRESH_TOKEN_AUTH",
        AuthParameters=parameters,
    )


def test_id_token_says_who_signed_in(pool: Pool) -> None:
    username = pool.add_confirmed()
    pool.cognito.create_group(UserPoolId=pool.pool_id, GroupName=f"of-{username}")
    pool.cognito.admin_add_user_to_group(UserPoolId=pool.pool_id, Username=username, GroupName=f"of-{username}")
    before = int(time.time())
    result = pool.sign_in(username)["AuthenticationResult"]
    said = claims(result["IdToken"])
    assert {name: said[name] for name in ("aud", "iss", "token_use", "cognito:username", "cognito:groups")} == {
        "aud": pool.client_id,
        "iss": f"https://cognito-idp.{REGION}.amazonaws.com/{pool.pool_id}",
        "token_use": "id",
        "cognito:username": username,
        "cognito:groups": [f"of-{username}"],
    }
    assert said["sub"] == pool.attributes(username)["sub"]
    assert (said["email"], said["email_verified"]) == (pool.email(username), True)
    assert said["given_name"] == "Ada"
    assert said["exp"] - said["iat"] == 300
    assert before <= said["auth_time"] <= time.time()
    assert result["ExpiresIn"] == 600
    access = claims(result["AccessToken"])
    assert (access["token_use"], access["client_id"], access["exp"] - access["iat"]) == (
        "access",
        pool.client_id,
        600,
    )


def test_address_nobody_verified_is_not_called_verified(pool: Pool) -> None:
    username = pool.sign_up()
    pool.cognito.admin_confirm_sign_up(UserPoolId=pool.pool_id, Username=username)
    said = claims(pool.sign_in(username)["AuthenticationResult"]["IdToken"])
    assert said["email_verified"] is False


@pytest.mark.parametrize("by_admin", [True, False])
def test_verified_address_signs_in_by_password(pool: Pool, by_admin: bool) -> None:
    username = pool.add_confirmed()
    parameters = {"USERNAME": pool.email(username), "PASSWORD": PASSWORD}
    if by_admin:
        answer = pool.cognito.admin_initiate_auth(
            UserPoolId=pool.pool_id,
            ClientId=pool.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters=parameters,
        )
    else:
        answer = pool.initiate("USER_PASSWORD_AUTH", **parameters)
    assert claims(answer["AuthenticationResult"]["IdToken"])["cognito:username"] == username


def test_unverified_address_does_not_sign_in(pool: Pool) -> None:
    username = pool.sign_up()
    pool.cognito.admin_confirm_sign_up(UserPoolId=pool.pool_id, Username=username)
    assert refusal(lambda: pool.sign_in(pool.email(username)))[0] == "NotAuthorizedException"


def test_refreshed_tokens_keep_the_time_of_the_sign_in(pool: Pool) -> None:
    username = pool.add_confirmed()
    signed_in = pool.sign_in(username)["AuthenticationResult"]
    time.sleep(2.1)  # the claim counts whole seconds, and the tokens of one sign-in may be made in two of them
    refreshed = refresh(pool, signed_in["RefreshToken"])["AuthenticationResult"]
    assert claims(refreshed["IdToken"])["auth_time"] - claims(signed_in["IdToken"])["auth_time"] in (0, 1)
    assert claims(refreshed["IdToken"])["iat"] > claims(signed_in["IdToken"])["iat"]
    assert "RefreshToken" not in refreshed


@pytest.mark.parametrize("by_admin", [True, False])
def test_disabled_user_gets_no_fresh_tokens(pool: Pool, by_admin: bool) -> None:
    username = pool.add_confirmed()
    tokens = pool.sign_in(username)["AuthenticationResult"]
    pool.cognito.admin_disable_user(UserPoolId=pool.pool_id, Username=username)
    disabled = ("NotAuthorizedException", "User is disabled.")
    assert refusal(lambda: refresh(pool, tokens["RefreshToken"], by_admin=by_admin)) == disabled
    assert refusal(lambda: pool.sign_in(username)) == disabled
    assert refusal(lambda: pool.cognito.get_user(AccessToken=tokens["AccessToken"]))[0] == "NotAuthorizedException"
    pool.cognito.admin_enable_user(UserPoolId=pool.pool_id, Username=username)
    revoked = refusal(lambda: refresh(pool, tokens["RefreshToken"], by_admin=by_admin))
    assert revoked == ("NotAuthorizedException", "Refresh Token has been revoked")


def test_expired_refresh_token_is_refused(start: Start, tmp_path: Path) -> None:
    """A signed token cannot be shortened, so the test signs one with the pool's own key, read from the state."""
    cloud = start(tmp_path)
    pool = Pool(cloud)
    token = pool.sign_in(pool.add_confirmed())["AuthenticationResult"]["RefreshToken"]
    key = tmp_path / f"services/cognito-pool-keys/{pool.pool_id}-access.pem"
    assert "AuthenticationResult" in refresh(pool, resigned(token, key, exp=time.time() + 60))
    refused = refusal(lambda: refresh(pool, resigned(token, key, exp=time.time() - 1)))
    assert refused == ("NotAuthorizedException", "Refresh Token has expired")
    cloud.stop(signal.SIGKILL)


def resigned(token: str, key: Path, **changes: Any) -> str:
    """Return a token with other claims, signed again."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    body = json.dumps({**claims(token), **changes}).encode()
    signed = f"{token.split('.')[0]}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}"
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], {"email", "email_verified", "phone_number", "given_name"}),
        (["email", "email_verified", "given_name"], {"email", "email_verified", "given_name"}),
        (["phone_number"], {"phone_number"}),
        # Whoever hears an address hears whether it is verified.
        (["email"], {"email", "email_verified"}),
    ],
)
def test_id_token_says_what_the_client_may_read(cloud: RunningCloud, names: list[str], said: set[str]) -> None:
    pool = Pool(cloud, ReadAttributes=names)
    username = pool.add_confirmed()
    number = [{"Name": "phone_number", "Value": "+12025550100"}]
    pool.cognito.admin_update_user_attributes(UserPoolId=pool.pool_id, Username=username, UserAttributes=number)
    token = claims(pool.sign_in(username)["AuthenticationResult"]["IdToken"])
    attributes = {"email", "email_verified", "phone_number", "given_name"}
    assert attributes & token.keys() == said
    assert token["sub"] == pool.attributes(username)["sub"]
