"""llama.cpp's half of compare.py: the same work through llama-cpp-python, timings as JSON lines.

Started by compare.py with the Python that has llama-cpp-python; not meant to be run by hand.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Callable

import llama_cpp as lc
import numpy as np
from llama_cpp import mtmd_cpp as mtmd

TILE_PX = 448


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def silence() -> object:
    """Turns llama.cpp's log off; the callback must be kept alive."""
    callback = lc.llama_log_callback(lambda *_: None)
    lc.llama_log_set(callback, None)
    return callback


class Peer:
    """A text model with its projector on the CPU."""

    def __init__(self, text: str, mmproj: str, threads: int) -> None:
        model_params = lc.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = lc.llama_model_load_from_file(text.encode(), model_params)
        params = lc.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = 4096, 4096, 512
        params.n_threads = params.n_threads_batch = threads
        self.context = lc.llama_init_from_model(self.model, params)
        vision = mtmd.mtmd_context_params_default()
        vision.n_threads, vision.use_gpu, vision.print_timings = threads, False, False
        self.vision = mtmd.mtmd_init_from_file(mmproj.encode(), self.model, vision)

    def encode_tile(self) -> float:
        """Seconds to encode an image that is one tile."""
        pixels = np.random.default_rng(0).integers(0, 256, (TILE_PX, TILE_PX, 3), np.uint8)
        data = (ctypes.c_uint8 * pixels.size).from_buffer_copy(pixels.tobytes())
        bitmap = mtmd.mtmd_bitmap_init(TILE_PX, TILE_PX, data)
        marker = mtmd.mtmd_default_marker()
        text = mtmd.mtmd_input_text()
        text.text, text.text_len = marker, len(marker)
        text.add_special, text.parse_special = False, True
        chunks = mtmd.mtmd_input_chunks_init()
        mtmd.mtmd_tokenize(
            self.vision, chunks, ctypes.byref(text), (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap), 1
        )
        seconds = 0.0
        for i in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, i)
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
                seconds += timed(lambda: mtmd.mtmd_encode_chunk(self.vision, chunk))  # noqa: B023
        return seconds

    def decode(self, ids: list[int]) -> float:
        """Seconds to append `ids` in one call."""
        tokens = (lc.llama_token * len(ids))(*ids)
        batch = lc.llama_batch_get_one(tokens, len(ids))
        start = time.perf_counter()
        if lc.llama_decode(self.context, batch) != 0:
            raise SystemExit("[llama.cpp] decoding succeeds; it failed; use a smaller length")
        return time.perf_counter() - start

    def clear(self) -> None:
        """Empties the KV cache."""
        lc.llama_memory_clear(lc.llama_get_memory(self.context), True)


def main() -> None:
    """Measures once and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("mmproj")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    args = parser.parse_args()
    kept = silence()
    peer = Peer(args.text, args.mmproj, args.threads)
    ids = [int(i) for i in np.random.default_rng(0).integers(0, 200, args.length)]
    peer.encode_tile(), peer.decode(ids[:64]), peer.clear()  # warm
    encode = peer.encode_tile()
    prefill = peer.decode(ids)
    peer.clear()
    peer.decode(ids[:64])
    decode = sum(peer.decode([5]) for _ in range(args.tokens))
    print(
        json.dumps(
            {
                "encode_s_per_tile": encode,
                "prefill_tokens_per_s": args.length / prefill,
                "decode_tokens_per_s": args.tokens / decode,
            }
        )
    )
    del kept


if __name__ == "__main__":
    main()
