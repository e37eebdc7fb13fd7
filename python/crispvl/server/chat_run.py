"""The answers to one request for a chat completion, being written together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from crispvl.options import ReadOptions
from crispvl.reading.streams import AnswerStream
from crispvl.server.answers import Piece, WrittenAnswer, write_answer
from crispvl.server.conversation import Turn
from crispvl.server.merging import merge
from crispvl.server.pool import ServedModel
from crispvl.server.sampling import answer_length, read_options
from crispvl.server.state import ServerState
from crispvl.server.stop_texts import StopTexts
from crispvl.server.wire.chat import ChatRequest

if TYPE_CHECKING:
    from crispvl._core import CancelToken


class ChatRun:
    """A request that has its turn.

    Attributes:
        model: Who answers.
        answers: As many as were asked for, complete once `pieces` has ended.
    """

    def __init__(
        self,
        model: ServedModel,
        answers: list[WrittenAnswer],
        writing: list[AsyncIterator[Piece]],
    ) -> None:
        self.model = model
        self.answers = answers
        self._writing = writing

    def pieces(self) -> AsyncIterator[tuple[int, Piece]]:
        """Yields what is written, with the number of its answer."""
        return merge(self._writing)


async def begin_chat(state: ServerState, body: ChatRequest, stack: AsyncExitStack) -> ChatRun:
    """Waits for a turn and begins the answers; the stack holds what they use.

    Raises:
        ApiError: The request cannot be answered.
    """
    asked = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    n_tokens = answer_length(asked, state.options.max_tokens)
    options = [read_options(body, body, n_tokens, i) for i in range(body.n or 1)]
    model = await stack.enter_async_context(state.models.use(body.model))
    queue_ms = await stack.enter_async_context(model.admission.turn())
    turns = await state.conversations.build(body.messages, options[0])
    answers, writing = [], []
    for chosen in options:
        answer = WrittenAnswer(model.ocr.model, queue_ms, StopTexts(body.stops))
        stack.callback(state.metrics.count_answer, model.name, answer)
        begin = partial(_begin, model, turns, chosen)
        pieces = await stack.enter_async_context(write_answer(state.worker, begin, answer))
        await anext(pieces)  # the engine has taken the prompt
        answers.append(answer)
        writing.append(pieces)
    return ChatRun(model, answers, writing)


def _begin(
    model: ServedModel, turns: list[Turn], options: ReadOptions, cancel: CancelToken
) -> AnswerStream:
    return model.ocr.chat_stream(turns, options=options, cancel=cancel)
