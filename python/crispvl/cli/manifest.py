"""Which document each file of a folder holds, so that a later run goes on where one ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from crispvl.cli.records import check_same, write_whole
from crispvl.cli.spellings import document_key
from crispvl.file_lock import open_locked
from crispvl.inputs.images import source_name
from crispvl.inputs.utf8 import path_name
from crispvl.inputs.versions import was_changed
from crispvl.results.outputs import naming


def made_folder(name: str | os.PathLike[str]) -> Path:
    """Returns a folder for outputs, which is made if it is not there.

    Raises:
        ValueError: It is a file.
    """
    folder = Path(name)
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"[output] expected a folder; found the file '{folder}'; choose another name"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Manifest:
    """The list of a folder's outputs: a hidden file of JSON Lines. Use it as a context.

    One run writes into a folder at a time, as into a file. What is no line of the list, such as the
    end of a run that was killed, is passed over: the document is read again.

    Args:
        folder: Where the outputs are.

    Raises:
        ValueError: Another run writes into the folder.
    """

    NAME = ".crispvl.jsonl"

    def __init__(self, folder: Path) -> None:
        self._path = folder / self.NAME
        self._file = open_locked(self._path, folder)
        self._file.seek(0)
        self._by_output: dict[str, Mapping[str, Any]] = {}
        for line in self._file.read().splitlines():
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry["source"], str) and isinstance(entry["output"], str):
                    self._by_output[entry["output"]] = entry

    def has(self, output: str, source: str) -> bool:
        """Returns whether a file holds a document."""
        entry = self._by_output.get(path_name(output))
        return entry is not None and document_key(entry["source"]) == document_key(
            source_name(source)
        )

    def has_another(self, output: str, source: str) -> bool:
        """Returns whether a file holds another document."""
        return path_name(output) in self._by_output and not self.has(output, source)

    def was_changed(self, output: str, version: str) -> bool:
        """Returns whether a file holds another version of its document."""
        return was_changed(self._by_output[path_name(output)].get("version"), version)

    def check_same(self, outputs: Iterable[str], facts: Mapping[str, Any]) -> None:
        """Raises ValueError where one of the files was made with another model or settings."""
        names = map(path_name, outputs)
        found = [self._by_output[name] for name in names if name in self._by_output]
        check_same(self._path, found, facts)

    def add(self, source: str, version: str, output: str, facts: Mapping[str, Any]) -> None:
        """Notes that a file holds a document, whole."""
        names = {"source": source_name(source), "version": version, "output": path_name(output)}
        line = json.dumps({**names, **facts}, ensure_ascii=False)
        with naming(self._path):
            write_whole(self._file, f"{line}\n".encode())

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        if os.fstat(self._file.fileno()).st_size == 0:
            with suppress(OSError):  # Windows removes no file that is open
                self._path.unlink()
        self._file.close()
