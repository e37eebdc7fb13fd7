"""The C library, built and installed once per run into build/capi, as an embedder would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "capi"


@pytest.fixture(scope="session")
def prefix() -> Path:
    """An install prefix with the library; CRISPVL_PREFIX names one that is there already."""
    if given := os.environ.get("CRISPVL_PREFIX"):
        return Path(given)
    if not shutil.which("cmake") or not shutil.which("ninja"):
        pytest.skip("no cmake and ninja to build the C library with")
    if not (ROOT / "csrc").is_dir():
        pytest.skip("no sources: the tests of an installed wheel run without the C library")
    build, installed = BUILD, BUILD / "prefix"
    options = ["-DCRISPVL_PYTHON=OFF", "-DCRISPVL_LIBRARY=ON", "-DCRISPVL_WERROR=ON"]
    options.append("-DCRISPVL_STRESS=ON")
    options.append(f"-DPython_EXECUTABLE={sys.executable}")
    run(
        "cmake",
        "-S",
        ROOT,
        "-B",
        build,
        "-G",
        "Ninja",
        f"-DPython_EXECUTABLE={sys.executable}",
        *options,
    )
    run("cmake", "--build", build)
    run("cmake", "--install", build, "--prefix", installed)
    return installed


@pytest.fixture(scope="session")
def build(prefix: Path) -> Path:
    """The folder that the library was built in."""
    if not (BUILD / "build.ninja").is_file():
        pytest.skip("the library was not built here")
    return BUILD


@pytest.fixture(scope="session")
def programs(build: Path) -> Path:
    """The folder of the stress programs."""
    if sys.platform == "win32":
        pytest.skip("the programs are for systems with POSIX threads and allocators")
    run("cmake", "--build", build, "--target", "stress")
    return build / "csrc" / "tests"


@pytest.fixture(scope="session")
def library_path(prefix: Path) -> Path:
    """The shared library."""
    names = ("lib/libcrispvl.so", "lib64/libcrispvl.so", "lib/libcrispvl.dylib", "bin/crispvl.dll")
    found = [prefix / name for name in names if (prefix / name).exists()]
    assert found, f"no shared library below {prefix}"
    return found[0]


@pytest.fixture(scope="session")
def library(library_path: Path) -> Library:
    """The C API as Python functions."""
    return Library(library_path)


@pytest.fixture(scope="session")
def nano() -> Path:
    """The bundled model."""
    from crispvl.hub import bundled

    if not bundled.path().is_file():
        pytest.skip("this tree has no bundled model")
    return bundled.path()


@pytest.fixture(scope="session")
def model(library: Library, nano: Path) -> LoadedModel:
    """The bundled model, loaded by the C library."""
    return library.load(path=str(nano))


def run(*command: object) -> str:
    """Runs a program; its output becomes the failure's text."""
    process = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.returncode == 0, f"{command}\n{process.stdout}"
    return process.stdout


from capi_library import Library, LoadedModel  # noqa: E402  (needs the path above)
