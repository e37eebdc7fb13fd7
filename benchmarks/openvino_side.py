"""OpenVINO's side of compare.py: the encoder on its CPU plugin, the text model with OpenVINO GenAI.

The encoder's graph is made from the projector's file, and GenAI reads the text model's: nothing is
exported. GenAI makes no model for images of the two, so a page is the sum of its parts: its tiles
through the encoder, then a prompt as long as the page's and the answer. Cutting the page into tiles
and putting their tokens into the prompt cost nothing here. Both run in OpenVINO's own precision:
bfloat16 where the CPU multiplies it, else float32.
"""

from __future__ import annotations

import argparse

import numpy as np
import openvino as ov
import work
from openvino_encoder import Encoder

KINDS = ("bf16", "int8-weights", "int8")
"""The encoder's products: of OpenVINO's own precision; of it with weights in 8 bits; of 8 bits, by
NNCF, which calibrates on noise here, as the weights are noise. The text model is the file's."""

_N_CALIBRATION = 4  # tiles
_TILE_TOKENS = 256
_QUESTION_TOKENS = 50  # about what the chat's template and `PAGE_PROMPT` are
_UNLIMITED = 1 << 20  # tokens; a prompt is one step, as GenAI's own settings have it

Settings = dict[str, object]


class OpenVino:
    """A pair of files; the text model's is read only if it has work."""

    def __init__(self, args: argparse.Namespace) -> None:
        settings: Settings = {
            "INFERENCE_NUM_THREADS": args.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        model = Encoder(args.mmproj, int8_weights=args.kind == "int8-weights").model()
        if args.kind == "int8":
            model = _quantised(model)
        self._encoder = ov.Core().compile_model(model, "CPU", settings)
        if {kind for kind, _ in args.work.values()} - {work.ENCODE}:
            self._text = TextModel(args.model, settings)

    def encode(self) -> float:
        tile = work.pixels(work.TILE_PX, work.TILE_PX)[None]
        return work.timed(lambda: self._encoder(tile))

    def prefill(self, n_tokens: int) -> float:
        return work.timed(lambda: self._text.answer(n_tokens, 1))

    def decode(self, n_streams: int) -> float:
        """What more tokens add to the time of a prompt and a first step, which warms it up."""
        if n_streams > 1:
            raise NotImplementedError
        start, more = work.START_TOKENS, work.DECODE_TOKENS
        first = work.timed(lambda: self._text.answer(start, 2))
        return work.timed(lambda: self._text.answer(start, 2 + more)) - first

    def page(self) -> float:
        """Tiles go one after the other: a batch takes as long for each."""
        tiles = [
            work.pixels(work.TILE_PX, work.TILE_PX, seed=i)[None] for i in range(work.PAGE_TILES)
        ]
        prompt = work.PAGE_TILES * _TILE_TOKENS + _QUESTION_TOKENS
        encoded = work.timed(lambda: [self._encoder(tile) for tile in tiles])
        return encoded + work.timed(lambda: self._text.answer(prompt, work.ANSWER_TOKENS))

    def pages(self, n_pages: int) -> float:
        raise NotImplementedError


class TextModel:
    """A text model that GenAI reads.

    Raises:
        SystemExit: A file it does not read, as those with Q5_0 (1b-q4_k_m) or BF16 tensors.
    """

    def __init__(self, path: str, settings: Settings) -> None:
        import openvino_genai as genai  # not needed to encode

        scheduler = genai.SchedulerConfig()
        scheduler.enable_prefix_caching = False  # prompts here begin alike
        scheduler.max_num_batched_tokens = _UNLIMITED
        try:
            self._pipeline = genai.LLMPipeline(path, "CPU", scheduler_config=scheduler, **settings)
        except RuntimeError as error:
            raise SystemExit(
                "[openvino] a text model without Q5_0 and BF16, which GenAI reads, is expected; "
                f"found '{path}': {str(error).strip()}; give another, or only --work {work.ENCODE}"
            ) from error

    def answer(self, n_prompt: int, n_tokens: int) -> None:
        """So many tokens, the likeliest each, after a prompt of so many.

        Raises:
            SystemExit: The answer ended early.
        """
        found = self._pipeline.generate(
            ov.Tensor(np.array([work.ids(n_prompt)], np.int64)),
            max_new_tokens=n_tokens, ignore_eos=True, do_sample=False, apply_chat_template=False,
        )  # fmt: skip
        if len(found.tokens[0]) != n_tokens:
            raise SystemExit(
                f"[openvino] {n_tokens} tokens are expected; found {len(found.tokens[0])}"
            )


def _quantised(model: ov.Model) -> ov.Model:
    import nncf

    tiles = [
        work.pixels(work.TILE_PX, work.TILE_PX, seed=i)[None].astype(np.uint8)
        for i in range(_N_CALIBRATION)
    ]
    return nncf.quantize(
        model,
        nncf.Dataset(tiles),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=_N_CALIBRATION,
    )


def add_kind(parser: argparse.ArgumentParser) -> None:
    """Adds which of `KINDS` is measured."""
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0])


if __name__ == "__main__":
    work.run(OpenVino, add_kind)
