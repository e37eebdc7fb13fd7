"""Readers of their own for the workers, which import them by name; and small PDFs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "python")]


@pytest.fixture
def pdf(tmp_path: Path) -> Callable[[str, int], Path]:
    """Makes a PDF of blank pages whose width says which document it is."""
    import pypdfium2

    folder = tmp_path / "in"
    folder.mkdir()

    def make(name: str, n_pages: int, width: int = 200) -> Path:
        document = pypdfium2.PdfDocument.new()
        for _ in range(n_pages):
            document.new_page(width, 200)
        path = folder / name
        document.save(path)
        document.close()
        return path

    return make
