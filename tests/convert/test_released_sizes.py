"""Every released size, from its config alone: names, shapes, types, parameters."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from crispvl._core import GgufFile
from crispvl.convert import convert_header
from crispvl.plan import plan_model
from crispvl.quantize.assign import assign
from crispvl.quantize.recipes import RECIPES
from crispvl.quantize.roles import source_tensors
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader
from tiny.chat_config import chat_config

TABLE = json.loads(
    (Path(__file__).parents[1] / "data" / "released_configs.json").read_text("utf-8")
)

ZOO = (Path(__file__).parents[2] / "models" / "README.md").read_text("utf-8")

# Rotary scaling and trained length that these models' configs share.
SHARED_TEXT = {
    "max_position_embeddings": 32768,
    "rope_scaling": {"factor": 2.0, "type": "dynamic"},
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}

ARCHITECTURES = {
    "internlm3": "llama",
    "mistral": "llama",
    "qwen3_moe": "qwen3moe",
    "gpt_oss": "gpt-oss",
}

Shapes = dict[str, tuple[int, ...]]


class HeaderReader(GGUFReader):  # type: ignore[misc]
    """Reads a file that ends where the tensors' bytes would begin."""

    def _build_tensors(self, start_offs: int, fields: list[Any]) -> None:
        self.shapes: Shapes = {}
        self.types: dict[str, Type] = {}
        for field in fields:
            _, name, _, dims, kind, _ = field.parts
            text = bytes(name).decode()
            self.shapes[text] = tuple(int(d) for d in reversed(dims))
            self.types[text] = Type(int(kind[0]))


def config_of(model: dict[str, Any]) -> dict[str, Any]:
    vision = {"image_size": 448, "patch_size": 14, "layer_norm_eps": 1e-6, "hidden_act": "gelu"}
    return chat_config(
        vision | TABLE["vision"][model["vision"]],
        SHARED_TEXT | TABLE["text"][model["text"]],
        template=model.get("template", "internvl2_5"),
        **model.get("config", {}),
    )


