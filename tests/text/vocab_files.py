"""Vocabulary-only GGUF files, made from tokenizers that are trained at test time."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

CONTROL_PIECES = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<im", "<unk>")
USER_DEFINED_PIECES = ("<think>", "=>", "=>>")

# The pattern of the published Qwen2 tokenizer.
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Those of Llama 3 and of gpt-oss (o200k).
LLAMA3_PATTERN = QWEN2_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
GPT_OSS_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_WORDS = """
    the of and to in is that it for was on are with they be at one have this from total price don't
    DON'T we'LL they've I'm invoice Größe façade naïve Straße été Приве́т мир число αριθμός 識別 文字
    图中的 文書 読む العربية हिन्दी 한국어 x=1; if(a!=b) ... -> // 12,50 € 2041 №
""".split()  # noqa: SIM905


def corpus(n_lines: int = 600) -> list[str]:
    """Lines of words in many scripts, the same in every run."""
    rng = random.Random(20)
    spaces = [" "] * 12 + ["  ", "\t", "\n", "\r\n", "\u3000", "\u00a0"]
    return [
        "".join(rng.choice(_WORDS) + rng.choice(spaces) for _ in range(rng.randint(3, 14)))
        for _ in range(n_lines)
    ]


def like_qwen2(model: Any) -> Any:
    """A `tokenizers.Tokenizer` with the steps of the published Qwen2 one around a BPE model."""
    import tokenizers as hf

    tokenizer = like(QWEN2_PATTERN, model)
    tokenizer.normalizer = hf.normalizers.NFC()
    return tokenizer


def like(pattern: str, model: Any) -> Any:
    """A byte-level `tokenizers.Tokenizer` that splits by a pattern and normalises nothing."""
    import tokenizers as hf

    tokenizer = hf.Tokenizer(model)
    tokenizer.pre_tokenizer = hf.pre_tokenizers.Sequence(
        [
            hf.pre_tokenizers.Split(hf.Regex(pattern), "isolated"),
            hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = hf.decoders.ByteLevel()
    return tokenizer


def train_byte_level(vocab_size: int = 900) -> Any:
    """A `tokenizers.Tokenizer` like Qwen2's, with control and user-defined tokens."""
    import tokenizers as hf

    tokenizer = like_qwen2(hf.models.BPE())
    alphabet = hf.pre_tokenizers.ByteLevel.alphabet()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens(
        [hf.AddedToken(piece, normalized=False, special=True) for piece in CONTROL_PIECES]
    )
    tokenizer.add_tokens(
        [hf.AddedToken(piece, normalized=False, special=False) for piece in USER_DEFINED_PIECES]
    )
    return tokenizer


def write_byte_level(
    path: Path,
    tokenizer: Any,
    *,
    pre: str = "qwen2",
    arch: str = "qwen2",
    with_merges: bool = True,
    strip_after: Sequence[int] = (),
) -> Path:
    """Writes a `tokenizers.Tokenizer` with a byte-level BPE model as llama.cpp's converter does."""
    import json

    model = json.loads(tokenizer.to_str())["model"]
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    added = tokenizer.get_added_tokens_decoder()
    tokens = sorted(vocab, key=vocab.__getitem__)
    types = [
        NORMAL if i not in added else CONTROL if added[i].special else USER_DEFINED
        for i in range(len(tokens))
    ]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return write_vocabulary(
        path, model="gpt2", pre=pre, tokens=tokens, types=types,
        merges=merges if with_merges else None, arch=arch, strip_after=strip_after,
    )  # fmt: skip


def train_sentencepiece(**options: Any) -> bytes:
    """A SentencePiece BPE model with the identity normaliser, as the InternLM ones are."""
    import sentencepiece

    blob = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line.replace("\n", " ") for line in corpus()),
        model_writer=blob,
        model_type="bpe",
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        **{"vocab_size": 700, "hard_vocab_limit": False, "byte_fallback": True, **options},
    )
    return blob.getvalue()


def write_sentencepiece(
    path: Path,
    processor: Any,
    *,
    add_space_prefix: bool,
    prefix_at_start: bool = False,
    strip_after: Sequence[int] = (),
    user_defined: Sequence[str] = (),
    added_control: Sequence[str] = (),
    with_scores: bool = True,
) -> Path:
    """Writes a `SentencePieceProcessor`, with control tokens added after its own pieces."""
    ids = range(processor.get_piece_size())
    tokens = [processor.id_to_piece(i) for i in ids]

    def type_of(i: int) -> int:
        if processor.is_unknown(i):
            return UNKNOWN
        if processor.is_control(i):
            return CONTROL
        if processor.is_byte(i):
            return BYTE
        return USER_DEFINED if tokens[i] in user_defined else NORMAL

    return write_vocabulary(
        path,
        model="llama",
        pre="default",
        tokens=[*tokens, *added_control],
        types=[*map(type_of, ids), *[CONTROL] * len(added_control)],
        scores=[*map(processor.get_score, ids), *[-1000.0] * len(added_control)]
        if with_scores
        else None,
        unknown_id=processor.unk_id(),
        add_space_prefix=add_space_prefix,
        prefix_at_start=prefix_at_start,
        strip_after=strip_after,
    )


def write_vocabulary(
    path: Path,
    *,
    model: str,
    pre: str,
    tokens: Sequence[str | bytes],
    types: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    merges: Sequence[str] | None = None,
    unknown_id: int | None = None,
    eos_id: int | None = None,
    add_space_prefix: bool = False,
    prefix_at_start: bool = False,
    arch: str = "qwen2",
    strip_after: Sequence[int] = (),
) -> Path:
    """Writes the keys as they are given, right or wrong; None leaves a key out."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(list(tokens))
    if types is not None:
        writer.add_token_types(list(types))
    if scores is not None:
        writer.add_token_scores(list(scores))
    if merges is not None:
        writer.add_token_merges(list(merges))
    if unknown_id is not None:
        writer.add_unk_token_id(unknown_id)
    if eos_id is not None:
        writer.add_eos_token_id(eos_id)
    writer.add_add_space_prefix(add_space_prefix)
    if prefix_at_start:
        writer.add_bool("crispvl.tokenizer.prefix_at_start", True)
    if strip_after:
        writer.add_array("crispvl.tokenizer.strip_after_ids", list(strip_after))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path
