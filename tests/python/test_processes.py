"""One reader in threads, tasks and processes, with the bundled model."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("crispvl._core")
from crispvl import CrispOCR
from crispvl.hub import bundled

ROOT = Path(__file__).resolve().parents[2]
RECEIPT = ROOT / "examples" / "receipt.png"
CODE = ROOT / "examples" / "code.png"

pytestmark = pytest.mark.skipif(
    not (RECEIPT.is_file() and bundled.path().is_file()),
    reason="this tree lacks the examples or the bundled model",
)


@pytest.fixture(scope="module")
def ocr() -> CrispOCR:
    return CrispOCR(threads=1)


@pytest.fixture(scope="module")
def texts(ocr: CrispOCR) -> dict[Path, str]:
    return {page: ocr.recognize(page).text for page in (RECEIPT, CODE)}


def read(ocr: CrispOCR, page: Path) -> str:
    return ocr.recognize(page).text


@pytest.mark.parametrize("method", sorted(multiprocessing.get_all_start_methods()))
def test_a_process_pool_reads_what_one_process_reads(
    ocr: CrispOCR, texts: dict[Path, str], method: str
) -> None:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = list(pool.map(read, [ocr] * 2, texts, timeout=120))
    assert found == list(texts.values())
    assert ocr.recognize(CODE).text == texts[CODE]  # the parent goes on as before


READER: list[CrispOCR] = []


def read_with_the_parents_reader() -> str:
    return READER[0].recognize(RECEIPT).text


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot fork here"
)
def test_a_forked_process_reads_with_the_reader_of_its_parent(
    ocr: CrispOCR, texts: dict[Path, str]
) -> None:
    # The parent's worker threads are gone in the child; the core starts its own.
    READER[:] = [ocr]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(read_with_the_parents_reader).result(timeout=120)
    assert found == texts[RECEIPT]


def test_threads_share_a_reader_and_do_not_mix_their_pages(
    ocr: CrispOCR, texts: dict[Path, str]
) -> None:
    pages = [RECEIPT, CODE] * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda page: read(ocr, page), pages))
    assert found == [texts[page] for page in pages]


def test_threads_that_read_at_once_share_passes_and_get_the_tokens_they_get_alone() -> None:
    ocr = CrispOCR(threads=1, image_cache_bytes=0)
    pages = [RECEIPT, CODE] * 2
    alone = [ocr.recognize(page).pages[0].generation for page in pages[:2]]
    before = ocr.engine.counts
    with ThreadPoolExecutor(4) as pool:
        found = [d.pages[0].generation for d in pool.map(ocr.recognize, pages)]
    assert [g.ids for g in found if g] == [g.ids for g in alone if g] * 2
    counts = ocr.engine.counts
    n_tokens = sum(len(g.ids) for g in found if g)
    assert counts.n_passes - before.n_passes < n_tokens / 2


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot fork here"
)
def test_a_process_that_forks_while_it_reads_goes_on_and_so_does_its_child(
    ocr: CrispOCR, texts: dict[Path, str]
) -> None:
    READER[:] = [ocr]
    stream = ocr.stream(CODE)
    first = next(stream)
    reading = ThreadPoolExecutor(1).submit(read, ocr, CODE)
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(read_with_the_parents_reader).result(timeout=120)
    assert found == texts[RECEIPT]
    assert first + "".join(stream) == reading.result(timeout=120) == texts[CODE]


AT_THE_END = """
import sys, threading
from crispvl import CrispOCR
ocr = CrispOCR(threads=1)
stream = ocr.stream(sys.argv[1])
next(stream)  # and nobody reads on
threading.Thread(target=ocr.recognize, args=(sys.argv[1],), daemon=True).start()
prepared = ocr.prepare_chat([{"role": "user", "content": "Say much"}])
begun = threading.Event()
ocr.engine.submit(prepared.request, lambda event: begun.set())
begun.wait()
print("over")
"""


def test_the_interpreter_may_end_while_the_engine_is_at_work() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END, str(CODE)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "over\n")
    assert "Traceback" not in done.stderr


FIRST_ARRAY = """
import builtins, threading, time
import numpy as np
from crispvl import _core
begun, plain = threading.Event(), builtins.__import__

def slow(name, *rest, **named):
    if threading.current_thread() is not threading.main_thread():
        begun.set()
        while True:  # asks for the GIL again and again, until Python is gone
            time.sleep(0.001)
    return plain(name, *rest, **named)

def look() -> None:
    _core.is_blank(np.full((64, 64), 255, np.uint8))
    begun.set()

builtins.__import__ = slow
threading.Thread(target=look, daemon=True).start()
begun.wait()
builtins.__import__ = plain
print("over")
"""


def test_the_interpreter_may_end_while_a_thread_passes_its_first_array() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_ARRAY], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "over\n")


def test_tasks_share_a_reader_while_the_loop_runs_on(ocr: CrispOCR, texts: dict[Path, str]) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def read_all() -> list[str]:
        ticking = asyncio.create_task(tick())
        found = await asyncio.gather(*(ocr.stream(page).aread() for page in (RECEIPT, CODE)))
        ticking.cancel()
        return [document.text for document in found]

    assert asyncio.run(read_all()) == [texts[RECEIPT], texts[CODE]]
    assert ticks > 10


def test_a_reader_closed_while_another_thread_reads_lets_it_finish(texts: dict[Path, str]) -> None:
    ocr = CrispOCR(threads=1)
    stream = ocr.stream(RECEIPT)
    first = next(stream)
    closer = threading.Thread(target=ocr.close)
    closer.start()
    closer.join()
    assert first + "".join(stream) == texts[RECEIPT]
    with pytest.raises(ValueError, match="found a closed one"):
        ocr.recognize(RECEIPT)
