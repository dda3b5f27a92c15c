"""A document's PDF: made at once where it is short; `progress` makes it in the background where it is long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.http import HttpRequest

from documents import bucket, renders, source, workshop
from documents.bucket import DocumentMissing, Stored
from documents.place import is_path
from documents.rendered import MAX_PICTURE_BYTES, NotAPicture, Rendered
from documents.renders import Owner, Render
from documents.source import Source
from portal.accounts import credentials
from portal.accounts.models import User

if TYPE_CHECKING:
    from documents.corner import Corner

# API Gateway gives up after 29 seconds. Whatever is not done by then goes on in the background.
AT_ONCE_SECONDS = 10.0
SHORT_PAGES, SHORT_PICTURES = 25, 20
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
        return self.pages <= SHORT_PAGES and len(self.rendered.images) <= SHORT_PICTURES


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


def make(
    corner: Corner,
    paper: Manuscript,
    *,
    seconds: float,
    on_page: Callable[[int], None] | None = None,
    was: str | None = None,
) -> Made:
    """Make a PDF and store it; with `was` only in place of the one of that ETag. Raises workshop.TookTooLong,
    CannotBeMade, bucket.Changed, DocumentMissing."""
    give_up_at = time.monotonic() + seconds
    if len(paper.rendered.images) > MOST_PICTURES:
        raise CannotBeMade(f"It has more than {MOST_PICTURES} pictures.")
    try:
        made = workshop.pdf(
            paper.rendered,
            paper.source,
            title=paper.title,
            author=paper.source.author,
            images=_pictures(corner, paper.rendered.images, give_up_at=give_up_at),
            seconds=_left(give_up_at),
            on_page=on_page,
        )
    except workshop.TooComplex as error:
        raise CannotBeMade(str(error)) from error
    bucket.save_pdf(
        corner,
        paper.document_id,
        made.data,
        source_e_tag=paper.stored.e_tag,
        pages=made.pages,
        missing=made.missing,
        was=was,
    )
    return Made(source.file_name(paper.title, "pdf"), made.pages, made.missing)


def _left(give_up_at: float) -> float:
    left = give_up_at - time.monotonic()
    if left <= 0:
        raise workshop.TookTooLong("Its pictures take longer than they may. Make it of several documents.")
    return left


def _pictures(corner: Corner, paths: tuple[str, ...], *, give_up_at: float) -> dict[str, bytes]:
    """Return the pictures that are there and are pictures."""
    client = corner.connection  # made before the threads need it
    assert client  # noqa: S101
    sizes: list[int] = []

    def fetch(path: str) -> bytes | None:
        if not is_path(path) or sum(sizes) > PICTURES_BYTES or time.monotonic() > give_up_at:
            return None
        try:
            data = bucket.read_picture(corner, path, most_bytes=MAX_PICTURE_BYTES)
        except DocumentMissing:
            return None
        sizes.append(len(data))
        return data

    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as executor:
        found = dict(zip(paths, executor.map(fetch, paths), strict=True))
    _left(give_up_at)
    if sum(sizes) > PICTURES_BYTES:
        raise CannotBeMade(f"Its pictures have more than {PICTURES_BYTES // 1_000_000} MB.")
    there = {}
    for path, data in found.items():
        if data is None:
            continue
        # What was uploaded here was checked then.
        if path != bucket.picture_path(data, path.rpartition(".")[2]):
            try:
                data = workshop.picture(data, seconds=_left(give_up_at)).data
            except (NotAPicture, workshop.TooComplex):
                continue
        there[path] = data
    return there


def make_or_start(corner: Corner, document_id: str, *, by: Owner, now: datetime) -> Made | Render:
    """Make a PDF now, or have it made in the background where that takes long. Raises DocumentMissing,
    CannotBeMade."""
    paper = manuscript(corner, document_id)
    if paper.is_short:
        try:
            return make(corner, paper, seconds=AT_ONCE_SECONDS)
        except workshop.TookTooLong:
            pass
    return renders.start(by, document_id, source_e_tag=paper.stored.e_tag, pages=paper.pages, now=now)


def owner(request: HttpRequest, user: User) -> Owner:
    """Return who asks for a PDF. Raises SignedOut."""
    return Owner(credentials.identity_id(request), user.sub, user.username, credentials.developer_user(request))
