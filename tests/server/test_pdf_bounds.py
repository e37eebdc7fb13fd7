"""Pages of PDFs that would take too much to draw are told from the file alone."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import numpy as np
import pikepdf
import pytest
from crispvl.errors import DocumentError, ImageError, PasswordError
from crispvl.server import pdf_bounds
from crispvl.server.packed_length import lzw_length, run_length
from crispvl.server.pdf_bounds import MAX_TEXT_BYTES, PdfBounds
from pikepdf import Array, Dictionary, Name, Pdf, Stream
from PIL import Image

from .conftest import RunningServer, asking, data_address, encoded
from .test_safety import resident_mib

SIDE = 30_000  # of a picture of 900 MB that packs to less than one
MAX_PIXELS = 50_000_000
WHOLE_PAGE = b"q 612 0 0 792 0 0 cm /I Do Q"


@cache
def zeros(n_bytes: int) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(n_bytes >> 20)) + packer.flush()


def page(operators: bytes = WHOLE_PAGE, **resources: Any) -> Pdf:
    pdf = pikepdf.new()
    found = pdf.add_blank_page(page_size=(612, 792))
    found.Resources = Dictionary(**resources)
    found.Contents = Stream(pdf, operators)
    return pdf


def picture(pdf: Pdf, side: int = SIDE, data: bytes | None = None, **entries: Any) -> Stream:
    told = {"Filter": Name.FlateDecode, "BitsPerComponent": 8, "ColorSpace": Name.DeviceGray}
    told |= {"Subtype": Name.Image, "Width": side, "Height": side, **entries}
    # Lets a head stand for the whole: no picture is unpacked to be weighed.
    return pdf.make_indirect(Stream(pdf, zeros(1 << 20) if data is None else data, **told))


def form(pdf: Pdf, operators: bytes = WHOLE_PAGE, **resources: Any) -> Stream:
    entries = {"Subtype": Name.Form, "BBox": [0, 0, 612, 792]}
    return pdf.make_indirect(Stream(pdf, operators, Resources=Dictionary(**resources), **entries))


def shown(entry: Callable[[Pdf], Any]) -> Callable[[], Pdf]:
    """Returns what makes a page that draws something of the name ``I``."""

    def make() -> Pdf:
        pdf = page()
        pdf.pages[0].Resources = Dictionary(XObject=Dictionary(I=entry(pdf)))
        return pdf

    return make


def in_a_pattern() -> Pdf:
    pdf = page(b"/Pattern cs /P scn 0 0 612 792 re f")
    tile = form(pdf, XObject=Dictionary(I=picture(pdf)))
    tile.PatternType, tile.PaintType, tile.TilingType = 1, 1, 1
    pdf.pages[0].Resources = Dictionary(Pattern=Dictionary(P=tile))
    return pdf


def in_an_annotation() -> Pdf:
    pdf = page(b"")
    look = form(pdf, XObject=Dictionary(I=picture(pdf)))
    stamp = Dictionary(Subtype=Name.Stamp, Rect=[0, 0, 612, 792], F=4, AP=Dictionary(N=look))
    pdf.pages[0].Annots = Array([pdf.make_indirect(stamp)])
    return pdf


def in_a_letter() -> Pdf:
    pdf = page(b"BT /F 100 Tf (a) Tj ET")
    font = Dictionary(Type=Name.Font, Subtype=Name.Type3, FirstChar=97, LastChar=97)
    font.CharProcs = Dictionary(a=Stream(pdf, b"1 0 d0 /I Do"))
    font.Resources = Dictionary(XObject=Dictionary(I=picture(pdf)))
    pdf.pages[0].Resources = Dictionary(Font=Dictionary(F=font))
    return pdf


def inherited() -> Pdf:
    pdf = page()
    del pdf.pages[0].obj.Resources
    pdf.Root.Pages.Resources = Dictionary(XObject=Dictionary(I=picture(pdf)))
    return pdf


def inline(*parts: bytes) -> Callable[[], Pdf]:
    def make() -> Pdf:
        pdf = page()
        pdf.pages[0].Contents = Array([Stream(pdf, part) for part in parts])
        return pdf

    return make


def jpeg(side: int) -> bytes:
    data = bytearray(encoded(Image.new("L", (16, 16)), "JPEG"))
    struct.pack_into(">HH", data, data.find(b"\xff\xc0") + 5, side, side)
    return bytes(data)


def jpeg2000(side: int) -> bytes:
    data = encoded(Image.new("L", (16, 16)), "JPEG2000", no_jp2=True)
    at = data.find(b"\xff\x51") + 6
    return data[:at] + struct.pack(">II", side, side) + data[at + 8 :]


def saved(pdf: Pdf, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pdf.save(buffer, compress_streams=False, **options)
    return buffer.getvalue()


def check(pdf: Pdf | bytes, password: str | None = None) -> None:
    data = pdf if isinstance(pdf, bytes) else saved(pdf)
    PdfBounds(data, password, MAX_PIXELS).check(1)


PICTURES: dict[str, Callable[[], Pdf]] = {
    "picture": shown(picture),
    "one bit": shown(lambda pdf: picture(pdf, 2 * SIDE, BitsPerComponent=1)),
    "fax": shown(lambda pdf: picture(pdf, 2 * SIDE, ImageMask=True, Filter=Name.CCITTFaxDecode)),
    "jbig2": shown(lambda pdf: picture(pdf, 65_000, BitsPerComponent=1, Filter=Name.JBIG2Decode)),
    "mask": shown(lambda pdf: picture(pdf, 10, SMask=picture(pdf))),
    "form": shown(lambda pdf: form(pdf, XObject=Dictionary(I=picture(pdf)))),
    "form within a form": shown(
        lambda pdf: form(pdf, XObject=Dictionary(I=form(pdf, XObject=Dictionary(I=picture(pdf)))))
    ),
    "pattern": in_a_pattern,
    "annotation": in_an_annotation,
    "letter": in_a_letter,
    "inherited": inherited,
    "inline": inline(b"BI /W 30000 /H 30000 /BPC 8 /CS /G /F /Fl ID \n1234567\nEI"),
    "inline by other names": inline(b"BI/#57idth 30000.0/Height +30000%\n/BPC 8/CS/G ID 12\nEI"),
    "inline in parts": inline(b"q BI /W 30000 /H 30000", b"/BPC 8 /CS /G ID 12\nEI"),
    "inline in a form": shown(lambda pdf: form(pdf, b"BI /W 30000 /H 30000 /CS /G ID 12\nEI")),
    "jpeg": shown(lambda pdf: picture(pdf, 16, jpeg(SIDE), Filter=Name.DCTDecode)),
    "jpeg behind noise": shown(
        lambda pdf: picture(pdf, 16, bytes(50) + jpeg(SIDE), Filter=Name.DCTDecode)
    ),
    "packed jpeg": shown(
        lambda pdf: picture(
            pdf, 16, zlib.compress(jpeg(SIDE)), Filter=Array([Name.FlateDecode, Name.DCTDecode])
        )
    ),
    "jpeg 2000": shown(lambda pdf: picture(pdf, 16, jpeg2000(SIDE), Filter=Name.JPXDecode)),
    "many": shown(
        lambda pdf: form(
            pdf, XObject=Dictionary({f"/I{i}": picture(pdf, 7_000) for i in range(10)})
        )
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_page_with_too_large_a_picture_is_refused_wherever_that_is(kind: str) -> None:
    with pytest.raises(ImageError, match="scale them down"):
        check(PICTURES[kind]())


def operators(data: bytes, *filters: Name) -> Pdf:
    pdf = page()
    pdf.pages[0].Contents = Stream(pdf, data, Filter=Array(filters))
    return pdf


def lzw(data: bytes) -> bytes:
    """Returns bytes packed as in TIFF, whose LZW is PDF's."""
    whole = Image.fromarray(np.frombuffer(data, np.uint8)[None])
    opened: Any = Image.open(io.BytesIO(encoded(whole, "TIFF", compression="tiff_lzw")))
    (start,), (length,) = opened.tag_v2[273], opened.tag_v2[279]
    opened.fp.seek(start)
    found: bytes = opened.fp.read(length)
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda: operators(zeros(100 << 20), Name.FlateDecode),
        lambda: operators(zlib.compress(zeros(100 << 20)), Name.FlateDecode, Name.FlateDecode),
        lambda: operators(b"\x81 " * 1_000_000, Name.RunLengthDecode),
        lambda: operators(lzw(bytes(80 << 20)), Name.LZWDecode),
        lambda: operators(bytes(5 << 20), Name.LZWDecode),
        lambda: operators(b"\x80" + b"\x81 " * 1_000_000, Name.RunLengthDecode),
    ],
    ids=["flate", "flate twice", "run length", "lzw", "much lzw", "behind the end"],
)  # fmt: skip
def test_a_page_with_too_much_else_is_refused(make: Callable[[], Pdf]) -> None:
    with pytest.raises(DocumentError, match="send it as a picture"):
        check(make())


