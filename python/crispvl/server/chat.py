"""``POST /v1/chat/completions``."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from crispvl._version import __version__
from crispvl.options import ReadOptions
from crispvl.reading.answering import PreparedChat
from crispvl.reading.ocr import CrispOCR
from crispvl.server.answers import Piece, write_answer
from crispvl.server.constraints import asked_form, make_constraint
from crispvl.server.conversation import Turn, check_tiles, with_question
from crispvl.server.events import DONE, event_stream
from crispvl.server.limits import resources
from crispvl.server.line_answers import reading_asked, write_pages
from crispvl.server.logprobs import TokenTexts
from crispvl.server.requests import JsonRoute
from crispvl.server.runs import Run, Write, begin_answers
from crispvl.server.sampling import answer_length, read_options, special_sampler
from crispvl.server.state import ServerState, server_state
from crispvl.server.wire import chat as wire
from crispvl.server.wire.common import ERRORS, OpenAIFinishReason

FINGERPRINT = f"crispvl-{__version__}"

if TYPE_CHECKING:
    from crispvl._core import CancelToken

router = APIRouter(tags=["chat"], responses=ERRORS, route_class=JsonRoute)


@router.post("/v1/chat/completions", response_model=wire.ChatReply)
async def chat_completions(request: Request, body: wire.ChatRequest) -> Any:
    """Answers a conversation, about images and documents or none."""
    state = server_state(request)
    stack = resources(request.scope)
    asked = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    n_tokens = answer_length(asked, state.options.max_tokens)
    options = [read_options(body, body, n_tokens, i) for i in range(body.n or 1)]
    model = await stack.enter_async_context(state.models.use(body.model))
    turn = await stack.enter_async_context(model.admission.turn())
    conversations = state.conversations(turn.given_up)
    turns = await conversations.build(body.messages, options[0])
    writes = [_writing(state, model.ocr, turns, chosen, body) for chosen in options]
    run = await begin_answers(state, model, turn, writes, body.stops, stack)
    writer = _Writer(run, body)
    if body.stream:
        return event_stream(writer.chunks(), DONE)
    return await writer.reply()


def _writing(
    state: ServerState,
    ocr: CrispOCR,
    turns: Sequence[Turn],
    options: ReadOptions,
    body: wire.ChatRequest,
) -> Write:
    """Returns how an answer is written: by reading the pictures' lines, or in the model's words."""
    form = asked_form(body)
    reading = None if body.logprobs or form is not None else reading_asked(ocr, turns, options)
    if reading is not None:
        return partial(write_pages, state.worker, ocr, reading)
    check_tiles(turns, ocr.model, options)
    asking = with_question(turns, options.task, ocr.model.config.chat)

    def prepare(token: CancelToken) -> PreparedChat:
        bound = None if form is None else make_constraint(form, ocr.model, options)
        sampler = special_sampler(body, options, body.top_logprobs or 0, bound)
        return ocr.prepare_chat(asking, options=options, cancel=token, constraint=sampler)

    return partial(write_answer, state.worker, ocr.engine, prepare)


class _Writer:
    """Puts what a run writes into OpenAI's forms."""

    def __init__(self, run: Run, body: wire.ChatRequest) -> None:
        self._run = run
        self._body = body
        self._texts = TokenTexts(run.model.ocr.model) if body.logprobs else None
        self._head: dict[str, Any] = {
            "object": "chat.completion.chunk" if body.stream else "chat.completion",
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": run.model.name,
            "system_fingerprint": FINGERPRINT,
        }

    async def reply(self) -> Response:
        answers = self._run.answers
        texts = await self._run.texts()
        choices = [
            wire.Choice(
                index=i,
                message=wire.AnswerMessage(content=texts[i], reasoning_content=answer.thought),
                logprobs=self._texts.logprobs(answer.tokens) if self._texts else None,
                finish_reason=answer.openai_finish_reason,
                stop_reason=answer.stop_reason,
                confidence=answer.confidence,
                layout=answer.layout,
            )
            for i, answer in enumerate(answers)
        ]
        reply = wire.ChatReply(
            **self._head,
            choices=choices,
            usage=self._run.usage(len(self._run.answers)),
            timings=answers[0].timings,
        )
        return Response(reply.model_dump_json(), media_type="application/json")

    async def chunks(self) -> AsyncIterator[wire.ChatChunk]:
        for i in range(len(self._run.answers)):
            yield self._chunk(i, wire.Delta(role="assistant", content=""))
        async for i, piece in self._run.pieces():
            if piece.thought:
                yield self._chunk(i, wire.Delta(reasoning_content=piece.thought), piece)
            elif piece.text or (self._texts and piece.tokens):
                yield self._chunk(i, wire.Delta(content=piece.text), piece)
        for i, answer in enumerate(self._run.answers):
            chunk = self._chunk(i, wire.Delta(), finish_reason=answer.openai_finish_reason)
            chunk.choices[0].stop_reason = answer.stop_reason
            chunk.choices[0].layout = answer.layout
            chunk.timings = answer.timings
            yield chunk
        if self._wants_usage:
            yield wire.ChatChunk(
                **self._head, choices=[], usage=self._run.usage(len(self._run.answers))
            )

    @property
    def _wants_usage(self) -> bool:
        options = self._body.stream_options
        return options is not None and bool(options.include_usage)

    def _chunk(
        self,
        i: int,
        delta: wire.Delta,
        piece: Piece | None = None,
        finish_reason: OpenAIFinishReason | None = None,
    ) -> wire.ChatChunk:
        logprobs = self._texts.logprobs(piece.tokens) if self._texts and piece else None
        choice = wire.ChunkChoice(
            index=i, delta=delta, logprobs=logprobs, finish_reason=finish_reason
        )
        chunk = wire.ChatChunk(**self._head, choices=[choice])
        if self._wants_usage:
            chunk.usage = None  # in every chunk but the last, as OpenAI has it
        return chunk
