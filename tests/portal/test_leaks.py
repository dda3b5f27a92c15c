"""The watcher that reads what the whole suite produces does find what must not be there."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings
from django.test import Client

from portal import aws
from tests.leaks import Watcher, watcher

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlIG9mIG5vYm9keQ"


def caught() -> set[str]:
    """Return what the test has leaked so far, and forget it: it did so on purpose."""
    found = set(watcher.leaks())
    watcher.produced.clear()
    return found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"Authorization: Bearer {JWT}", "a token"),
        ('<saml:Assertion ID="_1">', "an assertion"),
        ("PHNhbWxwOlJlc3BvbnNlIHhtbG5zOnNhbWxwPSJ1cm46b2FzaXM6bmFtZXM6dGM6U0FNTDoyLjA6cHJv", "an assertion"),
        ("the code is 493021.", "a code"),
    ],
)
def test_a_secret_is_found_in_a_text(text, kind):
    reader = Watcher()
    reader.knows("a code", "493021")
    reader.reads("a page", text)
    assert list(reader.leaks()) == [f"{kind} in a page"]


@pytest.mark.parametrize("text", ["", "a ride of 1493021 m", "eyJ is how a token begins", "An assertion was refused."])
def test_nothing_is_found_where_nothing_is(text):
    reader = Watcher()
    reader.knows("a code", "493021")
    reader.reads("a page", text)
    assert not list(reader.leaks())


def test_log_lines_are_read_with_their_arguments_and_tracebacks():
    logging.getLogger("portal.test").warning("Refused: %s", JWT)
    assert caught() == {"a token in a log line of portal.test"}
    try:
        raise ValueError(JWT)
    except ValueError:
        logging.getLogger("portal.test").exception("Failed")
    assert caught() == {"a token in a log line of portal.test"}


def test_pages_are_read():
    # A form that is refused keeps what was typed.
    Client().post("/sign-up/", {"given_name": JWT})
    assert caught() == {"a token in the page POST /sign-up/"}


def test_stored_items_are_read_but_not_the_sessions(cloud):
    def put(table: str, **key: str) -> None:
        item = {**{name: {"S": value} for name, value in key.items()}, "Note": {"S": JWT}}
        aws.client("dynamodb").put_item(TableName=settings.TABLES[table], Item=item)

    put("audit", Month="2026-11", EntryId="x")
    assert caught() == {"a token in what PutItem stores"}
    put("sessions", SessionId="x")
    assert not caught()
