"""Contract of cognito_lists.py and cognito_temporary_passwords.py, and what operators rely on besides."""

import uuid
from typing import Any

import pytest

from tests.localcloud.pools import PASSWORD, Pool, refusal
from tests.localcloud.running_cloud import RunningCloud

PEOPLE = {
    "ada": {"email": "Ada@example.org", "given_name": "Ada", "family_name": "Lovelace"},
    "alan": {"email": "alan@example.org", "given_name": "Alan", "family_name": 'O"Turing'},
    "grace": {"email": "grace@example.net", "given_name": "Grace", "family_name": "Hopper"},
}


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> Pool:
    return Pool(cloud)


@pytest.fixture(scope="module")
def crowd(cloud: RunningCloud) -> Pool:
    """Return a pool with three people: grace is disabled, alan confirmed."""
    pool = Pool(cloud)
    for username, attributes in PEOPLE.items():
        pool.cognito.admin_create_user(
            UserPoolId=pool.pool_id,
            Username=username,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
        )
    named = {"UserPoolId": pool.pool_id}
    pool.cognito.admin_set_user_password(**named, Username="alan", Password=PASSWORD, Permanent=True)
    pool.cognito.admin_disable_user(**named, Username="grace")
    return pool


def found(pool: Pool, filter_text: str, **options: Any) -> list[str]:
    users = pool.cognito.list_users(UserPoolId=pool.pool_id, Filter=filter_text, **options)["Users"]
    return sorted(user["Username"] for user in users)


@pytest.mark.parametrize(
    ("filter_text", "usernames"),
    [
        ("", ["ada", "alan", "grace"]),
        ('username ^= "a"', ["ada", "alan"]),
        ('username ^= "A"', []),
        ('"username" = "ada"', ["ada"]),
        ('email = "ada@EXAMPLE.org"', ["ada"]),
        ('email ^= "a"', ["ada", "alan"]),
        ('email^="GRACE"', ["grace"]),
        ('given_name ^= "gr"', ["grace"]),
        ('family_name = "O\\"Turing"', ["alan"]),
        ('family_name ^= "hop"', ["grace"]),
        ('status = "Disabled"', ["grace"]),
        ('status = "Enabled"', ["ada", "alan"]),
        ('cognito:user_status = "CONFIRMED"', ["alan"]),
        ('"cognito:user_status" = "force_change_password"', ["ada", "grace"]),
        ('username = "nobody"', []),
        ('username ^= ""', ["ada", "alan", "grace"]),
    ],
)
def test_filter_finds(crowd: Pool, filter_text: str, usernames: list[str]) -> None:
    assert found(crowd, filter_text) == usernames


def test_filter_finds_by_sub(crowd: Pool) -> None:
    assert found(crowd, f'sub = "{crowd.attributes("ada")["sub"]}"') == ["ada"]


@pytest.mark.parametrize(
    "filter_text",
    [
        "ada",
        'username "ada"',
        'custom:x = "1"',
        'email_verified = "true"',
        'username = "a" or email = "b"',
        "email = ada",
    ],
)
def test_filter_that_cannot_be_read_is_refused(crowd: Pool, filter_text: str) -> None:
    assert refusal(lambda: found(crowd, filter_text))[0] == "InvalidParameterException"


def test_only_the_attributes_asked_for_are_given(crowd: Pool) -> None:
    call = {"UserPoolId": crowd.pool_id, "Filter": 'username = "ada"', "AttributesToGet": ["email"]}
    user = crowd.cognito.list_users(**call)["Users"][0]
    assert user["Attributes"] == [{"Name": "email", "Value": "Ada@example.org"}]


def add(pool: Pool, count: int, *, group: str = "") -> set[str]:
    usernames = {f"u-{uuid.uuid4().hex[:8]}" for _ in range(count)}
    for username in usernames:
        named = {"UserPoolId": pool.pool_id, "Username": username}
        pool.cognito.admin_create_user(**named, MessageAction="SUPPRESS")
        if group:
            pool.cognito.admin_add_user_to_group(**named, GroupName=group)
    return usernames


@pytest.mark.parametrize("in_group", [False, True])
def test_pages_miss_nobody_while_people_come_and_go(cloud: RunningCloud, in_group: bool) -> None:
    pool, group = Pool(cloud), "crew" if in_group else ""
    pool.cognito.create_group(UserPoolId=pool.pool_id, GroupName="crew")
    there = add(pool, 7, group=group)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        if in_group:
            page = pool.cognito.list_users_in_group(UserPoolId=pool.pool_id, GroupName="crew", Limit=2, **token)
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
        else:
            page = pool.cognito.list_users(UserPoolId=pool.pool_id, Limit=2, **token)
            token = {"PaginationToken": page["PaginationToken"]} if "PaginationToken" in page else {}
        assert 1 <= len(page["Users"]) <= 2
        seen += [user["Username"] for user in page["Users"]]
        if not token:
            break
        # Somebody who was shown leaves, somebody new comes.
        if seen[0] in there:
            there.remove(seen[0])
            pool.cognito.admin_delete_user(UserPoolId=pool.pool_id, Username=seen[0])
            add(pool, 1, group=group)
    assert len(seen) == len(set(seen))
    assert there <= set(seen)


