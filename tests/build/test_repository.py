"""What git holds: no big file, no source of ggml, no address of a package index."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT

MAX_BYTES = 25 * 1000 * 1000
INDEX_HOSTS = re.compile(r"\b(?:[\w-]+\.)*py(?:pi|thonhosted)\.(?:org|io)\b|conda\.anaconda\.org")
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -v '.[test]' && .venv/bin/python -m pytest"
)


@pytest.fixture(scope="module")
def committed() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / os.fsdecode(name) for name in run.stdout.split(b"\0") if name]


def test_no_committed_file_is_over_25_megabytes(committed: list[Path]) -> None:
    assert not [path for path in committed if path.exists() and path.stat().st_size > MAX_BYTES]


def test_source_of_third_parties_is_not_committed(committed: list[Path]) -> None:
    folder = ROOT / "third_party"
    names = {path.name for path in committed if folder in path.parents}
    assert names == {"make_sbom.py", "pin.json", "resolve.py"}
    sources = {"ggml.c", "ggml.h", "llama.h", "stb_image.h"}
    assert not [path for path in committed if path.name in sources]


def test_packages_are_named_without_an_address_of_an_index(committed: list[Path]) -> None:
    for path in committed:
        if path.is_file() and path.suffix in {".py", ".toml", ".json", ".cmake", ".md", ".yml", ""}:
            assert not INDEX_HOSTS.search(path.read_text(encoding="utf-8", errors="replace")), path


def test_ci_runs_the_test_command_of_the_readme() -> None:
    if not (ROOT / ".ci").exists():
        pytest.skip("the source distribution has no .ci")
    assert TEST_COMMAND in (ROOT / "README.md").read_text(encoding="utf-8")
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    if os.name == "posix":
        assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR


def test_files_that_the_documentation_names_exist(committed: list[Path]) -> None:
    names = re.compile(r"`((?:python|csrc|tests|docs|benchmarks|cmake|models)/[\w./-]*[\w/])`")
    for page in committed:
        if page.suffix == ".md" and page.is_file():
            found = names.findall(page.read_text("utf-8"))
            missing = [name for name in found if not (ROOT / name).exists()]
            assert not missing, f"{page.relative_to(ROOT)} names {missing}"
