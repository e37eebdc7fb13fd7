"""A model file that is cut or written to while it is in use: an error, no crash, no wrong text."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crispvl import Model, ModelFileError, _core
from crispvl.results.outputs import whole_files

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows lets nobody write to a mapped file"
)


@pytest.fixture
def file(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny, tmp_path))


@pytest.fixture
def model(file: Path) -> Model:
    return Model.load(file, device="cpu", threads=1, exact=True)


def tiles_of(model: Model) -> np.ndarray:
    tile_px = model.config["vision"]["tile_px"]
    return np.zeros((1, tile_px, tile_px, 3), np.uint8)


def test_a_file_that_shrinks_ends_the_work_with_an_error(file: Path, model: Model) -> None:
    session = model.core.new_session(8)
    session.prefill([1, 2], None, None)
    os.truncate(file, 4096)
    for work in (
        lambda: model.encode(tiles_of(model)),
        lambda: session.decode(3, None),
        lambda: model.core.new_session(8).prefill([1], None, None),
    ):
        with pytest.raises(ModelFileError, match=r"had \d+ bytes and has 4096"):
            work()


def test_a_file_that_is_written_to_ends_the_work_with_an_error(file: Path, model: Model) -> None:
    model.encode(tiles_of(model))
    with file.open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        stream.write(b"\xff\xff\xff\xff")
    with pytest.raises(ModelFileError, match="written to"):
        model.encode(tiles_of(model))


def test_a_file_that_is_replaced_or_removed_goes_on_as_it_was(file: Path, model: Model) -> None:
    expected = model.encode(tiles_of(model))
    other = file.with_name("other.gguf")
    other.write_bytes(b"something else")
    other.replace(file)
    np.testing.assert_array_equal(model.encode(tiles_of(model)), expected)
    file.unlink()
    np.testing.assert_array_equal(model.encode(tiles_of(model)), expected)


def test_a_copied_model_does_not_care_what_becomes_of_its_file(file: Path) -> None:
    model = Model.load(file, device="cpu", threads=1, exact=True, mmap=False)
    expected = model.encode(tiles_of(model))
    file.write_bytes(b"x" * 4096)
    np.testing.assert_array_equal(model.encode(tiles_of(model)), expected)
    file.unlink()
    np.testing.assert_array_equal(model.encode(tiles_of(model)), expected)


def load_copied_with_a_signal(file: Path, handler: Callable[[], None]) -> None:
    """Copies a model that a gigabyte of nothing follows; the handler runs meanwhile."""
    os.truncate(file, 1 << 30)
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        Model.load(file, mmap=False)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_ends_the_copying_of_a_large_file(file: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_copied_with_a_signal(file, stop)


def test_a_file_that_is_written_to_while_it_is_copied_is_refused(file: Path) -> None:
    def write() -> None:
        with file.open("r+b") as stream:
            stream.seek(-4, os.SEEK_END)
            stream.write(b"\xff\xff\xff\xff")

    with pytest.raises(ModelFileError, match="while it was read it was written to"):
        load_copied_with_a_signal(file, write)


def test_a_large_file_that_is_no_model_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    large = tmp_path / "large.gguf"
    with large.open("wb") as stream:
        stream.truncate(1 << 40)  # without any blocks on the disk; no memory holds it
    with pytest.raises(ModelFileError, match="does not begin with 'GGUF'"):
        Model.load(large, mmap=False)


def test_a_file_that_shrinks_is_not_quantised(file: Path, tmp_path: Path) -> None:
    source = _core.GgufFile(str(file))
    os.truncate(file, 4096)
    with pytest.raises(ModelFileError, match="has 4096"):
        source.data(source.tensors[-1]["name"])
    with (
        pytest.raises(ModelFileError, match="has 4096"),
        whole_files([tmp_path / "out.gguf"]) as [part],
    ):
        source.quantize(str(part), {}, {}, {}, [], 1)
    assert not list(tmp_path.glob("*out.gguf*"))
