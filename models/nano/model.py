"""The nano model: its shape, its prompt, and a lean forward pass for training on a CPU.

Weights live in transformers' ``InternVLForConditionalGeneration``, so a checkpoint is the ``-hf``
layout by construction. The forward pass here is the same arithmetic written for speed: one matrix
product for q, k and v, and plain softmax attention, which beats the fused kernels on a CPU at these
lengths. ``evaluate.py --check`` compares the two.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import InternVLConfig, InternVLForConditionalGeneration

from corpus import N_CLASSES
from synth import CELLS, N_SLOTS, PATCHES
from tiling import MAX_TILES, TILE_PX

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
END_OF_TEXT, IM_START, IM_END, IMG, END_IMG, IMG_CONTEXT = range(256, 262)
VOCAB_SIZE = 264  # 256 bytes and the special tokens, padded to a multiple of 8
TOKENS_PER_TILE = CELLS * CELLS
PATCH_PX = TILE_PX // PATCHES
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

MAX_POSITIONS = 4096  # a page of six tiles in the smallest print takes 3000
MAX_ANSWER = 2560
# Heads (layer, head) that are taught where to look: at the image token of the character just
# written; at the answer's token that began the line; and, knowing both, at the next character's
LAST_HEADS, LINE_HEADS = ((1, 2), (3, 0)), ((2, 0), (4, 2))
NEXT_HEADS = (3, 2), (4, 0), (5, 3)

Cache = list[tuple[Tensor, Tensor]]


class Looks(NamedTuple):
    """What training supervises of one layer."""

    image: Tensor  # attention of the answer's tokens [n, heads, length, n_tokens]
    answer: Tensor  # the same to the answer's tokens but its last [n, heads, length, length - 1]
    states: Tensor  # the layer's output at the image tokens [n, n_tokens, width]


def text_ids(text: str) -> list[int]:
    """Token ids of plain text: its UTF-8 bytes."""
    return list(text.encode())


BEFORE_IMAGE = [IM_START, *text_ids("user\n"), IMG]


def after_image(prompt: str) -> list[int]:
    """Token ids between the image and the answer."""
    asked = [END_IMG, *text_ids("\n" + prompt), IM_END]
    return [*asked, *text_ids("\n"), IM_START, *text_ids("assistant\n")]


def config() -> InternVLConfig:
    """The nano's shape: 10.1 M parameters."""
    width = 256
    vision = {
        "hidden_size": width,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 4 * width,
        "attention_bias": True,
        "image_size": [TILE_PX, TILE_PX],
        "patch_size": [PATCH_PX, PATCH_PX],
        "layer_scale_init_value": 1.0,
        "initializer_range": 0.02,
    }
    text = {
        "model_type": "qwen2",
        "hidden_size": width,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 3 * width,
        "vocab_size": VOCAB_SIZE,
        "max_position_embeddings": MAX_POSITIONS,
        "bos_token_id": None,
        "eos_token_id": IM_END,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    return InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=IMG_CONTEXT,
        downsample_ratio=0.5,
        tie_word_embeddings=True,
    )


