"""ik_llama.cpp's side of compare.py, through ik-llama-cpp-python: the text model alone.

The package hands no tokens to the model but by its inner modules, and has no encoder for images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import work
from ik_llama_cpp import _ctypes_api as ik
from ik_llama_cpp import _internals as internals

_CONTEXT = 4096


class IkLlama:
    """A text model, on the CPU, with the package's own settings otherwise."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._model = internals.IkModel(args.model)
        self._context = internals.IkContext(self._model, n_ctx=_CONTEXT, n_threads=args.threads)

    def encode(self) -> float:
        raise NotImplementedError

    def prefill(self, n_tokens: int) -> float:
        self._context.kv_cache_clear()
        return work.timed(lambda: self._append(work.ids(n_tokens), 0))

    def decode(self, n_streams: int) -> float:
        if n_streams > 1:  # of which its attention aborts the process
            raise NotImplementedError
        self._context.kv_cache_clear()
        self._append(work.ids(work.START_TOKENS), 0)
        token, first = work.ids(1), work.START_TOKENS

        def all_tokens() -> None:
            for i in range(1, 1 + work.DECODE_TOKENS):
                self._append(token, first + i)

        self._append(token, first)
        return work.timed(all_tokens)

    def page(self) -> float:
        raise NotImplementedError

    def pages(self, n_pages: int) -> float:
        raise NotImplementedError

    def _append(self, ids: Sequence[int], first: int) -> None:
        """Appends tokens from a position on in one call."""
        batch = internals.make_batch_range(ids, pos_start=first)
        failed = self._context.decode(batch)
        ik.llama_batch_free(batch)
        if failed:
            raise SystemExit(f"[ik_llama.cpp] tokens that fit are expected; failed with {failed}")


if __name__ == "__main__":
    work.run(IkLlama)
