"""What a batch is to do, as the processes that share it see it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from crispvl.errors import ModelFileError
from crispvl.hub import bundled
from crispvl.hub.hashing import file_sha256
from crispvl.inputs.utf8 import path_name
from crispvl.options import MOST_SECONDS, LoadOptions, ReadOptions
from crispvl.reading.settings import settings

PartFormat: TypeAlias = Literal["parquet", "jsonl"]

_DECISIVE = ("exact", "tokenizer", "kv_cache", "image_position_step")
"""Options of loading that decide what is read."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One batch. Frozen and picklable: it is sent to every worker.

    Raises:
        ValueError: A value that its option of the command does not take.
    """

    inputs: tuple[str, ...]
    """Files, folders, patterns, ``@LIST`` files, and addresses of object stores."""
    out: str
    """Folder or address of the table's parts."""
    format: PartFormat = "parquet"
    model: str | None = None
    """GGUF file; None is the bundled model."""
    mmproj: str | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    read: ReadOptions = field(default_factory=ReadOptions)
    prompt: str | None = None
    attempts: int = 3
    """How often a page is given to a worker that it may end; from the second time on, by itself."""
    page_timeout: float = 600.0
    """Seconds after which a worker that says nothing is taken for hanging."""
    resume: bool = True
    """Whether what the table has already is kept; otherwise this job's rows are taken out first."""
    retry_failed: bool = False
    """Whether pages that are recorded with an error are read again."""

    def __post_init__(self) -> None:
        if not self.out:
            raise ValueError("[--out] expected a folder for the table; found no name; give one")
        if self.attempts < 1:
            raise ValueError(f"[--attempts] expected at least 1; found {self.attempts}; raise it")
        if not 0 < self.page_timeout <= MOST_SECONDS:
            raise ValueError(
                f"[--page-timeout] expected over 0 and at most {MOST_SECONDS:.0f} seconds; found "
                f"{self.page_timeout:g}; change it"
            )

    @cached_property
    def model_hash(self) -> str:
        """SHA-256 of the model's file or files.

        Raises:
            ModelFileError: There is no such file.
        """
        names = [self.model or bundled.path(), self.mmproj]
        files = [Path(name) for name in names if name is not None]
        for file in files:
            if not file.is_file():
                raise ModelFileError(
                    f"[model] expected a GGUF file; found none at '{path_name(file)}'; "
                    "check the path"
                )
        return file_sha256(*files)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that decides what is read from a page, the model left out, as JSON's types."""
        # The model's own choices are part of its hash.
        chosen = settings(self.read, self.prompt, metadata={})
        return chosen | {name: _as_json(getattr(self.load, name)) for name in _DECISIVE}

    @cached_property
    def settings_hash(self) -> str:
        """SHA-256 of `settings`."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    def is_of(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the table was read with this model and these settings."""
        found: bool = (row["model"], row["settings"]) == (self.model_hash, self.settings_hash)
        return found

    def page_key(self, source: str, document: str, page: int) -> str:
        """Names one page's reading.

        Of the document's name and SHA-256, the page's number, the model's hash and the settings'.
        Copies under two names are two documents: each has its rows.
        """
        name = f"{path_name(source)}\0{document}/{page}/{self.model_hash}/{self.settings_hash}"
        return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def _as_json(value: Any) -> Any:
    return path_name(value) if isinstance(value, os.PathLike) else value
