"""Encoded images through the C API become the pixels that the Python package makes of them."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import capi_library as capi
import numpy as np
import pytest
from capi_library import CapiError, LoadedModel
from crispvl.errors import ImageError
from crispvl.tiling import tile_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(mode: str, width: int = 61, height: int = 43) -> Image.Image:
    rng = np.random.default_rng(len(mode))
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 1 << 16, (height, width), dtype=np.uint16))
    rgba = Image.fromarray(rng.integers(0, 256, (height, width, 4), dtype=np.uint8))
    return rgba.convert("RGB").quantize(50) if mode == "P" else rgba.convert(mode)


def assert_same_tiles(model: LoadedModel, data: bytes) -> None:
    expected = tile_image(data, model.info.tile_px, model.info.max_tiles)
    np.testing.assert_array_equal(model.tile(data), expected)


@pytest.mark.parametrize("mode", MODES)
def test_png_of_every_mode(mode: str, model: LoadedModel) -> None:
    assert_same_tiles(model, encoded(noise(mode), "PNG"))


def test_png_with_a_transparent_colour_is_put_on_white(model: LoadedModel) -> None:
    grey = noise("L").point(lambda value: value // 64 * 64)
    for data in (
        encoded(grey, "PNG", transparency=64),
        encoded(noise("P"), "PNG", transparency=3),
    ):
        layer = Image.open(io.BytesIO(data)).convert("RGBA")
        page = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        expected = tile_image(page.convert("RGB"), model.info.tile_px, model.info.max_tiles)
        np.testing.assert_array_equal(model.tile(data), expected)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "PPM"])
def test_other_lossless_kinds(kind: str, model: LoadedModel) -> None:
    assert_same_tiles(model, encoded(noise("P" if kind == "GIF" else "RGB"), kind))


def letters(ink: tuple[int, ...], ground: tuple[int, ...]) -> Image.Image:
    image = Image.new("RGBA", (220, 60), ground)
    ImageDraw.Draw(image).text((9, 9), "2 Coffee", fill=ink, font=ImageFont.load_default(32))
    return image


@pytest.mark.parametrize("alpha", [255, 140, 40])
@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_letters_on_transparency_are_put_on_the_same_ground(
    level: int, alpha: int, model: LoadedModel
) -> None:
    for clear in ((0, 0, 0, 0), (255, 255, 255, 0)):
        image = letters((level, level, level, alpha), clear)
        assert_same_tiles(model, encoded(image, "PNG"))
        assert_same_tiles(model, encoded(image.convert("LA"), "PNG"))


def test_white_letters_on_transparency_are_legible(model: LoadedModel) -> None:
    tiles = model.tile(encoded(letters((255, 255, 255, 255), (0, 0, 0, 0)), "PNG"))
    assert (tiles.min(), tiles.max()) == (0, 255)


def test_alpha_that_hides_everything_means_nothing(model: LoadedModel) -> None:
    hidden = letters((0, 0, 0, 255), (255, 255, 255, 255))
    hidden.putalpha(0)
    assert_same_tiles(model, encoded(hidden, "PNG"))
    assert model.tile(encoded(hidden, "PNG")).min() == 0
    assert model.tile(encoded(Image.new("RGBA", (90, 60)), "PNG")).min() == 255


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_png_of_16_bits_is_scaled_by_its_range(bits: int, kind: int, model: LoadedModel) -> None:
    n_samples = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    values = np.random.default_rng(bits).integers(0, 1 << bits, (43, 61, n_samples))
    values[0, 0] = (1 << bits) - 1
    if kind in (4, 6):
        values[..., -1] = 0xFFFF
    assert_same_tiles(model, wide_png(values, kind))
    assert model.tile(wide_png(values, kind)).max() == 255


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("kind", [0, 2, 4, 6])
@pytest.mark.parametrize("stroke", [1, 2, 3])
def test_a_few_hot_pixels_do_not_set_the_range(
    bits: int, kind: int, stroke: int, model: LoadedModel
) -> None:
    n_samples = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    values = np.random.default_rng(bits).integers(0, 1 << bits, (240, 250, n_samples))
    values[0, 0] = values[-1, -stroke:] = 0xFFFF
    if kind in (4, 6):
        values[..., -1] = 0xFFFF
    assert_same_tiles(model, wide_png(values, kind))
    assert (np.median(model.tile(wide_png(values, kind))) > 100) == (stroke < 3)


def wide_png(values: np.ndarray, kind: int) -> bytes:
    """A PNG of 16-bit samples, ``[height, width, n_samples]``, of one of PNG's colour types."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, rows, 16, kind)


