"""The sinks of a run: one for all documents, or one per document in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from crispvl.cli import complain
from crispvl.cli.manifest import Manifest
from crispvl.cli.records import tell_change
from crispvl.cli.sinks import KEEP_PAGES, SeveralSinks, Sink, open_sink
from crispvl.cli.streams import output_error
from crispvl.inputs.images import source_name
from crispvl.inputs.versions import file_version
from crispvl.results.outputs import concerns_all

Paths: TypeAlias = Mapping[str, Path | None]
"""The file of each format; None is standard output."""


@dataclass(frozen=True, kw_only=True)
class OutputRequest:
    """What is written.

    Attributes:
        formats: Keys of `crispvl.results.formats.FORMATS`.
        facts: What the records of all pages have in common.
        resume: Go on where the files end.
        retry_failed: Read again what failed before.
        password: Of encrypted documents.
    """

    formats: Sequence[str]
    facts: Mapping[str, Any]
    resume: bool
    retry_failed: bool
    password: str | None


class Outputs(ExitStack):
    """Opens sinks when they are needed, and closes them at the end at the latest.

    Attributes:
        keeps_pages: Whether a format needs the pages of a whole document at once.
        n_failed: Outputs that could not be written.
        n_failed_before: Pages that failed in the run that is continued.
        n_held: Documents all of which is there already.
    """

    def __init__(self, files: Sequence[str], paths: Sequence[Paths], wanted: OutputRequest) -> None:
        super().__init__()
        self._files = files
        self._versions = [file_version(file) for file in files]  # before they are read
        self._paths = paths
        self._wanted = wanted
        self.keeps_pages = not KEEP_PAGES.isdisjoint(wanted.formats)
        self.n_failed = 0
        self.n_failed_before = 0
        self.n_held = 0

    def sink(self, i_file: int) -> Sink | None:
        """Returns where a file's text goes; None where it is there already."""
        raise NotImplementedError

    def failed(self, i_file: int, error: OSError) -> None:
        """Called where a file's text cannot be written.

        Raises:
            OSError: That of others cannot be written either.
        """
        raise error

    def done(self, i_file: int) -> None:
        """Called when nothing more comes of a file."""

    def _open(self, stack: ExitStack, paths: Paths, files: slice) -> Sink:
        wanted, names = self._wanted, map(source_name, self._files[files])
        sources = [*zip(names, self._versions[files], strict=True)]
        sinks = [
            stack.enter_context(
                open_sink(
                    form, path, sources, wanted.facts, wanted.resume, wanted.retry_failed,
                    wanted.password,
                )
            )
            for form, path in paths.items()
        ]  # fmt: skip
        sink = sinks[0] if len(sinks) == 1 else SeveralSinks(sinks)
        stack.enter_context(_ended(sink))  # all are written before the first file gets its name
        self.n_failed_before += sink.n_failed_before
        return sink


@contextmanager
def _ended(sink: Sink) -> Iterator[None]:
    yield
    sink.end()


class OneOutput(Outputs):
    """One sink for all files."""

    def __enter__(self) -> OneOutput:
        super().__enter__()
        self._sink = self._open(self, self._paths[0], slice(None))
        return self

    def sink(self, i_file: int) -> Sink | None:
        return self._sink


class FolderOutputs(Outputs):
    """A sink per file, in a folder whose manifest says which documents its files hold.

    Raises:
        ValueError: What is to be continued was made with another model or other settings.
    """

    def __init__(
        self,
        files: Sequence[str],
        paths: Sequence[Paths],
        wanted: OutputRequest,
        manifest: Manifest,
    ) -> None:
        super().__init__(files, paths, wanted)
        self._manifest = manifest
        self._sinks: dict[int, tuple[Sink, ExitStack]] = {}

    def __enter__(self) -> FolderOutputs:
        super().__enter__()
        found = [path for paths in self._paths for path in paths.values() if path is not None]
        if self._wanted.resume:
            self._manifest.check_same((path.name for path in found), self._wanted.facts)
        return self

    def sink(self, i_file: int) -> Sink | None:
        if i_file not in self._sinks:
            if self._is_done(i_file):
                self.n_held += 1
                return None
            stack, this = self.enter_context(ExitStack()), slice(i_file, i_file + 1)
            try:
                self._sinks[i_file] = self._open(stack, self._paths[i_file], this), stack
            except OSError as error:
                self._count(i_file, error)
                return None
        return self._sinks[i_file][0]

    def failed(self, i_file: int, error: OSError) -> None:
        _, stack = self._sinks.pop(i_file)
        with suppress(OSError):  # what was written so far is given up
            stack.__exit__(type(error), error, error.__traceback__)
        self._count(i_file, error)

    def done(self, i_file: int) -> None:
        if i_file not in self._sinks:  # it failed
            return
        sink, stack = self._sinks.pop(i_file)
        try:
            stack.close()
            for path in self._paths[i_file].values():
                if sink.n_opened > 0 and path is not None and path.exists():
                    file, version = self._files[i_file], self._versions[i_file]
                    self._manifest.add(file, version, path.name, self._wanted.facts)
        except OSError as error:
            self._count(i_file, error)

    def _is_done(self, i_file: int) -> bool:
        paths, file = self._paths[i_file], self._files[i_file]
        if not self._wanted.resume or "jsonl" in paths:  # whose records tell which pages are done
            return False
        found = [path.name for path in paths.values() if path is not None and path.exists()]
        if len(found) < len(paths) or not all(self._manifest.has(name, file) for name in found):
            return False
        version = self._versions[i_file]
        was_changed = any(self._manifest.was_changed(name, version) for name in found)
        if was_changed:
            tell_change(source_name(file))
        return not was_changed

    def _count(self, i_file: int, error: OSError) -> None:
        """Counts an output that cannot be written; a full disk concerns all of them."""
        if concerns_all(error):
            raise error
        complain(f"{source_name(self._files[i_file])}: {output_error(error)}")
        self.n_failed += 1
