"""The loop that generates: one token at a time after the prompt."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crispvl.engine.answer_parts import AnswerParts
from crispvl.engine.drafting import Drafter, NoDrafter
from crispvl.engine.lookahead import Lookahead
from crispvl.engine.loop_detector import Loop
from crispvl.engine.loop_repair import LoopWatch
from crispvl.engine.prefill import Clock, FreshSessions, Progress, Prompt, SessionSource
from crispvl.engine.request import Request
from crispvl.engine.routed_sessions import RoutedSessions
from crispvl.engine.steps import Encoded, Steps, Work, run_alone
from crispvl.engine.transcript import Transcript
from crispvl.errors import Cancelled, ContextOverflowError
from crispvl.options import MAX_TOKENS, GenerateOptions
from crispvl.results.generation import FinishReason, Generation, Timings

if TYPE_CHECKING:
    from crispvl._core import Sampler
    from crispvl.engine.interface import VisionLanguageModel


@dataclass(frozen=True)
class Token:
    """A generated token and the text, or the part of a thought, that it completes.

    Both are empty for special tokens and within a character of several tokens. ``id`` and
    ``logprob`` are None for what an unfinished last character leaves behind.
    """

    id: int | None
    logprob: float | None
    text: str
    thought: str = ""


class TokenStream(Iterator[Token]):
    """Generates an answer token by token; `generation` is complete once it is exhausted.

    The prompt is checked when the stream is made, the model runs when it is read, or when an engine
    performs `steps`. Closing it, or leaving it unread, frees its KV cache.

    Args:
        model: Answers.
        request: What is asked.
        progress: Called while tiles are encoded; of a stream that is read here.

    Attributes:
        cancel: Stops it within one layer of encoding or one token.

    Raises:
        ContextOverflowError: The prompt does not fit the model's context.
        ValueError: Prompt and images do not belong together.
        Cancelled: While reading; ``partial`` is what was generated before.
    """

    def __init__(
        self, model: VisionLanguageModel, request: Request, progress: Progress | None = None
    ) -> None:
        from crispvl._core import CancelToken

        self._model = model
        self._request = request
        self._prompt_ids = model.check_prompt(request.prompt_ids, request.images)
        self._progress = progress
        self.cancel = CancelToken(request.cancel)
        # A constraint cannot be taken back, and ends loops by itself where its schema bounds them.
        watched = request.repair_loops and request.constraint is None
        self._watch = LoopWatch(model.vocabulary, request.options) if watched else None
        self._sessions: SessionSource = request.sessions or FreshSessions()
        if model.config.has_router:
            self._sessions = RoutedSessions()
        self._budget = _token_budget(
            model, self._prompt_ids, request.options.max_tokens or MAX_TOKENS
        )
        vocabulary = model.vocabulary
        parts = AnswerParts(vocabulary, model.core.detokenize, self._prompt_ids)
        self._transcript = Transcript(model.core.detokenize, parts, vocabulary.coordinates)
        self._n_cached = self._n_given = 0
        self._stop_logprob: float | None = None
        self._finish_reason: FinishReason = "cancelled"  # until the end is reached
        self._timings: dict[str, Any] = {}
        self.steps = self._generate()
        self._items: Iterator[Encoded | Token] = run_alone(self.steps)

    def __next__(self) -> Token:
        try:
            for item in self._items:
                if isinstance(item, Token):
                    return item
                if self._progress is not None:
                    self._progress(item.n_done, item.n_tiles)
        except Cancelled as error:
            if not self.cancel.expired:
                error.partial = self.generation
                raise
        raise StopIteration

    @property
    def n_prompt(self) -> int:
        """Tokens of the prompt, those of images included."""
        return len(self._prompt_ids)

    @property
    def n_tokens(self) -> int:
        """Most tokens that its session will hold."""
        return self.n_prompt + self._budget

    def close(self) -> None:
        """Stops generating; `generation` keeps what there is."""
        if not self.cancel.cancelled:  # or else it is known why it ended
            self.cancel.cancel()
        self.steps.close()

    @property
    def generation(self) -> Generation:
        """What has been generated so far."""
        written = self._transcript
        reason = self._finish_reason
        if reason == "cancelled" and self.cancel.expired:
            reason = "time_limit"
        return Generation(
            ids=list(written.ids),
            logprobs=list(written.logprobs),
            finish_reason=reason,
            text=written.text,
            thought=written.thought,
            timings=Timings(**self._timings),
            n_prompt_tokens=len(self._prompt_ids),
            n_cached_tokens=self._n_cached,
            stop_logprob=self._stop_logprob,
            pieces=list(written.pieces),
            repairs=tuple(self._watch.repairs) if self._watch else (),
        )

    @property
    def result(self) -> Generation:
        """What an engine gives out."""
        return self.generation

    def _generate(self) -> Generator[Work | Encoded | Token, None, None]:
        clock = Clock(self._timings)
        prompt = Prompt(
            self._model, self._prompt_ids, self._request.images, self._budget, self.cancel, clock
        )
        session, self._n_cached = yield from self._sessions.acquire(prompt)
        ahead = Lookahead(session, self._drafter(), self.cancel, clock, prompt.n_tokens)
        is_sound = True
        try:
            yield from self._write(ahead, clock)
        except Exception as error:
            is_sound = isinstance(error, Cancelled)
            raise
        finally:
            clock.lap("decode_ms")
            ahead.settle()
            if is_sound:
                self._sessions.release(session, [*self._prompt_ids, *self._transcript.ids])

    def _drafter(self) -> Drafter | NoDrafter:
        # Scaling by length gives tokens that are appended together the angles of the last.
        by_length = self._model.config.decoder.rope_scaling in ("dynamic", "longrope")
        wanted = self._request.options.speculate and not by_length
        return Drafter(self._prompt_ids) if wanted else NoDrafter()

    def _write(self, ahead: Lookahead, clock: Clock) -> Generator[Work | Token, None, None]:
        model, watch, written = self._model, self._watch, self._transcript
        options, constraint = self._request.options, self._request.constraint
        stop_ids = model.vocabulary.stop_ids if options.stop_at_eos else frozenset()
        samplers = _Samplers(options, watch)
        while True:
            if constraint is not None:
                token_id, logprob = constraint.sample(ahead.logits())
            else:
                token_id, logprob = ahead.sample(samplers.at(written.ids))
            if token_id in stop_ids:
                self._finish_reason = "stop"
                self._stop_logprob = logprob
                break
            written.append(token_id, logprob)
            loop = watch.push(token_id) if watch else None
            if loop is not None:
                again = yield from self._take_back(loop, ahead)
                if not again:
                    self._finish_reason = "repetition"
                    break
                continue
            if len(written) == self._budget:
                self._finish_reason = "length"
                break
            yield from self._give(watch.n_settled if watch else len(written), clock)
            yield from ahead.append(token_id)
        yield from self._give(len(written), clock)
        written.finish()
        if written.rest or written.thought_rest:
            yield Token(None, None, written.rest, written.thought_rest)

    def _give(self, n_tokens: int, clock: Clock) -> Generator[Token, None, None]:
        """Yields the tokens up to a number of them; the clock is stopped meanwhile."""
        written = self._transcript
        while self._n_given < n_tokens:
            i = self._n_given
            self._n_given += 1
            clock.lap("decode_ms")
            yield Token(written.ids[i], written.logprobs[i], written.pieces[i], written.thoughts[i])
            clock.start()

    def _take_back(self, loop: Loop, ahead: Lookahead) -> Steps[bool]:
        """Removes a loop, and returns whether writing can go on from there."""
        assert self._watch is not None
        start = max(loop.start, self._n_given, 1)
        again = self._watch.take_back(loop, start, len(self._transcript))
        self._transcript.rewind(start)
        if again:
            # The last token kept goes through the decoder once more, for its logits.
            ahead.rewind(len(self._prompt_ids) + start - 1)
            yield from ahead.append(self._transcript.ids[-1])
        return again


class _Samplers:
    """The sampler for each token: the caller's, or a warmer one while a loop is being repaired."""

    def __init__(self, options: GenerateOptions, watch: LoopWatch | None) -> None:
        self._options = options
        self._watch = watch
        self._own_sampling = self._sampling = options.temperature, options.seed
        self._own = self._current = _sampler(options, *self._own_sampling)

    def at(self, ids: list[int]) -> Sampler:
        """Returns the sampler for the token after these."""
        wanted = self._own_sampling if self._watch is None else self._watch.sampling(len(ids))
        if wanted != self._sampling:
            is_own = wanted == self._own_sampling
            self._current = self._own if is_own else _sampler(self._options, *wanted)
            self._current.set_history(ids)  # what others wrote counts, what was taken back does not
            self._sampling = wanted
        return self._current


def _sampler(options: GenerateOptions, temperature: float, seed: int) -> Sampler:
    from crispvl._core import Sampler

    return Sampler(
        temperature=temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        seed=seed,
        repetition_penalty=options.repetition_penalty,
        repetition_window=options.repetition_window,
    )


def _token_budget(model: VisionLanguageModel, prompt_ids: list[int], max_tokens: int) -> int:
    """Returns how many tokens may be generated: max_tokens, or what the context leaves."""
    context_length: int = model.config.decoder.context_length
    span = model.core.prompt_span(prompt_ids)
    if span < context_length:
        return min(max_tokens, context_length - span)
    context_token = model.config.image.context_token_id
    n_image_tokens = sum(token_id == context_token for token_id in prompt_ids)
    per_tile = model.config.projector.tokens_per_tile
    raise ContextOverflowError(
        f"[prompt] expected at most {context_length - 1} positions, so that the model's context "
        f"of {context_length} has room for an answer; found {span}, from {len(prompt_ids)} "
        f"tokens, {n_image_tokens} of them image tokens; lower max_tiles ({per_tile} tokens per "
        "tile), send fewer images, or shorten the text"
    )
