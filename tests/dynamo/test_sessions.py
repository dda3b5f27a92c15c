"""Sessions as items of the Sessions table."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client

from portal.dynamo.sessions import SHOWN, SessionStore, of, session_id, take
from tests.conftest import TestCloud


@pytest.fixture
def stored(cloud: TestCloud) -> SessionStore:
    """A session with something in it."""
    session = SessionStore()
    session["colour"] = "verdigris"
    session.save()
    cloud.forget_calls()
    return session


def test_session_comes_back_as_it_was_stored(stored: SessionStore) -> None:
    assert dict(SessionStore(stored.session_key).items()) == {"colour": "verdigris"}


def test_table_holds_neither_the_key_nor_readable_data(stored: SessionStore, cloud: TestCloud) -> None:
    [item] = cloud.items("sessions")
    assert item["SessionId"]["S"] == session_id(stored.session_key) != stored.session_key
    assert stored.session_key not in str(item)
    left = int(item["ExpiresAt"]["N"]) - time.time()
    assert settings.SESSION_COOKIE_AGE - 60 < left <= settings.SESSION_COOKIE_AGE


def test_expired_session_is_absent_before_dynamodb_deletes_it(stored: SessionStore, cloud: TestCloud) -> None:
    expire(stored, cloud)
    late = SessionStore(stored.session_key)
    assert late.get("colour") is None
    assert late.session_key is None
    assert not SessionStore().exists(stored.session_key)


def test_expired_session_is_not_brought_back_by_a_save(stored: SessionStore, cloud: TestCloud) -> None:
    expire(stored, cloud)
    stored["colour"] = "ochre"
    with pytest.raises(UpdateError):
        stored.save()


def test_session_deleted_elsewhere_is_not_brought_back_by_a_save(stored: SessionStore, cloud: TestCloud) -> None:
    mine = SessionStore(stored.session_key)
    mine["colour"] = "ochre"
    stored.delete()
    with pytest.raises(UpdateError):
        mine.save()
    assert cloud.items("sessions") == []


def test_planted_key_does_not_become_a_session(cloud: TestCloud) -> None:
    session = SessionStore("planted-by-somebody")
    session["colour"] = "ochre"
    session.save()
    assert session.session_key != "planted-by-somebody"
    assert not SessionStore().exists("planted-by-somebody")


def test_new_key_keeps_the_data_and_ends_the_old_one(stored: SessionStore, cloud: TestCloud) -> None:
    old = stored.session_key
    stored.cycle_key()
    assert stored.session_key != old
    assert SessionStore(stored.session_key)["colour"] == "verdigris"
    assert not SessionStore().exists(old)
    assert len(cloud.items("sessions")) == 1


def test_flush_leaves_nothing(stored: SessionStore, cloud: TestCloud) -> None:
    stored.flush()
    assert stored.session_key is None
    assert cloud.items("sessions") == []


def test_item_that_was_tampered_with_is_an_empty_session(stored: SessionStore, cloud: TestCloud) -> None:
    cloud.admin("dynamodb").update_item(
        TableName=settings.TABLES["sessions"],
        Key={"SessionId": {"S": session_id(stored.session_key)}},
        UpdateExpression="SET #data = :data",
        ExpressionAttributeNames={"#data": "Data"},
        ExpressionAttributeValues={":data": {"S": "eyJjb2xvdXIiOiJvY2hyZSJ9:1abc:forged"}},
    )
    assert dict(SessionStore(stored.session_key).items()) == {}


def test_reading_a_session_is_one_call(stored: SessionStore, cloud: TestCloud) -> None:
    session = SessionStore(stored.session_key)
    assert session["colour"] == session.get("colour") == "verdigris"
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}


def test_visitor_who_only_looks_gets_no_cookie_and_costs_no_call(cloud: TestCloud, client: Client) -> None:
    # Which doors there are is asked once in some minutes.
    client.get("/sign-in/")
    cloud.forget_calls()
    for path in ("/", "/sign-in/", "/sign-up/", "/forgot-password/"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert settings.SESSION_COOKIE_NAME not in answer.cookies
    assert cloud.calls() == {}


def test_throttled_session_is_answered_503(cloud: TestCloud, stored: SessionStore, client: Client) -> None:
    client.raise_request_exception = False
    client.cookies[settings.SESSION_COOKIE_NAME] = stored.session_key
    cloud.faults.add(service="dynamodb", action="GetItem", kind="throttle")
    answer = client.get("/")
    assert answer.status_code == 503
    assert answer["X-Reference"] in answer.content.decode()


def test_new_session_is_one_write(cloud: TestCloud) -> None:
    session = SessionStore()
    session["colour"] = "verdigris"
    session.save()
    assert cloud.calls() == {("dynamodb", "PutItem"): 1}


def test_what_is_shown_of_a_session_is_beside_its_data(cloud: TestCloud) -> None:
    session = SessionStore()
    session[SHOWN] = {"Sub": "sub", "SignedInAt": "2026-11-21T07:20:19.123Z", "Device": "Firefox", "Place": ""}
    session["tokens"] = "secret"
    session.save()
    [item] = cloud.items("sessions")
    assert set(item) == {"SessionId", "Data", "ExpiresAt", "SeenAt", "Sub", "SignedInAt", "Device"}
    [one] = of("sub", now=datetime.now(UTC)).records
    assert (one.session_id, one.device, one.place) == (session_id(session.session_key), "Firefox", "")
    assert of("somebody else", now=datetime.now(UTC)).records == []


def test_session_is_taken_by_its_owner_only_and_once(cloud: TestCloud) -> None:
    session = SessionStore()
    session[SHOWN] = {"Sub": "sub", "SignedInAt": "2026-11-21T07:20:19.123Z"}
    session["colour"] = "verdigris"
    session.save()
    one = session_id(session.session_key)
    assert take(one, sub="somebody else") is None
    taken = take(one, sub="sub")
    assert taken
    assert taken["colour"] == "verdigris"
    assert take(one, sub="sub") is None
    with pytest.raises(UpdateError):
        session.save()


def expire(session: SessionStore, cloud: TestCloud) -> None:
    cloud.admin("dynamodb").update_item(
        TableName=settings.TABLES["sessions"],
        Key={"SessionId": {"S": session_id(session.session_key)}},
        UpdateExpression="SET ExpiresAt = :past",
        ExpressionAttributeValues={":past": {"N": str(int(time.time()) - 1)}},
    )
