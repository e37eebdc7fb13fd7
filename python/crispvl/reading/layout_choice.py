"""Whether a page is shown to the model whole, by its lines or by its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from crispvl.errors import Cancelled
from crispvl.layout.strip_format import DEFAULT_LAYOUT_KEY
from crispvl.options import Layout, ReadOptions
from crispvl.reading.pages import is_legible

if TYPE_CHECKING:
    from crispvl._core import CancelToken
    from crispvl._core import Layout as PageLayout
    from crispvl.engine.model import Model

LINE_TASKS = frozenset({"text", "markdown", "table"})
"""Tasks whose answer can be put together from the lines of a page."""


def chosen_layout(metadata: Mapping[str, Any], options: ReadOptions, prompt: str | None) -> Layout:
    """Returns the layout that the options name, or else the model's own, as far as it fits.

    Args:
        metadata: Of the model's file.
        options: What the caller wants.
        prompt: What the caller asks; None where the task's own prompt is used.

    Raises:
        ValueError: The page is to be read by lines, and something else is asked than its text.
    """
    reads_lines = prompt is None and options.task in LINE_TASKS and not options.groundedness
    if options.layout is None:
        own = cast(Layout, metadata.get(DEFAULT_LAYOUT_KEY, "page"))
        return own if reads_lines else "page"
    if options.layout == "auto" and not reads_lines:
        return "page"
    if options.layout == "lines" and not reads_lines:
        asked = "groundedness" if options.groundedness else "a prompt" if prompt else options.task
        raise ValueError(
            f"[layout] expected one of the tasks {', '.join(sorted(LINE_TASKS))} and no prompt, "
            f"since only these are read by lines; found {asked}; use layout='page'"
        )
    return options.layout


@dataclass(frozen=True)
class LayoutChoice:
    """How a page is to be read.

    Attributes:
        layout: The layout.
        found: What is on the page, where that was looked for.
    """

    layout: Layout
    found: PageLayout | None = None


def layout_for(
    page: Image.Image, model: Model, options: ReadOptions, cancel: CancelToken | None
) -> LayoutChoice:
    """Returns the layout that suits a page best, where ``auto`` leaves it to us.

    A model that was made for lines gets lines. Another gets the page as it is where its print is
    still large enough on the model's tiles, and else its blocks.

    Raises:
        Cancelled: While the page's lines were looked for.
    """
    from crispvl._core import find_layout

    if model.metadata.get(DEFAULT_LAYOUT_KEY) == "lines":
        return LayoutChoice("lines")
    try:
        found = find_layout(np.asarray(page), cancel)
    except Cancelled:
        if cancel is None or not cancel.expired:
            raise
        return LayoutChoice("page")  # whose reading ends at once and says why
    return LayoutChoice("page" if is_legible(found, model.config, options) else "blocks", found)
