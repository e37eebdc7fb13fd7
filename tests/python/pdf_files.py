"""PDF files for the tests, written by hand so that they can be as broken as wanted."""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Sequence

from PIL import Image

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_ID = b"0123456789abcdef"


def pdf(pages: Sequence[Image.Image | None], password: str | None = None) -> bytes:
    """Returns a PDF of grey images at 72 dpi; None is a page that cannot be loaded.

    With a password it is encrypted (revision 2, 40 bits); its pages must then be None or blank,
    because streams are not encrypted here.
    """
    objects: dict[int, bytes] = {1: b"<</Type/Catalog/Pages 2 0 R>>"}
    kids = []
    for i, image in enumerate(pages):
        page, content, picture = 3 + 3 * i, 4 + 3 * i, 5 + 3 * i
        kids.append(b"%d 0 R" % page)
        if image is None:
            objects[page] = b"<</Type/Nonsense"
            continue
        width, height = image.size
        objects[page] = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]" % (
            width,
            height,
        ) + b"/Resources<</XObject<</I %d 0 R>>>>/Contents %d 0 R>>" % (picture, content)
        objects[content] = _stream(b"", b"q %d 0 0 %d 0 0 cm /I Do Q" % (width, height))
        objects[picture] = _picture(image)
    objects[2] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    return _file(objects, b"" if password is None else _encryption(password.encode()))


def one_page(
    picture: Image.Image,
    points: tuple[int, int],
    content: bytes | None = None,
    in_form: bool = False,
    entries: bytes = b"",
    packed: bool = False,
) -> bytes:
    """Returns a PDF with one page of a size in points, with ``/I`` for its content to draw.

    Without content the picture fills the page, drawn by a form where ``in_form`` says so.
    ``entries`` are added to the page, which is in a compressed object stream if ``packed``.
    """
    fill = b"q %d 0 0 %d 0 0 cm /I Do Q" % points
    resources = b"/Resources<</XObject<</I 5 0 R/F 6 0 R>>>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents 4 0 R%s%s>>" % (
        *points, resources, entries,
    )  # fmt: skip
    small = b"q 0.5 0 0 0.5 0 0 cm q 2 0 0 2 0 0 cm /F Do Q Q"
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        3: page,
        4: _stream(b"", (small if in_form else fill) if content is None else content),
        5: _picture(picture),
        6: _stream(
            b"/Type/XObject/Subtype/Form/Matrix[2 0 0 2 0 0]/BBox[0 0 %d %d]%s"
            % (*points, resources.replace(b"/F 6 0 R", b"")),
            b"q %.1f 0 0 %.1f 0 0 cm /I Do Q" % (points[0] / 2, points[1] / 2),
        ),
    }
    return _packed_file(objects, 3) if packed else _file(objects, b"")


def patterned(
    picture: Image.Image, points: tuple[int, int], painted: bytes, in_form: bool = False
) -> bytes:
    """Returns a PDF with one page, whose content fills a path with a pattern called ``/P``.

    The pattern's cell, of half a page's width and height, is the picture; where ``in_form`` says
    so, a form that doubles everything draws the path.
    """
    content = b"/Pattern cs /P scn " + painted
    cell = b"%.2f %.2f" % (points[0] / 2, points[1] / 2)
    pattern = b"/Resources<</Pattern<</P 7 0 R>>/XObject<</F 6 0 R>>>>"
    data = one_page(picture, points, b"q 2 0 0 2 0 0 cm /F Do Q" if in_form else content)
    whole = {int(m[1]): m[2] for m in re.finditer(rb"(?s)(\d+) 0 obj\n(.*?)\nendobj\n", data)}
    whole[3] = whole[3].replace(b"/Resources<</XObject<</I 5 0 R/F 6 0 R>>>>", pattern)
    whole[6] = _stream(
        b"/Type/XObject/Subtype/Form/BBox[0 0 %d %d]" % points + pattern.replace(b"/F 6 0 R", b""),
        content,
    )
    whole[7] = _stream(
        b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/Matrix[2 0 0 2 0 0]"
        b"/BBox[0 0 %s]/XStep %s/YStep %s"
        % (cell, *cell.split())
        + b"/Resources<</XObject<</I 5 0 R>>>>",
        b"q %s 0 0 %s 0 0 cm /I Do Q" % (*cell.split(),),
    )
    return _file(whole, b"")