@pytest.mark.parametrize(
    "dpi", [(204, 98), (100, 200), (204, 196), (300, 300), (300, 301), (72, 720), (90, 61)]
)
def test_pixels_are_made_square(dpi: tuple[int, int], model: LoadedModel) -> None:
    image = noise("RGB", 120, 90)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "BMP"):
        assert_same_tiles(model, encoded(image, kind, dpi=dpi))
    assert_same_tiles(model, encoded(image, "PNG", dpi=dpi, exif=exif))
    assert_close_tiles(model, encoded(ramps(), "JPEG", dpi=dpi, quality=95, exif=exif))


@pytest.mark.parametrize("aspect", [0, 49, 113, 17, 241, 255])
def test_pixels_of_a_gif_are_made_square(aspect: int, model: LoadedModel) -> None:
    data = bytearray(encoded(noise("L"), "GIF"))
    data[12] = aspect
    assert_same_tiles(model, bytes(data))


def test_exif_tells_the_resolution_where_nothing_else_does(model: LoadedModel) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 200.0, 100.0, 2
    data = encoded(ramps(), "JPEG", quality=95, exif=exif)
    assert_close_tiles(model, data)
    assert tile_image(data).shape == tile_image(ramps().resize((61, 86))).shape
    assert_same_tiles(model, encoded(noise("RGB"), "PNG", exif=exif))
    unitless = bytearray(encoded(ramps(), "JPEG", quality=95, dpi=(1, 2)))
    unitless[unitless.index(b"JFIF") + 7] = 0
    assert_close_tiles(model, bytes(unitless))


def bmp(rows: bytes, width: int, height: int, masks: tuple[int, ...] = ()) -> bytes:
    """A BMP of 32 bits per pixel, of the oldest kind that may have masks of its channels."""
    bits = struct.pack(f"<{len(masks)}I", *masks)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 32, 3 if masks else 0, 0, 0, 0, 0, 0)
    begin = 14 + len(header) + len(bits)
    return b"BM" + struct.pack("<IHHI", begin + len(rows), 0, 0, begin) + header + bits + rows


def test_the_fourth_byte_of_a_bmp_without_a_mask_for_it_means_nothing(model: LoadedModel) -> None:
    rows = noise("RGBA").tobytes()
    assert_same_tiles(model, bmp(rows, 61, 43))
    assert_same_tiles(model, bmp(rows, 61, 43, (0xFF0000, 0xFF00, 0xFF)))


@pytest.mark.parametrize("options", [{}, {"transparency": 3}, {"background": 7}])
@pytest.mark.parametrize("local", [False, True])
def test_gif_whose_first_frame_leaves_some_of_its_screen_free(
    local: bool, options: dict[str, int], model: LoadedModel
) -> None:
    data = bytearray(encoded(noise("P"), "GIF", interlace=0, **options))
    data[6:10] = struct.pack("<HH", 90, 70)
    at = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 61, 43))
    data[at + 1 : at + 5] = struct.pack("<HH", 20, 10)
    if local:  # a table of two colours stays behind for the screen
        n_bytes = 6 << (data[10] & 7)
        table = data[13 : 13 + n_bytes]
        data[at + 9] |= 0x80 | (data[10] & 7)
        data[at + 10 : at + 10] = table
        data[13 : 13 + n_bytes] = bytes(range(6))
        data[10] &= ~7
    assert_same_tiles(model, bytes(data))


PLAIN = b" ".join(b"%d" % value for value in range(36))


