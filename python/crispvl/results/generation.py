"""What comes back from one prompt. Frozen; ``to_dict`` gives plain JSON.

Pages and documents are made of these in `crispvl.results.document`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "cancelled", "time_limit", "repetition"]
"""``stop``: the model ended its answer; ``length``: max_tokens or the context was used up;
``cancelled``: a `CancelToken` stopped it; ``time_limit``: the time was used up; ``repetition``: it
repeated itself and could not be brought out of it."""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Where the time went, in milliseconds.

    Of work that is done for several pages together, each has its share.
    """

    image_ms: float = 0.0
    """Decoding and tiling the images."""
    encode_ms: float = 0.0
    """Vision encoder and projector, all tiles."""
    prefill_ms: float = 0.0
    """The prompt's pass through the decoder."""
    decode_ms: float = 0.0
    """All generated tokens."""
    passes: int = 0
    """Of generated tokens through the decoder."""
    guessed: int = 0
    """Generated tokens that needed no pass of their own, as they were guessed."""

    def __add__(self, other: Timings) -> Timings:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Timings(**dict(zip(asdict(self), (a + b for a, b in pairs), strict=True)))

    @property
    def total_ms(self) -> float:
        return self.image_ms + self.encode_ms + self.prefill_ms + self.decode_ms

    def to_dict(self) -> dict[str, float]:
        return {**asdict(self), "total_ms": self.total_ms}


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The answer to one prompt.

    ``ids``, ``logprobs`` and ``pieces`` run in parallel and leave out the token that ended the
    answer, whose log-probability is ``stop_logprob``. Log-probabilities are natural, under the
    model's own distribution, before temperature, penalties and truncation. ``text`` leaves out
    special tokens, and what the model thought before its answer, which is ``thought``; a piece is
    the text that its token completes, and the last may lack what an unfinished character leaves
    behind.
    """

    ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    text: str
    timings: Timings
    n_prompt_tokens: int
    n_cached_tokens: int = 0
    """Tokens of the prompt that were in a KV cache already."""
    thought: str = field(default="", repr=False)
    """What the model wrote for itself before its answer, special tokens included."""
    stop_logprob: float | None = None
    pieces: list[str] = field(default_factory=list, repr=False)
    repairs: tuple[Repair, ...] = ()

    @property
    def all_logprobs(self) -> list[float]:
        """Those of all tokens, the one that ended the answer included."""
        return [*self.logprobs, *([] if self.stop_logprob is None else [self.stop_logprob])]

    @property
    def confidence(self) -> Confidence:
        return Confidence.of(self.all_logprobs)


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
class Repair:
    """A loop that the model fell into, and what was done about it.

    ``n_removed`` tokens from ``start`` on were taken back and written anew at ``temperature``;
    None means that no attempt was left and the answer ends there.
    """

    start: int
    """The first token that repeated, counted in the answer from 0."""
    period: int
    """Tokens after which it repeated itself."""
    count: int
    n_removed: int
    temperature: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said in one chat turn; ``str()`` of it is the text."""

    generation: Generation = field(repr=False)
    n_tiles: int = 0
    """Tiles of all images of the conversation, thumbnails included."""
    timings: Timings = field(default_factory=Timings)

    @property
    def text(self) -> str:
        return self.generation.text

    @property
    def thought(self) -> str:
        """What the model wrote for itself before the text."""
        return self.generation.thought

    @property
    def finish_reason(self) -> FinishReason:
        return self.generation.finish_reason

    @property
    def confidence(self) -> float:
        """Mean token probability: exp of the mean log-probability."""
        return self.generation.confidence.mean

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Returns the answer as JSON's types; times in milliseconds."""
        generation = self.generation
        return {
            "text": self.text,
            "thought": self.generation.thought,
            "finish_reason": self.finish_reason,
            "confidence": self.confidence,
            "token_confidence": asdict(generation.confidence),
            "tiles": self.n_tiles,
            "prompt_tokens": generation.n_prompt_tokens,
            "tokens": len(generation.ids),
            "timings": self.timings.to_dict(),
        }
