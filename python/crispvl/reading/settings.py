"""What decides how a document is read, to tell whether two were read alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from crispvl.options import MAX_TOKENS, ReadOptions
from crispvl.reading.layout_choice import chosen_layout

_NOT_SETTINGS = frozenset({"password", "allow_urls", "pages", "streams", "speculate"})
"""Options that say where the pages come from and how fast, not what is read."""


def settings(
    options: ReadOptions, prompt: str | None, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what a document is read with, as JSON's types.

    Args:
        options: What the caller wants.
        prompt: What the caller asks.
        metadata: Of the model's file, which decides where the options leave it open.
    """
    chosen = {name: value for name, value in asdict(options).items() if name not in _NOT_SETTINGS}
    layout = chosen_layout(metadata, options, prompt)
    if options.max_tokens is None and layout != "lines":
        chosen["max_tokens"] = MAX_TOKENS
    return {"prompt": prompt, **chosen, "layout": layout}
