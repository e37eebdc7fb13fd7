"""Trains the nano model on pages drawn as it goes.

    python models/nano/train.py --out run --minutes 100 --start models/nano/checkpoint
    python models/nano/train.py --out run --minutes 240 --encoder-share 0.2      # from scratch

From scratch the encoder learns alone first, by the characters under its patches and in its tokens'
cells; without that dense signal it learns nothing in hours. Then everything trains together, the
dense losses at a falling weight, and some heads of the decoder are taught where to look: without
that, it finds its way from tile to tile only after very many pages. Pages of several tiles join
after a share of a run from scratch, and at once in one that continues.
The learning rate is a cosine over the run's minutes, or its steps where these are given; a run
stopped at any time resumes from its folder with the same command. The folder holds ``state.pt``,
``log.jsonl`` and, in ``export/``, the averaged weights in the ``-hf`` layout.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from batches import IGNORED, Batch, Pages
from corpus import N_CLASSES
from export import heads_file, load_heads, load_weights, write_checkpoint
from model import LAST_HEADS, LINE_HEADS, NEXT_HEADS, TOKENS_PER_TILE, Looks, Nano
from optimizer import optimizers
from synth import NOWHERE
from tiling import MAX_TILES

ACCUMULATE = 2  # micro-batches per step
AVERAGING = 0.99  # decay per step of the averaged weights
MULTI_TILE_FROM = 0.15  # share of a run from scratch after which pages of several tiles join
CORRUPTION = 0.06  # share of the answer's input bytes replaced: look at the image, not back
EMPTY_WEIGHT = 0.08  # of positions without a character in the dense losses
TILE_WEIGHT = 0.3  # of the loss on which tile an image token is of
TILE_LAYER = 0  # of the decoder, whose output must tell that: the next one's heads need it
POINTER_WEIGHT = 2.0  # of the loss on where the decoder looks
JUMP_WEIGHT = 5.0  # in it, of places where the text goes on elsewhere: a new line, another tile
TEXT_JUMP_WEIGHT = 3.0  # of the characters at these places in the loss on the text
LOGGED = {"patch", "slot", "slot_accuracy", "tile", "next", "early_last", "last", "line"}


def dense_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted cross-entropy per position, and the accuracy where there is a character."""
    logits, labels = logits.reshape(-1, N_CLASSES), labels.reshape(-1)
    weight = torch.where(labels > 0, 1.0, EMPTY_WEIGHT)
    loss = F.cross_entropy(logits.float(), labels, reduction="none")
    inked = labels > 0
    accuracy = ((logits.argmax(-1) == labels) & inked).sum() / inked.sum().clamp(min=1)
    return (loss * weight).sum() / weight.sum(), accuracy


def latest(marked: Tensor) -> Tensor:
    """Index of the last marked place before each place of ``[n, length]``, or NOWHERE."""
    places = torch.arange(marked.shape[1], device=marked.device).where(marked, NOWHERE)
    return F.pad(places[:, :-1], (1, 0), value=NOWHERE).cummax(1).values


def last_sources(sources: Tensor) -> Tensor:
    """Image token of the last drawn character before each of the answer's tokens, or NOWHERE."""
    place = latest(sources != NOWHERE)
    return sources.gather(1, place.clamp(min=0)).where(place != NOWHERE, NOWHERE)


def line_starts(ids: Tensor, sources: Tensor) -> Tensor:
    """Index of the first drawn character of the latest line before each token, or NOWHERE.

    A line's end counts to the line, so that what begins the next one can look for it below.
    """
    drawn = sources != NOWHERE
    return latest(drawn & (latest(ids == ord("\n")) >= latest(drawn)))


def pointer_loss(attention: Tensor, sources: Tensor, weight: Tensor) -> Tensor:
    """How little a head's attention goes where it should; a mean.

    Args:
        attention: ``[n, length, n_keys]``.
        sources: Keys to look at ``[n, length]``, or NOWHERE.
        weight: Of each place ``[n, length]``.
    """
    weight = weight * (sources != NOWHERE)
    looks = attention.gather(2, sources.clamp(min=0)[..., None])[..., 0]
    return -((looks.float() + 1e-4).log() * weight).sum() / weight.sum().clamp(min=1)


def tile_loss(logits: Tensor) -> Tensor:
    """How badly image tokens ``[n, n_tokens, MAX_TILES + 1]`` tell their tile.

    They follow each other without a mark, and looks alone do not tell one tile from another. The
    thumbnail, last where there is more than one, is a class of its own.
    """
    n, n_tokens = logits.shape[:2]
    tile = torch.arange(n_tokens, device=logits.device) // TOKENS_PER_TILE
    if n_tokens > TOKENS_PER_TILE:
        tile[-TOKENS_PER_TILE:] = MAX_TILES
    return F.cross_entropy(logits.float().flatten(0, 1), tile.repeat(n))


