"""Reading a document: page by page, as events, within its limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from crispvl.engine.deadline import Deadline, shortest
from crispvl.engine.groundedness import groundedness
from crispvl.engine.model import Model
from crispvl.engine.prefill import Progress
from crispvl.engine.scheduler import Scheduler
from crispvl.engine.session_cache import SessionCache
from crispvl.engine.steps import Work
from crispvl.engine.token_stream import TokenStream
from crispvl.errors import Cancelled
from crispvl.events import Event, PageDone, PageStarted, TextRead, TilesEncoded
from crispvl.inputs.images import ImageLike, check_readable
from crispvl.inputs.ink import is_blank
from crispvl.inputs.sources import PageSource, open_source
from crispvl.options import ReadOptions
from crispvl.prompts.builder import PromptBuilder
from crispvl.prompts.messages import ImagePart, Message
from crispvl.prompts.tasks import TASKS, question
from crispvl.reading.pages import prepare_page
from crispvl.reading.stream_count import stream_count
from crispvl.results.document import Document, Page

if TYPE_CHECKING:
    from crispvl._core import CancelToken

PageSteps: TypeAlias = Generator[Work | Event, None, None]
"""The reading of a page: the work for it, and what happens."""

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

    Attributes:
        document: What there is so far, an unfinished page included.
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
    ) -> None:
        self._model = model
        self._cache = SessionCache(0) if cache is None else cache
        self._prompts = prompts
        self._options = options
        self._cancel = cancel
        self._progress = progress
        self._on_event = on_event
        self._question = question(options.task, prompt, model.config["chat"])
        self._skip_blank = options.skip_blank and prompt is None and TASKS[options.task].reads
        self._keep_pages = keep_pages
        self._settings = settings(options, prompt)
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
        scheduler: Scheduler[Event] = Scheduler(self.pages(), n_streams)
        with closing(iter(scheduler)) as events:
            for event in events:
                self.tell(event)
                if not isinstance(event, TilesEncoded):
                    yield event

    def tell(self, event: Event) -> None:
        """Calls who asked to be told."""
        if self._progress is not None and isinstance(event, TilesEncoded):
            self._progress(event.n_done, event.n_tiles)
        if self._on_event is not None:
            self._on_event(event)

    def close(self) -> None:
        self._source.close()

    def pages(self) -> Iterator[PageSteps]:
        """Yields the reading of each page, for a `crispvl.engine.scheduler.Scheduler`.

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
        with Deadline(self._cancel, limit_s) as deadline:
            yield from self._read_or_fail(source, current, deadline)
        self._n_done += 1
        if self._n_done == len(self._pages):
            self._stopped = None
        yield PageDone(page=current.page)
        if not self._keep_pages:
            self._begun.remove(current)

    def _read_or_fail(
        self, source: PageSource, current: _CurrentPage, deadline: Deadline
    ) -> PageSteps:
        try:
            yield from self._read_page(source, current, deadline)
        except Cancelled as error:
            if not deadline.expired:
                error.partial = self.document
                raise
            current.stopped_by_time = True
        except Exception as error:  # whatever one page does must not lose the others
            if self._source.n_pages == 1:
                raise
            current.known = replace(current.known, error=error)

    def _read_page(
        self, source: PageSource, current: _CurrentPage, deadline: Deadline
    ) -> PageSteps:
        model, options = self._model, self._options
        started = time.perf_counter()
        image = source.load()
        current.known = replace(current.known, width_px=image.width, height_px=image.height)
        check_readable(image, source.name)
        if self._skip_blank and is_blank(image):
            current.known = replace(current.known, blank=True)
            return
        prepared = prepare_page(image, source.name, model.config, options)
        n_tiles = len(prepared.tiles)
        current.known = replace(current.known, grid=prepared.grid, n_tiles=n_tiles)
        n_image_tokens = n_tiles * model.config["projector"]["tokens_per_tile"]
        message = Message("user", (ImagePart(image), self._question))
        prompt_ids = self._prompts.build([message], [n_image_tokens])
        current.image_ms = 1000 * (time.perf_counter() - started)
        encoded: list[TilesEncoded] = []

        def report(n_done: int, n_all: int) -> None:
            encoded.append(TilesEncoded(number=source.number, n_done=n_done, n_tiles=n_all))

        current.tokens = TokenStream(
            model, prompt_ids, prepared.tiles, options, deadline.token, report,
            options.repair_loops, self._cache.for_page(prepared.tiles),
        )  # fmt: skip
        with closing(current.tokens):
            yield from _read_tokens(current.tokens, source.number, encoded)
        generation = current.tokens.generation
        if not generation.text.strip() and generation.finish_reason == "stop":
            current.known = replace(current.known, has_unread_ink=not is_blank(image))
        boxed = model.detokenize(generation.ids)
        current.known = replace(current.known, boxed_text=boxed if "<box>" in boxed else None)
        if options.groundedness:
            score = yield from groundedness(model, prompt_ids, generation, deadline.token)
            current.known = replace(current.known, groundedness=score)


def _read_tokens(tokens: TokenStream, number: int, encoded: list[TilesEncoded]) -> PageSteps:
    n_tokens = 0
    for item in tokens.steps:
        yield from encoded
        encoded.clear()
        if isinstance(item, Work):
            yield item
            continue
        n_tokens += item.id is not None
        if item.text:
            yield TextRead(number=number, text=item.text, n_tokens=n_tokens)


class _CurrentPage:
    """What is known of a page while it is being read."""

    def __init__(self, known: Page) -> None:
        self.known = known
        self.image_ms = 0.0
        self.tokens: TokenStream | None = None
        self.stopped_by_time = False

    @property
    def page(self) -> Page:
        if self.tokens is None:
            timings = replace(self.known.timings, image_ms=self.image_ms)
            return replace(self.known, timings=timings)
        generation = self.tokens.generation
        if self.stopped_by_time and generation.finish_reason == "cancelled":
            generation = replace(generation, finish_reason="time_limit")
        timings = replace(generation.timings, image_ms=self.image_ms)
        return replace(self.known, generation=generation, timings=timings)


def settings(options: ReadOptions, prompt: str | None) -> dict[str, Any]:
    """Returns what a document is read with, as JSON's types."""
    chosen = {name: value for name, value in asdict(options).items() if name not in NOT_SETTINGS}
    return {"prompt": prompt, **chosen}
