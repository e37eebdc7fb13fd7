"""Reading a page as one picture, cut into tiles as the model was trained."""

from __future__ import annotations

import time
from dataclasses import replace

from PIL import Image

from crispvl.engine.groundedness import Groundedness
from crispvl.engine.handle import Handle
from crispvl.engine.request import Request
from crispvl.engine.steps import Encoded
from crispvl.prompts.vocabulary import THOUGHT_END
from crispvl.reading.page_window import ReadingSteps
from crispvl.reading.pages import prepare_page
from crispvl.reading.requests import PageRequest
from crispvl.results.generation import Generation, Timings
from crispvl.results.page import Page


class WholePageReader:
    """Asks a model about one page.

    Args:
        request: What is asked about it.

    Attributes:
        n_tokens: Of the answer so far.
    """

    def __init__(self, request: PageRequest) -> None:
        self._request = request
        self.n_tokens = 0
        self._answer: Handle[Generation] | None = None  # while it is written
        self._generation: Generation | None = None
        self._grid = 0, 0
        self._n_tiles = 0
        self._image_ms = 0.0
        self._groundedness: float | None = None

    def read(self, page: Image.Image) -> ReadingSteps[Encoded | str]:
        """Yields the text of an RGB page as it is written, and meanwhile what is waited for."""
        context, options = self._request.context, self._request.options
        started = time.perf_counter()
        prepared = prepare_page(page, context.model.config, options)
        self._grid, self._n_tiles = prepared.grid, len(prepared.tiles)
        prompt_ids = context.ask(self._request.question, self._n_tiles, options.thinking)
        self._image_ms = 1000 * (time.perf_counter() - started)
        request = Request(
            prompt_ids=prompt_ids,
            images=(prepared.tiles,),
            options=options,
            repair_loops=options.repair_loops,
            sessions=context.cache.for_page(prepared.tiles),
            cancel=self._request.cancel,
        )
        with context.engine.submit(request) as self._answer:
            yield from self._write(self._answer)
            generation = self._generation = self._answer.result()
        self._answer = None  # and its tiles
        if options.groundedness:
            task = Groundedness(context.model, prompt_ids, generation, self._request.cancel)
            with context.engine.run(task) as measured:
                while not measured.done:
                    measured.take()
                    yield measured
                self._groundedness = measured.result()

    @property
    def generation(self) -> Generation | None:
        """The answer so far."""
        return self._generation if self._answer is None else self._answer.partial

    def updated(self, page: Page, image_ms: float) -> Page:
        """Returns the page with what is known of it now.

        Args:
            page: With what was known before.
            image_ms: What was spent on its image before.
        """
        generation = self.generation
        timings = Timings() if generation is None else generation.timings
        return replace(
            page,
            grid=self._grid,
            n_tiles=self._n_tiles,
            generation=generation,
            timings=replace(timings, image_ms=image_ms + self._image_ms),
            boxed_text=self._boxed_text(),
            groundedness=self._groundedness,
        )

    def _write(self, answer: Handle[Generation]) -> ReadingSteps[Encoded | str]:
        is_done = False
        while not is_done:
            is_done = answer.done  # asked first: what comes before the end is there by then
            for item in answer.take():
                if isinstance(item, Encoded):
                    yield item
                    continue
                self.n_tokens += item.id is not None
                if item.text:
                    yield item.text
            if not is_done:
                yield answer

    def _boxed_text(self) -> str | None:
        """Returns the whole answer with the marks of places, where there are any."""
        if self._generation is None:
            return None
        boxed = self._request.context.model.detokenize(self._generation.ids)
        if self._generation.thought:
            boxed = boxed.rpartition(THOUGHT_END)[2]
        return boxed if "<box>" in boxed else None
