"""The documentation as a site: it is built without a warning, and tells every public name."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import crispvl
import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"

pytestmark = pytest.mark.skipif(
    not (ROOT / "mkdocs.yml").is_file(), reason="this tree lacks the documentation"
)


def test_every_public_name_is_in_the_reference() -> None:
    told = set(re.findall(r"^::: ([\w.]+)", "\n".join(map(Path.read_text, pages())), re.MULTILINE))
    for name in crispvl.__all__:
        owner = getattr(getattr(crispvl, name, None), "__module__", None)
        assert f"crispvl.{name}" in told or owner in told or name == "__version__", name


def pages() -> list[Path]:
    return sorted(REFERENCE.glob("*.md"))


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings_handlers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("the extra docs is not installed")
    site = tmp_path / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    reading = (site / "reference" / "reading" / "index.html").read_text("utf-8")
    for name in ("recognize_many", "from_pretrained", "chat_stream", "extract", "CancelToken"):
        assert name in reading
