"""Which tensors a file holds, their shapes, and that no value changes on the way."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from crispvl.convert import convert_checkpoint
from gguf import GGUFReader
from numpy.typing import NDArray
from reference import load_checkpoint
from tiny import ROWS, Row, make_checkpoint
from tiny.rows import row

Arrays = dict[str, NDArray[np.float32]]


def read_tensors(path: Path) -> Arrays:
    """Tensors of a float32 file in numpy order."""
    return {
        t.name: np.array(t.data, np.float32).reshape(t.shape[::-1])
        for t in GGUFReader(path).tensors
    }


def converted(tiny_row: Row, folder: Path, layout: str = "single") -> tuple[Path, Arrays]:
    """The checkpoint of a row, and the tensors of its float32 file or pair."""
    checkpoint = make_checkpoint(tiny_row, folder / "checkpoint")
    report = convert_checkpoint(checkpoint, folder / "model.gguf", "f32", layout)
    tensors: Arrays = {}
    for path in report.files:
        tensors |= read_tensors(path)
    return checkpoint, tensors


# The names llama.cpp reads, with shapes in numpy order, for the sizes of the tiny models: width
# 64, MLP 96, 17 positions, 352 tokens, 4 heads of 16 with 2 keys.
BASE_TABLE = {
    "v.class_embd": (64,),
    "v.position_embd.weight": (17, 64),
    "v.patch_embd.weight": (64, 3, 14, 14),
    "v.patch_embd.bias": (64,),
    "v.blk.1.ln1.weight": (64,),
    "v.blk.1.ln1.bias": (64,),
    "v.blk.1.attn_q.weight": (64, 64),
    "v.blk.1.attn_q.bias": (64,),
    "v.blk.1.attn_k.weight": (64, 64),
    "v.blk.1.attn_k.bias": (64,),
    "v.blk.1.attn_v.weight": (64, 64),
    "v.blk.1.attn_v.bias": (64,),
    "v.blk.1.attn_out.weight": (64, 64),
    "v.blk.1.attn_out.bias": (64,),
    "v.blk.1.ls1.weight": (64,),
    "v.blk.1.ln2.weight": (64,),
    "v.blk.1.ln2.bias": (64,),
    "v.blk.1.ffn_up.weight": (96, 64),
    "v.blk.1.ffn_up.bias": (96,),
    "v.blk.1.ffn_down.weight": (64, 96),
    "v.blk.1.ffn_down.bias": (64,),
    "v.blk.1.ls2.weight": (64,),
    "mm.model.mlp.0.weight": (256,),
    "mm.model.mlp.0.bias": (256,),
    "mm.model.mlp.1.weight": (64, 256),
    "mm.model.mlp.1.bias": (64,),
    "mm.model.mlp.3.weight": (64, 64),
    "mm.model.mlp.3.bias": (64,),
    "token_embd.weight": (352, 64),
    "blk.1.attn_norm.weight": (64,),
    "blk.1.attn_q.weight": (64, 64),
    "blk.1.attn_q.bias": (64,),
    "blk.1.attn_k.weight": (32, 64),
    "blk.1.attn_k.bias": (32,),
    "blk.1.attn_v.weight": (32, 64),
    "blk.1.attn_v.bias": (32,),
    "blk.1.attn_output.weight": (64, 64),
    "blk.1.ffn_norm.weight": (64,),
    "blk.1.ffn_gate.weight": (96, 64),
    "blk.1.ffn_up.weight": (96, 64),
    "blk.1.ffn_down.weight": (64, 96),
    "output_norm.weight": (64,),
    "output.weight": (352, 64),
}

# What a row has instead: added (with shape) or, as None, missing.
DIFFERENCES: dict[str, dict[str, tuple[int, ...] | None]] = {
    "vision-6b": {
        "v.blk.1.ln1.bias": None,
        "v.blk.1.ln2.bias": None,
        "v.blk.1.attn_q.bias": None,
        "v.blk.1.attn_k.bias": None,
        "v.blk.1.attn_v.bias": None,
        "v.blk.1.attn_q_norm.weight": (64,),
        "v.blk.1.attn_k_norm.weight": (64,),
    },
    "qwen3-hf-tied": {
        "blk.1.attn_q.bias": None,
        "blk.1.attn_k.bias": None,
        "blk.1.attn_v.bias": None,
        "blk.1.attn_q.weight": (128, 64),
        "blk.1.attn_k.weight": (64, 64),
        "blk.1.attn_v.weight": (64, 64),
        "blk.1.attn_output.weight": (64, 128),
        "blk.1.attn_q_norm.weight": (32,),
        "blk.1.attn_k_norm.weight": (32,),
        "output.weight": None,
    },
    "internlm2": {
        "blk.1.attn_q.bias": None,
        "blk.1.attn_k.bias": None,
        "blk.1.attn_v.bias": None,
    },
    "llama-hf-bias": {
        "blk.1.attn_output.bias": (64,),
        "blk.1.ffn_gate.bias": (96,),
        "blk.1.ffn_up.bias": (96,),
        "blk.1.ffn_down.bias": (64,),
    },
}


@pytest.mark.parametrize("name", ["base", "qwen2-hf", "qwen2-hf-prefixed", *DIFFERENCES])
def test_names_and_shapes_are_those_llama_cpp_reads(name: str, tmp_path: Path) -> None:
    table = {k: v for k, v in (BASE_TABLE | DIFFERENCES.get(name, {})).items() if v is not None}
    table |= {k.replace("blk.1.", "blk.0."): v for k, v in table.items()}
    _, tensors = converted(row(name), tmp_path)
    assert {k: v.shape for k, v in tensors.items()} == table


def test_both_layouts_of_the_same_weights_give_the_same_file(tmp_path: Path) -> None:
    _, plain = converted(row("qwen2-hf"), tmp_path / "a")
    _, prefixed = converted(row("qwen2-hf-prefixed"), tmp_path / "b")
    assert plain.keys() == prefixed.keys()
    for name, array in plain.items():
        np.testing.assert_array_equal(array, prefixed[name], name)


# The oracle's name for a tensor of the file; q and k of a permuted family are tested below.
ORACLE_NAMES = {
    "v.class_embd": "vision.class",
    "v.position_embd.weight": "vision.position",
    "v.patch_embd": "vision.patch",
    "mm.model.mlp.0": "projector.norm",
    "mm.model.mlp.1": "projector.fc1",
    "mm.model.mlp.3": "projector.fc2",
    "token_embd": "decoder.embed",
    "output_norm": "decoder.norm",
    "output": "decoder.head",
}
VISION_BLOCK = {
    "ln1": "norm1", "ln2": "norm2", "attn_q": "q", "attn_k": "k", "attn_v": "v",
    "attn_q_norm": "q_norm", "attn_k_norm": "k_norm", "attn_out": "out", "ffn_up": "fc1",
    "ffn_down": "fc2", "ls1": "scale1", "ls2": "scale2",
}  # fmt: skip
TEXT_BLOCK = {
    "attn_norm": "norm1", "ffn_norm": "norm2", "attn_q": "q", "attn_k": "k", "attn_v": "v",
    "attn_q_norm": "q_norm", "attn_k_norm": "k_norm", "attn_output": "out", "ffn_gate": "gate",
    "ffn_up": "up", "ffn_down": "down", "post_attention_norm": "norm2", "ffn_gate_inp": "router",
    "attn_sinks": "sinks",
}  # fmt: skip

ROUTER_NAMES = [
    (r"mm\.small\.mlp\.", "small."),
    (r"mm\.router\.query\.weight", "pool.query_token"),
    (r"mm\.router\.pool\.0\.attn_", "pool.attn1."),
    (r"mm\.router\.pool\.1\.attn_", "pool.attn2."),
    (r"mm\.router\.pool_norm\.0", "pool.norm1"),
    (r"mm\.router\.pool_norm\.1", "pool.norm2"),
    (r"mm\.router\.mlp\.0\.", "gating.block1."),
    (r"mm\.router\.mlp\.1\.", "gating.block2."),
    (r"mm\.router\.mlp\.2\.", "gating.block3."),
    (r"mm\.router\.mlp\.3\.", "gating.block4."),
    (r"mm\.router\.norm", "gating.gate.0"),
    (r"mm\.router\.out", "gating.gate.1"),
]


def oracle_name(name: str) -> str:
    """``v.blk.0.attn_q.weight`` to ``vision.0.q.weight`` and so on."""
    if name in ORACLE_NAMES:
        return ORACLE_NAMES[name]
    for pattern, new in ROUTER_NAMES:
        if re.match(pattern, name):
            return re.sub(pattern, new, name)
    module, _, part = name.rpartition(".")
    if module in ORACLE_NAMES:
        return f"{ORACLE_NAMES[module]}.{part}"
    side, names = ("vision", VISION_BLOCK) if name.startswith("v.") else ("decoder", TEXT_BLOCK)
    i, _, block = module.removeprefix("v.").removeprefix("blk.").partition(".")
    suffix = "" if block.startswith(("ls", "attn_sinks")) else f".{part}"
    return f"{side}.{i}.{names[block]}{suffix}"


def neox_to_neighbours(array: NDArray[np.float64], n_heads: int) -> NDArray[np.float64]:
    """Rows (i, i + d/2) of each head side by side, written as loops: the rule llama.cpp follows."""
    d = len(array) // n_heads
    order = [h * d + i + half * d // 2 for h in range(n_heads) for i in range(d // 2)
             for half in range(2)]  # fmt: skip
    return array[order]


def by_oracle_name(tensors: Arrays, tiny_row: Row) -> Arrays:
    """The file's values as the oracle names them; what the file joins is cut apart."""
    found: Arrays = {}
    for name, array in tensors.items():
        if name.startswith("rope_"):
            continue
        if ".attn_qkv." in name:
            d_q, d_kv = 4 * tiny_row.d_head, tiny_row.n_kv_heads * tiny_row.d_head
            parts = np.split(array, [d_q, d_q + d_kv])
            for part, values in zip("qkv", parts, strict=True):
                found[oracle_name(name.replace("attn_qkv", f"attn_{part}"))] = values
        elif tiny_row.family == "phi3" and re.match(r"blk\.\d+\.ffn_up", name):
            for part, values in zip(("gate", "up"), np.split(array, 2), strict=True):
                found[oracle_name(name.replace("ffn_up", f"ffn_{part}"))] = values
        elif "_exps." in name:
            _, i, module, kind = name.split(".")
            part = module.removeprefix("ffn_").removesuffix("_exps")
            part += "_bias" if kind == "bias" else ""
            for e, values in enumerate(array):
                found[f"decoder.{i}.expert.{e}.{part}"] = values
        else:
            found[oracle_name(name)] = array
    return found


