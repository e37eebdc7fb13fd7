"""Computes an importance matrix: the model reads pages and text, and every matrix is watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crispvl.inputs.text_files import read_text
from crispvl.reading.ocr import CrispOCR

_CHUNK_TOKENS = 512


def collect_importance(
    ocr: CrispOCR,
    pages: Sequence[str | Path] = (),
    texts: Sequence[str | Path] = (),
    *,
    max_tokens: int = 512,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, tuple[NDArray[np.float32], int | NDArray[np.int64]]]:
    """Sums the squared activations that meet each matrix.

    Args:
        ocr: The model, loaded with ``exact=True``, and best in 16 bits or more.
        pages: Images; the model reads and answers each, so encoder, prompt and answer all count.
        texts: UTF-8 files; the decoder reads them in chunks of 512 tokens.
        max_tokens: Of each answer.
        progress: Called with an input's name, inputs done and inputs in all.

    Returns:
        Per tensor, float32 ``[n_columns]`` sums and the number of activations summed; for a
        tensor of experts, ``[n_experts, n_columns]`` and the number of each.

    Raises:
        DocumentError: A text is no UTF-8.
        ValueError: Nothing to read, inputs without a token, or a model that is not exact.
    """
    from crispvl._core import ImportanceCollector

    if not pages and not texts:
        raise ValueError("[imatrix] expected pages or text to read; found none; give some files")
    contents = [read_text(text) for text in texts]  # before the pages, which take long
    collector = ImportanceCollector(ocr.model.core)
    try:
        n_total = len(pages) + len(texts)
        for i, page in enumerate(pages):
            if progress is not None:
                progress(str(page), i, n_total)
            ocr.recognize(page, max_tokens=max_tokens, skip_blank=False)
        for i, (name, text) in enumerate(zip(texts, contents, strict=True)):
            if progress is not None:
                progress(str(name), len(pages) + i, n_total)
            _prefill(ocr, text)
        sums = dict(collector.sums)
    finally:
        collector.close()
    if not any(np.any(count) for _, count in sums.values()):
        raise ValueError(
            "[imatrix] expected pages or text with something to read; found no token in them; "
            "give others"
        )
    return sums


def _prefill(ocr: CrispOCR, text: str) -> None:
    model = ocr.model
    ids = model.tokenize(text, special=False)
    for begin in range(0, len(ids), _CHUNK_TOKENS):
        chunk = ids[begin : begin + _CHUNK_TOKENS]
        model.core.new_session(len(chunk)).prefill(chunk, None, None)
