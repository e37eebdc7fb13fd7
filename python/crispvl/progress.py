"""How far a document is, from its events: for progress bars of any kind."""

from __future__ import annotations

import time
from collections.abc import Callable

from crispvl.events import Event, PageDone, PageStarted, TextRead, TilesEncoded


class ProgressMeter:
    """Takes the events of one document after another and knows how far the current one is.

    Args:
        clock: Seconds; a test may pass its own.

    Attributes:
        number: Of the page being read, counted from 1.
        n_pages_done: Of this document.
        n_pages: Of this document, as asked for.
        n_tiles_done: Of the page being read.
        n_tiles: Of the page being read; 0 until its first tile is done.
        n_tokens: Of the page being read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self.number = self.n_pages_done = self.n_pages = 0
        self.n_tiles_done = self.n_tiles = self.n_tokens = 0

    def __call__(self, event: Event) -> None:
        """Takes the next event; pass the meter itself as ``on_event``."""
        if isinstance(event, PageStarted):
            if event.i_page == 0:
                self._started = self._clock()
            self.number, self.n_pages_done = event.number, event.i_page
            self.n_pages = event.n_pages
            self.n_tiles_done = self.n_tiles = self.n_tokens = 0
        elif isinstance(event, TilesEncoded):
            self.n_tiles_done, self.n_tiles = event.n_done, event.n_tiles
        elif isinstance(event, TextRead):
            self.n_tokens = event.n_tokens
        elif isinstance(event, PageDone):
            self.n_pages_done += 1

    @property
    def seconds_left(self) -> float | None:
        """At the pace of the pages that are done; None before the first of them."""
        if self.n_pages_done == 0:
            return None
        elapsed = self._clock() - self._started
        return elapsed / self.n_pages_done * (self.n_pages - self.n_pages_done)

    def __str__(self) -> str:
        parts = [f"page {self.number}", f"{self.n_pages_done} of {self.n_pages} done"]
        if self.n_tiles:
            parts.append(f"tile {self.n_tiles_done} of {self.n_tiles}")
        if self.n_tokens:
            parts.append(f"{self.n_tokens} tokens")
        if self.seconds_left is not None:
            parts.append(f"{self.seconds_left:.0f} s left")
        return ", ".join(parts)
