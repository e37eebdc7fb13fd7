"""A document that is being read for a request: its answer, or events as it goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio.to_thread
from pydantic import BaseModel

from crispvl.events import LineRead, LinesFound, PageDone, TextRead, TilesEncoded
from crispvl.options import ReadOptions
from crispvl.reading.pages import tile_limits
from crispvl.reading.settings import settings
from crispvl.results.document import Document
from crispvl.results.page import Page
from crispvl.server.decoding import DecodedDocument
from crispvl.server.page_reading import NumberedEvent, PageDecoded, PagesReader
from crispvl.server.pool import ServedModel
from crispvl.server.state import ServerState
from crispvl.server.uploads import Upload
from crispvl.server.wire import ocr as wire
from crispvl.tiling import choose_grid

NamedEvent = tuple[str, BaseModel]
"""An event's name and what it says."""


class DocumentRun:
    """Reads a document once, by `read` or by `events`.

    Args:
        state: The server's.
        model: Reads.
        upload: The document, and what was said about it.
        opened: The same, decoded.
        options: How its pages are read.
    """

    def __init__(
        self,
        state: ServerState,
        model: ServedModel,
        upload: Upload,
        opened: DecodedDocument,
        options: ReadOptions,
    ) -> None:
        self._state = state
        self._model = model
        self._upload = upload
        self._opened = opened
        self._options = options
        self._pages: dict[int, Page] = {}
        prompt = upload.fields.prompt
        self._reader = PagesReader(
            model, state.worker, opened, options, prompt, upload.fields.preview
        )
        self._made = Document(
            source=upload.name,
            n_pages=len(opened.numbers),
            model=model.ocr.model.file,
            settings={**settings(options, prompt, model.ocr.model.metadata), "password": None},
        )

    @property
    def document(self) -> Document:
        """What has been read so far."""
        return replace(self._made, pages=tuple(page for _, page in sorted(self._pages.items())))

    async def read(self) -> Document:
        """Reads to the end.

        Raises:
            ApiError: The only page cannot be read, or the server cannot go on.
        """
        async with aclosing(self._numbered_events()) as events:
            async for _ in events:
                pass
        return self.document

    async def events(self) -> AsyncIterator[NamedEvent]:
        """Yields ``document``, then what happens to its pages, then ``done`` with the whole."""
        yield (
            "document",
            wire.DocumentOpened(
                n_pages=self._opened.n_pages, numbers=self._opened.numbers, model=self._model.name
            ),
        )
        async with aclosing(self._numbered_events()) as events:
            async for number, event in events:
                described = self._describe(number, event)
                if described is not None:
                    yield described
        yield "done", await self.reply(self.keep())

    def keep(self) -> str | None:
        """Keeps the document where that was asked for, and returns its id."""
        wanted = self._upload.fields.keep
        return self._state.kept.keep(self.document, self._upload) if wanted else None

    async def reply(self, name: str | None) -> wire.OcrReply:
        """Returns the answer in JSON.

        Args:
            name: The document's id; None where it is not kept.
        """
        document = self.document
        facts = await anyio.to_thread.run_sync(document.to_dict)  # hashes the model's file once
        usage = wire.OcrUsage(
            pages_processed=len(document.pages),
            doc_size_bytes=len(self._upload.data),
            prompt_tokens=facts["prompt_tokens"],
            completion_tokens=facts["tokens"],
        )
        named = {
            "id": name,
            "model": self._model.name,
            "model_file": facts["model"],
            "pages": [_page(page) for page in document.pages],
            "usage_info": usage,
        }
        return wire.OcrReply(**{**facts, **named})

    async def _numbered_events(self) -> AsyncGenerator[NumberedEvent, None]:
        async with aclosing(self._reader.events()) as events:
            async for number, event in events:
                if isinstance(event, PageDone):
                    self._pages[number] = event.page
                    self._state.metrics.pages.labels(self._model.name).inc()
                yield number, event

    def _describe(self, number: int, event: Any) -> NamedEvent | None:
        if isinstance(event, PageDecoded):
            return "started", self._show(number, event)
        if isinstance(event, PageDone):
            return "page", _page(event.page)
        if isinstance(event, LineRead):
            return "line", wire.LineEvent(number=number, line=event.line.to_dict())
        name = {TilesEncoded: "tiles", TextRead: "text", LinesFound: "layout"}.get(type(event))
        if name is None:
            return None
        return name, wire.PageEvent(**{**vars(event), "number": number})

    def _show(self, number: int, page: PageDecoded) -> wire.PageShown:
        config = self._model.ocr.model.config
        fewest, most = tile_limits(config, self._options)
        grid = choose_grid(page.width, page.height, most, config.vision.tile_px, fewest)
        return wire.PageShown(
            number=number, width=page.width, height=page.height, grid=grid, image=page.shown
        )


def _page(page: Page) -> wire.OcrPage:
    return wire.OcrPage(
        **{
            **page.to_dict(),
            "index": page.number - 1,
            "markdown": Document(source="", pages=(page,)).to_markdown(),
            "dimensions": wire.OcrDimensions(width=page.width_px, height=page.height_px),
        }
    )
