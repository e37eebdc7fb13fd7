"""The lines of an answer, each with its tokens and how sure each character is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import fmean


@dataclass
class Row:
    """A line of an answer, as its tokens were written.

    Attributes:
        ids: Of its tokens, that of the line break at its end included.
        logprobs: Of these tokens, natural.
        pieces: What text each token completes.
        text: Without white space at its ends and without the line break.
        sureness: Of each character of ``text`` the log-probability of its token; the least of
            them where it took several.
        ended: Whether the model wrote its end, by a line break or as the end of the answer.
        end_logprob: Of the end of the answer, where that ended it.
    """

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    text: str = ""
    sureness: list[float] = field(default_factory=list)
    ended: bool = False
    end_logprob: float | None = None

    @property
    def mean_logprob(self) -> float:
        """Of its tokens and its end; 0 without any."""
        ends = [] if self.end_logprob is None else [self.end_logprob]
        return fmean([*self.logprobs, *ends]) if self.logprobs or ends else 0.0

    def stripped(self) -> Row:
        """Returns the row without white space at the ends of its text."""
        first = len(self.text) - len(self.text.lstrip())
        last = len(self.text.rstrip())
        return Row(
            self.ids, self.logprobs, self.pieces, self.text[first:last],
            self.sureness[first:last], self.ended,
        )  # fmt: skip


def split_rows(tokens: Iterable[tuple[int, float, str]]) -> Iterator[Row]:
    """Yields the rows of an answer from its tokens: id, log-probability, text completed.

    A token that holds a line break belongs to the row that it ends; what follows the break within
    the token is the next row's.
    """
    row, lowest = Row(), 0.0
    for token_id, logprob, piece in tokens:
        row.ids.append(token_id)
        row.logprobs.append(logprob)
        row.pieces.append(piece)
        lowest = min(lowest, logprob)
        if not piece:
            continue
        first, *others = piece.split("\n")
        _append(row, first, lowest)
        for other in others:
            row.ended = True
            yield row.stripped()
            row = Row()
            _append(row, other, lowest)
        lowest = 0.0
    yield row.stripped()


def _append(row: Row, text: str, logprob: float) -> None:
    row.text += text
    row.sureness.extend([logprob] * len(text))