@pytest.mark.parametrize(
    "data",
    [
        b"P1 4 3 # bits may touch\n0110 1\n0 0 1\t1 1 1 0",
        b"P2\n# a comment\n6 6\n35\n" + PLAIN,
        b"P2 6 6 300\n" + PLAIN,
        b"P3 4 3 40\n" + PLAIN,
        b"P3 4 3 1000 " + PLAIN + b" ",
        b"P4 61 3\n" + bytes(range(100, 124)),
        b"P5 6 6 15\n" + bytes(i % 16 for i in range(36)),
        b"P5 6 6 15\n" + bytes(range(36)),
        b"P5 6 3 65535\n" + bytes(range(100, 136)),
        b"P5 6 3 1000\n" + bytes(i % 2 * 99 + 2 for i in range(36)),
        b"P6 # before the sizes\n4 3 100\n" + bytes(range(36)),
        b"P6 2 3\r\n65535\n" + bytes(range(100, 136)),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_pnm_of_every_kind_and_depth(data: bytes, model: LoadedModel) -> None:
    assert_same_tiles(model, data)


@pytest.mark.parametrize(
    "data",
    [
        b"P2 6 6 30\n" + PLAIN,
        b"P2 6 6 35\n" + PLAIN[:-3],
        b"P2 6 6 35\n" + PLAIN.replace(b"7", b"x"),
        b"P1 4 1 0 1 2 0",
        b"P4 61 3\n" + bytes(23),
        b"P5 6 6 65535\n" + bytes(71),
        b"P5 6 6 0\n" + bytes(36),
        b"P5 6 6 65536\n" + bytes(72),
        b"P5 6",
        b"P6 1000000000 1000000000 255\n",
    ],
    ids=lambda data: repr(data[:14]),
)
def test_damaged_pnm_is_refused_as_in_python(data: bytes, model: LoadedModel) -> None:
    with pytest.raises(ImageError):
        tile_image(data, model.info.tile_px, model.info.max_tiles)
    with pytest.raises(CapiError) as raised:
        model.tile(data)
    assert raised.value.status == capi.IMAGE


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("GIF", {})]
)
def test_what_breaks_off_is_refused_and_not_made_up(
    kind: str, options: dict[str, bool], share: float, model: LoadedModel
) -> None:
    image = noise("P" if kind == "GIF" else "RGB", 120, 90)
    data = encoded(image, kind, **options)
    with pytest.raises(CapiError, match="breaks off") as raised:
        model.tile(data[: int(len(data) * share)])
    assert raised.value.status == capi.IMAGE


def test_a_preview_within_a_jpeg_does_not_end_it(model: LoadedModel) -> None:
    preview = encoded(noise("RGB"), "JPEG")
    data = encoded(noise("RGB", 120, 90), "JPEG")
    whole = data[:2] + struct.pack(">HH", 0xFFE5, len(preview) + 2) + preview + data[2:]
    assert model.tile(whole).shape == model.tile(data).shape
    with pytest.raises(CapiError, match="breaks off"):
        model.tile(whole[:-2])


@pytest.mark.parametrize("orientation", range(10))
def test_exif_orientation_of_png(orientation: int, model: LoadedModel) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif[0x0112] = orientation
    assert_same_tiles(model, encoded(noise("RGB"), "PNG", exif=exif))


def assert_close_tiles(model: LoadedModel, data: bytes) -> None:
    expected = tile_image(data, model.info.tile_px, model.info.max_tiles).astype(int)
    found = model.tile(data)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 6


