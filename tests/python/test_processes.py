"""One reader in threads, tasks and processes, with the bundled model."""

from __future__ import annotations

import asyncio
import multiprocessing
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
    with pytest.raises(ValueError, match="was closed"):
        ocr.recognize(RECEIPT)