def pointer_losses(
    looks: list[Looks], batch: Batch, last: Tensor, jumps: Tensor
) -> dict[str, Tensor]:
    """How little the taught heads look where they should: all of them, and one of each kind.

    Args:
        looks: Of each layer.
        batch: What was read.
        last: Image token of the last drawn character ``[n, length]``.
        jumps: Whether the text goes on elsewhere ``[n, length]``.
    """
    weight = torch.where(jumps, JUMP_WEIGHT, 1.0)
    begun = line_starts(batch.ids, batch.sources)
    to_next = [pointer_loss(looks[i].image[:, j], batch.sources, weight) for i, j in NEXT_HEADS]
    to_last = [pointer_loss(looks[i].image[:, j], last, weight) for i, j in LAST_HEADS]
    to_line = [pointer_loss(looks[i].answer[:, j], begun, weight) for i, j in LINE_HEADS]
    mean = torch.stack(to_next + to_last + to_line).mean()
    found = {"pointer": mean, "early_last": to_last[0], "last": to_last[-1]}
    return found | {"next": to_next[-1], "line": to_line[-1]}


def losses(model: Nano, batch: Batch, dense_only: bool) -> dict[str, Tensor]:
    """Forward pass of one micro-batch; ``text`` is a weighted sum, the others are means.

    Of a page of several tiles one random tile trains the encoder, all of them the decoder: what is
    new on such pages is the way from tile to tile, and the encoder is the dearer half.
    """
    n, n_labelled = batch.patches.shape[:2]
    rows, chosen = torch.arange(n), torch.randint(n_labelled, (n,))
    patch_states, tokens = model.encode(batch.tiles[rows, chosen])
    patch, _ = dense_loss(model.patch_head(patch_states), batch.patches[rows, chosen])
    slot, slot_accuracy = dense_loss(model.slot_head(tokens), batch.slots[rows, chosen])
    found = {"patch": patch, "slot": slot, "slot_accuracy": slot_accuracy}
    if dense_only:
        return found
    if n_labelled > 1:
        with torch.no_grad():
            _, fixed = model.encode(batch.tiles.flatten(0, 1))
        fixed = fixed.reshape(n, -1, *fixed.shape[1:])
        tokens = fixed.index_put((rows, chosen), tokens).flatten(1, 2)
    ids = batch.ids.clamp(min=0)
    corrupt = torch.rand(ids.shape, device=ids.device) < CORRUPTION
    seen = torch.where(corrupt, torch.randint_like(ids, 32, 127), ids)
    logits, looks = model.logits(tokens, batch.prompt, seen)
    last = last_sources(batch.sources)
    step = (batch.sources - last).where(batch.sources != NOWHERE, 0)
    jumps = (step != 0) & (step != 1)
    found |= pointer_losses(looks, batch, last, jumps)
    found["tile"] = tile_loss(model.tile_head(looks[TILE_LAYER].states))
    text = F.cross_entropy(
        logits.flatten(0, 1).float(), batch.ids.flatten(), reduction="none", ignore_index=IGNORED
    )
    found["text"] = (text * torch.where(jumps, TEXT_JUMP_WEIGHT, 1.0).flatten()).sum()
    known = batch.ids != IGNORED
    found["right"] = ((logits.argmax(-1) == batch.ids) & known).sum()
    return found


