"""What the source distribution and the bill of materials hold; tests/wheel has the wheel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT

PINS = [ROOT / "third_party" / name / "pin.json" for name in ("ggml", "stb")]


def make_sbom(path: Path) -> dict[str, Any]:
    command = [sys.executable, ROOT / "third_party" / "make_sbom.py", path]
    for pin in PINS:
        command += ["--pin", pin]
    subprocess.run([*command, "--with", "pybind11=3.1=BSD-3-Clause"], check=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_bill_of_materials_holds_every_pin_with_its_hash(tmp_path: Path) -> None:
    bill = make_sbom(tmp_path / "sbom.json")
    version = bill["metadata"]["component"]["version"]
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text()
    found = {c["name"]: c for c in bill["components"]}
    assert list(found) == ["unicode", "ggml", "stb", "pybind11"]
    for pin in (json.loads(path.read_text()) for path in PINS):
        assert found[pin["name"]]["version"] == pin["version"]
        assert found[pin["name"]]["hashes"][0]["content"] == pin["tree_sha256"]
        (archive,) = found[pin["name"]]["externalReferences"]
        assert archive["hashes"][0]["content"] == pin["archive_sha256"]


def test_the_bill_of_materials_is_valid_and_always_the_same(tmp_path: Path) -> None:
    make_sbom(tmp_path / "a.json")
    make_sbom(tmp_path / "b.json")
    text = (tmp_path / "a.json").read_text()
    assert text == (tmp_path / "b.json").read_text()
    json_validators = pytest.importorskip(
        "cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed"
    )
    from cyclonedx.schema import SchemaVersion

    assert json_validators.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_everything_in_the_bill_of_materials_has_its_licence_text() -> None:
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (\S+)", text, re.MULTILINE))
    assert {"Unicode", "ggml", "pybind11", "stb_image"} <= sections


def test_the_source_distribution_is_reproducible(tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core", reason="needs scikit-build-core to build with")
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    program = (
        "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    )
    archives = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        subprocess.run([sys.executable, "-c", program, folder], cwd=ROOT, check=True)
        archives += folder.glob("*.tar.gz")
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"pyproject.toml", "csrc/include/crispvl.h", "python/crispvl/data/nano.gguf"} <= names
    assert not [name for name in names if name.startswith(("build/", ".github/")) or ".so" in name]
