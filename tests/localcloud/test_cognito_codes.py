"""Contract of cognito_codes.py and cognito_users.py: codes, invitations, and what a user's state allows."""

import json
import re
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pools import PASSWORD, Pool, refusal
from tests.localcloud.running_cloud import RunningCloud, Start


@pytest.fixture
def pool(cloud: RunningCloud) -> Pool:
    """Return a pool whose client hides who exists."""
    return Pool(cloud)


@pytest.fixture
def telling_pool(cloud: RunningCloud) -> Pool:
    """Return a pool whose client tells who exists."""
    return Pool(cloud, PreventUserExistenceErrors="LEGACY")


def wrong(code: str) -> str:
    """Return another code of the same shape."""
    return f"{(int(code) + 1) % 10**6:06d}"


def confirm(pool: Pool, username: str, code: str) -> Any:
    return pool.cognito.confirm_sign_up(ClientId=pool.client_id, Username=username, ConfirmationCode=code)


def reset(pool: Pool, username: str, code: str, password: str = "Another-2026!") -> Any:
    return pool.cognito.confirm_forgot_password(
        ClientId=pool.client_id, Username=username, ConfirmationCode=code, Password=password
    )


def forgot(pool: Pool, username: str) -> Any:
    return pool.cognito.forgot_password(ClientId=pool.client_id, Username=username)


def resend(pool: Pool, username: str) -> Any:
    return pool.cognito.resend_confirmation_code(ClientId=pool.client_id, Username=username)