def test_page_tokens_are_checked(crowd: Pool) -> None:
    listing = crowd.cognito.list_users
    first = listing(UserPoolId=crowd.pool_id, Limit=1)
    token = first["PaginationToken"]
    wrong = {"UserPoolId": crowd.pool_id, "PaginationToken": token, "Filter": 'username ^= "a"'}
    assert refusal(lambda: listing(**wrong))[0] == "InvalidParameterException"
    made_up = {"UserPoolId": crowd.pool_id, "PaginationToken": "1"}
    assert refusal(lambda: listing(**made_up))[0] == "InvalidParameterException"
    assert refusal(lambda: listing(UserPoolId=crowd.pool_id, Limit=61))[0] == "InvalidParameterException"


def test_who_is_created_again_is_not_in_the_old_groups(pool: Pool) -> None:
    pool.cognito.create_group(UserPoolId=pool.pool_id, GroupName="ghosts")
    username = add(pool, 1, group="ghosts").pop()
    named = {"UserPoolId": pool.pool_id, "Username": username}
    pool.cognito.admin_delete_user(**named)
    pool.cognito.admin_create_user(**named, MessageAction="SUPPRESS")
    assert pool.cognito.list_users_in_group(UserPoolId=pool.pool_id, GroupName="ghosts")["Users"] == []
    assert pool.cognito.admin_list_groups_for_user(**named)["Groups"] == []


# --- What operators do to people -------------------------------------------------------------------------------------


def refresh(pool: Pool, token: str) -> Any:
    return pool.initiate("REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token)


@pytest.mark.parametrize("act", ["admin_disable_user", "admin_user_global_sign_out", "admin_delete_user"])
def test_operator_ends_what_a_person_has_open(pool: Pool, act: str) -> None:
    username = pool.add_confirmed()
    tokens = pool.sign_in(username)["AuthenticationResult"]
    getattr(pool.cognito, act)(UserPoolId=pool.pool_id, Username=username)
    assert refusal(lambda: refresh(pool, tokens["RefreshToken"]))[0] == "NotAuthorizedException"
    code, _message = refusal(lambda: pool.cognito.get_user(AccessToken=tokens["AccessToken"]))
    assert code in ("NotAuthorizedException", "UserNotFoundException")


def test_enabled_again_a_person_signs_in_again(pool: Pool) -> None:
    username = pool.add_confirmed()
    named = {"UserPoolId": pool.pool_id, "Username": username}
    pool.cognito.admin_disable_user(**named)
    assert refusal(lambda: pool.sign_in(username)) == ("NotAuthorizedException", "User is disabled.")
    pool.cognito.admin_enable_user(**named)
    assert "AuthenticationResult" in pool.sign_in(username)


def test_password_that_was_reset_needs_the_mailed_code(pool: Pool) -> None:
    username = pool.add_confirmed()
    pool.cognito.admin_reset_user_password(UserPoolId=pool.pool_id, Username=username)
    assert refusal(lambda: pool.sign_in(username))[0] == "PasswordResetRequiredException"
    code = pool.mailed_code(username)
    confirm = {"ClientId": pool.client_id, "Username": username, "Password": "Another-2026!"}
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    call = pool.cognito.confirm_forgot_password
    assert refusal(lambda: call(**confirm, ConfirmationCode=wrong))[0] == "CodeMismatchException"
    call(**confirm, ConfirmationCode=code)
    assert "AuthenticationResult" in pool.sign_in(username, "Another-2026!")


def test_password_cannot_be_reset_without_a_verified_address(pool: Pool) -> None:
    named = {"UserPoolId": pool.pool_id, "Username": pool.add_confirmed()}
    pool.cognito.admin_update_user_attributes(**named, UserAttributes=[{"Name": "email_verified", "Value": "false"}])
    assert refusal(lambda: pool.cognito.admin_reset_user_password(**named))[0] == "InvalidParameterException"
    invited = {"UserPoolId": pool.pool_id, "Username": pool.invite()}
    assert refusal(lambda: pool.cognito.admin_reset_user_password(**invited))[0] == "NotAuthorizedException"


def test_temporary_password_expires(cloud: RunningCloud) -> None:
    policy = {"PasswordPolicy": {"MinimumLength": 8, "TemporaryPasswordValidityDays": 0}}
    pool = Pool(cloud, pool_settings={"Policies": policy})
    username = pool.invite()
    refused = refusal(lambda: pool.sign_in(username, pool.mailed_password(username)))
    assert refused[0] == "NotAuthorizedException"
    assert "expired" in refused[1]


def test_temporary_password_is_good_for_a_week_unless_the_pool_says_otherwise(pool: Pool) -> None:
    username = pool.invite()
    assert pool.sign_in(username, pool.mailed_password(username))["ChallengeName"] == "NEW_PASSWORD_REQUIRED"


@pytest.mark.parametrize(
    ("policy", "days", "expired"),
    [
        ({}, 6.9, False),
        ({}, 7, True),
        ({"TemporaryPasswordValidityDays": 1}, 0.9, False),
        ({"TemporaryPasswordValidityDays": 1}, 1, True),
    ],
)
def test_days_are_counted(policy: dict[str, int], days: float, expired: bool) -> None:
    from portal.localcloud.standins.cognito_temporary_passwords import SINCE, has_expired

    pool = {"Policies": {"PasswordPolicy": policy}}
    assert has_expired(pool, {SINCE: 1000.0}, now=1000 + days * 86400) is expired
