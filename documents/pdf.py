"""A document's PDF: made at once where it is short, and in the background where it is long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from documents import bucket, renders, source, workshop
from documents.bucket import DocumentMissing, Stored
from documents.place import is_path, picture_path
from documents.rendered import MAX_PICTURE_BYTES, NotAPicture, Rendered
from documents.renders import FAILED_SHELF, Render, State
from documents.source import Source
from portal import aws
from portal.accounts.refusals import Refused
from portal.dynamo.table import Conflict

if TYPE_CHECKING:
    from documents.corner import Corner

# API Gateway gives up after 29 seconds. Whatever is not done by then goes on in the background.
AT_ONCE_SECONDS, LONGEST_SECONDS = 12.0, 600.0
SHORT_PAGES = 25
MOST_PICTURES, PICTURES_BYTES = 200, 60_000_000
_WORDS_PER_PAGE, _PICTURES_PER_PAGE = 380, 2
_FETCHES_AT_ONCE = 8


class CannotBeMade(Exception):
    """This text makes no PDF, however often it is tried; the message tells its author why."""


@dataclass(frozen=True)
class Manuscript:
    """What a PDF is made of."""

    document_id: str
    source: Source
    stored: Stored
    rendered: Rendered

    @property
    def title(self) -> str:
        return source.title_of(self.source, self.document_id)

    @property
    def pages(self) -> int:
        """How many pages it will have, more or less."""
        pictures_pages = len(self.rendered.images) / _PICTURES_PER_PAGE
        return max(1, math.ceil(self.rendered.words / _WORDS_PER_PAGE + pictures_pages))

    @property
    def is_short(self) -> bool:
        return self.pages <= SHORT_PAGES


@dataclass(frozen=True)
class Made:
    name: str
    pages: int
    missing: tuple[str, ...]  # pictures that are not there


def manuscript(corner: Corner, document_id: str) -> Manuscript:
    """Read a document. Raises DocumentMissing, CannotBeMade."""
    content, stored = bucket.read(corner, document_id)
    try:
        parsed = source.parse(content)
        rendered = workshop.html(parsed.text, folder=document_id.rpartition("/")[0])
    except (source.TooLarge, source.NotText, workshop.TookTooLong, workshop.TooComplex) as error:
        raise CannotBeMade(str(error)) from error
    return Manuscript(document_id, parsed, stored, rendered)


def make(corner: Corner, paper: Manuscript, *, seconds: float, on_page: Callable[[int], None] | None = None) -> Made:
    """Make a PDF and store it. Raises workshop.TookTooLong, CannotBeMade."""
    give_up_at = time.monotonic() + seconds
    if len(paper.rendered.images) > MOST_PICTURES:
        raise CannotBeMade(f"It has more than {MOST_PICTURES} pictures.")
    fetched = _pictures(corner, paper.rendered.images)
    try:
        made = workshop.pdf(
            paper.rendered,
            paper.source,
            title=paper.title,
            author=paper.source.author,
            images=fetched,
            seconds=max(1.0, give_up_at - time.monotonic()),
            on_page=on_page,
        )
    except workshop.TooComplex as error:
        raise CannotBeMade(str(error)) from error
    bucket.save_pdf(corner, paper.document_id, made.data, source_e_tag=paper.stored.e_tag, pages=made.pages)
    return Made(source.file_name(paper.title, "pdf"), made.pages, made.missing)


def _pictures(corner: Corner, paths: tuple[str, ...]) -> dict[str, bytes]:
    """Return the pictures that are there and are pictures."""
    client = corner.connection  # made before the threads need it
    assert client  # noqa: S101

    def fetch(path: str) -> bytes | None:
        if not is_path(path):
            return None
        try:
            data = bucket.read_picture(corner, path, most_bytes=MAX_PICTURE_BYTES)
            # What was uploaded here was checked then, and is what it was. `printing` takes PNG and JPEG alone, and
            # whatever they hide ends the process that makes the PDF, and no other.
            is_checked = path == picture_path(data, path.rpartition(".")[2])
            return data if is_checked else workshop.picture(data).data
        except (DocumentMissing, NotAPicture, workshop.TookTooLong, workshop.TooComplex):
            return None

    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as executor:
        found = dict(zip(paths, executor.map(fetch, paths), strict=True))
    there = {path: data for path, data in found.items() if data is not None}
    if sum(map(len, there.values())) > PICTURES_BYTES:
        raise CannotBeMade(f"Its pictures have more than {PICTURES_BYTES // 1_000_000} MB.")
    return there


def make_or_start(corner: Corner, document_id: str, *, sub: str, username: str, now: datetime) -> Made | Render:
    """Make a PDF now, or have it made in the background where that takes long. Raises DocumentMissing,
    CannotBeMade."""
    paper = manuscript(corner, document_id)
    if paper.is_short:
        try:
            return make(corner, paper, seconds=AT_ONCE_SECONDS)
        except workshop.TookTooLong:
            pass
    return renders.start(
        corner.identity_id,
        document_id,
        sub=sub,
        username=username,
        source_e_tag=paper.stored.e_tag,
        pages=paper.pages,
        now=now,
    )


# --- In the background ------------------------------------------------------------------------------------------------


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

    def fail(self, message: str) -> None:
        self.say(state=State.FAILED, shelf=FAILED_SHELF, message=message)


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
    except (CannotBeMade, workshop.TookTooLong) as error:
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
            progress.say(state=State.QUEUED, message="A service did not answer. It is tried again.")
        raise


def _work(progress: _Progress, *, seconds: float) -> None:
    render = progress.render
    progress.say(state=State.RENDERING, page=0, message="")
    corner = bucket.corner_for(render.identity_id, sub=render.sub)
    paper = manuscript(corner, render.document_id)
    progress.say(pages=paper.pages, source_e_tag=paper.stored.e_tag)
    made = make(corner, paper, seconds=seconds, on_page=progress.on_page)
    progress.say(state=State.DONE, page=made.pages, pages=made.pages, missing=made.missing)
