"""Which tensors of a checkpoint are packed: by its tensors, or only by its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crispvl.convert.awq import AwqTensor, awq_settings, is_awq, unpack_matrices
from crispvl.convert.mxfp4 import Mxfp4Tensor, is_mxfp4, unpack_experts
from crispvl.convert.packed import PackedTensor
from crispvl.convert.stored_tensor import StoredTensor
from crispvl.convert.tensor_plan import TensorPlan
from crispvl.errors import ModelFileError

_INTEGERS = {"I32": "int32", "U8": "uint8"}


def refuse_quantised(config: Mapping[str, Any]) -> None:
    """Refuses a checkpoint whose weights are packed in a way that is not known.

    Raises:
        ModelFileError: GPTQ, bitsandbytes and the like.
    """
    for method in _methods(config):
        if is_awq(method) or is_mxfp4(method):
            continue
        name = method.get("quant_method") if isinstance(method, Mapping) else method
        raise ModelFileError(
            "[config.json] expected weights in float32, float16, bfloat16, AWQ or MXFP4; found "
            f"weights quantised with '{name}'; convert the original checkpoint and choose "
            "the type of the file with --dtype"
        )


def unpack_weights(
    weights: Mapping[str, StoredTensor], config: Mapping[str, Any]
) -> dict[str, StoredTensor]:
    """A checkpoint's tensors, what is packed as one `PackedTensor` named like a plain weight.

    Args:
        weights: Tensors by the checkpoint's names.
        config: ``config.json``.

    Raises:
        ModelFileError: Packed tensors that do not fit each other, or another kind of AWQ.
    """
    unpacked = unpack_experts(unpack_matrices(weights, awq_settings(_methods(config))))
    for name, tensor in unpacked.items():
        if tensor.dtype in _INTEGERS:
            raise ModelFileError(
                f"[{name}] expected floating point; found {_INTEGERS[tensor.dtype]}, and "
                "config.json names no packed matrix here; download the checkpoint again"
            )
    return unpacked


def mark_packed(
    plans: Sequence[TensorPlan], weights: Mapping[str, StoredTensor]
) -> list[TensorPlan]:
    """The same plans; those of packed matrices say so."""

    def packed(plan: TensorPlan) -> str:
        found = (weights.get(source) for source in plan.sources)
        return next((t.block_dtype for t in found if isinstance(t, PackedTensor)), "")

    return [replace(plan, packed=packed(plan)) for plan in plans]


def mark_expected(plans: Sequence[TensorPlan], config: Mapping[str, Any]) -> list[TensorPlan]:
    """Marks what is packed by the config's word only.

    Of AWQ those are the matrices of the text model's blocks, but for those in whose names a part of
    ``modules_to_not_convert`` is; of MXFP4 the experts.

    Raises:
        ModelFileError: Another kind of AWQ.
    """
    methods = list(_methods(config))
    settings = awq_settings(methods)
    if settings is not None:
        excluded = [str(name) for name in settings.raw("modules_to_not_convert") or ()]
        return [
            replace(plan, packed=AwqTensor.block_dtype)
            if plan.name.startswith("blk.")
            and not plan.precise
            and not any(name in plan.sources[0] for name in excluded)
            else plan
            for plan in plans
        ]
    if any(map(is_mxfp4, methods)):
        return [
            replace(plan, packed=Mxfp4Tensor.block_dtype)
            if plan.stacked and not plan.precise
            else plan
            for plan in plans
        ]
    return list(plans)


def _methods(config: Mapping[str, Any]) -> Iterator[Any]:
    for part in (config, config.get("llm_config"), config.get("text_config")):
        method = part.get("quantization_config") if isinstance(part, Mapping) else None
        if method:
            yield method
