"""``/tokenize`` and ``/detokenize``, as vLLM and llama-server have them."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, Request

from crispvl.server.errors import ApiError
from crispvl.server.requests import JsonRoute
from crispvl.server.state import server_state
from crispvl.server.wire import completions as wire
from crispvl.server.wire.common import ERRORS

router = APIRouter(tags=["tokens"], responses=ERRORS, route_class=JsonRoute)


@router.post("/tokenize")
async def tokenize(request: Request, body: wire.TokenizeRequest) -> wire.TokenizeReply:
    """Returns the tokens of a text."""
    text = body.content if body.prompt is None else body.prompt
    if text is None:
        raise ApiError(
            400, "[prompt] expected a text; found none; send one", "invalid_value", "prompt"
        )
    async with server_state(request).models.use(body.model) as served:
        model = served.ocr.model
        special = body.parse_special is not False
        ids = await to_thread.run_sync(lambda: list(model.tokenize(text, special=special)))
        tokenizer = model.config.tokenizer
        if body.add_special_tokens and tokenizer.add_bos:
            ids.insert(0, tokenizer.bos_id)
        length = model.config.decoder.context_length
        return wire.TokenizeReply(tokens=ids, count=len(ids), max_model_len=length)


@router.post("/detokenize")
async def detokenize(request: Request, body: wire.DetokenizeRequest) -> wire.DetokenizeReply:
    """Returns the text of tokens."""
    async with server_state(request).models.use(body.model) as served:
        try:
            text = await to_thread.run_sync(served.ocr.model.detokenize, body.tokens)
        except ValueError as error:
            raise ApiError(400, str(error), "invalid_value", "tokens") from error
        return wire.DetokenizeReply(prompt=text, content=text)
