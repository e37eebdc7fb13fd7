"""Where results are written: standard output, one file, or a folder with a file per image."""

from __future__ import annotations

import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from crispvl.results.formats import FORMATS
from crispvl.results.outputs import whole_file


def parse_formats(text: str) -> tuple[str, ...]:
    """Reads formats with commas between.

    Raises:
        ValueError: One is not known, or there is none.
    """
    formats = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(
            f"[--format] formats of {', '.join(sorted(FORMATS))} are expected, with commas "
            f"between; found {unknown[0]!r}; change it"
        )
    return formats


@contextmanager
def open_output(path: Path | None, keep: Callable[[], bool] = lambda: True) -> Iterator[IO[str]]:
    """Opens a file as `whole_file` does, for text; None is standard output."""
    if path is None:
        yield sys.stdout
        return
    with whole_file(path, keep) as file, io.TextIOWrapper(file, encoding="utf-8") as stream:
        yield stream


def write_json(stream: IO[str], value: Any, indent: int | None) -> None:
    """Writes one JSON value and a line break."""
    json.dump(value, stream, ensure_ascii=False, indent=indent)
    stream.write("\n")
    stream.flush()


def names_in_folder(folder: Path, inputs: Sequence[str], suffix: str) -> list[Path]:
    """Returns a file per input: its name with another suffix.

    Where several share a name, a hash of its path follows each: an input that is added later, or
    put elsewhere in the row, must not be given the file of another.
    """
    shared = Counter(Path(source).stem.casefold() for source in inputs)
    paths = []
    for source in inputs:
        name = Path(source).stem
        if shared[name.casefold()] > 1:
            name += f"-{sha256(os.fsencode(source)).hexdigest()[:8]}"
        paths.append(folder / f"{name}{suffix}")
    return paths
