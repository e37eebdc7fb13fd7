"""``/v1/completions``: a prompt as it is, without a chat format."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crispvl.server.wire.common import (
    AnswerTimings,
    OpenAIFinishReason,
    Reply,
    Sampling,
    Text,
    Usage,
    Wire,
)

TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]
TokenIds = Annotated[list[TokenId], Field(min_length=1, fail_fast=True)]
"""The first that is wrong is named; to collect half a million errors would take seconds."""

MAX_PROMPTS = 256


class CompletionRequest(Sampling):
    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS, fail_fast=True)]
    )
    """A text, several, or the tokens of one or of several."""
    echo: bool | None = None
    """Whether the answer begins with the prompt."""
    logprobs: int | None = Field(None, ge=0, le=20)


class CompletionLogprobs(Reply):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(Reply):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: OpenAIFinishReason | None
    stop_reason: str | None = None


class CompletionReply(Reply):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    timings: AnswerTimings | None = None
    system_fingerprint: str


class TokenizeRequest(Wire):
    """vLLM's fields and llama-server's."""

    model: str | None = None
    prompt: Text | None = None
    content: Text | None = None
    add_special_tokens: bool | None = None
    parse_special: bool | None = None
    """Whether ``<img>`` and the like become one token; they do without it."""


class TokenizeReply(Reply):
    tokens: list[int]
    count: int
    max_model_len: int


class DetokenizeRequest(Wire):
    model: str | None = None
    tokens: Annotated[list[TokenId], Field(max_length=1_000_000, fail_fast=True)]


class DetokenizeReply(Reply):
    prompt: str
    content: str
