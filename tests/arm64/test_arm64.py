"""What `make arm64` has built for 64-bit ARM, run under qemu-user."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "arm64"
LIBRARY = BUILT / "cmake" / "library" / "libcrispvl.so"
KERNELS = BUILT / "csrc" / "tests" / "kernels"
COMPILER = "aarch64-linux-gnu-gcc"
SYSROOT = Path("/usr/aarch64-linux-gnu")  # where Debian's cross compiler keeps its libraries
MODEL = ROOT / "python" / "crispvl" / "data" / "nano.gguf"
#: CPUs that qemu can be, and the kernels that they run.
CPUS = {
    "cortex-a72": ["neon"],
    "neoverse-n1": ["neon", "neon_dotprod"],
    "max": ["neon", "neon_i8mm"],
}


def emulated(cpu: str, *command: str | Path) -> list[str | Path]:
    return ["qemu-aarch64", "-cpu", cpu, "-L", SYSROOT, *command]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C example, linked with that library."""
    if not LIBRARY.exists():
        pytest.skip("build/arm64 holds no library; 'make arm64' builds one")
    if shutil.which(COMPILER) is None or shutil.which("qemu-aarch64") is None:
        pytest.skip(f"needs {COMPILER} and qemu-aarch64")
    program = tmp_path_factory.mktemp("arm64") / "recognize"
    source = ROOT / "examples" / "c" / "recognize.c"
    folder = LIBRARY.parent
    paths = (f"-I{ROOT / 'csrc' / 'include'}", f"-L{folder}", f"-Wl,-rpath,{folder}")
    subprocess.run([COMPILER, source, *paths, "-lcrispvl", "-o", program], check=True)
    return program


@pytest.mark.parametrize("cpu", CPUS)
def test_kernels_of_a_cpu_compute_what_plain_sums_do(program: Path, cpu: str) -> None:
    check = subprocess.run(emulated(cpu, KERNELS), capture_output=True, text=True, timeout=600)
    assert check.stdout.splitlines() == CPUS[cpu]
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize("cpu", CPUS)
def test_a_receipt_is_read_on_arm(program: Path, cpu: str) -> None:
    image = ROOT / "examples" / "receipt.png"
    command = emulated(cpu, program, MODEL, image)
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    assert read.stdout.split() == image.with_suffix(".txt").read_text().split()


def test_a_wrong_file_is_refused_on_arm(program: Path) -> None:
    image = ROOT / "examples" / "receipt.png"
    command = emulated("max", program, image, image)
    read = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert read.returncode == 1
    assert "does not begin with 'GGUF'" in read.stderr
