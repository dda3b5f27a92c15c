"""What rendering gives. Whoever only hands it on loads nothing of what makes it: not Markdown, Pillow or WeasyPrint."""

from __future__ import annotations

from dataclasses import dataclass

# Of a picture that comes in, and of what becomes of it: Lambda carries 6 MB either way, in base 64.
MAX_PICTURE_BYTES = 4_000_000


class NotAPicture(ValueError):
    """What was handed in is not taken; the message says why, to people."""


class TooDeep(ValueError):
    """A document is nested more deeply than can be printed; the message says so, to people."""


@dataclass(frozen=True)
class Heading:
    """`id` is the element's: `#doc-…` leads to it."""

    level: int
    text: str
    id: str


@dataclass(frozen=True)
class Rendered:
    """A document as HTML. A picture's source is `corner:` and its path in the owner's corner, percent-encoded; `images`
    has these paths as they are, in order, once each."""

    html: str
    images: tuple[str, ...]
    headings: tuple[Heading, ...]
    words: int


@dataclass(frozen=True)
class Picture:
    data: bytes
    content_type: str  # image/png or image/jpeg
    ending: str  # png or jpg
    width: int
    height: int


@dataclass(frozen=True)
class Pdf:
    data: bytes
    pages: int
    missing: tuple[str, ...]  # paths of pictures that were not there
