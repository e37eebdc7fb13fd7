"""What the pages about the code name is there: files by the end of their path, names by a word."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from .conftest import ROOT

FOLDERS = ("benchmarks", "cmake", "csrc", "docs", "fuzz", "models", "python", "tests")
SUFFIXES = {".py", ".pyi", ".h", ".cpp", ".c", ".md", ".j2", ".txt", ".cmake", ".json", ".toml"}
PAGES = ("architecture.md", "howto/*.md", "decisions/*.md")

FILE = re.compile(r"[\w*./-]+\.(?:py|h|cpp|md|j2|cmake|txt|json)")
NAME = re.compile(r"[A-Za-z_]\w*(?:(?:\.|::)[A-Za-z_]\w*)*(?:\(…?\))?")

EXAMPLES = {
    "input_format.md": {"djvu.py"},
    "output_format.md": {"words.py", "to_words"},
    "cpu_kernel.md": {"row_sum.h", "row_sum"},
}
"""By page, what its reader is going to write."""


@cache
def files() -> tuple[str, ...]:
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    return tuple(
        path.relative_to(ROOT).as_posix() for path in found if path.suffix in SUFFIXES
    ) + tuple(path.name for path in ROOT.iterdir() if path.is_file())


@cache
def words() -> frozenset[str]:
    """Every word of the sources, and of the settings beside them."""
    sources = [name for name in files() if not name.endswith(".md")]
    text = "\n".join((ROOT / name).read_text("utf-8", errors="replace") for name in sources)
    return frozenset(re.findall(r"\w+", text))


def missing(page: Path) -> list[str]:
    """Returns the names in backticks that nothing in the tree has."""
    prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"`([^`\n]+)`", prose)) - EXAMPLES.get(page.name, set())
    return sorted(name for name in named if not is_there(name))


def is_there(name: str) -> bool:
    """Whether a name is that of a file or a word of the sources; true for what is neither."""
    if FILE.fullmatch(name):
        pattern = re.compile("(?:^|/)" + re.escape(name).replace(r"\*", "[^/]*") + "$")
        return any(map(pattern.search, files()))
    if NAME.fullmatch(name):
        return all(word in words() for word in re.findall(r"[A-Za-z_]\w*", name))
    return True


@pytest.mark.parametrize(
    "page",
    [path for pattern in PAGES for path in sorted((ROOT / "docs").glob(pattern))],
    ids=lambda path: path.stem,
)
def test_what_a_page_about_the_code_names_is_there(page: Path) -> None:
    assert missing(page) == []


def test_the_map_has_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    package = [path for path in (ROOT / "python" / "crispvl").iterdir() if path.suffix != ".pyi"]
    rooms = {path.stem for path in package if not path.name.startswith(("_", "py.typed"))}
    assert {room for room in rooms - {"data"} if f"`{room}`" not in text} == set()
    core = {path.name for path in (ROOT / "csrc").iterdir() if path.is_dir()} - {"tests"}
    assert {room for room in core if f"csrc/{room}/" not in text} == set()


def test_a_name_that_nothing_has_is_noticed(tmp_path: Path) -> None:
    page, name = tmp_path / "page.md", "none" + "such"
    page.write_text(f"`Engine.submit(…)` `engine.py` `Engine.{name}()` `{name}.py` `a b`")
    assert missing(page) == [f"Engine.{name}()", f"{name}.py"]
