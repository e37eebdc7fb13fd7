"""Pixels become what a person would see: legible on their ground, of their range, square."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl.errors import ImageError
from crispvl.inputs.decoding import Frames
from crispvl.inputs.images import open_image
from crispvl.inputs.ink import is_blank
from PIL import Image, ImageDraw, ImageFont
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

SIZE = (360, 160)


def letters(ground: Any, ink: Any, mode: str = "RGB", other: Any = None) -> Image.Image:
    """Returns a page with a line of text, and with another colour a second one."""
    image = Image.new(mode, SIZE, ground)
    draw = ImageDraw.Draw(image)
    draw.text((20, 20), "CORNER SHOP", fill=ink, font=ImageFont.load_default(32))
    draw.text((20, 90), "2 Coffee", fill=ink if other is None else other,
              font=ImageFont.load_default(32))  # fmt: skip
    return image


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def corner(image: Image.Image) -> Any:
    return image.getpixel((1, 1))


CLEAR = (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("ink", "other", "ground"),
    [
        ((0, 0, 0, 255), None, 255),
        ((200, 30, 30, 255), None, 255),
        ((0, 0, 0, 140), None, 255),
        ((255, 255, 255, 255), None, 0),
        ((255, 255, 200, 255), None, 0),
        ((255, 255, 0, 255), None, 0),
        ((255, 255, 255, 120), None, 0),
        ((255, 255, 255, 255), (0, 0, 0, 255), 128),
    ],
)
def test_letters_on_transparency_are_put_on_a_ground_that_shows_them(
    ink: Any, other: Any, ground: int
) -> None:
    for clear in (CLEAR, (255, 255, 255, 0)):
        image = open_image(encoded(letters(clear, ink, "RGBA", other)))
        assert corner(image) == (ground,) * 3
        assert not is_blank(image)


def test_light_letters_in_a_palette_or_keyed_colour_are_shown_as_well() -> None:
    palette = letters(0, 1, "P")
    palette.putpalette([255, 0, 0, 255, 255, 255])
    assert corner(open_image(encoded(palette, transparency=0))) == (0, 0, 0)
    grey = letters((0, 0), (255, 255), "LA")
    assert corner(open_image(grey)) == (0, 0, 0)


def test_a_card_on_transparency_stays_on_white() -> None:
    card = letters((255, 255, 255, 255), (0, 0, 0, 255), "RGBA")
    page = Image.new("RGBA", (400, 200), CLEAR)
    page.paste(card, (20, 20))
    assert corner(open_image(page)) == (255, 255, 255)


@pytest.mark.parametrize("alpha", [0, 1, 3])
def test_alpha_that_hides_everything_means_nothing(alpha: int) -> None:
    hidden = letters("white", "black")
    hidden.putalpha(alpha)
    shown = open_image(encoded(hidden))
    assert np.array_equal(np.asarray(shown), np.asarray(letters("white", "black")))


def test_what_is_transparent_and_blank_beneath_is_white() -> None:
    assert corner(open_image(Image.new("RGBA", SIZE, CLEAR))) == (255, 255, 255)


def wide(bits: int, dtype: Any = np.uint16) -> Any:
    """Returns a page whose white is the greatest value of a number of bits."""
    grey = np.asarray(letters("white", "black").convert("L")).astype(np.uint32)
    return ((grey * (2**bits - 1)) // 255).astype(dtype)


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["TIFF", "PNG"])
def test_values_of_any_depth_in_16_bits_are_scaled_by_their_range(bits: int, form: str) -> None:
    image = open_image(encoded(Image.fromarray(wide(bits)), form))
    assert image.getextrema() == ((0, 255),) * 3
    assert not is_blank(image)


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 12, 14, 16])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_of_any_depth_in_16_bits_are_scaled_as_well(bits: int, mode: str) -> None:
    pytest.importorskip("crispvl._core")
    samples = np.repeat(wide(bits)[..., None], len(mode), axis=2)
    if mode.endswith("A"):
        samples[..., -1] = 0xFFFF
    image = open_image(wide_png(samples, {"RGB": 2, "RGBA": 6, "LA": 4}[mode]))
    assert image.getextrema() == ((0, 255),) * 3
    assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)


def wide_png(samples: Any, kind: int) -> bytes:
    """A PNG of 16-bit samples, ``[height, width, n_samples]``, of one of PNG's colour types."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    height, width, _ = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = [(b"IHDR", header), (b"pHYs", struct.pack(">IIB", 7874, 7874, 1)),
             (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


HOT = [(3, 5), (80, 200), (80, 201)]
"""Rows and columns; the last two touch."""


def hot(samples: Any, value: Any = 0xFFFF) -> Any:
    """Returns samples of which some pixels are far brighter."""
    heated = samples.copy()
    for at in HOT:
        heated[at] = value
    return heated


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("form", ["TIFF", "PNG"])
def test_a_few_hot_pixels_do_not_set_the_range(bits: int, form: str) -> None:
    expected = np.asarray(open_image(encoded(Image.fromarray(wide(bits)), form)))
    found = np.asarray(open_image(encoded(Image.fromarray(hot(wide(bits))), form)))
    assert np.array_equal(found, hot(expected, 255))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_few_hot_pixels_of_colours_do_not_set_the_range(mode: str) -> None:
    kind = {"RGB": 2, "RGBA": 6, "LA": 4}[mode]
    samples = np.repeat(wide(12)[..., None], len(mode), axis=2)
    if mode.endswith("A"):
        samples[..., -1] = 0xFFFF
    expected, found = (open_image(wide_png(s, kind)) for s in (samples, hot(samples)))
    assert np.array_equal(np.asarray(found), hot(np.asarray(expected), 255))


@pytest.mark.parametrize("value", [255.0, 1e30, float("inf")])
def test_a_few_hot_pixels_of_floats_do_not_set_the_range(value: float) -> None:
    values = wide(8).astype(np.float32) / 255
    expected, found = (open_image(Image.fromarray(v)) for v in (values, hot(values, value)))
    assert np.array_equal(np.asarray(found), hot(np.asarray(expected), 255))


def test_bright_letters_on_a_dark_page_of_16_bits_set_the_range() -> None:
    page = np.full((1000, 1000), 300, np.uint16)
    page[500:506, 500] = 0xFFFF  # one stroke
    found = np.asarray(open_image(Image.fromarray(page)))
    assert found.max() == 255
    assert found.min() == 1


def test_a_bright_pixel_of_a_tiny_picture_sets_the_range() -> None:
    page = np.full((20, 20), 300, np.uint16)
    page[10, 10] = 0xFFFF
    found = np.asarray(open_image(Image.fromarray(page)))
    assert (found.min(), found.max()) == (1, 255)


def test_small_values_in_32_bits_are_not_taken_for_black() -> None:
    expected = letters("white", "black").convert("L")
    for image in (expected.convert("I"), Image.fromarray(wide(12, np.int32))):
        assert np.abs(np.asarray(open_image(image))[..., 0] - np.asarray(expected)).max() <= 1
    with pytest.raises(ImageError, match="expected grey values of 8 to 16 bits"):
        open_image(Image.fromarray(wide(20, np.int32)))


@pytest.mark.parametrize("white", [1, 255, 4095])
def test_a_portable_float_map_is_scaled_by_its_range(white: int) -> None:
    grey = np.asarray(letters("white", "black").convert("L"))
    rows = (grey[::-1] * (white / 255)).astype("<f4")
    data = b"Pf\n%d %d\n-1.0\n" % grey.shape[::-1] + rows.tobytes()
    assert np.abs(np.asarray(open_image(data))[..., 0].astype(int) - grey).max() <= 1


def test_the_range_that_a_tiff_tells_counts() -> None:
    tags = ImageFileDirectory_v2()
    tags[281] = 3000  # MaxSampleValue
    values = np.full((20, 20), 1500, np.uint16)
    assert corner(open_image(encoded(Image.fromarray(values), "TIFF", tiffinfo=tags)))[0] == 128
    tags[281] = 100  # less than what is there
    assert corner(open_image(encoded(Image.fromarray(values), "TIFF", tiffinfo=tags)))[0] == 93


def test_16_bits_of_a_tiff_whose_white_is_0_are_inverted() -> None:
    data = bytearray(encoded(Image.fromarray(wide(16)), "TIFF"))
    at = data.index(struct.pack("<HHI", 262, 3, 1))
    data[at + 8] = 0  # PhotometricInterpretation
    assert corner(open_image(bytes(data))) == (0, 0, 0)


@pytest.mark.parametrize("form", ["TIFF", "PNG", "JPEG", "BMP"])
@pytest.mark.parametrize(
    ("dpi", "size"),
    [((204, 98), (360, 333)), ((100, 200), (720, 160)), ((204, 196), (360, 167)),
     ((300, 300), SIZE), ((300, 301), SIZE), ((72, 720), SIZE)],
)  # fmt: skip
def test_pixels_are_made_square(form: str, dpi: tuple[int, int], size: tuple[int, int]) -> None:
    image = open_image(encoded(letters("white", "black"), form, dpi=dpi))
    assert image.size == size
    assert open_image(image).size == size  # once
    assert open_image(encoded(image, form, dpi=image.info["dpi"])).size == size


@pytest.mark.parametrize("n_frames", [1, 2])
@pytest.mark.parametrize(
    ("aspect", "size"), [(0, SIZE), (49, SIZE), (113, (720, 160)), (17, (360, 320))]
)
def test_pixels_of_a_gif_are_made_square(
    n_frames: int, aspect: int, size: tuple[int, int], tmp_path: Path
) -> None:
    more = [letters("black", "white")] * (n_frames - 1)
    data = bytearray(encoded(letters("white", "black"), "GIF", save_all=True, append_images=more))
    data[12] = aspect
    frames = Frames(bytes(data))
    assert [frames.load(i).size for i in range(n_frames)] == [size] * n_frames
    path = tmp_path / "page.gif"
    path.write_bytes(data)
    for source in (path, bytes(data), Image.open(path), Image.open(io.BytesIO(data))):
        image = open_image(source)
        assert image.size == size
        assert open_image(image).size == size  # once


def test_a_fax_of_one_bit_is_made_square() -> None:
    fax = letters("white", "black").convert("1")
    data = encoded(fax, "TIFF", dpi=(204, 98), compression="group4")
    assert open_image(data).size == (360, 333)


def test_an_aspect_without_a_unit_is_one() -> None:
    page = letters("white", "black")
    tags = {282: IFDRational(2), 283: IFDRational(1), 296: 1}
    assert open_image(encoded(page, "TIFF", tiffinfo=tags)).size == (360, 320)
    jpeg = bytearray(encoded(page, "JPEG", dpi=(2, 1)))
    jpeg[jpeg.index(b"JFIF") + 7] = 0  # the unit
    assert open_image(bytes(jpeg)).size == (360, 320)
    nonsense = {282: IFDRational(0, 0), 283: IFDRational(1), 296: 2}
    assert open_image(encoded(page, "TIFF", tiffinfo=nonsense)).size == SIZE


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_tells_the_resolution_where_nothing_else_does(form: str) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 200.0, 100.0, 2
    image = open_image(encoded(letters("white", "black"), form, exif=exif))
    assert image.size == (360, 320)
    assert open_image(image).size == (360, 320)  # once
    exif[0x011B] = IFDRational(0, 0)
    assert open_image(encoded(letters("white", "black"), form, exif=exif)).size == SIZE


def test_pixels_are_made_square_before_the_picture_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = open_image(encoded(letters("white", "black"), "JPEG", dpi=(200, 100), exif=exif))
    assert turned.size == (320, 360)
    assert open_image(turned).size == (320, 360)


def test_the_resolution_of_a_tiff_is_turned_with_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(letters("white", "black"), "TIFF", dpi=(200, 100), exif=exif)
    assert open_image(data).size == (320, 360)
    assert open_image(Image.open(io.BytesIO(data))).size == (320, 360)


def test_an_aspect_that_a_jpeg_tells_counts_more_than_a_square_resolution() -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 72.0, 72.0, 2
    data = bytearray(encoded(letters("white", "black"), "JPEG", exif=exif))
    at = data.index(b"JFIF\0") + 7
    data[at : at + 5] = struct.pack(">BHH", 0, 2, 1)
    assert open_image(bytes(data)).size == (360, 320)


def test_premultiplied_grey_is_read() -> None:
    image = letters("white", "black").convert("LA")
    assert open_image(image.convert("La")).tobytes() == open_image(image).tobytes()
