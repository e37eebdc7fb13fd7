"""Endless micro-batches of fresh pages, drawn by a worker process while the model trains."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from model import IM_END, text_ids
from synth import NOWHERE, Sample, sample

MICRO_TILES = 16  # tiles per micro-batch: its activations stay near the cache
IGNORED = -100  # id where a text has ended
POOL = 3  # micro-batches drawn together, so that pages of like length share one
MARKDOWN = 0.15  # share of pages read as Markdown
GRIDS = {(2, 1): 2, (1, 2): 2, (2, 2): 6, (3, 1): 1, (1, 3): 1, (3, 2): 10, (2, 3): 7}


@dataclass
class Batch:
    """Pages of one grid, read with one prompt."""

    tiles: Tensor  # uint8 [n, n_tiles, TILE_PX, TILE_PX, 3]
    prompt: str
    ids: Tensor  # int64 [n, length], IGNORED after the end token
    sources: Tensor  # int64 [n, length]: image token that an id is read from, or NOWHERE
    slots: Tensor  # int64 [n, n_tiles without thumbnail, TOKENS_PER_TILE, N_SLOTS]
    patches: Tensor  # int64 [n, n_tiles without thumbnail, PATCHES²]

    def to(self, device: str) -> Batch:
        """Copies the batch to a device."""
        moved = (t.to(device) for t in (self.ids, self.sources, self.slots, self.patches))
        return Batch(self.tiles.to(device), self.prompt, *moved)


def collate(samples: list[Sample]) -> Batch:
    """Stacks pages of one grid and prompt; the texts are padded to the longest."""
    answers = [[*text_ids(s.text), IM_END] for s in samples]
    ids = torch.full((len(samples), max(map(len, answers))), IGNORED)
    for row, answer in zip(ids, answers, strict=True):
        row[: len(answer)] = torch.tensor(answer)
    places = torch.full_like(ids, NOWHERE)
    for row, s in zip(places, samples, strict=True):
        by_byte = [p for char, p in zip(s.text, s.sources, strict=True) for _ in char.encode()]
        row[: len(by_byte)] = torch.tensor(by_byte)
    tiles, slots, patches = (
        torch.from_numpy(np.stack(arrays))
        for arrays in zip(*((s.tiles, s.slots, s.patches) for s in samples), strict=True)
    )
    return Batch(tiles, samples[0].prompt, ids, places, slots, patches)


class Pages(IterableDataset):  # type: ignore[type-arg]
    """Micro-batches of pages, numbered by seed.

    Args:
        seed: Seed of the first page; the following pages count up from it.
        multi_tile: Shared scalar: the share of micro-batches with pages of several tiles.
        stride: Seeds between one worker's pages and the next one's.
    """

    def __init__(self, seed: int, multi_tile: Tensor, stride: int = 1 << 40) -> None:
        self.seed, self.multi_tile, self.stride = seed, multi_tile, stride

    def __iter__(self) -> Iterator[Batch]:
        info = torch.utils.data.get_worker_info()
        seed = self.seed + (info.id if info else 0) * self.stride
        rng = random.Random(seed)
        while True:
            grid, n = (1, 1), MICRO_TILES
            if rng.random() < float(self.multi_tile):
                grid = rng.choices(list(GRIDS), list(GRIDS.values()))[0]
                n = 2 * MICRO_TILES // (grid[0] * grid[1] + 1)  # few of the tiles have gradients
            prompt = "Markdown" if rng.random() < MARKDOWN else "OCR"
            pool = [sample(seed + i, grid, prompt) for i in range(POOL * n)]
            seed += len(pool)
            pool.sort(key=lambda s: len(s.text))
            batches = [collate(pool[i * n : (i + 1) * n]) for i in range(POOL)]
            rng.shuffle(batches)
            yield from batches