def expected_shapes(model: dict[str, Any]) -> Shapes:
    """The tensors that the architecture has, written out once more and apart from the converter."""
    v, t = TABLE["vision"][model["vision"]], TABLE["text"][model["text"]]
    w, m, d = v["hidden_size"], v["intermediate_size"], t["hidden_size"]
    head = t.get("head_dim", d // t["num_attention_heads"])
    q, kv = t["num_attention_heads"] * head, t["num_key_value_heads"] * head
    layer_norm, qk_norm, qkv_bias = (
        v["norm_type"] == "layer_norm",
        v["qk_normalization"],
        v["qkv_bias"],
    )
    shapes: Shapes = {
        "v.class_embd": (w,),
        "v.position_embd.weight": (1025, w),
        "v.patch_embd.weight": (w, 3, 14, 14),
        "v.patch_embd.bias": (w,),
        "mm.model.mlp.0.weight": (4 * w,),
        "mm.model.mlp.0.bias": (4 * w,),
        "mm.model.mlp.1.weight": (d, 4 * w),
        "mm.model.mlp.1.bias": (d,),
        "mm.model.mlp.3.weight": (d, d),
        "mm.model.mlp.3.bias": (d,),
        "token_embd.weight": (t["vocab_size"], d),
        "output_norm.weight": (d,),
        "output.weight": (t["vocab_size"], d),
    }
    for i in range(v["num_hidden_layers"]):
        block: Shapes = {"ls1.weight": (w,), "ls2.weight": (w,)}
        for norm in ("ln1", "ln2"):
            block |= {f"{norm}.weight": (w,)} | ({f"{norm}.bias": (w,)} if layer_norm else {})
        for part in ("attn_q", "attn_k", "attn_v"):
            block |= {f"{part}.weight": (w, w)} | ({f"{part}.bias": (w,)} if qkv_bias else {})
        if qk_norm:
            block |= {"attn_q_norm.weight": (w,), "attn_k_norm.weight": (w,)}
        block |= {"attn_out.weight": (w, w), "attn_out.bias": (w,)}
        block |= {"ffn_up.weight": (m, w), "ffn_up.bias": (m,)}
        block |= {"ffn_down.weight": (w, m), "ffn_down.bias": (w,)}
        shapes |= {f"v.blk.{i}.{name}": shape for name, shape in block.items()}
    family = t["model_type"]
    for i in range(t["num_hidden_layers"]):
        norm = "post_attention_norm" if family == "gpt_oss" else "ffn_norm"
        block = {"attn_norm.weight": (d,), f"{norm}.weight": (d,), "attn_output.weight": (d, q)}
        rows = {"attn_q": q, "attn_k": kv, "attn_v": kv}
        for part, n_rows in ({"attn_qkv": q + 2 * kv} if family == "phi3" else rows).items():
            block[f"{part}.weight"] = (n_rows, d)
            if family in ("qwen2", "gpt_oss"):
                block[f"{part}.bias"] = (n_rows,)
        if family in ("qwen3", "qwen3_moe"):
            block |= {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
        if family == "gpt_oss":
            block |= {"attn_output.bias": (d,), "attn_sinks.weight": (t["num_attention_heads"],)}
        block |= expected_mlp(t)
        shapes |= {f"blk.{i}.{name}": shape for name, shape in block.items()}
    if family == "phi3":
        shapes |= {f"rope_factors_{kind}.weight": (head // 2,) for kind in ("short", "long")}
    if model.get("config", {}).get("flash_mode"):
        shapes |= expected_router(w, d)
    return shapes


def expected_mlp(t: dict[str, Any]) -> Shapes:
    d, f = t["hidden_size"], t["intermediate_size"]
    if t["model_type"] == "phi3":
        return {"ffn_up.weight": (2 * f, d), "ffn_down.weight": (d, f)}
    if t["model_type"] not in ("qwen3_moe", "gpt_oss"):
        return {"ffn_gate.weight": (f, d), "ffn_up.weight": (f, d), "ffn_down.weight": (d, f)}
    n, f = t.get("num_experts") or t["num_local_experts"], t.get("moe_intermediate_size", f)
    block: Shapes = {"ffn_gate_inp.weight": (n, d), "ffn_down_exps.weight": (n, d, f)}
    block |= {"ffn_gate_exps.weight": (n, f, d), "ffn_up_exps.weight": (n, f, d)}
    if t["model_type"] == "gpt_oss":
        block |= {"ffn_gate_inp.bias": (n,), "ffn_down_exps.bias": (n, d)}
        block |= {"ffn_gate_exps.bias": (n, f), "ffn_up_exps.bias": (n, f)}
    return block


def expected_router(w: int, d: int) -> Shapes:
    """InternVL3.5-Flash's second projector and router; the published code builds them so."""

    def linear(name: str, n_out: int, n_in: int) -> Shapes:
        return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}

    def norm(name: str, n: int) -> Shapes:
        return {f"{name}.weight": (n,), f"{name}.bias": (n,)}

    shapes = norm("mm.small.mlp.0", 16 * w) | linear("mm.small.mlp.1", 2 * d, 16 * w)
    shapes |= linear("mm.small.mlp.4", 2 * d, 2 * d) | linear("mm.small.mlp.7", d, 2 * d)
    shapes |= {"mm.router.query.weight": (w,)} | norm("mm.router.norm", w)
    shapes |= linear("mm.router.out", 2, w)
    for i in range(2):
        for part in ("q", "k", "v", "out"):
            shapes |= linear(f"mm.router.pool.{i}.attn_{part}", w, w)
        shapes |= norm(f"mm.router.pool_norm.{i}", w)
    for i in range(4):
        block = f"mm.router.mlp.{i}"
        shapes |= linear(f"{block}.up", 4 * w, w) | linear(f"{block}.down", w, 4 * w)
        shapes |= norm(f"{block}.norm", w)
    return shapes


@pytest.mark.parametrize("model", TABLE["models"], ids=[m["name"] for m in TABLE["models"]])
def test_header_has_the_tensors_of_the_released_size(model: dict[str, Any], tmp_path: Path) -> None:
    convert_header(config_of(model), tmp_path / "header.gguf", "q8_0")
    header = HeaderReader(tmp_path / "header.gguf")
    assert header.shapes == expected_shapes(model)
    n_parameters = sum(math.prod(shape) for shape in header.shapes.values())
    assert round(n_parameters / 1e9, 1) == model["parameters_b"]
    # Every matrix of every released size fits the blocks of q8_0; a router stays as it is.
    precise = ("position", "ffn_gate_inp", "bias")
    matrices = {
        name
        for name, shape in header.shapes.items()
        if len(shape) in (2, 3) and not any(part in name for part in precise)
    }
    assert {header.types[name] for name in matrices} == {Type.Q8_0}


@pytest.mark.parametrize("model", TABLE["models"], ids=[m["name"] for m in TABLE["models"]])
def test_the_header_is_enough_to_plan_memory(model: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "header.gguf"
    convert_header(config_of(model), path)
    plan = plan_model(path, device="cpu", max_tiles=1)
    host = plan.devices[-1]
    n_bytes = sum(tensor["n_bytes"] for tensor in GgufFile(str(path)).tensors)
    assert host.weights == pytest.approx(n_bytes, rel=0.01)
    t = TABLE["text"][model["text"]]
    d_head = t.get("head_dim", t["hidden_size"] // t["num_attention_heads"])
    per_position = 2 * 2 * t["num_hidden_layers"] * t["num_key_value_heads"] * d_head
    assert host.kv_cache == per_position * plan.n_ctx


@pytest.mark.parametrize("model", TABLE["models"], ids=[m["name"] for m in TABLE["models"]])
def test_header_says_what_the_config_says(model: dict[str, Any], tmp_path: Path) -> None:
    convert_header(config_of(model), tmp_path / "header.gguf")
    fields = HeaderReader(tmp_path / "header.gguf").fields
    keys = {name: field.contents() for name, field in fields.items()}
    text = TABLE["text"][model["text"]]
    arch = ARCHITECTURES.get(text["model_type"], text["model_type"])
    assert keys["general.architecture"] == arch
    assert keys[f"{arch}.block_count"] == text["num_hidden_layers"]
    assert keys[f"{arch}.rope.freq_base"] == text["rope_theta"]
    assert keys[f"{arch}.attention.head_count_kv"] == text["num_key_value_heads"]
    assert keys[f"{arch}.attention.key_length"] == text.get(
        "head_dim", text["hidden_size"] // text["num_attention_heads"]
    )
    if "rope_scaling" not in text:
        assert keys[f"{arch}.context_length"] == 65536
        assert keys["crispvl.decoder.rope.scaling.original_context_length"] == 32768
    assert keys["crispvl.decoder.tied_head"] is False
    assert keys["clip.vision.projection_dim"] == text["hidden_size"]


@pytest.mark.parametrize("model", TABLE["models"], ids=[m["name"] for m in TABLE["models"]])
def test_the_zoo_tells_the_size_in_every_type_and_the_command(
    model: dict[str, Any], tmp_path: Path
) -> None:
    name = model["name"].removesuffix(", InternLM3 row")
    header = tmp_path / "header.gguf"
    convert_header(config_of(model), header, "bf16")
    tensors = source_tensors(GgufFile(str(header)).tensors)
    heads, shown = (
        [cell.strip() for cell in re.search(rf"^\| {row} \|(.*)\|$", ZOO, re.M)[1].split("|")]  # type: ignore[index]
        for row in ("model", re.escape(name.replace("_", ".")))
    )
    sizes = dict(zip(heads, shown, strict=True))
    assert sizes.pop("parameters") == f"{model['parameters_b']} B"
    for kind in heads[3:]:
        chosen = assign(tensors, RECIPES[kind.split(",")[0]])
        assert sizes[kind] == f"{sum(tensor.n_bytes for tensor in chosen) / 1e9:.1f}", kind
    owner = model.get("owner", "OpenGVLab")
    assert f"--model {owner}/{name} --output {name.lower()}.gguf --dtype bf16\n" in ZOO


@pytest.mark.parametrize(("size_gb", "name"), re.findall(r"([\d.]+) GB for (\S+)-AWQ", ZOO))
def test_the_zoo_tells_the_size_of_awq(size_gb: str, name: str, tmp_path: Path) -> None:
    (model,) = (m for m in TABLE["models"] if m["name"] == name.replace(".5", "_5"))
    packing = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}
    convert_header(config_of(model) | {"quantization_config": packing}, tmp_path / "header.gguf")
    tensors = GgufFile(str(tmp_path / "header.gguf")).tensors
    assert size_gb == f"{sum(tensor['n_bytes'] for tensor in tensors) / 1e9:.1f}"
    assert f"--model OpenGVLab/{model['name']}-AWQ --output" in ZOO
