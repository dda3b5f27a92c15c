"""Somebody's corner of the bucket, and what the queues would have done by now."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings

from documents.document import Document, documents
from portal import aws, events
from portal.accounts import identity_pool, sts
from portal.localcloud.worker import Queue, read
from tests.conftest import SignedUp, TestCloud

# Events come within some milliseconds; nothing for as long means that all of them came.
QUIET_SECONDS = 0.3


@dataclass(frozen=True)
class Corner:
    """A corner as another program sees it that has its owner's credentials."""

    identity_id: str
    s3: Any

    def key(self, path: str) -> str:
        return f"ugc/{self.identity_id}/{path}"

    def put(self, path: str, data: bytes = b"", **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.put_object(
            Bucket=settings.DOCUMENTS_BUCKET, Key=self.key(path), Body=data, **parameters
        )
        return answer

    def get(self, path: str) -> bytes:
        data: bytes = self.s3.get_object(Bucket=settings.DOCUMENTS_BUCKET, Key=self.key(path))["Body"].read()
        return data

    def delete(self, path: str) -> None:
        self.s3.delete_object(Bucket=settings.DOCUMENTS_BUCKET, Key=self.key(path))

    def paths(self) -> set[str]:
        answer = self.s3.list_objects_v2(Bucket=settings.DOCUMENTS_BUCKET, Prefix=self.key(""))
        return {one["Key"].removeprefix(self.key("")) for one in answer.get("Contents", ())}


def _corner(identity_id: str, credentials: sts.Credentials) -> Corner:
    client = aws.client_with(
        "s3",
        key_id=credentials.access_key_id,
        secret=credentials.secret_access_key,
        token=credentials.session_token,
    )
    return Corner(identity_id, client)


@pytest.fixture
def someone(cloud: TestCloud) -> Callable[[], Corner]:
    """Return a function that makes somebody new, whose corner is empty."""

    def make() -> Corner:
        name = f"vouched:{uuid.uuid4().hex}"
        identity_id, token = identity_pool.vouch(name, sub=name)
        credentials = sts.assume_with_web_identity(token, settings.PERSON_ROLE_ARN)
        cloud.forget_calls()
        return _corner(identity_id, credentials)

    return make


@pytest.fixture
def corner_of(cloud: TestCloud) -> Callable[[SignedUp], Corner]:
    """Return a function that opens a person's corner, which is emptied first."""

    def open_(person: SignedUp) -> Corner:
        identity_id = identity_pool.identity_id(person.id_token)
        corner = _corner(identity_id, identity_pool.credentials(identity_id, person.id_token))
        s3 = cloud.admin("s3")
        for page in s3.get_paginator("list_object_versions").paginate(
            Bucket=settings.DOCUMENTS_BUCKET, Prefix=corner.key("")
        ):
            for one in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                s3.delete_object(Bucket=settings.DOCUMENTS_BUCKET, Key=one["Key"], VersionId=one["VersionId"])
        _wait_and_purge(cloud)
        cloud.forget_calls()
        return corner

    return open_


def _wait_and_purge(cloud: TestCloud) -> None:
    time.sleep(0.05)
    cloud.empty_queues()


@pytest.fixture
def bucket_events(cloud: TestCloud) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that takes what S3 told since the last time, oldest first, out of the queue."""

    def take() -> list[dict[str, Any]]:
        sqs, taken = cloud.admin("sqs"), []
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < QUIET_SECONDS:
            answer = sqs.receive_message(QueueUrl=settings.DOCUMENT_EVENTS_QUEUE_URL, MaxNumberOfMessages=10)
            for message in answer.get("Messages", ()):
                quiet_since = time.monotonic()
                sqs.delete_message(QueueUrl=settings.DOCUMENT_EVENTS_QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
                taken.append(json.loads(message["Body"]))
            time.sleep(0.01)
        records = [event for event in taken if "Records" in event]
        return sorted(records, key=lambda event: event["Records"][0]["s3"]["object"].get("sequencer", ""))

    return take


@pytest.fixture
def catch_up(cloud: TestCloud) -> Callable[[], int]:
    """Return a function that gives the queues' messages to Lambda's entry point until there are none, as the event
    source mappings do, and returns how many there were."""
    from portal.lambda_entry import lambda_handler

    ours = {"documents.tasks.index", "documents.tasks.render"}
    stage = [one for one in events.stages()["local"] if one["function"] in ours]
    queues: list[Queue] = read(stage, lambda_handler)[0]

    def go() -> int:
        given, quiet_since = 0, time.monotonic()
        while time.monotonic() - quiet_since < QUIET_SECONDS:
            now = sum(queue.poll(0) for queue in queues)
            if now:
                given, quiet_since = given + now, time.monotonic()
            else:
                time.sleep(0.01)
        cloud.forget_calls()
        return given

    return go


def indexed(corner: Corner, document_id: str) -> Document | None:
    """Return what the index has, read by the portal."""
    return documents.find(corner.identity_id, document_id, consistent=True)
