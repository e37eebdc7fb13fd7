"""The vocabulary as llama.cpp's converter writes it, and as CrispEmbed's merger copies it."""

from __future__ import annotations

import gguf

from foreign.parts import ForeignModel


def add_llamacpp_vocabulary(writer: gguf.GGUFWriter, model: ForeignModel) -> None:
    """Adds every ``tokenizer.*`` key."""
    v = model.settings.vocabulary
    writer.add_tokenizer_model(v.model)
    writer.add_tokenizer_pre(v.pre)
    writer.add_token_list(v.tokens)
    writer.add_token_types(v.types)
    if v.model == "llama":
        writer.add_token_scores(v.scores)
        writer.add_add_space_prefix(v.add_space_prefix)
    elif v.merges:
        writer.add_token_merges(v.merges)
    if v.bos_id is not None:
        writer.add_bos_token_id(v.bos_id)
    if v.eos_id is not None:
        writer.add_eos_token_id(v.eos_id)
    writer.add_add_bos_token(v.add_bos)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