def ramps() -> Image.Image:
    y, x = np.mgrid[0:43, 0:61]
    return Image.fromarray(np.stack([x * 4, y * 5, 255 - x * 2], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_is_upright_and_within_a_few_levels(orientation: int, model: LoadedModel) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        assert_close_tiles(model, encoded(ramps(), "JPEG", quality=95, exif=exif, **options))


def test_fill_bytes_before_a_segment_do_not_hide_it(model: LoadedModel) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(ramps(), "JPEG", quality=95, exif=exif)
    at = data.index(b"\xff\xe1")
    assert_close_tiles(model, data[:at] + b"\xff\xff" + data[at:])


def test_what_is_no_image_is_refused(model: LoadedModel) -> None:
    for data, message in (
        (b"x", "another kind"),
        (b"%PDF-1.7 ...", "a PDF"),
        (encoded(noise("RGB"), "PNG")[:200], "damaged"),
        (encoded(noise("RGB"), "JPEG")[:100], "another kind"),
        (encoded(noise("RGB"), "TIFF"), "another kind"),
        (encoded(noise("RGB"), "BMP")[:-70], "breaks off"),
        (encoded(noise("RGB"), "PPM")[:-1], "damaged"),
    ):
        with pytest.raises(CapiError, match=message) as raised:
            model.tile(data)
        assert raised.value.status == capi.IMAGE
    for path, status in (("/nowhere.png", capi.NOT_FOUND), ("/", capi.IMAGE)):
        with pytest.raises(CapiError) as raised:
            model.tile(path)
        assert raised.value.status == status


def png(width: int, height: int, pixels: bytes, bits: int = 8, kind: int = 0) -> bytes:
    """A PNG with any header over any compressed data, grey if no other colour type is given."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def test_bombs_are_refused_before_they_go_off(model: LoadedModel) -> None:
    with pytest.raises(CapiError, match="178956970 pixels"):
        model.tile(png(20000, 20000, b""))
    with pytest.raises(CapiError, match="damaged") as raised:
        model.tile(png(16, 16, bytes(1 << 28)))  # 256 MiB behind a header of 16×16
    assert raised.value.status == capi.IMAGE


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "PPM"]), data=st.data())
def test_damaged_files_give_pixels_or_an_image_error(
    kind: str, data: st.DataObject, model: LoadedModel
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if kind in ("PNG", "JPEG") else {}
    whole = bytearray(encoded(noise("P" if kind == "GIF" else "RGB", 19, 11), kind, **options))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    statuses = [capi.IMAGE]
    try:
        model.tile(bytes(whole[:cut]))
    except CapiError as error:
        statuses.append(error.status)
    assert set(statuses) == {capi.IMAGE}


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="no file here fails to be read")
def test_a_file_that_cannot_be_read_to_its_end_is_an_image_error(model: LoadedModel) -> None:
    with pytest.raises(CapiError, match="could not after 0 bytes") as raised:
        model.recognize("/proc/self/mem")  # its first page is never mapped: EIO
    assert raised.value.status == capi.IMAGE


def test_a_jpeg_whose_data_is_damaged_is_refused_or_flagged(model: LoadedModel) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=60)
    assert model.recognize(data, max_tokens=1).info.damaged == 0
    n_read = 0
    for at in range(len(data) // 3, len(data) - 100, 97):
        for damaged in (
            data[:at] + data[at + 40 :],
            data[:at] + b"\xff\xd0" + data[at + 2 :],
            data[:at] + bytes(30) + data[at + 30 :],
        ):
            with contextlib.suppress(CapiError):  # stb_image gives some of them up
                n_read += model.recognize(damaged, max_tokens=1).info.damaged
    assert n_read > 0


@pytest.mark.parametrize("kind", [b"IDAT", b"IHDR"])
def test_a_png_whose_checksum_is_wrong_is_flagged(kind: bytes, model: LoadedModel) -> None:
    data = encoded(noise("RGB"), "PNG")
    assert model.recognize(data, max_tokens=1).info.damaged == 0
    at = data.index(kind)
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    damaged = data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]
    assert model.recognize(damaged, max_tokens=1).info.damaged == 1


def test_a_gif_with_too_many_pixels_is_flagged(model: LoadedModel) -> None:
    data = encoded(noise("L"), "GIF")
    assert model.recognize(data, max_tokens=1).info.damaged == 0
    *_, at = (
        i for i in range(len(data)) if data[i : i + 1] == b"," and data[i + 1 : i + 5] == bytes(4)
    )
    lower = data[: at + 7] + bytes([data[at + 7] - 1]) + data[at + 8 :]
    assert model.recognize(lower, max_tokens=1).info.damaged == 1


def test_what_only_tells_about_a_png_may_be_damaged(model: LoadedModel) -> None:
    data = encoded(noise("RGB"), "PNG", dpi=(100, 100))
    end = data.index(b"pHYs") + 4 + 9
    damaged = data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]
    assert model.recognize(damaged, max_tokens=1).info.damaged == 0
