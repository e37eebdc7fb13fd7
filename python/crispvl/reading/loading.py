"""The model of a reader: a file, a pair of files, a name on the hub, or the bundled one."""

from __future__ import annotations

import os
from dataclasses import fields

from crispvl import hub
from crispvl.engine.engine import Engine
from crispvl.engine.model import Model
from crispvl.engine.session_cache import SessionCache
from crispvl.hub import bundled
from crispvl.options import LoadOptions, ReadOptions
from crispvl.prompts.builder import PromptBuilder
from crispvl.reading.requests import ReadingContext


def open_context(
    model: str | os.PathLike[str] | Model | None,
    mmproj: str | os.PathLike[str] | None,
    options: LoadOptions,
    defaults: ReadOptions,
    cache: SessionCache,
) -> ReadingContext:
    """Finds and loads the model that the arguments of `crispvl.CrispOCR` name."""
    loaded = _find_and_load(model, mmproj, options, defaults.max_tiles)
    return ReadingContext(
        model=loaded,
        engine=Engine.of(loaded),
        prompts=PromptBuilder(loaded),
        cache=cache,
        defaults=defaults,
    )


def _find_and_load(
    model: str | os.PathLike[str] | Model | None,
    mmproj: str | os.PathLike[str] | None,
    options: LoadOptions,
    max_tiles: int | None,
) -> Model:
    if isinstance(model, Model):
        _refuse_loading(mmproj, options)
        return model
    file = bundled.verified_path() if model is None else model
    name = hub.parse_name(file)
    if name is not None:
        projector = None if mmproj is None else os.fspath(mmproj)
        file, mmproj = hub.download(name.repo, name.filename, projector)
    return Model.load(file, mmproj, options=options, max_tiles=max_tiles)


def _refuse_loading(mmproj: object, options: LoadOptions) -> None:
    """Raises ValueError where a model that is loaded comes with how to load it."""
    given = [] if mmproj is None else ["mmproj"]
    given += [f.name for f in fields(options) if getattr(options, f.name) != f.default]
    if given:
        raise ValueError(
            "[CrispOCR] expected either a Model, or a file with options to load it; found a Model "
            f"and {', '.join(given)}; pass these to Model.load"
        )
