"""A reference computed now, by transformers, from a checkpoint in the -hf layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crispvl.convert.hf_layout import HF_MODELS
from crispvl.engine.model import Model
from crispvl.errors import ModelFileError
from crispvl.extras import need
from crispvl.inputs.text_files import read_json
from crispvl.verify.expected import Array, Expected, ExpectedPrompt

_N_TOKENS = 16


def compute_expected(model: Model, checkpoint: str | Path) -> Expected:
    """Runs transformers in float32 on a synthetic page and a question.

    Args:
        model: Gives tile size, image tokens and the tokenizer; nothing of it is computed.
        checkpoint: Folder in the -hf layout.

    Raises:
        FileNotFoundError: There is no such folder.
        ModelFileError: It is in the chat layout, whose code does not come with transformers.
        ImportError: transformers or torch is not installed.
    """
    folder = Path(checkpoint)
    _check_layout(folder)
    # first the one that the extra torch lacks: the line that installs it brings both
    transformers = need("transformers", "verify --against", "use --golden")
    torch = need("torch", "verify --against", "use --golden")
    reference: Any = transformers.AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    reference.eval()
    image = model.config.image
    tiles = _synthetic_tiles(model.config.vision.tile_px)
    n_image = len(tiles) * model.config.projector.tokens_per_tile
    question = model.tokenize("What is written here?", special=False)
    prompts = {
        "image": [
            image.start_token_id,
            *[image.context_token_id] * n_image,
            image.end_token_id,
            *question,
        ],
        "text": question,
    }
    stages: dict[str, Array] = {}
    logits: dict[str, Array] = {}
    answers: dict[str, ExpectedPrompt] = {}
    with torch.inference_mode():
        pixels = _normalised(tiles, model)
        for name, ids in prompts.items():
            inputs: dict[str, Any] = {"pixel_values": torch.from_numpy(pixels)}
            if name == "text":
                inputs = {}
            taps = _Taps(reference) if name == "image" else None
            output = reference(input_ids=torch.tensor([ids]), **inputs)
            if taps is not None:
                stages = taps.finish()
            logits[name] = output.logits[0, -1].numpy()
            answers[name] = _greedy(reference, ids, inputs, model)
    return Expected(
        source=f"transformers, {folder}", tiles=tiles, stages=stages, logits=logits, prompts=answers
    )


def _check_layout(folder: Path) -> None:
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise FileNotFoundError(
            f"[verify] expected a checkpoint folder with config.json; found none at '{folder}'; "
            "give the folder of an -hf checkpoint"
        )
    config = read_json(config_path)
    if str(config.get("model_type")) not in HF_MODELS:
        raise ModelFileError(
            "[verify] expected a checkpoint in the -hf layout, which transformers runs itself; "
            f"found '{folder}' in the layout of '{config.get('model_type')}', whose code comes "
            "with the checkpoint and is not run here; give the -hf twin of the checkpoint, or "
            "compare with --golden"
        )


class _Taps:
    """Keeps the outputs of modules under the names of our stages."""

    def __init__(self, reference: Any) -> None:
        parts = reference.model
        self._stages: dict[str, Array] = {}
        self._handles: list[Any] = []
        tower = parts.vision_tower
        self._keep(tower.embeddings, "vis_patch_embed")
        for i, layer in enumerate(
            tower.encoder.layer if hasattr(tower, "encoder") else tower.layers
        ):
            self._keep(layer, f"vis_layer_{i}")
        self._keep(parts.multi_modal_projector, "vis_proj_output")
        self._keep_input(parts.language_model.layers[0], "llm_embed")
        for i, layer in enumerate(parts.language_model.layers):
            self._keep(layer, f"llm_layer_{i}")
        self._keep(parts.language_model.norm, "llm_final_norm")

    def finish(self) -> dict[str, Array]:
        for handle in self._handles:
            handle.remove()
        return self._stages

    def _store(self, name: str, value: Any) -> None:
        tensor = value[0] if isinstance(value, tuple) else value
        array = tensor.detach().float().numpy()
        self._stages[name] = array.reshape(-1, *array.shape[-2:])

    def _keep(self, module: Any, name: str) -> None:
        def hook(_: Any, __: Any, output: Any) -> None:
            self._store(name, output)

        self._handles.append(module.register_forward_hook(hook))

    def _keep_input(self, module: Any, name: str) -> None:
        def hook(_: Any, args: Any, kwargs: Any) -> None:
            self._store(name, args[0] if args else kwargs["hidden_states"])

        register: Callable[..., Any] = module.register_forward_pre_hook
        self._handles.append(register(hook, with_kwargs=True))


def _greedy(reference: Any, ids: list[int], inputs: dict[str, Any], model: Model) -> ExpectedPrompt:
    import torch

    sequence, found, margins = list(ids), [], []
    for _ in range(_N_TOKENS):
        scores = reference(input_ids=torch.tensor([sequence]), **inputs).logits[0, -1]
        best = torch.topk(torch.log_softmax(scores.double(), dim=-1), 2)
        found.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
        sequence.append(found[-1])
    return ExpectedPrompt(
        prompt_ids=ids, greedy_ids=found, margins=margins, text=model.detokenize(found)
    )


def _synthetic_tiles(tile_px: int) -> Any:
    """A page-like tile: dark strokes on light ground, the same each time."""
    generator = np.random.default_rng(7)
    tile = np.full((1, tile_px, tile_px, 3), 245, np.uint8)
    for y in range(tile_px // 16, tile_px, tile_px // 8):
        strokes = generator.integers(0, 2, tile_px // 4).repeat(4)
        tile[0, y : y + max(tile_px // 32, 1), : len(strokes)][:, strokes == 1] = 30
    return tile


def _normalised(tiles: Any, model: Model) -> Any:
    vision = model.config.vision
    mean, std = (np.asarray(values, np.float32) for values in (vision.mean, vision.std))
    scaled = (tiles.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
