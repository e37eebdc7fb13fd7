"""What is optional says what it lacks, and the line that installs it."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import crispvl
import pytest
from crispvl.cli import main
from crispvl.errors import CrispVLError
from crispvl.extras import EXTRAS, LARGE, Extra, install_line, need, need_all

from .conftest import FakeModel

PACKAGE = Path(crispvl.__file__).parent
PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
DEPENDENCIES = {
    "PIL", "crispvl", "crispvl_cuda", "gguf", "jinja2", "numpy", "psutil", "pypdfium2", "tqdm",
}  # fmt: skip
BROUGHT_ALONG = {
    "anyio": "server", "fontTools": "ocrmypdf", "h11": "server",
    "jsonschema_specifications": "extract",
    "pydantic_core": "server", "referencing": "extract", "starlette": "server",
}  # fmt: skip
"""Packages that the packages of an extra need themselves."""
OTHERS = {"fsspec": "an address that pyarrow does not know says what to install"}
DOORS = ("server/", "batch/", "integrations/")
"""Rooms that are entered where a whole extra has been asked for, or by another program's plugin."""

Capture = pytest.CaptureFixture[str]


def optional_imports() -> Iterator[tuple[str, str]]:
    """Yields each import of a package that may be absent: the file, and the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                first = node.args[0]
                names = [first.value] if isinstance(first, ast.Constant) else []
            for name in names:
                root = str(name).partition(".")[0]
                if root not in DEPENDENCIES and root not in sys.stdlib_module_names:
                    yield path.relative_to(PACKAGE).as_posix(), root


def test_every_optional_import_is_of_a_package_that_an_extra_brings() -> None:
    known = {package for extra in EXTRAS.values() for package in extra.packages}
    known |= {*BROUGHT_ALONG, *OTHERS}
    assert {root for _, root in optional_imports()} <= known
    assert set(BROUGHT_ALONG.values()) <= set(EXTRAS)


def test_every_optional_import_is_behind_a_door_or_names_what_to_install() -> None:
    for file, package in optional_imports():
        if file.startswith(DOORS):
            continue
        text = (PACKAGE / file).read_text("utf-8")
        assert re.search(r"\b(need|need_all|install_line)\(", text), f"{file} imports {package}"


def test_every_module_that_is_asked_for_is_one_of_an_extra() -> None:
    for path in PACKAGE.rglob("*.py"):
        for module in re.findall(r'\bneed\("([\w.]+)"', path.read_text("utf-8")):
            assert any(module.partition(".")[0] in extra.packages for extra in EXTRAS.values())


def pull(core: FakeModel, page: Path) -> None:
    main(["pull", "org/repo"])


def serve(core: FakeModel, page: Path) -> None:
    main(["serve"])


def batch(core: FakeModel, page: Path) -> None:
    main(["batch", str(page), "--out", str(page.parent / "table")])


def batch_on_ray(core: FakeModel, page: Path) -> None:
    main(["batch", str(page), "--out", str(page.parent / "table"), "--engine", "ray"])


def write_pdf(core: FakeModel, page: Path) -> None:
    main(["recognize", str(page), "--format", "pdf", "-o", str(page.with_suffix(".pdf"))])


def score(core: FakeModel, page: Path) -> None:
    page.with_suffix(".txt").write_text("a")
    main(["eval", str(page.parent)])
    assert core.n_encoded == 0  # it is said before anything is read


def complete(core: FakeModel, page: Path) -> None:
    main(["completion", "bash"])


def extract(core: FakeModel, page: Path) -> None:
    crispvl.CrispOCR(page).extract(page, {"type": "object"})


def see_video(core: FakeModel, page: Path) -> None:
    from crispvl.inputs.video import video_frames

    video_frames("clip.mp4")


def open_heic(core: FakeModel, page: Path) -> None:
    page.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    main(["recognize", str(page)])


def read_bin(core: FakeModel, page: Path) -> None:
    from crispvl.convert.pytorch import read_pytorch

    read_pytorch(page)


def compare(core: FakeModel, page: Path) -> None:
    (page.parent / "config.json").write_text('{"model_type": "internvl"}')
    main(["verify", str(page), "--against", str(page.parent)])


def load_documents(core: FakeModel, page: Path) -> None:
    sys.modules.pop("crispvl.integrations.langchain", None)
    importlib.import_module("crispvl.integrations.langchain")


ASKED: dict[str, Callable[[FakeModel, Path], None]] = {
    "server": serve,
    "hub": pull,
    "ocrmypdf": write_pdf,
    "extract": extract,
    "heic": open_heic,
    "video": see_video,
    "batch": batch,
    "ray": batch_on_ray,
    "eval": score,
    "completion": complete,
    "langchain": load_documents,
    "torch": read_bin,
    "verify": compare,
}


@pytest.mark.parametrize("name", list(EXTRAS))
def test_who_lacks_an_extra_is_told_the_line_that_installs_it(
    name: str, core: FakeModel, page: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for package in EXTRAS[name].packages:
        if name != "verify" or package != "torch":
            for imported in [n for n in sys.modules if n.startswith(f"{package}.")]:
                monkeypatch.setitem(sys.modules, imported, None)
            monkeypatch.setitem(sys.modules, package, None)
    if name == "verify":  # torch alone is there
        monkeypatch.setitem(sys.modules, "torch", argparse)
    told = ""
    try:
        ASKED[name](core, page)
    except (ImportError, CrispVLError) as error:
        told = str(error)
    assert install_line(name) in told + capsys.readouterr().err


def test_who_lacks_torch_and_transformers_is_told_the_extra_that_brings_both(
    core: FakeModel, page: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for package in EXTRAS["verify"].packages:
        monkeypatch.setitem(sys.modules, package, None)
    compare(core, page)
    assert install_line("verify") in capsys.readouterr().err


def test_a_package_that_is_there_but_broken_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rapidfuzz").mkdir()
    (tmp_path / "rapidfuzz" / "__init__.py").write_text("raise ImportError('libfoo is missing')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "rapidfuzz"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(ImportError, match=r"libfoo is missing; run .*pip install 'crispvl"):
        need("rapidfuzz", "eval")


def test_an_extra_for_newer_pythons_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 9))
    assert install_line("ocrmypdf").endswith(" with Python 3.11 or newer")
    assert install_line("hub").endswith("pip install 'crispvl[hub]'")


def test_the_line_to_type_has_the_pip_of_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / ".venv" / "bin"
    scripts.mkdir(parents=True)
    pip = scripts / ("pip.exe" if os.name == "nt" else "pip")
    pip.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install_line("hub") == f"{pip} install 'crispvl[hub]'"
    monkeypatch.chdir(tmp_path)
    assert install_line("hub") == f"{pip.relative_to(tmp_path)} install 'crispvl[hub]'"
    monkeypatch.setenv("PATH", str(scripts))  # activated
    assert install_line("hub") == "pip install 'crispvl[hub]'"
    pip.unlink()
    assert install_line("hub") == "pip install 'crispvl[hub]'"


def test_an_extra_is_there_when_all_of_its_packages_are(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = Extra("", ("json", "no_such_package"))
    monkeypatch.setitem(EXTRAS, "both", extra)  # type: ignore[misc]
    assert extra.missing == ["no_such_package"]
    with pytest.raises(ImportError, match="expected the package no_such_package; found it missing"):
        need_all("both", "test")


@pytest.fixture
def extras() -> dict[str, list[str]]:
    tomllib = pytest.importorskip("tomllib")
    found: dict[str, list[str]] = tomllib.loads(PYPROJECT.read_text())["project"][
        "optional-dependencies"
    ]
    return found


def test_the_extras_that_are_told_are_those_that_pip_knows(extras: dict[str, list[str]]) -> None:
    assert {*EXTRAS, "all", "test", "lint", "docs", "dev"} == set(extras)


def test_all_holds_every_extra_but_the_large_ones(extras: dict[str, list[str]]) -> None:
    (line,) = extras["all"]
    assert set(re.findall(r"\w+", line)) - {"crispvl"} == set(EXTRAS) - LARGE


def test_doctor_tells_extras_that_are_here_and_those_that_are_not(
    core: FakeModel, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "shtab", argparse)
    with contextlib.suppress(SystemExit):
        main(["doctor"])
    here, absent = capsys.readouterr().out.split("extras absent  ")
    assert "completion  " in here.split("extras here")[1]
    assert f"frames of videos; {install_line('video')}" in absent
    main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)["extras"]
    assert found["video"]["missing"] == ["av"]
    assert set(found) == set(EXTRAS)


def test_without_the_hubs_package_no_models_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["list"]) == 0
    assert "the cache has no models" in capsys.readouterr().err
