"""A disk that is full in the middle of a file: an error that says so, and no half file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .conftest import run_python

pytest.importorskip("resource", reason="no limit on the size of files on this system")

# A file may have no more than the given bytes; further ones fail as on a full disk.
LIMIT = """
import resource, signal, sys
from crispvl.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_conversion_on_a_full_disk_leaves_the_old_file(
    kept: float, checkpoint: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"the old file")
    n_bytes = int(kept * tiny.stat().st_size)
    found = run_python(
        LIMIT, n_bytes, "convert", "--model", checkpoint, "--output", out, "--dtype", "f16"
    )
    assert found.returncode == 2, found.stderr
    assert "File too large" in found.stderr
    assert "Traceback" not in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]
    assert out.read_bytes() == b"the old file"


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_quantisation_on_a_full_disk_leaves_the_old_file(
    kept: float, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"the old file")
    n_bytes = int(kept * tiny.stat().st_size / 2)
    found = run_python(LIMIT, n_bytes, "quantize", tiny, out, "q8_0")
    assert found.returncode == 2, found.stderr
    assert "File too large" in found.stderr
    assert "Traceback" not in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]
    assert out.read_bytes() == b"the old file"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux'")
def test_results_on_a_full_disk_are_an_error(tiny: Path, tmp_path: Path) -> None:
    program = "import sys; from crispvl.cli import main; sys.exit(main(['doctor', '--json']))"
    import subprocess

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
