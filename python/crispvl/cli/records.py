"""A file of JSON Lines, a record per page, that a later run can continue.

Each record is written whole and flushed at once, so that a run that is killed loses the page it was
at and no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crispvl.errors import DocumentError
from crispvl.results.outputs import whole_file

Record = Mapping[str, Any]


class RecordFile:
    """Records on their way to a file. Use it as a context.

    Args:
        path: The file; made if it is not there, and emptied unless ``resume`` is set.
        resume: Keep the records that are there, and know which pages they hold.
        retry_failed: Forget those among them that failed.

    Raises:
        DocumentError: The file holds something else than records.
    """

    def __init__(self, path: Path, resume: bool = False, retry_failed: bool = False) -> None:
        self._path = path
        self.found: list[Record] = []
        """The records that were there."""
        if resume and path.exists():
            self.found, n_bytes = _read(path)
            with path.open("r+b") as file:
                file.truncate(n_bytes)
            if retry_failed and any(record["error"] for record in self.found):
                self.found = [record for record in self.found if not record["error"]]
                _write(path, self.found)
        self._file = path.open("a" if resume else "w", encoding="utf-8")
        self._done = {(record["source"], record["number"]) for record in self.found}

    def holds(self, source: str, number: int | None = None) -> bool:
        """Returns whether a page was read before; without a number, that opening failed before."""
        return (source, number) in self._done

    @property
    def n_failed(self) -> int:
        """How many of the records found are of pages that failed."""
        return sum(record["error"] is not None for record in self.found)

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Raises ValueError where the records found were made otherwise than is going to be done.

        Args:
            facts: Fields that all records share: ``model`` and ``settings``.
        """
        for record in self.found:
            for name, value in facts.items():
                if record.get("model") is not None and record.get(name) != value:
                    raise ValueError(
                        f"[{self._path}] records of the same {name} are expected, so that they can "
                        f"be continued; found {_difference(record.get(name), value)}; give the "
                        "same options, or another output"
                    )

    def append(self, record: Record) -> None:
        """Writes a record, to the disk's own cache at least."""
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _read(path: Path) -> tuple[list[Record], int]:
    """Returns the whole records of a file and their bytes; a last line that is cut is left out."""
    records: list[Record] = []
    n_bytes = 0
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            record = json.loads(line)
            assert {"source", "number", "error"} <= record.keys()
        except (ValueError, AssertionError, AttributeError):
            raise DocumentError(
                f"[{path}] records that crispvl wrote are expected; line {len(records) + 1} is "
                "something else; give another output, or leave --resume out"
            ) from None
        records.append(record)
        n_bytes += len(line)
    return records, n_bytes


def _write(path: Path, records: list[Record]) -> None:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    with whole_file(path) as stream:
        stream.write(text.encode())


def _difference(found: Any, expected: Any) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted(found.keys() | expected.keys())
        pairs = [(n, found.get(n), expected.get(n)) for n in names]
        return ", ".join(f"{n} {a!r} instead of {b!r}" for n, a, b in pairs if a != b)
    return f"{found!r} instead of {expected!r}"
