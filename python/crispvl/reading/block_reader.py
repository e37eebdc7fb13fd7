"""Reading a page block by block: each is cut out and shown on tiles of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.engine.request import Request
from crispvl.engine.steps import Encoded
from crispvl.errors import Cancelled
from crispvl.inputs.images import MIN_SIDE_PX
from crispvl.options import MAX_TOKENS
from crispvl.reading.page_window import ReadingSteps
from crispvl.reading.pages import fill_grid, page_regions, prepare_page
from crispvl.reading.requests import PageRequest
from crispvl.results.generation import FinishReason, Generation, Timings
from crispvl.results.lines import Rectangle
from crispvl.results.page import Page

if TYPE_CHECKING:
    from crispvl._core import Layout

BLOCK_BREAK = "\n\n"
"""Between the answers to two blocks."""


class BlockReader:
    """Reads one page block by block.

    Args:
        request: What is asked about each block.
        layout: Of the page, where it was found already.
    """

    def __init__(self, request: PageRequest, layout: Layout | None = None) -> None:
        self._context = request.context
        self._config = request.context.model.config
        self._question = request.question
        self._options = request.options
        self._cancel = request.cancel
        self._layout = layout
        self._answers: list[Generation] = []
        self._n_tiles = 0
        self._layout_ms = 0.0
        self._finish_reason: FinishReason = "cancelled"  # until the end is reached

    def read(self, page: Image.Image) -> ReadingSteps[Encoded | str]:
        """Yields the text of an RGB page in order, and meanwhile what is waited for.

        Raises:
            Cancelled: `generation` is what there is.
        """
        from crispvl._core import find_layout

        started = time.perf_counter()
        try:
            layout = self._layout or find_layout(np.asarray(page), self._cancel)
        except Cancelled:
            if self._cancel is None or not self._cancel.expired:
                raise
            self._finish_reason = "time_limit"
            return
        regions = page_regions(layout, self._config, self._options)
        crops = [page]
        if regions != [(0, 0, *page.size)]:
            cut = (page.crop(_whole_px(box)) for box in regions)
            crops = [fill_grid(crop, self._config, self._options) for crop in cut]
        tiles = [prepare_page(crop, self._config, self._options).tiles for crop in crops]
        self._layout_ms = 1000 * (time.perf_counter() - started)
        yield from self._read_tiles(tiles)

    def _read_tiles(self, tiles: Sequence[NDArray[np.uint8]]) -> ReadingSteps[Encoded | str]:
        n_all = sum(map(len, tiles))
        with ExitStack() as stack:
            handles = [
                stack.enter_context(self._context.engine.submit(self._request(block)))
                for block in tiles
            ]
            for handle, block in zip(handles, tiles, strict=True):
                while not handle.done:
                    handle.take()
                    yield handle
                answer = handle.result()
                n_before = len(self.generation.text)
                self._answers.append(answer)
                self._n_tiles += len(block)
                yield Encoded(self._n_tiles, n_all)
                if text := self.generation.text[n_before:]:
                    yield text
                if self.n_tokens >= (self._options.max_tokens or self.n_tokens + 1):
                    self._finish_reason = "length"
                    return
        reasons = [answer.finish_reason for answer in self._answers]
        self._finish_reason = next((reason for reason in reasons if reason != "stop"), "stop")

    def _request(self, tiles: NDArray[np.uint8]) -> Request:
        left = (self._options.max_tokens or MAX_TOKENS) - self.n_tokens
        return Request(
            prompt_ids=self._context.ask(self._question, len(tiles), self._options.thinking),
            images=(tiles,),
            options=replace(self._options, max_tokens=left),
            repair_loops=self._options.repair_loops,
            cancel=self._cancel,
        )

    @property
    def generation(self) -> Generation:
        """The answers so far as one."""
        answers = [answer for answer in self._answers if answer.text.strip()]
        timings = sum((answer.timings for answer in self._answers), Timings())
        return Generation(
            ids=[token_id for answer in answers for token_id in answer.ids],
            logprobs=[logprob for answer in answers for logprob in answer.logprobs],
            pieces=_pieces(answers),
            finish_reason=self._finish_reason,
            text=BLOCK_BREAK.join(answer.text for answer in answers),
            timings=timings + Timings(image_ms=self._layout_ms),
            n_prompt_tokens=sum(answer.n_prompt_tokens for answer in self._answers),
            repairs=tuple(repair for answer in answers for repair in answer.repairs),
        )

    @property
    def n_tokens(self) -> int:
        """Of the answers so far."""
        return sum(len(answer.ids) for answer in self._answers)

    def updated(self, page: Page, image_ms: float) -> Page:
        """Returns the page with what is known of it now.

        Args:
            page: With what was known before.
            image_ms: What was spent on its image before.
        """
        generation = self.generation
        timings = generation.timings + Timings(image_ms=image_ms)
        return replace(
            page, layout="blocks", n_tiles=self._n_tiles, generation=generation, timings=timings
        )


def _pieces(answers: Sequence[Generation]) -> list[str]:
    """Returns the pieces of all answers, with the break before the first of each but one."""
    pieces: list[str] = []
    for answer in answers:
        own = list(answer.pieces)
        if pieces and own:
            own[0] = BLOCK_BREAK + own[0]
        pieces.extend(own)
    return pieces


def _whole_px(box: Rectangle) -> tuple[int, int, int, int]:
    """Returns a rectangle of whole px, of the least size that is read."""
    left, top = int(box.left), int(box.top)
    right, bottom = int(np.ceil(box.right)), int(np.ceil(box.bottom))
    return left, top, max(right, left + MIN_SIDE_PX), max(bottom, top + MIN_SIDE_PX)
