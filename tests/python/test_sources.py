"""Documents of every kind become pages in order, loaded one at a time; all else is refused."""

from __future__ import annotations

import base64
import http.server
import io
import os
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import numpy as np
import pytest
from crispvl.errors import DocumentError, ImageError, PasswordError
from crispvl.inputs import pdf, urls
from crispvl.inputs.data_uri import data_uri_name, unescape
from crispvl.inputs.images import open_image
from crispvl.inputs.sources import expand, open_source
from crispvl.inputs.suffixes import SUFFIXES
from crispvl.options import InputOptions, ReadOptions
from crispvl.options.page_ranges import select_pages
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from . import pdf_files

GREYS = [10, 90, 170, 250]
PICTURES = [Image.new("L", (40, 20 + grey), grey) for grey in GREYS]
PDF = pdf_files.pdf(PICTURES)
WRITTEN = {
    "AVIF": "avif", "BMP": "bmp", "GIF": "gif", "JPEG": "jif", "JPEG2000": "jp2", "MSP": "msp",
    "PCX": "pcx", "PNG": "png", "PPM": "pfm",
    "QOI": "qoi", "SGI": "sgi", "TGA": "tga", "TIFF": "tif", "WEBP": "webp",
}  # fmt: skip
"""What Pillow writes and reads of the kinds of pages, with a suffix of each."""


def greys(document: Any, **options: Any) -> list[int]:
    """Returns the colour of each page's centre."""
    chosen = InputOptions(**options)
    with open_source(document, chosen) as source:
        pages = [page.load() for page in source.pages(chosen.pages)]
    assert all(page.mode == "RGB" for page in pages)
    return [page.getpixel((page.width // 2, page.height // 2))[0] for page in pages]


def sizes(document: Any, **options: Any) -> list[tuple[int, int]]:
    with open_source(document, InputOptions(**options)) as source:
        return [page.load().size for page in source.pages()]


def animated(form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (40, 30), (grey, grey, grey)) for grey in GREYS]
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def test_every_page_of_a_pdf_is_rendered_in_order(tmp_path: Path) -> None:
    path = tmp_path / "päge.pdf"
    path.write_bytes(PDF)
    for document in (path, str(path), PDF, io.BytesIO(PDF)):
        assert greys(document) == GREYS
    with open_source(path) as source:
        assert (source.name, source.n_pages) == (str(path), 4)
        assert [page.name for page in source.pages("2")] == [f"{path}, page 2"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("data", [PDF, animated("TIFF")], ids=["PDF", "TIFF"])
def test_a_pipe_is_read_once(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,), daemon=True)
    writer.start()
    with open_source(path) as source:
        assert (source.name, source.n_pages) == (str(path), len(GREYS))
        assert [page.load().getpixel((9, 9))[0] for page in source.pages()] == GREYS


def test_dpi_sets_the_size_of_a_rendered_page_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_source(PDF, InputOptions(dpi=144)) as source:
        assert next(source.pages()).load().size == (80, 60)
        monkeypatch.setattr(pdf, "MAX_PAGE_PIXELS", 300)
        assert next(source.pages()).load().size == (20, 15)


@pytest.mark.parametrize(
    "mark",
    [
        b"%PDF 1.3",
        b"%PDF1.3",
        b"%PDF-",
        b"\n\nHTTP/1.1\r\n\r\n%PDF-1.4",
        b"BM\n%PDF-1.4",
        b"P5 %PDF-1.4",
    ],
)
def test_a_pdf_may_begin_as_pdfium_takes_it(mark: bytes, tmp_path: Path) -> None:
    data = PDF.replace(b"%PDF-1.4", mark, 1)
    (tmp_path / "scan").write_bytes(data)
    assert greys(data) == greys(tmp_path / "scan") == GREYS


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "GIF", "WEBP"])
def test_an_image_that_mentions_pdf_is_an_image(form: str) -> None:
    buffer = io.BytesIO()
    told: dict[str, Any] = {"comment": "%PDF-1.4"}
    if form == "PNG":
        told = {"pnginfo": PngInfo()}
        told["pnginfo"].add_text("Comment", "%PDF-1.4")
    elif form == "TIFF":
        told = {"tiffinfo": {270: "%PDF-1.4"}}
    elif form == "WEBP":
        told = {"icc_profile": b"%PDF-1.4"}
    PICTURES[0].convert("RGB").save(buffer, form, **told)
    assert b"%PDF-" in buffer.getvalue()[:1024]
    assert abs(greys(buffer.getvalue())[0] - GREYS[0]) < 4


