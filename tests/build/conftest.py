"""A tiny ggml, published as a tiny package that pip can download from a folder."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESOLVER = ROOT / "third_party" / "ggml" / "resolve.py"
GGML_FILES = {
    "CMakeLists.txt": "set(GGML_VERSION_MAJOR 1)\nset(GGML_VERSION_MINOR 2)\n"
    "set(GGML_VERSION_PATCH 3)\n",
    "include/ggml.h": "#define GGML_TINY 1\n",
    "src/ggml.c": "int ggml_tiny;\n",
}
# Enough of a build backend for `pip download`: it only asks for name and version.
BACKEND = """
import pathlib

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = pathlib.Path(metadata_directory, "tiny_ggml-1.0.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: tiny-ggml\\nVersion: 1.0\\n")
    return folder.name

def build_wheel(*arguments):
    raise RuntimeError("a download must not build")
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.fixture(scope="session")
def resolver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ggml_resolver", RESOLVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Release:
    """An index folder with one source distribution, and the pin that fits it."""

    index: Path
    pin: Any
    pin_file: Path

    @property
    def archive(self) -> Path:
        return next(self.index.glob("*.tar.gz"))


def write_archive(path: Path, files: dict[str, str], links: dict[str, str] | None = None) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(text.encode()), 1_000_000_000
            tar.addfile(member, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)


def write_tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, newline="\n")
    return folder


@pytest.fixture
def release(resolver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """pip sees the index folder and nothing else; no vendored source is in the way."""
    index = tmp_path / "index"
    index.mkdir()
    archive = index / "tiny_ggml-1.0.tar.gz"
    package = {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "vendor/LICENSE": "MIT\n"}
    package |= {"PKG-INFO": "Metadata-Version: 2.1\nName: tiny-ggml\nVersion: 1.0\n"}
    package |= {f"vendor/ggml/{name}": text for name, text in GGML_FILES.items()}
    write_archive(archive, {f"tiny_ggml-1.0/{name}": text for name, text in package.items()})
    tree = write_tree(tmp_path / "expected", {**GGML_FILES, "LICENSE": "MIT\n"})
    pin = resolver.Pin(
        name="ggml",
        version="1.2.3",
        package="tiny-ggml",
        package_version="1.0",
        archive_sha256=resolver.file_sha256(archive),
        archive_folder="vendor/ggml",
        archive_license="vendor/LICENSE",
        tree_sha256=resolver.tree_sha256(tree),
    )
    pin_file = tmp_path / "pin.json"
    pin_file.write_text(json.dumps(vars(pin)))
    monkeypatch.setattr(resolver, "THIRD_PARTY", tmp_path / "third_party")
    # An empty configuration file: whatever index this machine's pip has, it is not asked.
    (tmp_path / "pip.conf").touch()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", index.as_uri())
    return Release(index, pin, pin_file)
