"""What reading needs besides a document: a model with what belongs to it, and what is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crispvl.engine.engine import Engine
from crispvl.engine.model import Model
from crispvl.engine.prefill import Progress
from crispvl.engine.session_cache import SessionCache
from crispvl.events import Event
from crispvl.hub import bundled
from crispvl.options import ReadOptions, with_values
from crispvl.prompts.builder import PromptBuilder
from crispvl.prompts.messages import Framed, ImagePart, Message
from crispvl.reading.pages import tile_limits
from crispvl.reading.time_limits import new_token

if TYPE_CHECKING:
    from crispvl._core import CancelToken


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """How a document is read, and who is called with its events.

    Attributes:
        options: Task, pages, tiles, limits and sampling.
        prompt: What to ask of each page; None means the task's own prompt.
        cancel: Stops within one layer of encoding or one token.
        progress: Called with tiles encoded and tiles in all of a page.
        on_event: Called with every event, page after page.
        skip: Returns whether a page, by its number, is left out: it was read before.
        keep_pages: Whether the document holds the pages that are done. Without, memory does not
            grow with the document; take them from the `PageDone` events.
    """

    options: ReadOptions
    prompt: str | None
    cancel: CancelToken
    progress: Progress | None = None
    on_event: Callable[[Event], object] | None = None
    skip: Callable[[int], bool] | None = None
    keep_pages: bool = True


@dataclass(frozen=True, kw_only=True)
class ReadingContext:
    """A model, and what all that it reads has in common.

    Attributes:
        engine: Answers what the model is asked.
        prompts: In the model's format.
        cache: Of what was computed before.
        defaults: What a call's options leave open.
        is_bundled: Whether nobody named the model, so that users are told which one reads.
    """

    model: Model
    engine: Engine
    prompts: PromptBuilder
    cache: SessionCache
    defaults: ReadOptions
    is_bundled: bool = False

    def __post_init__(self) -> None:
        tile_limits(self.model.config, self.defaults)

    def announce(self) -> None:
        """Called where something is about to be read."""
        if self.is_bundled:
            bundled.announce()

    def choose(self, options: ReadOptions | None, settings: Mapping[str, Any]) -> ReadOptions:
        """Returns what a call reads with.

        Args:
            options: The call's.
            settings: Single fields that go before them.

        Raises:
            ValueError: The model cannot read so.
        """
        given = options or self.defaults
        own = vars(self.defaults).items()
        left = {name: value for name, value in own if getattr(given, name) is None}
        chosen = with_values(given, {**left, **settings})
        tile_limits(self.model.config, chosen)
        if chosen.thinking:
            self.prompts.check_thinking()
        return chosen

    def request(
        self,
        prompt: str | None,
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        on_event: Callable[[Event], object] | None = None,
        skip: Callable[[int], bool] | None = None,
        keep_pages: bool = True,
        **settings: Any,
    ) -> ReadRequest:
        """Returns what a call asks; see `ReadRequest` and `choose`."""
        return ReadRequest(
            options=self.choose(options, settings),
            prompt=prompt,
            cancel=cancel or new_token(),
            progress=progress,
            on_event=on_event,
            skip=skip,
            keep_pages=keep_pages,
        )

    def ask(self, question: str | Framed, n_tiles: int, thinking: bool | None = None) -> list[int]:
        """Returns the prompt with a question about one picture of some tiles."""
        message = Message("user", (ImagePart(b""), question))  # what it shows comes with the tiles
        n_image_tokens = n_tiles * self.model.config.projector.tokens_per_tile
        return self.prompts.build([message], [n_image_tokens], thinking)


@dataclass(frozen=True)
class PageRequest:
    """What the readers of a page are given.

    Attributes:
        context: Reads.
        question: What is asked about the page, or about each part of it.
        options: Task, tiles, limits and sampling.
        cancel: Stops within one layer of encoding or one token.
    """

    context: ReadingContext
    question: str | Framed
    options: ReadOptions
    cancel: CancelToken | None