def test_what_is_packed_again_and_again_is_refused() -> None:
    pdf, packed = pikepdf.new(), b"0 0 m " * 100
    for _ in range(5):
        packed = zlib.compress(packed)
    page = pdf.add_blank_page(page_size=(612, 792))
    page.Contents = Stream(pdf, packed, Filter=Array([Name.FlateDecode] * 5))
    with pytest.raises(DocumentError, match="expected at most 4 filters of a stream; found more"):
        check(pdf)


def test_a_page_of_too_many_objects_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_bounds, "MAX_OBJECTS", 1000)
    check(shown(lambda pdf: form(pdf, Properties=Array([[]] * 900)))())
    with pytest.raises(DocumentError, match="1000 objects"):
        check(shown(lambda pdf: form(pdf, Properties=Array([[]] * 1000)))())


def test_large_scans_are_let_pass() -> None:
    a3_at_600_dpi = 7016, 9921
    for mode in ("1", "L"):
        check(encoded(Image.new(mode, a3_at_600_dpi), "PDF"))
    colours = shown(lambda pdf: picture(pdf, 0, Width=7016, Height=9921, ColorSpace=Name.DeviceRGB))
    check(colours())


def test_what_many_pages_share_is_weighed_once_for_each() -> None:
    pdf = page()
    shared = picture(pdf, 7_000)
    for _ in range(20):
        pdf.pages.append(pdf.pages[0])
    for one in pdf.pages:
        one.Resources = Dictionary(XObject=Dictionary(I=shared, J=shared))
    bounds = PdfBounds(saved(pdf), None, MAX_PIXELS)
    for number in range(1, len(pdf.pages) + 1):
        bounds.check(number)


