"""Where somebody is signed in, and the end of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.test import Client

from portal.accounts import cognito
from portal.dynamo import sessions
from portal.dynamo.sessions import session_id
from tests.accounts.conftest import Someone, age
from tests.conftest import SignedUp, TestCloud
from tests.html import page_problems

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def here(client_for: Callable[..., Client], someone: Someone) -> Client:
    return client_for(someone, headers={"User-Agent": FIREFOX})


@pytest.fixture
def there(here: Client, client_for: Callable[..., Client], someone: Someone) -> Client:
    return client_for(someone, headers={"User-Agent": SAFARI})


def id_of(client: Client) -> str:
    return session_id(client.cookies[settings.SESSION_COOKIE_NAME].value)


def is_in(client: Client) -> bool:
    return client.get("/me").status_code == 200


def is_good(cloud: TestCloud, refresh_token: str) -> bool:
    """Whether Cognito gives tokens for it."""
    cognito = cloud.admin("cognito-idp")
    try:
        cognito.admin_initiate_auth(
            UserPoolId=settings.USER_POOL_ID,
            ClientId=settings.PORTAL_CLIENT_ID,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": refresh_token},
        )
    except cognito.exceptions.NotAuthorizedException as error:
        return "revoked" not in str(error).lower() and "SECRET_HASH" in str(error)
    return True


def test_every_browser_is_listed_and_this_one_is_marked(
    cloud: TestCloud, here: Client, there: Client, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client_for(rider)
    answer = here.get("/profile/sessions/")
    page = answer.content.decode()
    assert not page_problems(page)
    assert [one.device for one in answer.context["page"].records] == ["Safari on an iPhone", "Firefox on Windows"]
    marked = re.findall(r"<strong>([^<]+)</strong>\s*<span class=\"tag good\">this browser", page)
    assert marked == ["Firefox on Windows"]
    assert "This computer, <code>127.0.0.1</code>" in page
    assert "with a password" in page


def test_list_is_one_query_and_reads_no_session_data(cloud: TestCloud, here: Client) -> None:
    here.get("/profile/sessions/")
    assert cloud.calls() == {("dynamodb", "GetItem"): 1, ("dynamodb", "Query"): 1}
    index = cloud.admin("dynamodb").describe_table(TableName=settings.TABLES["sessions"])["Table"]
    [by_sub] = index["GlobalSecondaryIndexes"]
    assert "Data" not in by_sub["Projection"]["NonKeyAttributes"]
    assert set(by_sub["Projection"]["NonKeyAttributes"]) >= {"Device", "Address", "Place", "Door", "SeenAt"}


def test_expired_session_is_not_listed(cloud: TestCloud, here: Client, there: Client) -> None:
    cloud.admin("dynamodb").update_item(
        TableName=settings.TABLES["sessions"],
        Key={"SessionId": {"S": id_of(there)}},
        UpdateExpression="SET ExpiresAt = :past",
        ExpressionAttributeValues={":past": {"N": str(int(time.time()) - 1)}},
    )
    assert [one.session_id for one in here.get("/profile/sessions/").context["page"].records] == [id_of(here)]


def test_many_are_paged(cloud: TestCloud, here: Client, someone: Someone) -> None:
    sub = here.get("/me").json()["Sub"]
    for n in range(25):
        add_session(cloud, f"{n:02}", sub=sub, signed_in_at=f"2026-01-01T00:00:{n:02}.000Z")
    page = here.get("/profile/sessions/")
    assert len(page.context["page"].records) == 20
    older = here.get("/profile/sessions/", {"after": page.context["page"].cursor})
    assert len(older.context["page"].records) == 6
    assert here.get("/profile/sessions/?after=forged").status_code == 404


def test_cursor_of_one_person_opens_nobody_elses_list(
    cloud: TestCloud, here: Client, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    for n in range(25):
        add_session(cloud, f"{n:02}", sub=rider.sub, signed_in_at=f"2026-01-01T00:00:{n:02}.000Z")
    cursor = client_for(rider).get("/profile/sessions/").context["page"].cursor
    assert here.get("/profile/sessions/", {"after": cursor}).status_code == 404


def test_one_is_ended_with_its_tokens(cloud: TestCloud, here: Client, there: Client) -> None:
    refresh_token = there.session["tokens"]["refresh"]
    assert revoked_tokens(cloud) == 0
    answer = here.post("/profile/sessions/end/", {"session": id_of(there)})
    assert answer["Location"] == "/profile/sessions/"
    assert revoked_tokens(cloud) == 1
    assert not is_in(there)
    assert is_in(here)
    assert not is_good(cloud, refresh_token)
    assert is_good(cloud, here.session["tokens"]["refresh"])
    assert "You have been signed out" in there.get("/sign-in/").content.decode()


def test_end_whose_reply_is_lost_revokes_the_tokens_all_the_same(cloud: TestCloud, here: Client, there: Client) -> None:
    refresh_token = there.session["tokens"]["refresh"]
    cloud.faults.add(service="dynamodb", action="DeleteItem", kind="lost_reply", times=1)
    assert here.post("/profile/sessions/end/", {"session": id_of(there)}).status_code == 302
    assert not is_in(there)
    assert not is_good(cloud, refresh_token)


def test_all_sessions_end_although_cognito_does_not_answer(
    cloud: TestCloud, here: Client, there: Client, client_for: Callable[..., Client], someone: Someone
) -> None:
    others = [there, *(client_for(someone) for _ in range(3))]
    cloud.faults.add(service="cognito-idp", action="RevokeToken", kind="throttle", times=99)
    cloud.forget_calls()
    assert here.post("/profile/sessions/end-others/").status_code == 302
    assert not any(is_in(one) for one in others)
    # Two tries for the first, and no more.
    assert revoked_tokens(cloud) == 2


def test_ending_this_browsers_own_session_in_its_last_minute_signs_out(cloud: TestCloud, here: Client) -> None:
    age(here, seconds_left=5)
    answer = here.post("/profile/sessions/end/", {"session": id_of(here)})
    assert answer["Location"].startswith("/sign-in/")
    assert not is_in(here)


def test_request_whose_session_ends_meanwhile_is_signed_out(
    cloud: TestCloud, here: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(here, seconds_left=5)
    renewed = cognito.refresh

    def ended_meanwhile(*args: str, **kwargs: str) -> cognito.Tokens:
        cloud.admin("dynamodb").delete_item(
            TableName=settings.TABLES["sessions"], Key={"SessionId": {"S": id_of(here)}}
        )
        return renewed(*args, **kwargs)

    monkeypatch.setattr(cognito, "refresh", ended_meanwhile)
    assert here.get("/profile/")["Location"].startswith("/sign-in/")


def revoked_tokens(cloud: TestCloud) -> int:
    return cloud.calls()["cognito-idp", "RevokeToken"]


def test_nobody_ends_somebody_elses_session(
    cloud: TestCloud, here: Client, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    theirs = client_for(rider)
    for one in (id_of(theirs), "nothing", ""):
        assert here.post("/profile/sessions/end/", {"session": one}).status_code == 404
    assert is_in(theirs)
    assert revoked_tokens(cloud) == 0


@pytest.mark.parametrize("path", ["end/", "end-others/", "end-all/"])
def test_it_takes_a_post_of_somebody_who_is_signed_in(cloud: TestCloud, here: Client, path: str) -> None:
    assert here.get(f"/profile/sessions/{path}").status_code == 405
    assert Client().post(f"/profile/sessions/{path}")["Location"].startswith("/sign-in/")
    assert is_in(here)


def test_others_are_ended_and_this_one_stays(
    cloud: TestCloud, here: Client, there: Client, client_for: Callable[..., Client], someone: Someone, rider: SignedUp
) -> None:
    third, theirs = client_for(someone), client_for(rider)
    here.post("/profile/sessions/end-others/")
    assert "2 other sessions are ended." in here.get("/profile/sessions/").content.decode()
    assert [is_in(one) for one in (here, there, third, theirs)] == [True, False, False, True]
    here.post("/profile/sessions/end-others/")
    assert "You are signed in nowhere else." in here.get("/profile/sessions/").content.decode()


def test_all_are_ended_everywhere(
    cloud: TestCloud, here: Client, there: Client, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    theirs = client_for(rider)
    refresh_tokens = [client.session["tokens"]["refresh"] for client in (here, there)]
    assert here.post("/profile/sessions/end-all/")["Location"].startswith("/sign-in/")
    assert "You are signed out everywhere." in here.get("/sign-in/").content.decode()
    assert [is_in(one) for one in (here, there, theirs)] == [False, False, True]
    assert not any(is_good(cloud, token) for token in refresh_tokens)
    assert len(cloud.items("sessions")) == 1


def test_who_could_not_be_signed_out_everywhere_is_told(cloud: TestCloud, here: Client, there: Client) -> None:
    cloud.faults.add(service="cognito-idp", action="AdminUserGlobalSignOut", kind="error")
    here.post("/profile/sessions/end-all/")
    assert "perhaps not everywhere" in here.get("/sign-in/").content.decode()
    assert not is_in(here)


def test_session_item_names_no_secret_beside_its_data(cloud: TestCloud, here: Client) -> None:
    [item] = cloud.items("sessions")
    assert set(item) == {
        "SessionId", "Data", "ExpiresAt", "Sub", "SignedInAt", "SeenAt", "Device", "Address", "Place", "Door",
    }  # fmt: skip
    beside = str({name: value for name, value in item.items() if name != "Data"})
    assert not any(token in beside for token in here.session["tokens"].values())


def test_anonymous_session_is_in_nobodys_list(cloud: TestCloud, someone: Someone) -> None:
    Client().post("/forgot-password/", {"username": someone.username})
    [item] = cloud.items("sessions")
    assert set(item) == {"SessionId", "Data", "ExpiresAt"}


def add_session(cloud: TestCloud, one: str, *, sub: str, signed_in_at: str) -> None:
    cloud.admin("dynamodb").put_item(
        TableName=settings.TABLES["sessions"],
        Item={
            "SessionId": {"S": one},
            "Sub": {"S": sub},
            "SignedInAt": {"S": signed_in_at},
            "ExpiresAt": {"N": str(int(time.time()) + 600)},
            "Data": {"S": "x"},
        },
    )


def test_item_of_before_is_no_trouble(cloud: TestCloud, here: Client) -> None:
    sub = here.get("/me").json()["Sub"]
    add_session(cloud, "bare", sub=sub, signed_in_at="2026-01-01T00:00:00.000Z")
    page = here.get("/profile/sessions/").content.decode()
    assert "Unknown device" in page
    assert "Unknown address" in page
    [bare] = [one for one in sessions.of(sub, now=datetime.now(UTC)).records if one.session_id == "bare"]
    assert bare.seen_at is None
    assert here.post("/profile/sessions/end/", {"session": "bare"}).status_code == 302
