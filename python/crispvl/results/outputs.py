"""Files that are written: checked before any work is done, visible only when they are complete."""

from __future__ import annotations

import errno
import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

from crispvl.held_signals import held_signals
from crispvl.inputs.pipes import is_stream, refuse_stream

PathLike: TypeAlias = str | os.PathLike[str]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says of a file that it cannot make longer."""


def check_outputs(
    outputs: Iterable[PathLike], inputs: Iterable[PathLike | None] = (), *, regular: bool = False
) -> None:
    """Refuses files that could not be written, or that are read.

    Args:
        outputs: The files to write.
        inputs: What is read for them; what is no file here, such as a web address, is passed over.
        regular: Refuse a FIFO or a device, which no file can take the place of.

    Raises:
        FileNotFoundError: There is no folder for one of them.
        ValueError: One is an input, a folder, or of a kind that cannot be written.
    """
    read = {_identity(path) for path in inputs if path} - {None}
    for path in map(Path, outputs):
        if path.is_dir():
            raise ValueError(
                f"[output] expected a file to write; found a folder, '{path}'; name a file"
            )
        if regular:
            refuse_stream(path)
        if is_stream(path):
            continue
        folder = resolve_links(path).parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"[output] expected the folder of '{path.name}' to exist; found none at "
                f"'{folder}'; create it first"
            )
        if _identity(path) in read:
            raise ValueError(
                f"[output] expected a file that is not read as well; found '{path}', an input; "
                "choose another name"
            )


@contextmanager
def whole_file(path: Path, keep: Callable[[], bool] = lambda: True) -> Iterator[IO[bytes]]:
    """Opens a file that appears only when it is complete; a FIFO or a device is written at once.

    Args:
        path: Of the file; a link is followed.
        keep: Asked at the end whether there is anything worth a file.
    """
    if is_stream(path):
        with io.BufferedWriter(_NamedFile(path, "w", path)) as stream:
            yield stream
        return
    with whole_files([path]) as [part]:
        with io.BufferedWriter(_NamedFile(part, "x", path)) as file:
            yield file
        if not keep():
            part.unlink()


@contextmanager
def whole_files(paths: Sequence[Path], *, durable: bool = False) -> Iterator[list[Path]]:
    """Gives names to write to; at the end of the block the files take their own, all or none.

    On any error, an interrupt included, nothing of them stays and old files are as they were. What
    was not written, or was removed again, is left out.

    Args:
        paths: Of the files; links are followed.
        durable: Whether files and names are forced to the disk, to last through a power cut.
    """
    targets = [resolve_links(path) for path in paths]
    parts = [_part_beside(target) for target in targets]
    try:
        with _naming_wholes(parts, paths):
            yield parts
            written = [pair for pair in zip(parts, targets, strict=True) if pair[0].exists()]
            for part, _ in written if durable else ():
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
            with held_signals():  # all or none
                for part, target in written:
                    part.replace(target)
            for folder in {target.parent for _, target in written} if durable else ():
                _sync_folder(folder)
    finally:
        with held_signals():
            for part in parts:
                with suppress(OSError):  # of a disk that fails, the first error tells more
                    part.unlink(missing_ok=True)


def _part_beside(path: Path) -> Path:
    """Returns a name in the same folder, where renaming is atomic.

    It is short: a name that is as long as the system allows leaves no room for a suffix.
    """
    return path.with_name(f".{secrets.token_hex(4)}.part")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # others cannot open one
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def resolve_links(path: PathLike) -> Path:
    """Returns the file that is written where a path is a link to it."""
    return Path(os.path.realpath(path))


class _NamedFile(io.FileIO):
    """A file whose errors name the one that was asked for."""

    def __init__(self, opened: Path, mode: str, path: Path) -> None:
        self._path = path
        with naming(path):
            super().__init__(opened, mode)

    def write(self, data: Any, /) -> int:
        with naming(self._path):
            return super().write(data)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts a file's name into the system's errors about it."""
    try:
        yield
    except OSError as error:
        raise _of(path, error) from error


def _of(path: Path, error: OSError) -> OSError:
    return OSError(error.errno, error.strerror, str(path))


@contextmanager
def _naming_wholes(parts: Sequence[Path], paths: Sequence[Path]) -> Iterator[None]:
    """Puts the files' names into errors about their parts, and into those that room is short."""
    try:
        yield
    except OSError as error:
        path = dict(zip(map(str, parts), paths, strict=True)).get(str(error.filename))
        if error.filename is None and error.errno in NO_ROOM:  # from a file that is open
            path = paths[0]
        if path is None:
            raise
        raise _of(path, error) from error


def concerns_all(error: OSError) -> bool:
    """Returns whether no further file can be written either, as on a full disk."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def _identity(path: PathLike) -> tuple[int, int] | None:
    """Returns what two names of one file share; None where there is no file."""
    if not os.path.isfile(path):
        return None
    found = os.stat(path)
    return found.st_dev, found.st_ino
