"""``crispvl doctor``: what this installation can use, for people and for bug reports."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crispvl import variants
from crispvl._version import __version__
from crispvl.cli import DONE, UNUSABLE
from crispvl.cli.output import write_json
from crispvl.extras import EXTRAS, install_line
from crispvl.hub import bundled
from crispvl.hub.hashing import file_sha256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    found = report()
    if args.json:
        write_json(sys.stdout, found, indent=2)
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(found))
    return DONE if found["core"].get("error") is None else UNUSABLE


def report() -> dict[str, Any]:
    """Returns what there is, as JSON's types."""
    core: dict[str, Any]
    devices: list[dict[str, Any]]
    try:
        from crispvl._core import build_info
        from crispvl._core import devices as list_devices

        core, devices = build_info(), list_devices()
    except ImportError as error:
        core, devices = {"error": str(error)}, []
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "core": core,
        "variant": _variant(),
        "devices": devices,
        "model_cache": str(model_cache()),
        "bundled_model": _bundled_model(),
        "extras": {
            name: {"brings": extra.brings, "missing": extra.missing, "install": install_line(name)}
            for name, extra in EXTRAS.items()
        },
    }


def model_cache() -> Path:
    """Returns where models from the hub are kept, by huggingface_hub's environment variables."""
    home = os.environ.get("HF_HOME")
    if home is None:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()


def lines(found: Mapping[str, Any]) -> Iterable[str]:
    """Yields the report as text for people."""
    core = found["core"]
    yield f"crispvl        {found['version']}, Python {found['python']}, {found['platform']}"
    if "error" in core:
        yield f"core           missing: {core['error']}; install crispvl again"
    else:
        yield f"ggml           {core['ggml_version']} ({core['ggml_commit']})"
        yield f"backends       {', '.join(core['backends'])}"
        yield f"CPU features   {', '.join(core['features']) or 'none beyond the baseline'}"
        yield f"own kernels    {', '.join(core['kernels']) or 'none for this CPU'}"
        yield f"threads        {core['default_threads']} of {found['cpus']} logical CPUs"
        yield from _variant_lines(found["variant"])
    for i, device in enumerate(found["devices"]):
        title = "devices" if i == 0 else ""
        memory = f"{device['memory_free'] / 2**30:.1f} of {device['memory_total'] / 2**30:.1f} GiB"
        yield f"{title:<15}{device['name']}: {device['description']}, {memory} free"
    yield f"model cache    {found['model_cache']}"
    model = found["bundled_model"]
    yield f"bundled model  {model['path']}: {model['state']}"
    yield from _extra_lines(found["extras"])


def _variant() -> dict[str, Any]:
    choice = variants.chosen()
    return {
        "name": choice.name,
        "passed_over": list(choice.passed_over),
        "cuda": variants.why_no_cuda(),
        "nvidia_driver": variants.has_cuda_driver(),
    }


_WHY = {
    "native": "built from source for the CPU it was built on",
    "baseline": "made for every CPU of this architecture",
    "cuda": "from the package crispvl-cuda",
}


def _variant_lines(variant: Mapping[str, Any]) -> Iterable[str]:
    yield f"core           {variant['name']}: {_WHY.get(variant['name'], 'the best this CPU runs')}"
    faster = list(variant["passed_over"])
    if variant["cuda"] and variant["nvidia_driver"]:
        faster.append(f"cuda: {variant['cuda']}")
    for i, reason in enumerate(faster):
        yield f"{'faster' if i == 0 else '':<15}{reason}"


def _extra_lines(extras: Mapping[str, Any]) -> Iterable[str]:
    for title, is_present in (("extras here", True), ("extras absent", False)):
        chosen = [
            (name, extra) for name, extra in extras.items() if is_present != bool(extra["missing"])
        ]
        for i, (name, extra) in enumerate(chosen):
            how = "" if is_present else f"; {extra['install']}"
            yield f"{title if i == 0 else '':<15}{name:<12}{extra['brings']}{how}"


def _bundled_model() -> dict[str, Any]:
    model = bundled.path()
    if not model.is_file():
        return {"path": str(model), "state": "absent"}
    intact = file_sha256(model) == bundled.SHA256
    return {
        "path": str(model),
        "state": "intact" if intact else "altered",
        "bytes": model.stat().st_size,
    }
