"""What the fuzzers start from and what they once broke: results or errors, never a crash."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from capi_library import CapiError, Library, LoadedModel, image_of
from conftest import ROOT

FUZZ = ROOT / "fuzz"
N_BYTES = 3 << 19  # as fuzz_capi.cpp fills a header up with zeros


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((FUZZ / folder).iterdir())


@pytest.mark.parametrize(
    "path", list(files("corpus/model", "regressions")), ids=lambda path: path.name
)
def test_headers_load_and_read_or_are_refused(library: Library, path: Path) -> None:
    data = path.read_bytes().ljust(N_BYTES, b"\0")
    try:
        model = library.load(
            data=ctypes.cast(data, ctypes.c_void_p), n_data_bytes=len(data), n_threads=1
        )
        model.recognize(image_of(bytes_of_a_page()), max_tiles=2, max_tokens=2)
    except CapiError as error:
        assert str(error).startswith("[")  # noqa: PT017


def bytes_of_a_page() -> bytes:
    return (FUZZ / "corpus" / "image" / "RGB.png").read_bytes()


def test_images_are_decoded_or_refused(library: Library, model: LoadedModel) -> None:
    n_read = 0
    for path in files("corpus/image"):
        try:
            model.tile(image_of(path.read_bytes()))
            n_read += 1
        except CapiError as error:
            assert str(error).startswith("[image]")  # noqa: PT017
    assert n_read > 10
