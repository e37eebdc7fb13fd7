"""Whether a page is shown to the model whole, by its lines or by its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from crispvl.layout.strip_format import DEFAULT_LAYOUT_KEY
from crispvl.options import Layout, ReadOptions

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
    if options.layout == "lines" and not reads_lines:
        asked = "groundedness" if options.groundedness else "a prompt" if prompt else options.task
        raise ValueError(
            f"[layout] one of the tasks {', '.join(sorted(LINE_TASKS))} without a prompt is "
            f"expected to be read by lines; found {asked}; use layout='page'"
        )
    return options.layout
