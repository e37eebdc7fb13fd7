"""crispvl's side of compare.py."""

from __future__ import annotations

import argparse

import work
from crispvl import CrispOCR, _core
from crispvl.engine.model import Model
from crispvl.options import ReadOptions

# Noise is answered with noise: nothing may end the answer early or guess the tokens of a loop.
_READ = ReadOptions(
    max_tokens=work.ANSWER_TOKENS,
    stop_at_eos=False,
    speculate=False,
    repair_loops=False,
    skip_blank=False,
)


class Crispvl:
    """A pair of files, on the CPU."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._model = Model.load(args.model, args.mmproj, "cpu", args.threads)
        self._ocr = CrispOCR(self._model, image_cache_bytes=0)

    def encode(self) -> float:
        tile = work.pixels(work.TILE_PX, work.TILE_PX)[None]
        return work.timed(lambda: self._model.encode(tile))

    def prefill(self, n_tokens: int) -> float:
        ids = work.ids(n_tokens)
        return work.timed(lambda: self._model.core.new_session(n_tokens).prefill(ids, None, None))

    def decode(self, n_streams: int) -> float:
        size = work.START_TOKENS + work.DECODE_TOKENS + 1
        sessions = [self._model.core.new_session(size) for _ in range(n_streams)]
        for session in sessions:
            session.prefill(work.ids(work.START_TOKENS), None, None)
        step = [[token] for token in work.ids(n_streams)]
        _core.Session.decode_batch(sessions, step)

        def all_tokens() -> None:
            for _ in range(work.DECODE_TOKENS):
                _core.Session.decode_batch(sessions, step)

        return work.timed(all_tokens)

    def page(self) -> float:
        page = work.pixels(*work.PAGE_PX)
        return work.timed(lambda: self._ocr.recognize(page, work.PAGE_PROMPT, options=_READ))

    def pages(self, n_pages: int) -> float:
        pages = [work.pixels(*work.PAGE_PX, seed=i) for i in range(n_pages)]
        return work.timed(
            lambda: list(self._ocr.recognize_many(pages, work.PAGE_PROMPT, options=_READ))
        )


if __name__ == "__main__":
    work.run(Crispvl)
