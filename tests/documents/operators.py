"""What the tests of the operators' pages share: somebody whose documents they are about, and the browsers."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any, cast

import pytest
from django.conf import settings
from django.contrib.admin.utils import quote
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from documents import index
from documents.place import Place, place_of
from documents.renders import FAILED_SHELF, Render, State, renders
from portal.accounts import credentials, people
from portal.dynamo.values import from_item
from tests.conftest import SignedUp, TestCloud
from tests.documents.conftest import Corner

LIST = "/admin/documents/document/"
RENDERS = "/admin/documents/render/"
REASON = "Somebody complained about it."
# Identities of which there is nothing in the bucket.
SOMEBODY, NOBODY = (f"eu-west-1:{digit * 8}-0000-4000-8000-000000000000" for digit in "10")


@pytest.fixture
def asks(client_for: Callable[..., Client], operator: SignedUp) -> Client:
    """The operator's browser."""
    return client_for(operator)


@pytest.fixture
def listed(cloud: TestCloud, rider: SignedUp) -> Corner:
    """The rider's corner, where only the index is asked: there is nothing of it in the bucket."""
    people.people.add(people.Person(person_id=rider.sub, username="rider", identity_id=SOMEBODY))
    cloud.forget_calls()
    return Corner(SOMEBODY, None)


@pytest.fixture
def theirs(cloud: TestCloud, corner_of: Callable[[SignedUp], Corner], rider: SignedUp) -> Corner:
    """The rider's corner, of which nothing is taken down."""
    corner = corner_of(rider)
    people.people.add(people.Person(person_id=rider.sub, username="rider", identity_id=corner.identity_id))
    # As it was when they first used what is theirs.
    credentials._remember(rider.sub, corner.identity_id, rider.id_token)
    s3 = cloud.admin("s3")
    for one in objects(cloud, f"taken-down/{corner.identity_id}/"):
        s3.delete_object(Bucket=settings.DOCUMENTS_BUCKET, Key=one)
    cloud.forget_calls()
    return corner


def know(corner: Corner) -> None:
    """Write into the index what is in a corner, as the queue's function does."""
    answer = corner.s3.list_object_versions(Bucket=settings.DOCUMENTS_BUCKET, Prefix=corner.key(""))
    for key in {one["Key"] for one in [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]}:
        index.record(cast(Place, place_of(key)), now=timezone.now())


def objects(cloud: TestCloud, prefix: str) -> list[str]:
    """Return the keys that begin like this."""
    answer = cloud.admin("s3").list_objects_v2(Bucket=settings.DOCUMENTS_BUCKET, Prefix=prefix)
    return [one["Key"] for one in answer.get("Contents", ())]


def url(corner: Corner, document_id: str, act: str = "change", noun: str = "document") -> str:
    """Return the address of a document's page or of one of its acts; or, with the noun "render", of its render's."""
    return reverse(f"admin:documents_{noun}_{act}", args=[quote(f"{corner.identity_id}/{document_id}")])


def written(cloud: TestCloud) -> list[tuple[str, str, str, list[str]]]:
    """Return what is in the audit log, oldest first: who, what they did, to what, and why."""
    entries = sorted(map(from_item, cloud.items("audit")), key=lambda one: one["EntryId"])
    return [
        (one["ActorName"], one["Action"], one["Object"], [change["To"] for change in one["Changes"]]) for one in entries
    ]


def text(response: HttpResponse) -> str:
    """Return what a page says."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def put_render(identity_id: str, document_id: str, person: SignedUp, **facts: Any) -> Render:
    """Store a render that failed, or is as the facts say."""
    now = timezone.now()
    failed = {"state": State.FAILED, "shelf": FAILED_SHELF, "message": "It takes longer than ten minutes."}
    render = Render(
        **{
            "identity_id": identity_id,
            "document_id": document_id,
            "render_id": f"render-{document_id}"[:40],
            "sub": person.sub,
            "username": person.username,
            "source_e_tag": "e",
            "started_at": now,
            "updated_at": now,
            "page": 12,
            "pages": 300,
            "expires_at": int(now.timestamp()) + 1000,
            **failed,
            **facts,
        }
    )
    renders.add(render)
    return renders.get(identity_id, document_id, consistent=True)
