"""PDFs whose tables and trees are out of proportion are refused before they are gone through."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping

import pytest
from crispvl.errors import DocumentError
from crispvl.server.pdf_bounds import MAX_PARTS, PdfBounds
from crispvl.server.pdf_structure import (
    MAX_FIELDS,
    MAX_OBJECTS,
    MAX_PAGES,
    MAX_REPAIRED,
    MAX_UPDATES,
    open_pdf,
)

Objects = Mapping[int, bytes]

PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<<>>>>"
ONE_PAGE: Objects = {
    1: b"<</Type/Catalog/Pages 2 0 R>>",
    2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
    3: PAGE,
    4: b"<</Length 1>>stream\n \nendstream",
}


def stream(data: bytes, entries: bytes = b"") -> bytes:
    packed = zlib.compress(data, 9)
    head = b"<</Filter/FlateDecode/Length %d%s>>" % (len(packed), entries)
    return head + b"stream\n" + packed + b"\nendstream"


def form(operators: bytes, resources: bytes = b"") -> bytes:
    entries = b"/Type/XObject/Subtype/Form/BBox[0 0 300 300]"
    return stream(operators, entries + (b"/Resources<<%s>>" % resources if resources else b""))


def without_table(objects: Objects) -> bytes:
    parts = [b"%d 0 obj\n%s\nendobj\n" % (number, text) for number, text in objects.items()]
    return b"%PDF-1.5\n" + b"".join(parts) + b"trailer\n<</Root 1 0 R>>\n%%EOF\n"


def with_table(objects: Objects) -> bytes:
    data = bytearray(b"%PDF-1.5\n")
    places = {}
    for number, text in objects.items():
        places[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    start, size = len(data), max(objects) + 1
    data += b"xref\n0 %d\n" % size
    for number in range(size):
        data += b"%010d %s \n" % (
            places.get(number, 0), b"00000 n" if number in places else b"65535 f",
        )  # fmt: skip
    data += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start)
    return bytes(data)


def with_packed_table(n_entries: int) -> bytes:
    """Returns a file whose table takes a thousandth of what it stands for."""
    data = bytearray(b"%PDF-1.5\n")
    rows = [bytes(7)]
    for number, text in ONE_PAGE.items():
        rows.append(struct.pack(">BIH", 1, len(data), 0))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    start = len(data)
    table = b"".join(rows) + struct.pack(">BIH", 1, 9, 0) * n_entries
    entries = b"/Type/XRef/W[1 4 2]/Root 1 0 R/Size %d" % (n_entries + len(rows))
    data += b"9 0 obj\n" + stream(table, entries) + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(data)


def many(n: int, first: int = 10, text: bytes = b"null") -> Objects:
    return {**ONE_PAGE, **dict.fromkeys(range(first, first + n), text)}


def page_tree(kids: bytes) -> Objects:
    return {**ONE_PAGE, 2: b"<</Type/Pages/Count 1/Kids[%s]>>" % kids}


def doubling(n_levels: int) -> Objects:
    """Returns a tree in which each node has the next one twice."""
    nodes = {
        i: b"<</Type/Pages/Count 2/Kids[%d 0 R %d 0 R]>>" % (i + 1, i + 1)
        for i in range(10, 10 + n_levels)
    }
    last = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
    return {**ONE_PAGE, 1: b"<</Type/Catalog/Pages 10 0 R>>", **nodes, 10 + n_levels: last}


def fields(n: int) -> Objects:
    form = b"<</Fields[%s]>>" % (b"5 0 R " * n)
    return {**ONE_PAGE, 1: b"<</Type/Catalog/Pages 2 0 R/AcroForm%s>>" % form, 5: b"<</T(x)>>"}


def updated(n: int) -> bytes:
    data = with_table(ONE_PAGE)
    for _ in range(n):
        previous = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
        trailer = b"trailer\n<</Size 5/Root 1 0 R/Prev %d>>\n" % previous
        data += b"xref\n0 0\n" + trailer + b"startxref\n%d\n%%%%EOF\n" % len(data)
    return data


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_packed_table(9_000_000),
        lambda: with_packed_table(1_100_000),
        lambda: without_table(many(MAX_REPAIRED)),
        lambda: b"%PDF-1.5\n" + b"1 0 obj\n" * (MAX_OBJECTS + 1),
        lambda: with_table(page_tree(b"3 0 R " * (MAX_PAGES + 1))),
        lambda: with_table(doubling(30)),
        lambda: with_table(fields(MAX_FIELDS + 1)),
        lambda: updated(MAX_UPDATES),
    ],
    ids=["table", "smaller table", "damaged", "objects", "pages", "doubling", "fields", "updates"],
)  # fmt: skip
def test_what_is_out_of_proportion_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(DocumentError):
        open_pdf(make(), None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_packed_table(100_000),
        lambda: with_table(many(2 * MAX_REPAIRED)),
        lambda: without_table(many(1000)),
        lambda: with_table(page_tree(b"3 0 R " * 2000)),
        lambda: with_table(fields(2000)),
        lambda: updated(100),
    ],
    ids=["table", "objects", "damaged", "pages", "fields", "updates"],
)
def test_what_large_documents_have_is_let_pass(make: Callable[[], bytes]) -> None:
    PdfBounds(make(), None, 1 << 20).check(1)


def drawn(operators: bytes, forms: Objects, is_inherited: bool = False) -> bytes:
    resources = b"/Resources<</XObject<</X 10 0 R>>>>"
    page = PAGE.replace(b"/Resources<<>>", b"" if is_inherited else resources)
    parent = ONE_PAGE[2].replace(b">>", resources + b">>")
    return with_table({**ONE_PAGE, 2: parent, 3: page, 4: stream(operators), **forms})


def nested(n_levels: int) -> Objects:
    """Returns forms that each draw the next one twice."""
    found = {
        i: form(b"/X Do /#58 Do", b"/XObject<</X %d 0 R>>" % (i + 1))
        for i in range(10, 10 + n_levels)
    }
    return {**found, 10 + n_levels: form(b"0 0 9 9 re f")}


def in_parts(n: int, part: bytes = b" ") -> bytes:
    page = PAGE.replace(b"4 0 R", b"[" + b"4 0 R " * n + b"]")
    return with_table({**ONE_PAGE, 3: page, 4: stream(part)})


@pytest.mark.parametrize(
    "make",
    [
        lambda: drawn(b"/X Do", nested(30)),
        lambda: drawn(b"/X Do", nested(30), is_inherited=True),
        lambda: in_parts(100, bytes(1 << 20)),
        lambda: in_parts(MAX_PARTS + 1),
        lambda: drawn(b"BI " * (MAX_PARTS + 1), {}),
    ],
    ids=["forms", "inherited forms", "large parts", "parts", "inline images"],
)
def test_a_page_that_repeats_itself_without_end_is_refused(make: Callable[[], bytes]) -> None:
    bounds = PdfBounds(make(), None, 1 << 20)
    with pytest.raises(DocumentError, match="send it as a picture"):
        bounds.check(1)


def test_a_symbol_that_is_drawn_often_is_let_pass() -> None:
    symbol = form(b"0 0 9 9 re f " * 50)
    PdfBounds(drawn(b"/X Do " * 10_000, {10: symbol}), None, 1 << 20).check(1)
    PdfBounds(drawn(b"/X Do", nested(8)), None, 1 << 20).check(1)
    PdfBounds(in_parts(500), None, 1 << 20).check(1)


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="this system has no such limit")
def test_a_process_that_computes_beyond_its_time_ends() -> None:
    program = (
        "from crispvl.server.process_limits import bounded_time\n"
        "with bounded_time(60): pass\n"
        "with bounded_time(0.1):\n"
        "    while True: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=60)
    assert done.returncode == -signal.SIGPROF
