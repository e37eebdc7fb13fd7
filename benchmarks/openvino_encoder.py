"""InternViT-300M and its projector as an OpenVINO graph, made op by op from a projector file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as ops

Weights = Mapping[str, NDArray[np.float32]]


def read_projector(path: str | Path) -> tuple[Weights, dict[str, float]]:
    """The tensors of an mmproj file as float32, and its numbers by their keys.

    Raises:
        SystemExit: Another encoder than InternViT-300M's kind.
    """
    reader = gguf.GGUFReader(path)
    weights = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    if "v.blk.0.ln1.bias" not in weights or "v.blk.0.attn_q_norm.weight" in weights:
        raise SystemExit("[openvino] an encoder like InternViT-300M is expected; give its mmproj")
    numbers = {}
    for name, field in reader.fields.items():
        value = field.contents()
        if name.startswith("clip.vision.") and isinstance(value, int | float):
            numbers[name.removeprefix("clip.vision.")] = float(value)
    return weights, numbers


class Encoder:
    """Builds the graph.

    Args:
        path: The mmproj file.
        int8_weights: Whether matrices are constants of 8 bits with a scale for each output, which
            the CPU plugin widens as it multiplies.
    """

    def __init__(self, path: str | Path, *, int8_weights: bool = False) -> None:
        self._weights, numbers = read_projector(path)
        self._int8 = int8_weights
        self._n_heads = int(numbers["attention.head_count"])
        self._n_layers = int(numbers["block_count"])
        self._epsilon = numbers["attention.layer_norm_epsilon"]
        self._tile_px, self._patch_px = int(numbers["image_size"]), int(numbers["patch_size"])
        self._unshuffle = int(numbers["projector.scale_factor"])
        self._mean_std = gguf_arrays(path, "clip.vision.image_mean", "clip.vision.image_std")

    def model(self) -> ov.Model:
        """From uint8 ``[n, px, px, 3]`` to float32 ``[n, tokens, width]``."""
        px = self._tile_px
        tiles = ops.parameter([-1, px, px, 3], np.uint8, name="tiles")
        x = self._embed(tiles)
        for i in range(self._n_layers):
            x = self._block(x, f"v.blk.{i}")
        return ov.Model([self._project(x)], [tiles], "encoder")

    def _embed(self, tiles: ov.Node) -> ov.Node:
        mean, std = self._mean_std
        x = ops.convert(tiles, np.float32)
        x = ops.multiply(ops.subtract(x, _f32(255 * mean)), _f32(1 / (255 * std)))
        x = ops.transpose(x, [0, 3, 1, 2])
        w, step = self._weights, [self._patch_px] * 2
        kernel = w["v.patch_embd.weight"]
        x = ops.convolution(x, _f32(kernel), step, [0, 0], [0, 0], [1, 1])
        x = ops.reshape(x, [0, len(kernel), -1], special_zero=True)
        x = ops.add(ops.transpose(x, [0, 2, 1]), _f32(w["v.patch_embd.bias"]))
        position = w["v.position_embd.weight"].reshape(1, -1, len(kernel))
        x = ops.add(x, _f32(position[:, 1:]))
        first = _f32(w["v.class_embd"].reshape(1, 1, -1) + position[:, :1])
        n = ops.gather(ops.shape_of(x), _i64([0]), _i64(0))
        shape = ops.concat([n, _i64([1, len(kernel)])], 0)
        return ops.concat([ops.broadcast(first, shape), x], 1)

    def _block(self, x: ov.Node, name: str) -> ov.Node:
        y = self._attention(self._norm(x, f"{name}.ln1", self._epsilon), name)
        x = ops.add(x, ops.multiply(y, _f32(self._weights[f"{name}.ls1.weight"])))
        y = self._norm(x, f"{name}.ln2", self._epsilon)
        y = self._linear(ops.gelu(self._linear(y, f"{name}.ffn_up"), "erf"), f"{name}.ffn_down")
        return ops.add(x, ops.multiply(y, _f32(self._weights[f"{name}.ls2.weight"])))

    def _attention(self, x: ov.Node, name: str) -> ov.Node:
        def heads(part: str) -> ov.Node:
            y = self._linear(x, f"{name}.attn_{part}")
            y = ops.reshape(y, [0, 0, self._n_heads, -1], special_zero=True)
            return ops.transpose(y, [0, 2, 1, 3])

        y = ops.scaled_dot_product_attention(heads("q"), heads("k"), heads("v"))
        y = ops.reshape(ops.transpose(y, [0, 2, 1, 3]), [0, 0, -1], special_zero=True)
        return self._linear(y, f"{name}.attn_out")

    def _project(self, x: ov.Node) -> ov.Node:
        """Leaves the class token out, puts each square of patches into one token, and projects."""
        grid, n = self._tile_px // self._patch_px, self._unshuffle
        width = self._weights["v.class_embd"].size
        x = ops.slice(x, _i64([1]), _i64([1 + grid * grid]), _i64([1]), _i64([1]))
        x = ops.reshape(x, [-1, grid, grid // n, width * n], special_zero=False)
        x = ops.transpose(x, [0, 2, 1, 3])
        x = ops.reshape(x, [-1, grid // n, grid // n, width * n * n], special_zero=False)
        x = ops.transpose(x, [0, 2, 1, 3])
        x = ops.reshape(x, [-1, (grid // n) ** 2, width * n * n], special_zero=False)
        x = self._norm(x, "mm.model.mlp.0", 1e-5)
        x = ops.gelu(self._linear(x, "mm.model.mlp.1"), "erf")
        return self._linear(x, "mm.model.mlp.3")

    def _norm(self, x: ov.Node, name: str, epsilon: float) -> ov.Node:
        x = ops.mvn(x, _i64([-1]), True, epsilon, "inside_sqrt")
        x = ops.multiply(x, _f32(self._weights[f"{name}.weight"]))
        return ops.add(x, _f32(self._weights[f"{name}.bias"]))

    def _linear(self, x: ov.Node, name: str) -> ov.Node:
        weight = self._weights[f"{name}.weight"]
        x = ops.matmul(x, _int8(weight) if self._int8 else _f32(weight), False, True)
        bias = self._weights.get(f"{name}.bias")
        return x if bias is None else ops.add(x, _f32(bias))


def gguf_arrays(path: str | Path, *keys: str) -> list[NDArray[np.float32]]:
    """Arrays of numbers by their keys."""
    fields = gguf.GGUFReader(path).fields
    return [np.array(fields[key].contents(), np.float32) for key in keys]


def _f32(values: NDArray[np.float32]) -> ov.Node:
    return ops.constant(np.ascontiguousarray(values, np.float32))


def _i64(values: list[int] | int) -> ov.Node:
    return ops.constant(np.array(values, np.int64))


def _int8(weight: NDArray[np.float32]) -> ov.Node:
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True), 1e-12) / 127
    codes = ops.constant(np.rint(weight / scale).astype(np.int8))
    return ops.multiply(ops.convert(codes, np.float32), _f32(scale))
