"""A signed-in session over time: quiet renewal, and its end when Cognito says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.conf import settings
from django.test import Client

from portal.accounts.session import REFRESH_SECONDS
from tests.accounts.conftest import Someone, age
from tests.conftest import SignedUp, TestCloud

REFRESH = ("cognito-idp", "AdminInitiateAuth")


@pytest.fixture
def client(client_for: Callable[..., Client], someone: Someone) -> Client:
    return client_for(someone)


def test_fresh_token_is_left_alone(cloud: TestCloud, client: Client) -> None:
    age(client, seconds_left=REFRESH_SECONDS + 30)
    cloud.forget_calls()
    assert client.get("/").status_code == 200
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}


@pytest.mark.parametrize("seconds_left", [REFRESH_SECONDS - 5, -1, -3600])
def test_token_in_its_last_minute_is_renewed_quietly(
    cloud: TestCloud, client: Client, someone: Someone, seconds_left: float
) -> None:
    before = age(client, seconds_left=seconds_left)
    cloud.forget_calls()
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    page = client.get("/").content.decode()
    assert someone.username in page
    assert cloud.calls()[REFRESH] == 1
    after = client.session
    assert after["tokens"]["id"] != before["id"]
    assert after["tokens"]["access"] != before["access"]
    assert after["tokens"]["refresh"] == before["refresh"]
    assert after["claims"]["exp"] > time.time() + 600
    assert client.cookies[settings.SESSION_COOKIE_NAME].value == key
    cloud.forget_calls()
    client.get("/")
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}


def test_renewed_token_brings_new_groups(cloud: TestCloud, client: Client, someone: Someone) -> None:
    assert client.get("/me").json()["Groups"] == []
    cognito = cloud.admin("cognito-idp")
    cognito.admin_add_user_to_group(UserPoolId=settings.USER_POOL_ID, Username=someone.username, GroupName="auditors")
    assert client.get("/me").json()["Groups"] == []
    age(client, seconds_left=5)
    assert client.get("/me").json()["Groups"] == ["auditors"]
    cognito.admin_remove_user_from_group(
        UserPoolId=settings.USER_POOL_ID, Username=someone.username, GroupName="auditors"
    )
    age(client, seconds_left=5)
    assert client.get("/me").json()["Groups"] == []


def end_by(cloud: TestCloud, way: str, someone: Someone, issued: dict[str, str]) -> None:
    cognito = cloud.admin("cognito-idp")
    person = {"UserPoolId": settings.USER_POOL_ID, "Username": someone.username}
    match way:
        case "disabled":
            cognito.admin_disable_user(**person)
        case "deleted":
            cognito.admin_delete_user(**person)
        case "signed out everywhere":
            cognito.admin_user_global_sign_out(**person)
        case "refresh token revoked":
            secret = cognito.describe_user_pool_client(
                UserPoolId=settings.USER_POOL_ID, ClientId=settings.PORTAL_CLIENT_ID
            )["UserPoolClient"]["ClientSecret"]
            cognito.revoke_token(Token=issued["refresh"], ClientId=settings.PORTAL_CLIENT_ID, ClientSecret=secret)


@pytest.mark.parametrize("way", ["disabled", "deleted", "signed out everywhere", "refresh token revoked"])
def test_who_is_out_at_cognito_is_out_at_the_next_renewal(
    cloud: TestCloud, client: Client, someone: Someone, way: str
) -> None:
    end_by(cloud, way, someone, client.session["tokens"])
    assert client.get("/me").status_code == 200
    age(client, seconds_left=30)
    answer = client.get("/rides/")
    assert answer["Location"] == "/sign-in/?next=/rides/"
    assert not client.cookies[settings.SESSION_COOKIE_NAME].value
    assert cloud.items("sessions") == []
    assert "You have been signed out" in client.get("/sign-in/").content.decode()


def test_who_is_out_is_anonymous_to_the_api_on_that_very_request(
    cloud: TestCloud, client: Client, someone: Someone
) -> None:
    end_by(cloud, "disabled", someone, {})
    age(client, seconds_left=30)
    assert client.get("/me").status_code == 401


def test_who_is_out_is_led_out_by_a_part_of_a_page_too(cloud: TestCloud, client: Client, someone: Someone) -> None:
    end_by(cloud, "disabled", someone, {})
    age(client, seconds_left=30)
    answer = client.get("/rides/near/", headers={"HX-Request": "true", "HX-Current-URL": "https://testserver/rides/"})
    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/sign-in/?next=%2Frides%2F"
    assert "You have been signed out" in client.get("/sign-in/").content.decode()


def test_expired_refresh_token_ends_the_session(cloud: TestCloud, client: Client) -> None:
    age(client, seconds_left=30)
    session = client.session
    session["tokens"] = {**session["tokens"], "refresh": "not.a.token"}
    session.save()
    assert client.get("/me").status_code == 401
    assert cloud.items("sessions") == []


def test_request_that_does_not_ask_who_it_is_reads_no_session(cloud: TestCloud, client: Client) -> None:
    client.get("/api/openapi.json")
    assert cloud.calls() == {}


def test_session_that_ended_elsewhere_is_over_here(cloud: TestCloud, client: Client) -> None:
    cloud.empty("sessions")
    assert client.get("/profile/")["Location"] == "/sign-in/?next=/profile/"
    assert not client.cookies[settings.SESSION_COOKIE_NAME].value
    assert "You have been signed out" in client.get("/sign-in/").content.decode()
    assert "You have been signed out" not in client.get("/sign-in/").content.decode()


def test_part_of_a_page_that_needs_a_sign_in_leads_the_whole_window_there(cloud: TestCloud, client: Client) -> None:
    cloud.empty("sessions")
    answer = client.get(
        "/profile/", headers={"HX-Request": "true", "HX-Current-URL": "https://testserver/rides/abc/?x=1"}
    )
    assert answer.status_code == 204
    assert "Location" not in answer
    assert answer["HX-Redirect"] == "/sign-in/?next=%2Frides%2Fabc%2F"


def test_signing_in_costs_two_writes(cloud: TestCloud, someone: Someone) -> None:
    client = Client()
    client.post("/sign-in/", {"username": someone.username, "password": someone.password})
    cloud.forget_calls()
    Client().post("/sign-in/", {"username": someone.username, "password": someone.password})
    assert cloud.calls() == {REFRESH: 1, ("dynamodb", "UpdateItem"): 1, ("dynamodb", "PutItem"): 1}


def test_stored_session_stays_small(cloud: TestCloud, client: Client) -> None:
    def size() -> int:
        [item] = cloud.items("sessions")
        return len(str(item))

    before = size()
    for _ in range(3):
        age(client, seconds_left=5)
        client.get("/profile/")
        client.get("/profile/sessions/")
    assert size() < before + 100
    assert size() < 10_000


# --- What people can write themselves ---------------------------------------------------------------------------------


def test_attributes_that_people_write_themselves_give_no_rights_and_no_other_identity(
    cloud: TestCloud, client: Client, someone: Someone, operator: SignedUp
) -> None:
    before = client.get("/me").json()
    cognito = cloud.admin("cognito-idp")
    written = {"given_name": "operators", "family_name": "operator", "email": operator.email}
    for name, value in written.items():
        with suppress(cognito.exceptions.ClientError):
            cognito.update_user_attributes(
                AccessToken=client.session["tokens"]["access"], UserAttributes=[{"Name": name, "Value": value}]
            )
    forbidden = ("preferred_username", "profile", "custom:groups", "cognito:groups", "email_verified", "sub")
    for name in forbidden:
        with pytest.raises(cognito.exceptions.ClientError):
            cognito.update_user_attributes(
                AccessToken=client.session["tokens"]["access"], UserAttributes=[{"Name": name, "Value": "operators"}]
            )
    age(client, seconds_left=5)
    after = client.get("/me").json()
    assert after["GivenName"] == "operators"
    assert (after["Sub"], after["Username"], after["Groups"]) == (before["Sub"], before["Username"], [])
    assert client.get("/admin/").status_code == 403
