"""Reads ``config.json`` in either layout.

``chat`` is the layout OpenGVLab publishes (``vision_config``, ``llm_config``); ``hf`` is the one
that transformers reads (``vision_config``, ``text_config``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crispvl.convert.chat_layout import read_chat_config
from crispvl.convert.config import CheckpointConfig
from crispvl.convert.hf_layout import HF_MODELS, read_hf_config
from crispvl.convert.packing import refuse_quantised
from crispvl.errors import ModelFileError

# What configs call InternViT holds one of these: OpenGVLab's and transformers' names, Qianfan's.
_INTERN_VIT = ("intern", "qianfan_ocr")

# Families that join InternVL's projector to another encoder, by what tells them from it. Any other
# encoder is called what its config calls it.
_OTHER_ENCODERS: Mapping[str, str] = {
    "siglip_vision_model": "SigLIP",
    "siglip2_vision_model": "SigLIP 2",
    "siglip": "SigLIP",
    "radio": "C-RADIO",
    "clip_vision_model": "CLIP (DFN)",
    "dfn_vision_model": "DFN",
}


def read_config(
    config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None
) -> CheckpointConfig:
    """Reads a checkpoint's configuration.

    Args:
        config: ``config.json``.
        preprocessor: ``preprocessor_config.json``, or the image part of ``processor_config.json``.

    Raises:
        ModelFileError: Not an InternVL checkpoint, or one that needs what the engine cannot do.
    """
    refuse_quantised(config)
    _refuse_other_encoder(config)
    if isinstance(config.get("llm_config"), Mapping):
        return read_chat_config(config)
    is_hf = str(config.get("model_type")) in HF_MODELS
    if is_hf and isinstance(config.get("text_config"), Mapping):
        return read_hf_config(config, preprocessor)
    raise ModelFileError(
        "[config.json] expected an InternVL checkpoint, one with 'vision_config' and 'llm_config', "
        f"or of model_type {' or '.join(map(repr, HF_MODELS))} with 'text_config'; found "
        f"model_type {config.get('model_type')!r}; give a folder of the OpenGVLab or the -hf kind"
    )


def _refuse_other_encoder(config: Mapping[str, Any]) -> None:
    """Refuses models of InternVL's build whose encoder is not InternViT, by name."""
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return
    architectures = vision.get("architectures")
    kinds = [vision.get("model_type")]
    kinds += architectures if isinstance(architectures, list) else [architectures]
    named = ["radio"] if isinstance(vision.get("args"), Mapping) else []  # as C-RADIO's config
    named += [str(kind) for kind in kinds if kind]
    for kind in named:
        if any(name in kind.lower() for name in _INTERN_VIT):
            continue
        encoders = (n for k, n in _OTHER_ENCODERS.items() if kind.lower().startswith(k))
        raise ModelFileError(
            "[config.json: vision_config] expected InternViT, the encoder of the InternVL models; "
            f"found {next(encoders, 'another encoder')} ({kind}); models with another encoder are "
            "not supported"
        )
