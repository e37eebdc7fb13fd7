"""Makes ``h2ovl_golden.json``: the tiles of H2OVL-Mississippi's multi-scale adaptive cropping.

The code is that of vLLM (https://github.com/vllm-project/vllm, commit 0155c15,
``vllm/model_executor/models/h2ovl.py`` and ``internvl.py``), adapted there from the model's own
``image_process.py``. Its functions are cut out of copies of the two files.

Usage: ``python make_h2ovl_golden.py PATH/TO/h2ovl.py PATH/TO/internvl.py`` (needs PyTorch)
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from PIL import Image

TILE_PX = 28
SIZES = [
    (1, 1), (28, 28), (100, 100), (60, 28), (28, 60), (150, 100), (100, 150), (300, 40),
    (40, 300), (211, 297), (297, 210), (640, 480), (481, 640), (97, 389), (1000, 999),
]  # fmt: skip
MOST_TILES = (2, 4, 6, 12)


def page(width: int, height: int) -> Image.Image:
    """A picture whose every part looks different."""
    y, x = np.mgrid[:height, :width]
    channels = [(x * 7 + y * 3) % 256, (x * y) % 256, (x // 3 + y * 5) % 256]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def published(*paths: Path) -> dict[str, Any]:
    """The functions of the files, which see one another."""
    names: dict[str, Any] = {"torch": torch, "Image": Image, "Optional": Optional}
    names["build_transform"] = lambda input_size: lambda image: torch.from_numpy(np.array(image))
    for path in paths:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name not in names:
                exec(ast.unparse(node), names)
    return names


def main(h2ovl: Path, internvl: Path) -> None:
    cut = published(h2ovl, internvl)["image_to_pixel_values_h2ovl"]
    rows = []
    for width, height in SIZES:
        for max_tiles in MOST_TILES:
            tiles = cut(page(width, height), input_size=TILE_PX, min_num=1, max_num=max_tiles,
                        use_thumbnail=True, use_msac=True).numpy()  # fmt: skip
            digest = hashlib.sha256(tiles.tobytes()).hexdigest()
            rows.append({"width": width, "height": height, "max_tiles": max_tiles,
                         "n_tiles": len(tiles), "sha256": digest})  # fmt: skip
    out = Path(__file__).with_name("h2ovl_golden.json")
    lines = ",\n".join(json.dumps(r) for r in rows)
    out.write_text(f'{{"tile_px": {TILE_PX}, "pages": [\n{lines}\n]}}\n', "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
