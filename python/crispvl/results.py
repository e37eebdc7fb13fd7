"""What comes back: generations, pages, results. Frozen; ``to_dict`` gives plain JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "cancelled"]
"""``stop``: the model ended its answer; ``length``: max_tokens or the context was used up;
``cancelled``: a `CancelToken` stopped it."""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Where the time went, in milliseconds."""

    image_ms: float = 0.0
    """Decoding and tiling the images."""
    encode_ms: float = 0.0
    """Vision encoder and projector, all tiles."""
    prefill_ms: float = 0.0
    """The prompt's pass through the decoder."""
    decode_ms: float = 0.0
    """All generated tokens."""

    @property
    def total_ms(self) -> float:
        return self.image_ms + self.encode_ms + self.prefill_ms + self.decode_ms

    def to_dict(self) -> dict[str, float]:
        return {**asdict(self), "total_ms": self.total_ms}


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The answer to one prompt.

    ``ids`` and ``logprobs`` run in parallel and leave out the token that ended the answer, whose
    log-probability is ``stop_logprob``. Log-probabilities are natural, under the model's own
    distribution, before temperature, penalties and truncation. ``text`` leaves out special tokens.
    """

    ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    text: str
    timings: Timings
    n_prompt_tokens: int
    stop_logprob: float | None = None

    @property
    def confidence(self) -> Confidence:
        stop = [] if self.stop_logprob is None else [self.stop_logprob]
        return Confidence.of([*self.logprobs, *stop])


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """How sure the model was of the tokens it chose, the one that ended the answer included.

    ``mean`` is the geometric mean of their probabilities, exp(mean log-probability); ``lowest`` the
    least of them; ``n_doubtful`` counts those under one half. Without tokens the means are 0.
    """

    mean: float
    lowest: float
    n_doubtful: int
    n_tokens: int

    @classmethod
    def of(cls, logprobs: Sequence[float]) -> Confidence:
        n_tokens = len(logprobs)
        return cls(
            mean=math.exp(sum(logprobs) / n_tokens) if n_tokens else 0.0,
            lowest=math.exp(min(logprobs)) if n_tokens else 0.0,
            n_doubtful=sum(logprob < math.log(0.5) for logprob in logprobs),
            n_tokens=n_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a result."""

    number: int
    """Counted from 1."""
    text: str
    width_px: int
    height_px: int
    grid: tuple[int, int]
    """Columns and rows of tiles, the thumbnail left out."""
    n_tiles: int
    """Tiles encoded, the thumbnail included."""
    generation: Generation = field(repr=False)

    @property
    def confidence(self) -> float:
        return self.generation.confidence.mean

    @property
    def finish_reason(self) -> FinishReason:
        return self.generation.finish_reason

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "text": self.text,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "grid": list(self.grid),
            "tiles": self.n_tiles,
            "prompt_tokens": self.generation.n_prompt_tokens,
            "tokens": len(self.generation.ids),
            "finish_reason": self.finish_reason,
            "confidence": self.confidence,
            "token_confidence": asdict(self.generation.confidence),
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was read from one image, or said in one chat turn; ``str()`` of it is the text.

    Where reading failed, ``error`` holds the exception and the text is empty; only
    `CrispOCR.recognize_many` returns such results.
    """

    source: str
    generation: Generation | None = field(default=None, repr=False)
    pages: tuple[Page, ...] = ()
    n_tiles: int = 0
    """Tiles encoded for this result, thumbnails included."""
    timings: Timings = field(default_factory=Timings)
    error: Exception | None = None

    @property
    def text(self) -> str:
        return self.generation.text if self.generation else ""

    @property
    def finish_reason(self) -> FinishReason | None:
        return self.generation.finish_reason if self.generation else None

    @property
    def confidence(self) -> float:
        """Mean token probability: exp of the mean log-probability, 0 where nothing was read."""
        return self.generation.confidence.mean if self.generation else 0.0

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as JSON's types; times in milliseconds."""
        generation = self.generation
        return {
            "source": self.source,
            "text": self.text,
            "finish_reason": self.finish_reason,
            "confidence": self.confidence,
            "token_confidence": asdict(generation.confidence) if generation else None,
            "tiles": self.n_tiles,
            "prompt_tokens": generation.n_prompt_tokens if generation else 0,
            "tokens": len(generation.ids) if generation else 0,
            "timings": self.timings.to_dict(),
            "pages": [page.to_dict() for page in self.pages],
            "error": _describe(self.error) if self.error else None,
        }


def _describe(error: Exception) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}
