"""The programs of csrc/tests, built with the C library."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import run
from crispvl.convert import convert_checkpoint
from tiny import ROWS, make_checkpoint


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tiny")
    checkpoint = make_checkpoint(ROWS[0], folder / "checkpoint")
    return convert_checkpoint(checkpoint, folder / "tiny.gguf", "f16").files[0]


def test_readers_in_threads_get_their_own_answers(programs: Path, tiny_file: Path) -> None:
    assert run(programs / "concurrent_sessions", tiny_file, 4) == "3 readers, 4 rounds\n"


def test_an_allocation_that_fails_is_an_error_and_the_model_goes_on(
    programs: Path, tiny_file: Path
) -> None:
    """Every 83rd; docs/robustness.md has the run over every single one."""
    found = run(programs / "failing_allocations", tiny_file, 83)
    n_loading, n_reading = (int(n) for n in re.findall(r"\d+", found))
    assert n_loading > 1000
    assert n_reading > 100


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="reads ELF objects of x86-64"
)
def test_kernels_for_newer_cpus_lend_no_function_to_the_rest(build: Path) -> None:
    """The linker keeps one copy of an inline function: it must not be one of these objects'."""
    if not shutil.which("nm"):
        pytest.skip("no binutils")
    objects = list(build.rglob("avx*.cpp.o"))
    assert len(objects) >= 3
    for path in objects:
        assert not re.findall(r" [WVu] .*", run("nm", "--defined-only", "-C", path)), path
