"""A thread with a small stack gets an error in words, where native code would end the process."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("crispvl._core")
from crispvl import _core as core
from crispvl.errors import OutOfMemoryError
from crispvl.hub import bundled
from crispvl.inputs.images import open_image
from crispvl.inputs.sources import open_source
from PIL import Image

from .pdf_files import pdf

PAGE = Path(__file__).resolve().parents[2] / "examples" / "receipt.png"
SMALL = 64 << 10
needs_bundle = pytest.mark.skipif(
    not (PAGE.is_file() and bundled.path().is_file()), reason="this tree lacks the bundled model"
)


@contextmanager
def threads_of(n_bytes: int) -> Iterator[None]:
    before = threading.stack_size(n_bytes)
    try:
        yield
    finally:
        threading.stack_size(before)


def failure(work: Callable[[], object]) -> BaseException | None:
    """What a thread with a small stack raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    with threads_of(SMALL):
        thread = threading.Thread(target=run)
        thread.start()
    thread.join()
    return raised[0] if raised else None


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(file, kind)
    return file.getvalue()


def lazy(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP"])
def test_a_small_stack_decodes_no_picture(kind: str) -> None:
    data = encoded(kind)
    for work in (lambda: open_image(data), lambda: open_image(lazy(data))):
        error = failure(work)
        assert isinstance(error, OutOfMemoryError), error
        assert "expected 192 KiB of the thread's stack" in str(error)
    assert open_image(data).size == (64, 48)


def test_a_small_stack_opens_and_draws_no_pdf() -> None:
    pytest.importorskip("pypdfium2")
    data = pdf([Image.new("L", (72, 72), 255)])
    assert isinstance(failure(lambda: open_source(data)), OutOfMemoryError)
    with open_source(data) as source:
        (page,) = source.pages()
        assert isinstance(failure(page.load), OutOfMemoryError)
        assert page.load().width == 200


def test_a_small_stack_enters_no_core() -> None:
    pixels = np.full((100, 200, 3), 255, np.uint8)
    for work in (core.find_layout, core.tile_image):
        assert isinstance(failure(lambda work=work: work(pixels)), OutOfMemoryError)


def test_a_stack_that_is_nearly_used_up_is_told_apart_from_a_fresh_one() -> None:
    found: list[BaseException | None] = []

    def descend(n_levels: int) -> None:
        """Through C, whose frames are on the stack whatever the Python."""
        try:
            core.require_stack()
        except OutOfMemoryError as error:
            found.append(error)
            return
        if n_levels:
            sorted([0], key=lambda _: descend(n_levels - 1))

    with threads_of(256 << 10):
        thread = threading.Thread(target=descend, args=(400,))
        thread.start()
        thread.join()
        thread = threading.Thread(target=descend, args=(0,))
        thread.start()
        thread.join()
    assert len(found) == 1


READ = """
import sys, threading
threading.stack_size(int(sys.argv[2]) << 10)
from crispvl import CrispOCR, OutOfMemoryError
ocr = CrispOCR(threads=1)
text = ocr.recognize(sys.argv[1]).text
def read():
    try:
        print(ocr.recognize(sys.argv[1]).text == text)
    except OutOfMemoryError as error:
        print(error)
thread = threading.Thread(target=read)
thread.start()
thread.join()
assert ocr.recognize(sys.argv[1]).text == text
"""


@needs_bundle
@pytest.mark.parametrize(("kib", "told"), [(64, "[thread] expected"), (256, "True")])
def test_a_program_of_small_threads_reads_on_a_thread_of_ours(kib: int, told: str) -> None:
    command = [sys.executable, "-c", READ, str(PAGE), str(kib)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stdout.startswith(told)) == (0, True), found
