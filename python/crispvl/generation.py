"""The loop that generates: encode, prefill, then one token at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.detokenizer import StreamingDetokenizer
from crispvl.errors import Cancelled, ContextOverflowError
from crispvl.options import GenerateOptions
from crispvl.results import FinishReason, Generation, Timings

if TYPE_CHECKING:
    from crispvl._core import CancelToken
    from crispvl.model import Model

Progress = Callable[[int, int], None]
"""Called with the number of tiles encoded so far and of all tiles."""


@dataclass(frozen=True)
class Token:
    """A generated token and the text it completes.

    ``text`` is empty for special tokens and within a character of several tokens. ``id`` and
    ``logprob`` are None for what an unfinished last character leaves behind.
    """

    id: int | None
    logprob: float | None
    text: str


class TokenStream(Iterator[Token]):
    """Generates an answer token by token; `generation` is complete once it is exhausted.

    The prompt is checked when the stream is made, the model runs when it is read. Closing it, or
    leaving it unread, frees its KV cache.

    Raises:
        ContextOverflowError: The prompt does not fit the model's context.
        ValueError: Prompt and tiles do not belong together.
        Cancelled: While reading; ``partial`` is what was generated before.
    """

    def __init__(
        self,
        model: Model,
        prompt_ids: Sequence[int],
        tiles: NDArray[np.uint8] | None,
        options: GenerateOptions,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._model = model
        self._prompt_ids = model.check_prompt(prompt_ids, tiles)
        self._tiles = tiles
        self._options = options
        self._cancel = cancel
        self._progress = progress
        self._budget = _token_budget(model, self._prompt_ids, options.max_tokens)
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._stop_logprob: float | None = None
        self._texts: list[str] = []
        self._finish_reason: FinishReason = "cancelled"  # until the end is reached
        self._timings: dict[str, float] = {}
        self._tokens = self._generate()

    def __next__(self) -> Token:
        try:
            return next(self._tokens)
        except Cancelled as error:
            error.partial = self.generation
            raise

    def close(self) -> None:
        """Stops generating; `generation` keeps what there is."""
        self._tokens.close()

    @property
    def generation(self) -> Generation:
        """What has been generated so far."""
        return Generation(
            ids=list(self._ids),
            logprobs=list(self._logprobs),
            finish_reason=self._finish_reason,
            text="".join(self._texts),
            timings=Timings(**self._timings),
            n_prompt_tokens=len(self._prompt_ids),
            stop_logprob=self._stop_logprob,
        )

    def _generate(self) -> Generator[Token, None, None]:
        from crispvl import _core

        model, cancel, options = self._model, self._cancel, self._options
        stop_ids = model.vocabulary.stop_ids if options.stop_at_eos else frozenset()
        sampler = _core.Sampler(
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            seed=options.seed,
            repetition_penalty=options.repetition_penalty,
            repetition_window=options.repetition_window,
        )
        clock = _Clock(self._timings)

        embeddings = None
        if self._tiles is not None:
            rows = model.encode(self._tiles, cancel=cancel, progress=self._progress)
            embeddings = rows.reshape(-1, rows.shape[-1])
        clock.lap("encode_ms")

        session = model.core.new_session(len(self._prompt_ids) + self._budget)
        session.prefill(self._prompt_ids, embeddings, cancel)
        clock.lap("prefill_ms")

        detokenizer = StreamingDetokenizer(model.core.detokenize)
        while True:
            token_id, logprob = session.sample(sampler)
            if token_id in stop_ids:
                self._finish_reason = "stop"
                self._stop_logprob = logprob
                break
            hidden = token_id in model.vocabulary.control_ids
            text = "" if hidden else detokenizer.push(token_id)
            self._ids.append(token_id)
            self._logprobs.append(logprob)
            self._texts.append(text)
            clock.lap("decode_ms")
            yield Token(token_id, logprob, text)
            clock.start()
            if len(self._ids) == self._budget:
                self._finish_reason = "length"
                break
            session.decode(token_id, cancel)
        clock.lap("decode_ms")
        rest = detokenizer.finish()
        if rest:
            self._texts.append(rest)
            yield Token(None, None, rest)


class _Clock:
    """Adds the time since its last call to a named sum, in milliseconds."""

    def __init__(self, sums: dict[str, float]) -> None:
        self._sums = sums
        self.start()

    def start(self) -> None:
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._sums[name] = self._sums.get(name, 0.0) + 1000 * (now - self._since)
        self._since = now


def _token_budget(model: Model, prompt_ids: Sequence[int], max_tokens: int) -> int:
    """Returns how many tokens may be generated: max_tokens, or what the context leaves."""
    context_length: int = model.config["decoder"]["context_length"]
    if len(prompt_ids) < context_length:
        return min(max_tokens, context_length - len(prompt_ids))
    context_token = model.config["image"]["context_token_id"]
    n_image_tokens = sum(token_id == context_token for token_id in prompt_ids)
    per_tile = model.config["projector"]["tokens_per_tile"]
    raise ContextOverflowError(
        f"[prompt] at most {context_length - 1} tokens are expected, so that the model's context "
        f"of {context_length} has room for an answer; found {len(prompt_ids)}, of them "
        f"{n_image_tokens} of images; lower max_tiles ({per_tile} tokens per tile), send fewer "
        "images, or shorten the text"
    )
