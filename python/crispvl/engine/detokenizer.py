"""Token ids to text, one token at a time, never splitting a character."""

from __future__ import annotations

import codecs
from collections.abc import Callable


class StreamingDetokenizer:
    """Turns tokens into text as they come.

    The pieces' concatenation, with that of `finish`, equals the text of all tokens at once. Bytes
    that are no UTF-8 become U+FFFD.

    Args:
        to_bytes: Turns a list of token ids into bytes. It may treat the first token of a list apart
            (SentencePiece drops a leading space there), so each token is given with the one before.
    """

    def __init__(self, to_bytes: Callable[[list[int]], bytes]) -> None:
        self._to_bytes = to_bytes
        self._previous: list[int] = []
        self._n_previous_bytes = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """Returns the text that this token completes, which may be empty."""
        data = self._to_bytes([*self._previous, token_id])[self._n_previous_bytes :]
        self._previous = [token_id]
        self._n_previous_bytes = len(self._to_bytes(self._previous))
        return self._decoder.decode(data)

    def finish(self) -> str:
        """Returns what an incomplete last character leaves behind."""
        return self._decoder.decode(b"", final=True)


class StreamingStrip:
    """Takes the white space from both ends of a text that comes in pieces.

    What it gives out, in all, is the whole text stripped: white space waits for what follows it.
    """

    def __init__(self) -> None:
        self._has_begun = False
        self._held = ""

    def push(self, piece: str) -> str:
        """Returns what is surely no white space at an end."""
        text = self._held + piece
        if not self._has_begun:
            text = text.lstrip()
        kept = text.rstrip()
        self._held = text[len(kept) :]
        self._has_begun = self._has_begun or bool(kept)
        return kept
