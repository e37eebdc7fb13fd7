"""A file of JSON Lines, a record per page, that a later run can continue.

Each record is written whole and at once, so that a run that is killed loses the page it was at and
no other. One run writes a file at a time.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

from crispvl.cli import complain
from crispvl.cli.spellings import document_key
from crispvl.errors import DocumentError
from crispvl.file_lock import open_locked
from crispvl.inputs.pipes import is_stream
from crispvl.inputs.versions import UNKNOWN, was_changed
from crispvl.results.outputs import naming, whole_file

Record = Mapping[str, Any]
Key: TypeAlias = tuple[str, int | None]
"""A document's name and the number of a page; None is the document, which could not be opened."""


class RecordFile:
    """Records on their way to a file. Use it as a context.

    Of two records of a page the later one counts; the earlier is taken out when the file is closed.

    Args:
        path: The file; made if it is not there, and emptied unless ``resume`` is set.
        resume: Keep the records that are there, and know which pages they hold.
        retry_failed: Know nothing of those among them that failed.
        versions: Of documents, by name; what was read of another version is to be read again.

    Attributes:
        changed: Documents of which another version was read.

    Raises:
        DocumentError: The file holds something else than records.
        ValueError: Another run writes it.
    """

    def __init__(
        self,
        path: Path,
        resume: bool = False,
        retry_failed: bool = False,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._versions = {document_key(name): version for name, version in (versions or {}).items()}
        self._n_bytes = 0
        self._is_crowded = False  # some pages have several records
        self._found: dict[Key, Record] = {}
        self._is_stream = is_stream(path)
        if self._is_stream:
            self._file: IO[bytes] = path.open("wb", buffering=0)
        else:
            self._file = open_locked(path)
            try:
                self._begin(resume)
            except BaseException:
                self._file.close()
                raise
        self.changed = {
            source for (source, _), record in self._found.items() if self._is_old(source, record)
        }
        self._done = {
            key
            for key, record in self._found.items()
            if key[0] not in self.changed and not (retry_failed and record["error"])
        }

    def _begin(self, resume: bool) -> None:
        if resume:
            records, self._n_bytes = self._read()
            self._found = _newest(records)
            self._is_crowded = len(self._found) < len(records)
        self._file.truncate(self._n_bytes)

    def _is_old(self, source: str, record: Record) -> bool:
        return was_changed(record.get("version"), self._versions.get(source, UNKNOWN))

    def _read(self) -> tuple[list[Record], int]:
        self._file.seek(0)
        return _read(self._file.read(), self._path)

    @property
    def found(self) -> list[Record]:
        """The newest record of each page that was there."""
        return list(self._found.values())

    def holds(self, source: str, number: int | None = None) -> bool:
        """Returns whether a page was read before; without a number, that opening failed before."""
        return _key(source, number) in self._done

    def n_failed(self, sources: Container[str]) -> int:
        """Returns how many pages of these documents failed before, and are not read again."""
        return sum(
            self._found[key]["error"] is not None
            for key in self._done
            if self._found[key]["source"] in sources
        )

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Raises ValueError where the records found were made otherwise than is going to be done.

        Args:
            facts: Fields that all records share: ``model`` and ``settings``.
        """
        check_same(self._path, self.found, facts)

    def append(self, record: Record) -> None:
        """Writes a record, to the disk's own cache at least."""
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode()
        try:
            with naming(self._path):
                write_whole(self._file, line)
        except OSError:
            if not self._is_stream:
                self._file.truncate(self._n_bytes)  # no part of a record is left
            raise
        self._n_bytes += len(line)
        key = _key(record["source"], record["number"])
        self._is_crowded |= key in self._found or (key[0], None) in self._found
        self._is_crowded |= key[0] in self.changed

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._is_crowded:
                _write(self._path, _newest(self._read()[0]).values())
        finally:
            self._file.close()


def tell_change(source: str) -> None:
    """Says why a document that was read is read again."""
    complain(f"{source}: changed since it was read, and read again")


def check_same(path: Path, records: Iterable[Record], facts: Mapping[str, Any]) -> None:
    """Raises ValueError where records tell other facts; the path is for the message."""
    for record in records:
        for name, value in facts.items():
            if record.get("model") is not None and record.get(name) != value:
                raise ValueError(
                    f"[{path}] expected records of the same {name}, to continue them; found "
                    f"{_difference(record.get(name), value)}; give the same options, or another "
                    "output"
                )


def write_whole(file: IO[bytes], data: bytes) -> None:
    """Writes to an unbuffered file, which may take less at once."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _key(source: str, number: int | None) -> Key:
    return document_key(source), number


def _newest(records: Iterable[Record]) -> dict[Key, Record]:
    """Returns the last record of each page, in the order in which documents and pages came first.

    Those of a document that was changed since are left out.
    """
    newest: dict[str, dict[int | None, Record]] = {}
    versions: dict[str, str] = {}
    for record in records:
        source, number = _key(record["source"], record["number"])
        pages, version = newest.setdefault(source, {}), record.get("version") or UNKNOWN
        if was_changed(versions.get(source), version):
            pages.clear()
        if number is not None:
            pages.pop(None, None)  # it could be opened this time
        pages[number], versions[source] = record, version
    return {(source, number): r for source, pages in newest.items() for number, r in pages.items()}


def _read(data: bytes, path: Path) -> tuple[list[Record], int]:
    """Returns the whole records of a file and their bytes; a last line that is cut is left out."""
    records: list[Record] = []
    n_bytes = 0
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not _is_record(record):
            raise DocumentError(
                f"[{path}] expected records that crispvl wrote; found something else in line "
                f"{len(records) + 1}; give another output, or leave --resume out"
            )
        records.append(record)
        n_bytes += len(line)
    return records, n_bytes


def _is_record(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and {"source", "number", "error"} <= value.keys()
        and isinstance(value["source"], str)
        and isinstance(value["number"], int | None)
    )


def _write(path: Path, records: Iterable[Record]) -> None:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    with whole_file(path) as stream:
        stream.write(text.encode())


def _difference(found: Any, expected: Any) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted(found.keys() | expected.keys())
        pairs = [(n, found.get(n), expected.get(n)) for n in names]
        return ", ".join(f"{n} {a!r} instead of {b!r}" for n, a, b in pairs if a != b)
    return f"{found!r} instead of {expected!r}"
