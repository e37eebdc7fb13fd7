"""A text cut where its tokens reach a number."""

from __future__ import annotations

from crispvl.engine.model import Model


class TokenBudget:
    """Lets text pass as long as its tokens fit.

    Pages are read by whole lines, which may have more tokens than a caller wants; what fits of the
    last one is still of use.

    Args:
        model: Whose tokens count.
        most: How many fit; None for any number.

    Attributes:
        is_spent: Whether some text did not fit.
    """

    def __init__(self, model: Model, most: int | None) -> None:
        self._model = model
        self._left = most
        self.is_spent = False

    def take(self, text: str) -> str:
        """Returns what fits of the next text; nothing once it is spent."""
        if self._left is None:
            return text
        ids = self._model.tokenize(text, special=False)
        self.is_spent = self.is_spent or len(ids) > self._left
        fitting, self._left = ids[: self._left], max(self._left - len(ids), 0)
        if not self.is_spent:
            return text
        return self._model.detokenize(fitting).rstrip("\ufffd")  # of a character that is cut
