"""Reading a document: page by page, as events, within its limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from PIL import Image

from crispvl.engine.engine import Engine
from crispvl.engine.groundedness import Groundedness
from crispvl.engine.handle import Handle
from crispvl.engine.model import Model
from crispvl.engine.prefill import Progress
from crispvl.engine.request import Request
from crispvl.engine.session_cache import SessionCache
from crispvl.engine.steps import Encoded
from crispvl.engine.waiting import Until
from crispvl.errors import Cancelled, explained
from crispvl.events import (
    Event,
    LineRead,
    LinesFound,
    PageDone,
    PageStarted,
    TextRead,
    TilesEncoded,
)
from crispvl.inputs.damage import DAMAGED
from crispvl.inputs.images import ImageLike, check_readable
from crispvl.inputs.ink import is_blank
from crispvl.inputs.sources import PageSource, open_source
from crispvl.options import MAX_TOKENS, ReadOptions
from crispvl.prompts.builder import PromptBuilder
from crispvl.prompts.messages import ImagePart, Message
from crispvl.prompts.tasks import TASKS, question
from crispvl.prompts.vocabulary import THOUGHT_END
from crispvl.reading.block_reader import BlockReader
from crispvl.reading.layout_choice import LayoutChoice, chosen_layout, layout_for
from crispvl.reading.line_reader import LineReader
from crispvl.reading.page_window import PageWindow, ReadingSteps
from crispvl.reading.pages import prepare_page
from crispvl.reading.stream_count import stream_count
from crispvl.reading.time_limits import limited, shortest
from crispvl.results.document import Document
from crispvl.results.generation import Generation
from crispvl.results.lines import Line
from crispvl.results.page import Page

if TYPE_CHECKING:
    from crispvl._core import CancelToken

PageSteps: TypeAlias = ReadingSteps[Event]
"""The reading of a page: the requests it waits for, and what happens."""

NOT_SETTINGS = frozenset({"password", "allow_urls", "pages", "streams", "speculate"})
"""Options that say where the pages come from and how fast, not what is read."""


class DocumentReader:
    """Reads one document. It is opened at once; pages are loaded and read as `events` runs.

    Several pages are read together, which costs less than one after another. What happens to a page
    is told when all pages before it are done; reading it may have ended by then.

    Args:
        model: Reads.
        prompts: Of the same model.
        document: Anything `crispvl.inputs.sources.open_source` takes.
        prompt: What to ask of each page; None means the task's own prompt.
        options: Task, pages, tiles, limits and sampling.
        cancel: Stops within one layer of encoding or one token.
        progress: Called with tiles encoded and tiles in all of a page.
        on_event: Called with every event, page after page.
        skip: Returns whether a page, by its number, is left out: it was read before.
        keep_pages: Whether `document` holds the pages that are done. Without, memory does not grow
            with the document; take them from the `PageDone` events.
        cache: Of what was computed for pages before.
        engine: Of the same model; None means the one that all share.

    Attributes:
        document: What there is so far, an unfinished page included.
        tells_text: Whether events tell of text while it is written. Without, pages wait less often.
    """

    def __init__(
        self,
        model: Model,
        prompts: PromptBuilder,
        document: ImageLike,
        prompt: str | None,
        options: ReadOptions,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        on_event: Callable[[Event], object] | None = None,
        skip: Callable[[int], bool] | None = None,
        keep_pages: bool = True,
        cache: SessionCache | None = None,
        engine: Engine | None = None,
    ) -> None:
        self._model = model
        self._engine = engine or Engine.of(model)
        self._cache = SessionCache(0) if cache is None else cache
        self._prompts = prompts
        self._options = options
        self._cancel = cancel
        self._progress = progress
        self._on_event = on_event
        self._question = question(options.task, prompt, model.config.chat)
        self._skip_blank = options.skip_blank and prompt is None and TASKS[options.task].reads
        self._layout = chosen_layout(model.metadata, options, prompt)
        self._keep_pages = keep_pages
        self.tells_text = True
        self._settings = settings(options, prompt, model.metadata)
        self._source = open_source(document, options)
        try:
            pages = list(self._source.pages(options.pages))
        except ValueError:
            self._source.close()
            raise
        self._pages = [page for page in pages if skip is None or not skip(page.number)]
        self._begun: list[_CurrentPage] = []
        self._n_done = 0
        self._stopped: Literal["cancelled", "time_limit"] | None = (
            "cancelled" if self._pages else None  # until the last page is done
        )

    @property
    def document(self) -> Document:
        return Document(
            source=self._source.name,
            pages=tuple(current.page for current in self._begun),
            n_pages=len(self._pages),
            stopped=self._stopped,
            model=self._model.file,
            settings=self._settings,
        )

    def events(self) -> Generator[Event, None, None]:
        """Reads, several pages at a time, and yields what happens, page after page.

        Of a document with several pages, a page that fails holds its error and the next is read.

        Raises:
            Cancelled: ``partial`` is the `Document` so far.
            ImageError: The only page is damaged, or too small or thin to hold text.
            ContextOverflowError: The only page and the prompt do not fit the model's context.
        """
        n_streams = stream_count(self._model, self._options)
        window: PageWindow[Event] = PageWindow(
            self._engine, self.pages(), n_streams, lambda: self.until
        )
        with closing(iter(window)) as events:
            for event in events:
                self.tell(event)
                if not isinstance(event, TilesEncoded | LinesFound | LineRead):
                    yield event

    @property
    def until(self) -> Until:
        """What news of a page it has to go on for."""
        if self._layout != "page":
            return "state"  # lines are told of when they are whole
        is_told = self.tells_text or self._on_event is not None or self._progress is not None
        return "event" if is_told else "state"

    def tell(self, event: Event) -> None:
        """Calls who asked to be told."""
        if self._progress is not None and isinstance(event, TilesEncoded):
            self._progress(event.n_done, event.n_tiles)
        if self._on_event is not None:
            self._on_event(event)

    def close(self) -> None:
        self._source.close()

    def pages(self) -> Iterator[PageSteps]:
        """Yields the reading of each page, for a `crispvl.reading.page_window.PageWindow`.

        A page is loaded by the first step of its reading, which comes before the next page is
        asked for.
        """
        time_limit = self._options.time_limit
        end = None if time_limit is None else time.monotonic() + time_limit
        with self._source:
            for i_page, page in enumerate(self._pages):
                if self._cancel is not None and self._cancel.cancelled:
                    # Pages that are blank or broken never reach the core, which else looks at it.
                    raise Cancelled("[page] cancelled before it was read", partial=self.document)
                left_s = None if end is None else end - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._stopped = "time_limit"
                    return
                limit_s = shortest(left_s, self._options.page_time_limit)
                yield self._page(page, i_page, limit_s)

    def _page(self, source: PageSource, i_page: int, limit_s: float | None) -> PageSteps:
        yield PageStarted(
            number=source.number, name=source.name, i_page=i_page, n_pages=len(self._pages)
        )
        current = _CurrentPage(Page(number=source.number, name=source.name))
        self._begun.append(current)
        yield from self._read_or_fail(source, current, limited(self._cancel, limit_s))
        self._n_done += 1
        if self._n_done == len(self._pages):
            self._stopped = None
        yield PageDone(page=current.page)
        if not self._keep_pages:
            self._begun.remove(current)

    def _read_or_fail(
        self, source: PageSource, current: _CurrentPage, cancel: CancelToken | None
    ) -> PageSteps:
        try:
            yield from self._read_page(source, current, cancel)
        except Cancelled as error:
            error.partial = self.document
            raise
        except Exception as error:  # whatever one page does must not lose the others
            told = explained(error, source.name)
            if self._source.n_pages == 1:
                raise told from told.__cause__
            current.known = replace(current.known, error=told)

    def _read_page(
        self, source: PageSource, current: _CurrentPage, cancel: CancelToken | None
    ) -> PageSteps:
        model, options = self._model, self._options
        started = time.perf_counter()
        image = source.load()
        current.known = replace(current.known, width_px=image.width, height_px=image.height)
        current.known = replace(current.known, damaged=DAMAGED in image.info)
        check_readable(image, source.name)
        # Where lines are looked for, that tells whether there are any, and costs less.
        if self._skip_blank and self._layout != "lines" and is_blank(image):
            current.known = replace(current.known, blank=True)
            return
        choice = LayoutChoice(self._layout)
        if self._layout == "auto":
            choice = layout_for(image, model, options, cancel)
        current.image_ms = 1000 * (time.perf_counter() - started)
        if choice.layout == "lines":
            yield from self._read_by_lines(image, source.number, current, cancel)
            return
        if choice.layout == "blocks":
            yield from self._read_by_blocks(image, choice, source, current, cancel)
            return
        prepared = prepare_page(image, source.name, model.config, options)
        n_tiles = len(prepared.tiles)
        current.known = replace(current.known, grid=prepared.grid, n_tiles=n_tiles)
        n_image_tokens = n_tiles * model.config.projector.tokens_per_tile
        message = Message("user", (ImagePart(image), self._question))
        prompt_ids = self._prompts.build([message], [n_image_tokens], options.thinking)
        current.image_ms = 1000 * (time.perf_counter() - started)
        request = Request(
            prompt_ids=prompt_ids,
            images=(prepared.tiles,),
            options=options,
            repair_loops=options.repair_loops,
            sessions=self._cache.for_page(prepared.tiles),
            cancel=cancel,
        )
        with self._engine.submit(request) as current.answer:
            yield from _told(current.answer, source.number)
            current.generation = generation = current.answer.result()
        current.answer = None  # and its tiles
        current.check_read(generation, image)
        boxed = model.detokenize(generation.ids)
        if generation.thought:
            boxed = boxed.rpartition(THOUGHT_END)[2]
        current.known = replace(current.known, boxed_text=boxed if "<box>" in boxed else None)
        if options.groundedness:
            with self._engine.run(Groundedness(model, prompt_ids, generation, cancel)) as measured:
                yield from _told(measured, source.number)
                score = measured.result()
            current.known = replace(current.known, groundedness=score)

    def _read_by_lines(
        self, image: Image.Image, number: int, current: _CurrentPage, cancel: CancelToken | None
    ) -> PageSteps:
        model = self._model
        # Whatever is made of the lines, they are read as text.
        asked = question("text", None, model.config.chat)
        message = Message("user", (ImagePart(image), asked))
        prompt_ids = self._prompts.build([message], [model.config.projector.tokens_per_tile])
        current.in_parts = reader = LineReader(
            model, self._engine, prompt_ids, self._options, cancel
        )
        with closing(reader.read(image)) as steps:
            for item in steps:
                if isinstance(item, Handle):
                    yield item
                elif isinstance(item, Encoded):
                    yield TilesEncoded(number=number, n_done=item.n_done, n_tiles=item.n_tiles)
                elif isinstance(item, Line):
                    yield LineRead(number=number, line=item)
                elif isinstance(item, tuple):
                    yield LinesFound(number=number, quads=item)
                else:
                    yield TextRead(number=number, text=item, n_tokens=reader.n_tokens)
        is_empty = current.check_read(reader.generation, image)
        current.known = replace(current.known, blank=self._skip_blank and is_empty)

    def _read_by_blocks(
        self,
        image: Image.Image,
        choice: LayoutChoice,
        source: PageSource,
        current: _CurrentPage,
        cancel: CancelToken | None,
    ) -> PageSteps:
        def prompt(crop: Image.Image, n_image_tokens: int) -> list[int]:
            message = Message("user", (ImagePart(crop), self._question))
            return self._prompts.build([message], [n_image_tokens], self._options.thinking)

        current.in_parts = reader = BlockReader(
            self._model.config, self._engine, prompt, self._options, cancel
        )
        with closing(reader.read(image, source.name, choice.found)) as steps:
            for item in steps:
                if isinstance(item, Handle):
                    yield item
                elif isinstance(item, Encoded):
                    yield TilesEncoded(
                        number=source.number, n_done=item.n_done, n_tiles=item.n_tiles
                    )
                else:
                    yield TextRead(number=source.number, text=item, n_tokens=reader.n_tokens)
        current.check_read(reader.generation, image)


def _told(answer: Handle[Any], number: int) -> PageSteps:
    """Yields what happens to a page until an answer is there."""
    n_tokens = 0
    is_done = False
    while not is_done:
        is_done = answer.done  # asked first: what is told before the end is there when it is seen
        for item in answer.take():
            if isinstance(item, Encoded):
                yield TilesEncoded(number=number, n_done=item.n_done, n_tiles=item.n_tiles)
                continue
            n_tokens += item.id is not None
            if item.text:
                yield TextRead(number=number, text=item.text, n_tokens=n_tokens)
        if not is_done:
            yield answer


class _CurrentPage:
    """What is known of a page while it is being read."""

    def __init__(self, known: Page) -> None:
        self.known = known
        self.image_ms = 0.0
        self.answer: Handle[Generation] | None = None  # while it is written
        self.generation: Generation | None = None
        self.in_parts: LineReader | BlockReader | None = None

    def check_read(self, generation: Generation, image: Image.Image) -> bool:
        """Notes where nothing was written about a page that has ink; returns whether it has none.

        Ink is looked for only where nothing was written.
        """
        if generation.text.strip() or generation.finish_reason != "stop":
            return False
        is_empty = is_blank(image)
        self.known = replace(self.known, has_unread_ink=not is_empty)
        return is_empty

    @property
    def page(self) -> Page:
        if self.in_parts is not None:
            return self.in_parts.told(self.known, self.image_ms)
        generation = self.generation if self.answer is None else self.answer.partial
        if generation is None:
            timings = replace(self.known.timings, image_ms=self.image_ms)
            return replace(self.known, timings=timings)
        timings = replace(generation.timings, image_ms=self.image_ms)
        return replace(self.known, generation=generation, timings=timings)


def settings(
    options: ReadOptions, prompt: str | None, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what a document is read with, as JSON's types.

    Args:
        options: What the caller wants.
        prompt: What the caller asks.
        metadata: Of the model's file, which decides where the options leave it open.
    """
    chosen = {name: value for name, value in asdict(options).items() if name not in NOT_SETTINGS}
    layout = chosen_layout(metadata, options, prompt)
    if options.max_tokens is None and layout != "lines":
        chosen["max_tokens"] = MAX_TOKENS
    return {"prompt": prompt, **chosen, "layout": layout}