def test_an_administrator_gives_nobody_an_address_that_is_anothers(cloud: RunningCloud) -> None:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminUpdateUserAttributes.html"""
    pool = Pool(cloud, pool_settings={"AliasAttributes": ["email"]})
    owner, other = pool.invite(), pool.invite()
    address = {"Name": "email", "Value": pool.email(owner).upper()}
    verified = {"Name": "email_verified", "Value": "true"}

    def update(username: str, *attributes: dict[str, str]) -> Any:
        return pool.cognito.admin_update_user_attributes(
            UserPoolId=pool.pool_id, Username=username, UserAttributes=list(attributes)
        )

    def create(*attributes: dict[str, str], **options: Any) -> Any:
        username = f"user-{uuid.uuid4().hex[:8]}"
        return pool.cognito.admin_create_user(
            UserPoolId=pool.pool_id, Username=username, UserAttributes=list(attributes), **options
        )

    assert refusal(lambda: update(other, address, verified))[0] == "AliasExistsException"
    assert pool.attributes(other)["email"] == pool.email(other)
    assert refusal(lambda: create(address, verified))[0] == "UsernameExistsException"
    update(owner, address, verified)
    update(other, address)
    assert pool.attributes(other)["email_verified"] == "false"
    create(address)


def test_sign_up_code_is_random_and_confirms_the_address(pool: Pool) -> None:
    codes = set()
    for _ in range(4):
        username = pool.sign_up()
        codes.add(pool.mailed_code(username))
        confirm(pool, username, pool.mailed_code(username))
        assert pool.attributes(username)["email_verified"] == "true"
    assert len(codes) > 1
    assert all(re.fullmatch(r"\d{6}", code) for code in codes)


def test_wrong_codes_are_refused_and_after_five_the_right_one_too(pool: Pool) -> None:
    username = pool.sign_up()
    code = pool.mailed_code(username)
    for _ in range(5):
        assert refusal(lambda: confirm(pool, username, wrong(code)))[0] == "CodeMismatchException"
    assert refusal(lambda: confirm(pool, username, code))[0] == "LimitExceededException"


def test_new_code_gives_no_new_attempts(pool: Pool) -> None:
    username = pool.sign_up()
    for _ in range(5):
        refusal(lambda: confirm(pool, username, wrong(pool.mailed_code(username))))
    resend(pool, username)
    assert refusal(lambda: confirm(pool, username, pool.mailed_code(username)))[0] == "LimitExceededException"


def test_resent_code_replaces_the_old_one(pool: Pool) -> None:
    username = pool.sign_up()
    old = pool.mailed_code(username)
    for _ in range(3):
        resend(pool, username)
    new = pool.mailed_code(username)
    assert new != old
    assert refusal(lambda: confirm(pool, username, old))[0] == "CodeMismatchException"
    confirm(pool, username, new)


def test_code_is_used_once(pool: Pool) -> None:
    username = pool.sign_up()
    code = pool.mailed_code(username)
    confirm(pool, username, code)
    assert refusal(lambda: confirm(pool, username, code))[0] == "NotAuthorizedException"
    forgot(pool, username)
    code = pool.mailed_code(username)
    reset(pool, username, code)
    assert refusal(lambda: reset(pool, username, code, "Third-2026!"))[0] == "ExpiredCodeException"


@pytest.mark.parametrize("purpose", ["sign_up", "password"])
def test_code_expires(start: Start, tmp_path: Path, purpose: str) -> None:
    """The time of expiry is in the state, so the test turns it back there."""
    cloud = start(tmp_path)
    pool = Pool(cloud)
    username = pool.sign_up()
    if purpose == "password":
        confirm(pool, username, pool.mailed_code(username))
        forgot(pool, username)
    code = pool.mailed_code(username)
    cloud.stop(signal.SIGTERM)
    path = tmp_path / "services/cognito.json"
    found = re.findall(r'"code": "\d{6}", "expires_at": ([\d.]+)', path.read_text())
    assert len(found) == 1
    path.write_text(path.read_text().replace(found[0], "1"))
    again = start(tmp_path)
    cognito = again.client("cognito-idp")
    answer = {"ClientId": pool.client_id, "Username": username, "ConfirmationCode": code}
    calls = {
        "sign_up": lambda: cognito.confirm_sign_up(**answer),
        "password": lambda: cognito.confirm_forgot_password(**answer, Password=PASSWORD),
    }
    code_and_message = refusal(calls[purpose])
    again.stop()
    assert code_and_message[0] == "ExpiredCodeException"


def test_validities_are_cognitos(start: Start, tmp_path: Path) -> None:
    cloud = start(tmp_path)
    pool = Pool(cloud)
    confirmed, unconfirmed = pool.sign_up(), pool.sign_up()
    confirm(pool, confirmed, pool.mailed_code(confirmed))
    forgot(pool, confirmed)
    cloud.stop()
    users = next(
        iter(json.loads((tmp_path / "services/cognito.json").read_text())["payload"]["user_pools"]["data"].values())
    )
    issued = {name: user["_portico_codes"] for name, user in users["_users"].items()}
    for username, purpose, seconds in ((unconfirmed, "sign_up", 24 * 3600), (confirmed, "password", 3600)):
        validity = issued[username][purpose]["expires_at"] - issued[username]["times"][-1]
        assert validity == pytest.approx(seconds)


def test_forgotten_password_is_reset_with_the_mailed_code(pool: Pool) -> None:
    username = pool.add_confirmed()
    details = forgot(pool, username)["CodeDeliveryDetails"]
    assert details["DeliveryMedium"] == "EMAIL"
    assert pool.email(username) not in details["Destination"]
    code = pool.mailed_code(username)
    assert refusal(lambda: reset(pool, username, wrong(code)))[0] == "CodeMismatchException"
    assert refusal(lambda: reset(pool, username, code, "short"))[0] == "InvalidPasswordException"
    reset(pool, username, code)
    assert "AuthenticationResult" in pool.sign_in(username, "Another-2026!")
    assert refusal(lambda: pool.sign_in(username))[0] == "NotAuthorizedException"


def test_reset_attempts_are_limited(pool: Pool) -> None:
    username = pool.add_confirmed()
    forgot(pool, username)
    code = pool.mailed_code(username)
    for _ in range(5):
        refusal(lambda: reset(pool, username, wrong(code)))
    assert refusal(lambda: reset(pool, username, code))[0] == "LimitExceededException"


def test_codes_are_not_sent_without_end(pool: Pool) -> None:
    username = pool.add_confirmed()
    for _ in range(20):
        forgot(pool, username)
    assert refusal(lambda: forgot(pool, username))[0] == "LimitExceededException"


def test_administrators_reset_mails_a_random_code(pool: Pool) -> None:
    username = pool.add_confirmed()
    pool.cognito.admin_reset_user_password(UserPoolId=pool.pool_id, Username=username)
    code = pool.mailed_code(username)
    assert code != "654321" or pool.mail_count(username) == 1
    assert refusal(lambda: pool.sign_in(username))[0] == "PasswordResetRequiredException"
    reset(pool, username, code)
    assert "AuthenticationResult" in pool.sign_in(username, "Another-2026!")


def test_sign_up_without_an_address_leaves_no_known_code(pool: Pool) -> None:
    username = f"user-{uuid.uuid4().hex[:8]}"
    pool.cognito.sign_up(ClientId=pool.client_id, Username=username, Password=PASSWORD)
    assert refusal(lambda: confirm(pool, username, "123456"))[0] == "ExpiredCodeException"


def test_confirmed_user_gets_no_new_confirmation_code(pool: Pool) -> None:
    username = pool.add_confirmed()
    assert refusal(lambda: resend(pool, username)) == (
        "InvalidParameterException",
        "User is already confirmed.",
    )


def test_password_that_must_be_changed_cannot_be_reset(pool: Pool) -> None:
    username = pool.invite()
    assert refusal(lambda: forgot(pool, username)) == (
        "NotAuthorizedException",
        "User password cannot be reset in the current state.",
    )


def test_unverified_address_cannot_receive_a_reset_code(telling_pool: Pool, pool: Pool) -> None:
    username = telling_pool.sign_up()
    assert refusal(lambda: forgot(telling_pool, username))[0] == "InvalidParameterException"
    username = pool.sign_up()
    mails = pool.mail_count(username)
    forgot(pool, username)
    assert pool.mail_count(username) == mails


def test_invitation_is_resent_with_a_fresh_password(pool: Pool) -> None:
    username = pool.invite()
    first = pool.mailed_password(username)
    pool.cognito.admin_create_user(UserPoolId=pool.pool_id, Username=username, MessageAction="RESEND")
    second = pool.mailed_password(username)
    assert (pool.mail_count(username), first == second) == (2, False)
    assert refusal(lambda: pool.sign_in(username, first))[0] == "NotAuthorizedException"
    assert pool.sign_in(username, second)["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    pool.cognito.admin_set_user_password(UserPoolId=pool.pool_id, Username=username, Password=PASSWORD, Permanent=True)
    again = {"UserPoolId": pool.pool_id, "Username": username, "MessageAction": "RESEND"}
    assert refusal(lambda: pool.cognito.admin_create_user(**again))[0] == "UnsupportedUserStateException"


def test_hidden_users_look_like_unknown_ones(pool: Pool) -> None:
    known, unknown = pool.add_confirmed(), f"user-{uuid.uuid4().hex[:8]}"
    assert refusal(lambda: pool.sign_in(known, "Wrong-2026!")) == refusal(lambda: pool.sign_in(unknown))
    shapes = [forgot(pool, username)["CodeDeliveryDetails"] for username in (known, unknown)]
    pattern = re.compile(r"[a-z]\*{4}@[a-z]\*{4}")
    assert [bool(pattern.fullmatch(shape["Destination"])) for shape in shapes] == [True, True]
    assert shapes[1] == forgot(pool, unknown)["CodeDeliveryDetails"]
    assert refusal(lambda: reset(pool, known, "000000"))[0] == "CodeMismatchException"
    assert refusal(lambda: reset(pool, unknown, "000000"))[0] == "CodeMismatchException"
    assert resend(pool, unknown)["CodeDeliveryDetails"]["DeliveryMedium"] == "EMAIL"
    assert refusal(lambda: confirm(pool, unknown, "000000"))[0] == "CodeMismatchException"


def test_legacy_client_says_who_does_not_exist(telling_pool: Pool) -> None:
    for call in (
        lambda: telling_pool.sign_in("nobody"),
        lambda: forgot(telling_pool, "nobody"),
        lambda: reset(telling_pool, "nobody", "000000"),
        lambda: resend(telling_pool, "nobody"),
    ):
        assert refusal(call)[0] == "UserNotFoundException"


def test_disabled_user_cannot_reset_and_is_hidden(pool: Pool, telling_pool: Pool) -> None:
    hidden, told = pool.add_confirmed(), telling_pool.add_confirmed()
    for one, username in ((pool, hidden), (telling_pool, told)):
        one.cognito.admin_disable_user(UserPoolId=one.pool_id, Username=username)
    forgot(pool, hidden)
    assert pool.mail_count(hidden) == 0
    disabled = ("NotAuthorizedException", "User is disabled.")
    assert refusal(lambda: forgot(telling_pool, told)) == disabled


def test_changed_address_must_be_verified_with_a_mailed_code(pool: Pool) -> None:
    username = pool.add_confirmed()
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    new = f"new-{username}@example.org"
    pool.cognito.update_user_attributes(AccessToken=token, UserAttributes=[{"Name": "email", "Value": new}])
    assert pool.attributes(username) | {"email": new, "email_verified": "false"} == pool.attributes(username)
    code = re.search(r"\d{6}", pool.cloud.mails_to(new)[-1]["BodyText"])[0]  # type: ignore[index]
    verify = {"AccessToken": token, "AttributeName": "email"}
    mismatch = refusal(lambda: pool.cognito.verify_user_attribute(**verify, Code=wrong(code)))
    assert mismatch[0] == "CodeMismatchException"
    pool.cognito.get_user_attribute_verification_code(**verify)
    code = re.search(r"\d{6}", pool.cloud.mails_to(new)[-1]["BodyText"])[0]  # type: ignore[index]
    pool.cognito.verify_user_attribute(**verify, Code=code)
    assert pool.attributes(username)["email_verified"] == "true"


def test_address_is_kept_until_the_new_one_is_verified(cloud: RunningCloud) -> None:
    settings = {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    pool = Pool(cloud, pool_settings={"UserAttributeUpdateSettings": settings})
    username = pool.add_confirmed()
    old, new = pool.email(username), f"new-{username}@example.org"
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    attributes = [{"Name": "email", "Value": new}]
    pool.cognito.update_user_attributes(AccessToken=token, UserAttributes=attributes)
    assert pool.attributes(username)["email"] == old
    code = re.search(r"\d{6}", cloud.mails_to(new)[-1]["BodyText"])[0]  # type: ignore[index]
    pool.cognito.verify_user_attribute(AccessToken=token, AttributeName="email", Code=code)
    assert pool.attributes(username)["email"] == new


@pytest.mark.parametrize("name", ["email_verified", "sub", "custom:role"])
def test_app_cannot_write_what_it_may_not(cloud: RunningCloud, name: str) -> None:
    schema = [{"Name": "role", "AttributeDataType": "String", "Mutable": True}]
    pool = Pool(cloud, pool_settings={"Schema": schema}, WriteAttributes=["email", "given_name", "family_name"])
    username = pool.add_confirmed()
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    attributes = [{"Name": name, "Value": "true"}]
    for call in (
        lambda: pool.cognito.update_user_attributes(AccessToken=token, UserAttributes=attributes),
        lambda: pool.sign_up(extra=attributes),
    ):
        assert refusal(call)[0] in ("NotAuthorizedException", "InvalidParameterException")


def test_address_verified_by_one_user_is_not_given_to_another(cloud: RunningCloud) -> None:
    pool = Pool(cloud, pool_settings={"AliasAttributes": ["email"]})
    first = pool.add_confirmed()
    second = pool.sign_up(email=pool.email(first))
    code = pool.mailed_code(second, email=pool.email(first))
    assert refusal(lambda: confirm(pool, second, code))[0] == "AliasExistsException"
    with pytest.raises(ClientError):
        pool.sign_in(second)
