"""The script for machines with a GPU, as far as it can be tried without one."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"


def test_without_its_parts_it_says_what_it_expects(tmp_path: Path) -> None:
    for arguments in ([], [str(tmp_path), str(tmp_path / "report.md")]):
        done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True)
        assert done.returncode == 2
        assert "expected a folder with wheels" in done.stderr
    assert not (tmp_path / "report.md").exists()


def test_what_fails_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "parts" / "wheels").mkdir(parents=True)
    report = tmp_path / "report.md"
    done = subprocess.run([SCRIPT, tmp_path / "parts", report, "cpu"], capture_output=True)
    assert done.returncode == 1
    text = report.read_text()
    assert text.index("## Installed") < text.index("**Failed") < text.index("## Speed")
