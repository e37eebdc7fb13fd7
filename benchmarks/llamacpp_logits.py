"""Logits of llama.cpp's text model with its default settings, by llama-cpp-python."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray


def logits(path: Path, ids: Sequence[int]) -> NDArray[np.float32]:
    """Returns those after each token of a prompt, ``[n, vocab]``."""
    with _context(path, len(ids)) as (model, context):
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, True
        if llama_cpp.llama_decode(context, batch) != 0:
            raise SystemExit(f"llama.cpp does not decode {len(ids)} tokens of {path.name}")
        llama_cpp.llama_batch_free(batch)
        n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        rows = llama_cpp.llama_get_logits(context)
        return np.ctypeslib.as_array(rows, (len(ids), n_vocab)).copy()


@contextmanager
def _context(path: Path, n_tokens: int) -> Iterator[tuple[Any, Any]]:
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        str(path).encode(), llama_cpp.llama_model_default_params()
    )
    if not model:
        raise SystemExit(f"llama.cpp does not load {path}")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = n_tokens
    context = llama_cpp.llama_init_from_model(model, params)
    try:
        yield model, context
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)
