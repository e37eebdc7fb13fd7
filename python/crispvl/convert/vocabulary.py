"""A tokenizer as the arrays that a GGUF file holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from crispvl.errors import ModelFileError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

# llama.cpp gives added tokens this score in a SentencePiece vocabulary.
_ADDED_SCORE = -1000.0


@dataclass
class Vocabulary:
    """Tokens by id and what a tokenizer needs besides; None where a checkpoint names no token.

    ``left_out`` are added tokens that have no row in the embedding, ``strip_after`` those that
    take the spaces after them along. ``prefix_at_start``: the space of ``add_space_prefix`` is put
    only where a text begins, and not after each added token.
    """

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    bos_id: int | None = None
    eos_id: int | None = None
    unk_id: int | None = None
    pad_id: int | None = None
    add_bos: bool = False
    add_eos: bool = False
    prefix_at_start: bool = False
    add_space_prefix: bool = False
    remove_extra_whitespaces: bool = False
    precompiled_charsmap: bytes = b""
    left_out: list[str] = field(default_factory=list)
    strip_after: list[int] = field(default_factory=list)

    def find(self, text: str) -> int | None:
        """Id of the token with exactly this text, added tokens first."""
        for kinds in ((CONTROL, USER_DEFINED), (NORMAL, UNKNOWN, BYTE)):
            for i, token in enumerate(self.tokens):
                if token == text and self.types[i] in kinds:
                    return i
        return None

    def require(self, text: str) -> int:
        """Id of a token that the model cannot do without.

        Raises:
            ModelFileError: The vocabulary lacks it.
        """
        i = self.find(text)
        if i is None:
            raise ModelFileError(
                f"[tokenizer] expected the token '{text}'; found none in {len(self.tokens)} "
                "tokens; the tokenizer files belong to another model"
            )
        return i

    def add(self, token_id: int, text: str, special: bool) -> None:
        """Puts an added token at its place, beyond the end too.

        A token spelled like a control token is one, even where the checkpoint forgot to say so.
        """
        self.pad(token_id + 1)
        if self.types[token_id] == UNKNOWN:
            return
        self.tokens[token_id] = text
        control = special or (text.startswith("<|") and text.endswith("|>"))
        self.types[token_id] = CONTROL if control else USER_DEFINED

    def pad(self, size: int) -> None:
        """Names ids that no token has, up to ``size`` tokens."""
        for i in range(len(self.tokens), size):
            self.tokens.append(f"[PAD{i}]")
            self.types.append(UNUSED)
            if self.model == "llama":
                self.scores.append(_ADDED_SCORE)
