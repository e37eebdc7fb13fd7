"""The application: what the endpoints share, and what is around them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from crispvl._version import __version__
from crispvl.options import LoadOptions
from crispvl.options.sizes import parse_size
from crispvl.server import chat, completions, errors, health, metrics, models, ocr, page, tokenize
from crispvl.server.admission import Admission
from crispvl.server.auth import CallerCheck, KeyCheck
from crispvl.server.decoding import DecoderPool
from crispvl.server.head_requests import HeadRequests
from crispvl.server.kept import KeptDocuments
from crispvl.server.limits import Intake
from crispvl.server.media import Media
from crispvl.server.metrics import Metrics
from crispvl.server.options import ServerOptions
from crispvl.server.paths import PathNormaliser
from crispvl.server.pdf_writing import PdfWriters
from crispvl.server.pool import ModelPool, ModelSource
from crispvl.server.request_log import RequestLog
from crispvl.server.state import ServerState
from crispvl.server.worker import Worker

N_DECODERS = 3
N_PDF_WRITERS = 2
HELD_BODIES = 4
"""Bodies of the largest size that are held at once; of smaller ones, more."""

_log = logging.getLogger("crispvl.server")


def create_app(
    options: ServerOptions, sources: Mapping[str, ModelSource], load: LoadOptions
) -> FastAPI:
    """Returns the application of a server; its models are loaded once it runs.

    Raises:
        ValueError: A key cannot be read.
    """
    keys = options.keys()
    state = _new_state(options, sources, load)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load_default(state))
        sweeping = asyncio.create_task(_unload_idle(state.models))
        try:
            yield
        finally:
            for task in (loading, sweeping):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            state.worker.close()
            await state.decoders.close()
            await state.models.close()

    app = FastAPI(
        title="crispvl", version=__version__, lifespan=lifespan, redirect_slashes=False,
        docs_url=None, redoc_url=None,  # their scripts come from elsewhere
    )  # fmt: skip
    app.state.server = state
    for module in (chat, completions, ocr, tokenize, models, health, metrics, page):
        app.include_router(module.router)
    errors.install(app)
    _add_middleware(app, state, keys)
    return app


def _new_state(
    options: ServerOptions, sources: Mapping[str, ModelSource], load: LoadOptions
) -> ServerState:
    def new_admission(n_running: int) -> Admission:
        return Admission(n_running, options.max_waiting, options.queue_time_limit)

    max_bytes = None if options.model_memory is None else parse_size(options.model_memory)
    pool = ModelPool(
        sources, load, new_admission, options.max_running, max_bytes, options.model_idle_limit
    )
    return ServerState(
        options=options,
        models=pool,
        media=Media(
            options.allow_media_domain, options.allow_media_path, options.max_body_mb << 20
        ),
        decoders=DecoderPool(N_DECODERS, options.max_pixels, options.max_pages),
        pdf_writers=PdfWriters(N_PDF_WRITERS, options.max_pixels),
        worker=Worker(options.request_time_limit),
        metrics=Metrics(pool),
        kept=KeptDocuments(),
        started=int(time.time()),
    )


def _add_middleware(app: FastAPI, state: ServerState, keys: tuple[str, ...]) -> None:
    """The last added sees a request first."""
    options = state.options
    max_bytes = options.max_body_mb << 20
    app.add_middleware(
        Intake,
        max_bytes=max_bytes,
        max_held_bytes=HELD_BODIES * max_bytes,
        time_limit=options.body_time_limit,
        wait_limit=options.queue_time_limit,
    )
    app.add_middleware(KeyCheck, keys=keys)
    app.add_middleware(
        CallerCheck,
        has_keys=bool(keys),
        hosts=(*options.allow_host, options.host),
        origins=options.allow_origin,
    )
    if options.allow_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.allow_origin,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # OpenAI's clients send some of their own
            expose_headers=["retry-after", "x-request-id", "x-should-retry", ocr.KEPT_HEADER],
        )
    app.add_middleware(PathNormaliser)
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestLog, metrics=state.metrics)


async def _load_default(state: ServerState) -> None:
    """Loads what most requests will want, and has a decoder ready."""
    try:
        await state.decoders.start()
        async with state.models.use(None) as model:
            _log.info("%s is ready, with %d places", model.name, model.admission.n_places)
    except Exception as error:
        state.failure = error


async def _unload_idle(models: ModelPool) -> None:
    while True:
        await asyncio.sleep(10)
        await models.unload_idle()
