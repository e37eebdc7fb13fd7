"""The models of a server by name: loaded when they are asked for, unloaded when they are idle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from crispvl.hub import bundled
from crispvl.hub.huggingface import parse_name
from crispvl.options import LoadOptions, ReadOptions
from crispvl.reading.ocr import CrispOCR
from crispvl.reading.stream_count import stream_count
from crispvl.server.admission import Admission
from crispvl.server.errors import ApiError

_log = logging.getLogger("crispvl.server")


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: a file or a name on the hub, or both parts of a pair."""

    model: str | None
    mmproj: str | None = None

    def check(self) -> None:
        """Raises FileNotFoundError where a file is not there; names on the hub are for later."""
        if self.model is None or parse_name(self.model) is not None:
            return
        for file in filter(None, (self.model, self.mmproj)):
            if not Path(file).exists():
                raise FileNotFoundError(
                    f"[model] expected a GGUF file; found that '{file}' does not exist; check the "
                    "path"
                )

    @property
    def n_bytes(self) -> int:
        """Of its files; what is not here yet counts as nothing until it is loaded."""
        files = [Path(self.model or bundled.path()), *([Path(self.mmproj)] if self.mmproj else [])]
        return sum(file.stat().st_size for file in files if file.is_file())


class ServedModel:
    """A loaded model, and the queue before it."""

    def __init__(self, name: str, ocr: CrispOCR, admission: Admission) -> None:
        self.name = name
        self.ocr = ocr
        self.admission = admission
        self.n_users = 0
        self.used_at = time.monotonic()


class ModelPool:
    """Models by name. The first is the default, and stays loaded.

    Args:
        sources: By name, in order.
        load: How each is loaded.
        new_admission: Makes the queue of a model from how many answers it may write at once.
        n_running: Most answers at once; None for as many as a model's memory allows.
        max_bytes: Of all models that are loaded; None for no bound.
        idle_limit: Seconds after which a model is unloaded.
    """

    def __init__(
        self,
        sources: Mapping[str, ModelSource],
        load: LoadOptions,
        new_admission: Callable[[int], Admission],
        n_running: int | None,
        max_bytes: int | None,
        idle_limit: float,
    ) -> None:
        self._sources = sources
        self._load = load
        self._new_admission = new_admission
        self._n_running = n_running
        self._max_bytes = max_bytes
        self._idle_limit = idle_limit
        self._loaded: dict[str, ServedModel] = {}
        self._loading = asyncio.Lock()
        self._arriving: dict[str, asyncio.Task[None]] = {}
        self.default = next(iter(sources))
        least = sources[self.default].n_bytes
        if max_bytes is not None and least > max_bytes:
            raise ValueError(
                f"[serve] expected model_memory of at least the {least} bytes of the first model; "
                f"found {max_bytes}; raise it"
            )

    @property
    def names(self) -> Sequence[str]:
        return list(self._sources)

    @property
    def loaded(self) -> Sequence[ServedModel]:
        return list(self._loaded.values())

    @asynccontextmanager
    async def use(self, name: str | None) -> AsyncIterator[ServedModel]:
        """Lends a model, loaded if it was not; while lent, it stays.

        Raises:
            ApiError: There is none of this name, or no memory for it now.
        """
        name = name or self.default
        if name not in self._sources:
            raise ApiError(
                404,
                f"[model] expected a model of this server; found {name[:100]!r}; see /v1/models",
                "model_not_found",
                "model",
            )
        while (model := self._loaded.get(name)) is None:
            await self._load_model(name)
        model.n_users += 1
        try:
            yield model
        finally:
            model.n_users -= 1
            model.used_at = time.monotonic()

    async def unload_idle(self) -> None:
        """Unloads what nobody has asked for long, the default left out."""
        now = time.monotonic()
        async with self._loading:
            for model in self._unused():
                if now - model.used_at > self._idle_limit:
                    self._unload(model)

    async def close(self) -> None:
        async with self._loading:
            for model in list(self._loaded.values()):
                self._unload(model)

    async def _load_model(self, name: str) -> None:
        """Waits until a model is loaded, which goes on where whoever waits goes away."""
        task = self._arriving.get(name)
        if task is None:
            task = self._arriving[name] = asyncio.create_task(self._load_now(name))
            task.add_done_callback(lambda done: self._has_arrived(name, done))
        await asyncio.shield(task)

    def _has_arrived(self, name: str, task: asyncio.Task[None]) -> None:
        del self._arriving[name]
        if not task.cancelled() and task.exception() is not None:  # somebody may have waited or not
            _log.info("%s was not loaded: %s", name, task.exception())

    async def _load_now(self, name: str) -> None:
        async with self._loading:
            source = self._sources[name]
            self._make_room(source.n_bytes)
            ocr = await anyio.to_thread.run_sync(
                lambda: CrispOCR(source.model, source.mmproj, load=self._load)
            )
            n_running = self._n_running or stream_count(ocr.model, ReadOptions())
            self._loaded[name] = ServedModel(name, ocr, self._new_admission(n_running))

    def _make_room(self, n_bytes: int) -> None:
        if self._max_bytes is None:
            return
        left = sorted(self._unused(), key=lambda model: model.used_at, reverse=True)
        while self._n_bytes() + n_bytes > self._max_bytes:
            if not left:
                raise ApiError(
                    503,
                    "[model] expected enough memory for this model; found too little; try "
                    "again later",
                    "no_memory_for_model",
                    retry_after=30,
                )
            self._unload(left.pop())

    def _n_bytes(self) -> int:
        return sum(self._sources[name].n_bytes for name in self._loaded)

    def _unused(self) -> list[ServedModel]:
        return [
            model
            for model in self._loaded.values()
            if not model.n_users and model.name != self.default
        ]

    def _unload(self, model: ServedModel) -> None:
        del self._loaded[model.name]
        model.ocr.close()


def parse_sources(names: Sequence[str]) -> dict[str, ModelSource]:
    """Reads ``FILE``, ``NAME=FILE`` and ``NAME=TEXT.gguf,MMPROJ.gguf``; none is the bundled model.

    Raises:
        ValueError: A name is given twice, or is empty.
        FileNotFoundError: A file is not there.
    """
    sources: dict[str, ModelSource] = {}
    for text in names:
        alias, equals, files = text.rpartition("=")
        model, _, mmproj = files.partition(",")
        name = alias if equals else Path(model).name.removesuffix(".gguf") or model
        if not name or not model or name in sources:
            raise ValueError(
                "[serve] expected FILE, or NAME=FILE with a name of its own; found "
                f"{text!r}; change it"
            )
        source = sources[name] = ModelSource(model, mmproj or None)
        source.check()
    return sources or {BUNDLED_NAME: ModelSource(None)}


BUNDLED_NAME = "crispvl-nano"
