"""PDFs that are made in the background: each step of a render is written down, so that its owner sees how far it is."""

from __future__ import annotations

import time
from contextlib import suppress

from django.utils import timezone

from documents import bucket, pdf, renders, workshop
from documents.bucket import DocumentMissing
from documents.renders import Render, State
from portal import aws
from portal.accounts.refusals import Refused
from portal.dynamo.table import Conflict

LONGEST_SECONDS = 600.0


class _Superseded(Exception):
    """Its owner has begun another one."""


class _Progress:
    """Writes down how far a render is, at most once a second."""

    def __init__(self, render: Render) -> None:
        self.render = render
        self._next_at = 0.0

    def on_page(self, page: int) -> None:
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + 1
            self.say(page=page, pages=max(self.render.pages, page))

    def say(self, **facts: object) -> None:
        """Raises _Superseded."""
        new = self.render.model_copy(update={**facts, "updated_at": timezone.now()})
        try:
            renders.renders.replace(new, was=self.render)
        except Conflict as error:
            raise _Superseded from error
        self.render = new

    def end(self, state: State, **facts: object) -> None:
        over = self.render.over(state, now=timezone.now())
        self.say(state=over.state, shelf=over.shelf, **facts)

    def fail(self, message: str) -> None:
        with suppress(_Superseded):
            self.end(State.FAILED, message=message)


def work(identity_id: str, document_id: str, render_id: str, *, is_last_try: bool, seconds: float) -> None:
    """Make the PDF that a render asks for. What does not pass is written down; what passes is raised, so that the
    queue gives it again, and written down after the last try."""
    render = renders.renders.find(identity_id, document_id, consistent=True)
    if render is None or render.render_id != render_id or render.is_over:
        return
    progress = _Progress(render)
    try:
        _work(progress, seconds=min(seconds, LONGEST_SECONDS))
    except _Superseded:
        return
    except (pdf.CannotBeMade, workshop.TookTooLong) as error:
        progress.fail(str(error))
    except DocumentMissing:
        progress.fail("It was deleted meanwhile.")
    except Refused:
        progress.fail("It could not be made in your name any more. Make the PDF again while you are signed in.")
    except Exception as error:
        passes = aws.is_transient(error)
        if is_last_try:
            progress.fail("A service did not answer, three times." if passes else "Something broke on our side.")
        elif passes:
            with suppress(_Superseded):
                progress.say(state=State.QUEUED, message="A service did not answer. It is tried again.")
        raise


def _work(progress: _Progress, *, seconds: float) -> None:
    render = progress.render
    progress.say(state=State.RENDERING, page=0, message="")
    corner = bucket.corner_for(render.identity_id, sub=render.sub, developer_user=render.developer_user)
    there = bucket.find_pdf(corner, render.document_id)
    was, give_up_at = there.e_tag if there else "", time.monotonic() + seconds
    paper = pdf.manuscript(corner, render.document_id)
    progress.say(pages=paper.pages, source_e_tag=paper.stored.e_tag)
    try:
        made = pdf.make(corner, paper, seconds=give_up_at - time.monotonic(), on_page=progress.on_page, was=was)
    except bucket.Changed:
        # Its owner has made a newer one meanwhile, of what they had by then.
        progress.end(State.DONE)
        return
    progress.end(State.DONE, page=made.pages, pages=made.pages, missing=made.missing)
