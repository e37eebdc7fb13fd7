"""transformers' side of compare.py: bfloat16 on the CPU."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import work
from transformers import AutoModelForImageTextToText


class Transformers:
    """A checkpoint's folder."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.set_num_threads(args.threads)
        torch.set_grad_enabled(False)
        self._model = AutoModelForImageTextToText.from_pretrained(args.model, dtype=torch.bfloat16)
        self._model.eval()

    def encode(self) -> float:
        tiles = self._tiles(1)
        return work.timed(lambda: self._model.get_image_features(pixel_values=tiles))

    def prefill(self, n_tokens: int) -> float:
        ids = self._ids(work.ids(n_tokens))
        return work.timed(lambda: self._append(ids))

    def decode(self, n_streams: int) -> float:
        start = self._ids(work.ids(work.START_TOKENS)).expand(n_streams, -1)
        step = torch.tensor([[token] for token in work.ids(n_streams)])
        cache = self._append(step, self._append(start))
        return work.timed(lambda: self._repeat(step, cache, work.DECODE_TOKENS))

    def page(self) -> float:
        config = self._model.config
        image = [config.image_token_id] * (config.image_seq_length * work.PAGE_TILES)
        ids = self._ids(image + work.ids(len(work.PAGE_PROMPT)))

        def whole() -> None:
            cache = self._append(ids, pixel_values=self._tiles(work.PAGE_TILES))
            self._repeat(self._ids([5]), cache, work.ANSWER_TOKENS)

        return work.timed(whole)

    def pages(self, n_pages: int) -> float:
        raise NotImplementedError

    def _append(self, ids: torch.Tensor, cache: Any = None, **images: Any) -> Any:
        """The KV cache with these tokens; logits of the last of them only."""
        out = self._model(
            input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **images
        )
        return out.past_key_values

    def _repeat(self, step: torch.Tensor, cache: Any, n: int) -> None:
        for _ in range(n):
            cache = self._append(step, cache)

    @staticmethod
    def _ids(ids: list[int]) -> torch.Tensor:
        return torch.tensor([ids])

    @staticmethod
    def _tiles(n: int) -> torch.Tensor:
        tiles = [work.pixels(work.TILE_PX, work.TILE_PX, seed=i) for i in range(n)]
        stacked = torch.stack([torch.from_numpy(tile) for tile in tiles])
        return (stacked.permute(0, 3, 1, 2).float() / 127.5 - 1).to(torch.bfloat16)


if __name__ == "__main__":
    work.run(Transformers)
