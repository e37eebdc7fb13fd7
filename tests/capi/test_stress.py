"""Many threads, many requests, cancels and closes: same answers, no growth, no crash."""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Callable
from ctypes import byref
from pathlib import Path

import capi_library as capi
import numpy as np
import pytest
from capi_library import CapiError, Library, LoadedModel, image_of
from crispvl.convert.convert import convert_checkpoint
from tiny import ROWS, make_checkpoint

PAGE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tiny")
    checkpoint = make_checkpoint(ROWS[0], folder / "checkpoint")
    return convert_checkpoint(checkpoint, folder / "tiny.gguf", "f32").files[0]


def resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("no /proc to read the resident memory from")
    return int(statm.read_text().split()[1]) * 4096


def run_threads(work: Callable[[int], None], n: int) -> list[BaseException]:
    failures: list[BaseException] = []

    def guarded(i: int) -> None:
        try:
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_memory_is_flat_over_many_requests(library: Library, tiny_file: Path) -> None:
    model = library.load(path=str(tiny_file), n_threads=1)
    read = image_of(PAGE)

    def request() -> None:
        model.recognize(read, max_tokens=3, ignore_stop_tokens=1)
        with pytest.raises(CapiError):
            model.recognize(read, max_tokens=-1)

    for _ in range(50):
        request()
    before = resident_bytes()
    for _ in range(300):
        request()
    assert resident_bytes() - before < 4 << 20  # 14 KiB a request would be seen


def test_memory_is_flat_over_many_loads(library: Library, tiny_file: Path) -> None:
    data = tiny_file.read_bytes()
    address = ctypes.cast(data, ctypes.c_void_p)

    def load() -> None:
        library.load(data=address, n_data_bytes=len(data), n_threads=1).tile(PAGE_IMAGE)
        with pytest.raises(CapiError):
            library.load(data=address, n_data_bytes=len(data) // 2)

    for _ in range(10):
        load()
    before = resident_bytes()
    for _ in range(100):
        load()
    assert resident_bytes() - before < 8 << 20  # each load copies about a megabyte


PAGE_IMAGE = image_of(PAGE)


def test_threads_with_cancels_get_their_own_answers(library: Library, tiny_file: Path) -> None:
    model = library.load(path=str(tiny_file), n_threads=2)
    options = {"max_tokens": 6, "ignore_stop_tokens": 1, "temperature": 1.0}
    expected = [model.recognize(PAGE_IMAGE, seed=seed, **options).ids for seed in range(4)]

    def read(i: int) -> None:
        cancel = ctypes.c_void_p()
        library.call("cancel_new", byref(cancel))
        for k in range(9):
            wants_cancel = (i + k) % 3 == 0
            timer = threading.Timer(random.random() / 100, library.crispvl_cancel_request, [cancel])
            if wants_cancel:
                timer.start()
            try:
                found = model.recognize(PAGE_IMAGE, seed=i, cancel=cancel, **options)
                assert found.ids == expected[i]
            except CapiError as error:
                assert wants_cancel
                assert error.status == capi.CANCELLED  # noqa: PT017
                partial = error.result.ids if error.result else []
                assert partial == expected[i][: len(partial)]
            if wants_cancel:
                timer.join()
            library.crispvl_cancel_reset(cancel)
        library.crispvl_cancel_free(cancel)

    assert run_threads(read, 4) == []


def test_models_come_and_go_while_others_read(library: Library, tiny_file: Path) -> None:
    model = library.load(path=str(tiny_file), n_threads=1)
    expected = model.recognize(PAGE_IMAGE, max_tokens=4).ids

    def work(i: int) -> None:
        for _ in range(5):
            own: LoadedModel = library.load(path=str(tiny_file), n_threads=1)
            assert own.recognize(PAGE_IMAGE, max_tokens=4).ids == expected
            session = ctypes.c_void_p()
            library.call("session_new", own.handle, 16, byref(session))
            del own  # the session keeps the model
            assert model.recognize(PAGE_IMAGE, max_tokens=4).ids == expected
            library.crispvl_session_free(session)

    assert run_threads(work, 4) == []
