"""The wheel that `make wheel` has put into wheelhouse/, tried as a new user would."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = "crispvl/data/nano.gguf"
MAX_BYTES = 15 * 1000 * 1000  # without the model
RECEIPT = ROOT / "examples" / "receipt.png"
PAGE = ROOT / "examples" / "code.png"

is_x86_linux = sys.platform == "linux" and platform.machine() == "x86_64"
# A CPU of 2008, one of 2013: what qemu calls them, the core that each gets.
CPUS = [("Nehalem", "sse42"), ("Haswell", "avx2")]

READ = """
import sys
import crispvl
from crispvl.variants import HERE
if sys.argv[2] != "chosen":
    name = sys.argv[2]
    crispvl.__path__.insert(0, str(HERE if name == "baseline" else HERE / "variants" / name))
from crispvl import CrispOCR, _core
print(_core.__file__)
print(CrispOCR().recognize(sys.argv[1]).text)
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    found = list((ROOT / "wheelhouse").glob("crispvl-*.whl"))
    if not found:
        pytest.skip("wheelhouse/ holds no wheel; 'make wheel' builds one")
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what pip brings with it, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", wheel)
    return python


def run(*command: object, path: str = "") -> str:
    """Runs a program that finds no compiler, away from the sources."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=Path(sys.prefix),
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_stays_below_its_budget(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        n_bytes = sum(x.compress_size for x in archive.infolist() if x.filename != MODEL)
    assert n_bytes <= MAX_BYTES


def test_the_wheel_holds_its_licences_and_its_bill_of_materials(wheel: Path) -> None:
    found = {name.split(".dist-info/", 1)[-1] for name in names(wheel)}
    assert {"licenses/LICENSE", "licenses/THIRD_PARTY.md", "sboms/crispvl.cdx.json"} <= found
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("crispvl.cdx.json"))
        components = json.loads(archive.read(name))["components"]
    assert [component["name"] for component in components] == ["unicode", "ggml", "pybind11"]


@pytest.mark.skipif(sys.platform != "linux", reason="the tag of Linux' wheels")
def test_the_wheel_is_for_any_linux_with_its_glibc(wheel: Path) -> None:
    assert "manylinux_2_" in wheel.name


def test_nothing_of_ggml_lies_open_in_the_wheel(wheel: Path) -> None:
    libraries = [name for name in names(wheel) if Path(name).suffix in {".so", ".dll", ".dylib"}]
    assert {Path(name).name.split(".")[0] for name in libraries} <= {"_core", "_cpu"}


def test_a_new_user_reads_a_receipt_without_a_compiler(python: Path) -> None:
    command = python.with_name("crispvl")
    expected = RECEIPT.with_suffix(".txt").read_text(encoding="utf-8")
    read = run(command, "recognize", RECEIPT).splitlines()  # an empty line separates blocks
    assert [line for line in read if line] == expected.splitlines()


def test_doctor_names_the_core_and_what_would_be_faster(python: Path) -> None:
    found = json.loads(run(python.with_name("crispvl"), "doctor", "--json"))
    assert found["variant"]["name"] != "native"
    assert "crispvl-cuda is not installed" in found["variant"]["cuda"]
    assert found["bundled_model"]["state"] == "intact"


@pytest.mark.skipif(not is_x86_linux, reason="the variants of x86-64")
def test_every_core_that_runs_here_reads_the_same(python: Path) -> None:
    program = (
        "from crispvl import _cpu; print(*[n for n, missing in _cpu.variants() if not missing])"
    )
    fitting = run(python, "-c", program).split()
    texts = set()
    for name in ["baseline", *fitting]:
        module, text = run(python, "-c", READ, PAGE, name).split("\n", 1)
        assert ("variants" not in module) if name == "baseline" else (f"/{name}/" in module)
        texts.add(text)
    assert len(texts) == 1


@pytest.mark.skipif(not is_x86_linux, reason="the variants of x86-64")
@pytest.mark.parametrize(("cpu", "variant"), CPUS)
def test_older_cpus_read_with_the_core_that_they_can_run(
    cpu: str, variant: str, python: Path
) -> None:
    emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if emulator is None:
        pytest.skip("needs qemu-user to be another CPU")
    module, text = run(emulator, "-cpu", cpu, python, "-c", READ, PAGE, "chosen").split("\n", 1)
    assert f"/variants/{variant}/" in module
    assert text == run(python, "-c", READ, PAGE, "chosen").split("\n", 1)[1]
