"""The answers to one request, being written together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from crispvl.server.admission import Turn
from crispvl.server.answers import Piece, WrittenAnswer
from crispvl.server.merging import merge
from crispvl.server.pool import ServedModel
from crispvl.server.state import ServerState
from crispvl.server.stop_texts import StopTexts
from crispvl.server.wire.common import Usage


class Run:
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

    async def texts(self) -> list[str]:
        """Waits for the end and returns the texts of all answers."""
        texts = [""] * len(self.answers)
        async for i, piece in self.pieces():
            texts[i] += piece.text
        return texts

    def usage(self, n_per_prompt: int = 1) -> Usage:
        """Returns each prompt once, and the tokens of all answers.

        Args:
            n_per_prompt: Answers that follow each other and have the same prompt.
        """
        usages = [answer.usage for answer in self.answers]
        prompts = usages[::n_per_prompt]
        n_prompt = sum(usage.prompt_tokens for usage in prompts)
        n_written = sum(usage.completion_tokens for usage in usages)
        details = prompts[0].prompt_tokens_details
        details.image_tokens = sum(u.prompt_tokens_details.image_tokens for u in prompts)
        details.cached_tokens = sum(u.prompt_tokens_details.cached_tokens for u in prompts)
        return Usage(
            prompt_tokens=n_prompt,
            completion_tokens=n_written,
            total_tokens=n_prompt + n_written,
            prompt_tokens_details=details,
        )


Write = Callable[[WrittenAnswer], AbstractAsyncContextManager[AsyncIterator[Piece]]]
"""Has an answer written while the context lasts."""


async def begin_answers(
    state: ServerState,
    model: ServedModel,
    turn: Turn,
    writes: Sequence[Write],
    stops: Sequence[str],
    stack: AsyncExitStack,
) -> Run:
    """Begins answers.

    Args:
        state: The server's.
        model: Who answers.
        turn: The request's; it ends with the last answer, which may take longer to be sent.
        writes: One per answer.
        stops: Texts at which answers end.
        stack: Holds what the answers use, until the request ends.

    Raises:
        ApiError: The engine cannot take a prompt.
    """
    n_left = len(writes)

    def end_one(_: object) -> None:
        nonlocal n_left
        n_left -= 1
        if not n_left:
            turn.end()

    answers, writing = [], []
    for write in writes:
        answer = WrittenAnswer(model.ocr.model, turn.queue_ms, StopTexts(stops), end_one)
        stack.callback(state.metrics.count_answer, model.name, answer)
        writing.append(await stack.enter_async_context(write(answer)))
        answers.append(answer)
    return Run(model, answers, writing)
