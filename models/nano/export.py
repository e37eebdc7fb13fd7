"""Writes the nano model as an ``-hf`` checkpoint folder, and loads weights from one.

    python models/nano/export.py --run run --output models/nano/checkpoint
    python models/nano/export.py --run run --meet models/nano/checkpoint --output checkpoint

The floats are rounded to bfloat16, so the folder is half as large and every file type that is
converted from it starts from the same numbers.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import InternVLForConditionalGeneration

from model import END_OF_TEXT, IM_END, MAX_ANSWER, MEAN, SPECIAL, STD, Nano
from strips import LEFT_PX, PITCH_PX, ROWS, STRIP_PX
from tiling import MAX_TILES, TILE_PX

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<IMG_CONTEXT>\n"
    "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

PROMPTS = {"text": "OCR", "markdown": "Markdown"}
GAP_PX = 20  # between lines that share a row: as far apart as columns
STRIPS = {
    "n_rows": ROWS, "pitch_px": PITCH_PX, "height_px": STRIP_PX, "left_px": LEFT_PX,
    "gap_px": GAP_PX,
}  # fmt: skip


def byte_alphabet() -> dict[str, int]:
    """Byte-level BPE's printable stand-in of each of the 256 bytes, without any merges."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    char = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    return {char[b]: b for b in range(256)}


def tokenizer_config(max_length: int) -> dict[str, Any]:
    """Settings of the tokenizer: bytes and six special tokens."""

    def added(content: str) -> dict[str, Any]:
        flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
        return {"content": content, **flags, "special": True}

    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": SPECIAL[IM_END - 256],
        "pad_token": SPECIAL[0],
        "unk_token": None,
        "additional_special_tokens": SPECIAL,
        "model_max_length": max_length,
        "errors": "replace",
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {str(256 + i): added(s) for i, s in enumerate(SPECIAL)},
    }


def preprocessor_config(max_tiles: int) -> dict[str, Any]:
    """Settings of the tiling."""
    return {
        "image_processor_type": "GotOcr2ImageProcessorFast",
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": max_tiles,
        "size": {"height": TILE_PX, "width": TILE_PX},
        "resample": 3,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def write_checkpoint(
    vlm: InternVLForConditionalGeneration, folder: str | Path, max_tiles: int = MAX_TILES
) -> None:
    """Writes weights, config, tokenizer and preprocessor files, and how the model reads.

    Args:
        vlm: The model; its floats are rounded to bfloat16.
        folder: Created when missing.
        max_tiles: The most tiles of a page that the model was trained on.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rounded = InternVLForConditionalGeneration(vlm.config)
    rounded.load_state_dict(vlm.state_dict())
    rounded.to(torch.bfloat16).save_pretrained(folder)
    max_length = vlm.config.text_config.max_position_embeddings
    files = {
        "vocab.json": byte_alphabet(),
        "added_tokens.json": {s: 256 + i for i, s in enumerate(SPECIAL)},
        "tokenizer_config.json": tokenizer_config(max_length),
        "preprocessor_config.json": preprocessor_config(max_tiles),
        "crispvl.json": {"prompts": PROMPTS, "strips": STRIPS},
        "generation_config.json": {
            "eos_token_id": [IM_END],
            "pad_token_id": END_OF_TEXT,
            "do_sample": False,
            "max_new_tokens": MAX_ANSWER,
        },
    }
    for name, content in files.items():
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def heads_file(folder: str | Path) -> Path:
    """Where the dense heads are: beside the checkpoint folder, for they only serve training."""
    return Path(folder).resolve().with_name("heads.safetensors")


def write_heads(model: Nano, folder: str | Path) -> None:
    """Writes the dense heads beside a checkpoint folder, for a later run to continue from."""
    heads = {
        f"{name}.{key}": value
        for name, head in model.heads()
        for key, value in head.state_dict().items()
    }
    save_file({name: value.bfloat16() for name, value in heads.items()}, heads_file(folder))


def load_heads(model: Nano, folder: str | Path) -> None:
    """Reads the dense heads from beside a checkpoint folder; a missing one stays as it is."""
    saved = load_file(heads_file(folder))
    for name, head in model.heads():
        if f"{name}.weight" not in saved:
            continue
        head.load_state_dict({key: saved[f"{name}.{key}"].float() for key in head.state_dict()})


def load_weights(vlm: InternVLForConditionalGeneration, folder: str | os.PathLike[str]) -> None:
    """Copies a checkpoint folder's weights into the model, as float32."""
    source = InternVLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    vlm.load_state_dict(source.state_dict())


@torch.no_grad()
def meet(model: Nano, folder: str | Path) -> None:
    """Moves the model halfway to a checkpoint that it was continued from.

    The mean of two ends of training reads better than either (Wortsman et al. 2022, "Model soups").
    """
    former = Nano()
    load_weights(former.vlm, folder)
    load_heads(former, folder)
    for mine, its in zip(model.parameters(), former.parameters(), strict=True):
        mine.lerp_(its, 0.5)


def main() -> None:
    """Reads the command line and exports a run's averaged weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--run", help="run folder of train.py")
    parser.add_argument("--checkpoint", help="or a checkpoint folder to write anew")
    parser.add_argument("--meet", help="checkpoint folder to go halfway to")
    parser.add_argument("--output", required=True)
    parser.add_argument("--max-tiles", type=int, default=MAX_TILES)
    args = parser.parse_args()
    model = Nano()
    if args.run:
        state = torch.load(Path(args.run) / "state.pt", map_location="cpu")
        model.load_state_dict(state["model"])
        model.vlm.load_state_dict(state["average"])
    else:
        load_weights(model.vlm, args.checkpoint)
    if args.meet:
        meet(model, args.meet)
    if args.run:
        write_heads(model, args.output)
    write_checkpoint(model.vlm, args.output, args.max_tiles)


if __name__ == "__main__":
    main()
