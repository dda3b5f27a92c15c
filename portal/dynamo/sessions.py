"""Django's sessions as items of the Sessions table.

The key in the cookie is not the key of the item, so that whoever may read the table cannot take over a session by its
cookie. Reference: https://docs.djangoproject.com/en/5.2/topics/http/sessions/#extending-database-backed-session-engines
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from portal import aws


def session_id(key: str) -> str:
    """Return the id of the item that holds the session with this key."""
    return hashlib.sha256(key.encode()).hexdigest()


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
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
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
