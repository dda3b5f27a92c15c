"""The lease that lets one run at a time write, whoever started it and wherever it works.

It is an item of the findings' table, of no run.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError
from django.conf import settings

from portal import aws
from portal.dynamo.values import to_item

# Longer than a call of EC2's may be tried for before its outcome is known.
SECONDS = 600
_RENEW_SECONDS = 30
_KEPT_SECONDS = 2 * 24 * 60 * 60  # then DynamoDB deletes the item


class Held(Exception):
    """Another run has the lease."""


class Lost(Exception):
    """The lease ran out, and another run has it now."""


class Lease:
    """A lease that is held. `renew` often: it asks DynamoDB only now and then."""

    def __init__(self, name: str) -> None:
        self._key = to_item({"RunId": f"lease:{name}", "Page": 0})
        self._holder = secrets.token_hex(8)
        self._renewed_at = 0.0

    def take(self) -> None:
        """Raises Held."""
        if not self._hold("attribute_not_exists(RunId) OR #until < :now OR Holder = :holder"):
            raise Held

    def renew(self) -> None:
        """Raises Lost."""
        if time.monotonic() - self._renewed_at > _RENEW_SECONDS and not self._hold("Holder = :holder"):
            raise Lost

    def give_back(self) -> None:
        self._write("Holder = :holder", until=0)

    def _hold(self, condition: str) -> bool:
        if not self._write(condition, until=int(time.time()) + SECONDS):
            return False
        self._renewed_at = time.monotonic()
        return True

    def _write(self, condition: str, *, until: int) -> bool:
        values = {":holder": self._holder, ":until": until, ":expires": int(time.time()) + _KEPT_SECONDS}
        if ":now" in condition:
            values[":now"] = int(time.time())
        try:
            aws.client("dynamodb").update_item(
                TableName=settings.TABLES["policy_findings"],
                Key=self._key,
                UpdateExpression="SET Holder = :holder, #until = :until, ExpiresAt = :expires",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#until": "Until"},
                ExpressionAttributeValues=to_item(values),
            )
        except ClientError as error:
            if aws.error_code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True


@contextmanager
def taken(name: str) -> Iterator[Lease]:
    """Hold a lease while the block runs. Raises Held."""
    lease = Lease(name)
    lease.take()
    try:
        yield lease
    finally:
        lease.give_back()
