"""The whole model, from tiles and prompt to logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reference.checkpoint import load_checkpoint
from reference.decoder_layer import KeyValues, decoder_layer
from reference.norm import rms_norm
from reference.numbers import Array
from reference.patch_embed import patch_embed
from reference.preprocess import normalise
from reference.projector import projector
from reference.router import choose, score, small_projector
from reference.vision_layer import vision_layer

Tiles = NDArray[np.uint8]


@dataclass
class _Past:
    """The tokens so far: each layer's cache, and what entered the first layer."""

    cache: list[KeyValues]
    embedded: list[Array] = field(default_factory=list)


class Reference:
    """A checkpoint that can be asked for every stage."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint = load_checkpoint(folder)

    def trace(self, tiles: Tiles | None, prompt_ids: Sequence[int]) -> dict[str, Array]:
        """Every stage by its name.

        ``vis_*`` are ``[n_tiles, n, width]``, ``llm_*`` are ``[1, n_tokens, width]``, ``logits``
        are ``[vocab]`` at the last position.
        """
        stages = {} if tiles is None else self._encode(tiles)
        x = self._embed(*self._routed(prompt_ids, stages))
        return {**stages, **self._decode(x, self._new_cache())}

    def logits_in_steps(self, steps: Sequence[Sequence[int]]) -> list[Array]:
        """Logits after each step, where a step is some more token ids (text only)."""
        past = _Past(self._new_cache())
        return [self._advance(self._embed(ids, None), past) for ids in steps]

    def greedy(self, tiles: Tiles | None, prompt_ids: Sequence[int], n_tokens: int) -> list[int]:
        """The most likely continuation."""
        stages = {} if tiles is None else self._encode(tiles)
        past, ids = _Past(self._new_cache()), list[int]()
        step = self._embed(*self._routed(prompt_ids, stages))
        for _ in range(n_tokens):
            ids.append(int(self._advance(step, past).argmax()))
            step = self._embed(ids[-1:], None)
        return ids

    def _advance(self, x: Array, past: _Past) -> Array:
        """Logits after more tokens. longrope rotates all keys anew where the length says so."""
        past.embedded.append(x)
        if self.checkpoint.decoder.rope.scaling in ("longrope", "su"):
            return self._decode(np.concatenate(past.embedded), self._new_cache())["logits"]
        return self._decode(x, past.cache)["logits"]

    def _new_cache(self) -> list[KeyValues]:
        c = self.checkpoint.decoder
        return [KeyValues.empty(c) for _ in range(c.n_layers)]

    def _encode(self, tiles: Tiles) -> dict[str, Array]:
        c, w = self.checkpoint.vision, self.checkpoint.weights
        per_tile: list[dict[str, Array]] = []
        for pixels in normalise(tiles, c.mean, c.std):
            x = patch_embed(
                pixels,
                w["vision.patch.weight"],
                w["vision.patch.bias"],
                w["vision.class"],
                w["vision.position"],
            )
            stages = {"vis_patch_embed": x}
            for i in range(c.n_layers):
                x = stages[f"vis_layer_{i}"] = vision_layer(x, w.scope(f"vision.{i}"), c)
            stages["vis_proj_output"] = projector(x, w.scope("projector"), c.unshuffle)
            if self.checkpoint.router is not None:
                stages["vis_small_output"] = small_projector(x, w.scope("small"), c.unshuffle**2)
                stages["vis_router"] = score(x[1:], w.scope("pool"), w.scope("gating"))[None]
            per_tile.append(stages)
        return {name: np.stack([s[name] for s in per_tile]) for name in per_tile[0]}

    def _routed(
        self, ids: Sequence[int], stages: dict[str, Array]
    ) -> tuple[Sequence[int], Array | None]:
        """The prompt, and what its image tokens are; a router takes some of them away."""
        c, image_id = self.checkpoint.router, self.checkpoint.image_token_id
        if c is None or not stages:
            return ids, stages.get("vis_proj_output")
        large, small = stages["vis_proj_output"], stages["vis_small_output"]
        chosen = choose(stages["vis_router"][:, 0, 0], c)
        rows = [s if is_short else n for n, s, is_short in zip(large, small, chosen, strict=True)]
        kept = [
            i % large.shape[1] < len(rows[i // large.shape[1]]) for i in range(ids.count(image_id))
        ]
        image = iter(kept)
        left = [token for token in ids if token != image_id or next(image)]
        return left, np.concatenate(rows)

    def _embed(self, ids: Sequence[int], image: Array | None) -> Array:
        x = self.checkpoint.weights["decoder.embed.weight"][list(ids)]
        if image is not None:
            x[np.asarray(ids) == self.checkpoint.image_token_id] = image.reshape(-1, x.shape[1])
        return x

    def _decode(self, x: Array, cache: list[KeyValues]) -> dict[str, Array]:
        c, w = self.checkpoint.decoder, self.checkpoint.weights
        stages = {"llm_embed": x[None]}
        for i in range(c.n_layers):
            x = decoder_layer(x, w.scope(f"decoder.{i}"), c, cache[i], c.windows[i])
            stages[f"llm_layer_{i}"] = x[None]
        x = rms_norm(x, w["decoder.norm.weight"], c.epsilon)
        head = w["decoder.embed.weight" if c.tied_head else "decoder.head.weight"]
        return {**stages, "llm_final_norm": x[None], "logits": x[-1] @ head.T}
