"""The pictures of applications: made small of what an operator hands in, and kept in a table of their own.

The catalogue, which every look at "Apps" reads whole, has only their ids.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import re
from typing import TYPE_CHECKING

from documents.rendered import NotAPicture
from portal.dynamo.table import Conflict, Record, Table

if TYPE_CHECKING:
    from PIL import Image

SIDE = 128  # pixels
MOST_BYTES_IN = 2_000_000
MOST_BYTES = 12_000
TYPE = "image/webp"
_ID = re.compile(r"[0-9a-f]{32}")


class Picture(Record):
    """An item of the StreamingPictures table. What an id stands for never changes."""

    picture_id: str  # the beginning of the SHA-256 of the WebP
    data: str = ""  # the WebP, in base64


# Nothing is deleted here: a picture that no application has any more is some kB, and another may have the same one.
table = Table(Picture, name="streaming_pictures", key=("PictureId",))


def made_small(data: bytes) -> Picture:
    """Return a picture as it is kept: a square WebP of SIDE, with nothing around what it shows and nothing in it but
    that. It is not stored yet.

    Raises NotAPicture, in words, for anything but a whole PNG, JPEG, GIF or WebP of at most MOST_BYTES_IN that does not
    move.
    """
    # Whoever only shows a picture does without the code that reads them.
    from documents import pictures

    if len(data) > MOST_BYTES_IN:
        raise NotAPicture(f"This picture is larger than {MOST_BYTES_IN // 1_000_000} MB.")
    # What is checked there is one picture, upright, in a screen's colours and without metadata.
    checked = pictures.checked(data)
    if _moves(data):
        raise NotAPicture("This picture moves. Choose one that does not.")
    made = _encoded(_squared(checked.data))
    return Picture(picture_id=hashlib.sha256(made).hexdigest()[:32], data=base64.b64encode(made).decode("ascii"))


def keep(picture: Picture) -> None:
    """Store a picture, if it is not there yet."""
    with contextlib.suppress(Conflict):
        table.add(picture)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def content(picture_id: str) -> bytes:
    """Return a picture, a WebP; nothing where there is none: one GetItem."""
    found = table.find(picture_id) if is_id(picture_id) else None
    try:
        return base64.b64decode(found.data, validate=True) if found else b""
    except (binascii.Error, ValueError):  # somebody else wrote into the table
        return b""


def address(picture_id: str) -> str:
    """Return a picture as the address of an <img>, for operators, who need not be of the application's groups; nothing
    where there is none: one GetItem."""
    data = content(picture_id)
    return f"data:{TYPE};base64,{base64.b64encode(data).decode('ascii')}" if data else ""


def _moves(data: bytes) -> bool:
    """Tell whether a picture that was checked has several frames. Those of a camera's JPEG are other sizes of it."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _squared(data: bytes) -> Image.Image:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        by = SIDE / max(image.size)
        size = (max(1, round(image.width * by)), max(1, round(image.height * by)))
        shown = image.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    square.paste(shown, ((SIDE - shown.width) // 2, (SIDE - shown.height) // 2))
    return square


def _encoded(square: Image.Image) -> bytes:
    """A drawing is kept as it is, a photograph as well as there is room for it."""
    data = _saved(square, lossless=True, quality=100)
    for quality in (90, 80, 65, 50, 35, 20, 5, 0):
        if len(data) <= MOST_BYTES:
            break
        data = _saved(square, quality=quality, alpha_quality=quality)
    return data


def _saved(image: Image.Image, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", method=6, **options)
    return file.getvalue()
