"""Trains the weights by which csrc/layout tells letters from letters turned by 180 degrees.

    python models/layout/train_upright.py csrc/layout/upright_weights.h

Letters and figures of the fonts that are installed are drawn, worn a little and scaled to a square
grid of ink shares between their outermost pixels. A network of one hidden layer gives evidence e(x)
for each; that a letter is upright has the log-odds e(x) - e(x turned). Needs torch and Pillow.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

GRID = 8
HIDDEN = 12
MOST_FONTS = 160
PER_FONT = 50
STEPS = 1500
# About how often print has them: running text, capitals, figures.
LOWER = "eeeeeeetttttaaaaaooooiiiinnnnsssshhhrrrdddlllccuummwwffggyyppbbvkjxqz"
UPPER = "EEEETTTAAAOOIINNSSHRRDDLLCCUMWFGYPBVKJXQZ"
DIGITS = "00001112223344455667788899"


def fonts() -> list[str]:
    """Upright and slanted text faces with Latin letters, the same ones each time."""
    listed = subprocess.run(
        ["fc-list", ":lang=en", "file"], capture_output=True, text=True, check=True
    )
    names = sorted(line.rstrip(": ").strip() for line in listed.stdout.splitlines())
    skipped = ("Emoji", "Symbol", "Dingbats", "Math", "Music", "Braille", "Cuneiform")
    return [n for n in names if n.endswith((".ttf", ".otf")) and not any(s in n for s in skipped)]


def grid_of(char: str, font: ImageFont.FreeTypeFont, rng: random.Random) -> np.ndarray | None:
    """Ink shares ``[GRID, GRID]`` of a drawn letter."""
    picture = Image.new("L", (3 * font.size, 3 * font.size))
    ImageDraw.Draw(picture).text((font.size, 2 * font.size), char, font=font, fill=255, anchor="ls")
    if rng.random() < 0.4:
        filters = (ImageFilter.MinFilter(3), ImageFilter.MaxFilter(3), ImageFilter.GaussianBlur(1))
        picture = picture.filter(rng.choice(filters))
    ink = np.asarray(picture.rotate(rng.gauss(0, 1.5), Image.Resampling.BILINEAR)) > rng.uniform(
        90, 160
    )
    if rng.random() < 0.2:
        ink = ink & (np.random.default_rng(rng.getrandbits(32)).random(ink.shape) > 0.15)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows) or rows[-1] - rows[0] < 5:
        return None
    letter = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    picture = Image.fromarray((letter * 255).astype(np.uint8))
    return np.asarray(picture.resize((GRID, GRID), Image.Resampling.BOX), np.float32) / 255


def samples(rng: random.Random, names: list[str]) -> torch.Tensor:
    grids = []
    for name in names:
        for _ in range(PER_FONT):
            try:
                font = ImageFont.truetype(name, rng.randint(14, 40))
            except OSError:
                break
            text = rng.choice((LOWER, LOWER, UPPER, DIGITS))
            grid = grid_of(rng.choice(text), font, rng)
            if grid is not None:
                grids.append(grid.ravel())
    return torch.tensor(np.stack(grids))


class Evidence(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(GRID * GRID, HIDDEN)
        self.outer = torch.nn.Linear(HIDDEN, 1, bias=False)

    def log_odds(self, x: torch.Tensor) -> torch.Tensor:
        def evidence(v: torch.Tensor) -> torch.Tensor:
            return self.outer(torch.relu(self.inner(v)))[:, 0]

        return evidence(x) - evidence(x.flip(1))


def write(model: Evidence, path: Path) -> None:
    def rows(values: torch.Tensor, per_row: int = 8) -> str:
        flat = [f"{v:.2f}f" for v in values.detach().ravel().tolist()]
        return ",\n    ".join(
            ", ".join(flat[i : i + per_row]) for i in range(0, len(flat), per_row)
        )

    path.write_text(
        "// Written by models/layout/train_upright.py; see there.\n#pragma once\n\n"
        "namespace crispvl::layout {\n\n"
        f"constexpr int kLetterGrid = {GRID};\nconstexpr int kLetterHidden = {HIDDEN};\n\n"
        "// clang-format off\n"
        "constexpr float kLetterInner[] = {  // [hidden, row, column]\n"
        f"    {rows(model.inner.weight)}}};\n"
        f"constexpr float kLetterBias[] = {{\n    {rows(model.inner.bias)}}};\n"
        f"constexpr float kLetterOuter[] = {{\n    {rows(model.outer.weight)}}};\n"
        "// clang-format on\n\n}  // namespace crispvl::layout\n"
    )


def main() -> None:
    torch.manual_seed(1)
    rng = random.Random(1)
    names = fonts()
    rng.shuffle(names)
    names = names[:MOST_FONTS]
    held_out, used = names[: len(names) // 8], names[len(names) // 8 :]
    train, test = samples(rng, used), samples(rng, held_out)
    model = Evidence()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    for step in range(STEPS):
        batch = train[torch.randint(len(train), (512,))]
        loss = torch.nn.functional.softplus(-model.log_odds(batch)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 500 == 499:
            odds = model.log_odds(test)
            right = (odds > 0).float().mean()
            print(f"step {step + 1} loss {loss:.3f} right on held-out fonts {right:.3f}")
    write(model, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
