"""Encoded images through the C API become the pixels that the Python package makes of them."""

from __future__ import annotations

import io
import struct
import zlib

import capi_library as capi
import numpy as np
import pytest
from capi_library import CapiError, LoadedModel
from crispvl.tiling import tile_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

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


def test_png_with_a_transparent_colour(model: LoadedModel) -> None:
    grey = noise("L").point(lambda value: value // 64 * 64)
    assert_same_tiles(model, encoded(grey, "PNG", transparency=64))
    assert_same_tiles(model, encoded(noise("P"), "PNG", transparency=3))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "PPM"])
def test_other_lossless_kinds(kind: str, model: LoadedModel) -> None:
    assert_same_tiles(model, encoded(noise("P" if kind == "GIF" else "RGB"), kind))


@pytest.mark.parametrize("orientation", range(10))
def test_exif_orientation_of_png(orientation: int, model: LoadedModel) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif[0x0112] = orientation
    assert_same_tiles(model, encoded(noise("RGB"), "PNG", exif=exif))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_is_upright_and_within_a_few_levels(orientation: int, model: LoadedModel) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    y, x = np.mgrid[0:43, 0:61]
    ramps = np.stack([x * 4, y * 5, 255 - x * 2], axis=-1).astype(np.uint8)
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        data = encoded(Image.fromarray(ramps), "JPEG", quality=95, exif=exif, **options)
        expected = tile_image(data, model.info.tile_px, model.info.max_tiles).astype(int)
        found = model.tile(data)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 6


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


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A grey PNG with any header over any compressed data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
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
