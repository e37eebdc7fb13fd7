"""Every kind of image becomes the RGB picture that a person would see; all else is refused."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl.errors import ImageError
from crispvl.inputs.images import check_readable, open_image
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 8, 7], [6, 5, 4], [0, 0, 0]]], "u1")


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(source: Any) -> Any:
    image = open_image(source)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_all_kinds_of_sources_give_the_same_pixels(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(RGB))
    path = tmp_path / "päge.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        sources = [
            str(path),
            path,
            data,
            bytearray(data),
            memoryview(data),
            file,
            io.BytesIO(data),
            Image.fromarray(RGB),
            RGB,
        ]
        for source in sources:
            assert np.array_equal(pixels(source), RGB), type(source)


def test_grey_arrays_are_spread_over_the_channels() -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    expected = np.stack([grey] * 3, axis=-1)
    assert np.array_equal(pixels(grey), expected)
    assert np.array_equal(pixels(grey[..., None]), expected)
    assert np.array_equal(pixels(grey[:, ::-1]), expected[:, ::-1])  # a view with strides


@pytest.mark.parametrize("alpha", [0, 255])
def test_transparency_is_composited_on_white(alpha: int) -> None:
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], alpha, np.uint8)])
    expected = RGB if alpha else np.full_like(RGB, 255)
    assert np.array_equal(pixels(rgba), expected)
    assert np.array_equal(pixels(encoded(Image.fromarray(rgba))), expected)


def test_transparent_palette_and_grey_and_keyed_colours_become_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    data = encoded(palette, transparency=0)
    assert pixels(data).tolist() == [[[255, 255, 255], [40, 50, 60]]]
    assert pixels(Image.new("LA", (1, 1), (0, 0))).tolist() == [[[255, 255, 255]]]
    keyed = encoded(Image.fromarray(RGB), transparency=(255, 0, 0))
    assert pixels(keyed)[0].tolist() == [[255, 255, 255], [0, 255, 0], [0, 0, 255]]


def test_half_transparent_black_on_white_is_grey() -> None:
    assert pixels(Image.new("RGBA", (1, 1), (0, 0, 0, 128))).tolist() == [[[127, 127, 127]]]


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bit_grey_is_scaled_not_clipped(mode: str) -> None:
    values = np.array([[0, 128, 129, 32768, 65535]], np.uint16 if mode == "I;16" else np.int32)
    image = Image.fromarray(values)
    assert image.mode == mode
    assert pixels(image)[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    if mode == "I;16":
        assert pixels(encoded(image))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV"])
def test_other_modes_are_converted(mode: str) -> None:
    assert pixels(Image.fromarray(RGB).convert(mode)).shape == RGB.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10)
    undo = {
        1: [],
        2: ["FLIP_LEFT_RIGHT"],
        3: ["ROTATE_180"],
        4: ["FLIP_TOP_BOTTOM"],
        5: ["TRANSPOSE"],
        6: ["ROTATE_90"],
        7: ["TRANSVERSE"],
        8: ["ROTATE_270"],
    }
    stored = upright
    for name in undo[orientation]:
        stored = stored.transpose(Image.Transpose[name])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(pixels(encoded(stored, exif=exif)), np.asarray(upright))


@pytest.mark.parametrize(
    "entry",
    [
        struct.pack("<HHII", 0x0128, 4, 1, 100_000),  # ResolutionUnit, a LONG out of its range
        struct.pack("<HHI4s", 0x011A, 2, 4, b"abc"),  # XResolution, as text
        struct.pack("<HHIf", 0x0100, 11, 1, 1.5),  # ImageWidth, as a float
    ],
)
def test_an_image_is_turned_whatever_else_its_exif_block_says(entry: bytes) -> None:
    orientation = struct.pack("<HHII", 0x0112, 3, 1, 6)
    entries = sorted([orientation, entry], key=lambda e: struct.unpack_from("<H", e))
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + b"".join(entries) + bytes(4)
    stored = Image.new("RGB", (4, 2))
    assert pixels(encoded(stored, "JPEG", exif=block)).shape == (4, 2, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_what_is_upright_is_not_turned_again(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    once = open_image(encoded(Image.new("RGB", (40, 20)), form, exif=exif))
    assert once.size == (20, 40)
    assert open_image(once).size == (20, 40)
    assert open_image(once.copy()).size == (20, 40)


def test_whatever_a_plugin_of_pillow_raises_while_it_decodes_is_an_image_error() -> None:
    class Lazy(Image.Image):
        def load(self) -> Any:
            raise struct.error("unpack requires a buffer of 4 bytes")

    image = Lazy()
    image._size, image._mode = (4, 2), "RGB"
    with pytest.raises(ImageError, match="unpack requires"):
        open_image(image)


def test_what_was_passed_in_stays_as_it_was() -> None:
    image = Image.new("RGBA", (2, 2), (1, 2, 3, 4))
    before = image.tobytes()
    open_image(image)
    assert (image.mode, image.tobytes()) == ("RGBA", before)


def test_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels(data)[0, 0].tolist() == [255, 0, 0]


def test_missing_file_is_a_plain_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"nowhere\.png.*expected an image file; found nothing there"
    ):
        open_image(tmp_path / "nowhere.png")


PNG = encoded(Image.effect_noise((64, 64), 90))
JPEG = encoded(Image.effect_noise((64, 64), 90), "JPEG")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found 0 bytes; check that it"),
        (b"plain text, no image at all", "bytes of another kind"),
        (b"%PDF-1.7 ...", "a PDF, whose pages"),
        (PNG[: len(PNG) // 2], "damaged"),
        (JPEG[: len(JPEG) // 2], "damaged"),
        (PNG[:1000] + bytes(100) + PNG[1100:], "damaged"),
    ],
)
def test_damaged_data_is_an_image_error(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=rf"^\[scan\] expected .*{message}"):
        open_image(data, "scan")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_only_its_end_marker_is_whole(progressive: bool) -> None:
    image = Image.effect_noise((61, 43), 90).convert("RGB")
    data = encoded(image, "JPEG", progressive=progressive)
    assert data.endswith(b"\xff\xd9")
    for n_lost in (1, 2):
        assert np.array_equal(pixels(data[:-n_lost]), pixels(data))
    for n_lost in (12, 40, 200):
        with pytest.raises(ImageError, match="damaged"):
            open_image(data[:-n_lost])


@pytest.mark.parametrize(
    ("photometric", "bits", "extra", "form", "message"),
    [(8, [16] * 4, 2, 1, r"a TIFF of CIELab with alpha, unsigned samples of 16\+16\+16\+16 bits"),
     (2, [5, 6, 5], None, 1, r"RGB, unsigned samples of 5\+6\+5 bits"),
     (2, [24] * 3, None, 3, r"RGB, floating-point samples of 24\+24\+24 bits")],
)  # fmt: skip
def test_a_tiff_that_cannot_be_read_is_described(
    photometric: int, bits: list[int], extra: int | None, form: int, message: str
) -> None:
    tags = ImageFileDirectory_v2()
    tags[256], tags[257], tags[258], tags[262] = 1, 1, tuple(bits), photometric
    tags[277], tags[339] = len(bits), (form,) * len(bits)
    if extra is not None:
        tags[338] = extra
    buffer = io.BytesIO(b"II*\0\x08\0\0\0")
    buffer.seek(8)
    tags.save(buffer)
    with pytest.raises(ImageError, match=message):
        open_image(buffer.getvalue())


@pytest.mark.parametrize("part", [0.1, 0.6, 0.95])
def test_a_tiff_whose_directory_was_cut_off_is_a_damaged_one(part: float) -> None:
    data = encoded(Image.effect_noise((64, 64), 90), "TIFF", compression="tiff_lzw")
    with pytest.raises(ImageError, match="found a damaged TIFF; save it"):
        open_image(data[: int(len(data) * part)])


def test_an_avif_that_was_cut_off_is_called_one() -> None:
    try:
        data = encoded(Image.effect_noise((64, 64), 90), "AVIF")
    except (KeyError, OSError):
        pytest.skip("this Pillow writes no AVIF")
    with pytest.raises(ImageError, match="an AVIF that is damaged"):
        open_image(data[: len(data) // 2])


def test_a_truncated_file_that_pillow_opened_is_an_image_error() -> None:
    with Image.open(io.BytesIO(PNG[: len(PNG) // 2])) as image, pytest.raises(ImageError):
        open_image(image)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(ImageError, match=r"^\[.*empty\.png\]"):
        open_image(path)
    with pytest.raises(ImageError, match="found a folder"):
        open_image(tmp_path)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    with pytest.raises(ImageError, match="pixels; found more"):
        open_image(data)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(PNG) - 1), st.binary(min_size=1, max_size=8))
def test_altered_bytes_give_an_image_or_an_image_error(position: int, garbage: bytes) -> None:
    for data in (PNG, JPEG):
        altered = data[:position] + garbage + data[position + len(garbage) :]
        with contextlib.suppress(ImageError):
            assert open_image(altered).mode == "RGB"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (RGB.astype(np.float32), TypeError),
        (RGB.astype(np.int64), TypeError),
        (RGB[0, 0], ValueError),
        (np.zeros((2, 2, 2), np.uint8), ValueError),
        (np.zeros((1, 2, 2, 3), np.uint8), ValueError),
        (np.zeros((0, 5, 3), np.uint8), ImageError),
        (Image.new("RGB", (0, 4)), ImageError),
        (Image.new("F", (2, 2), -5.0), ImageError),
        (None, TypeError),
        (3, TypeError),
        ([[1, 2], [3, 4]], TypeError),
        (io.StringIO("text"), TypeError),
    ],
)
def test_other_sources_are_refused(source: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^\[image\] expected .*; found .*; "):
        open_image(source)


@pytest.mark.parametrize("size", [(1, 1), (30000, 10), (10, 30000), (7, 50), (1, 5000)])
def test_shapes_in_which_nothing_can_be_read_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=rf"found {size[0]}×{size[1]} px"):
        check_readable(Image.new("RGB", size))


@pytest.mark.parametrize("size", [(8, 8), (1600, 8), (6000, 6000), (10, 2000)])
def test_shapes_that_may_hold_text_are_let_through(size: tuple[int, int]) -> None:
    check_readable(Image.new("RGB", size))


def test_a_decoder_without_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("L", (20, 20)).save(file, "PNG")

    def fail(*arguments: object) -> None:
        raise OSError("out of memory when reading image file")  # Pillow's words for a code of C

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(MemoryError):
        open_image(file.getvalue())
