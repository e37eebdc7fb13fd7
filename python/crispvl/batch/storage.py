"""Folders on a disk and buckets of object stores, behind pyarrow's file systems."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crispvl.errors import DocumentError, OutputError
from crispvl.file_lock import open_locked
from crispvl.inputs.urls import is_url
from crispvl.results.outputs import whole_files

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

_CLOCK_NS = 2_000_000_000
"""Object stores tell times of change in whole seconds."""
_LOCK = ".crispvl-batch.lock"


def is_remote(name: str) -> bool:
    """Whether a name is an address such as ``s3://bucket/folder``."""
    return "://" in name


def file_system(name: str) -> tuple[Any, str]:
    """Returns the file system of a folder or an address, and the path in it.

    Raises:
        DocumentError: Neither pyarrow nor fsspec, where it is installed, knows such addresses, or
            an address is not complete.
    """
    from pyarrow import ArrowInvalid, fs

    check_address(name)
    if not is_remote(name):
        return fs.LocalFileSystem(), os.path.abspath(name)
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(name)
    except (ArrowInvalid, OSError) as error:
        others = None if is_url(name) else _of_fsspec(name)
        if others is None:
            raise DocumentError(
                f"[{name}] expected an address that pyarrow can open, such as s3://bucket/folder; "
                f"found another ({error}); correct it, or install fsspec's package for it"
            ) from error
        found = others
    return found


def check_address(name: str) -> None:
    """Refuses an address without a bucket, or one slash short: it would be a name on this disk.

    Raises:
        DocumentError: It is one of these.
    """
    if is_remote(name) and not name.partition("://")[2].strip("/"):
        raise DocumentError(
            f"[{name}] expected an address such as s3://bucket/folder; found no bucket; add it"
        )
    scheme, colon, rest = name.partition(":")
    lacks_slash = colon and rest.startswith("/") and not rest.startswith("//")
    if lacks_slash and len(scheme) > 1 and not os.path.exists(f"{scheme}:"):
        raise DocumentError(
            f"[{name}] expected a path, or an address such as s3://bucket/folder; found one "
            f"slash after {scheme}:; write {scheme}:/{rest}, or ./{name} for a path"
        )


def _of_fsspec(name: str) -> tuple[Any, str] | None:
    from pyarrow import fs

    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(name)
    except (ImportError, ValueError, OSError):
        return None
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path.strip("/")


@dataclass(frozen=True)
class Stored:
    """A file as a listing shows it."""

    name: str
    """Path, or address."""
    version: str
    """Changes whenever the file does: its size and times. Empty where it could not be looked at."""


def stored(name: str, info: FileInfo) -> Stored:
    """A file of a listing, under the name that leads to it again.

    One that changed just now may change again within the same tick of the store's clock, so its
    version is good for this listing only; so is that of a store that tells no times.
    """
    now, changed = time.time_ns(), info.mtime_ns
    is_settled = changed is not None and now - changed > _CLOCK_NS
    return Stored(name, f"{info.size}:{changed}" + ("" if is_settled else f":{now}"))


class Folder:
    """A folder of parts that are written whole or not at all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fs, self._root = file_system(name)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Makes the folder, and keeps other runs from it meanwhile.

        Takes away what a killed run left half written, and at the end folders that were made for
        nothing. An object store has neither folders to make nor locks.

        Raises:
            OutputError: The folder cannot be made or written to.
            ValueError: Another run writes to it.
        """
        if is_remote(self.name):
            yield
            return
        folder = Path(self._root)
        with self._errors_named("a folder that can be written to"):
            made = [each for each in (folder, *folder.parents) if not each.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            lock = open_locked(folder / _LOCK)
        try:
            for left in folder.glob(".*.part"):
                left.unlink(missing_ok=True)
            yield
        finally:
            with suppress(OSError):
                (folder / _LOCK).unlink()
            lock.close()
            with suppress(OSError):  # those that hold something
                for each in made:
                    each.rmdir()

    def files(self, suffix: str) -> Iterator[str]:
        """Names of the finished files with a suffix, sorted."""
        from pyarrow import fs

        selector = fs.FileSelector(self._root, allow_not_found=True)
        with self._errors_named("a folder that can be listed"):
            infos = self._fs.get_file_info(selector)
        for info in sorted(infos, key=lambda info: info.base_name):
            if info.is_file and info.base_name.endswith(suffix) and info.base_name[0] not in "._":
                yield info.base_name

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        with self._errors_named("a folder that can be listed"):
            return bool(self._fs.get_file_info(f"{self._root}/{name}").is_file)

    def open(self, name: str) -> Any:
        """Opens a file of the folder for reading at random."""
        return self._fs.open_input_file(f"{self._root}/{name}")

    def remove(self, name: str) -> None:
        """Deletes a file."""
        with self._errors_named("a folder whose files can be deleted"):
            self._fs.delete_file(f"{self._root}/{name}")

    def write(self, name: str, data: Any) -> None:
        """Writes a file that is seen only when it is complete; one of this name is replaced.

        Object stores show an object once its upload is complete; a disk gets a temporary name
        first.

        Raises:
            OutputError: It cannot be written; nothing of it is left.
        """
        with self._errors_named("room and the right to write"):
            if is_remote(self.name):
                with self._fs.open_output_stream(f"{self._root}/{name}") as stream:
                    stream.write(data)
                return
            with whole_files([Path(self._root) / name], durable=True) as [part]:
                part.write_bytes(data)

    @contextmanager
    def _errors_named(self, expected: str) -> Iterator[None]:
        """Turns the system's errors into ones that say where they came up."""
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"[{self.name}] expected {expected}; found {error}; correct this and run the "
                "batch again, which reads only what is missing"
            ) from error