def test_an_image_of_a_kind_without_a_mark_that_mentions_pdf_is_an_image(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PICTURES[0].convert("RGB").save(buffer, "TGA", id_section=b"%PDF-1.4")
    assert b"%PDF-" in buffer.getvalue()[:1024]
    (tmp_path / "scan").write_bytes(buffer.getvalue())
    for source in (buffer.getvalue(), tmp_path / "scan"):
        assert abs(greys(source)[0] - GREYS[0]) < 4


def test_a_scan_is_drawn_at_its_own_resolution_whatever_the_size_of_its_page() -> None:
    scan = Image.new("L", (400, 200), 255)
    assert sizes(pdf_files.one_page(scan, (20, 10))) == [(400, 200)]
    assert sizes(pdf_files.one_page(scan, (20, 10)), dpi=36) == [(400, 200)]
    assert sizes(pdf_files.one_page(scan, (360, 180))) == [(1000, 500)]


def test_strips_fill_a_page_together_and_a_small_picture_does_not() -> None:
    strips = b"q 20 0 0 5 0 0 cm /I Do Q q 20 0 0 5 0 5 cm /I Do Q"
    strip = Image.new("L", (400, 100), 9)
    assert sizes(pdf_files.one_page(strip, (20, 10), strips)) == [(400, 200)]
    assert sizes(pdf_files.one_page(strip, (36, 18), b"q 2 0 0 2 0 0 cm /I Do Q")) == [(100, 50)]


def test_images_within_forms_count_by_where_the_forms_put_them() -> None:
    scan = Image.new("L", (400, 200), 9)
    assert sizes(pdf_files.one_page(scan, (20, 10), in_form=True)) == [(400, 200)]


def test_images_of_patterns_that_fill_a_page_count_as_well() -> None:
    scan, all_of_it = Image.new("L", (400, 200), 90), b"0 0 20 10 re f"
    assert sizes(pdf_files.patterned(scan, (20, 10), all_of_it), dpi=72) == [(400, 200)]
    stroked = b"0.75 g " + all_of_it + b" 1 w 0 0 20 10 re S"  # plain grey, like the stand-in
    assert sizes(pdf_files.one_page(scan, (20, 10), stroked), dpi=72) == [(20, 10)]
    corner = pdf_files.patterned(scan, (20, 10), b"0 0 5 5 re f")
    assert sizes(corner, dpi=72) == [(20, 10)]
    halves = pdf_files.patterned(scan, (20, 10), b"0 0 10 10 re f 10 0 10 10 re f")
    assert sizes(halves, dpi=72) == [(400, 200)]
    enlarged = pdf_files.patterned(scan, (20, 10), b"0 0 10 5 re f", in_form=True)
    assert sizes(enlarged, dpi=72) == [(200, 100)]


@pytest.mark.parametrize("packed", [False, True])
def test_the_user_unit_of_a_page_is_applied(packed: bool) -> None:
    dot = Image.new("L", (1, 1), 255)
    for entry, size in [
        (b"/UserUnit 2.5", (250, 125)),
        (b"/UserUnit .1", (100, 50)),
        (b"", (100, 50)),
    ]:
        data = pdf_files.one_page(dot, (72, 36), b"", entries=entry, packed=packed)
        assert sizes(data, dpi=100) == [size]


def test_a_user_unit_that_is_an_object_of_its_own_is_applied() -> None:
    dot = Image.new("L", (1, 1), 255)
    data = pdf_files.one_page(dot, (72, 36), b"", entries=b"/UserUnit 7 0 R")
    data = data.replace(b"xref\n", b"7 0 obj\n2.5\nendobj\nxref\n", 1)  # PDFium looks for it
    data = data[: data.index(b"xref\n")] + b"trailer\n<</Size 8/Root 1 0 R>>\n%%EOF\n"
    assert sizes(data, dpi=100) == [(250, 125)]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [("1-3,7,10-", [1, 2, 3, 7, 10, 11, 12]), ("-2", [1, 2]), ("12", [12]), ("3,1-2,2", [1, 2, 3]),
     (" 1 - 2 , 11-99 ", [1, 2, 11, 12]), (None, list(range(1, 13)))],
)  # fmt: skip
def test_page_ranges_are_read_as_people_write_them(ranges: str | None, expected: list[int]) -> None:
    assert select_pages(ranges, 12) == expected


