"""Who has come on another party's word: asked once, let in once, and looked at again every quarter of an hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.test import Client

from portal.accounts import people
from portal.accounts.doors import arrival as arrivals
from portal.accounts.doors import cookies
from tests.accounts.conftest import Someone, go_on
from tests.conftest import SignedUp, TestCloud
from tests.html import page_problems

ARRIVAL = "/sign-in/arrival/"
ADA = "saml:0123456789abcdef0123456789abcdef"


def come(client: Client, person_id: str = ADA, *, target: str = "/rides/", minutes: int = 60, **said: Any) -> None:
    """Let somebody wait to continue in this browser, as the doors do."""
    claims = arrivals.claims(
        person_id, {"given_name": "Ada", "family_name": "Lovelace", **said}, origin="acme", name="ada"
    )
    until = (datetime.now(UTC) + timedelta(minutes=minutes)).timestamp()
    arrival = arrivals.Arrival(person_id, person_id.partition(":")[0], "acme", claims, until, target)
    from django.http import HttpResponse

    response = HttpResponse()
    arrivals.wait(response, arrival)
    client.cookies.update(response.cookies)


def link(person: SignedUp | Someone, sub: str, person_id: str = ADA) -> None:
    people.link(person_id, sub=sub, username=person.username)


def sub_of(cloud: TestCloud, person: Someone) -> str:
    user = cloud.admin("cognito-idp").admin_get_user(UserPoolId=cloud.outputs["UserPoolId"], Username=person.username)
    return next(one["Value"] for one in user["UserAttributes"] if one["Name"] == "sub")


def age(client: Client, **what: float) -> None:
    """Make what the session knows end in so many seconds: its claims, or the session itself (until)."""
    session = client.session
    if "claims" in what:
        session["claims"] = {**session["claims"], "exp": int(time.time() + what["claims"])}
    if "until" in what:
        session["until"] = time.time() + what["until"]
    session.save()


def who(client: Client) -> Any:
    return client.get("/profile/").wsgi_request.user


# --- Coming in --------------------------------------------------------------------------------------------------------


def test_the_page_is_sound_and_not_kept(cloud: TestCloud) -> None:
    client = Client()
    come(client)
    answer = client.get(ARRIVAL)
    assert page_problems(answer.content.decode()) == []
    assert "no-store" in answer["Cache-Control"]
    assert "acme says that this is you." in answer.content.decode()


def test_looking_changes_nothing(cloud: TestCloud) -> None:
    client = Client()
    come(client)
    for _ in range(3):
        assert client.get(ARRIVAL).status_code == 200
    assert go_on(client).status_code == 302


def test_continuing_needs_a_form_of_our_own(cloud: TestCloud) -> None:
    client = Client(enforce_csrf_checks=True)
    come(client)
    assert go_on(client).status_code == 403
    assert cloud.items("sessions") == []
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    assert go_on(client, csrfmiddlewaretoken=token).status_code == 302


def test_one_continues_once(cloud: TestCloud) -> None:
    client = Client()
    come(client)
    kept = client.cookies["portico-arrival"].value
    assert go_on(client).status_code == 302
    again = Client()
    again.cookies["portico-arrival"] = kept
    assert go_on(again).status_code == 403
    assert len(cloud.items("sessions")) == 1


def test_who_is_let_in_is_who_was_shown(cloud: TestCloud) -> None:
    client = Client()
    come(client, given_name="Victim")
    seen = client.get(ARRIVAL).context["arrival"].seen
    # Meanwhile another tab was sent here with somebody else's word.
    come(client, "saml:" + "2" * 32, given_name="Mallory")
    answer = client.post(ARRIVAL, {"seen": seen})
    assert answer.status_code == 200
    assert "Continue as Mallory" in answer.content.decode()
    assert "go_on.js" not in answer.content.decode()
    assert cloud.items("sessions") == []


@pytest.mark.parametrize("what", ["deleted", "another of that name"])
def test_whoever_was_linked_to_an_account_that_is_gone_is_themselves_again(
    cloud: TestCloud, someone: Someone, what: str
) -> None:
    link(someone, sub_of(cloud, someone) if what == "deleted" else "5e1fe4a0-7081-4a4e-8e9a-0f0f0f0f0f0f")
    if what == "deleted":
        cloud.admin("cognito-idp").admin_delete_user(UserPoolId=cloud.outputs["UserPoolId"], Username=someone.username)
    client = Client()
    come(client)
    assert go_on(client).status_code == 302
    assert who(client).sub == ADA
    assert who(client).groups == ()


def test_nobody_waits_for_longer_than_five_minutes(cloud: TestCloud) -> None:
    client = Client()
    come(client)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=301)):
        assert go_on(client)["Location"] == "/sign-in/"
    assert "That took too long" in client.get("/sign-in/").content.decode()


def test_a_session_that_would_be_over_is_not_begun(cloud: TestCloud) -> None:
    client = Client()
    come(client, minutes=0)
    assert go_on(client).status_code == 403


@pytest.mark.parametrize("value", ["", "x", "x:y:z", "eyJwIjoxfQ:1:1"])
def test_a_cookie_that_is_not_ours_is_nobody(cloud: TestCloud, value: str) -> None:
    client = Client()
    client.cookies["portico-arrival"] = value
    assert client.get(ARRIVAL)["Location"] == "/sign-in/"


def test_a_cookie_for_one_thing_is_none_for_another(cloud: TestCloud) -> None:
    from django.http import HttpResponse

    client, response = Client(), HttpResponse()
    cookies.put(response, "saml", {"person_id": ADA}, seconds=60)
    client.cookies["portico-arrival"] = response.cookies["portico-saml"].value
    assert client.get(ARRIVAL).status_code == 302


def test_what_the_browser_keeps_is_out_of_reach_of_scripts_and_fits(cloud: TestCloud, settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = True
    client = Client()
    come(client, email="a" * 300, target="/" + "b" * 990)
    cookie = client.cookies["portico-arrival"]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 300
    assert len(cookie.value) < 3500


def test_a_session_that_was_there_ends(rider: SignedUp, client_for: Callable[..., Client], cloud: TestCloud) -> None:
    client = client_for(rider)
    before = client.session.session_key
    come(client)
    go_on(client)
    assert client.session.session_key != before
    assert len(cloud.items("sessions")) == 1
    assert who(client).sub == ADA


def test_somebody_unlinked_has_no_rights_and_nothing_of_anybodys(cloud: TestCloud) -> None:
    client = Client()
    come(client, **{"cognito:groups": ["operators"], "cognito:preferred_role": "arn:aws:iam::1:role/x"})
    go_on(client)
    user = who(client)
    assert (user.sub, user.groups, user.is_staff) == (ADA, (), False)
    assert set(user.claims) == {
        "cognito:username", "developer_user", "email_verified", "exp", "family_name", "given_name", "sub",
    }  # fmt: skip
    assert client.get("/admin/").status_code in (302, 403)


# --- Linked people ----------------------------------------------------------------------------------------------------


def test_a_linked_person_is_their_account(cloud: TestCloud, operator: SignedUp) -> None:
    link(operator, operator.sub)
    client = Client()
    come(client, given_name="Somebody", family_name="Else")
    page = client.get(ARRIVAL).content.decode()
    assert "Continue as Margaret Hamilton?" in page
    assert "to your account <strong>operator</strong>" in page
    go_on(client)
    user = who(client)
    assert (user.sub, user.username, user.email) == (operator.sub, "operator", operator.email)
    assert user.groups == ("operators",)
    assert client.get("/admin/").status_code == 200


@pytest.mark.usefixtures("people_roles")
def test_a_linked_operator_acts_in_aws_as_one(cloud: TestCloud, operator: SignedUp) -> None:
    link(operator, operator.sub)
    client = Client()
    come(client)
    go_on(client)
    page = client.get("/aws-access/").content.decode()
    assert "OperatorRole" in page
    answer = client.post(
        "/aws-access/",
        {"role": client.get("/profile/").wsgi_request.user.claims["cognito:preferred_role"], "form": "shell"},
    )
    assert answer.status_code == 200
    assert "AWS_SESSION_TOKEN" in answer.content.decode()


@pytest.mark.parametrize("what", ["disabled", "never confirmed"])
def test_the_account_must_be_open(cloud: TestCloud, someone: Someone, what: str) -> None:
    cognito, pool = cloud.admin("cognito-idp"), cloud.outputs["UserPoolId"]
    account = {"UserPoolId": pool, "Username": someone.username}
    link(someone, sub_of(cloud, someone))
    match what:
        case "disabled":
            cognito.admin_disable_user(**account)
        case "never confirmed":
            cognito.admin_reset_user_password(**account)
    client = Client()
    come(client)
    page = client.get(ARRIVAL)
    assert page.status_code == 403
    assert "The account that this way in leads to is closed" in page.content.decode()
    come(client)
    assert client.post(ARRIVAL).status_code == 403
    assert cloud.items("sessions") == []


def test_a_leaver_is_out_within_a_quarter_of_an_hour(cloud: TestCloud, someone: Someone) -> None:
    link(someone, sub_of(cloud, someone))
    client = Client()
    come(client)
    go_on(client)
    cloud.admin("cognito-idp").admin_disable_user(UserPoolId=cloud.outputs["UserPoolId"], Username=someone.username)
    assert who(client).is_authenticated
    age(client, claims=30)
    assert who(client).is_anonymous


def test_groups_are_read_again(cloud: TestCloud, someone: Someone) -> None:
    link(someone, sub_of(cloud, someone))
    client = Client()
    come(client)
    go_on(client)
    assert not who(client).is_staff
    cloud.admin("cognito-idp").admin_add_user_to_group(
        UserPoolId=cloud.outputs["UserPoolId"], Username=someone.username, GroupName="auditors"
    )
    age(client, claims=30)
    assert who(client).is_staff


def test_nobody_becomes_another_person_in_the_middle_of_a_session(cloud: TestCloud, rider: SignedUp) -> None:
    client = Client()
    come(client)
    go_on(client)
    link(rider, rider.sub)
    age(client, claims=30)
    assert who(client).is_anonymous


def test_whoever_is_no_longer_linked_is_out(cloud: TestCloud, rider: SignedUp) -> None:
    link(rider, rider.sub)
    client = Client()
    come(client)
    go_on(client)
    assert who(client).sub == rider.sub
    people.unlink(ADA, sub=rider.sub)
    age(client, claims=30)
    assert who(client).is_anonymous


def test_somebody_unlinked_stays_until_the_session_ends(cloud: TestCloud) -> None:
    client = Client()
    come(client)
    go_on(client)
    for _ in range(3):
        age(client, claims=30)
        assert who(client).is_authenticated
    assert client.session["claims"]["exp"] > time.time() + 800
    age(client, until=0)
    assert who(client).is_anonymous


def test_while_cognito_does_not_answer_a_linked_person_is_a_503(cloud: TestCloud, rider: SignedUp) -> None:
    link(rider, rider.sub)
    client = Client(raise_request_exception=False)
    come(client)
    cloud.faults.add(service="cognito-idp", action="AdminGetUser", kind="throttle")
    assert client.get(ARRIVAL).status_code == 503
    cloud.faults.clear()
    assert client.get(ARRIVAL).status_code == 200
