"""The tokens of an answer and the text they make, which can be taken back again."""

from __future__ import annotations

from collections.abc import Callable, Collection

from crispvl.engine.detokenizer import StreamingDetokenizer


class Transcript:
    """Tokens in order with their log-probabilities and the text that each completes.

    Args:
        to_bytes: Turns token ids into bytes.
        control_ids: Tokens that are no text.
        header_ids: Tokens that open a header, and the one that ends it; a header is no text.
    """

    def __init__(
        self,
        to_bytes: Callable[[list[int]], bytes],
        control_ids: Collection[int],
        header_ids: tuple[Collection[int], int] | None = None,
    ) -> None:
        self._to_bytes = to_bytes
        self._control_ids = control_ids
        self._header_ids = header_ids
        self._in_header = False
        self._detokenizer = StreamingDetokenizer(to_bytes)
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.pieces: list[str] = []
        self.rest = ""
        """What an unfinished last character leaves behind; known after `finish`."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def text(self) -> str:
        return "".join(self.pieces) + self.rest

    def append(self, token_id: int, logprob: float) -> None:
        self.ids.append(token_id)
        self.logprobs.append(logprob)
        self.pieces.append(self._detokenizer.push(token_id) if self._is_text(token_id) else "")

    def _is_text(self, token_id: int) -> bool:
        """Whether the next token is text: what comes before it counts."""
        if self._header_ids is not None:
            opens, end = self._header_ids
            self._in_header = token_id in opens or (self._in_header and token_id != end)
        return not self._in_header and token_id not in self._control_ids

    def rewind(self, n_tokens: int) -> None:
        """Takes back all but the first tokens."""
        for values in (self.ids, self.logprobs, self.pieces):
            del values[n_tokens:]
        # The pieces are kept; replaying the tokens only brings the detokenizer to where it was.
        self._detokenizer = StreamingDetokenizer(self._to_bytes)
        self._in_header = False
        for token_id in self.ids:
            if self._is_text(token_id):
                self._detokenizer.push(token_id)

    def finish(self) -> None:
        self.rest += self._detokenizer.finish()