@pytest.mark.parametrize("ranges", ["", "0", "3-1", "a", "1 2", "1,,2", "1-2-3", "-", "13", "²"])
def test_wrong_page_ranges_are_refused(ranges: str) -> None:
    with pytest.raises(ValueError, match=r"\[pages\]"):
        select_pages(ranges, 12)


@given(st.sets(st.integers(1, 30), min_size=1))
def test_any_set_of_pages_can_be_written(numbers: set[int]) -> None:
    assert select_pages(",".join(map(str, numbers)), 30) == sorted(numbers)


def test_options_are_checked_when_they_are_made() -> None:
    for wrong in ({"dpi": 5}, {"pages": "x"}, {"max_tokens": 0}):
        with pytest.raises(ValueError, match="expected"):
            ReadOptions(**wrong)
    for wrong in ({"password": 5}, {"pages": 3}, {"allow_urls": 1}):
        with pytest.raises(TypeError):
            ReadOptions(**wrong)


def test_only_the_pages_asked_for_are_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[int] = []
    render = pdf.PdfFile.render

    def count(self: pdf.PdfFile, number: int, dpi: int) -> Image.Image:
        rendered.append(number)
        return render(self, number, dpi)

    monkeypatch.setattr(pdf.PdfFile, "render", count)
    with open_source(PDF) as source:
        pages = source.pages("2-")
        next(pages).load()
        assert rendered == [2]
        next(pages)
        assert rendered == [2]  # a page is loaded when asked for, not when passed by


def test_pages_may_be_rendered_from_many_threads() -> None:
    results: list[list[int]] = []
    threads = [threading.Thread(target=lambda: results.append(greys(PDF))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [GREYS] * 8


def test_an_encrypted_pdf_wants_its_password() -> None:
    blank = pdf_files.pdf([], None)
    with pytest.raises(DocumentError, match="expected"):
        open_source(blank)
    secret = pdf_files.pdf([Image.new("L", (30, 30), 255)], password="pässword"[1:])
    for password, found in [(None, "password; found none"), ("wrong", "password; found another")]:
        with pytest.raises(PasswordError, match=found):
            open_source(secret, InputOptions(password=password))


def test_an_encrypted_pdf_opens_with_its_password() -> None:
    secret = pdf_files.pdf([Image.new("L", (30, 30), 255)], password="open sesame")
    with open_source(secret, InputOptions(password="open sesame")) as source:
        assert source.n_pages == 1


def test_a_corrupt_pdf_is_refused_and_a_corrupt_page_is_one_page() -> None:
    with pytest.raises(DocumentError, match="expected a complete PDF"):
        open_source(b"%PDF-1.4\nnothing of the kind")
    damaged = pdf_files.pdf([PICTURES[0], None, PICTURES[2]])
    with open_source(damaged) as source:
        first, second, third = source.pages()
        assert first.load().getpixel((1, 1)) == (10, 10, 10)
        with pytest.raises(DocumentError, match="page 2\\] expected a page that can be drawn"):
            second.load()
        assert third.load().getpixel((1, 1)) == (170, 170, 170)


@pytest.mark.parametrize(
    "data", [animated("TIFF"), animated("GIF"), animated("WEBP", lossless=True)]
)
def test_frames_of_a_file_are_pages(data: bytes) -> None:
    assert greys(data) == GREYS
    assert greys(data, pages="3,2") == GREYS[1:3]


def tiff_of_kinds(*kinds: tuple[int, int]) -> bytes:
    """Returns a TIFF with a picture of another grey for each pair of a tag and its value."""
    frames = []
    for grey, (tag, value) in zip(GREYS, kinds, strict=False):
        frame = Image.new("L", (40, 30), grey)
        frame.encoderinfo = {"tiffinfo": {tag: value}}
        frames.append(frame)
    buffer = io.BytesIO()
    first = frames[0].encoderinfo["tiffinfo"]
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:], tiffinfo=first)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([(254, 0), (254, 1), (254, 1)], GREYS[:1]),  # a pyramid
        ([(254, 0), (254, 1), (254, 0), (254, 1)], [GREYS[0], GREYS[2]]),
        ([(254, 1), (254, 0)], GREYS[1:2]),  # a preview before the page
        ([(254, 2), (254, 2), (254, 6)], GREYS[:2]),  # pages of several, and a mask
        ([(254, 0), (254, 4), (254, 5)], GREYS[:1]),
        ([(255, 1), (255, 2), (255, 3)], [GREYS[0], GREYS[2]]),  # the tag's older form
        ([(254, 1), (254, 1)], GREYS[:2]),  # nothing else is there
    ],
)
def test_smaller_copies_and_masks_of_a_tiff_are_no_pages(
    kinds: list[tuple[int, int]], expected: list[int]
) -> None:
    data = tiff_of_kinds(*kinds)
    assert greys(data) == expected
    assert open_image(data).getpixel((5, 5))[0] == expected[0]


