"""The tensor table: every tensor of the file, its shape, and where the checkpoint keeps it.

Written once for both checkpoint layouts and all text families. Names in the file are llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Collection

from crispvl.convert.config import CheckpointConfig
from crispvl.convert.router_tensors import UNUSED, router_tensors
from crispvl.convert.tensor_plan import TensorPlan
from crispvl.convert.text_tensors import text_tensors
from crispvl.convert.vision_tensors import CHAT_NAMES, HF_NAMES, vision_tensors


def tensor_plans(
    config: CheckpointConfig, *, tied_head: bool, stored: Collection[str] = ()
) -> tuple[list[TensorPlan], list[TensorPlan]]:
    """The tensors of the encoder with the projector, and those of the text model.

    ``stored``, the checkpoint's own names, tell how the encoder's are spelled: some checkpoints
    have the -hf config and OpenGVLab's tensors. Without them the layout tells.
    """
    is_chat = config.layout == "chat" if not stored else CHAT_NAMES["class"] in stored
    names = CHAT_NAMES if is_chat else HF_NAMES
    vision = [*vision_tensors(names, config.vision, config.projector, config.decoder.width)]
    if config.router is not None:
        vision += router_tensors(config.projector, config.vision.width, config.decoder.width)
    return vision, list(text_tensors(config.decoder, tied_head))


def is_unused(name: str, config: CheckpointConfig) -> bool:
    """Whether a stored tensor is never computed with.

    Those are what the router's class holds in vain, and the layers of the encoder
    after the one whose output the projector takes.
    """
    if name.startswith(UNUSED):
        return True
    for names in (CHAT_NAMES, HF_NAMES):
        i_layer = name.removeprefix(names["block"] + ".").partition(".")[0]
        if name.startswith(names["block"] + ".") and i_layer.isdecimal():
            return int(i_layer) >= config.vision.n_layers
    return False
