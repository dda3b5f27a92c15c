"""An application's picture: made small of what an operator hands in, and kept in the catalogue's item in base 64."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

from documents.rendered import NotAPicture

if TYPE_CHECKING:
    from PIL import Image

    from portal.streaming.models import Application

SIDE = 128  # pixels
MOST_BYTES_IN = 2_000_000
# A catalogue of two hundred applications is then still one Scan, which stops at 1 MB.
MOST_BYTES = 3_600
TYPE = "image/webp"


def made_small(data: bytes) -> str:
    """Return a picture as the catalogue keeps it: a square WebP of SIDE, in base 64, with nothing around what it shows
    and nothing in it but that.

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
    return base64.b64encode(_encoded(_squared(checked.data))).decode("ascii")


def decoded(application: Application) -> bytes:
    """Return an application's picture, a WebP; nothing where it has none."""
    try:
        return base64.b64decode(application.picture or "", validate=True)
    except (binascii.Error, ValueError):  # somebody else wrote into the table
        return b""


def address(application: Application) -> str:
    """Return the picture as the address of an <img>; nothing where there is none."""
    data = decoded(application)
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
