"""The pictures of applications: small and square, and nothing left of the file but what it shows."""

from __future__ import annotations

import base64
import hashlib
import io
import random
from typing import Any

import pytest
from PIL import Image

from documents.rendered import NotAPicture
from portal.dynamo.values import to_item
from portal.streaming import models, pictures
from portal.streaming.models import Application
from portal.streaming.pictures import MOST_BYTES, MOST_BYTES_IN, SIDE, Picture, made_small

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


def kept(image: Image.Image | None = None) -> Picture:
    """Make a picture small and store it."""
    made = made_small(encoded(image or flat()))
    pictures.keep(made)
    return made


def shown(picture: Picture) -> Image.Image:
    data = base64.b64decode(picture.data, validate=True)
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
        assert SECRET not in base64.b64decode(made_small(data).data)


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


# --- Keeping them -----------------------------------------------------------------------------------------------------


def test_a_picture_is_kept_under_its_hash_once_and_read_again(cloud):
    one, other = kept(), kept(flat(colour=BLUE))
    webp = base64.b64decode(one.data)
    assert one.picture_id == hashlib.sha256(webp).hexdigest()[:32] != other.picture_id
    pictures.keep(one)
    assert len(cloud.items("streaming_pictures")) == 2
    cloud.forget_calls()
    assert pictures.content(one.picture_id) == webp
    assert cloud.calls() == {("dynamodb", "GetItem"): 1}
    assert pictures.address(one.picture_id) == f"data:image/webp;base64,{one.data}"


def test_what_is_there_under_an_id_stays(cloud):
    one = made_small(encoded(flat()))
    first = Picture(picture_id=one.picture_id, data="AAAA")
    pictures.keep(first)
    pictures.keep(one)
    assert pictures.content(one.picture_id) == b"\0\0\0"


NO_IDS = ["", "not base 64", "é", "A" * 32, "a" * 33, "٣" * 32, '"><script>', "AAAA" * 1_200, "0" * 31 + "\n"]


@pytest.mark.parametrize("text", NO_IDS)
def test_what_is_no_id_is_no_picture_and_nobody_is_asked(cloud, text):
    assert pictures.content(text) == b""
    assert pictures.address(text) == ""
    assert cloud.calls() == {}


@pytest.mark.parametrize("item", [None, {}, {"Data": "not base 64"}, {"Data": "é"}])
def test_where_the_table_has_none_nothing_is_shown(cloud, settings, item):
    if item is not None:
        item = to_item({"PictureId": "0" * 32, **item})
        cloud.admin("dynamodb").put_item(TableName=settings.TABLES["streaming_pictures"], Item=item)
    assert pictures.content("0" * 32) == b""
    assert pictures.address("0" * 32) == ""


@pytest.mark.parametrize("value", [*({"S": text} for text in NO_IDS if text), {"N": "7"}, {"BOOL": True}])
def test_what_another_version_stored_as_a_picture_is_none_and_stays_in_the_item(cloud, settings, value):
    item = {"ApplicationId": {"S": "odd"}, "Title": {"S": "Odd"}, "Enabled": {"BOOL": True}, "Picture": value}
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["streaming_applications"], Item=item)
    [one] = models.applications()
    assert one.picture == ""
    one.title = "Another"
    one.save()
    [stored] = cloud.items("streaming_applications")
    assert (stored["Title"], stored["Picture"]) == ({"S": "Another"}, value)


# --- Showing them -----------------------------------------------------------------------------------------------------


def test_a_picture_is_shown_to_who_may_see_the_application_with_two_reads(cloud, client_for, rider, streaming):
    one = kept()
    streaming.application(Picture=one.picture_id)
    streaming.application("hidden", Groups="designers", Picture=one.picture_id)
    streaming.application("disabled", Enabled=False, Picture=one.picture_id)
    asks = client_for(rider)
    cloud.forget_calls()
    answer = asks.get(f"/apps/studio/picture/?v={one.picture_id}")
    assert (answer.content, answer["Content-Type"]) == (base64.b64decode(one.data), "image/webp")
    assert answer["Cache-Control"] == "private, max-age=86400, immutable"
    assert cloud.calls()["dynamodb", "GetItem"] == 3  # the session, the application, the picture
    assert asks.get("/apps/studio/picture/?v=old")["Cache-Control"] == "private, no-store"
    for name in ("hidden", "disabled"):
        assert asks.get(f"/apps/{name}/picture/?v={one.picture_id}").status_code == 404, name


@pytest.mark.parametrize("picture", ["0" * 32, "AAAA", '"><script>'])
def test_a_picture_that_is_not_there_is_not_found(client_for, rider, streaming, picture):
    streaming.application(Picture=picture)
    assert client_for(rider).get("/apps/studio/picture/").status_code == 404


def test_the_catalogue_s_items_are_small_whatever_their_pictures_are(streaming):
    streaming.application(Picture=kept(noise()).picture_id)
    [item] = streaming.cloud.items("streaming_applications")
    assert len(str(item)) < 500
    assert Application(picture=item["Picture"]["S"]).picture == item["Picture"]["S"]
