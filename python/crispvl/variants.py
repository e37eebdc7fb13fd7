"""Which of an installation's compiled cores this machine runs.

A wheel carries the core once per group of CPUs, in ``variants/NAME`` beside the baseline, because
ggml's kernels are compiled for one instruction set. The package ``crispvl-cuda`` adds one for
NVIDIA's GPUs. A build from source has only one core, for the CPU it was built on.

This is run by ``import crispvl``, so it imports little: what it seldom needs, where it is needed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


class Choice(NamedTuple):
    """The core that is imported, and why it is no faster one."""

    name: str
    """A variant's name, ``baseline``, ``native`` (built from source) or ``cuda``."""
    folder: Path
    passed_over: tuple[str, ...]
    """Faster variants, each with what it lacks here."""
    unfit_cuda: str
    """Why an installed ``crispvl-cuda`` is passed over; empty where none is."""


@functools.cache
def chosen() -> Choice:
    """Returns the fastest core that runs here."""
    folder, why_not = _find_cuda()
    if folder is not None:
        return Choice("cuda", folder, (), "")
    return choose_variant(_built_variants(), HERE, why_not)


def why_no_cuda() -> str:
    """Returns why the core is not ``cuda``; nothing when it is."""
    choice = chosen()
    if choice.name == "cuda":
        return ""
    return choice.unfit_cuda or f"crispvl-cuda is not installed ({_installation()})"


def choose_variant(
    built: list[tuple[str, tuple[str, ...]]], package: Path, unfit_cuda: str
) -> Choice:
    """Returns the last variant that lacks nothing, or what is in the package itself.

    Args:
        built: Slowest first, each with the features of its own that this CPU has not.
        package: The folder of crispvl.
        unfit_cuda: Why an installed ``crispvl-cuda`` was passed over.
    """
    passed_over: list[str] = []
    for name, missing in reversed(built):
        if not missing:
            return Choice(name, package / "variants" / name, tuple(passed_over), unfit_cuda)
        passed_over.append(f"{name}: this CPU has no {', '.join(missing)}")
    return Choice("baseline" if built else "native", package, tuple(passed_over), unfit_cuda)


@contextmanager
def explain(device: str) -> Iterator[None]:
    """Adds to a `DeviceError` why the core has no CUDA, where CUDA was asked for."""
    from crispvl.errors import DeviceError

    try:
        yield
    except DeviceError as error:
        from crispvl._core import build_info

        if device.lower().startswith("cuda") and "CUDA" not in build_info()["backends"]:
            raise DeviceError(f"{error}; {why_no_cuda()}") from None
        raise


def has_cuda_driver() -> bool:
    """Returns whether NVIDIA's driver can be loaded."""
    import ctypes

    try:
        ctypes.CDLL(CUDA_DRIVER)
    except OSError:
        return False
    return True


def _built_variants() -> list[tuple[str, tuple[str, ...]]]:
    try:
        from crispvl._cpu import variants
    except ImportError:  # a source tree without a build
        return []
    return variants()


def _find_cuda() -> tuple[Path | None, str]:
    """Returns the folder of a CUDA core that runs here, or None and why one is passed over."""
    spec = find_spec("crispvl_cuda")
    if spec is None or not spec.submodule_search_locations:
        return None, ""
    folder = Path(next(iter(spec.submodule_search_locations)))
    reason = _version_problem() or _machine_problem(folder / "build.json") or _load_problem(folder)
    return (None, reason) if reason else (folder, "")


def _installation() -> str:
    from crispvl._version import __version__

    return f"pip install crispvl-cuda=={__version__}"


def _version_problem() -> str:
    from importlib.metadata import PackageNotFoundError, version

    from crispvl._version import __version__

    try:
        found = version("crispvl-cuda")
    except PackageNotFoundError:
        found = "of an unknown version"
    if found == __version__:
        return ""
    return f"crispvl-cuda {found} does not belong to crispvl {__version__} ({_installation()})"


def _machine_problem(build: Path) -> str:
    """Returns what the CUDA core was built for and is not here."""
    import ctypes
    import json

    from crispvl._cpu import features

    needs = json.loads(build.read_text(encoding="utf-8"))
    if missing := set(needs["cpu_features"]) - set(features()):
        return f"crispvl-cuda needs a CPU with {', '.join(sorted(missing))}"
    try:
        driver = ctypes.CDLL(CUDA_DRIVER)
    except OSError:
        return f"crispvl-cuda is installed, NVIDIA's driver is not ({CUDA_DRIVER} was not found)"
    supported = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(supported)) or supported.value < needs["cuda"]:
        return (
            f"crispvl-cuda needs a driver for CUDA {_dotted(needs['cuda'])}, the installed one "
            f"supports {_dotted(supported.value)}; update NVIDIA's driver"
        )
    return ""


def _load_problem(folder: Path) -> str:
    """Returns which of CUDA's libraries is missing; they come in wheels of their own."""
    import ctypes
    import sysconfig

    try:
        ctypes.CDLL(str(folder / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"))
    except OSError as error:
        return f"crispvl-cuda cannot be loaded ({error}); install it again ({_installation()})"
    return ""


def _dotted(cuda_version: int) -> str:
    """Returns 12.4 for 12040, the form of cuDriverGetVersion."""
    return f"{cuda_version // 1000}.{cuda_version % 1000 // 10}"
