"""The model of a reader: a file, a pair of files, a name on the hub, or the bundled one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

from crispvl import hub
from crispvl.engine.engine import Engine
from crispvl.engine.model import Model
from crispvl.engine.session_cache import SessionCache
from crispvl.hub import bundled
from crispvl.options import LoadOptions, ReadOptions
from crispvl.prompts.builder import PromptBuilder
from crispvl.reading.requests import ReadingContext

Reader = TypeVar("Reader")


@dataclass(frozen=True, kw_only=True)
class ReaderRecipe:
    """The arguments of a `crispvl.CrispOCR`, to make it here or again in another process."""

    model: str | os.PathLike[str] | Model | None
    mmproj: str | os.PathLike[str] | None
    load: LoadOptions
    max_tiles: int | None
    min_tiles: int | None
    image_cache_bytes: int

    def open(self, cache: SessionCache) -> ReadingContext:
        """Finds and loads the model."""
        defaults = ReadOptions(max_tiles=self.max_tiles, min_tiles=self.min_tiles)
        model = self._find_and_load()
        return ReadingContext(
            model=model,
            engine=Engine.of(model),
            prompts=PromptBuilder(model),
            cache=cache,
            defaults=defaults,
            is_bundled=self.model is None,
        )

    def make(self, kind: Callable[..., Reader]) -> Reader:
        """Makes a reader of a class."""
        return kind(**{field.name: getattr(self, field.name) for field in fields(self)})

    def check_portable(self) -> None:
        """Raises TypeError where another process could not follow it."""
        if isinstance(self.model, Model):
            raise TypeError(
                "[CrispOCR] expected a reader made from a file, which another process can open; "
                "found one made from a Model; pass the file's path"
            )

    def _find_and_load(self) -> Model:
        if isinstance(self.model, Model):
            _refuse_loading(self.mmproj, self.load)
            return self.model
        file, mmproj = self.model, self.mmproj
        if file is None:
            file = bundled.verified_path()
        name = hub.parse_name(file)
        if name is not None:
            projector = None if mmproj is None else os.fspath(mmproj)
            file, mmproj = hub.download(name.repo, name.filename, projector)
        return Model.load(file, mmproj, options=self.load, max_tiles=self.max_tiles)


def _refuse_loading(mmproj: object, options: LoadOptions) -> None:
    """Raises ValueError where a model that is loaded comes with how to load it."""
    given = [] if mmproj is None else ["mmproj"]
    given += [f.name for f in fields(options) if getattr(options, f.name) != f.default]
    if given:
        raise ValueError(
            "[CrispOCR] expected either a Model, or a file with options to load it; found a Model "
            f"and {', '.join(given)}; pass these to Model.load"
        )
