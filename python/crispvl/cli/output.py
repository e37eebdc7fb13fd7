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

from crispvl.cli.manifest import Manifest
from crispvl.inputs.data_uri import is_data_uri
from crispvl.results.formats import FORMATS, nearest_format
from crispvl.results.outputs import whole_file


def parse_formats(text: str) -> tuple[str, ...]:
    """Reads formats with commas between.

    Raises:
        ValueError: One is not known, or there is none.
    """
    formats = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        nearest = nearest_format(unknown[0])
        raise ValueError(
            f"[--format] expected formats of {', '.join(sorted(FORMATS))}, with commas between; "
            f"found {unknown[0]!r}; {f'did you mean {nearest}?' if nearest else 'change it'}"
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


def names_in_folder(
    folder: Path, inputs: Sequence[str], suffix: str, known: Manifest | None = None
) -> list[Path]:
    """Returns a file per input: its name with another suffix.

    Where several would have one name, or it is another document's, a hash of the input's path
    follows it: an input that is added later, or put elsewhere in the row, must not be given the
    file of another.

    Args:
        folder: Where they are.
        inputs: Files that are read, each once.
        suffix: Of the names.
        known: Files that hold documents already.
    """
    digests = [""] * len(inputs)
    while True:
        names = [
            _with_suffix(_stem(source), digest, suffix)
            for source, digest in zip(inputs, digests, strict=True)
        ]
        shared = Counter(map(str.casefold, [*names, Manifest.NAME]))
        unclear = [
            i
            for i, name in enumerate(names)
            if not digests[i]
            and (shared[name.casefold()] > 1 or (known and known.has_another(name, inputs[i])))
        ]
        if not unclear:
            return [folder / name for name in names]
        for i in unclear:
            digests[i] = f"-{sha256(os.fsencode(inputs[i])).hexdigest()[:8]}"


def output_name(source: str, suffix: str) -> str:
    """Returns what a document's output is called: its name with another suffix."""
    return _with_suffix(_stem(source), "", suffix)


def _stem(source: str) -> str:
    if source == "-":
        return "stdin"
    return "image" if is_data_uri(source) else Path(source).stem


_MAX_NAME_BYTES = 255
"""What common file systems allow."""


def _with_suffix(stem: str, digest: str, suffix: str) -> str:
    """Returns a name; of one that would be too long, the stem is cut and completed by a hash."""
    room = _MAX_NAME_BYTES - len(f"{digest}{suffix}")
    raw = os.fsencode(stem)
    if len(raw) > room:
        digest = digest or f"-{sha256(raw).hexdigest()[:8]}"
        room = _MAX_NAME_BYTES - len(f"{digest}{suffix}")
        stem = os.fsdecode(raw[:room].decode("utf-8", "ignore").encode())
    return f"{stem}{digest}{suffix}"
