import io
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from documents.pictures import LONG_SIDE, MAX_PIXELS, checked
from documents.rendered import MAX_PICTURE_BYTES, NotAPicture, Picture

RED, GREEN, BLUE = (214, 40, 40), (40, 160, 60), (40, 60, 200)
SECRET = b"the-secret-of-this-picture"


def encoded(image: Image.Image, encoding: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, encoding, **options)
    return file.getvalue()


def flat(colour: Any = RED, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    bands = [Image.effect_noise(size, 90 + band) for band in range(len(mode))]
    return Image.merge(mode, bands)


def shown(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.data))
    image.load()
    assert image.size == (picture.width, picture.height)
    assert image.format == {"image/png": "PNG", "image/jpeg": "JPEG"}[picture.content_type]
    assert picture.ending == {"image/png": "png", "image/jpeg": "jpg"}[picture.content_type]
    return image


def is_near(colour: Any, other: Any, by: int = 8) -> bool:
    return all(abs(a - b) <= by for a, b in zip(colour[:3], other[:3], strict=True))


# --- What is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "ending", "colour"),
    [
        (encoded(flat(), "PNG"), "png", RED),
        (encoded(flat(), "JPEG", quality=95), "jpg", RED),
        (encoded(flat(), "JPEG", progressive=True), "jpg", RED),
        (encoded(flat(), "GIF"), "png", RED),
        (encoded(flat(), "WEBP", quality=95), "jpg", RED),
        (encoded(flat(), "WEBP", lossless=True), "png", RED),
        (encoded(flat().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"), "png", RED),
        (encoded(flat(200, mode="L"), "PNG"), "png", (200, 200, 200)),
        (encoded(flat(200, mode="L"), "JPEG"), "jpg", (200, 200, 200)),
        (encoded(flat(1, mode="1"), "PNG"), "png", (255, 255, 255)),
        (encoded(flat((200, 255), mode="LA"), "PNG"), "png", (200, 200, 200)),
        (encoded(flat(0xC8C8, mode="I;16"), "PNG"), "png", (200, 200, 200)),
        (encoded(flat((*RED, 255), mode="RGBA"), "PNG"), "png", RED),
        (encoded(flat((0, 200, 200, 40), mode="CMYK"), "JPEG", quality=95), "jpg", (215, 46, 46)),
    ],
    ids=[
        "png", "jpeg", "progressive jpeg", "gif", "webp", "lossless webp", "palette", "grey", "grey jpeg", "1 bit",
        "grey and alpha", "16 bits", "opaque alpha", "cmyk",
    ],
)  # fmt: skip
def test_every_kind_of_picture_is_taken_and_keeps_its_colour(data: bytes, ending: str, colour: Any) -> None:
    picture = checked(data)
    assert picture.ending == ending
    image = shown(picture)
    assert image.size == (40, 30)
    assert image.mode in ("RGB", "L")
    assert is_near(image.convert("RGB").getpixel((20, 15)), colour)


def test_what_has_no_loss_keeps_every_pixel() -> None:
    image = noise((64, 48))
    for data in (encoded(image, "PNG"), encoded(image, "WEBP", lossless=True)):
        assert shown(checked(data)).tobytes() == image.tobytes()


def test_what_shines_through_still_does() -> None:
    image = flat((*RED, 255), mode="RGBA")
    image.putpixel((3, 3), (*RED, 0))
    for data in (
        encoded(image, "PNG"),
        encoded(image, "WEBP", lossless=True),
        encoded(image.convert("P"), "PNG", transparency=0),
        encoded(image, "GIF"),
    ):
        picture = shown(checked(data))
        assert picture.mode == "RGBA"
        assert 0 in picture.getchannel("A").tobytes()


def test_one_pixel_is_a_picture() -> None:
    for encoding in ("PNG", "GIF", "WEBP", "JPEG"):
        assert shown(checked(encoded(flat(size=(1, 1)), encoding))).size == (1, 1)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((3000, 1500), (2400, 1200)), ((1500, 3000), (1200, 2400)), ((2400, 10), (2400, 10)), ((30_000, 2), (2400, 1))],
)
def test_a_large_picture_is_made_smaller(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    for encoding in ("PNG", "JPEG"):
        assert shown(checked(encoded(flat(size=size), encoding))).size == wanted


@pytest.mark.parametrize("encoding", ["GIF", "PNG", "WEBP"])
def test_of_a_moving_picture_the_first_frame_is_taken(encoding: str) -> None:
    data = encoded(flat(), encoding, save_all=True, append_images=[flat(GREEN), flat(BLUE)], duration=100)
    assert is_near(shown(checked(data)).convert("RGB").getpixel((5, 5)), RED)


def test_of_a_camera_s_several_pictures_the_first_is_taken() -> None:
    data = encoded(flat(), "MPO", save_all=True, append_images=[flat(GREEN)])
    picture = checked(data)
    assert picture.ending == "jpg"
    assert is_near(shown(picture).getpixel((5, 5)), RED)


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "corner"), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 0), (6, 1), (7, 2), (8, 3)])
def test_a_picture_that_lies_on_its_side_is_put_upright(encoding: str, orientation: int, corner: int) -> None:
    image = flat((255, 255, 255), (60, 40))
    image.paste(RED, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = shown(checked(encoded(image, encoding, exif=exif))).convert("RGB")
    assert picture.size == ((60, 40) if orientation < 5 else (40, 60))
    right, bottom = picture.width - 8, picture.height - 8
    corners = [picture.getpixel(at) for at in ((8, 8), (right, 8), (right, bottom), (8, bottom))]
    assert [is_near(colour, RED, 30) for colour in corners] == [number == corner for number in range(4)]


def test_colours_are_turned_into_those_of_screens() -> None:
    """A profile that says that red is green, and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    for encoding in ("PNG", "JPEG", "WEBP"):
        plain = shown(checked(encoded(flat((255, 0, 0)), encoding, icc_profile=profile))).getpixel((5, 5))
        turned = shown(checked(encoded(flat((255, 0, 0)), encoding, icc_profile=swapped))).getpixel((5, 5))
        assert is_near(plain, (255, 0, 0))
        assert is_near(turned, (0, 255, 0))


@pytest.mark.parametrize("profile", [b"no profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()])
def test_a_profile_that_is_none_is_left_out(profile: bytes) -> None:
    picture = checked(encoded(flat(), "PNG", icc_profile=profile))
    assert is_near(shown(picture).getpixel((5, 5)), RED)


# --- What does not come out -------------------------------------------------------------------------------------------


def _with_secrets() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()  # the description
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 36.0, 22.0), 29: SECRET.decode()})  # where it was taken
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_text("Compressed", SECRET.decode(), zip=True)
    text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    photo = encoded(flat(), "JPEG", exif=exif, comment=SECRET, xmp=SECRET, icc_profile=SECRET)
    return {
        "jpeg": photo,
        "png": encoded(flat(), "PNG", exif=exif, pnginfo=text, icc_profile=SECRET),
        "webp": encoded(flat(), "WEBP", exif=exif, xmp=SECRET, icc_profile=SECRET),
        "gif": encoded(flat(), "GIF", comment=SECRET),
        "behind it": photo + SECRET,
    }


@pytest.mark.parametrize("data", _with_secrets().values(), ids=_with_secrets())
def test_only_what_can_be_seen_comes_out(data: bytes) -> None:
    assert SECRET in data
    image = shown(checked(data))
    assert SECRET not in checked(data).data
    assert not image.getexif()
    assert not {"exif", "icc_profile", "comment", "xmp", "Comment", "XML:com.adobe.xmp"} & set(image.info)


@pytest.mark.parametrize(
    "other",
    [
        b"%PDF-1.7 /JS (app.alert(1))",
        b"<script>alert(1)</script>",
        b"<?php system($_GET[0]); ?>",
        b"PK\x03\x04evil.jar",
    ],
)
def test_nothing_is_left_of_a_picture_that_is_something_else_too(other: bytes) -> None:
    for encoding, options in (("PNG", {}), ("GIF", {"comment": other}), ("JPEG", {"comment": other}), ("WEBP", {})):
        assert other not in checked(encoded(flat(), encoding, **options) + other).data


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"RIFF\x04\x00\x00\x00WEBP",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"%PDF-1.7\n" + encoded(flat(), "PNG"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage",
        b"GIF89a=1;<script>alert(1)</script>//",
        *(encoded(flat(), encoding) for encoding in ("TIFF", "ICO", "BMP", "PPM", "PDF", "EPS", "TGA", "JPEG2000")),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(NotAPicture, match=r"PNG, JPEG, GIF or WebP|million pixels"):
        checked(data)


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "GIF", "WEBP"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_half_a_picture_is_refused_whatever_other_code_has_set(
    encoding: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(noise((80, 60)), encoding)
    # WeasyPrint does.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(NotAPicture):
        checked(data[: int(len(data) * part)])


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(NotAPicture, match=r"larger than 4 MB"):
        checked(b"\x89PNG\r\n\x1a\n" + bytes(MAX_PICTURE_BYTES))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, data: bytes = b"", *, extra: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", zlib.compress(data)) + _chunk(b"IEND", b"")


def _jpeg(width: int, height: int) -> bytes:
    data = bytearray(encoded(flat(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _webp(width: int, height: int) -> bytes:
    canvas = b"\x02\x00\x00\x00" + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    frame = b"\x00" * 6 + struct.pack("<I", 39)[:3] + struct.pack("<I", 29)[:3] + b"\x64\x00\x00\x00"
    frame += encoded(flat(), "WEBP")[12:]
    chunks = b"VP8X\x0a\x00\x00\x00" + canvas + b"ANIM\x06\x00\x00\x00" + bytes(6)
    chunks += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _gif(screen: int, frame: int) -> bytes:
    header = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0, 0, 0)
    return header + b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x08\x01\x00\x00;"


BOMBS = {
    "png": _png(50_000, 50_000, bytes(50_000)),
    "png, little over": _png(8_000, 5_001, bytes(1_001 * 5_001)),
    "png, as large as can be": _png(2**31 - 1, 2**31 - 1),
    "png with a text": _png(10, 10, bytes(30), extra=_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(80_000_000)))),
    "gif": _gif(65_535, 65_535),
    "gif in a small frame": _gif(1, 65_535),
    "jpeg": _jpeg(65_500, 65_500),
    "webp": _webp(16_383, 16_383),
    "webp, larger": _webp(50_000, 50_000),
}


def test_bombs_are_refused_at_once_in_little_memory() -> None:
    program = """if True:
        import resource, struct, sys, time
        from documents.pictures import checked
        from documents.rendered import NotAPicture
        resource.setrlimit(resource.RLIMIT_AS, (300_000_000, 300_000_000))
        for _ in range(int(sys.argv[1])):
            data = sys.stdin.buffer.read(struct.unpack(">I", sys.stdin.buffer.read(4))[0])
            began = time.perf_counter()
            try:
                picture = checked(data)
            except NotAPicture as error:
                print(error, end="|")
            else:
                print(picture.width, picture.height, end="|")
            assert time.perf_counter() - began < 1.5
    """
    data = b"".join(struct.pack(">I", len(bomb)) + bomb for bomb in BOMBS.values())
    command = [sys.executable, "-c", program, str(len(BOMBS))]
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
    answers = dict(zip(BOMBS, done.stdout.decode().split("|"), strict=False))
    assert answers.pop("png with a text") == "This is not a PNG, JPEG, GIF or WebP picture, or it is damaged."
    assert set(answers.values()) == {"This picture has more than 40 million pixels."}


def test_the_largest_picture_that_is_taken_is_taken() -> None:
    picture = checked(_png(8_000, MAX_PIXELS // 8_000, bytes(1_001 * 5_000)))
    assert (picture.width, picture.height) == (LONG_SIDE, 1_500)


# --- Whatever comes in ------------------------------------------------------------------------------------------------


def test_the_same_picture_gives_the_same_bytes() -> None:
    for encoding in ("PNG", "JPEG", "WEBP", "GIF"):
        data = encoded(noise((90, 70)), encoding)
        assert checked(data) == checked(data)


def test_what_comes_out_can_come_in_again() -> None:
    large = noise((1100, 1000), "RGBA")
    for data in (
        encoded(noise((200, 100)), "PNG"),
        encoded(flat(size=(3000, 2000)), "JPEG"),
        encoded(large.convert("RGB"), "WEBP", lossless=True, method=0),
        encoded(large, "WEBP", quality=60, method=0),
    ):
        assert len(data) <= MAX_PICTURE_BYTES
        once = checked(data)
        assert len(once.data) <= MAX_PICTURE_BYTES
        again = checked(once.data)
        assert (again.content_type, again.width, again.height) == (once.content_type, once.width, once.height)
        assert once.ending == "jpg" or again == once


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([encoded(noise((24, 16)), encoding) for encoding in ("PNG", "JPEG", "GIF", "WEBP")]),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=6)), max_size=6),
)
def test_damage_of_any_kind_gives_a_picture_or_a_refusal(data: bytes, damage: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(data)
    for at, new in damage:
        at %= len(damaged)
        damaged[at : at + len(new)] = new
    with suppress(NotAPicture):
        shown(checked(bytes(damaged)))
