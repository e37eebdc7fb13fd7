"""Hypothesis strategies for texts that tokenizers get wrong."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from text.vocab_files import CONTROL_PIECES, USER_DEFINED_PIECES

# The same examples in every run.
EXAMPLES = settings(max_examples=300, deadline=None, derandomize=True)

_FRAGMENTS = (
    *CONTROL_PIECES, *USER_DEFINED_PIECES,
    "<|im_", "<img", "=", "<", "<0x0A>", "\u2581", "\u2581the", " the", "the", "<s>", "</s>",
    "'s", "'S", "'\u017f", "'t", "'re", "'RE", "'Ve", "'ll", "'lL", "'M", "'d", "'x", "''", "'l",
    " ", "  ", "    ", "\n", "\r\n", "\n\n ", " \n", "\t", "\v", "\f", "\x1c", "\x85", "\u00a0",
    "\u1680", "\u180e", "\u2003", "\u200b", "\u2028", "\u2029", "\u202f", "\u3000", "\ufeff", "\0",
    "0", "12", "\u0661", "\u0967", "\uff11", "\u00b2", "\u00bd", "\u2167", "\U0001d7d8",
    "e\u0301", "a\u0323\u0307", "a\u0307\u0323", "\u212b", "\ufb01", "\u0958", "\uac00\u11a8",
    "\u1100\u1161", "\U0001f642", "\U0001f468\u200d\U0001f469", "\ufe0f", "識別", "Größe", "...",
    "//", "=1;", "!\n", ")\r\n\r\n",
)  # fmt: skip


@cache
def _normalise() -> Any:
    import tokenizers

    return tokenizers.normalizers.NFC().normalize_str


def _is_same_everywhere(character: str) -> bool:
    """Whether this Python and `tokenizers` know the character alike.

    Their Unicode versions differ: characters that are unassigned in one of them, or came after the
    older tables of the other's NFC, are left out.
    """
    if unicodedata.category(character) in ("Cn", "Cs"):
        return False
    contexts = (character, "a\u0345" + character, "a" + character + "\u0334")
    return all(_normalise()(c) == unicodedata.normalize("NFC", c) for c in contexts)


def _texts(character: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pieces = st.one_of(st.sampled_from(_FRAGMENTS), st.text(character, max_size=6))
    return st.lists(pieces, max_size=24).map("".join)


def any_text() -> st.SearchStrategy[str]:
    """Texts of any characters that UTF-8 can hold."""
    return _texts(st.characters(exclude_categories=["Cs"]))


def known_text() -> st.SearchStrategy[str]:
    """Texts of characters on which the Unicode tables of both sides agree."""
    marks = st.characters(categories=["Mn", "Mc", "Lm", "Sk"])
    return _texts(
        st.one_of(st.characters(exclude_categories=["Cs", "Cn"]), marks).filter(_is_same_everywhere)
    )