def page_of(stream: bytes, size: tuple[int, int], entries: bytes) -> bytes:
    """Returns a PDF whose only page, of as many points, an image of encoded data fills."""
    head = b"/Type/XObject/Subtype/Image/Width %d/Height %d" % size
    data = one_page(Image.new("L", (1, 1)), size)
    whole = {int(m[1]): m[2] for m in re.finditer(rb"(?s)(\d+) 0 obj\n(.*?)\nendobj\n", data)}
    return _file(whole | {5: _stream(head + entries, stream)}, b"")


def form(
    picture: Image.Image,
    points: tuple[int, int],
    content: bytes,
    field: tuple[int, int, int, int],
) -> bytes:
    """Returns a PDF with a page and, upon it, a text field filled with black bars."""
    left, bottom, right, top = field
    bars = b" ".join(b"%d 0 4 %d re f" % (x, top - bottom) for x in range(0, right - left, 12))
    data = one_page(picture, points, content, entries=b"/Annots[7 0 R]")
    objects = {
        7: b"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(x)/F 4/P 3 0 R/Rect[%d %d %d %d]"
        b"/AP<</N 8 0 R>>>>" % field,
        8: _stream(
            b"/Type/XObject/Subtype/Form/BBox[0 0 %d %d]" % (right - left, top - bottom), bars
        ),
    }
    whole = {int(m[1]): m[2] for m in re.finditer(rb"(?s)(\d+) 0 obj\n(.*?)\nendobj\n", data)}
    whole[1] = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[7 0 R]>>>>"
    return _file(whole | objects, b"")


def _picture(image: Image.Image) -> bytes:
    return _stream(
        b"/Type/XObject/Subtype/Image/Width %d/Height %d" % image.size
        + b"/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode",
        zlib.compress(image.convert("L").tobytes()),
    )


def _packed_file(objects: dict[int, bytes], packed: int) -> bytes:
    """Returns a file of which one object is in an object stream, with a cross-reference stream."""
    number, index = len(objects) + 1, len(objects) + 2
    head = b"%d 0 " % packed
    text = zlib.compress(head + objects.pop(packed))
    objects[number] = _stream(b"/Type/ObjStm/N 1/First %d/Filter/FlateDecode" % len(head), text)
    data = b"%PDF-1.6\n"
    rows = {0: (0, 0, 65535), packed: (2, number, 0)}
    for i, body in objects.items():
        rows[i] = (1, len(data), 0)
        data += b"%d 0 obj\n%s\nendobj\n" % (i, body)
    start = len(data)
    rows[index] = (1, start, 0)
    table = b"".join(struct.pack(">BIH", *rows[i]) for i in range(index + 1))
    entries = b"/Type/XRef/Size %d/W[1 4 2]/Root 1 0 R" % (index + 1)
    data += b"%d 0 obj\n%s\nendobj\n" % (index, _stream(entries, table))
    return data + b"startxref\n%d\n%%%%EOF\n" % start


def _file(objects: dict[int, bytes], trailer: bytes) -> bytes:
    data = b"%PDF-1.4\n"
    offsets = {}
    for number, body in sorted(objects.items()):
        offsets[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(data)
    size = max(objects) + 1
    data += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        free = number not in offsets
        data += b"%010d %05d %c \n" % (offsets.get(number, 0), 0, b"f" if free else b"n")
    data += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return data


def _stream(entries: bytes, data: bytes) -> bytes:
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (entries, len(data), data)


def _encryption(password: bytes) -> bytes:
    """Returns the trailer's entries by PDF 1.7, 7.6.3, algorithms 2, 3 and 4."""
    padded = (password + _PADDING)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    key = hashlib.md5(padded + owner + b"\xfc\xff\xff\xff" + _ID).digest()[:5]
    user = _rc4(key, _PADDING)
    return b"/ID[<%s><%s>]/Encrypt<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>" % (
        *[_ID.hex().encode()] * 2,
        owner.hex().encode(),
        user.hex().encode(),
    )


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
