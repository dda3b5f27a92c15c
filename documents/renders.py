"""PDFs that are made in the background: how far each is, and the queue that `documents.tasks.render` receives."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from django.conf import settings

from portal import aws
from portal.dynamo.table import Conflict, Instant, Record, Table

KEPT = timedelta(days=30)
# A render that has said nothing for as long is not under way any more: its message is waiting, or lost.
SILENT = timedelta(minutes=17)
# What the index finds: those that failed, and those that are not over.
FAILED_SHELF, OPEN_SHELF = "failed", "open"
INTERRUPTED = "It was interrupted. Make the PDF again."


class State(StrEnum):
    QUEUED = "queued"
    RENDERING = "rendering"
    DONE = "done"
    FAILED = "failed"


class Owner(NamedTuple):
    """Who asks for a PDF."""

    identity_id: str
    sub: str
    username: str
    developer_user: str


class Render(Record):
    """The one render of a document: a new one takes its place."""

    identity_id: str
    document_id: str
    render_id: str
    state: State
    shelf: str | None = None
    sub: str  # whose it is
    username: str
    developer_user: str = ""  # by what the portal may vouch for them
    source_e_tag: str
    started_at: Instant
    updated_at: Instant
    page: int = 0  # that is laid out
    pages: int = 0  # an estimate, until it is done
    message: str = ""  # why it failed, or waits
    missing: tuple[str, ...] = ()
    expires_at: int

    @property
    def is_over(self) -> bool:
        return self.state in (State.DONE, State.FAILED)

    def is_under_way(self, *, now: datetime) -> bool:
        return not self.is_over and now - self.updated_at < SILENT

    def over(self, state: State, *, now: datetime, **facts: object) -> Render:
        """Return the render as it is once it is over."""
        shelf = FAILED_SHELF if state is State.FAILED else None
        return self.model_copy(update={"state": state, "shelf": shelf, "updated_at": now, **facts})

    def as_seen(self, *, now: datetime) -> Render:
        """Return the render as it is to be told: one that has said nothing for too long was interrupted."""
        if self.is_over or self.is_under_way(now=now):
            return self
        return self.over(State.FAILED, now=self.updated_at, message=INTERRUPTED)


renders = Table(Render, name="renders", key=("IdentityId", "DocumentId"), indexes={"ByShelf": ("Shelf", "UpdatedAt")})


def worth_telling(identity_id: str, document_id: str, *, pdf_at: datetime | None, now: datetime) -> Render | None:
    """Return the render of a document, where there is anything to tell of it besides the PDF of `pdf_at`: how far it
    is, or why it failed since then."""
    found = renders.find(identity_id, document_id)
    render = found and found.as_seen(now=now)
    if render is None or render.state is State.DONE:
        return None
    # S3 tells no fractions of a second.
    is_newer = pdf_at is not None and pdf_at >= render.updated_at.replace(microsecond=0)
    return None if render.state is State.FAILED and is_newer else render


def interrupted(*, now: datetime) -> list[Render]:
    """Return the renders that have said nothing for too long, the oldest first: of the first two hundred."""
    found = renders.query(OPEN_SHELF, index="ByShelf", limit=200, newest_first=False).records
    return [one.as_seen(now=now) for one in found if not one.is_under_way(now=now)]


def start(owner: Owner, document_id: str, *, source_e_tag: str, pages: int, now: datetime) -> Render:
    """Have a document's PDF made in the background, or return the render of the same text that is under way."""
    identity_id = owner.identity_id
    was = renders.find(identity_id, document_id, consistent=True)
    if was and was.source_e_tag == source_e_tag and was.is_under_way(now=now):
        if was.state is State.QUEUED:
            # Its message may never have been sent. One that comes twice does no harm.
            send(was)
        return was
    new = Render(
        identity_id=identity_id,
        document_id=document_id,
        render_id=secrets.token_hex(8),
        state=State.QUEUED,
        shelf=OPEN_SHELF,
        sub=owner.sub,
        username=owner.username,
        developer_user=owner.developer_user,
        source_e_tag=source_e_tag,
        started_at=now,
        updated_at=now,
        pages=pages,
        expires_at=int((now + KEPT).timestamp()),
    )
    try:
        renders.replace(new, was=was) if was else renders.add(new)
    except Conflict:
        # Two presses at once: the other one has started it.
        return renders.get(identity_id, document_id, consistent=True)
    send(new)
    return new


def retry(render: Render, *, now: datetime) -> Render:
    """Begin a render anew that failed, for its owner. Raises Conflict where it was begun meanwhile."""
    new = render.model_copy(
        update={
            "render_id": secrets.token_hex(8),
            "state": State.QUEUED,
            "shelf": OPEN_SHELF,
            "message": "",
            "page": 0,
            "updated_at": now,
            "expires_at": int((now + KEPT).timestamp()),
        }
    )
    renders.replace(new, was=render)
    try:
        send(new)
    except Exception:  # whatever it was: it goes back to those that failed, where it is found, and is raised on
        renders.replace(render, was=new)
        raise
    return new


def send(render: Render) -> None:
    """Put a render into the queue: who and what, and no credentials."""
    aws.client("sqs").send_message(
        QueueUrl=settings.RENDERS_QUEUE_URL,
        MessageBody=json.dumps(
            {"IdentityId": render.identity_id, "DocumentId": render.document_id, "RenderId": render.render_id}
        ),
    )
