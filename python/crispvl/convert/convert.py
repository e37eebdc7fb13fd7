"""Checkpoint in, file out: the one function that the command line and the scripts call."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crispvl._version import __version__
from crispvl.convert import dtypes
from crispvl.convert.chat import end_of_sequence_ids, read_chat
from crispvl.convert.config import CheckpointConfig
from crispvl.convert.files import CheckpointFiles, open_checkpoint
from crispvl.convert.layouts import read_config
from crispvl.convert.metadata import Chat, Source, common_entries, text_entries, vision_entries
from crispvl.convert.tensors import TensorPlan, tensor_plans
from crispvl.convert.vocabulary import Vocabulary, read_vocabulary
from crispvl.convert.weights import StoredTensor, read_weights
from crispvl.convert.writer import OutputFile, OutputTensor, write_files
from crispvl.errors import ModelFileError

LAYOUTS = ("single", "pair")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """What was written.

    Attributes:
        files: Paths; of a pair the text model, then the mmproj file.
        architecture: ``general.architecture`` of the text model.
        n_tensors: Tensors in all files.
        n_bytes: Size of all files.
        types: Number of tensors by type.
        fallbacks: Tensors whose rows did not fit the type that was asked for.
        warnings: What a user should know, in sentences.
        elapsed_s: Seconds it took.
    """

    files: tuple[Path, ...]
    architecture: str
    n_tensors: int
    n_bytes: int
    types: Mapping[str, int]
    fallbacks: tuple[str, ...]
    warnings: tuple[str, ...]
    elapsed_s: float


def convert_checkpoint(
    model: str | Path,
    output: str | Path,
    dtype: str = "f16",
    layout: str = "single",
    *,
    prompts: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> ConversionReport:
    """Converts an InternVL checkpoint to GGUF.

    Tensors are mapped, converted and written one after the other, so memory does not grow with
    the model. The output appears only when it is complete.

    Args:
        model: Checkpoint folder in the OpenGVLab or the -hf layout, or a hub name.
        output: File to write. A pair adds ``mmproj-<name>`` beside it.
        dtype: ``f32``, ``f16``, ``bf16`` or ``q8_0``, the type of the large matrices.
        layout: ``single`` for one file, ``pair`` for the two that llama.cpp reads.
        prompts: What the model was trained to answer, by ``text`` and ``markdown``.
        progress: Called with a tensor's name, the bytes written so far and those in all.

    Returns:
        What was written.

    Raises:
        ValueError: An unknown type, layout or prompt name.
        FileNotFoundError: No such checkpoint, or no folder for the output.
        ModelFileError: Not a checkpoint, an incomplete one, or one the engine cannot run.
    """
    if dtype not in dtypes.DTYPES:
        raise ValueError(_choice("dtype", dtypes.DTYPES, dtype))
    if layout not in LAYOUTS:
        raise ValueError(_choice("layout", LAYOUTS, layout))
    output = Path(output)
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"[output] expected an existing folder for '{output.name}'; found none at "
            f"'{output.absolute().parent}'; create it first"
        )
    started = time.monotonic()
    checkpoint = _Checkpoint(open_checkpoint(model), prompts or {})
    files = checkpoint.output_files(output, dtype, layout)
    write_files(files, _counted(progress, files))
    tensors = [t for f in files for t in f.tensors]
    return ConversionReport(
        files=tuple(f.path for f in files),
        architecture=checkpoint.config.decoder.family.arch,
        n_tensors=len(tensors),
        n_bytes=sum(f.path.stat().st_size for f in files),
        types=dict(Counter(t.type.name.lower() for t in tensors)),
        fallbacks=tuple(checkpoint.fallbacks),
        warnings=tuple(checkpoint.warnings()),
        elapsed_s=time.monotonic() - started,
    )


class _Checkpoint:
    """A checkpoint that has been read and found complete."""

    def __init__(self, files: CheckpointFiles, prompts: Mapping[str, str]) -> None:
        self.files = files
        preprocessor = files.json("preprocessor_config.json")
        if preprocessor is None:
            preprocessor = (files.json("processor_config.json") or {}).get("image_processor")
        self.config: CheckpointConfig = read_config(files.require_json("config.json"), preprocessor)
        self.vocabulary: Vocabulary = read_vocabulary(files, self.config.decoder.vocab_size)
        self.chat: Chat = read_chat(files, self.config, self.vocabulary, prompts)
        eos_ids = end_of_sequence_ids(files, self.config)
        if eos_ids:
            self.vocabulary.eos_id = eos_ids[0]
        self.weights = read_weights(files.folder)
        self.tied_head = _tied_head(self.config, self.weights)
        self.vision, self.text = tensor_plans(self.config, tied_head=self.tied_head)
        check_weights((*self.vision, *self.text), self.weights, self._unused())
        self.fallbacks: list[str] = []
        self._overflows: Counter[str] = Counter()

    def output_files(self, path: Path, dtype: str, layout: str) -> list[OutputFile]:
        """The files to write; nothing has been written yet."""
        source = Source(self.files.repository, self.files.revision, __version__)
        file_type = int(dtypes.FILE_TYPES[dtype])
        common = list(common_entries(source, self.config.layout, file_type))
        vision = list(vision_entries(self.config))
        text = list(text_entries(self.config, self.vocabulary, self.chat, tied_head=self.tied_head))
        vision_tensors = [self._output(p, dtype) for p in self.vision]
        text_tensors = [self._output(p, dtype) for p in self.text]
        arch = self.config.decoder.family.arch
        if layout == "single":
            return [
                OutputFile(
                    path=path,
                    arch=arch,
                    type="model",
                    entries=[*common, *text, *vision],
                    tensors=[*vision_tensors, *text_tensors],
                )
            ]
        return [
            OutputFile(
                path=path, arch=arch, type="model", entries=[*common, *text], tensors=text_tensors
            ),
            OutputFile(
                path=path.with_name(f"mmproj-{path.name}"),
                arch="clip",
                type="mmproj",
                entries=[*common, *vision],
                tensors=vision_tensors,
            ),
        ]

    def warnings(self) -> Iterator[str]:
        """Sentences about what was lost in writing."""
        for name, count in self._overflows.items():
            yield f"{count} values of {name} are beyond float16 and became infinite; use bf16"

    def _output(self, plan: TensorPlan, dtype: str) -> OutputTensor:
        encoding = dtypes.choose_type(plan, dtype)
        if encoding.fallback:
            self.fallbacks.append(plan.name)

        def chunks() -> Iterator[NDArray[np.uint8]]:
            for chunk in dtypes.encode(plan, self.weights[plan.source], encoding.type):
                if encoding.type.name == "F16":
                    n_infinite = int(np.count_nonzero(np.isinf(chunk.view("<f2"))))
                    if n_infinite:
                        self._overflows[plan.name] += n_infinite
                yield chunk

        return OutputTensor(name=plan.name, shape=plan.shape, type=encoding.type, chunks=chunks)

    def _unused(self) -> set[str]:
        return {_head_name(self.config)} if self.tied_head else set()


def check_weights(
    plans: Sequence[TensorPlan], weights: Mapping[str, StoredTensor], unused: set[str]
) -> None:
    """Compares the tensor table with a checkpoint, in one report.

    Raises:
        ModelFileError: Tensors are missing, left over or of another shape.
    """
    wanted = {p.source: p.source_shape for p in plans}
    problems = [f"missing '{name}'" for name in wanted if name not in weights]
    problems += [f"unexpected '{n}'" for n in weights if n not in wanted and n not in unused]
    problems += [
        f"'{name}' is {list(weights[name].shape)} and should be {list(shape)}"
        for name, shape in wanted.items()
        if name in weights and weights[name].shape != shape
    ]
    if problems:
        shown = "; ".join(problems[:8])
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ModelFileError(
            f"[weights] expected the {len(wanted)} tensors that config.json describes; found: "
            f"{shown}{more}; download the checkpoint again, config.json and weights together"
        )


def _head_name(config: CheckpointConfig) -> str:
    return f"language_model.{config.decoder.family.names['output']}.weight"


def _tied_head(config: CheckpointConfig, weights: Mapping[str, StoredTensor]) -> bool:
    """Whether the output head is the token embedding.

    A head in the checkpoint that differs from the embedding is a head of its own, whatever the
    config says; without one the config must call it tied.
    """
    if not config.decoder.tied_head:
        return False
    head = weights.get(_head_name(config))
    if head is None:
        return True
    names = config.decoder.family.names
    embedding = weights.get(f"language_model.{names['token_embd']}.weight")
    if embedding is None or embedding.shape != head.shape or embedding.dtype != head.dtype:
        return False
    return bool(np.array_equal(head.load(), embedding.load()))


def _counted(
    progress: Progress | None, files: Sequence[OutputFile]
) -> Callable[[str, int], None] | None:
    if progress is None:
        return None
    total = sum(t.n_bytes for f in files for t in f.tensors)
    done = 0

    def count(name: str, n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(name, done, total)

    return count


def _choice(name: str, allowed: Sequence[str], found: str) -> str:
    return f"[{name}] expected one of {', '.join(allowed)}; found '{found}'; choose one of them"
