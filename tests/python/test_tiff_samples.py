"""TIFF pages of wide samples, floats, planes and alpha become what a person would see."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crispvl.errors import ImageError
from crispvl.inputs.decoding import Frames
from crispvl.inputs.images import open_image
from crispvl.inputs.tiff import page_offsets
from crispvl.inputs.tiff_page import page_at
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .tiff_files import Tiff, document

GREY, RGB, CMYK = 1, 2, 5


def letters() -> NDArray[np.uint8]:
    """A grey page whose sides are no multiples of anything."""
    image = Image.new("L", (203, 71), 255)
    ImageDraw.Draw(image).text((9, 20), "2 Coffee", fill=0, font=ImageFont.load_default(32))
    return np.array(image)


PAGE = letters()
OPAQUE, INK = np.full_like(PAGE, 255), 255 - PAGE
NONE = np.zeros_like(PAGE)
RED = [PAGE, NONE, NONE]

KINDS: dict[str, tuple[Tiff, list[NDArray[np.uint8]], Any]] = {
    "grey": (Tiff(), [PAGE], [PAGE] * 3),
    "grey, white is 0": (Tiff(photometric=0), [INK], [PAGE] * 3),
    "grey, alpha": (Tiff(extra=(2,)), [NONE, INK], [PAGE] * 3),
    "grey, associated": (Tiff(extra=(1,)), [PAGE, OPAQUE], [PAGE] * 3),
    "grey, another": (Tiff(extra=(0,)), [PAGE, NONE], [PAGE] * 3),
    "RGB": (Tiff(photometric=RGB), RED, RED),
    "RGB, alpha": (Tiff(photometric=RGB, extra=(2,)), [*RED, OPAQUE], RED),
    "RGB, alpha second": (Tiff(photometric=RGB, extra=(0, 2)), [*RED, NONE, OPAQUE], RED),
    "RGB, associated": (Tiff(photometric=RGB, extra=(1,)), [NONE, NONE, NONE, INK], [PAGE] * 3),
    "CMYK": (Tiff(photometric=CMYK), [NONE, NONE, NONE, INK], [PAGE] * 3),
    "CMYK, alpha": (Tiff(photometric=CMYK, extra=(2,)), [NONE, NONE, NONE, OPAQUE, INK],
                    [PAGE] * 3),
}  # fmt: skip

FORMS = {
    "bytes": Tiff(),
    "strips": Tiff(rows=9),
    "tiles": Tiff(tile_px=32),
    "planes": Tiff(planar=True),
    "planes of strips": Tiff(planar=True, rows=16, deflate=True),
    "planes of tiles": Tiff(planar=True, tile_px=64),
    "deflated": Tiff(deflate=True, predictor=2),
    "deflated tiles": Tiff(deflate=True, predictor=2, tile_px=48),
}

TYPES: dict[str, Any] = {
    "uint8": lambda page: page,
    "uint16": lambda page: page * np.uint16(257),
    "uint32": lambda page: page * np.uint32(0x01010101),
    "10 bits": lambda page: (page * np.uint32(1023) // 255).astype(np.uint16),
    "12 bits": lambda page: (page * np.uint32(4095) // 255).astype(np.uint16),
    "int16": lambda page: (page * np.int32(32767) // 255).astype(np.int16),
    "float16": lambda page: (page / 255).astype(np.float16),
    "float32": lambda page: (page / 255).astype(np.float32),
    "float32 to 255": lambda page: page.astype(np.float32),
    "float64": lambda page: page / 255,
}


def merged(kind: Tiff, form: Tiff, order: str) -> Tiff:
    return replace(form, photometric=kind.photometric, extra=kind.extra, order=order)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_every_kind_are_shown(kind: str, form: str) -> None:
    told, planes, expected = KINDS[kind]
    for of, order in itertools.product(TYPES, "<>"):
        samples = np.stack([TYPES[of](plane) for plane in planes], axis=2)
        written = merged(told, FORMS[form], order)
        if written.predictor == 2 and samples.dtype.kind == "f":
            written = replace(written, predictor=3)
        image = np.asarray(open_image(written.encode(samples))).astype(int)
        assert np.abs(image - np.stack(expected, axis=2)).max() <= 1, (of, order)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("planar", [False, True])
def test_samples_may_be_packed_across_bytes(bits: int, planar: bool) -> None:
    white = 2**bits - 1
    samples = np.stack([PAGE.astype(np.uint32) * white // 255] * 3, axis=2)
    data = Tiff(photometric=RGB, packed_bits=bits, planar=planar).encode(samples)
    assert np.abs(np.asarray(open_image(data)).astype(int) - PAGE[..., None]).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_beside_one_that_pillow_refuses_are_read(order: str) -> None:
    plain = Tiff(order=order), np.full((30, 40, 1), 10, np.uint8)
    wide = Tiff(order=order, extra=(2,)), np.stack([PAGE, OPAQUE], axis=2) * np.uint16(257)
    for pages in ([plain, wide, plain], [wide, plain], [plain, plain, wide]):
        frames = Frames(document(pages))
        sizes = [frames.load(i).size for i in range(frames.n_frames)]
        assert sizes == [(203, 71) if page is wide else (40, 30) for page in pages]


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_plane_of_few_bits_is_grey(bits: int, photometric: int) -> None:
    levels = PAGE // (256 >> bits)
    values = levels if photometric else 2**bits - 1 - levels
    data = Tiff(photometric=photometric, packed_bits=bits, planar=True).encode(values[..., None])
    expected = levels * (255 // (2**bits - 1))
    assert np.array_equal(np.asarray(open_image(data))[..., 0], expected)


def test_orientation_and_resolution_count_as_elsewhere() -> None:
    samples = np.stack([PAGE, OPAQUE], axis=2) * np.uint16(257)
    data = Tiff(extra=(2,), tags=((274, 6),)).encode(samples)
    assert np.array_equal(np.asarray(open_image(data))[..., 0], np.rot90(PAGE, -1))


def test_a_stated_range_counts_in_every_sample() -> None:
    samples = np.full((20, 20, 3), 1500, np.uint16)
    data = Tiff(photometric=RGB, tags=((281, 3000),)).encode(samples)
    assert open_image(data).getpixel((3, 3)) == (128, 128, 128)


@pytest.mark.parametrize(
    "values",
    [np.full((9, 9, 1), np.nan, np.float32), np.full((9, 9, 1), 1e9, np.float32),
     np.full((9, 9, 1), -1, np.float64), np.full((9, 9, 1), 1 << 20, np.uint32),
     np.linspace(0, 1e-3, 81, dtype=np.float32).reshape(9, 9, 1)],
)  # fmt: skip
def test_values_of_no_known_range_are_refused(values: NDArray[Any]) -> None:
    with pytest.raises(ImageError, match="expected grey values of 8 to 16 bits"):
        open_image(Tiff().encode(values))


@pytest.mark.parametrize("form", FORMS)
def test_what_breaks_off_is_refused(form: str) -> None:
    samples = np.stack([PAGE] * 3, axis=2) * np.uint16(257)
    data = merged(Tiff(photometric=RGB), FORMS[form], "<").encode(samples)
    with pytest.raises(ImageError):
        open_image(data[: len(data) * 2 // 3])


def test_strips_that_are_all_the_same_bytes_take_no_memory() -> None:
    data = Tiff(photometric=RGB, rows=1).encode(np.zeros((5000, 1, 3), np.uint16))
    sizes = struct.pack("<5000I", *[6] * 5000)
    assert sizes in data
    with pytest.raises(ImageError, match="expected a TIFF with a size for each strip"):
        open_image(data.replace(sizes, struct.pack("<5000I", *[len(data)] * 5000)))


@pytest.mark.parametrize("form", FORMS)
def test_pixels_count_once_however_many_bytes_they_have(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = replace(FORMS[form], photometric=RGB, extra=(2,))
    data, wide = (kind.encode(np.full((80, 100, 4), 255, form)) for form in (np.uint8, np.uint16))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80 * 100 // 2)
    assert open_image(data).size == (100, 80)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80 * 100 // 2 - 1)
    for too_large in (data, wide):
        with pytest.raises(ImageError, match="pixels; found more"):
            open_image(too_large)


def test_samples_that_take_far_more_than_a_picture_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = Tiff(photometric=RGB, extra=(0,) * 13).encode(np.zeros((80, 100, 16), np.float64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80 * 100)
    with pytest.raises(ImageError, match="bytes; found more; scale"):
        open_image(data)


def test_directories_without_end_are_refused_or_end() -> None:
    entry = struct.pack("<HHII", 256, 4, 1, 5)
    directories = b"".join(
        struct.pack("<H", 1) + entry + struct.pack("<I", 8 + 18 * (i + 1)) for i in range(120_000)
    )
    with pytest.raises(ImageError, match=r"expected at most .* pictures"):
        Frames(b"II*\0" + struct.pack("<I", 8) + directories)
    data = bytearray(Tiff().encode(PAGE[..., None]))
    end = 10 + 12 * struct.unpack_from("<H", data, 8)[0]
    data[end : end + 4] = struct.pack("<I", 8)  # it leads back to itself
    assert Frames(bytes(data)).n_frames == 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", FORMS)
def test_a_big_tiff_is_read_in_both_orders(form: str, order: str) -> None:
    grey, rgb = PAGE[..., None], np.stack([PAGE, PAGE, NONE], axis=2)
    for samples, photometric in ((grey, GREY), (rgb, RGB)):
        for of in ("uint8", "uint16", "float32"):
            told = replace(FORMS[form], photometric=photometric, order=order, big=True)
            if told.predictor == 2 and of == "float32":
                told = replace(told, predictor=3)
            image = np.asarray(open_image(told.encode(TYPES[of](samples)))).astype(int)
            assert np.abs(image - samples).max() <= 1, of


def test_pages_of_a_big_tiff_are_found() -> None:
    plain = Tiff(order=">", big=True), np.full((30, 40, 1), 10, np.uint8)
    copy = Tiff(order=">", big=True, tags=((254, 1),)), np.full((15, 20, 1), 10, np.uint8)
    rgb = Tiff(order=">", big=True, photometric=RGB, rows=9), np.stack([PAGE] * 3, axis=2)
    frames = Frames(document([plain, copy, rgb, plain]))
    assert [frames.load(i).size for i in range(frames.n_frames)] == [(40, 30), (203, 71), (40, 30)]


@pytest.mark.parametrize("compression", ["raw", "group4", "tiff_lzw", "jpeg", "packbits"])
def test_each_page_of_a_tiff_is_decoded_without_the_others(compression: str) -> None:
    mode = "1" if compression == "group4" else "RGB"
    pages = [Image.fromarray(np.roll(PAGE, 7 * i, axis=1)).convert(mode) for i in range(20)]
    file = io.BytesIO()
    pages[0].save(
        file, "TIFF", save_all=True, append_images=pages[1:], compression=compression, dpi=(204, 98)
    )
    data, expected = file.getvalue(), []
    with Image.open(io.BytesIO(data)) as image:
        for i in range(20):
            image.seek(i)
            expected.append(open_image(image.copy()))
    offsets = page_offsets(data, "tiff")
    files = [page_at(data, offset, "tiff") for offset in offsets]
    assert all(len(each) < len(data) / 5 for each in files[1:])
    frames = Frames(data)
    for i in range(20):
        found = frames.load(i)
        assert np.array_equal(np.asarray(found), np.asarray(expected[i]))
        assert found.height > 2 * len(PAGE)  # the resolution has come with it
        assert "damaged" not in found.info


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("big", [False, True])
def test_pages_of_every_form_are_decoded_without_the_others(
    form: str, order: str, big: bool
) -> None:
    told = replace(FORMS[form], photometric=RGB, order=order, big=big)
    pages = [np.roll(np.stack([PAGE, NONE, INK], axis=2), 9 * i, axis=1) for i in range(8)]
    data = document([(told, page) for page in pages])
    frames = Frames(data)
    for i, offset in enumerate(page_offsets(data, "tiff")):
        assert i == 0 or len(page_at(data, offset, "tiff")) < len(data) / 3
        assert np.abs(np.asarray(frames.load(i)).astype(int) - pages[i]).max() <= 1


@pytest.mark.parametrize("size", [0, 1])
def test_a_page_whose_strips_have_wrong_sizes_is_read_as_pillow_does(size: int) -> None:
    pages = [Image.fromarray(np.roll(PAGE, 7 * i, axis=1)) for i in range(3)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    data = bytearray(file.getvalue())
    right = struct.pack("<HHII", 279, 4, 1, PAGE.size)
    assert data.count(right) == 3
    wrong = bytes(data).replace(right, struct.pack("<HHII", 279, 4, 1, size))
    for i in range(3):
        assert np.array_equal(np.asarray(Frames(wrong).load(i))[..., 0], np.asarray(pages[i]))


@pytest.mark.parametrize("form", ["strips", "tiles", "planes of tiles"])
def test_a_strip_or_tile_whose_size_is_told_too_small_is_whole(form: str) -> None:
    told = replace(FORMS[form], photometric=RGB)
    pages = [np.stack([PAGE, INK, PAGE], axis=2)] * 2
    data = document([(told, page) for page in pages])
    tag = 325 if told.tile_px else 279
    entry = data.rindex(struct.pack("<HH", tag, 4))
    n_pieces, at = struct.unpack_from("<II", data, entry + 4)
    assert n_pieces > 1
    (size,) = struct.unpack_from("<I", data, at)
    wrong = data[:at] + struct.pack("<I", size // 2) + data[at + 4 :]
    assert len(page_at(wrong, page_offsets(wrong, "tiff")[1], "tiff")) == len(data)
    if not told.planar:
        assert np.array_equal(np.asarray(Frames(wrong).load(1)), pages[1])


def test_a_big_tiff_may_be_packed_by_libtiff() -> None:
    file = io.BytesIO()
    page = Image.fromarray(PAGE)
    page.save(file, "TIFF", compression="tiff_lzw")
    with Image.open(file) as packed:
        (at,), (n_bytes,) = (packed.tag_v2[tag] for tag in (273, 279))  # type: ignore[attr-defined]
    strip = file.getvalue()[at : at + n_bytes]
    told = Tiff(order=">", big=True, coded=(5, strip))
    assert np.array_equal(np.asarray(open_image(told.encode(PAGE[..., None])))[..., 0], PAGE)


@pytest.mark.parametrize("order", ["<", ">"])
def test_damaged_numbers_of_a_big_tiff_are_refused(order: str) -> None:
    data = Tiff(order=order, big=True, rows=9).encode(PAGE[..., None])
    for at in range(8, 16 + 8 + 20 * 12, 4):
        for value in (b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4)):
            with contextlib.suppress(ImageError):
                Frames(data[:at] + value + data[at + 4 :]).load(0)
