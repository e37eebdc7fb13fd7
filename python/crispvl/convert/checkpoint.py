"""A checkpoint that has been read and found complete: what a file is written from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crispvl.convert.chat import Chat, end_of_answer_id, read_chat
from crispvl.convert.config import CheckpointConfig
from crispvl.convert.files import CheckpointFiles, open_checkpoint, reported_damage
from crispvl.convert.layouts import read_config
from crispvl.convert.packing import mark_packed, unpack_weights
from crispvl.convert.reading import NOTHING_TOLD, Reading, check_reading, read_reading
from crispvl.convert.stored_tensor import StoredTensor
from crispvl.convert.tensor_plan import TensorPlan
from crispvl.convert.tensors import is_unused, tensor_plans
from crispvl.convert.tokenizer import read_vocabulary
from crispvl.convert.values import mapping
from crispvl.convert.vocabulary import Vocabulary
from crispvl.convert.weights import read_weights
from crispvl.errors import ModelFileError

_N_PROBLEMS_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that conversion needs; the weights are mapped and not yet read.

    Attributes:
        files: The folder.
        config: Sizes and switches.
        vocabulary: The tokenizer, padded to the embedding's rows.
        chat: How prompts are written.
        strips: How lines fill a tile; None for a model that was not trained on lines.
        weights: Tensors by the checkpoint's names.
        tied_head: The output head is the token embedding.
        vision: Tensors of encoder and projector.
        text: Tensors of the text model.
    """

    files: CheckpointFiles
    config: CheckpointConfig
    vocabulary: Vocabulary
    chat: Chat
    strips: Mapping[str, int] | None
    weights: Mapping[str, StoredTensor]
    tied_head: bool
    vision: Sequence[TensorPlan]
    text: Sequence[TensorPlan]


def read_checkpoint(model: str | Path, told: Reading = NOTHING_TOLD) -> Checkpoint:
    """Opens a folder or hub name and checks config, tokenizer and weights against each other.

    Args:
        model: The folder or the name.
        told: What the caller knows of how the model reads; it takes precedence over the
            checkpoint's own file.

    Raises:
        FileNotFoundError: No such checkpoint.
        ModelFileError: An incomplete one, or one that the engine cannot run.
        ValueError: A prompt of an unknown name, or strips of which no tile can be made.
    """
    check_reading(told)
    files = open_checkpoint(model)
    with reported_damage(files):
        return _read(files, told)


def _read(files: CheckpointFiles, told: Reading) -> Checkpoint:
    preprocessor: Mapping[str, Any] | None = files.json("preprocessor_config.json")
    if preprocessor is None:
        processor = files.json("processor_config.json") or {}
        if processor.get("image_processor") is not None:
            preprocessor = mapping(processor["image_processor"], "processor_config.json")
    config = read_config(files.require_json("config.json"), preprocessor)
    vocabulary = read_vocabulary(files, config.decoder.vocab_size)
    reading = read_reading(files, told)
    chat = read_chat(files, config, vocabulary, reading.prompts)
    vocabulary.eos_id = end_of_answer_id(chat, vocabulary)
    weights = unpack_weights(read_weights(files.folder), files.require_json("config.json"))
    tied_head = _has_tied_head(config, weights)
    vision, text = tensor_plans(config, tied_head=tied_head, stored=weights.keys())
    unused = {name for name in weights if is_unused(name, config)}
    check_weights((*vision, *text), weights, unused | {_head_name(config)} if tied_head else unused)
    return Checkpoint(
        files=files,
        config=config,
        vocabulary=vocabulary,
        chat=chat,
        strips=reading.strips,
        weights=weights,
        tied_head=tied_head,
        vision=mark_packed(vision, weights),
        text=mark_packed(text, weights),
    )


def check_weights(
    plans: Sequence[TensorPlan],
    weights: Mapping[str, StoredTensor],
    unused: Collection[str] = (),
) -> None:
    """Compares the tensor table with a checkpoint, in one report.

    Args:
        plans: What will be written.
        weights: What there is.
        unused: Tensors that may be there and are not written.

    Raises:
        ModelFileError: Tensors are missing, left over or of another shape.
    """
    wanted = {source: p.source_shape for p in plans for source in p.sources}
    problems = [f"missing '{name}'" for name in wanted if name not in weights]
    problems += [
        f"unexpected '{name}'" for name in weights if name not in wanted and name not in unused
    ]
    problems += [
        f"'{name}' is {list(weights[name].shape)} and should be {list(shape)}"
        for name, shape in wanted.items()
        if name in weights and weights[name].shape != shape
    ]
    if problems:
        n_hidden = len(problems) - _N_PROBLEMS_SHOWN
        more = f"; and {n_hidden} more" if n_hidden > 0 else ""
        raise ModelFileError(
            f"[weights] expected the {len(wanted)} tensors that config.json describes; found "
            f"{'; '.join(problems[:_N_PROBLEMS_SHOWN])}{more}; download the checkpoint again, "
            "config.json and weights together"
        )


def _has_tied_head(config: CheckpointConfig, weights: Mapping[str, StoredTensor]) -> bool:
    """Whether the output head is the token embedding.

    A head in the checkpoint that differs from the embedding is a head of its own, whatever the
    config says; without one the config must call it tied.
    """
    if not config.decoder.tied_head:
        return False
    head = weights.get(_head_name(config))
    if head is None:
        return True
    embedding = weights.get(f"language_model.{config.decoder.family.names['token_embd']}.weight")
    if embedding is None or (embedding.shape, embedding.dtype) != (head.shape, head.dtype):
        return False
    ours, theirs = head.load(), embedding.load()
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _head_name(config: CheckpointConfig) -> str:
    return f"language_model.{config.decoder.family.names['output']}.weight"
