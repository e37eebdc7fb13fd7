"""Log-probabilities of tokens, as OpenAI's chat interface gives them."""

from __future__ import annotations

from collections.abc import Sequence

from crispvl.engine.model import Model
from crispvl.server.answers import WrittenToken
from crispvl.server.wire.chat import Logprobs, TokenLogprob, TopLogprob


class TokenTexts:
    """Gives tokens their texts and bytes.

    Args:
        model: Whose tokens they are.
    """

    def __init__(self, model: Model) -> None:
        self._decode = model.core.detokenize
        # After another token: SentencePiece drops the space that begins a text.
        self._before = model.tokenize("a", special=False)[-1:]
        self._n_before = len(self._decode(self._before))

    def logprobs(self, tokens: Sequence[WrittenToken]) -> Logprobs:
        """Returns those of the tokens."""
        return Logprobs(content=[self._entry(token) for token in tokens])

    def text(self, token_id: int) -> str:
        return self._bytes(token_id).decode("utf-8", "replace")

    def _entry(self, written: WrittenToken) -> TokenLogprob:
        token = written.token
        assert token.id is not None
        assert token.logprob is not None
        top = [self._top(token_id, logprob) for token_id, logprob in written.top]
        return TokenLogprob(**self._top(token.id, token.logprob).model_dump(), top_logprobs=top)

    def _top(self, token_id: int, logprob: float) -> TopLogprob:
        text = self._bytes(token_id)
        return TopLogprob(token=text.decode("utf-8", "replace"), logprob=logprob, bytes=list(text))

    def _bytes(self, token_id: int) -> bytes:
        return self._decode([*self._before, token_id])[self._n_before :]
