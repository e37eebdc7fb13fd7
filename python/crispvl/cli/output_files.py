"""The sinks of a run: one for all documents, or one per document in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from crispvl.cli.sinks import KEEP_PAGES, SeveralSinks, Sink, open_sink

Paths: TypeAlias = Mapping[str, Path | None]
"""The file of each format; None is standard output."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
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
        n_failed_before: Pages that failed in the run that is continued.
    """

    def __init__(self, files: Sequence[str], paths: Sequence[Paths], wanted: Wanted) -> None:
        super().__init__()
        self._files = files
        self._paths = paths
        self._wanted = wanted
        self.keeps_pages = not KEEP_PAGES.isdisjoint(wanted.formats)
        self.n_failed_before = 0

    def sink(self, i_file: int) -> Sink | None:
        """Returns where a file's text goes; None where it is there already."""
        raise NotImplementedError

    def done(self, i_file: int) -> None:
        """Is told that nothing more comes of a file."""

    def _open(self, stack: ExitStack, paths: Paths, n_files: int) -> Sink:
        wanted = self._wanted
        sinks = [
            stack.enter_context(
                open_sink(
                    form, path, n_files, wanted.facts, wanted.resume, wanted.retry_failed,
                    wanted.password,
                )
            )
            for form, path in paths.items()
        ]  # fmt: skip
        sink = sinks[0] if len(sinks) == 1 else SeveralSinks(sinks)
        self.n_failed_before += sink.n_failed_before
        return sink


class OneOutput(Outputs):
    """One sink for all files."""

    def __enter__(self) -> OneOutput:
        super().__enter__()
        self._sink = self._open(self, self._paths[0], len(self._files))
        return self

    def sink(self, i_file: int) -> Sink | None:
        return self._sink


class FolderOutputs(Outputs):
    """A sink per file, in a folder."""

    def __enter__(self) -> FolderOutputs:
        super().__enter__()
        self._sinks: dict[int, tuple[Sink, ExitStack]] = {}
        return self

    def sink(self, i_file: int) -> Sink | None:
        if i_file not in self._sinks:
            paths = self._paths[i_file]
            has_all = all(path is not None and path.exists() for path in paths.values())
            if self._wanted.resume and "jsonl" not in paths and has_all:
                return None
            stack = self.enter_context(ExitStack())
            self._sinks[i_file] = self._open(stack, paths, 1), stack
        return self._sinks[i_file][0]

    def done(self, i_file: int) -> None:
        self._sinks.pop(i_file)[1].close()
