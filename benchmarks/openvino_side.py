"""OpenVINO's side of compare.py: the encoder and the projector on its CPU plugin.

It encodes alone: the graph is made from the projector's file, and nothing is exported.
"""

from __future__ import annotations

import argparse

import numpy as np
import openvino as ov
import work
from openvino_encoder import Encoder

KINDS = ("bf16", "int8-weights", "int8")
"""Products of bfloat16; of bfloat16 with weights in 8 bits; of 8 bits, by NNCF, which calibrates
on noise here, as the weights are noise."""

_N_CALIBRATION = 4  # tiles


class OpenVino:
    """A projector's file."""

    def __init__(self, args: argparse.Namespace) -> None:
        model = Encoder(args.mmproj, int8_weights=args.kind == "int8-weights").model()
        if args.kind == "int8":
            model = _quantised(model)
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "INFERENCE_NUM_THREADS": args.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        self._encoder = ov.Core().compile_model(model, "CPU", settings)

    def encode(self) -> float:
        tile = work.pixels(work.TILE_PX, work.TILE_PX)[None]
        return work.timed(lambda: self._encoder(tile))

    def prefill(self, n_tokens: int) -> float:
        raise NotImplementedError

    def decode(self, n_streams: int) -> float:
        raise NotImplementedError

    def page(self) -> float:
        raise NotImplementedError

    def pages(self, n_pages: int) -> float:
        raise NotImplementedError


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
