"""Documents that take long to decode: they are decoded beside the others, a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from crispvl.options import InputOptions
from crispvl.server import decoding
from crispvl.server.admission import Admission
from crispvl.server.decoding import DecodedDocument, DecoderPool
from crispvl.server.errors import ApiError
from pikepdf import Pdf, Stream
from PIL import Image

from .conftest import encoded

MAX_PIXELS = 10_000_000


def triangles(n: int) -> bytes:
    """A PDF file with a page of large triangles over each other, each of which is drawn."""
    numbers = random.Random(0)
    pdf = Pdf.new()
    page = pdf.add_blank_page(page_size=(612, 792))
    shapes = (
        "{} {} m {} {} l {} {} l f".format(*(numbers.randrange(600) for _ in range(6)))
        for _ in range(n)
    )
    page.Contents = Stream(pdf, "\n".join(shapes).encode())
    buffer = io.BytesIO()
    pdf.save(buffer, compress_streams=True)
    return buffer.getvalue()


@contextlib.asynccontextmanager
async def pool_of_one(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DecoderPool]:
    """A pool that soon takes a document for a slow one."""
    monkeypatch.setattr(decoding, "QUICK_S", 0.3)
    pool = DecoderPool(1, MAX_PIXELS, max_pages=4)
    try:
        yield pool
    finally:
        await pool.close()


async def opened(pool: DecoderPool, data: bytes) -> DecodedDocument:
    return await pool.open(data, InputOptions(), "file")


@pytest.mark.anyio
async def test_a_slow_page_is_decoded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pool_of_one(monkeypatch) as pool:
        document = await opened(pool, triangles(2500))
        assert not document.is_slow
        page = await document.page(1)
        assert document.is_slow
        assert page.size == (1700, 2200)
        assert page.getextrema() != ((255, 255),) * 3


@pytest.mark.anyio
async def test_slow_pages_keep_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch, receipt: bytes
) -> None:
    async with pool_of_one(monkeypatch) as pool:
        slow = [await opened(pool, triangles(50_000)) for _ in range(3)]
        waiting = [asyncio.ensure_future(document.page(1)) for document in slow]
        await asyncio.sleep(0)
        try:
            page = await (await opened(pool, receipt)).page(1)
            assert page.size == (300, 316)
            assert sum(task.done() for task in waiting) <= 1
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        await (await opened(pool, receipt)).page(1)


@pytest.mark.anyio
async def test_pictures_do_not_wait_for_pages_of_pdf_files(
    monkeypatch: pytest.MonkeyPatch, receipt: bytes
) -> None:
    monkeypatch.setattr(decoding, "QUICK_S", 60.0)
    pool = DecoderPool(2, MAX_PIXELS, max_pages=4)
    drawn = [await opened(pool, triangles(50_000)) for _ in range(2)]
    picture = await opened(pool, receipt)
    waiting = [asyncio.ensure_future(document.page(1)) for document in drawn]
    await asyncio.sleep(0)
    try:
        assert (await picture.page(1)).size == (300, 316)
        assert not any(task.done() for task in waiting)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await pool.close()


@pytest.mark.anyio
@pytest.mark.parametrize("is_left", [False, True], ids=["drawn", "left"])
async def test_others_have_the_turn_of_a_slow_page_while_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch, is_left: bool
) -> None:
    admission = Admission(1, 0, 60.0)
    async with pool_of_one(monkeypatch) as pool, admission.turn() as turn:
        document = await opened(pool, triangles(2500))
        drawing = asyncio.ensure_future(document.page(1, turn.given_up))
        while admission.n_running and not drawing.done():
            await asyncio.sleep(0.01)
        async with admission.turn():
            assert admission.n_running == 1
            assert not drawing.done()  # even once it is decoded
            if is_left:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)
        await asyncio.gather(drawing, return_exceptions=True)
        assert drawing.cancelled() == is_left
        assert admission.n_running == (0 if is_left else 1)
    assert admission.n_running == 0


@pytest.mark.anyio
async def test_more_slow_pages_than_can_be_waited_for_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "MAX_SLOW", 1)
    async with pool_of_one(monkeypatch) as pool:
        first, second = [await opened(pool, triangles(50_000)) for _ in range(2)]
        for document in (first, second):
            document.is_slow = True
        drawn = asyncio.ensure_future(first.page(1))
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await second.page(1)
        assert (refused.value.status, refused.value.code) == (503, "decoders_busy")
        assert refused.value.retry_after
        drawn.cancel()
        await asyncio.gather(drawn, return_exceptions=True)


@pytest.mark.anyio
async def test_a_page_that_takes_too_long_ends_as_a_400(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PATIENT_S", 0.3)
    async with pool_of_one(monkeypatch) as pool:
        document = await opened(pool, triangles(50_000))
        with pytest.raises(ApiError) as refused:
            await document.page(1)
        assert refused.value.status == 400
        await (await opened(pool, triangles(2))).page(1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no memory")
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("WEBP", "RGBA", {"quality": 40, "method": 0}),
        ("WEBP", "RGB", {"lossless": True, "quality": 0, "method": 0}),
        ("JPEG2000", "RGBA", {"quality_mode": "rates", "quality_layers": [50]}),
        ("PNG", "RGBA", {}),
        ("TIFF", "RGBA", {}),
        ("JPEG", "CMYK", {"progressive": True}),
    ],
)
def test_an_image_of_as_many_pixels_as_are_taken_has_room_in_every_format(
    kind: str, mode: str, options: dict[str, Any]
) -> None:
    picture = Image.new(mode, (3000, 2000), (128,) * len(mode))  # half transparent, with alpha
    data = encoded(picture, kind, **options)
    program = [sys.executable, "-c", IN_LITTLE_ROOM, str(3000 * 2000)]
    done = subprocess.run(program, input=data, capture_output=True, check=False)
    assert done.stdout.split() == [b"3000", b"2000"], done.stderr.decode()


IN_LITTLE_ROOM = f"""
import sys
from crispvl.inputs.images import open_image
from crispvl.server.process_limits import BYTES_PER_PIXEL, allow_formats, bound

data, max_pixels = sys.stdin.buffer.read(), int(sys.argv[1])
allow_formats(max_pixels)
bound(BYTES_PER_PIXEL * max_pixels + {16 << 20})
print(*open_image(data).size)
"""
"""Decodes with far less to spare than the server has, so that the bytes per pixel count."""
