"""Pictures that people hand in: known by their content, and made anew so that nothing but what they show is left."""

from __future__ import annotations

import io
import warnings
from contextlib import suppress

from PIL import ExifTags, Image, ImageCms, ImageFile

from documents.rendered import MAX_PICTURE_BYTES as MAX_BYTES
from documents.rendered import NotAPicture, Picture

MAX_PIXELS = 40_000_000
LONG_SIDE = 2_400  # of what comes out: 300 dots per inch across a page of A4 with its margins are fewer

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def checked(data: bytes) -> Picture:
    """Return the picture made anew: upright, in sRGB, the first frame, without metadata, not larger than LONG_SIDE.

    The same data give the same bytes. Raises NotAPicture for anything but a whole PNG, JPEG, GIF or WebP of at most
    MAX_BYTES and MAX_PIXELS.
    """
    if len(data) > MAX_BYTES:
        raise NotAPicture(f"This picture is larger than {MAX_BYTES / 1e6:.0f} MB.")
    # WeasyPrint sets this to True for the whole process.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with warnings.catch_warnings():
        # Pillow warns of what it can do without, and of sizes, which are looked at here.
        warnings.simplefilter("ignore")
        try:
            return _encoded(*_decoded(data))
        except (NotAPicture, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise _too_many_pixels() from error
        except Exception as error:  # decoders raise whatever they stumble over
            raise NotAPicture("This is not a PNG, JPEG, GIF or WebP picture, or it is damaged.") from error


def _decoded(data: bytes) -> tuple[Image.Image, bool]:
    """Return what the picture shows, and whether it is a photograph by its format."""
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels()
        # A JPEG can be read at an eighth of its size, at once.
        image.draft(None, (LONG_SIDE, LONG_SIDE))
        image.load()
        # "VP8L" is WebP without loss, which is how a drawing is kept. An MPO is a JPEG with more behind it.
        is_photo = image.format in ("JPEG", "MPO") or (image.format == "WEBP" and data[12:16] != b"VP8L")
        shown = _in_srgb(_in_plain_mode(image), image.info.get("icc_profile"))
        shown.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        turn = _UPRIGHT.get(_orientation(image))
    return (shown if turn is None else shown.transpose(turn)), is_photo


def _in_plain_mode(image: Image.Image) -> Image.Image:
    """Return the picture in 8 bits of grey, RGB, CMYK or, where anything shows through, RGBA."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("RGB") if image.getchannel("A").getextrema()[0] == 255 else image
    if image.mode.startswith("I"):  # 16 bits of grey, of which `convert` would keep the lower ones
        image = image.convert("I").point(lambda value: value * (1 / 256))
    if image.mode in ("1", "L", "I"):
        return image.convert("L")
    return image if image.mode == "CMYK" else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    mode = "RGB" if image.mode == "CMYK" else image.mode
    if profile and mode != "L":
        with suppress(ImageCms.PyCMSError, OSError):  # a damaged profile, or one of another kind of picture
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode) or image
    return image.convert(mode)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # what is wrong with the metadata is no reason to refuse the picture
        return 1


def _encoded(image: Image.Image, is_photo: bool) -> Picture:
    # Pillow writes a profile or a comment that it finds here.
    image.info.clear()
    is_opaque = image.mode != "RGBA"
    if not (is_photo and is_opaque):
        data = _saved(image, "PNG")
        if len(data) <= MAX_BYTES:
            return Picture(data, "image/png", "png", *image.size)
        if not is_opaque:
            return _encoded(image.resize((max(1, image.width // 2), max(1, image.height // 2))), is_photo)
    return Picture(_saved(image, "JPEG", quality=88), "image/jpeg", "jpg", *image.size)


def _saved(image: Image.Image, encoding: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, encoding, **options)
    return file.getvalue()


def _too_many_pixels() -> NotAPicture:
    return NotAPicture(f"This picture has more than {MAX_PIXELS / 1e6:.0f} million pixels.")
