"""Reads pages with a checkpoint through torch, and compares its logits with transformers'."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from export import PROMPTS, load_weights
from heldout import Reader, Reading, TestPage, draw_test_page
from model import BEFORE_IMAGE, IMG_CONTEXT, Nano, after_image
from tiling import split

BATCH = 16  # pages that torch reads together


def checkpoint_reader(folder: str, n_threads: int) -> Reader:
    """Reads with the checkpoint's weights in float32, up to the tiles that the folder allows."""
    torch.set_num_threads(n_threads)
    model = Nano().eval()
    load_weights(model.vlm, folder)
    settings = json.loads((Path(folder) / "preprocessor_config.json").read_text())

    def read(pages: list[TestPage]) -> Iterator[Reading]:
        for (task, grid), alike in groupby(pages, key=lambda page: (page.task, page.grid)):
            group = list(alike)
            for start in range(0, len(group), BATCH):
                images = [page.image for page in group[start : start + BATCH]]
                cut = grid if math.prod(grid) <= settings["max_patches"] else (1, 1)
                tiles = torch.from_numpy(np.stack([split(image, cut) for image in images]))
                for text, scores in model.read(tiles, PROMPTS[task]):
                    yield text.decode("utf-8", "replace"), math.exp(sum(scores) / len(scores))

    return read


@torch.no_grad()
def check(folder: str, n_threads: int) -> float:
    """Largest difference of the lean forward pass's logits from transformers' own."""
    torch.set_num_threads(n_threads)
    model = Nano().eval()
    load_weights(model.vlm, folder)
    tiles = torch.from_numpy(split(draw_test_page(0).image, (1, 1)))
    ids = torch.tensor([list(b"The quick brown fox")])
    mine, _ = model.logits(model.encode(tiles)[1], "OCR", ids)
    pixels = ((tiles.float() - model.mean) / model.std).permute(0, 3, 1, 2)
    prompt = [*BEFORE_IMAGE, *[IMG_CONTEXT] * 64, *after_image("OCR")]
    whole = torch.cat([torch.tensor([prompt]), ids[:, :-1]], 1)
    theirs = model.vlm(input_ids=whole, pixel_values=pixels).logits[:, -ids.shape[1] :]
    return float((mine - theirs).abs().max())
