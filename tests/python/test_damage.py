"""Damaged data of which a decoder makes a picture is read, and flagged."""

from __future__ import annotations

import contextlib
import io
import json
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from crispvl import CrispOCR
from crispvl.cli import main
from crispvl.errors import ImageError
from crispvl.inputs.damage import DAMAGED, damaged_from
from crispvl.inputs.decoding import Frames
from crispvl.inputs.sources import open_source
from PIL import Image, ImageDraw

from . import pdf_files
from .conftest import FakeModel


def written(size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A page with many strokes."""
    page = Image.new("RGB", size, "white")
    draw, numbers = ImageDraw.Draw(page), random.Random(0)
    for y in range(20, size[1] - 20, 14):
        for x in range(20, size[0] - 30, 10):
            draw.line((x, y, x + numbers.randrange(9), y + numbers.randrange(9)), "black", 2)
    return page


def group_4(page: Image.Image, rows: int, photometric: int = 1) -> bytes:
    file = io.BytesIO()
    tags = {262: photometric, 278: rows}
    page.convert("1").save(file, "TIFF", compression="group4", tiffinfo=tags)
    return file.getvalue()


def without(data: bytes, at: int, n_bytes: int = 30) -> bytes:
    return data[:at] + bytes(n_bytes) + data[at + n_bytes :]


def is_flagged(data: bytes) -> bool:
    return DAMAGED in Frames(data).load(0).info


@pytest.mark.parametrize("rows", [300, 64])
@pytest.mark.parametrize("photometric", [0, 1])
def test_a_page_of_group_4_is_flagged_where_its_codes_are_damaged(
    rows: int, photometric: int
) -> None:
    data = group_4(written(), rows, photometric)
    assert not is_flagged(data)
    assert not is_flagged(group_4(Image.new("1", (401, 300), 1), rows, photometric))
    with Image.open(io.BytesIO(data)) as image:
        at = image.tag_v2[273][-1] + 20  # type: ignore[attr-defined]
    assert is_flagged(without(data, at))


FAXES = [("tiff_ccitt", None), ("group3", 0), ("group3", 1), ("group3", 4), ("group3", 5)]


@pytest.mark.parametrize("fill_order", [1, 2])
@pytest.mark.parametrize("rows", [300, 64])
@pytest.mark.parametrize(("compression", "options"), FAXES)
def test_faxes_of_other_groups_are_flagged_as_well(
    compression: str, options: int | None, rows: int, fill_order: int
) -> None:
    pytest.importorskip("crispvl._core")
    for page in (written(), written((2700, 120)), Image.effect_noise((99, 80), 255)):
        data = fax(page, compression, options, rows, fill_order)
        assert not is_flagged(data)
    data = fax(written(), compression, options, rows, fill_order)
    with Image.open(io.BytesIO(data)) as image:
        at = image.tag_v2[273][-1] + 40  # type: ignore[attr-defined]
    assert is_flagged(without(data, at))


def fax(
    page: Image.Image, compression: str, options: int | None, rows: int = 300, fill_order: int = 1
) -> bytes:
    file = io.BytesIO()
    tags = {262: 0, 266: fill_order, 278: rows} | ({} if options is None else {292: options})
    page.convert("1").save(file, "TIFF", compression=compression, tiffinfo=tags)
    return file.getvalue()


def strip(data: bytes) -> bytes:
    """The only strip of a TIFF."""
    with Image.open(io.BytesIO(data)) as image:
        at, n_bytes = (image.tag_v2[tag][0] for tag in (273, 279))  # type: ignore[attr-defined]
    return data[at : at + n_bytes]


def jpeg(page: Image.Image) -> bytes:
    file = io.BytesIO()
    page.save(file, "JPEG")
    return file.getvalue()


def packed(page: Image.Image, compression: str, rows: int = 300) -> bytes:
    file = io.BytesIO()
    page.save(file, "TIFF", compression=compression, tiffinfo={278: rows})
    return file.getvalue()


def jbig2(page: Image.Image) -> bytes:
    """A page of one region, whose rows are coded as a fax (ITU-T T.88)."""
    whole = struct.pack(">4I", *page.size, 0, 0)
    parts = [
        (48, whole + bytes(3)),
        (38, whole + b"\0\1" + strip(group_4(page, page.height, 0))),
        (49, b""),
    ]
    return b"".join(
        struct.pack(">IBBBI", i, kind, 0, 1, len(part)) + part
        for i, (kind, part) in enumerate(parts)
    )


def jpeg_2000(page: Image.Image) -> bytes:
    file = io.BytesIO()
    page.save(file, "JPEG2000")
    return file.getvalue()


GREY = b"/ColorSpace/DeviceGray/BitsPerComponent "
PDF_IMAGES = {
    "JPEG": (jpeg(written()), b"/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode"),
    "Group 4": (strip(group_4(written(), 300, 0)),
                GREY + b"1/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns 400/Rows 300>>"),
    "Group 3": (strip(fax(written(), "group3", 0)),
                GREY + b"1/Filter/CCITTFaxDecode/DecodeParms<</K 0/Columns 400/Rows 300>>"),
    "Group 3, mixed": (strip(fax(written(), "group3", 1)),
                       GREY + b"1/Filter/CCITTFaxDecode/DecodeParms<</K 4/Columns 400/Rows 300>>"),
    "deflated": (zlib.compress(written().convert("L").tobytes()),
                 GREY + b"8/Filter/FlateDecode"),
    "LZW": (strip(packed(written().convert("L"), "tiff_lzw")), GREY + b"8/Filter/LZWDecode"),
    "runs": (strip(packed(written().convert("L"), "packbits")),
             GREY + b"8/Filter/RunLengthDecode"),
    "JBIG2": (jbig2(written()), GREY + b"1/Filter/JBIG2Decode"),
    "bytes": (written().convert("L").tobytes(), GREY + b"8"),
    "JPEG 2000": (jpeg_2000(written()), b"/Filter/JPXDecode"),
    "deflated JPEG": (zlib.compress(jpeg(written())),
                      b"/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter[/FlateDecode/DCTDecode]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PDF_IMAGES)
def test_a_page_of_a_pdf_is_flagged_where_an_image_on_it_is_damaged(kind: str) -> None:
    pytest.importorskip("crispvl._core")
    data, entries = PDF_IMAGES[kind]
    middle = len(data) // 2
    damaged = data[:middle] + data[middle + 40 :]
    for stream, expected in ((data, False), (damaged, True), (data[:40], True)):
        with open_source(pdf_files.page_of(stream, (400, 300), entries)) as source:
            (page,) = source.pages()
            assert (DAMAGED in page.load().info) == expected


def test_deflated_data_without_its_checksum_is_whole() -> None:
    data, entries = PDF_IMAGES["deflated"]
    with open_source(pdf_files.page_of(data[:-4], (400, 300), entries)) as source:
        (page,) = source.pages()
        assert DAMAGED not in page.load().info


def test_a_jpeg_whose_levels_leave_their_range_is_flagged() -> None:
    """Damage of valid codes shifts the levels of all that follows."""
    pytest.importorskip("crispvl._core")
    data = jpeg(Image.new("L", (64, 64), 200))
    assert not is_flagged(data)
    first_step = data.index(b"\xff\xdb") + 5
    assert is_flagged(data[:first_step] + b"\xff" + data[first_step + 1 :])


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_is_flagged_where_its_codes_are_damaged(progressive: bool, mode: str) -> None:
    pytest.importorskip("crispvl._core")
    for quality in (30, 95):
        file = io.BytesIO()
        page = written().convert(mode)
        page.save(file, "JPEG", quality=quality, progressive=progressive, optimize=progressive)
        data = file.getvalue()
        assert not is_flagged(data)
        at = len(data) // 2
        assert is_flagged(data[:at] + data[at + 40 :])
        assert is_flagged(data[:at] + b"\xff\xd0" + data[at + 2 :])
        assert not is_flagged(data[:-2])  # only the end marker is missing


def saved(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    written().convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def is_found(data: bytes) -> bool:
    try:
        return is_flagged(data)
    except ImageError:  # the decoder has found it
        return True


def scans(data: bytes) -> list[int]:
    """Where the scans of a JPEG begin; no other segment of Pillow's holds their mark."""
    return [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_progressive_jpeg_is_flagged_where_a_scan_is_missing(mode: str) -> None:
    pytest.importorskip("crispvl._core")
    data = saved(mode, quality=60, progressive=True)
    assert not is_flagged(data)
    places = scans(data)
    assert len(places) > 5
    for at, end in zip(places[1:], [*places[2:], len(data) - 2], strict=True):
        assert is_found(data[:at] + b"\xff\xd9"), "it ends before the scan"
        assert is_found(data[:at] + data[end:]), "the scan alone is missing"
        assert is_found(data[:at] + bytes(2) + data[at + 2 :]), "its mark is gone"


def test_a_jpeg_is_flagged_where_blocks_are_too_many_or_its_last_bits_are_none() -> None:
    pytest.importorskip("crispvl._core")
    data = saved("L", quality=75)
    empty = b"\x28\xa2\x8a"  # 4 times 00 1010: no change of the mean, and nothing else
    assert is_flagged(data[:-2] + empty + data[-2:])
    assert not is_flagged(data[:-2] + bytes(2) + data[-2:])  # as some cameras fill up
    assert not is_flagged(data[:-2] + b"\xff" + data[-2:])


def test_a_jpeg_is_flagged_where_white_is_lighter_than_white() -> None:
    """A mean that is too light shifts all means behind it."""
    pytest.importorskip("crispvl._core")
    page = Image.new("L", (16, 8), 240)
    page.paste(255, (8, 0, 16, 8))
    file = io.BytesIO()
    page.save(file, "JPEG", quality=75)
    data = file.getvalue()
    assert not is_flagged(data)
    at = scans(data)[0] + 10
    assert data[at : at + 2] == bytes([0b11110_111, 0b0000_1010])  # 7 bits: 112 steps of 8; the end
    assert is_flagged(data[: at + 1] + bytes([0b1000_1010]) + data[at + 2 :])  # 120; then 135


def test_a_table_of_steps_with_a_zero_is_damaged() -> None:
    pytest.importorskip("crispvl._core")
    data = saved("L")
    at = data.index(b"\xff\xdb") + 20
    assert is_flagged(data[:at] + b"\0" + data[at + 1 :])


@pytest.mark.parametrize("options", [
    {"quality": 1}, {"quality": 100, "subsampling": 0}, {"quality": 75, "subsampling": 1},
    {"restart_marker_blocks": 1}, {"restart_marker_rows": 2, "progressive": True},
    {"optimize": True}, {"quality": 100, "progressive": True},
])  # fmt: skip
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_whole_jpegs_are_not_flagged(mode: str, options: dict[str, object]) -> None:
    pytest.importorskip("crispvl._core")
    for page in (written(), Image.effect_noise((77, 51), 255), Image.new("L", (9, 17), 255)):
        file = io.BytesIO()
        page.convert(mode).save(file, "JPEG", **options)
        assert not is_flagged(file.getvalue())
        assert not is_flagged(file.getvalue() + b"trailing" * 9)


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_png_is_flagged_where_its_checksum_is_wrong(mode: str) -> None:
    file = io.BytesIO()
    written().convert(mode).save(file, "PNG")
    data = file.getvalue()
    assert not is_flagged(data)
    begin, n_read = data.index(b"IDAT") + 4, 0
    for at in range(begin, len(data) - 20, 7):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with contextlib.suppress(ImageError):
            assert is_flagged(bytes(damaged))
            n_read += 1
    assert n_read > 0
    assert not is_flagged(data[: data.index(b"IEND") - 4])


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_a_deflated_tiff_is_flagged_where_its_checksum_is_wrong(mode: str) -> None:
    file = io.BytesIO()
    written().convert(mode).save(file, "TIFF", compression="tiff_adobe_deflate")
    data = file.getvalue()
    assert not is_flagged(data)
    with Image.open(io.BytesIO(data)) as image:
        at, n_bytes = (image.tag_v2[tag][-1] for tag in (273, 279))  # type: ignore[attr-defined]
    for place in range(at + n_bytes // 2, at + n_bytes, 7):
        assert is_found(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


@pytest.mark.parametrize("rows", [300, 64])
@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "CMYK"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
def test_a_tiff_is_flagged_where_a_strip_holds_too_little_or_too_much(
    compression: str, mode: str, rows: int
) -> None:
    pytest.importorskip("crispvl._core")
    for page in (written((401, 300)), Image.effect_noise((97, 81), 255)):
        assert not is_flagged(packed(page.convert(mode), compression, rows))
    data = packed(written((401, 300)).convert(mode), compression, rows)
    with Image.open(io.BytesIO(data)) as image:
        places, sizes = (image.tag_v2[tag] for tag in (273, 279))  # type: ignore[attr-defined]
    at, end = places[-1], places[-1] + sizes[-1]
    n_found = sum(
        is_found(data[:place] + data[place + 9 : end] + data[place : place + 9] + data[end:])
        for place in range(at, end - 9, sizes[-1] // 20)
    )
    assert n_found >= 17


def gif(pages: list[Image.Image], **options: object) -> bytes:
    file = io.BytesIO()
    pages[0].save(file, "GIF", save_all=True, append_images=pages[1:], **options)
    return file.getvalue()


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
def test_a_gif_is_flagged_where_it_has_too_few_or_too_many_pixels(
    mode: str, interlace: int
) -> None:
    pytest.importorskip("crispvl._core")
    for page in (written(), Image.effect_noise((97, 81), 255), Image.new("L", (3000, 20), 255)):
        assert not is_flagged(gif([page.convert(mode)], interlace=interlace))
    data = gif([written().convert(mode)], interlace=interlace)
    places = range(len(data) // 3, len(data) - 20, len(data) // 30)
    n_found = sum(is_found(data[:at] + b"\x55" * 8 + data[at + 8 :]) for at in places)
    assert n_found >= len(places) - 1


def test_pages_of_a_gif_are_flagged_from_the_damage_on() -> None:
    pytest.importorskip("crispvl._core")
    page = written()
    pages = [page, page.rotate(90), page.rotate(180)]
    data = gif(pages, optimize=False)

    def flags(data: bytes) -> list[bool]:
        frames = Frames(data)
        found = []
        for i_frame in range(frames.n_frames):
            try:
                found.append(DAMAGED in frames.load(i_frame).info)
            except ImageError:  # the decoder has found it
                found.append(True)
        return found

    assert flags(data) == [False] * 3
    second = len(data) // 2
    assert flags(data[:second] + b"\x55" * 8 + data[second + 8 :]) == [False, True, True]
    assert flags(data[: len(data) * 3 // 4])[-2:] == [False, True], "it breaks off"
    assert flags(data[:-1]) == [False] * 3, "only its end mark is missing"


COMPLAINS = """
import sys
from PIL import Image
from crispvl.inputs.damage import DAMAGED, damaged_from
from crispvl.inputs.images import open_image
for source in (sys.argv[1], Image.open(sys.argv[1])):
    print(DAMAGED in open_image(source).info)
"""


def complained_of(data: bytes, folder: Path) -> tuple[str, str]:
    """What is said of a picture and of the same opened by Pillow, and what the terminal shows."""
    file = folder / "page.tif"
    file.write_bytes(data)
    command = [sys.executable, "-c", COMPLAINS, str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return found.stdout, found.stderr


def webp(page: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    page.save(file, "WEBP", **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [0, 30, 80, 100])
@pytest.mark.parametrize("method", [0, 4, 6])
def test_a_lossy_webp_is_flagged_where_its_codes_are_damaged(quality: int, method: int) -> None:
    pytest.importorskip("crispvl._core")
    clear = written().convert("RGBA")
    clear.putalpha(200)
    for page in (written(), clear, Image.effect_noise((70, 33), 90), Image.new("L", (9, 9), 255)):
        assert not is_flagged(webp(page, quality=quality, method=method))
    data = webp(written(), quality=quality, method=method)
    n_noticed = n_wrong = 0
    for tenth in range(2, 10):
        damaged = without(data, tenth * len(data) // 10 - 40)
        with contextlib.suppress(ImageError):  # what its decoder notices itself
            picture = Frames(damaged).load(0)
            n_wrong += 1
            n_noticed += DAMAGED in picture.info
    assert n_wrong > 0
    assert n_noticed >= n_wrong - 1  # what follows may be as long as what was there


def test_frames_of_a_webp_are_flagged_from_the_damaged_one_on() -> None:
    pytest.importorskip("crispvl._core")
    pages = [written((400, 300 + 2 * i)).resize((400, 300)) for i in range(3)]
    data = webp(pages[0], save_all=True, append_images=pages[1:], allow_mixed=False, kmax=0)
    second = data.index(b"ANMF", data.index(b"ANMF") + 4)
    assert damaged_from(data) is None
    assert damaged_from(without(data, second + 900)) == 1
    frames = Frames(data)
    assert not any(DAMAGED in frames.load(i).info for i in range(3))


def test_webp_files_without_a_loss_or_with_notes_are_whole() -> None:
    pytest.importorskip("crispvl._core")
    assert not is_flagged(webp(written(), lossless=True))
    assert not is_flagged(webp(written(), exif=b"Exif\0\0 and so on", xmp=b"<x/>"))
    assert not is_flagged(webp(written()) + b"and more")


def qoi(page: Image.Image) -> bytes:
    file = io.BytesIO()
    page.save(file, "QOI")
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_qoi_is_flagged_where_its_codes_do_not_end_with_its_pixels(mode: str) -> None:
    noise = Image.effect_noise((70, 33), 90).convert(mode)
    for page in (written(), noise, Image.new(mode, (200, 99), "white")):
        data = qoi(page)
        assert not is_flagged(data)
        assert not is_flagged(data + b"and more")
        assert is_flagged(data[:-8] + data[-9:])
        assert is_flagged(data[:-1])
    damaged = without(qoi(written()), 900)
    with contextlib.suppress(ImageError):  # too few pixels are refused
        assert is_flagged(damaged)


@pytest.mark.skipif(sys.platform == "win32", reason="Pillow holds libtiff within itself there")
def test_what_libtiff_prints_becomes_the_flag(tmp_path: Path) -> None:
    pytest.importorskip("crispvl._core")
    data = group_4(written(), 300)
    assert complained_of(data, tmp_path) == ("False\nFalse\n", "")
    with Image.open(io.BytesIO(data)) as image:
        at = image.tag_v2[273][0] + 60  # type: ignore[attr-defined]
    for n_bytes in (2, 30):
        assert complained_of(without(data, at, n_bytes), tmp_path) == ("True\nTrue\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Pillow holds libtiff within itself there")
def test_a_tag_that_libtiff_does_not_know_is_no_damage(tmp_path: Path) -> None:
    pytest.importorskip("crispvl._core")
    file = io.BytesIO()
    written().save(file, "TIFF", compression="tiff_lzw", tiffinfo={65000: "of our own"})
    assert complained_of(file.getvalue(), tmp_path) == ("False\nFalse\n", "")


def test_a_damaged_page_is_read_and_said_to_be_damaged(
    core: FakeModel, page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = tmp_path / "scan.tif"
    data = group_4(written(), 300)
    scan.write_bytes(without(data, data.index(b"\x26") + 300))
    document = CrispOCR(page).recognize(scan)
    assert document.text == "Hello"
    assert document.flags == document.pages[0].flags == ("damaged",)
    assert main(["recognize", "-m", str(page), str(scan), "--format", "jsonl"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["flags"] == ["damaged"]
    assert "page 1 is of damaged data" in told.err
