"""Checkpoint in, file out: the one function that the command line and the scripts call."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from crispvl._version import __version__
from crispvl.convert import dtypes
from crispvl.convert.checkpoint import Checkpoint, read_checkpoint
from crispvl.convert.files import reported_damage
from crispvl.convert.layouts import read_config
from crispvl.convert.metadata import (
    Entry,
    Source,
    common_entries,
    decoder_entries,
    position_step_entries,
    strip_entries,
    text_entries,
    vision_entries,
)
from crispvl.convert.packing import mark_expected
from crispvl.convert.reading import Reading
from crispvl.convert.tensor_plan import TensorPlan
from crispvl.convert.tensors import tensor_plans
from crispvl.convert.writer import OutputFile, OutputTensor, write_files, write_header
from crispvl.errors import ModelFileError
from crispvl.layout.strip_format import DEFAULT_LAYOUT_KEY, strip_format
from crispvl.model_config import ModelConfig
from crispvl.results.outputs import check_outputs

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
    dtype: str | None = None,
    layout: str = "single",
    *,
    prompts: dict[str, str] | None = None,
    strips: Mapping[str, int] | None = None,
    image_position_step: float | None = None,
    progress: Progress | None = None,
) -> ConversionReport:
    """Converts an InternVL checkpoint to GGUF.

    Tensors are mapped, converted and written one after the other, so memory does not grow with
    the model. The output appears only when it is complete.

    Args:
        model: Checkpoint folder in the OpenGVLab or the -hf layout, or a hub name.
        output: File to write. A pair adds ``mmproj-<name>`` beside it.
        dtype: ``f32``, ``f16``, ``bf16`` or ``q8_0``, the type of the large matrices; ``q4_1``
            keeps those that an AWQ checkpoint holds in four bits, and ``mxfp4`` the experts that
            gpt-oss's does. None is ``q4_1`` and ``mxfp4`` for such checkpoints, else ``f16``.
        layout: ``single`` for one file, ``pair`` for the two that llama.cpp reads.
        prompts: What the model was trained to be asked, by task, such as ``text``.
        strips: For a model that was trained to read lines: how they fill a tile, by the fields
            ``n_rows``, ``pitch_px``, ``height_px``, ``left_px`` and ``gap_px`` of
            `crispvl.layout.strip_format.StripFormat`. It then reads by lines unless another layout
            is asked for. Prompts and strips that are not given here are taken from
            ``crispvl.json`` in the checkpoint, if it has one.
        image_position_step: How far an image token advances the position, 1, 1/2 … 1/256 (V2PE,
            arXiv 2412.09616), for a model that was trained so; None writes nothing, which is 1.
        progress: Called with a tensor's name, the bytes written so far and those in all.

    Returns:
        What was written.

    Raises:
        ValueError: An unknown type, layout, prompt name, strip field or position step; an output
            that is one of the checkpoint's files, a folder, a FIFO or a device.
        FileNotFoundError: No such checkpoint, or no folder for the output.
        ModelFileError: Not a checkpoint, an incomplete one, or one the engine cannot run.
    """
    output = Path(output)
    _check_arguments(dtype or "f16", layout)
    inputs = [path for path in Path(model).glob("*") if path.suffix != ".gguf"]
    check_outputs([output], inputs, regular=True)
    step = position_step_entries(image_position_step)
    started = time.monotonic()
    checkpoint = read_checkpoint(model, Reading(prompts or {}, strips))
    more = [*step, *strip_entries(checkpoint.strips)]
    plans = (*checkpoint.vision, *checkpoint.text)
    dtype = _chosen_dtype(dtype, plans, checkpoint.files.name)
    overflows: Counter[str] = Counter()
    files = _output_files(checkpoint, output, dtype, layout, more, overflows)
    tensors = [t for f in files for t in f.tensors]

    def check(headers: Sequence[Path]) -> None:
        _check_headers(headers, output)

    write_files(files, _with_total(progress, sum(t.n_bytes for t in tensors)), check)
    return ConversionReport(
        files=tuple(f.path for f in files),
        architecture=checkpoint.config.decoder.family.arch,
        n_tensors=len(tensors),
        n_bytes=sum(f.path.stat().st_size for f in files),
        types=dict(Counter(t.type.name.lower() for t in tensors)),
        fallbacks=tuple(p.name for p in plans if dtypes.choose_type(p, dtype).fallback),
        warnings=tuple(_warnings(checkpoint, overflows)),
        elapsed_s=time.monotonic() - started,
    )


def _check_headers(headers: Sequence[Path], output: Path) -> None:
    """Has the engine read the headers, so that it need not refuse the whole file later."""
    from crispvl._core import Model

    text, mmproj = str(headers[0]), str(headers[1]) if len(headers) > 1 else None
    try:
        core = Model.load(text, mmproj, "cpu", 1, vocab_only=True)
        if DEFAULT_LAYOUT_KEY in core.metadata:
            strip_format(ModelConfig(core.config, core.metadata), core.metadata)
    except ModelFileError as error:
        reason, _, _ = str(error).rpartition(";")
        for header in headers:
            reason = reason.replace(header.name, output.name)
        raise ModelFileError(
            f"[convert] expected a checkpoint that the engine can run; found {reason}; "
            "check config.json, crispvl.json and the tokenizer's files"
        ) from error


def _warnings(checkpoint: Checkpoint, overflows: Mapping[str, int]) -> Iterator[str]:
    if checkpoint.vocabulary.left_out:
        yield (
            f"left out of the tokenizer, as the embedding has no row for them: "
            f"{', '.join(checkpoint.vocabulary.left_out)}"
        )
    for name, n in overflows.items():
        yield f"{n} values of {name} are beyond float16 and became infinite; use bf16"


def convert_header(config: Mapping[str, Any], output: str | Path, dtype: str | None = None) -> None:
    """Writes what a model's file says about itself, from only ``config.json``.

    The file has the keys of the networks and every tensor's name, shape and type, but no
    tokenizer and no weights. The head counts as tied where the config says so; of an AWQ config,
    the matrices of the text model's blocks count as packed.

    Args:
        config: ``config.json`` of a checkpoint in either layout.
        output: File to write.
        dtype: As in `convert_checkpoint`.

    Raises:
        ValueError: An unknown type.
        FileNotFoundError: No folder for the output.
        ModelFileError: Not the config of an InternVL, or of one the engine cannot run.
    """
    output = Path(output)
    _check_arguments(dtype or "f16", "single")
    check_outputs([output], regular=True)
    parsed = read_config(config, None)
    tied_head = parsed.decoder.tied_head
    vision, text = tensor_plans(parsed, tied_head=tied_head)
    plans = [*vision, *mark_expected(text, config)]
    name = str(config.get("_name_or_path") or output.stem)
    dtype = _chosen_dtype(dtype, plans, name)
    source = Source(name, "", __version__)
    entries = [
        *common_entries(source, parsed.layout, int(dtypes.FILE_TYPES[dtype])),
        *decoder_entries(parsed.decoder, tied_head=tied_head),
        *vision_entries(parsed),
    ]
    tensors = [_output_tensor(p, dtype, lambda kind: iter(())) for p in plans]
    write_header(output, _model_file(output, parsed.decoder.family.arch, entries, tensors))


def _chosen_dtype(dtype: str | None, plans: Sequence[TensorPlan], name: str) -> str:
    packed = next((p.packed for p in plans if p.packed), "")
    if dtype in dtypes.PACKED_DTYPES and dtype != packed:
        kind = {"q4_1": "4-bit AWQ checkpoints", "mxfp4": "checkpoints of MXFP4 experts"}[dtype]
        raise ValueError(
            f"[dtype] expected '{dtype}' for {kind} only; found '{name}', which is something "
            "else; convert to f16, then use 'crispvl quantize'"
        )
    return dtype or packed or "f16"


def _output_files(
    checkpoint: Checkpoint,
    path: Path,
    dtype: str,
    layout: str,
    more: Sequence[Entry],
    overflows: Counter[str],
) -> list[OutputFile]:
    config, files = checkpoint.config, checkpoint.files
    source = Source(files.repository, files.revision, __version__)
    common = list(common_entries(source, config.layout, int(dtypes.FILE_TYPES[dtype])))
    vision = list(vision_entries(config))
    vocabulary, chat = checkpoint.vocabulary, checkpoint.chat
    text = [*text_entries(config, vocabulary, chat, tied_head=checkpoint.tied_head), *more]

    def outputs(plans: Sequence[TensorPlan]) -> list[OutputTensor]:
        return [_output_tensor(p, dtype, _chunks_of(p, checkpoint, overflows)) for p in plans]

    arch = config.decoder.family.arch
    vision_tensors, text_tensors = outputs(checkpoint.vision), outputs(checkpoint.text)
    if layout == "single":
        everything = [*vision_tensors, *text_tensors]
        return [_model_file(path, arch, [*common, *text, *vision], everything)]
    return [
        _model_file(path, arch, [*common, *text], text_tensors),
        OutputFile(
            path=path.with_name(f"mmproj-{path.name}"),
            arch="clip",
            type="mmproj",
            entries=[*common, *vision],
            tensors=vision_tensors,
        ),
    ]


def _model_file(
    path: Path, arch: str, entries: Sequence[Entry], tensors: Sequence[OutputTensor]
) -> OutputFile:
    return OutputFile(path=path, arch=arch, type="model", entries=entries, tensors=tensors)


_Chunks = Callable[[GGMLQuantizationType], Iterator[NDArray[np.uint8]]]


def _output_tensor(plan: TensorPlan, dtype: str, chunks: _Chunks) -> OutputTensor:
    kind = dtypes.choose_type(plan, dtype).type
    return OutputTensor(name=plan.name, shape=plan.shape, type=kind, chunks=lambda: chunks(kind))


def _chunks_of(plan: TensorPlan, checkpoint: Checkpoint, overflows: Counter[str]) -> _Chunks:
    def chunks(kind: GGMLQuantizationType) -> Iterator[NDArray[np.uint8]]:
        with reported_damage(checkpoint.files):
            tensors = [checkpoint.weights[source] for source in plan.sources]
            for chunk in dtypes.encode(plan, tensors, kind):
                if kind == GGMLQuantizationType.F16:
                    n_infinite = int(np.count_nonzero(np.isinf(chunk.view("<f2"))))
                    if n_infinite:
                        overflows[plan.name] += n_infinite
                yield chunk

    return chunks


def _with_total(progress: Progress | None, n_total: int) -> Callable[[str, int], None] | None:
    if progress is None:
        return None
    n_done = 0

    def advance(name: str, n_bytes: int) -> None:
        nonlocal n_done
        n_done += n_bytes
        progress(name, n_done, n_total)

    return advance


def _check_arguments(dtype: str, layout: str) -> None:
    for name, allowed, found in (
        ("dtype", dtypes.DTYPES, dtype),
        ("layout", LAYOUTS, layout),
    ):
        if found not in allowed:
            raise ValueError(
                f"[{name}] expected one of {', '.join(allowed)}; found '{found}'; choose one"
            )
