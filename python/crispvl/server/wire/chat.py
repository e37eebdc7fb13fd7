"""``/v1/chat/completions``, as OpenAI defines it and its clients use it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Discriminator, Field, Tag

from crispvl.options import Layout
from crispvl.server.wire.common import (
    AnswerTimings,
    JsonObject,
    OpenAIFinishReason,
    Reading,
    Reply,
    Sampling,
    Usage,
    Wire,
)

MAX_MESSAGES = 1000
MAX_PARTS = 1000


class TextPart(Wire):
    type: Literal["text", "input_text", "output_text", "refusal"]
    text: str = Field(validation_alias=AliasChoices("text", "refusal"))


class ImageUrl(Wire):
    url: str
    detail: str | None = None
    """``low`` reads the image as one tile; all else as the request says."""


class ImagePart(Wire):
    type: Literal["image_url", "input_image", "image"]
    image_url: ImageUrl | str = Field(
        validation_alias=AliasChoices("image_url", "image", "url"), union_mode="left_to_right"
    )
    detail: str | None = None


class FileData(Wire):
    file_data: str
    """A ``data:`` address, or bare base64."""
    filename: str | None = None


class FilePart(Wire):
    """A document, whose pages become images."""

    type: Literal["file"]
    file: FileData


class InputFilePart(FileData):
    type: Literal["input_file"]


_KINDS = {
    **dict.fromkeys(("text", "input_text", "output_text", "refusal"), "text"),
    **dict.fromkeys(("image_url", "input_image", "image"), "image"),
    "file": "file",
    "input_file": "input_file",
}


def _kind(part: Any) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return _KINDS.get(kind) if isinstance(kind, str) else None


ContentPart = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[ImagePart, Tag("image")]
    | Annotated[FilePart, Tag("file")]
    | Annotated[InputFilePart, Tag("input_file")],
    Discriminator(
        _kind,
        custom_error_type="unknown_part",
        custom_error_message="A part of type text, image_url or file is expected",
    ),
]


class ChatMessage(Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: (
        str | Annotated[list[ContentPart], Field(max_length=MAX_PARTS, fail_fast=True)] | None
    ) = None
    name: str | None = None


class JsonSchemaFormat(Wire):
    name: str | None = None
    json_schema: JsonObject = Field(default_factory=dict, alias="schema")
    strict: bool | None = None


class ResponseFormat(Wire):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class StructuredOutputs(Wire):
    """vLLM's way to bind an answer to a form."""

    json_schema: JsonObject | str | None = Field(None, alias="json")
    regex: str | None = Field(None, max_length=10_000)
    choice: list[str] | None = Field(None, min_length=1, max_length=1000)


class ChatRequest(Sampling, Reading):
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    max_completion_tokens: int | None = Field(None, ge=-1, le=1 << 31)
    """Goes before ``max_tokens``."""
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_regex: str | None = Field(None, max_length=10_000)
    guided_json: JsonObject | str | None = None
    guided_choice: list[str] | None = Field(None, min_length=1, max_length=1000)


class TopLogprob(Reply):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class Logprobs(Reply):
    content: list[TokenLogprob]
    refusal: None = None


class AnswerMessage(Reply):
    role: Literal["assistant"] = "assistant"
    content: str
    reasoning_content: str | None = None
    """What the model thought before its answer."""
    refusal: None = None


class Choice(Reply):
    index: int
    message: AnswerMessage
    logprobs: Logprobs | None = None
    finish_reason: OpenAIFinishReason
    stop_reason: str | None = None
    """The stop text that was met, or why crispvl cut the answer: repetition, time_limit."""
    confidence: float
    """Mean probability of the answer's tokens."""
    layout: Layout
    """How pictures were shown to the model: as they are (``page``), or read by lines or blocks."""


class ChatReply(Reply):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    timings: AnswerTimings
    system_fingerprint: str


class Delta(Reply):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None


class ChunkChoice(Reply):
    index: int
    delta: Delta
    logprobs: Logprobs | None = None
    finish_reason: OpenAIFinishReason | None = None
    stop_reason: str | None = None
    layout: Layout | None = None
    """With the finish reason; see `Choice`."""


class ChatChunk(Reply):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    timings: AnswerTimings | None = None
    system_fingerprint: str
