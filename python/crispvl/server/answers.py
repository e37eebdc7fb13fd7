"""One answer of a model as it is written, and what is said about it in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from crispvl.engine.model import Model
from crispvl.engine.token_stream import Token, TokenStream
from crispvl.options import ReadOptions
from crispvl.reading.ocr import CrispOCR
from crispvl.results.generation import Answer, FinishReason
from crispvl.server.conversation import Turn
from crispvl.server.errors import ApiError
from crispvl.server.stop_texts import StopTexts
from crispvl.server.wire.common import AnswerTimings, PromptTokensDetails, Usage
from crispvl.server.worker import Running, Worker

if TYPE_CHECKING:
    from crispvl._core import CancelToken


@dataclass(frozen=True)
class Piece:
    """Some text of an answer, and the tokens that were written meanwhile."""

    text: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Begun:
    """An answer that the engine is ready to write.

    Attributes:
        n_tiles: Of all images of the prompt.
        image_ms: What cutting them up took.
    """

    tokens: TokenStream
    n_tiles: int = 0
    image_ms: float = 0.0

    @property
    def result(self) -> Answer:
        """What has been written so far."""
        generation = self.tokens.generation
        timings = replace(generation.timings, image_ms=self.image_ms)
        return Answer(generation=generation, n_tiles=self.n_tiles, timings=timings)


def begin_chat(
    ocr: CrispOCR, turns: list[Turn], options: ReadOptions, cancel: CancelToken
) -> Begun:
    """Makes the answer to a conversation ready."""
    stream = ocr.chat_stream(turns, options=options, cancel=cancel)
    return Begun(stream._tokens, stream._n_tiles, stream._image_ms)


def begin_prompt(model: Model, ids: list[int], options: ReadOptions, cancel: CancelToken) -> Begun:
    """Makes the continuation of a prompt ready."""
    return Begun(TokenStream(model, ids, None, options, cancel))


@dataclass
class WrittenAnswer:
    """An answer on its way.

    Attributes:
        stop_reason: The stop text that was met, or why the engine cut the answer.
    """

    model: Model
    queue_ms: float
    stops: StopTexts
    result: Answer | None = None
    tokens: list[Token] = field(default_factory=list)

    @property
    def finish_reason(self) -> FinishReason:
        assert self.result is not None
        return "stop" if self.stops.found is not None else self.result.finish_reason

    @property
    def openai_finish_reason(self) -> Literal["stop", "length"]:
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
        assert self.result is not None
        return self.result.confidence

    @property
    def usage(self) -> Usage:
        assert self.result is not None
        generation = self.result.generation
        per_tile = self.model.config.projector.tokens_per_tile
        n_prompt, n_written = generation.n_prompt_tokens, len(generation.ids)
        return Usage(
            prompt_tokens=n_prompt,
            completion_tokens=n_written,
            total_tokens=n_prompt + n_written,
            prompt_tokens_details=PromptTokensDetails(
                image_tokens=self.result.n_tiles * per_tile,
                cached_tokens=getattr(generation, "n_cached_tokens", 0),
            ),
        )

    @property
    def timings(self) -> AnswerTimings:
        assert self.result is not None
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
    worker: Worker,
    begin: Callable[[CancelToken], Begun],
    answer: WrittenAnswer,
) -> AsyncIterator[AsyncIterator[Piece]]:
    """Writes an answer while the context lasts; the first piece is empty: the prompt is accepted.

    Raises:
        ApiError: The engine cannot take the prompt.
    """

    def work(cancel: CancelToken, give: Callable[[Token | None], None]) -> None:
        try:
            begun = begin(cancel)
        except (ValueError, TypeError) as error:
            if type(error) in (ValueError, TypeError):  # a slip in the request
                raise ApiError(400, str(error), "invalid_value") from error
            raise
        give(None)
        try:
            for token in begun.tokens:
                give(token)
        finally:
            begun.tokens.close()
            answer.result = begun.result

    async def pieces(items: Running[Token | None]) -> AsyncIterator[Piece]:
        async for item in items:
            if not isinstance(item, Token):
                yield Piece("")
                continue
            answer.tokens.append(item)
            yield Piece(answer.stops.push(item.text), (item,))
            if answer.stops.found is not None:
                await items.stop()
                return
        yield Piece(answer.stops.finish())

    async with worker.run(work) as items:
        yield pieces(items)


def _per_second(n: int, ms: float) -> float:
    return 1000 * n / ms if ms else 0.0
