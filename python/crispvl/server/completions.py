"""``POST /v1/completions``."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from crispvl.engine.model import Model
from crispvl.server.answers import WrittenToken, prepare_prompt, write_answer
from crispvl.server.chat import FINGERPRINT
from crispvl.server.errors import ApiError, too_long
from crispvl.server.events import DONE, event_stream
from crispvl.server.limits import resources
from crispvl.server.logprobs import TokenTexts
from crispvl.server.requests import JsonRoute
from crispvl.server.runs import Run, begin_answers
from crispvl.server.sampling import answer_length, read_options, special_sampler
from crispvl.server.state import server_state
from crispvl.server.wire import completions as wire
from crispvl.server.wire.common import ERRORS, MAX_CHARACTERS

MAX_ANSWERS = 64

router = APIRouter(tags=["completions"], responses=ERRORS, route_class=JsonRoute)


@router.post("/v1/completions", response_model=wire.CompletionReply)
async def completions(request: Request, body: wire.CompletionRequest) -> Any:
    """Goes on with texts as they are, without a chat format."""
    state = server_state(request)
    stack = resources(request.scope)
    n_per_prompt = body.n or 1
    n_tokens = answer_length(body.max_tokens, state.options.max_tokens)
    options = [read_options(body, None, n_tokens, i) for i in range(n_per_prompt)]
    model = await stack.enter_async_context(state.models.use(body.model))
    prompts = await anyio.to_thread.run_sync(_prompts, body.prompt, model.ocr.model)
    if len(prompts) * n_per_prompt > MAX_ANSWERS:
        raise ApiError(
            400,
            f"[n] expected at most {MAX_ANSWERS} answers; found {len(prompts) * n_per_prompt}; "
            "ask for fewer",
            "invalid_value",
            "n",
        )
    turn = await stack.enter_async_context(model.admission.turn())
    n_top = body.logprobs or 0
    prepares = [
        partial(prepare_prompt, ids, chosen, special_sampler(body, chosen, n_top))
        for ids in prompts
        for chosen in options
    ]
    engine = model.ocr.engine
    writes = [partial(write_answer, state.worker, engine, prepare) for prepare in prepares]
    run = await begin_answers(state, model, turn, writes, body.stops, stack)
    echoes = [model.ocr.model.detokenize(ids) if body.echo else "" for ids in prompts]
    writer = _Writer(run, body, [echo for echo in echoes for _ in options])
    if body.stream:
        return event_stream(writer.chunks(), DONE)
    return await writer.reply()


def _prompts(given: Any, model: Model) -> list[list[int]]:
    """Returns the tokens of each prompt; special tokens in texts are such."""
    several = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    n_characters = sum(len(one) for one in several if isinstance(one, str))
    if n_characters > MAX_CHARACTERS:
        raise too_long(n_characters, "prompt")
    return [_ids(one, model) if isinstance(one, str) else one for one in several]


def _ids(text: str, model: Model) -> list[int]:
    ids = list(model.tokenize(text))
    tokenizer = model.config.tokenizer
    if tokenizer.add_bos and ids[:1] != [tokenizer.bos_id]:
        ids.insert(0, tokenizer.bos_id)
    return ids


class _Writer:
    """Puts what a run writes into OpenAI's forms."""

    def __init__(self, run: Run, body: wire.CompletionRequest, echoes: Sequence[str]) -> None:
        self._run = run
        self._body = body
        self._echoes = echoes
        self._texts = TokenTexts(run.model.ocr.model) if body.logprobs is not None else None
        self._head: dict[str, Any] = {
            "object": "text_completion",
            "id": f"cmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": run.model.name,
            "system_fingerprint": FINGERPRINT,
        }

    async def reply(self) -> Response:
        texts = await self._run.texts()
        choices = [
            wire.CompletionChoice(
                index=i,
                text=self._echoes[i] + texts[i],
                logprobs=self._logprobs(answer.tokens, len(self._echoes[i])),
                finish_reason=answer.openai_finish_reason,
                stop_reason=answer.stop_reason,
            )
            for i, answer in enumerate(self._run.answers)
        ]
        reply = wire.CompletionReply(
            **self._head,
            choices=choices,
            usage=self._run.usage(self._body.n or 1),
            timings=self._run.answers[0].timings,
        )
        return Response(reply.model_dump_json(), media_type="application/json")

    async def chunks(self) -> AsyncIterator[wire.CompletionReply]:
        lengths = [0] * len(self._echoes)
        for i, echo in enumerate(self._echoes):
            if echo:
                yield self._chunk(i, echo)
        async for i, piece in self._run.pieces():
            if piece.text or (self._texts and piece.tokens):
                yield self._chunk(i, piece.text, piece.tokens, lengths[i])
                lengths[i] += len(piece.text)
        for i, answer in enumerate(self._run.answers):
            chunk = self._chunk(i, "")
            chunk.choices[0].finish_reason = answer.openai_finish_reason
            chunk.choices[0].stop_reason = answer.stop_reason
            yield chunk
        options = self._body.stream_options
        if options is not None and options.include_usage:
            usage = self._run.usage(self._body.n or 1)
            yield wire.CompletionReply(**self._head, choices=[], usage=usage)

    def _chunk(
        self, i: int, text: str, tokens: Sequence[WrittenToken] = (), offset: int = 0
    ) -> wire.CompletionReply:
        choice = wire.CompletionChoice(
            index=i, text=text, logprobs=self._logprobs(tokens, offset), finish_reason=None
        )
        return wire.CompletionReply(**self._head, choices=[choice])

    def _logprobs(
        self, tokens: Sequence[WrittenToken], offset: int
    ) -> wire.CompletionLogprobs | None:
        if self._texts is None:
            return None
        found = self._texts.logprobs(tokens).content
        offsets = []
        for token in found:
            offsets.append(offset)
            offset += len(token.token)
        return wire.CompletionLogprobs(
            tokens=[token.token for token in found],
            token_logprobs=[token.logprob for token in found],
            top_logprobs=[{top.token: top.logprob for top in t.top_logprobs} for t in found],
            text_offset=offsets,
        )
