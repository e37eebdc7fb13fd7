"""Parts that several interfaces share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from crispvl.options import MOST_TILES, Task


class Wire(BaseModel):
    """A request: a number is no string, and a field that nobody knows is ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Reply(BaseModel):
    """A response."""

    model_config = ConfigDict(extra="allow")


OpenAIFinishReason = Literal["stop", "length"]

MAX_CHARACTERS = 2_000_000
"""Of a request's texts together: several times what any model's context holds. More would keep the
tokenizer busy for seconds, only to be refused."""

Text = Annotated[str, StringConstraints(max_length=MAX_CHARACTERS)]

StopText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class StreamOptions(Wire):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    """vLLM's: the usage so far in every chunk."""


class Sampling(Wire):
    """How answers are sampled and bounded; OpenAI's fields and those that vLLM adds."""

    model: str | None = Field(None, max_length=500)
    max_tokens: int | None = Field(None, ge=-1, le=1 << 31)
    temperature: float | None = Field(None, ge=0, le=100)
    """Greedy without it, as suits reading."""
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1 << 31)
    min_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 64)
    stop: StopText | Annotated[list[StopText], Field(max_length=16)] | None = None
    n: int | None = Field(None, ge=1, le=16)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=100)
    ignore_eos: bool | None = None
    """vLLM's, for measuring: write on beyond the end."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


class Reading(Wire):
    """How documents are cut up and read: crispvl's own fields."""

    max_tiles: int | None = Field(None, ge=1, le=MOST_TILES)
    min_tiles: int | None = Field(None, ge=1, le=MOST_TILES)
    pages: str | None = Field(None, max_length=1000)
    """Such as ``1-3,7,10-``."""
    task: Task | None = None
    layout: Literal["page", "lines", "blocks", "auto"] | None = None
    """How a page is read; see `crispvl.options.ReadOptions`."""
    thinking: bool | None = None
    """Whether a model that can think first does so."""
    dpi: int | None = Field(None, ge=36, le=1200)
    """At which the pages of a PDF are drawn."""
    password: str | None = Field(None, max_length=1000)
    """Of an encrypted PDF."""


class PromptTokensDetails(Reply):
    image_tokens: int = 0
    cached_tokens: int = 0


class Usage(Reply):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class AnswerTimings(Reply):
    """Milliseconds; the first eight are named as llama-server names them."""

    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float
    image_ms: float
    encode_ms: float
    queue_ms: float


class ErrorDetail(Reply):
    message: str
    type: str
    param: str | None
    code: str


class ErrorReply(Reply):
    """What every error looks like."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply} for status in (400, 401, 404, 408, 413, 415, 422, 429, 500, 503)
}
"""For the OpenAPI document."""

JsonObject = dict[str, Any]
