"""Which pages are read, and how they are asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from crispvl.options.answers import GenerateOptions
from crispvl.options.fields import check, check_optional_count, option
from crispvl.options.page_ranges import check_page_ranges

MOST_TILES = 1024
"""Of an image, the thumbnail not counted: more than any model was trained with."""

Task: TypeAlias = Literal[
    "text", "markdown", "table", "formula", "key-value", "caption", "grounding"
]
"""What to ask of a page; `crispvl.prompts.tasks` has the prompts."""

Layout: TypeAlias = Literal["page", "lines", "blocks", "auto"]
"""How a page is shown to the model: whole, as it was published; as strips of its lines, many to a
tile; each block of it by itself; or as suits the page and the model best."""


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Which pages of a document are read, and how they become images."""

    pages: str | None = option(
        None, "pages to read, such as 1-3,7,10- (default: all)", metavar="RANGES"
    )
    dpi: int = option(
        200, "least resolution at which the pages of a PDF are rendered", metavar="DPI"
    )
    password: str | None = option(None, "password of an encrypted PDF", metavar="WORD")
    allow_urls: bool = option(False, "fetch documents given as http and https addresses")

    def __post_init__(self) -> None:
        if self.pages is not None:
            check("pages", self.pages, str, "a page range", lambda value: True)
            check_page_ranges(self.pages)
        check("dpi", self.dpi, int, "in 36…1200", lambda v: 36 <= v <= 1200)
        if self.password is not None:
            check("password", self.password, str, "a string", lambda value: True)
        check("allow_urls", self.allow_urls, bool, "a bool", lambda v: True)


@dataclass(frozen=True, kw_only=True)
class ReadOptions(GenerateOptions, InputOptions):
    """All of `GenerateOptions` and `InputOptions`, and how a page is asked about and cut up."""

    task: Task = option("text", "what to ask for if no prompt is given")  # noqa: RUF009
    max_tiles: int | None = option(
        None, "most tiles per image (default: as the model says)", metavar="N"
    )
    min_tiles: int | None = option(
        None, "fewest tiles per image (default: as the model says)", metavar="N"
    )
    layout: Layout | None = option(  # noqa: RUF009
        None,
        "show the page to the model as a whole, as strips of its lines, or block by block; auto "
        "chooses (default: what the model was made for)",
    )
    thinking: bool | None = option(
        None,
        "let a model that can think before it answers do so (slower), Qianfan-OCR about the "
        "layout (default: as its chat template says)",
    )
    skip_blank: bool = option(True, "give blank pages an empty text without asking the model")
    repair_loops: bool = option(True, "let the model try again if it repeats itself")
    groundedness: bool = option(
        False, "measure how much of the answer comes from the image (slower)"
    )
    streams: int | None = option(
        None,
        "most pages to read at the same time (default: up to 8, as memory allows)",
        metavar="N",
    )
    page_time_limit: float | None = option(
        None, "stop a page after SECONDS and keep its text so far", metavar="SECONDS"
    )
    time_limit: float | None = option(
        None, "stop a document after SECONDS and keep its text so far", metavar="SECONDS"
    )

    def __post_init__(self) -> None:
        GenerateOptions.__post_init__(self)
        InputOptions.__post_init__(self)
        tasks = get_args(Task)
        check("task", self.task, str, f"one of {', '.join(tasks)}", lambda v: v in tasks)
        layouts = get_args(Layout)
        if self.layout is not None:
            check(
                "layout", self.layout, str, f"one of {', '.join(layouts)}", lambda v: v in layouts
            )
        for name in ("max_tiles", "min_tiles"):
            if getattr(self, name) is not None:
                check(
                    name, getattr(self, name), int, f"in 1…{MOST_TILES}",
                    lambda v: 1 <= v <= MOST_TILES,
                )  # fmt: skip
        if self.max_tiles is not None and self.min_tiles is not None:
            check_tiles(self.min_tiles, self.max_tiles)
        check_optional_count("streams", self.streams)
        for name in ("skip_blank", "repair_loops", "groundedness"):
            check(name, getattr(self, name), bool, "a bool", lambda v: True)
        if self.thinking is not None:
            check("thinking", self.thinking, bool, "a bool", lambda v: True)
        for name in ("page_time_limit", "time_limit"):
            if getattr(self, name) is not None:
                check(name, getattr(self, name), float, "over 0", lambda v: v > 0)


def check_tiles(min_tiles: int, max_tiles: int) -> None:
    """Raises a ValueError where no number of tiles is allowed."""
    if min_tiles > max_tiles:
        raise ValueError(
            f"[options] expected min_tiles in 1…{max_tiles}, at most max_tiles; found "
            f"{min_tiles}; lower it, or raise max_tiles"
        )
