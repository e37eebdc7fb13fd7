"""What is optional: the extras of the package, what each brings, and the line that installs it."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Extra:
    """A group of packages that pip installs by one name.

    Attributes:
        brings: What becomes possible, for people.
        packages: What the group is imported as.
        python: The oldest Python that has these packages.
    """

    brings: str
    packages: tuple[str, ...]
    python: tuple[int, int] = (3, 10)

    @property
    def missing(self) -> list[str]:
        """Packages that are not here."""
        return [package for package in self.packages if not _is_here(package)]


EXTRAS: Mapping[str, Extra] = {
    "server": Extra(
        "crispvl serve: an OpenAI-compatible API and a web page",
        (
            "fastapi",
            "uvicorn",
            "pydantic",
            "prometheus_client",
            "pikepdf",
            "python_multipart",
            "sse_starlette",
        ),
    ),
    "hub": Extra("models by name from the Hugging Face hub", ("huggingface_hub",)),
    "ocrmypdf": Extra("searchable PDFs", ("ocrmypdf", "pikepdf", "img2pdf"), python=(3, 11)),
    "extract": Extra(
        "objects that follow a JSON schema or a pydantic model",
        ("llguidance", "jsonschema", "pydantic"),
    ),
    "heic": Extra("HEIC photographs", ("pi_heif",)),
    "video": Extra("frames of videos", ("av",)),
    "batch": Extra("crispvl batch: many documents into one table", ("pyarrow",)),
    "ray": Extra("crispvl batch on a cluster", ("ray", "pyarrow")),
    "eval": Extra("crispvl eval: error rates", ("rapidfuzz",)),
    "langchain": Extra("pages as LangChain documents", ("langchain_core",)),
    "completion": Extra("crispvl completion: commands and options on the tab key", ("shtab",)),
    "torch": Extra("checkpoints in PyTorch's own format (.bin)", ("torch",)),
    "verify": Extra("crispvl verify --against a checkpoint", ("transformers", "torch")),
}
"""In the order in which ``doctor`` lists them."""

LARGE = frozenset({"ray", "torch", "verify"})
"""What ``all`` leaves out: they are hundreds of megabytes and more."""


def install_line(extra: str) -> str:
    """Returns what to type for an extra, as this installation has it to be typed."""
    line = f"{_pip()} install 'crispvl[{extra}]'"
    least = EXTRAS[extra].python if extra in EXTRAS else (3, 10)
    if sys.version_info < least:
        line += " with Python {}.{} or newer".format(*least)
    return line


def _pip() -> str:
    """Returns this installation's pip: by its path in an environment that is not activated."""
    own = Path(sys.executable or "python").with_name("pip.exe" if os.name == "nt" else "pip")
    found = shutil.which("pip")
    if not own.is_file() or (found is not None and Path(found).parent == own.parent):
        return "pip"
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def need(module: str, where: str, instead: str = "") -> Any:
    """Imports a module of an optional package.

    Args:
        module: Its name.
        where: What needs it.
        instead: What else could be done, such as "pass a list of images".

    Raises:
        ImportError: It is not installed; the message has the line that installs it.
    """
    package = module.partition(".")[0]
    extra = next(name for name, extra in EXTRAS.items() if package in extra.packages)
    return _imported(module, extra, where, instead)


def need_all(extra: str, where: str) -> None:
    """Makes sure that all packages of an extra can be imported.

    Raises:
        ImportError: One is not installed; the message has the line that installs it.
    """
    for package in EXTRAS[extra].packages:
        _imported(package, extra, where)


def _imported(module: str, extra: str, where: str, instead: str = "") -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        absent = isinstance(error, ModuleNotFoundError) and error.name in {module, package}
        found = "it missing" if absent else str(error)
        alternative = f", or {instead}" if instead else ""
        raise ImportError(
            f"[{where}] expected the package {package}; found {found}; run "
            f"{install_line(extra)}{alternative}"
        ) from error


def _is_here(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # imported, and not as packages are
        return False
