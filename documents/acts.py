"""What operators do to documents. Each act is in the audit log before it is done: none is ever missing there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from documents import archive, bucket, renders
from documents.archive import TakenDown, Text
from documents.document import Document
from documents.place import places
from documents.renders import Render, State
from portal import aws
from portal.dynamo import audit
from portal.dynamo.table import Conflict

_TRIES = 3

log = logging.getLogger(__name__)


def audit_name(identity_id: str, document_id: str) -> str:
    """Return a document's name in the audit log."""
    return f"documents.document/{identity_id}/{document_id}"


def read(document: Document, *, reason: str, by: audit.Actor) -> Text:
    """Return a document's text. Raises DocumentMissing."""
    with _written_down("read the document", document, by, [audit.Change(field="Reason", new=reason)]):
        return archive.text(document.identity_id, document.document_id)


def take_down(document: Document, *, reason: str, sub: str, by: audit.Actor, now: datetime) -> bool:
    """Take a document from its owner (their sub, where it is known), and tell whether anything was there. After a
    failure it can be repeated. Raises aws.Busy."""
    with _written_down("took the document down", document, by, [audit.Change(field="Reason", new=reason)]):
        _stop_render(document, now=now)
        was_there = [
            archive.take_down(place, reason=reason, title=document.title, sub=sub)
            for place in places(document.identity_id, document.document_id)
        ]
    return any(was_there)


def put_back(document: Document, some: Iterable[TakenDown], *, sub: str, by: audit.Actor) -> None:
    """Give back to a document's owner what was taken down. After a failure it can be repeated. Raises Changed where
    they have written something else in its place, archive.TooLarge, and SignedOut where AWS gives them no
    credentials."""
    with _written_down("put the document back", document, by):
        corner = bucket.corner_for(document.identity_id, sub=sub)
        # The text before the PDF: where it is refused, nothing is done.
        for one in sorted(some, key=lambda one: one.place.kind == "pdf"):
            archive.put_back(one, corner)


def retry(render: Render, document: Document, *, by: audit.Actor, now: datetime) -> None:
    """Have a PDF made once more, for its owner. Raises Conflict where they have begun another one."""
    with _written_down("retried the PDF", document, by):
        if render.state is State.QUEUED:
            # Its message may never have been sent. One that comes twice does no harm.
            renders.send(render)
        else:
            renders.retry(render, now=now)


def _stop_render(document: Document, *, now: datetime) -> None:
    """End a render that is under way: its PDF would come into the corner after the document is gone."""
    for _ in range(_TRIES):
        was = renders.renders.find(document.identity_id, document.document_id, consistent=True)
        if was is None or was.is_over:
            return
        # Nobody has to retry it, so it is not among those that failed.
        over = was.over(State.FAILED, now=now, message="An operator took the document down.", shelf=None)
        try:
            renders.renders.replace(over, was=was)
        except Conflict:
            continue  # it has got a page further
        return
    raise aws.Busy


@contextmanager
def _written_down(
    action: str, document: Document, by: audit.Actor, changes: Iterable[audit.Change] = ()
) -> Iterator[None]:
    """Write an act down, do it, and write down as well where it failed or nobody knows whether it did."""
    name = audit_name(document.identity_id, document.document_id)
    called = document.title or document.document_id
    audit.record(action, by=by, object=name, object_name=called, changes=changes)
    try:
        yield
    except Exception:  # whatever it was, the log says that the act failed, and it is raised on
        try:
            audit.record(f"{action}, which failed", by=by, object=name, object_name=called)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            log.warning("The failure of an operator's act was not written down (%s).", type(error).__name__)
        raise
