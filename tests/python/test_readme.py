"""The README's commands and code run as written, with this installation.

`tests/wheel/test_readme.py` runs them in an empty environment, compiling included.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from .readme_blocks import CHECKPOINT, README, ROOT, blocks, local_hub

pytestmark = pytest.mark.skipif(
    not (README.is_file() and CHECKPOINT.is_dir()), reason="this tree has no README or checkpoint"
)
SERVING = re.compile(r"serving .* at (http://\S+)")


def commands() -> list[list[str]]:
    """Each command of each line, without its comment."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    parts = [part for line in lines for part in line.split("&&")]
    return [shlex.split(part, comments=True) for part in parts]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "clone" / "examples")
    return tmp_path / "clone"


def test_the_readmes_commands_run(clone: Path) -> None:
    pytest.importorskip("huggingface_hub")
    pytest.importorskip("uvicorn")
    ran, said = [], []
    with local_hub(clone / "hub") as environment:
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        for words in commands():
            if words[0] != ".venv/bin/crispvl":
                continue
            command = [sys.executable, "-m", "crispvl", *words[1:]]
            ran.append(words[1])
            if words[1] == "serve":
                serve(command, clone, environment)
                continue
            done = subprocess.run(
                command, cwd=clone, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{words}: {done.stderr}"
            said.append(done.stdout)
    assert ran == ["recognize", "serve", "convert", "recognize"]
    assert said[-1] == said[0], "the checkpoint, once converted, reads the page as the bundled file"
    assert (clone / "internvl3-1b.gguf").is_file()


def serve(command: list[str], clone: Path, environment: dict[str, str]) -> None:
    """Starts the server, at a free port, and looks at its page."""
    server = subprocess.Popen(
        [*command, "--port", "0"], cwd=clone, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        found = next(filter(None, map(SERVING.search, server.stderr)))
        with urllib.request.urlopen(found[1], timeout=60) as answer:
            assert b"crispvl" in answer.read()
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()


def test_the_readmes_code_runs(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("crispvl._core")
    monkeypatch.chdir(clone)
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), {})
    assert capsys.readouterr().out.count("CORNER CAFE") == 2


def test_the_extras_that_the_readme_installs_exist() -> None:
    tomllib = pytest.importorskip("tomllib")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    typed = " ".join(word for words in commands() for word in words)
    named = set(re.findall(r"(?:\.|crispvl)\[(.*?)\]", typed))
    assert {"server", "hub", "test"} <= named <= set(extras)


def test_the_readmes_tables_are_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    front_page = pytest.importorskip("front_page")
    text = README.read_text("utf-8")
    assert front_page.filled(text, front_page.RESULTS) == text
    assert "| `f32` |" in text
