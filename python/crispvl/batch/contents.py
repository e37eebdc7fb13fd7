"""What a document of a batch holds: its bytes, their hash and its pages."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from crispvl.batch.documents import ReadTask, no_file
from crispvl.batch.storage import Stored, file_system, is_remote
from crispvl.errors import DocumentChangedError, DocumentError
from crispvl.hub.hashing import file_sha256
from crispvl.inputs.pipes import is_stream
from crispvl.inputs.sources import check_there, open_source
from crispvl.inputs.utf8 import path_name
from crispvl.inputs.versions import file_version
from crispvl.options import ReadOptions
from crispvl.options.page_ranges import select_pages


def content(source: str) -> Path | bytes:
    """What `open_source` opens: a path on a disk, the bytes of an object store's document.

    Raises:
        FileNotFoundError: There is nothing of this name on the disk.
        DocumentError: It is a pipe or a device, or the object store does not hand it out.
    """
    if not is_remote(source):
        path = Path(source)
        check_there(path)
        if is_stream(path):
            raise no_file(source)
        return path
    with _readable(source):
        system, key = file_system(source)
        with system.open_input_stream(key) as stream:
            data: bytes = stream.read()
    return data


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turns the system's errors into ones that say which document they are about."""
    try:
        yield
    except OSError as error:
        raise DocumentError(
            f"[{path_name(source)}] expected a document that can be read; found "
            f"{error.strerror or error}; correct this and run the batch with --retry-failed"
        ) from error


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
    with open_source(named(data, found.name), options) as source:
        pages = tuple(select_pages(options.pages, source.n_pages, found.name))
        return ReadTask(
            source=found.name,
            version=found.version,
            document=digest,
            n_pages=source.n_pages,
            pages=pages,
        )


def refuse_changed(source: str, version: str) -> None:
    """Makes sure of a file on a disk: it may change under the hands of who reads it.

    Args:
        source: A document of a batch; an object store's is read at once.
        version: Its `file_version` before.

    Raises:
        DocumentChangedError: It has another one now.
    """
    if not is_remote(source) and file_version(source) != version:
        raise changed(source)


def changed(source: str) -> DocumentChangedError:
    """Returns the error for a document of which nothing that was read may count."""
    return DocumentChangedError(
        f"[{path_name(source)}] expected the document whose pages were counted; found that it has "
        "changed since; run the batch again"
    )


def named(data: Path | bytes, source: str) -> Path | BinaryIO:
    """A document's `content` under the name that messages are to have."""
    if isinstance(data, Path):
        return data
    file = io.BytesIO(data)
    file.name = source
    return file


def content_hash(data: Path | bytes) -> str:
    """SHA-256 of a document.

    Raises:
        DocumentError: It cannot be read.
    """
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with _readable(str(data)):
        return file_sha256(data)
