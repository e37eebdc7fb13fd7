"""Everything that the README tells to type, in a fresh clone and an empty environment."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
from python.readme_blocks import blocks, local_hub  # noqa: E402

ADDRESS = "http://127.0.0.1:8000"


@pytest.mark.skipif(
    not list((ROOT / "wheelhouse").glob("crispvl-*.whl")),
    reason="it compiles everything; 'make wheel' runs it",
)
def test_the_readme_works_on_a_fresh_machine(tmp_path: Path) -> None:
    clone = tmp_path / "crispvl"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    with local_hub(tmp_path / "hub") as environment:
        for block in blocks("bash"):
            for line in block.splitlines():
                if line.endswith("pytest"):
                    continue  # this is it
                if "crispvl serve" in line:
                    serve(line, clone, environment)
                    continue
                subprocess.run(["bash", "-ec", line], cwd=clone, env=environment, check=True)
        code = "\n".join(blocks("python"))
        python = clone / ".venv" / "bin" / "python"
        told = subprocess.run([python, "-c", code], cwd=clone, check=True, capture_output=True)
    assert told.stdout.count(b"CORNER CAFE") == 2


def serve(line: str, clone: Path, environment: dict[str, str]) -> None:
    """Runs the line until its page has answered."""
    server = subprocess.Popen(["bash", "-ec", f"exec {line}"], cwd=clone, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(ADDRESS) as answer:
                    assert b"crispvl" in answer.read()
                return
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        server.terminate()
        server.wait()
