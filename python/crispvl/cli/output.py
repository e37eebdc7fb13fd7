"""Where results are written: standard output, one file, or a folder with a file per image."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from crispvl.outputs import whole_file

SUFFIXES = {
    "text": ".txt",
    "markdown": ".md",
    "html": ".html",
    "csv": ".csv",
    "json": ".json",
    "jsonl": ".jsonl",
    "pdf": ".pdf",
}


@contextmanager
def open_output(path: Path | None, keep: Callable[[], bool] = lambda: True) -> Iterator[IO[str]]:
    """Opens a file as `whole_file` does, for text; None is standard output."""
    if path is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")
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
    """Returns a file per input: its name with another suffix, numbered where two would meet."""
    used: set[str] = set()
    paths = []
    for source in inputs:
        stem = Path(source).stem
        name, i = f"{stem}{suffix}", 1
        while name in used:
            i += 1
            name = f"{stem}-{i}{suffix}"
        used.add(name)
        paths.append(folder / name)
    return paths