def test_a_frame_that_is_cut_off_is_one_page() -> None:
    buffer = io.BytesIO()
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)) for _ in range(2)]
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    data = bytearray(buffer.getvalue())
    # The first directory's StripOffsets (tag 273) point beyond the end of the file.
    at = data.index(b"\x11\x01\x04\x00")
    data[at + 8 : at + 12] = (1 << 30).to_bytes(4, "little")
    with open_source(bytes(data)) as source:
        first, second = source.pages()
        with pytest.raises(ImageError, match="damaged"):
            first.load()
        assert np.array_equal(np.asarray(second.load()), np.asarray(frames[1]))


def test_heic_photographs_are_read_or_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"\0\0\0\x18ftypheic" + bytes(12)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match=r"crispvl\[heic\]"):
        open_source(head)
    monkeypatch.undo()
    pytest.importorskip("pi_heif")
    with pytest.raises(ImageError, match="expected"):
        open_source(head)


DATA_URIS = {
    "base64": lambda data: "data:image/png;base64," + base64.b64encode(data).decode(),
    "no type": lambda data: "DATA:;BASE64," + base64.b64encode(data).decode(),
    "escaped": lambda data: "data:;base64," + quote(base64.b64encode(data), safe=""),
    "for addresses": lambda data: "data:;base64," + base64.urlsafe_b64encode(data).decode(),
    "not padded": lambda data: "data:a/b;x=1;base64," + base64.b64encode(data).decode().rstrip("="),
    "in lines": lambda data: "data:;base64,\n" + base64.encodebytes(data).decode(),
    "percent": lambda data: "data:application/pdf," + quote(data, safe=""),
}


@pytest.mark.parametrize("kind", DATA_URIS)
@pytest.mark.parametrize("data", [PDF, animated("TIFF")], ids=["PDF", "TIFF"])
def test_a_data_uri_is_a_document(kind: str, data: bytes) -> None:
    assert greys(DATA_URIS[kind](data)) == GREYS


@pytest.mark.parametrize("text", ["", "%", "%4", "%4g", "%%41", "%41%", "%2541", "%é1%C3"])
def test_escapes_are_undone_as_in_any_address(text: str) -> None:
    assert unescape(text) == unquote_to_bytes(text)


