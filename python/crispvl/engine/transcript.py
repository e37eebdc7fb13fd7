"""The tokens of an answer and the text they make, which can be taken back again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crispvl.engine.answer_parts import AnswerParts
from crispvl.engine.detokenizer import StreamingDetokenizer, StreamingStrip


class Transcript:
    """Tokens in order with their log-probabilities and the text that each completes.

    Args:
        to_bytes: Turns token ids into bytes.
        parts: Tells which tokens are text; those of other parts complete none.
        coordinates: What to write for tokens that are coordinates.
    """

    def __init__(
        self,
        to_bytes: Callable[[list[int]], bytes],
        parts: AnswerParts,
        coordinates: Mapping[int, str],
    ) -> None:
        self._to_bytes = to_bytes
        self._parts = parts
        self._coordinates = coordinates
        self._begin()
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.pieces: list[str] = []
        self.thoughts: list[str] = []
        self.rest = ""
        """What an unfinished last character leaves behind; known after `finish`."""
        self.thought_rest = ""
        """The same of the thought."""

    def _begin(self) -> None:
        self._detokenizer = StreamingDetokenizer(self._to_bytes)
        self._thinking = StreamingDetokenizer(self._to_bytes)
        self._thought_ends = StreamingStrip()
        self._trims = False  # the gap between a thought and the text
        self._parts.reset()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def text(self) -> str:
        return "".join(self.pieces) + self.rest

    @property
    def thought(self) -> str:
        """What came before the text, its special tokens included."""
        return "".join(self.thoughts) + self.thought_rest

    def append(self, token_id: int, logprob: float) -> None:
        self.ids.append(token_id)
        self.logprobs.append(logprob)
        text, thought = self._push(token_id)
        self.pieces.append(text)
        self.thoughts.append(thought)

    def rewind(self, n_tokens: int) -> None:
        """Takes back all but the first tokens."""
        for values in (self.ids, self.logprobs, self.pieces, self.thoughts):
            del values[n_tokens:]
        # The pieces are kept; replaying the tokens only brings the rest to where it was.
        self._begin()
        for token_id in self.ids:
            self._push(token_id)

    def finish(self) -> None:
        self.rest += self._detokenizer.finish()
        self.thought_rest += self._thought_ends.push(self._thinking.finish())

    def _push(self, token_id: int) -> tuple[str, str]:
        """Returns the text and the part of a thought that a token completes; one is empty."""
        part = self._parts.push(token_id)
        if part == "thought":
            self._trims = True
            return "", self._thought_ends.push(self._thinking.push(token_id))
        if part != "text":
            return "", ""
        piece = self._coordinates.get(token_id) or self._detokenizer.push(token_id)
        if self._trims:
            piece = piece.lstrip()
            self._trims = not piece
        return piece, ""
