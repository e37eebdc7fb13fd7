"""One answer of a model as it is written, and what is said about it in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.logits_sampler import LogitsSampler
from crispvl.engine.model import Model
from crispvl.engine.request import Constraint, Request
from crispvl.engine.token_stream import Token
from crispvl.errors import CrispVLError, EngineBusyError
from crispvl.options import Layout, ReadOptions
from crispvl.reading.answering import PreparedChat
from crispvl.results.generation import Answer, FinishReason, Generation
from crispvl.server.errors import ApiError
from crispvl.server.stop_texts import StopTexts
from crispvl.server.wire.common import AnswerTimings, OpenAIFinishReason, PromptTokensDetails, Usage
from crispvl.server.worker import Running, Worker

if TYPE_CHECKING:
    from crispvl._core import CancelToken


@dataclass(frozen=True)
class WrittenToken:
    """A token, and the likeliest in its place with their log-probabilities, where asked for."""

    token: Token
    top: Sequence[tuple[int, float]] = ()


@dataclass(frozen=True)
class Piece:
    """Some text of an answer or of the thought before it, and the tokens written meanwhile."""

    text: str
    tokens: tuple[WrittenToken, ...] = ()
    thought: str = ""


Prepare = Callable[["CancelToken"], PreparedChat]
"""Makes an answer ready for the engine; it is called in a thread."""


def prepare_prompt(
    ids: list[int], options: ReadOptions, constraint: Constraint | None, cancel: CancelToken
) -> PreparedChat:
    """Returns a prompt without a chat format, ready to be continued."""
    request = Request(
        prompt_ids=ids,
        options=options,
        repair_loops=options.repair_loops,
        constraint=constraint,
        cancel=cancel,
    )
    return PreparedChat(request=request, n_tiles=0, image_ms=0.0)


@dataclass
class WrittenAnswer:
    """An answer on its way.

    Attributes:
        on_end: Is called when nothing is written any more.
        stop_reason: The stop text that was met, or why the engine cut the answer.
        layout: How the model saw the pictures.
    """

    model: Model
    queue_ms: float
    stops: StopTexts
    on_end: Callable[[object], None]
    handle: Handle[Generation] | None = None
    chat: PreparedChat | None = None
    tokens: list[WrittenToken] = field(default_factory=list)
    layout: Layout = "page"

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to tell of it."""
        return self.handle is not None or "result" in vars(self)

    @cached_property
    def result(self) -> Answer:
        """The engine's answer; asked for once it has ended."""
        assert self.handle is not None
        assert self.chat is not None
        generation = self.handle.partial
        timings = replace(generation.timings, image_ms=self.chat.image_ms)
        return Answer(generation=generation, n_tiles=self.chat.n_tiles, timings=timings)

    @property
    def finish_reason(self) -> FinishReason:
        return "stop" if self.stops.found is not None else self.result.finish_reason

    @property
    def openai_finish_reason(self) -> OpenAIFinishReason:
        """``stop``, or ``length`` for whatever cut the answer."""
        return "stop" if self.finish_reason == "stop" else "length"

    @property
    def stop_reason(self) -> str | None:
        if self.stops.found is not None:
            return self.stops.found
        return None if self.finish_reason in ("stop", "length") else self.finish_reason

    @property
    def confidence(self) -> float:
        """Mean probability of the tokens."""
        return self.result.confidence

    @property
    def thought(self) -> str | None:
        return self.result.thought or None

    @property
    def usage(self) -> Usage:
        generation = self.result.generation
        per_tile = self.model.config.projector.tokens_per_tile
        n_prompt, n_written = generation.n_prompt_tokens, len(generation.ids)
        return Usage(
            prompt_tokens=n_prompt,
            completion_tokens=n_written,
            total_tokens=n_prompt + n_written,
            prompt_tokens_details=PromptTokensDetails(
                image_tokens=self.result.n_tiles * per_tile,
                cached_tokens=generation.n_cached_tokens,
            ),
        )

    @property
    def timings(self) -> AnswerTimings:
        generation, took = self.result.generation, self.result.timings
        prompt_ms = took.encode_ms + took.prefill_ms
        n_prompt, n_written = generation.n_prompt_tokens, len(generation.ids)
        return AnswerTimings(
            prompt_n=n_prompt,
            prompt_ms=prompt_ms,
            prompt_per_token_ms=prompt_ms / max(n_prompt, 1),
            prompt_per_second=_per_second(n_prompt, prompt_ms),
            predicted_n=n_written,
            predicted_ms=took.decode_ms,
            predicted_per_token_ms=took.decode_ms / max(n_written, 1),
            predicted_per_second=_per_second(n_written, took.decode_ms),
            image_ms=took.image_ms,
            encode_ms=took.encode_ms,
            queue_ms=self.queue_ms,
        )


@asynccontextmanager
async def write_answer(
    worker: Worker, engine: Engine, prepare: Prepare, answer: WrittenAnswer
) -> AsyncIterator[AsyncIterator[Piece]]:
    """Has an answer written while the context lasts.

    Raises:
        ApiError: The engine cannot take the prompt.
    """
    from crispvl._core import CancelToken

    token = CancelToken()
    async with AsyncExitStack() as stack:
        try:
            chat = await anyio.to_thread.run_sync(prepare, token)
            entered = worker.in_engine(engine, chat.request, token)
            running, handle = await stack.enter_async_context(entered)
        except EngineBusyError:
            raise ApiError(
                429,
                "[server] expected a free place in the engine; found it busy; try again later",
                "queue_full",
                retry_after=5,
            ) from None
        except ValueError as error:
            if isinstance(error, CrispVLError):
                raise
            raise ApiError(400, str(error), "invalid_value") from error  # a slip in the request
        running.ended.add_done_callback(answer.on_end)
        answer.handle, answer.chat = handle, chat
        sampler = chat.request.constraint
        top = sampler.top if isinstance(sampler, LogitsSampler) else []
        events = running if sampler is None else _following(running)
        yield _pieces(running, events, answer, top)


async def _following(running: Running[Any]) -> AsyncIterator[Any]:
    """Yields what is written in a form; says so where that form turns out to lead nowhere."""
    try:
        async for event in running:
            yield event
    except ValueError as error:
        if isinstance(error, CrispVLError):
            raise
        raise ApiError(  # such as a schema that only refers to itself
            422,
            "[response_format] expected a schema that an answer can follow; found one that no "
            "answer can; change it",
            "invalid_schema",
            "response_format",
        ) from error


async def _pieces(
    running: Running[Any],
    events: AsyncIterator[Any],
    answer: WrittenAnswer,
    top: Sequence[Sequence[tuple[int, float]]],
) -> AsyncIterator[Piece]:
    n_tokens = 0
    async for event in events:
        if not isinstance(event, Token):
            continue
        written: tuple[WrittenToken, ...] = ()
        if event.id is not None:  # or else what an unfinished character left behind
            written = (WrittenToken(event, top[n_tokens] if top else ()),)
            n_tokens += 1
        answer.tokens += written
        yield Piece(answer.stops.push(event.text), written, event.thought)
        if answer.stops.found is not None:
            await running.stop()
            return
    yield Piece(answer.stops.finish())


def _per_second(n: int, ms: float) -> float:
    return 1000 * n / ms if ms else 0.0