def test_a_data_uri_is_an_image_and_is_called_by_its_head() -> None:
    uri = DATA_URIS["base64"](animated("PNG"))
    assert open_image(uri).getpixel((1, 1)) == (GREYS[0],) * 3
    with open_source(uri) as source:
        assert re.fullmatch(r"data:image/png;base64,…[0-9a-f]{12}", source.name)
    assert list(expand([uri])) == [uri]
    for wrong in ("data:image/png;base64", "data:;base64,@@@@", "data:;base64,A", "data:,"):
        with pytest.raises((DocumentError, ImageError), match=r"^\[data:.{0,80}\] expected .*; f"):
            open_source(wrong)


def test_data_uris_are_called_alike_only_where_they_are_the_same() -> None:
    uris = ["data:,a", " data:,a\n", "data:,b", "data:;base64,YQ", "data:" + "x" * 80 + ",a",
            "data:" + "x" * 81 + ",a", "data:\udcff,a"]  # fmt: skip
    names = [data_uri_name(uri) for uri in uris]
    assert names[0] == names[1]
    assert len(set(names)) == len(uris) - 1
    assert "".join(names).encode("utf-8")


def test_a_text_that_no_file_can_be_called_is_told_in_short() -> None:
    for text, found in (
        (base64.b64encode(bytes(20_000)).decode(), "too many for a file name"),
        ("a\0b.png", "a character that no file name holds"),
    ):
        for take in (open_image, open_source):
            with pytest.raises(FileNotFoundError, match=found) as caught:
                take(text)
            assert len(str(caught.value)) < 400


def test_a_file_that_is_closed_or_only_for_writing_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    with path.open("wb") as file:
        for read in (open_image, open_source):
            with pytest.raises(
                TypeError, match=r"^\[.*\] expected .*; found one for writing only; "
            ):
                read(file)
    for read in (open_image, open_source):
        with pytest.raises(
            ValueError, match=r"^\[.*\] expected an open file; found a closed one; "
        ):
            read(file)


def test_a_file_opened_for_text_is_a_type_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff" + bytes(300))
    for encoding in ("utf-8", "latin-1"):
        for take in (open_image, open_source):
            with (
                (tmp_path / "a.png").open(encoding=encoding) as file,
                pytest.raises(TypeError, match="open it with mode 'rb'"),
            ):
                take(file)


@pytest.mark.parametrize("space", [" ", "\n", "\t\r\n "])
def test_addresses_may_have_space_around_them(space: str) -> None:
    buffer = io.BytesIO()
    PICTURES[0].save(buffer, "PNG")
    uri = f"{space}DATA:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}\n"
    assert list(expand([uri])) == [uri]
    with open_source(uri) as source:
        assert source.name.startswith("DATA:image/png;base64,…")
        assert source.n_pages == 1
    assert open_image(uri).size == PICTURES[0].size
    with pytest.raises(ValueError, match="found a web address"):
        open_source(f"{space}HTTPS://example.org/a.png")


def dcx(pages: list[Image.Image]) -> bytes:
    files = []
    for page in pages:
        buffer = io.BytesIO()
        page.save(buffer, "PCX")
        files.append(buffer.getvalue())
    offsets = [4 + 4 * 1024 + sum(map(len, files[:i])) for i in range(len(files))]
    table = struct.pack("<1024I", *offsets, *[0] * (1024 - len(offsets)))
    return struct.pack("<I", 987654321) + table + b"".join(files)