def test_damaged_streams_are_let_pass_where_little_comes_of_them() -> None:
    check(operators(zlib.compress(bytes(1000))[:-8], Name.FlateDecode))
    check(operators(b"no such data", Name.FlateDecode))
    with pytest.raises(DocumentError):
        check(b"%PDF-1.7 and nothing else")


def test_a_password_opens_a_document_and_hides_no_picture() -> None:
    locked = saved(PICTURES["form"](), encryption=pikepdf.Encryption(owner="o", user="u"))
    with pytest.raises(ImageError):
        check(locked, "u")
    for wrong in (None, "v"):
        with pytest.raises(PasswordError):
            check(locked, wrong)


def test_a_form_that_draws_itself_is_weighed_once() -> None:
    pdf = page()
    own = form(pdf)
    own.Resources = Dictionary(XObject=Dictionary(I=own))
    pdf.pages[0].Resources = Dictionary(XObject=Dictionary(I=own))
    check(pdf)


@pytest.mark.parametrize("seed", range(4))
def test_the_length_of_packed_data_is_that_of_what_it_stands_for(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 1 << (2 * seed), 100_000, np.uint8).tobytes()
    assert lzw_length(lzw(noise), 1 << 30) == len(noise)
    pdf = page()
    packed = Stream(pdf, b"\x02abc" * 100 + b"\xfd-" * (seed + 1) + b"\x80")
    packed.Filter = Name.RunLengthDecode
    told = packed.read_bytes(pikepdf.StreamDecodeLevel.specialized)
    assert run_length(packed.read_raw_bytes(), 1 << 30) == len(told)


def test_counting_ends_where_it_is_too_much() -> None:
    assert MAX_TEXT_BYTES < lzw_length(lzw(bytes(80 << 20)), MAX_TEXT_BYTES) < 80 << 20


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/ocr"])
def test_a_bomb_within_a_pdf_ends_as_a_400_in_little_memory(
    server: RunningServer, client: httpx.Client, path: str
) -> None:
    before = resident_mib(server.process.pid)
    for make in (PICTURES["picture"], lambda: operators(zeros(100 << 20), Name.FlateDecode)):
        data = saved(make())
        if path == "/v1/ocr":
            response = client.post(path, files={"file": data})
        else:
            file = {"file_data": data_address(data, "application/pdf")}
            response = client.post(path, json=asking({"type": "file", "file": file}))
        assert response.status_code == 400, response.text
    assert resident_mib(server.process.pid) - before < 200
