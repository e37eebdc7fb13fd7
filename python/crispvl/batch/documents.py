"""The documents of a batch, and the pages of each."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from crispvl.batch.storage import Stored, file_system, file_version, is_remote, stored
from crispvl.errors import DocumentError
from crispvl.hub.hashing import file_sha256
from crispvl.inputs.sources import SUFFIXES, expand, open_source
from crispvl.options import ReadOptions
from crispvl.options.page_ranges import select_pages

_MAGIC = frozenset("*?[")


def find_documents(inputs: Iterable[str]) -> Iterator[Stored]:
    """Yields the documents that names stand for, without opening them.

    A name is a file, a folder, a pattern, or ``@LIST``, a file with a name on each line; files and
    folders may be of an object store.

    Raises:
        DocumentError: A folder or pattern holds no document, or a file is not there.
    """
    for name in inputs:
        if name.startswith("@"):
            with open(name[1:], encoding="utf-8") as lines:
                yield from find_documents(line.strip() for line in lines if line.strip())
        elif is_remote(name):
            yield from _remote(name)
        else:
            yield from map(_local, expand([name]))


def _local(path: str) -> Stored:
    try:
        return Stored(path, file_version(path))
    except OSError as error:
        raise DocumentError(f"[{path}] a document expected; {error.strerror}; check it") from error


def _remote(address: str) -> Iterator[Stored]:
    from pyarrow import fs

    system, path = file_system(address)
    parts = urlsplit(address)
    query = f"?{parts.query}" if parts.query else ""

    def named(info: fs.FileInfo) -> Stored:
        return stored(f"{parts.scheme}://{info.path}{query}", info)

    folder = str(PurePosixPath(*_before_magic(PurePosixPath(path).parts)))
    if folder == path and system.get_file_info(path).is_file:
        yield named(system.get_file_info(path))
        return
    selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
    infos = [info for info in system.get_file_info(selector) if info.is_file]
    if folder != path:
        infos = [info for info in infos if fnmatch.fnmatch(info.path, path)]
    else:
        infos = [info for info in infos if PurePosixPath(info.path).suffix.lower() in SUFFIXES]
    if not infos:
        raise DocumentError(f"[{address}] images or PDF files expected; found none; check it")
    yield from (named(info) for info in sorted(infos, key=lambda info: info.path))


def _before_magic(parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        if _MAGIC & set(part):
            return
        yield part


@dataclass(frozen=True, kw_only=True)
class ReadTask:
    """Some pages of one document, as a worker is given them."""

    source: str
    version: str
    document: str
    """SHA-256 of the document's bytes."""
    n_pages: int
    """Of the whole document."""
    pages: tuple[int, ...]

    def only(self, pages: Iterable[int]) -> ReadTask:
        """The same with other pages."""
        return replace(self, pages=tuple(pages))


def content(source: str) -> Path | bytes:
    """What `open_source` opens: a path on a disk, the bytes of an object store's document."""
    if not is_remote(source):
        return Path(source)
    system, path = file_system(source)
    with system.open_input_stream(path) as stream:
        data: bytes = stream.read()
    return data


def all_pages(found: Stored, options: ReadOptions) -> ReadTask:
    """Opens a document and returns the pages to read of it.

    Raises:
        CrispVLError, OSError, ValueError: It cannot be opened, or has no page of the range.
    """
    data = content(found.name)
    digest = _digest(data)
    with open_source(data, options) as source:
        pages = tuple(select_pages(options.pages, source.n_pages, found.name))
        return ReadTask(
            source=found.name,
            version=found.version,
            document=digest,
            n_pages=source.n_pages,
            pages=pages,
        )


def _digest(data: Path | bytes) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    return file_sha256(data)
