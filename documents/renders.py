"""PDFs that are made in the background: how far each is, and the queue that `documents.tasks.render` receives."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings

from portal import aws
from portal.dynamo.table import Conflict, Instant, Record, Table

KEPT = timedelta(days=30)
# A render that has said nothing for as long is not under way any more: its message is waiting, or lost.
SILENT = timedelta(minutes=17)
FAILED_SHELF = "failed"


class State(StrEnum):
    QUEUED = "queued"
    RENDERING = "rendering"
    DONE = "done"
    FAILED = "failed"


class Render(Record):
    """The one render of a document: a new one takes its place."""

    identity_id: str
    document_id: str
    render_id: str
    state: State
    shelf: str | None = None  # FAILED_SHELF: what the operators' list finds
    sub: str  # whose it is
    username: str
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


renders = Table(Render, name="renders", key=("IdentityId", "DocumentId"), indexes={"ByShelf": ("Shelf", "UpdatedAt")})


def start(
    identity_id: str, document_id: str, *, sub: str, username: str, source_e_tag: str, pages: int, now: datetime
) -> Render:
    """Have a document's PDF made in the background, or return the render of the same text that is under way."""
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
        sub=sub,
        username=username,
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
            "shelf": None,
            "message": "",
            "page": 0,
            "updated_at": now,
            "expires_at": int((now + KEPT).timestamp()),
        }
    )
    renders.replace(new, was=render)
    try:
        send(new)
    except Exception:
        # Back to those that failed, where it is found.
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