def used_by_oracle(checkpoint: Path) -> Arrays:
    """What the oracle computes with, the router's joined matrices cut apart."""
    loaded = load_checkpoint(checkpoint)
    used: Arrays = {}
    for name, array in loaded.weights.items():
        kind, part = name.split(".")[:2]
        if kind == "vision" and part.isdigit() and int(part) >= loaded.vision.n_layers:
            continue  # later than the layer whose output is taken
        if kind == "pool" and part[-1] in "34":
            continue  # built, and never asked
        if kind == "gating":
            for i, new in (("0", "up"), ("3", "down"), ("5", "norm")):
                name = re.sub(rf"(block\d)\.{i}\.", rf"\1.{new}.", name)
        if "in_proj" in name:
            for x, values in zip("qkv", np.split(array, 3), strict=True):
                used[name.replace("in_proj_", f"{x}.")] = values
        else:
            used[name.replace("out_proj", "out")] = array
    return used


@pytest.mark.parametrize("tiny_row", ROWS, ids=lambda r: r.name)
def test_every_value_arrives(tiny_row: Row, tmp_path: Path) -> None:
    checkpoint, tensors = converted(tiny_row, tmp_path)
    want = used_by_oracle(checkpoint)
    heads = {"q": 4, "k": tiny_row.n_kv_heads}
    permuted = tiny_row.family in ("internlm2", "internlm3", "llama", "mistral")
    arrays = by_oracle_name(tensors, tiny_row)
    assert arrays.keys() == set(want)
    for name, found in arrays.items():
        expected = want[name]
        expected = expected.reshape(found.shape) if "query_token" in name else expected
        part = name.split(".")[-2]
        if permuted and name.startswith("decoder.") and part in heads:
            expected = neox_to_neighbours(expected, heads[part])
        np.testing.assert_array_equal(found, expected.astype(np.float32), name)


def test_pair_holds_the_tensors_of_the_single_file(tmp_path: Path) -> None:
    _, single = converted(row("internlm2"), tmp_path / "single")
    _, pair = converted(row("internlm2"), tmp_path / "pair", "pair")
    assert single.keys() == pair.keys()
    for name, array in single.items():
        np.testing.assert_array_equal(array, pair[name], name)
    vision = {t.name for t in GGUFReader(tmp_path / "pair" / "mmproj-model.gguf").tensors}
    assert vision == {name for name in single if name.startswith(("v.", "mm."))}
