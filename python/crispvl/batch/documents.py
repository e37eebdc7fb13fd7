"""The documents of a batch, by name, and pages of one as a worker is given them."""

from __future__ import annotations

import fnmatch
import glob
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import urlsplit

from crispvl.batch.storage import (
    Stored,
    check_address,
    file_system,
    is_remote,
    stored,
)
from crispvl.errors import DocumentError
from crispvl.inputs.pipes import is_stream
from crispvl.inputs.sources import expand, files_below
from crispvl.inputs.suffixes import SUFFIXES
from crispvl.inputs.text_files import text_encoding
from crispvl.inputs.versions import file_version

_MAGIC = frozenset("*?[")


def check_inputs(inputs: Iterable[str]) -> None:
    """Refuses names on this machine that lead nowhere, before hours are spent on the others.

    Raises:
        DocumentError: No file, folder or list has this name.
    """
    for name in inputs:
        path = name.removeprefix("@")
        if not path:
            raise DocumentError(
                f"[batch] expected a file, folder, pattern or address; found {name!r}, an empty "
                "name; leave it out, or fill the variable that it comes from"
            )
        check_address(path)
        if not (is_remote(path) or os.path.lexists(path) or glob.has_magic(path)):
            raise DocumentError(
                f"[{name}] expected a file or a folder; found neither; check the path"
            )
        if path == name and not is_remote(path) and is_stream(Path(path)):
            raise no_file(name)


def no_file(name: str) -> DocumentError:
    """Returns the error for what can be opened once only."""
    return DocumentError(
        f"[{name}] expected a file that can be read again; found a pipe or a device; save it as a "
        "file first"
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
    is_empty = True
    for name in _lines(path):
        is_empty = False
        if "\0" in name:
            raise _no_list(path, "a NUL byte")
        try:
            yield from find_documents([name])
        except DocumentError:
            yield Stored(name, "")
    if is_empty:
        raise _no_list(path, "an empty file")


def _lines(path: str) -> Iterator[str]:
    """Yields what stands on the lines of a list; names in UTF-8 may hold other bytes as well."""
    try:
        with open(path, "rb") as file:  # once: it may be a pipe
            encoding = text_encoding(file.peek(4))
            errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
            lines = io.TextIOWrapper(file, encoding, errors)
            yield from filter(None, map(str.strip, lines))
    except UnicodeDecodeError as error:
        raise _no_list(path, str(error)) from error
    except OSError as error:
        raise _no_list(path, error.strerror) from error


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
    name = str(Path(path))  # one for ./a.pdf, .//a.pdf and a.pdf
    return Stored(name, file_version(name))


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
            "and your permissions"
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
