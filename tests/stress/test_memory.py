"""Memory that runs out is an error after which the engine works; memory that is used stays flat."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .conftest import ROOT, run_python

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' limits and /proc")

SHORT_OF_MEMORY = """
import resource, sys
import numpy as np
import numpy.testing  # now: no library can be loaded once memory is short
from crispvl import Model, OutOfMemoryError

model = Model.load(sys.argv[1], device="cpu", threads=1)
tile_px = model.config["vision"]["tile_px"]
tiles = np.zeros((2, tile_px, tile_px, 3), np.uint8)
expected = model.encode(tiles)
many = np.zeros((1500, tile_px, tile_px, 3), np.uint8)
numbers = np.arange(1500, dtype="<u2").view(np.uint8).reshape(1500, 2)
many.reshape(1500, -1)[:, :2] = numbers  # no two tiles are alike
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
# Two tiles need no more than the heap keeps of the last ones, give or take a megabyte.
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 20), resource.RLIM_INFINITY))
sessions = []
many_sessions = lambda: sessions.extend(model.core.new_session(512) for _ in range(1000))
for work in (lambda: model.encode(many), many_sessions):
    try:
        work()
    except OutOfMemoryError as error:
        assert str(error).startswith("["), error
    else:
        raise AssertionError("there was memory enough")
sessions.clear()
np.testing.assert_array_equal(model.encode(tiles), expected)
print("usable")
"""


@linux_only
def test_memory_that_runs_out_is_an_error_and_the_model_goes_on(tiny: Path) -> None:
    found = run_python(SHORT_OF_MEMORY, tiny)
    assert found.stdout == "usable\n", found.stderr


SHORT_OF_ADDRESSES = """
import resource, sys
from crispvl.__main__ import main
import crispvl.cli

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
most = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (used + (int(sys.argv[1]) << 20), most))
sys.argv[1:] = ["recognize", "page.png"]
sys.exit(main())
"""


@linux_only
@pytest.mark.parametrize("n_mib", [40, 80, 120, 140])
def test_a_command_whose_libraries_have_no_room_ends_in_words(n_mib: int) -> None:
    found = run_python(SHORT_OF_ADDRESSES, str(n_mib))
    assert found.returncode == 2, found.stderr
    assert found.stderr.startswith("crispvl: [memory] expected")
    assert found.stderr.count("\n") == 1


SHORT_OF_THREADS = """
import resource, sys
from crispvl import CrispVLError, Model

model = Model.load(sys.argv[1], device="cpu", threads=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
most = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20), most))
try:
    Model.load(sys.argv[1], device="cpu", threads=500)
except CrispVLError as error:
    print(error)
"""


@linux_only
def test_threads_that_the_system_does_not_start_are_an_error(tiny: Path) -> None:
    found = run_python(SHORT_OF_THREADS, tiny)
    assert "expected 500 threads; found that the system starts" in found.stdout, found.stderr


@linux_only
def test_memory_stays_flat_over_many_readings(tiny: Path) -> None:
    """The short form of `benchmarks/flat_memory.py`, whose figures are in docs/robustness.md."""
    script = ROOT / "benchmarks" / "flat_memory.py"
    if not script.is_file():
        pytest.skip("the benchmarks are not part of this tree")
    found = run_python(
        script.read_text(), "--model", tiny, "--readings", "300", "--max-kib", "1024"
    )
    assert found.returncode == 0, found.stdout + found.stderr