class Nano(nn.Module):
    """The model and the heads that supervise its image tokens densely in training."""

    def __init__(self, compiled: bool = False) -> None:
        """Args: compiled: Whether the layers are compiled, which pays in training only."""
        super().__init__()
        self.vision_layer, self.text_layer = vision_layer, text_layer
        if compiled:
            self.vision_layer = torch.compile(vision_layer, dynamic=True)
            self.text_layer = torch.compile(text_layer, dynamic=True)
        self.vlm = InternVLForConditionalGeneration(config())
        width = self.vlm.config.text_config.hidden_size
        self.patch_head = nn.Linear(width, N_CLASSES)
        self.slot_head = nn.Linear(width, N_SLOTS * N_CLASSES)
        self.tile_head = nn.Linear(width, MAX_TILES + 1)
        self.register_buffer("mean", 255 * torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD), persistent=False)

    def heads(self) -> list[tuple[str, nn.Module]]:
        """The heads that only training needs, by name."""
        return [("patch", self.patch_head), ("slot", self.slot_head), ("tile", self.tile_head)]

    def encode(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Runs the encoder and the projector.

        Args:
            tiles: uint8 ``[n_tiles, TILE_PX, TILE_PX, 3]``.

        Returns:
            Patch states ``[n_tiles, PATCHES², width]`` and image tokens
            ``[n_tiles, TOKENS_PER_TILE, width]``.
        """
        tower, n = self.vlm.model.vision_tower, len(tiles)
        x = (tiles.float() - self.mean) / self.std
        x = x.view(n, PATCHES, PATCH_PX, PATCHES, PATCH_PX, 3).permute(0, 1, 3, 5, 2, 4)
        stem = tower.embeddings.patch_embeddings.projection
        x = F.linear(x.reshape(n, PATCHES**2, -1), stem.weight.flatten(1), stem.bias)
        x = torch.cat([tower.embeddings.cls_token.expand(n, -1, -1).to(x.dtype), x], 1)
        x = x + tower.embeddings.position_embeddings
        for layer in tower.encoder.layer:
            x = self.vision_layer(layer, x)
        patches = tower.layernorm(x)[:, 1:]
        grid = patches.reshape(n, PATCHES, PATCHES, -1)
        cells = self.vlm.model.pixel_shuffle(grid, scale_factor=0.5)
        return patches, self.vlm.model.multi_modal_projector(cells.reshape(n, TOKENS_PER_TILE, -1))

    def prompt(self, image_tokens: Tensor, text: str) -> Tensor:
        """Embeds a prompt around the image tokens ``[n, n_tokens, width]`` of each page."""
        embed = self.vlm.get_input_embeddings()
        device, n = image_tokens.device, len(image_tokens)
        before, after = (
            embed(torch.tensor(ids, device=device)).expand(n, -1, -1)
            for ids in (BEFORE_IMAGE, after_image(text))
        )
        return torch.cat([before, image_tokens.to(before.dtype), after], 1)

    def logits(self, image_tokens: Tensor, text: str, ids: Tensor) -> tuple[Tensor, list[Looks]]:
        """Logits of each of the answer's tokens given those before it, and where it looks for them.

        Args:
            image_tokens: ``[n, n_tokens, width]``.
            text: The prompt.
            ids: Answer ids ``[n, length]``; what follows the end token is arbitrary.

        Returns:
            Logits ``[n, length, VOCAB_SIZE]`` and of each layer what training supervises.
        """
        prompt = self.prompt(image_tokens, text)
        answer = self.vlm.get_input_embeddings()(ids[:, :-1])
        first = prompt.shape[1] - 1
        image = slice(len(BEFORE_IMAGE), len(BEFORE_IMAGE) + image_tokens.shape[1])
        x, _, traces = self.decode(torch.cat([prompt, answer], 1), first=first)
        looks = [
            Looks(attention[..., image], attention[..., first + 1 :], states[:, image])
            for attention, states in traces
        ]
        return self.vlm.lm_head(x[:, first:]), looks

    def decode(
        self, x: Tensor, cache: Cache | None = None, first: int = 0
    ) -> tuple[Tensor, Cache, list[tuple[Tensor, Tensor]]]:
        """Runs the decoder over embeddings ``[n, length, width]`` that follow the cache.

        Returns:
            Its outputs, the grown cache, and of each layer the attention
            ``[n, heads, length - first, total]`` of the places from ``first`` on and the output.
        """
        decoder = self.vlm.model.language_model
        start = cache[0][0].shape[2] if cache else 0
        positions = torch.arange(start, start + x.shape[1], device=x.device)[None]
        cos, sin = decoder.rotary_emb(x.float(), positions)
        grown: Cache = []
        traces: list[tuple[Tensor, Tensor]] = []
        for i, layer in enumerate(decoder.layers):
            past = cache[i] if cache else None
            x, keys_values, weights = self.text_layer(layer, x, cos[0], sin[0], past, first)
            grown.append(keys_values)
            traces.append((weights, x))
        return decoder.norm(x), grown, traces

    @torch.inference_mode()
    def read(
        self, tiles: Tensor, text: str = "OCR", max_tokens: int = MAX_ANSWER
    ) -> list[tuple[bytes, list[float]]]:
        """Reads pages greedily.

        Args:
            tiles: uint8 ``[n, n_tiles, TILE_PX, TILE_PX, 3]``.
            text: The prompt.
            max_tokens: Most tokens to write.

        Returns:
            Per page the bytes written and the log-probability of every token, the end included.
        """
        n = len(tiles)
        _, tokens = self.encode(tiles.flatten(0, 1))
        x, cache, _ = self.decode(self.prompt(tokens.reshape(n, -1, tokens.shape[-1]), text))
        written: list[list[int]] = [[] for _ in range(n)]
        scores: list[list[float]] = [[] for _ in range(n)]
        running = set(range(n))
        for _ in range(max_tokens):
            top = self.vlm.lm_head(x[:, -1]).float().log_softmax(-1).max(-1)
            for i in sorted(running):
                scores[i].append(float(top.values[i]))
                if int(top.indices[i]) == IM_END:
                    running.discard(i)
                else:
                    written[i].append(int(top.indices[i]))
            if not running:
                break
            x, cache, _ = self.decode(self.vlm.get_input_embeddings()(top.indices)[:, None], cache)
        texts = [bytes(t for t in ids if t < 256) for ids in written]
        return list(zip(texts, scores, strict=True))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Softmax attention over ``[n, heads, length, d_head]``, and its weights."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    weights = scores.softmax(-1).to(v.dtype)
    return weights @ v, weights


def attend_causally(q: Tensor, k: Tensor, v: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Causal attention, and its weights from place ``first`` on.

    The places before it are apart, which saves their products with what follows them.
    """
    before = [t[:, :, :first] for t in (q, k, v)] if first else None
    length, total = q.shape[2] - first, k.shape[2]
    mixed, weights = attend(q[:, :, first:], k, v, future(length, total, q) if length > 1 else None)
    if before:
        mixed = torch.cat([attend(*before, future(first, first, q))[0], mixed], 2)
    return mixed, weights


def future(length: int, total: int, like: Tensor) -> Tensor:
    """Mask ``[length, total]`` of what comes after each of the last ``length`` places."""
    mask = torch.full((length, total), float("-inf"), device=like.device, dtype=like.dtype)
    return mask.triu(total - length + 1)


def joined(x: Tensor, *layers: nn.Linear) -> Tensor:
    """Several linear layers of one input as one product."""
    weight = torch.cat([layer.weight for layer in layers])
    bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
    return F.linear(x, weight, bias)


def scaled(layer: nn.Linear, scale: Tensor, x: Tensor) -> Tensor:
    """A linear layer whose outputs are scaled; scaling its weights is cheaper."""
    return F.linear(x, layer.weight * scale[:, None], layer.bias * scale)


def vision_layer(layer: nn.Module, x: Tensor) -> Tensor:
    """One InternViT layer over ``[n, length, width]``."""
    n, length, width = x.shape
    a = layer.attention
    qkv = joined(layer.layernorm_before(x), a.q_proj, a.k_proj, a.v_proj)
    q, k, v = qkv.view(n, length, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4)
    mixed, _ = attend(q, k, v)
    mixed = mixed.transpose(1, 2).reshape(n, length, width)
    x = x + scaled(a.projection_layer, layer.lambda_1, mixed)
    hidden = F.gelu(layer.mlp.fc1(layer.layernorm_after(x)))
    return x + scaled(layer.mlp.fc2, layer.lambda_2, hidden)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE over ``[n, heads, length, d_head]``, halves rotated as in the reference."""
    one, two = x.chunk(2, -1)
    return x * cos.to(x.dtype) + torch.cat([-two, one], -1) * sin.to(x.dtype)


def text_layer(
    layer: nn.Module,
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    past: tuple[Tensor, Tensor] | None,
    first: int,
) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """One Qwen2 layer; returns its output, its keys and values so far, and its attention."""
    n, length, _ = x.shape
    a, d = layer.self_attn, layer.self_attn.head_dim
    qkv = joined(layer.input_layernorm(x), a.q_proj, a.k_proj, a.v_proj)
    qkv = qkv.view(n, length, -1, d).transpose(1, 2)
    n_kv = a.k_proj.out_features // d
    q, k, v = qkv.split([qkv.shape[1] - 2 * n_kv, n_kv, n_kv], 1)
    q, k = rotated(q, cos, sin), rotated(k, cos, sin)
    if past is not None:
        k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
    repeat = q.shape[1] // n_kv
    k_all, v_all = (t.repeat_interleave(repeat, 1) for t in (k, v))
    mixed, weights = attend_causally(q, k_all, v_all, first)
    x = x + a.o_proj(mixed.transpose(1, 2).reshape(n, length, -1))
    m = layer.mlp
    gate, up = joined(layer.post_attention_layernorm(x), m.gate_proj, m.up_proj).chunk(2, -1)
    return x + m.down_proj(F.silu(gate) * up), (k, v), weights
