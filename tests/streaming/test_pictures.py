"""The pictures of applications: small and square, and nothing left of the file but what it shows."""

from __future__ import annotations

import base64
import io
import random
from typing import Any

import pytest
from PIL import Image

from documents.rendered import NotAPicture
from portal.streaming import pictures
from portal.streaming.models import Application
from portal.streaming.pictures import MOST_BYTES, MOST_BYTES_IN, SIDE, made_small

RED, BLUE = (214, 40, 40), (40, 60, 200)
SECRET = b"the-secret-of-this-picture"


def encoded(image: Image.Image, encoding: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, encoding, **options)
    return file.getvalue()


def flat(size=(40, 30), colour: Any = RED, mode="RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def noise(mode="RGB", size=(SIDE, SIDE)) -> Image.Image:
    return Image.frombytes(mode, size, random.Random(1).randbytes(size[0] * size[1] * len(mode)))


def shown(text: str) -> Image.Image:
    data = base64.b64decode(text, validate=True)
    assert len(data) <= MOST_BYTES
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("WEBP", (SIDE, SIDE))
    assert not getattr(image, "is_animated", False)
    return image.convert("RGBA")


def is_near(colour: Any, other: Any, by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(colour[:3], other[:3], strict=True))


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "GIF", "WEBP"])
def test_each_kind_of_picture_becomes_a_small_square(encoding):
    image = shown(made_small(encoded(flat((300, 300)), encoding)))
    assert is_near(image.getpixel((64, 64)), RED)
    assert image.getpixel((1, 1))[3] == 255


@pytest.mark.parametrize(
    ("size", "inside", "outside"),
    [((400, 100), (64, 64), (64, 10)), ((100, 400), (64, 64), (10, 64)), ((4, 1), (64, 64), (64, 10))],
)
def test_what_is_not_square_keeps_its_shape_with_nothing_around_it(size, inside, outside):
    image = shown(made_small(encoded(flat(size))))
    assert image.getpixel(inside)[3] == 255
    assert image.getpixel(outside)[3] == 0


@pytest.mark.parametrize("size", [(2400, 1), (1, 2400), (1, 1)])
def test_the_thinnest_picture_is_one(size):
    assert shown(made_small(encoded(flat(size)))).getbbox()


def test_what_shines_through_still_does():
    image = shown(made_small(encoded(flat((SIDE, SIDE), (0, 0, 255, 100), "RGBA"))))
    assert abs(image.getpixel((64, 64))[3] - 100) <= 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_busiest_picture_fits_in(mode):
    shown(made_small(encoded(noise(mode))))


def test_a_drawing_is_kept_as_it_is():
    drawing = flat((SIDE, SIDE))
    drawing.paste(BLUE, (0, 0, 64, 128))
    image = shown(made_small(encoded(drawing)))
    assert [image.getpixel((63, 5)), image.getpixel((64, 5))] == [(*BLUE, 255), (*RED, 255)]


def test_a_picture_that_lies_on_its_side_is_put_upright():
    photograph = flat((200, 100))
    photograph.paste(BLUE, (0, 0, 100, 100))
    exif = photograph.getexif()
    exif[0x0112] = 6  # a quarter to the right: what is on the left comes to the top
    image = shown(made_small(encoded(photograph, "JPEG", exif=exif)))
    assert is_near(image.getpixel((64, 10)), BLUE)
    assert is_near(image.getpixel((64, 118)), RED)


def test_nothing_is_left_but_what_it_shows():
    photograph = flat((200, 200))
    exif = photograph.getexif()
    exif[0x010E] = SECRET.decode()
    for data in (
        encoded(photograph, "JPEG", exif=exif, comment=SECRET),
        encoded(photograph, "WEBP", exif=exif, xmp=SECRET),
        encoded(photograph, "PNG") + SECRET,
    ):
        assert SECRET in data
        assert SECRET not in base64.b64decode(made_small(data))


def moving(encoding: str) -> bytes:
    return encoded(flat(), encoding, save_all=True, append_images=[flat(colour=BLUE)], duration=100)


@pytest.mark.parametrize("encoding", ["GIF", "WEBP", "PNG"])
def test_what_moves_is_refused_in_words(encoding):
    with pytest.raises(NotAPicture, match="This picture moves"):
        made_small(moving(encoding))


def test_of_a_camera_s_several_pictures_the_first_is_taken():
    data = encoded(flat((200, 200)), "MPO", save_all=True, append_images=[flat((50, 50), BLUE)])
    assert is_near(shown(made_small(data)).getpixel((64, 64)), RED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(noise())[:2_000],
        encoded(noise(), "JPEG")[:2_000],
        encoded(flat(), "BMP"),
        encoded(flat(), "TIFF"),
        encoded(flat(), "ICO"),
    ],
)
def test_anything_else_is_refused_in_words(data):
    with pytest.raises(NotAPicture, match="not a PNG, JPEG, GIF or WebP picture, or it is damaged"):
        made_small(data)


def test_a_bomb_is_refused_and_not_opened():
    # 400 million pixels in 50 kB.
    with pytest.raises(NotAPicture, match="million pixels"):
        made_small(encoded(flat((20_000, 20_000), 0, "1"), optimize=True))


def test_a_file_that_is_too_large_is_refused_unread():
    with pytest.raises(NotAPicture, match="larger than 2 MB"):
        made_small(b"x" * (MOST_BYTES_IN + 1))


def test_the_same_picture_gives_the_same():
    assert made_small(encoded(noise())) == made_small(encoded(noise()))


def test_a_picture_of_the_catalogue_is_read_again():
    kept = made_small(encoded(flat()))
    assert pictures.decoded(Application(picture=kept)) == base64.b64decode(kept)
    assert pictures.address(Application(picture=kept)) == f"data:image/webp;base64,{kept}"


@pytest.mark.parametrize("picture", ["", None, "not base 64", "é", '"><script>'])
def test_where_there_is_none_or_it_is_none_nothing_is_shown(picture):
    assert pictures.decoded(Application(picture=picture)) == b""
    assert pictures.address(Application(picture=picture)) == ""
