"""Answers that cannot but follow a form, such as a JSON schema: other tokens are not sampled.

The grammar engine is llguidance. It needs each token's bytes, gathered once per model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crispvl.extras import need

if TYPE_CHECKING:
    from crispvl.engine.interface import VisionLanguageModel


class GrammarConstraint:
    """Samples the tokens of one answer. Of the sampling options, temperature and seed hold.

    Args:
        model: Whose tokens they are.
        grammar: As llguidance writes it.
        temperature: 0 always takes the likeliest token that is allowed.
        seed: Of the choice where the temperature is higher.

    Raises:
        ImportError: The package llguidance is not installed.
        ValueError: The grammar uses what the grammar engine does not know.
    """

    def __init__(
        self, model: VisionLanguageModel, grammar: str, temperature: float = 0.0, seed: int = 0
    ) -> None:
        library = import_llguidance()
        self._matcher: Any = library.LLMatcher(_tokenizer(model), grammar, log_level=0)
        self._check()
        self._temperature = temperature
        self._random = np.random.default_rng(seed)

    def sample(self, logits: NDArray[np.float32]) -> tuple[int, float]:
        """Returns the next token and its log-probability under the unmodified distribution.

        Args:
            logits: float32 ``[vocab]``.
        """
        allowed = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8) > 0
        scores = logits.astype(np.float64)
        logprobs = scores - scores.max()
        logprobs -= np.log(np.exp(logprobs).sum())
        scores = np.where(allowed[: len(scores)], logprobs, -np.inf)
        if self._temperature > 0:
            noise = self._random.gumbel(size=len(scores))
            token_id = int(np.argmax(scores / self._temperature + noise))
        else:
            token_id = int(np.argmax(scores))
        self._matcher.consume_token(token_id)
        self._check()
        return token_id, float(logprobs[token_id])

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _unusable(self._matcher.get_error())


def _unusable(reason: str) -> ValueError:
    told = " ".join(reason.partition("\n<state>\n")[0].split())  # its parser's state follows
    if " " not in told:  # one of its names for why it stopped
        told = f"one that no answer can meet ({told})"
    return ValueError(
        "[schema] expected a JSON schema or a regular expression that can constrain decoding; "
        f"found {told[:300]}; simplify it, or decode without"
    )


class JsonConstraint(GrammarConstraint):
    """Keeps an answer to a JSON schema; the further arguments are `GrammarConstraint`'s."""

    def __init__(
        self,
        model: VisionLanguageModel,
        json_schema: Mapping[str, Any],
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        # Free white space would let a small model write blanks for ever.
        library = import_llguidance()
        try:
            grammar = library.LLMatcher.grammar_from_json_schema(
                json.dumps(json_schema), defaults={"whitespace_flexible": False}
            )
        except (ValueError, RecursionError) as error:
            raise _unusable(str(error)) from error
        super().__init__(model, grammar, temperature, seed)


class RegexConstraint(GrammarConstraint):
    """Has an answer match a regular expression as a whole, in Rust's syntax."""

    def __init__(
        self, model: VisionLanguageModel, pattern: str, temperature: float = 0.0, seed: int = 0
    ) -> None:
        grammar = import_llguidance().LLMatcher.grammar_from_regex(pattern)
        super().__init__(model, grammar, temperature, seed)


_tokenizers: WeakKeyDictionary[VisionLanguageModel, Any] = WeakKeyDictionary()
"""Made once per model, in about a second."""


def _tokenizer(model: VisionLanguageModel) -> Any:
    """Returns llguidance's view of a model's vocabulary."""
    if model not in _tokenizers:
        _tokenizers[model] = _make_tokenizer(model)
    return _tokenizers[model]


def _make_tokenizer(model: VisionLanguageModel) -> Any:
    library = import_llguidance()
    n_vocab: int = model.config.decoder.vocab_size
    return library.LLTokenizer(
        library.TokenizerWrapper(_Vocabulary(model)),
        n_vocab=n_vocab,
        eos_token=sorted(model.vocabulary.stop_ids),
    )


class _Vocabulary:
    """What llguidance asks of a tokenizer."""

    def __init__(self, model: VisionLanguageModel) -> None:
        self._model = model
        self.eos_token_id = min(model.vocabulary.stop_ids)
        self.bos_token_id = None
        n_tokens: int = model.config.tokenizer.vocab_size
        n_vocab: int = model.config.decoder.vocab_size
        self.special_token_ids = sorted(model.vocabulary.control_ids)
        to_bytes = model.core.detokenize
        # After another token: SentencePiece drops the space that begins a text.
        first = model.tokenize("a", special=False)[-1]
        n_first = len(to_bytes([first]))
        self.tokens = [to_bytes([first, i])[n_first:] for i in range(n_tokens)]
        self.tokens += [b""] * (n_vocab - n_tokens)  # rows that pad the decoder's table

    def __call__(self, text: str | bytes) -> list[int]:
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self._model.tokenize(text, special=False)


def import_llguidance() -> Any:
    return need("llguidance", "extract", "pass constrained=False")