class Trainer:
    """One run: model, its average, optimizers, clock and log."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(args.seed)
        self.model = Nano(compiled=args.compile).to(args.device)
        self.optimizers = optimizers(self.model, args.lr)
        self.step, self.seconds, self.pages = 0, 0.0, 0
        state_file = self.out / "state.pt"
        if state_file.exists():
            state = torch.load(state_file, map_location=args.device)
            self.model.load_state_dict(state["model"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.step, self.seconds, self.pages = state["step"], state["seconds"], state["pages"]
        elif args.start:
            load_weights(self.model.vlm, args.start)
            if heads_file(args.start).exists():
                load_heads(self.model, args.start)
        self.average = copy.deepcopy(self.model.vlm).requires_grad_(False)
        if state_file.exists():
            self.average.load_state_dict(state["average"])
        self.multi_tile = torch.zeros(()).share_memory_()
        pages = Pages((args.seed << 48) + self.pages, self.multi_tile)
        self.batches = iter(
            DataLoader(pages, batch_size=None, num_workers=args.workers, prefetch_factor=4)
        )

    def save(self) -> None:
        """Writes state and exported checkpoint; an interruption leaves the former ones whole."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
            "pages": self.pages,
        }
        torch.save(state, self.out / "state.tmp")
        os.replace(self.out / "state.tmp", self.out / "state.pt")
        max_tiles = MAX_TILES if float(self.multi_tile) else 1
        write_checkpoint(self.average, self.out / "export", max_tiles)

    def progress(self) -> float:
        """Share of the run that is over, in steps where they are given, else in minutes."""
        if self.args.steps is not None:
            return min(1.0, self.step / self.args.steps)
        return min(1.0, self.seconds / (60 * self.args.minutes))

    def learning_rate(self) -> float:
        """Linear warm-up over 100 steps, then a cosine over the run to nearly zero."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return self.args.lr * min(1.0, (self.step + 1) / 100) * (0.01 + 0.99 * cosine)

    def dense_weight(self) -> float:
        """Weight of the dense losses: 1 while the encoder is what limits the reading, then less."""
        return max(0.2, 1.0 - self.progress())

    def train_step(self) -> dict[str, float]:
        """One optimizer step over ``ACCUMULATE`` micro-batches; returns what to log."""
        args = self.args
        dense_only = self.progress() < args.encoder_share
        batches = [next(self.batches).to(args.device) for _ in range(ACCUMULATE)]
        n_tokens = sum(int((b.ids != IGNORED).sum()) for b in batches)
        figures: dict[str, float] = {}
        for batch in batches:
            with torch.autocast(args.device, torch.bfloat16):
                found = losses(self.model, batch, dense_only)
            loss = self.dense_weight() / ACCUMULATE * (found["patch"] + found["slot"])
            if not dense_only:
                loss = loss + found["text"] / n_tokens
                guided = POINTER_WEIGHT * found["pointer"] + TILE_WEIGHT * found["tile"]
                loss = loss + guided / ACCUMULATE
                kind = "single" if batch.tiles.shape[1] == 1 else "multi"
                text = float(found["text"].detach()) / n_tokens
                figures["text"] = figures.get("text", 0.0) + text
                figures[f"{kind}_right"] = figures.get(f"{kind}_right", 0.0) + float(found["right"])
                figures[f"{kind}_tokens"] = figures.get(f"{kind}_tokens", 0.0) + int(
                    (batch.ids != IGNORED).sum()
                )
            loss.backward()
            for name in LOGGED & found.keys():
                figures[name] = figures.get(name, 0.0) + float(found[name].detach()) / ACCUMULATE
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        decay = min(AVERAGING, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            trained = self.model.vlm.parameters()
            for mean, p in zip(self.average.parameters(), trained, strict=True):
                mean.lerp_(p, 1 - decay)
        self.step += 1
        self.pages += sum(len(b.tiles) for b in batches)
        return figures

    def run(self) -> None:
        """Trains until the run is over or a signal asks to stop; saves either way."""
        stopped: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: stopped.append(number))
        sums: dict[str, float] = {}
        saved = shown = time.monotonic()
        while self.progress() < 1 and not stopped:
            before = time.monotonic()
            if self.args.start or self.progress() > MULTI_TILE_FROM:
                self.multi_tile.fill_(self.args.multi_tile)
            for name, value in self.train_step().items():
                sums[name] = sums.get(name, 0.0) + value
            self.seconds += time.monotonic() - before
            if self.step % 20 == 0:
                self.log(sums, (time.monotonic() - shown) / 20)
                sums, shown = {}, time.monotonic()
            if time.monotonic() - saved > 60 * self.args.save_minutes:
                self.save()
                saved = time.monotonic()
        self.save()

    def log(self, sums: dict[str, float], seconds_per_step: float) -> None:
        """Prints and keeps one line of progress: means over the last 20 steps."""
        line: dict[str, Any] = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 1),
            "pages": self.pages,
            "s_per_step": round(seconds_per_step, 2),
            "lr": round(self.learning_rate(), 6),
        }
        for kind in ("single", "multi"):
            right, total = sums.pop(f"{kind}_right", 0.0), sums.pop(f"{kind}_tokens", 0.0)
            if total:
                line[f"{kind}_accuracy"] = round(right / total, 4)
        line.update((name, round(total / 20, 4)) for name, total in sums.items())
        print(" ".join(f"{k} {v}" for k, v in line.items()), flush=True)
        with (self.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", required=True, help="run folder; an existing one is resumed")
    parser.add_argument("--start", help="checkpoint folder (-hf layout) to continue from")
    parser.add_argument("--minutes", type=float, default=100, help="length of the whole run")
    parser.add_argument(
        "--steps", type=int, help="length in steps instead, the same on any machine"
    )
    parser.add_argument(
        "--encoder-share",
        type=float,
        default=0.0,
        help="first share of the run that trains the encoder alone",
    )
    parser.add_argument(
        "--multi-tile",
        type=float,
        default=0.5,
        help="share of the micro-batches with pages of several tiles, once these join",
    )
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--compile", action="store_true", help="compile the layers: faster after two minutes"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pages")
    parser.add_argument("--save-minutes", type=float, default=8)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    Trainer(args).run()


if __name__ == "__main__":
    main()
