"""What Portico remembers of a person that Cognito does not: when they last came in, their identity in AWS, and whom
other doors lead to."""

from __future__ import annotations

import logging
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from portal import aws
from portal.accounts.models import User
from portal.dynamo.table import Conflict, Instant, Record, Table
from portal.dynamo.values import instant, to_item

log = logging.getLogger(__name__)


class Person(Record):
    """A person by their sub; or whom another door names, "saml:…" or "vouched:…", and the person they turned out to
    be."""

    person_id: str
    username: str = ""
    identity_id: str = ""
    # The identity for which the portal may vouch in the background.
    worker_of: str = ""
    last_sign_in_at: Instant | None = None
    last_sign_in_door: str = ""
    last_sign_in_address: str = ""
    # The address that Cognito called verified when they last came in.
    verified_address: str = ""
    # Since when they are not asked to join their accounts.
    join_declined_at: Instant | None = None
    # Of another door's person: who they are here.
    linked_sub: str = ""
    linked_username: str = ""
    # Of a person: the other doors' people who are them.
    links: frozenset[str] = frozenset()


people = Table(Person, name="people", key=("PersonId",))


def find(person_id: str) -> Person | None:
    """Return what is remembered of a person (their sub), or of another door's person, or None."""
    return people.find(person_id, consistent=True)


def remember_sign_in(user: User, *, door: str, address: str, now: datetime) -> None:
    """Note when and how somebody came in. A failure is only logged: it keeps nobody out."""
    email = user.email if user.claims.get("email_verified") in (True, "true") else ""
    try:
        aws.client("dynamodb").update_item(
            TableName=people.name,
            Key=to_item({"PersonId": user.sub}),
            UpdateExpression="SET Username = :name, LastSignInAt = :at, LastSignInDoor = :door, "
            "LastSignInAddress = :address" + (", VerifiedAddress = :email" if email else ""),
            ExpressionAttributeValues=to_item(
                {":name": user.username, ":at": instant(now), ":door": door, ":address": address}
                | ({":email": email} if email else {})
            ),
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("A sign-in was not noted (%s).", type(error).__name__)


def remember_identity(person_id: str, identity_id: str) -> Person:
    """Remember the identity in AWS of somebody who has none yet. Return what is remembered of them."""
    answer = aws.client("dynamodb").update_item(
        TableName=people.name,
        Key=to_item({"PersonId": person_id}),
        UpdateExpression="SET IdentityId = if_not_exists(IdentityId, :id)",
        ExpressionAttributeValues=to_item({":id": identity_id}),
        ReturnValues="ALL_NEW",
    )
    return people.load(answer["Attributes"])


def remember_worker(person_id: str, identity_id: str) -> None:
    """Remember that the portal may vouch for somebody's identity in the background."""
    aws.client("dynamodb").update_item(
        TableName=people.name,
        Key=to_item({"PersonId": person_id}),
        UpdateExpression="SET WorkerOf = :id",
        ExpressionAttributeValues=to_item({":id": identity_id}),
    )


def decline_join(person_id: str, *, now: datetime) -> None:
    """Remember that somebody does not want to join their accounts."""
    aws.client("dynamodb").update_item(
        TableName=people.name,
        Key=to_item({"PersonId": person_id}),
        UpdateExpression="SET JoinDeclinedAt = :at",
        ExpressionAttributeValues=to_item({":at": instant(now)}),
    )


def link(person_id: str, *, sub: str, username: str) -> None:
    """Write down that another door's person is this one. Raises Conflict where they are somebody else already."""
    _both(
        {
            "Key": to_item({"PersonId": person_id}),
            "UpdateExpression": "SET LinkedSub = :sub, LinkedUsername = :name",
            "ConditionExpression": "attribute_not_exists(LinkedSub) OR LinkedSub = :sub",
            "ExpressionAttributeValues": to_item({":sub": sub, ":name": username}),
        },
        {
            "Key": to_item({"PersonId": sub}),
            "UpdateExpression": "SET Username = :name ADD Links :links",
            "ExpressionAttributeValues": to_item({":name": username, ":links": {person_id}}),
        },
    )


def unlink(person_id: str, *, sub: str) -> None:
    """Undo `link`. Raises Conflict where another door's person is not this one."""
    _both(
        {
            "Key": to_item({"PersonId": person_id}),
            "UpdateExpression": "REMOVE LinkedSub, LinkedUsername",
            "ConditionExpression": "LinkedSub = :sub",
            "ExpressionAttributeValues": to_item({":sub": sub}),
        },
        {
            "Key": to_item({"PersonId": sub}),
            "UpdateExpression": "DELETE Links :links",
            "ExpressionAttributeValues": to_item({":links": {person_id}}),
        },
    )


def _both(*updates: dict[str, object]) -> None:
    try:
        aws.client("dynamodb").transact_write_items(
            TransactItems=[{"Update": {"TableName": settings.TABLES["people"], **update}} for update in updates]
        )
    except ClientError as error:
        reasons = error.response.get("CancellationReasons", ())
        if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
            raise Conflict from error
        raise