def pnm(pages: list[Image.Image]) -> bytes:
    """As pdftoppm writes them where it is given no name."""
    stream = io.BytesIO()
    for page in pages:
        page.save(stream, "PPM")
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_every_page_of_a_dcx_is_read_with_its_own_colours(mode: str) -> None:
    pages = [page.convert(mode, dither=Image.Dither.NONE) for page in PICTURES]
    file = dcx(pages)
    assert greys(file) == [page.convert("L").getpixel((20, 20)) for page in pages]
    assert sizes(file, pages="2-") == [page.size for page in pages]
    assert open_image(file).size == PICTURES[0].size
    (last_begins,) = struct.unpack_from("<I", file, 4 * 4)
    with open_source(file[: last_begins + 140]) as source:
        *whole, last = source.pages()
        assert len([page.load() for page in whole]) == 3
        with pytest.raises(ImageError):
            last.load()


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB"])
def test_every_picture_of_a_pnm_stream_is_a_page(mode: str) -> None:
    pages = [Image.new(mode, (43, 31), grey if mode == "L" else 0) for grey in GREYS]
    assert sizes(pnm(pages)) == [(43, 31)] * 4
    mixed = [Image.new("1", (41, 30), 1), *PICTURES, Image.new("RGB", (9, 9), "white")]
    assert greys(pnm(mixed)) == [255, *GREYS, 255]
    assert greys(pnm(mixed)[:-1] + b"\xff\nP5 # a note\n9 9 255 " + bytes(81))[-2:] == [255, 0]
    assert greys(pnm(mixed[:1]) + b"\0 and more") == [255]


def test_a_pnm_stream_of_more_pictures_than_any_document_has_is_refused() -> None:
    with pytest.raises(ImageError, match="at most 100000 pictures"):
        open_image(b"P5 1 1 255 x" * 100_001)


def test_a_pnm_whose_head_is_mostly_white_space_is_one_picture() -> None:
    assert sizes(b"P5" + b" " * 1_000_000 + b"1 1 255 x") == [(1, 1)]


