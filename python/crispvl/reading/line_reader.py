"""Reading a page by its lines: found, cut into strips, read many at a time, joined again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.engine.handle import Handle
from crispvl.engine.steps import Encoded
from crispvl.errors import Cancelled
from crispvl.layout.corners import corners
from crispvl.layout.legible import legible_channel
from crispvl.layout.page_strips import PageStrips
from crispvl.layout.page_writer import PageWriter, page_writer
from crispvl.layout.strip_format import strip_format
from crispvl.layout.tile_queue import TileQueue
from crispvl.prompts.tasks import question
from crispvl.reading.page_window import ReadingSteps
from crispvl.reading.requests import PageRequest
from crispvl.reading.strip_reader import StripReader
from crispvl.results.generation import FinishReason, Generation, Timings
from crispvl.results.lines import Block, Line, Quad, around
from crispvl.results.page import Page

if TYPE_CHECKING:
    from crispvl._core import ReadLine, StripTile


LineEvent: TypeAlias = Encoded | tuple[Quad, ...] | str | Line
"""A tile was read; the lines of the page were found; what is new of the text, and its lines."""


class LineReader:
    """Reads one page by its lines.

    Args:
        request: What is made of the lines, and its limits. The lines are always read as text.
    """

    def __init__(self, request: PageRequest) -> None:
        context, options = request.context, request.options
        model = context.model
        prompt_ids = context.ask(question("text", None, model.config.chat), n_tiles=1)
        self._cancel = request.cancel
        self._most_tokens = options.max_tokens
        self._form = strip_format(model.config, model.metadata)
        self._n_prompt_tokens = len(prompt_ids)
        self._reader = StripReader(context.engine, prompt_ids, options, request.cancel)
        self._task = options.task
        self._writer: PageWriter | None = None
        self._markdown: str | None = None  # until the end is reached
        self._read: list[ReadLine] = []
        self._blocks: tuple[Block, ...] = ()
        self._n_tokens = 0
        self._layout_ms = 0.0
        self._finish_reason: FinishReason | None = None  # until the end is reached

    def read(self, page: Image.Image) -> ReadingSteps[LineEvent]:
        """Yields the places of an RGB page's lines, then its text and lines in order.

        Between them comes what is waited for.

        Raises:
            Cancelled: `generation` is what there is.
        """
        try:
            yield from self._read_page(legible_channel(page))
        except Cancelled:
            if self._cancel is None or not self._cancel.expired:
                raise
            self._finish_reason = "time_limit"
        self._finish_reason = self._finish_reason or "stop"

    def _read_page(self, pixels: NDArray[np.uint8]) -> ReadingSteps[LineEvent]:
        started = time.perf_counter()
        from crispvl._core import find_layout

        layout = find_layout(pixels, self._cancel)
        self._blocks = tuple(
            Block(kind=block.kind, box=around([corners(block.quad)])) for block in layout.blocks
        )
        yield tuple(corners(line.quad) for line in layout.lines)
        strips = PageStrips(pixels, layout.lines, self._form)
        self._layout_ms += 1000 * (time.perf_counter() - started)
        self._writer = page_writer(self._task, layout)
        with closing(self._show(strips)) as shown:
            for item in shown:
                yield item
                yield from self._write(self._writer, strips, settled=True)
                if self._finish_reason is not None:
                    return
        yield from self._write(self._writer, strips, settled=False)
        self._markdown = self._writer.markdown

    @property
    def generation(self) -> Generation:
        """All that was read so far as one answer, without what was read again."""
        rows = [row for line in self._read for row in line.rows]
        return Generation(
            ids=[token_id for row in rows for token_id in row.ids],
            logprobs=[logprob for row in rows for logprob in row.logprobs[: len(row.ids)]],
            pieces=[piece for row in rows for piece in row.pieces],
            finish_reason=self._finish_reason or "cancelled",
            text=self._writer.text if self._writer else "",
            timings=self._reader.timings + Timings(image_ms=self._layout_ms),
            n_prompt_tokens=self._n_prompt_tokens * self._reader.n_tiles,
        )

    @property
    def lacks_tables(self) -> bool:
        """Whether tables alone are asked for, of a page that has none."""
        return self._task == "table" and all(block.kind != "table" for block in self._blocks)

    @property
    def n_tokens(self) -> int:
        """Of the text so far."""
        return self._n_tokens

    def updated(self, page: Page, image_ms: float) -> Page:
        """Returns the page with what is known of it now.

        Args:
            page: With what was known before.
            image_ms: What was spent on its image before.
        """
        generation = self.generation
        timings = generation.timings + Timings(image_ms=image_ms)
        return replace(
            page,
            layout="lines",
            n_tiles=self._reader.n_tiles,
            generation=generation,
            timings=timings,
            placed_lines=self._writer.lines if self._writer else (),
            blocks=self._blocks,
            markdown=self._markdown,
        )

    def _show(self, strips: PageStrips) -> ReadingSteps[Encoded]:
        """Shows strips to the model; tells of each tile that was read."""
        queue = TileQueue(strips)
        with closing(self._reader.read(lambda: self._draw(strips, queue))) as answers:
            for item in answers:
                if isinstance(item, Handle):
                    yield item
                    continue
                queue.take(item.i_tile, item.rows, item.finish_reason == "stop")
                yield Encoded(item.i_tile + 1, queue.n_tiles)
                if item.finish_reason == "time_limit":
                    self._finish_reason = "time_limit"

    def _draw(self, strips: PageStrips, queue: TileQueue) -> StripTile | None:
        """Returns the next tile, if there is one."""
        self._check_cancel()
        started = time.perf_counter()
        following = queue.next()
        tile = strips.tile(following.rows, following.look) if following else None
        self._layout_ms += 1000 * (time.perf_counter() - started)
        return tile

    def _check_cancel(self) -> None:
        if self._cancel is not None and self._cancel.cancelled:
            raise Cancelled("[page] cancelled while its lines were read")

    def _write(self, writer: PageWriter, strips: PageStrips, settled: bool) -> Iterator[str | Line]:
        """Adds what can be added to the text, as far as the limit of tokens allows.

        Args:
            writer: Of the page.
            strips: Of the page.
            settled: Whether only lines are added that were read beyond doubt.
        """
        while writer.waiting and not (settled and not strips.settled(writer.waiting)):
            self._check_cancel()
            lines = {}
            for i_line in writer.waiting:
                line = lines[i_line] = self._within_limit(strips.join(i_line))
                self._n_tokens += line.n_tokens
                self._read.append(line)
                if self._finish_reason is not None:
                    break
            text, written = writer.put(lines)
            if text:
                yield text
            yield from written
            if self._finish_reason is not None:
                return

    def _within_limit(self, line: ReadLine) -> ReadLine:
        """Returns a line, or its beginning where more tokens are not wanted."""
        if self._most_tokens is None or self._n_tokens + line.n_tokens <= self._most_tokens:
            return line
        self._finish_reason = "length"
        return line.beginning(self._most_tokens - self._n_tokens)
