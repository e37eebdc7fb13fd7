"""Which compiled core is imported, and what is said about the faster ones."""

from __future__ import annotations

import ctypes
import json
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from crispvl import variants
from crispvl._version import __version__
from crispvl.errors import DeviceError

_cpu = pytest.importorskip("crispvl._cpu", reason="a source tree without a build")

BUILT = [("sse42", ()), ("avx2", ()), ("avx512", ("avx512f", "avx512bw"))]


def test_the_fastest_variant_that_lacks_nothing_is_chosen() -> None:
    choice = variants.choose_variant(BUILT, Path("package"), "no CUDA")
    assert choice.name == "avx2"
    assert choice.folder == Path("package", "variants", "avx2")
    assert choice.passed_over == ("avx512: this CPU has no avx512f, avx512bw",)
    assert choice.unfit_cuda == "no CUDA"


def test_a_cpu_that_fits_no_variant_gets_the_baseline() -> None:
    choice = variants.choose_variant([("sse42", ("sse4.2",))], Path("package"), "")
    assert (choice.name, choice.folder) == ("baseline", Path("package"))


def test_a_build_from_source_has_one_core() -> None:
    choice = variants.choose_variant([], Path("package"), "")
    assert (choice.name, choice.folder, choice.passed_over) == ("native", Path("package"), ())


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="reads Linux' list of flags"
)
def test_features_are_those_the_system_lists() -> None:
    line = next(x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("flags"))
    flags = set(line.split(":")[1].split())
    renamed = {"avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16", "avxvnni": "avx_vnni"}
    known = ["sse4.2", "avx", "f16c", "fma", "avx2", "bmi2", "avxvnni", "avx512f", "avx512cd"]
    known += ["avx512vl", "avx512dq", "avx512bw", "avx512vbmi", "avx512vnni", "avx512bf16"]
    expected = {name for name in known if renamed.get(name, name.replace(".", "_")) in flags}
    assert set(_cpu.features()) == expected


@pytest.fixture
def find_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., object]]:
    """Looks for an installed crispvl-cuda of the given kind."""

    def find(
        found: str = __version__,
        cpu_features: tuple[str, ...] = (),
        driver: int | None = 12040,
        missing: str = "",
    ) -> tuple[Path | None, str]:
        package = tmp_path / "crispvl_cuda"
        metadata = tmp_path / f"crispvl_cuda-{found}.dist-info"
        package.mkdir()
        metadata.mkdir()
        (package / "__init__.py").touch()
        build = {"cuda": 12040, "cpu_features": cpu_features}
        (package / "build.json").write_text(json.dumps(build))
        (metadata / "METADATA").write_text(f"Name: crispvl-cuda\nVersion: {found}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

        def load(name: str) -> object:
            if driver is None:
                raise OSError(name)
            if missing and "_core" in name:
                raise OSError(f"{missing}: cannot open shared object file")
            return SimpleNamespace(cuDriverGetVersion=lambda p: setattr(p._obj, "value", driver))

        monkeypatch.setattr(ctypes, "CDLL", load)
        return variants._find_cuda()

    yield find
    sys.modules.pop("crispvl_cuda", None)


def test_cuda_comes_before_every_cpu(find_cuda: Callable[..., object], tmp_path: Path) -> None:
    assert find_cuda() == (tmp_path / "crispvl_cuda", "")


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"driver": None}, "crispvl-cuda is installed, NVIDIA's driver is not"),
        ({"driver": 11080}, "a driver for CUDA 12.4, the installed one supports 11.8; update"),
        ({"found": "9.9"}, f"crispvl-cuda 9.9 does not belong to crispvl {__version__} (pip"),
        ({"missing": "libcublas.so.12"}, "cannot be loaded (libcublas.so.12: cannot open"),
        ({"cpu_features": ("levitation",)}, "crispvl-cuda needs a CPU with levitation"),
    ],
)
def test_cuda_that_cannot_run_here_is_passed_over_with_a_reason(
    find_cuda: Callable[..., tuple[Path | None, str]], machine: dict[str, object], reason: str
) -> None:
    folder, found = find_cuda(**machine)
    assert folder is None
    assert reason in found


def test_asking_for_cuda_without_it_fails_and_says_why() -> None:
    from crispvl import Model, _core
    from crispvl.hub import bundled

    if "CUDA" in _core.build_info()["backends"]:
        pytest.skip("this core has CUDA")
    with pytest.raises(DeviceError, match="crispvl-cuda"):
        Model.load(bundled.path(), device="cuda:0")