@pytest.mark.parametrize("form", sorted(WRITTEN))
def test_every_kind_that_pages_are_kept_in_is_taken_from_a_folder(
    form: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{WRITTEN[form].upper()}"
    mode = {"MSP": "1", "QOI": "RGB"}.get(form, "L")
    page = Image.new("L", (64, 64), 200).convert(mode)
    page.convert("F" if path.suffix == ".PFM" else mode).save(path, form)
    assert list(expand([str(tmp_path)])) == [str(path)]
    assert sizes(path) == [(64, 64)]


@pytest.mark.parametrize("form", ["ICO", "DDS"])
def test_icons_and_textures_are_read_only_when_they_are_named(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{form.lower()}"
    Image.new("RGB", (64, 64)).save(path, form)
    assert sizes(path) == [(64, 64)]
    with pytest.raises(DocumentError):
        list(expand([str(tmp_path)]))


@pytest.mark.parametrize(
    "suffix", ["j2k", "jpx", "mpo", "apng", "hif", "JPE", "avifs", "heics", "qoi", "dib", "pcx"]
)
def test_a_folder_gives_images_of_every_kind_that_is_read(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{suffix}").touch()
    assert list(expand([str(tmp_path)])) == [str(tmp_path / f"a.{suffix}")]


def test_single_images_are_documents_of_one_page() -> None:
    for document in (PICTURES[0], np.asarray(PICTURES[0])):
        assert greys(document) == [10]
    with pytest.raises(ImageError, match="0 bytes"):
        open_source(b"")
    with pytest.raises(ImageError, match="another kind"):
        open_source(b"GGUF....")
    with pytest.raises(FileNotFoundError):
        open_source("nowhere.pdf")
    with pytest.raises(TypeError, match="found NoneType"):
        open_source(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "found"), [(b"", "0 bytes"), (b"<html>404</html>", "16 bytes of another kind")]
)
def test_what_is_called_a_pdf_and_is_none_is_told_so(
    tmp_path: Path, content: bytes, found: str
) -> None:
    path = tmp_path / "scan.PDF"
    path.write_bytes(content)
    for document in (path, path.open("rb")):
        with pytest.raises(DocumentError, match=f"expected a PDF, as its name says; found {found}"):
            open_source(document)


def test_an_image_that_is_called_a_pdf_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    PICTURES[0].save(path, "PNG")
    assert greys(path) == [10]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ImageError, match="expected an image"):  # such as begins it
        greys(path)


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_a_link_that_leads_nowhere_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    path.symlink_to("gone.pdf")
    with pytest.raises(FileNotFoundError, match=r"a link to 'gone\.pdf', which leads nowhere"):
        open_source(path)


def test_folders_and_patterns_stand_for_their_files(tmp_path: Path) -> None:
    for name in ["b.png", "a.PDF", "notes.txt", ".hidden.png", "deep/c.jpg", ".git/d.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [str(Path(file).relative_to(tmp_path)) for file in expand([str(tmp_path)])]
    assert names == ["a.PDF", "b.png", str(Path("deep/c.jpg"))]
    assert list(expand([f"{tmp_path}/**/*.jpg"])) == [str(tmp_path / "deep/c.jpg")]
    assert list(expand(["-", "nowhere.png", "http://a.example/b"])) == [
        "-", "nowhere.png", "http://a.example/b"
    ]  # fmt: skip
    odd = tmp_path / "scan[1].png"
    odd.touch()
    assert list(expand([str(odd)])) == [str(odd)]  # a file that exists is no pattern
    for nothing in (str(tmp_path / ".git"), f"{tmp_path}/*.bmp"):
        (tmp_path / ".git/d.png").unlink(missing_ok=True)
        with pytest.raises(DocumentError, match="expected images or PDF files"):
            list(expand([nothing]))


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/loop":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:1/secret")
                self.end_headers()
                return
            self.send_response(200 if self.path == "/a.pdf" else 404)
            self.end_headers()
            if self.path == "/a.pdf":
                self.wfile.write(PDF)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def test_web_addresses_are_fetched_only_when_asked_for(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="allow_urls=True"):
        open_source(f"{server}/a.pdf")
    with pytest.raises(DocumentError, match="expected a public address; found 127"):
        greys(f"{server}/a.pdf", allow_urls=True)
    monkeypatch.setattr(urls, "_is_public", lambda address: True)
    assert greys(f"{server}/a.pdf", allow_urls=True) == GREYS
    with pytest.raises(DocumentError, match="404"):
        greys(f"{server}/b.pdf", allow_urls=True)
    monkeypatch.setattr(urls, "MAX_BYTES", 10)
    with pytest.raises(DocumentError, match="found more"):
        greys(f"{server}/a.pdf", allow_urls=True)


def test_a_redirect_to_a_private_address_is_refused(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def first_only(address: str) -> bool:
        checked.append(address)
        return len(checked) == 1

    monkeypatch.setattr(urls, "_is_public", first_only)
    with pytest.raises(DocumentError, match="expected a public address"):
        greys(f"{server}/loop", allow_urls=True)
    assert len(checked) == 2


GREETINGS = {"http": b"HTTP/1.1 200 OK\r\n", "https": b"\x16\x03\x03\x40\x00"}
"""What a server says before it dawdles: within the header, within the handshake."""


@pytest.mark.parametrize("scheme", GREETINGS)
def test_a_server_that_dawdles_is_left_when_the_time_is_up(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_left = threading.Event()

    def dawdle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(GREETINGS[scheme])
            try:
                for _ in range(100):
                    connection.sendall(b"X")
                    time.sleep(0.05)
            except OSError:
                was_left.set()

    monkeypatch.setattr(urls, "_is_public", lambda address: True)
    monkeypatch.setattr(urls, "MAX_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=dawdle, args=[listener])
        server.start()
        with pytest.raises(DocumentError, match="found it unfinished"):
            urls.fetch(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/a")
        server.join()
    assert was_left.is_set()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fe80::1%eth0",
                "::ffff:10.0.0.1", "0.0.0.0", "224.0.0.1", "100.64.0.1", "fd00::1",
                "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::127.0.0.1", "fec0::1", "ff0e::1",
                "64:ff9b:1::1", "2001::1"],
)  # fmt: skip
def test_private_addresses_are_known(address: str) -> None:
    assert not urls._is_public(address)
    assert urls._is_public("93.184.216.34")
    assert urls._is_public("2606:2800:220:1:248:1893:25c8:1946")
    assert urls._is_public("64:ff9b::5db8:d822")  # 93.184.216.34, by way of NAT64


def test_the_suffixes_of_folders_are_lower_case() -> None:
    assert all(suffix == suffix.lower() for suffix in SUFFIXES)
