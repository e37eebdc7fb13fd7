"""The documents of a batch, and the pages of each."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import urlsplit

from crispvl.batch.storage import Stored, file_system, file_version, is_remote, stored
from crispvl.errors import DocumentError
from crispvl.hub.hashing import file_sha256
from crispvl.inputs.sources import SUFFIXES, expand, files_below, open_source
from crispvl.options import ReadOptions
from crispvl.options.page_ranges import select_pages

_MAGIC = frozenset("*?[")


def check_inputs(inputs: Iterable[str]) -> None:
    """Refuses names on this machine that lead nowhere, before hours are spent on the others.

    Raises:
        DocumentError: No file, folder or list has this name.
    """
    for name in inputs:
        path = name.removeprefix("@")
        if not (is_remote(path) or os.path.lexists(path) or glob.has_magic(path)):
            raise DocumentError(
                f"[{name}] expected a file or a folder; found neither; check the path"
            )


def find_documents(inputs: Iterable[str]) -> Iterator[Stored]:
    """Yields the documents that names stand for, without opening them.

    A name is a file, a folder, a pattern, or ``@LIST``, a file with a name on each line; files and
    folders may be of an object store. What a list names is yielded in any case: the row of what
    cannot be opened will say so.

    Raises:
        DocumentError: A folder or pattern holds no document.
    """
    for name in inputs:
        if name.startswith("@"):
            yield from _listed(name[1:])
        elif is_remote(name):
            yield from _remote(name)
        elif os.path.isdir(name):
            yield from _in_folder(name)
        else:
            yield from map(_local, expand([name]))


def _listed(path: str) -> Iterator[Stored]:
    try:
        lines = open(path, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
    except OSError as error:
        raise _no_list(path, error.strerror) from error
    with lines:
        for name in filter(None, map(str.strip, lines)):
            if "\0" in name:
                raise _no_list(path, "a NUL byte")
            try:
                yield from find_documents([name])
            except DocumentError:
                yield Stored(name, "")


def _no_list(path: str, found: str | None) -> DocumentError:
    return DocumentError(
        f"[@{path}] expected a list of names; found {found}; give a text file with a name on each "
        "line"
    )


def _in_folder(folder: str) -> Iterator[Stored]:
    """In the order of the disk: a folder of a million names is not held to be sorted."""
    n_found = 0
    for path in files_below(folder):
        n_found += 1
        yield _local(path)
    if not n_found:
        raise DocumentError(
            f"[{folder}] expected images or PDF files; found none in this folder; check the path"
        )


def _local(path: str) -> Stored:
    try:
        return Stored(path, file_version(path))
    except OSError:  # a link that leads nowhere or in a circle, or a file that has gone
        return Stored(path, "")


def _remote(address: str) -> Iterator[Stored]:
    from pyarrow import fs

    system, path = file_system(address)
    parts = urlsplit(address)
    query = f"?{parts.query}" if parts.query else ""

    def named(info: fs.FileInfo) -> Stored:
        return stored(f"{parts.scheme}://{info.path}{query}", info)

    folder = str(PurePosixPath(*_before_magic(PurePosixPath(path).parts)))
    try:
        if folder == path and (info := system.get_file_info(path)).is_file:
            yield named(info)
            return
        selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
        infos = [info for info in system.get_file_info(selector) if info.is_file]
    except OSError as error:
        raise DocumentError(
            f"[{address}] expected documents that can be listed; found {error}; check the address "
            "and your rights"
        ) from error
    if folder != path:
        infos = [info for info in infos if fnmatch.fnmatch(info.path, path)]
    else:
        infos = [info for info in infos if PurePosixPath(info.path).suffix.lower() in SUFFIXES]
    if not infos:
        raise DocumentError(
            f"[{address}] expected images or PDF files; found none; check the address"
        )
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
    """Path or address."""
    version: str
    document: str
    """SHA-256 of the document's bytes."""
    n_pages: int
    """Of the whole document."""
    pages: tuple[int, ...]

    def only(self, pages: Iterable[int]) -> ReadTask:
        """The same with other pages."""
        return replace(self, pages=tuple(pages))


Parcel: TypeAlias = tuple[ReadTask, ...]
"""What a worker is given at once: pages of one document, or of several small ones."""


def content(source: str) -> Path | bytes:
    """What `open_source` opens: a path on a disk, the bytes of an object store's document."""
    if not is_remote(source):
        return Path(source)
    system, path = file_system(source)
    with system.open_input_stream(path) as stream:
        data: bytes = stream.read()
    return data


def all_pages(found: Stored, data: Path | bytes, digest: str, options: ReadOptions) -> ReadTask:
    """Opens a document and returns the pages to read of it.

    Args:
        found: What it is called.
        data: Its `content`.
        digest: The `content_hash` of that.
        options: Its password, and which pages.

    Raises:
        CrispVLError, OSError, ValueError: It cannot be opened, or has no page of the range.
    """
    with open_source(data, options) as source:
        pages = tuple(select_pages(options.pages, source.n_pages, found.name))
        return ReadTask(
            source=found.name,
            version=found.version,
            document=digest,
            n_pages=source.n_pages,
            pages=pages,
        )


def content_hash(data: Path | bytes) -> str:
    """SHA-256 of a document."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    return file_sha256(data)
