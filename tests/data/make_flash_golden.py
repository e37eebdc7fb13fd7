"""Makes ``flash_golden.npz``: what the published code of InternVL3.5-Flash computes.

The code is that of lmdeploy (https://github.com/InternLM/lmdeploy, commit 1263d5c,
``lmdeploy/pytorch/models/internvl.py``), which has OpenGVLab's classes and functions. They are cut
out of a copy of that file and run on the tiny ``flash`` row; the encoder before them is the numpy
one, which equals OpenGVLab's on the goldens. The published function counts with the 256 and 64
tokens of a 448 px tile; here they are the 4 and 1 of a tiny one.

Usage: ``python make_flash_golden.py PATH/TO/internvl.py`` (needs PyTorch)
"""

from __future__ import annotations

import ast
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference import Reference
from tiny import make_checkpoint
from tiny.rows import row

TILES = np.random.default_rng(11).integers(0, 256, (5, 56, 56, 3), np.uint8)
TEXT = [int(i) for i in np.random.default_rng(12).integers(0, 256, 20)]


def published(path: Path) -> SimpleNamespace:
    """The classes and methods that the router is made of."""
    source = path.read_text("utf-8")
    names: dict[str, Any] = {"torch": torch, "nn": nn}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name in ("CrossAttentionPooling", "Gating"):
            exec(ast.unparse(node), names)
        if isinstance(node, ast.ClassDef) and node.name == "InternVLChatModel":
            for method in node.body:
                wanted = ("pixel_shuffle", "compress_visual_tokens_in_sentence",
                          "get_image_num_per_sample")  # fmt: skip
                if isinstance(method, ast.FunctionDef) and method.name in wanted:
                    text = ast.unparse(method).replace("256", "4").replace("64", "1")
                    exec(text, names)
    return SimpleNamespace(**names)


def load(module: nn.Module, arrays: dict[str, Any], prefix: str) -> nn.Module:
    """Fills a module with the arrays under ``prefix``."""
    state = {name: torch.from_numpy(arrays[f"{prefix}{name}"]) for name in module.state_dict()}
    module.double().load_state_dict(state)
    return module.eval()


def main(path: Path) -> None:
    code = published(path)
    with tempfile.TemporaryDirectory() as folder:
        reference = Reference(make_checkpoint(row("flash"), Path(folder) / "checkpoint"))
    weights = dict(reference.checkpoint.weights)
    width = weights["vision.class"].shape[-1]
    stages = reference._encode(TILES)
    encoded = torch.from_numpy(stages[f"vis_layer_{reference.checkpoint.vision.n_layers - 1}"])
    n, side = len(TILES), 4
    patches = encoded[:, 1:].reshape(n, side, side, width)

    pool = load(code.CrossAttentionPooling(dim=width), weights, "pool.")
    gate = load(code.Gating(hidden_size=width), weights, "gating.")
    linear = {i: weights[f"small.{i}.weight"].shape for i in (1, 4, 7)}
    mlp2 = nn.Sequential(
        nn.LayerNorm(16 * width), nn.Linear(*linear[1][::-1]), nn.GELU(), nn.Identity(),
        nn.Linear(*linear[4][::-1]), nn.GELU(), nn.Identity(), nn.Linear(*linear[7][::-1]),
    )  # fmt: skip
    load(mlp2, weights, "small.")
    with torch.no_grad():
        probabilities = gate(pool([tile.reshape(-1, width) for tile in patches]))
        small = mlp2(code.pixel_shuffle(None, patches, 0.25).reshape(n, -1, 16 * width))
    c = reference.checkpoint.router
    scores = probabilities[:, 0].to(torch.float32)
    relative = torch.quantile(scores, c.relative_threshold)
    chosen = (scores > relative) & (scores >= c.absolute_threshold)

    image_id = reference.checkpoint.image_token_id
    ids = [*TEXT[:5], *[image_id] * 4 * n, *TEXT[5:]]
    model = SimpleNamespace(ctx_mgr=SimpleNamespace(
        current_context=lambda: SimpleNamespace(q_seqlens=torch.tensor([len(ids)]))
    ), get_image_num_per_sample=lambda *a: code.get_image_num_per_sample(None, *a))  # fmt: skip
    marks = torch.arange(len(ids), dtype=torch.float64)[None, :, None]
    _, left, _, _ = code.compress_visual_tokens_in_sentence(
        model, marks, torch.tensor([ids]), image_id, chosen
    )
    large = torch.from_numpy(stages["vis_proj_output"])
    rows = torch.cat([small[i] if chosen[i] else large[i] for i in range(n)])
    np.savez_compressed(
        Path(__file__).with_name("flash_golden.npz"),
        tiles=TILES,
        prompt_ids=np.array(ids),
        router=probabilities.numpy().astype(np.float32),
        small=small.numpy().astype(np.float32),
        ids=left[0].numpy(),
        rows=rows.numpy().astype(np.float32),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
