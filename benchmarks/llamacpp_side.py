"""llama.cpp's side of compare.py, through llama-cpp-python and its multimodal library."""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Sequence

import llama_cpp as lc
import numpy as np
import work
from llama_cpp import mtmd_cpp as mtmd
from numpy.typing import NDArray

_CONTEXT = 4096
_UBATCH = 512  # llama.cpp's own


@lc.llama_log_callback
def _silent(*_: object) -> None:
    """Takes llama.cpp's log lines, which would cost time to print."""


class LlamaCpp:
    """A pair of files, on the CPU."""

    def __init__(self, args: argparse.Namespace) -> None:
        lc.llama_log_set(_silent, None)
        model_params = lc.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self._model = lc.llama_model_load_from_file(args.model.encode(), model_params)
        params = lc.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = _CONTEXT, _CONTEXT, _UBATCH
        params.n_threads = params.n_threads_batch = args.threads
        params.n_seq_max, params.kv_unified = 8, True
        self._context = lc.llama_init_from_model(self._model, params)
        vision = mtmd.mtmd_context_params_default()
        vision.n_threads, vision.use_gpu, vision.print_timings = args.threads, False, False
        vision.warmup = False
        self._vision = mtmd.mtmd_init_from_file(args.mmproj.encode(), self._model, vision)
        if not self._context or not self._vision:
            raise SystemExit("[llama.cpp] files it can load are expected; it refused them")

    def encode(self) -> float:
        chunks = self._chunks(work.pixels(work.TILE_PX, work.TILE_PX), "")
        images = [
            chunk
            for i in range(mtmd.mtmd_input_chunks_size(chunks))
            if mtmd.mtmd_input_chunk_get_type(chunk := mtmd.mtmd_input_chunks_get(chunks, i))
            == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE
        ]
        if len(images) != 1:
            raise SystemExit(f"[llama.cpp] one tile is expected; found {len(images)}")
        return work.timed(lambda: mtmd.mtmd_encode_chunk(self._vision, images[0]))

    def prefill(self, n_tokens: int) -> float:
        self._clear()
        return work.timed(lambda: self._decode(work.ids(n_tokens)))

    def decode(self, n_streams: int) -> float:
        self._clear()
        start = work.ids(work.START_TOKENS)
        for stream in range(n_streams):
            self._append([(token, i, stream) for i, token in enumerate(start)])

        def step(i: int) -> None:
            self._append([(token, i, stream) for stream, token in enumerate(work.ids(n_streams))])

        def all_tokens() -> None:
            for i in range(work.DECODE_TOKENS):
                step(work.START_TOKENS + 1 + i)

        step(work.START_TOKENS)
        return work.timed(all_tokens)

    def page(self) -> float:
        self._clear()
        return work.timed(self._page)

    def pages(self, n_pages: int) -> float:
        raise NotImplementedError

    def _page(self) -> None:
        chunks = self._chunks(work.pixels(*work.PAGE_PX), work.PAGE_PROMPT)
        end = lc.llama_pos(0)
        failed = mtmd.mtmd_helper_eval_chunks(
            self._vision, self._context, chunks, 0, 0, _CONTEXT, True, ctypes.byref(end)
        )
        if failed:
            raise SystemExit("[llama.cpp] a page that fits its context is expected; it failed")
        for token in work.ids(work.ANSWER_TOKENS):
            self._decode([token])

    def _chunks(self, image: NDArray[np.uint8], prompt: str) -> object:
        """The image, cut into tiles by llama.cpp's own rule, and what is asked."""
        height, width, _ = image.shape
        data = (ctypes.c_uint8 * image.size).from_buffer_copy(image.tobytes())
        bitmap = mtmd.mtmd_bitmap_init(width, height, data)
        content = mtmd.mtmd_default_marker() + prompt.encode()
        text = mtmd.mtmd_input_text()
        text.text, text.text_len = content, len(content)
        text.add_special, text.parse_special = False, True
        chunks = mtmd.mtmd_input_chunks_init()
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
        if mtmd.mtmd_tokenize(self._vision, chunks, ctypes.byref(text), bitmaps, 1):
            raise SystemExit("[llama.cpp] an image it can cut up is expected; it failed")
        return chunks

    def _decode(self, ids: Sequence[int]) -> None:
        """Appends tokens to the first sequence in one call."""
        tokens = (lc.llama_token * len(ids))(*ids)  # the batch only points at them
        batch = lc.llama_batch_get_one(tokens, len(ids))
        self._check(lc.llama_decode(self._context, batch))

    def _append(self, entries: Sequence[tuple[int, int, int]]) -> None:
        """Appends tokens at positions to sequences in one call, with logits of each sequence's."""
        batch = lc.llama_batch_init(len(entries), 0, 1)
        batch.n_tokens = len(entries)
        last = {stream: i for i, (_, _, stream) in enumerate(entries)}
        for i, (token, position, stream) in enumerate(entries):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, stream
            batch.logits[i] = last[stream] == i
        failed = lc.llama_decode(self._context, batch)
        lc.llama_batch_free(batch)
        self._check(failed)

    def _clear(self) -> None:
        lc.llama_memory_clear(lc.llama_get_memory(self._context), True)

    @staticmethod
    def _check(failed: int) -> None:
        if failed:
            raise SystemExit(f"[llama.cpp] tokens that fit are expected; it failed with {failed}")


if __name__ == "__main__":
    work.run(LlamaCpp)
