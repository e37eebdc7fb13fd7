"""What the fuzzers start from and what they once broke: results or errors, never a crash."""

from __future__ import annotations

import ctypes
import tarfile
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


def found(kind: str) -> Iterator[bytes]:
    """What reached code that the seeds do not reach."""
    with tarfile.open(FUZZ / "found.tar.xz") as archive:
        for member in archive:
            if member.name.startswith(f"{kind}/") and (stream := archive.extractfile(member)):
                yield stream.read()


@pytest.mark.parametrize(
    "path", list(files("corpus/model", "regressions")), ids=lambda path: path.name
)
def test_headers_load_and_read_or_are_refused(library: Library, path: Path) -> None:
    load_and_read(library, path.read_bytes())


def test_headers_that_the_fuzzers_found_load_and_read_or_are_refused(library: Library) -> None:
    read = [load_and_read(library, data) for data in found("model")]
    assert len(read) > 800
    assert 0 < sum(read) < len(read)


def load_and_read(library: Library, header: bytes) -> bool:
    """Whether a header is a model's; what is refused must say why."""
    data = header.ljust(N_BYTES, b"\0")
    try:
        model = library.load(
            data=ctypes.cast(data, ctypes.c_void_p), n_data_bytes=len(data), n_threads=1
        )
        model.recognize(image_of(bytes_of_a_page()), max_tiles=2, max_tokens=2)
    except CapiError as error:
        assert str(error).startswith("[")  # noqa: PT017
        return False
    return True


def bytes_of_a_page() -> bytes:
    return (FUZZ / "corpus" / "image" / "RGB.png").read_bytes()


def test_images_are_decoded_or_refused(library: Library, model: LoadedModel) -> None:
    n_read = 0
    for data in [*(path.read_bytes() for path in files("corpus/image")), *found("image")]:
        try:
            model.tile(image_of(data))
            n_read += 1
        except CapiError as error:
            assert str(error).startswith("[image]")  # noqa: PT017
    assert n_read > 10
