"""The package and the core are rooms: what a folder imports is below it, never above."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from .conftest import ROOT

PACKAGE = ROOT / "python" / "crispvl"
CORE = ROOT / "csrc"

Imports = Mapping[str, set[str]]
"""By file, what it imports: paths below the package or the core, without their suffix."""


def python_imports() -> Imports:
    modules = {_module(path): path for path in PACKAGE.rglob("*.py")}
    return {name: set(_imported(path, modules)) for name, path in modules.items()}


def _module(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__")


def _imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yields every module that a file imports anywhere, for its types alone too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            root, _, inner = name.partition(".")
            place = inner.replace(".", "/")
            if root == "crispvl" and inner and not inner.startswith("_c"):  # the extensions
                yield place if place in modules else place.rpartition("/")[0] or "__init__"


def core_includes() -> Imports:
    """A header and its source count as one; the test programs are left out."""
    if not CORE.is_dir():
        pytest.skip("this tree has no sources of the core")
    units: dict[str, set[str]] = {}
    for path in CORE.rglob("*"):
        unit = path.relative_to(CORE).with_suffix("").as_posix()
        if path.suffix in {".h", ".cpp"} and not unit.startswith("tests/"):
            found = re.findall(r'^#include "(.+)\.h"', path.read_text("utf-8"), re.MULTILINE)
            own = {name for name in found if (CORE / f"{name}.h").is_file()}
            units.setdefault(unit, set()).update(own - {unit})
    return units


def by_room(imports: Imports) -> Imports:
    """The same between rooms: the folders at the top, and each file beside them."""
    rooms: dict[str, set[str]] = {}
    for name, imported in imports.items():
        room = name.split("/")[0]
        others = {other.split("/")[0] for other in imported}
        rooms.setdefault(room, set()).update(others - {room})
    return rooms


def circle(imports: Imports) -> list[str]:
    """Returns a way along imports that comes back to where it began; none where there is none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        done.add(name)
        return next(filter(None, (walk(to, [*way, name]) for to in sorted(imports[name]))), [])

    return next(filter(None, (walk(name, []) for name in sorted(imports))), [])


@pytest.mark.parametrize("read", [python_imports, core_includes])
def test_no_room_imports_one_that_leads_back_to_it(read: Callable[[], Imports]) -> None:
    rooms = by_room(read())
    assert len(rooms) > 8
    assert circle(rooms) == []


@pytest.mark.parametrize("read", [python_imports, core_includes])
def test_no_file_imports_one_that_leads_back_to_it(read: Callable[[], Imports]) -> None:
    assert circle(read()) == []


def test_a_circle_is_found_however_long() -> None:
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"a"}}) == ["a", "b", "d", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
