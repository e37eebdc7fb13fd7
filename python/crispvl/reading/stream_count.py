"""How many pages are read at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crispvl.engine.kv_memory import SHARE_OF_MEMORY, free_bytes
from crispvl.options import MAX_TOKENS, ReadOptions
from crispvl.tiling import most_tiles

if TYPE_CHECKING:
    from crispvl.engine.model import Model

MAX_STREAMS = 8
"""More would share the weights' way through memory among more pages, to little effect."""

_PROMPT_TOKENS = 128  # of text: system message, question and marks


def stream_count(model: Model, options: ReadOptions) -> int:
    """Returns what the options say, or else as many as have room, at least one."""
    if options.streams is not None:
        return options.streams
    free = free_bytes(model)
    if free is None:
        return MAX_STREAMS
    fitting = int(SHARE_OF_MEMORY * free / (_page_tokens(model, options) * model.core.kv_bytes))
    return max(1, min(MAX_STREAMS, fitting))


def _page_tokens(model: Model, options: ReadOptions) -> int:
    """Tokens of the largest page and its answer."""
    rule = model.config.image
    n_tiles = most_tiles(options.max_tiles or rule.max_tiles, rule.thumbnail, rule.multi_scale)
    n_image: int = n_tiles * model.config.projector.tokens_per_tile
    context: int = model.config.decoder.context_length  # positions
    n_most: int = round(context / rule.position_step)
    return min(n_most, n_image + _PROMPT_TOKENS + (options.max_tokens or MAX_TOKENS))
