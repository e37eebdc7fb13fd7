"""Texts at which an answer ends."""

from __future__ import annotations

from collections.abc import Sequence


class StopTexts:
    """Watches a text as it is written, and holds back what may be the beginning of a stop text.

    Attributes:
        found: The stop text that was met.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        """Returns what is sure to come before any stop text; nothing after one was met."""
        if self.found is not None:
            return ""
        text = self._held + text
        places = [(at, stop) for stop in self._texts if (at := text.find(stop)) >= 0]
        if places:
            at, self.found = min(places)
            self._held = ""
            return text[:at]
        n_held = max((_overlap(text, stop) for stop in self._texts), default=0)
        self._held = text[len(text) - n_held :]
        return text[: len(text) - n_held]

    def finish(self) -> str:
        """Returns what was held back to the end."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Returns how many characters at the end of a text begin a stop text."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
