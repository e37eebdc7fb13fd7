"""Folders on a disk and buckets of object stores, behind pyarrow's file systems."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crispvl.errors import DocumentError

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo


def is_remote(name: str) -> bool:
    """Whether a name is an address such as ``s3://bucket/folder``."""
    return "://" in name


def file_system(name: str) -> tuple[Any, str]:
    """Returns the file system of a folder or an address, and the path in it.

    Raises:
        DocumentError: pyarrow knows no such kind of address.
    """
    from pyarrow import ArrowInvalid, fs

    if not is_remote(name):
        return fs.LocalFileSystem(), os.path.abspath(name)
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(name)
    except (ArrowInvalid, OSError) as error:
        raise DocumentError(
            f"[{name}] an address that pyarrow can open expected, such as s3://bucket/folder; "
            f"{error}; correct it"
        ) from error
    return found


@dataclass(frozen=True)
class Stored:
    """A file as a listing shows it."""

    name: str
    """Path, or address without its query."""
    version: str
    """Changes whenever the file does: its size and the time of its last change."""


def file_version(path: str) -> str:
    """The version of a file on a disk.

    Raises:
        OSError: It cannot be looked at.
    """
    status = os.stat(path)
    return f"{status.st_size}:{status.st_mtime_ns}"


def stored(name: str, info: FileInfo) -> Stored:
    """A file of a listing, under the name that leads to it again."""
    return Stored(name, f"{info.size}:{info.mtime_ns}")


class Folder:
    """A folder of parts that are written whole or not at all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fs, self._root = file_system(name)

    def make(self) -> None:
        """Creates it where it is not there yet; object stores have no folders to create."""
        if not is_remote(self.name):
            self._fs.create_dir(self._root, recursive=True)

    def files(self, suffix: str) -> Iterator[str]:
        """Names of the finished files with a suffix, sorted."""
        from pyarrow import fs

        selector = fs.FileSelector(self._root, allow_not_found=True)
        for info in sorted(self._fs.get_file_info(selector), key=lambda info: info.base_name):
            if info.is_file and info.base_name.endswith(suffix) and info.base_name[0] != ".":
                yield info.base_name

    def open(self, name: str) -> Any:
        """Opens a file of the folder for reading at random."""
        return self._fs.open_input_file(f"{self._root}/{name}")

    def remove(self, name: str) -> None:
        """Deletes a file."""
        self._fs.delete_file(f"{self._root}/{name}")

    def write(self, name: str, data: Any) -> None:
        """Writes a file that is seen only when it is complete; one of this name is replaced.

        Object stores show an object once its upload is complete; a disk gets a temporary name
        first.
        """
        if is_remote(self.name):
            with self._fs.open_output_stream(f"{self._root}/{name}") as stream:
                stream.write(data)
            return
        part = Path(self._root) / f".{uuid.uuid4().hex}.part"
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(Path(self._root) / name)
        finally:
            part.unlink(missing_ok=True)
