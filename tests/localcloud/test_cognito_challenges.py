"""Contract of portal/localcloud/standins/cognito_challenges.py and cognito_lockout.py."""

import base64
import hashlib
import hmac
import struct
import time
from typing import Any

import pytest
from botocore import UNSIGNED

from tests.localcloud.pools import PASSWORD, Pool, refusal
from tests.localcloud.running_cloud import RunningCloud, wait_until

INVALID_SESSION = "NotAuthorizedException"


def totp(secret: str, step_offset: int = 0) -> str:
    """Return the code an authenticator app shows, RFC 6238, now or some 30-second steps from now."""
    counter = struct.pack(">Q", int(time.time() // 30) + step_offset)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> Pool:
    """Return a pool where a second factor is a user's own choice."""
    pool = Pool(cloud)
    require_totp(pool, "OPTIONAL")
    return pool


def require_totp(pool: Pool, configuration: str) -> None:
    pool.cognito.set_user_pool_mfa_config(
        UserPoolId=pool.pool_id,
        SoftwareTokenMfaConfiguration={"Enabled": True},
        MfaConfiguration=configuration,
    )


def enrol(pool: Pool, username: str) -> str:
    """Verify a software token for a user and return its secret. The code of the next step is still unused."""
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    secret: str = pool.cognito.associate_software_token(AccessToken=token)["SecretCode"]
    pool.cognito.verify_software_token(AccessToken=token, UserCode=totp(secret))
    return secret


def prefer_totp(pool: Pool, username: str, *, enabled: bool = True) -> None:
    pool.cognito.admin_set_user_mfa_preference(
        UserPoolId=pool.pool_id,
        Username=username,
        SoftwareTokenMfaSettings={"Enabled": enabled, "PreferredMfa": enabled},
    )


def answer_totp(pool: Pool, username: str, session: str, code: str) -> Any:
    return pool.respond("SOFTWARE_TOKEN_MFA", session, USERNAME=username, SOFTWARE_TOKEN_MFA_CODE=code)


def test_verified_and_preferred_token_is_asked_for(pool: Pool) -> None:
    username = pool.add_confirmed()
    secret = enrol(pool, username)
    assert "AuthenticationResult" in pool.sign_in(username)
    prefer_totp(pool, username)
    asked = pool.sign_in(username)
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    assert "AuthenticationResult" in answer_totp(pool, username, asked["Session"], totp(secret, 1))
    prefer_totp(pool, username, enabled=False)
    assert "AuthenticationResult" in pool.sign_in(username)


def test_token_cannot_be_preferred_before_it_is_verified(pool: Pool) -> None:
    username = pool.add_confirmed()
    assert refusal(lambda: prefer_totp(pool, username))[0] == "InvalidParameterException"
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    pool.cognito.associate_software_token(AccessToken=token)
    wish = {"Enabled": True, "PreferredMfa": True}
    own_wish = {"AccessToken": token, "SoftwareTokenMfaSettings": wish}
    assert refusal(lambda: pool.cognito.set_user_mfa_preference(**own_wish))[0] == "InvalidParameterException"
    assert "AuthenticationResult" in pool.sign_in(username)


def test_one_time_code_is_taken_once(pool: Pool) -> None:
    username = pool.add_confirmed()
    secret = enrol(pool, username)
    prefer_totp(pool, username)
    code = totp(secret, 1)
    answer_totp(pool, username, pool.sign_in(username)["Session"], code)
    session = pool.sign_in(username)["Session"]
    assert refusal(lambda: answer_totp(pool, username, session, code))[0] == "ExpiredCodeException"


def test_code_that_verified_the_token_does_not_sign_in(pool: Pool) -> None:
    username = pool.add_confirmed()
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    secret = pool.cognito.associate_software_token(AccessToken=token)["SecretCode"]
    code = totp(secret)
    pool.cognito.verify_software_token(AccessToken=token, UserCode=code)
    prefer_totp(pool, username)
    session = pool.sign_in(username)["Session"]
    assert refusal(lambda: answer_totp(pool, username, session, code))[0] == "ExpiredCodeException"


def test_session_is_good_for_its_own_user_only(pool: Pool) -> None:
    bob, eve = pool.add_confirmed(), pool.add_confirmed()
    secrets = {username: enrol(pool, username) for username in (bob, eve)}
    for username in (bob, eve):
        prefer_totp(pool, username)
    session = pool.sign_in(bob)["Session"]
    assert refusal(lambda: answer_totp(pool, eve, session, totp(secrets[eve], 1)))[0] == INVALID_SESSION
    assert refusal(lambda: answer_totp(pool, eve, session, totp(secrets[bob], 1)))[0] == INVALID_SESSION
    assert "AuthenticationResult" in answer_totp(pool, bob, session, totp(secrets[bob], 1))


def test_session_is_good_once_and_for_its_own_client(pool: Pool) -> None:
    username = pool.add_confirmed()
    secret = enrol(pool, username)
    prefer_totp(pool, username)
    session = pool.sign_in(username)["Session"]
    other = pool.cognito.create_user_pool_client(UserPoolId=pool.pool_id, ClientName="other")["UserPoolClient"]
    responses = {"USERNAME": username, "SOFTWARE_TOKEN_MFA_CODE": totp(secret, 1)}
    stolen = {"ClientId": other["ClientId"], "Session": session, "ChallengeResponses": responses}
    call = pool.cognito.respond_to_auth_challenge
    assert refusal(lambda: call(ChallengeName="SOFTWARE_TOKEN_MFA", **stolen))[0] == INVALID_SESSION
    answer_totp(pool, username, session, totp(secret, 1))
    assert refusal(lambda: answer_totp(pool, username, session, totp(secret, 1)))[0] == INVALID_SESSION


@pytest.mark.parametrize("session", ["A" * 40, None])
@pytest.mark.parametrize(
    ("challenge", "response"),
    [
        ("NEW_PASSWORD_REQUIRED", {"NEW_PASSWORD": "Stolen-2026!"}),
        ("SOFTWARE_TOKEN_MFA", {"SOFTWARE_TOKEN_MFA_CODE": "000000"}),
        ("MFA_SETUP", {}),
        ("SMS_MFA", {"SMS_MFA_CODE": "000000"}),
    ],
)
def test_nobody_signs_in_by_naming_a_user(
    pool: Pool, challenge: str, response: dict[str, str], session: str | None
) -> None:
    username = pool.add_confirmed()
    optional = {"Session": session} if session else {}
    named = {"ChallengeName": challenge, "ChallengeResponses": {"USERNAME": username, **response}, **optional}
    call = pool.cloud.client("cognito-idp", signature_version=UNSIGNED).respond_to_auth_challenge
    assert refusal(lambda: call(ClientId=pool.client_id, **named))[0] == INVALID_SESSION
    by_admin = pool.cognito.admin_respond_to_auth_challenge
    call_by_admin = {"UserPoolId": pool.pool_id, "ClientId": pool.client_id, **named}
    assert refusal(lambda: by_admin(**call_by_admin))[0] == INVALID_SESSION
    assert "AuthenticationResult" in pool.sign_in(username)


def test_wrong_one_time_codes_end_the_session(pool: Pool) -> None:
    username = pool.add_confirmed()
    secret = enrol(pool, username)
    prefer_totp(pool, username)
    session = pool.sign_in(username)["Session"]
    wrong = f"{(int(totp(secret, 1)) + 1) % 10**6:06d}"
    for _ in range(5):
        assert refusal(lambda: answer_totp(pool, username, session, wrong))[0] == "CodeMismatchException"
    assert refusal(lambda: answer_totp(pool, username, session, totp(secret, 1)))[0] == INVALID_SESSION


def test_first_password_follows_the_policy_and_then_signs_in(pool: Pool) -> None:
    username = pool.invite()
    asked = pool.sign_in(username, pool.mailed_password(username))
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    session, name = asked["Session"], {"USERNAME": username}
    weak = refusal(lambda: pool.respond("NEW_PASSWORD_REQUIRED", session, NEW_PASSWORD="weak", **name))
    assert weak[0] == "InvalidPasswordException"
    other = {"USERNAME": pool.invite()}
    swapped = refusal(lambda: pool.respond("NEW_PASSWORD_REQUIRED", session, NEW_PASSWORD=PASSWORD, **other))
    assert swapped[0] == INVALID_SESSION
    chosen = {"userAttributes.family_name": "Lovelace"}
    done = pool.respond("NEW_PASSWORD_REQUIRED", session, NEW_PASSWORD=PASSWORD, **name, **chosen)
    assert "AuthenticationResult" in done
    assert pool.attributes(username)["family_name"] == "Lovelace"
    assert "AuthenticationResult" in pool.sign_in(username)


def test_new_password_does_not_skip_the_second_factor(pool: Pool) -> None:
    username = pool.add_confirmed()
    enrol(pool, username)
    prefer_totp(pool, username)
    pool.cognito.admin_set_user_password(
        UserPoolId=pool.pool_id, Username=username, Password="Temporary-2026!", Permanent=False
    )
    session = pool.sign_in(username, "Temporary-2026!")["Session"]
    done = pool.respond("NEW_PASSWORD_REQUIRED", session, NEW_PASSWORD=PASSWORD, USERNAME=username)
    assert done["ChallengeName"] == "SOFTWARE_TOKEN_MFA"


def test_pool_that_requires_a_second_factor_has_it_set_up(cloud: RunningCloud) -> None:
    pool = Pool(cloud)
    require_totp(pool, "ON")
    username = pool.add_confirmed()
    asked = pool.sign_in(username)
    assert asked["ChallengeName"] == "MFA_SETUP"
    early = refusal(lambda: pool.respond("MFA_SETUP", asked["Session"], USERNAME=username))
    assert early[0] == INVALID_SESSION
    associated = pool.cognito.associate_software_token(Session=asked["Session"])
    secret, session = associated["SecretCode"], associated["Session"]
    early = refusal(lambda: pool.respond("MFA_SETUP", session, USERNAME=username))
    assert early[0] == INVALID_SESSION
    verified = pool.cognito.verify_software_token(Session=session, UserCode=totp(secret))
    done = pool.respond("MFA_SETUP", verified["Session"], USERNAME=username)
    assert "AuthenticationResult" in done
    asked = pool.sign_in(username)
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    assert "AuthenticationResult" in answer_totp(pool, username, asked["Session"], totp(secret, 1))


def test_user_disabled_during_a_challenge_is_refused(pool: Pool) -> None:
    username = pool.invite()
    session = pool.sign_in(username, pool.mailed_password(username))["Session"]
    pool.cognito.admin_disable_user(UserPoolId=pool.pool_id, Username=username)
    refused = refusal(lambda: pool.respond("NEW_PASSWORD_REQUIRED", session, NEW_PASSWORD=PASSWORD, USERNAME=username))
    assert refused == ("NotAuthorizedException", "User is disabled.")


@pytest.mark.parametrize("known", [True, False])
def test_wrong_passwords_lock_for_a_while(pool: Pool, known: bool) -> None:
    username = pool.add_confirmed() if known else pool.email("nobody") + str(time.monotonic_ns())
    for _ in range(5):
        assert refusal(lambda: pool.sign_in(username, "Wrong-2026!"))[1] == "Incorrect username or password."
    assert refusal(lambda: pool.sign_in(username)) == ("NotAuthorizedException", "Password attempts exceeded")


def test_lock_ends_by_itself_and_a_right_password_forgets_the_failures(pool: Pool) -> None:
    username = pool.add_confirmed()
    for _ in range(5):
        refusal(lambda: pool.sign_in(username, "Wrong-2026!"))

    def signed_in() -> bool:
        try:
            return "AuthenticationResult" in pool.sign_in(username)
        except pool.cognito.exceptions.NotAuthorizedException as locked:
            return "exceeded" not in str(locked)

    assert wait_until(signed_in)
    for _ in range(4):
        assert refusal(lambda: pool.sign_in(username, "Wrong-2026!"))[1] == "Incorrect username or password."
    assert "AuthenticationResult" in pool.sign_in(username)


def test_lock_holds_for_every_way_to_try_a_password(pool: Pool) -> None:
    username = pool.add_confirmed()
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    wrong = {
        "UserPoolId": pool.pool_id,
        "ClientId": pool.client_id,
        "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
        "AuthParameters": {"USERNAME": username, "PASSWORD": "Wrong-2026!"},
    }
    for _ in range(3):
        refusal(lambda: pool.sign_in(username, "Wrong-2026!"))
        refusal(lambda: pool.cognito.admin_initiate_auth(**wrong))
    change = {"AccessToken": token, "PreviousPassword": PASSWORD, "ProposedPassword": "Another-2026!"}
    assert refusal(lambda: pool.cognito.change_password(**change))[0] == "LimitExceededException"


def test_changing_a_password_is_not_a_way_to_guess_it(pool: Pool) -> None:
    username = pool.add_confirmed()
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    guess = {"AccessToken": token, "PreviousPassword": "Wrong-2026!", "ProposedPassword": "Another-2026!"}
    codes = [refusal(lambda: pool.cognito.change_password(**guess))[0] for _ in range(6)]
    assert codes == ["NotAuthorizedException"] * 5 + ["LimitExceededException"]
