"""Django's sessions as items of the Sessions table, and the list of where someone is signed in.

The key in the cookie is not the key of the item, so that whoever may read the table cannot take over a session by its
cookie. Reference: https://docs.djangoproject.com/en/5.2/topics/http/sessions/#extending-database-backed-session-engines
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, CreateError, SessionBase, UpdateError
from django.utils.crypto import get_random_string

from portal import aws
from portal.dynamo.table import Instant, Page, Record, Table
from portal.dynamo.values import instant

# What a session has under this key is stored beside its data, too, where the list of someone's sessions reads it.
SHOWN = "shown"


def session_id(key: str) -> str:
    """Return the id of the item that holds the session with this key."""
    return hashlib.sha256(key.encode()).hexdigest()


class SignedIn(Record):
    """A browser in which somebody is signed in: all that the list shows, and never the session's data."""

    session_id: str
    sub: str
    signed_in_at: Instant
    # When the session was last stored: at least every quarter of an hour in which it was used.
    seen_at: Instant | None = None
    device: str = ""
    address: str = ""
    place: str = ""
    door: str = ""
    expires_at: int


signed_in = Table(SignedIn, name="sessions", key=("SessionId",), indexes={"BySub": ("Sub", "SignedInAt")})


def of(sub: str, *, now: datetime, cursor: str | None = None, limit: int = 20) -> Page[SignedIn]:
    """Return a page of where a person is signed in, newest first. Raises BadCursor.

    The index follows the table within a second or so.
    """
    page = signed_in.query(sub, index="BySub", cursor=cursor, limit=limit)
    # DynamoDB deletes an expired item some time within two days.
    return Page([one for one in page.records if one.expires_at > now.timestamp()], page.cursor)


def take(one: str, *, sub: str) -> dict[str, Any] | None:
    """End a session of this person by the id of its item. Return what was in it, or None if there is no such session,
    or it is somebody else's."""
    table, key = settings.TABLES["sessions"], {"SessionId": {"S": one}}
    # Read first: what is deleted when a reply is lost would not come back with the second try.
    item = aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    if item is None or item.get("Sub") != {"S": sub}:
        return None
    # Whose it is never changes, so it needs no condition.
    aws.client("dynamodb").delete_item(TableName=table, Key=key)
    return SessionStore().decode(item["Data"]["S"])


class SessionStore(SessionBase):
    def load(self) -> dict[str, Any]:
        item = self._find(self.session_key)
        if item is None:
            # A key that is not ours must not become one: whoever planted it would share the session.
            self._session_key = None
            return {}
        return self.decode(item["Data"]["S"])

    def exists(self, session_key: str) -> bool:
        return self._find(session_key) is not None

    def create(self) -> None:
        while True:
            # Django would look first whether the key is taken; the write finds that out by itself.
            self._session_key = get_random_string(32, VALID_KEY_CHARS)
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Store the session. Raises UpdateError where it was deleted or expired meanwhile: it stays so."""
        if self.session_key is None:
            return self.create()
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        now = int(time.time())
        item = {
            "SessionId": {"S": session_id(self.session_key)},
            "Data": {"S": self.encode(data)},
            "ExpiresAt": {"N": str(now + self.get_expiry_age())},
        }
        if shown := data.get(SHOWN):
            item |= {name: {"S": text} for name, text in shown.items() if text}
            item["SeenAt"] = {"S": instant(datetime.fromtimestamp(now, UTC))}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(SessionId)"}
        if not must_create:
            condition = {
                "ConditionExpression": "attribute_exists(SessionId) AND ExpiresAt > :now",
                "ExpressionAttributeValues": {":now": {"N": str(now)}},
            }
        try:
            aws.client("dynamodb").put_item(TableName=settings.TABLES["sessions"], Item=item, **condition)
        except ClientError as error:
            if aws.error_code(error) == "ConditionalCheckFailedException":
                raise (CreateError if must_create else UpdateError) from error
            raise

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            aws.client("dynamodb").delete_item(
                TableName=settings.TABLES["sessions"], Key={"SessionId": {"S": session_id(key)}}
            )

    @classmethod
    def clear_expired(cls) -> None:
        """Do nothing: DynamoDB's time to live does it."""

    @staticmethod
    def _find(key: str | None) -> dict[str, Any] | None:
        if not key:
            return None
        answer = aws.client("dynamodb").get_item(
            TableName=settings.TABLES["sessions"], Key={"SessionId": {"S": session_id(key)}}, ConsistentRead=True
        )
        # DynamoDB deletes an expired item some time within two days.
        item = answer.get("Item")
        return item if item and int(item["ExpiresAt"]["N"]) > time.time() else None
