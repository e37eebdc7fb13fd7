"""The tensors of the encoder and its projector, whose modules have names in each layout."""

from __future__ import annotations

from collections.abc import Iterator

from crispvl.convert import rows
from crispvl.convert.config import ProjectorConfig, VisionConfig
from crispvl.convert.tensor_plan import TensorPlan, linear_plans, norm_plans, plain_plan

CHAT_NAMES = {
    "class": "vision_model.embeddings.class_embedding",
    "position": "vision_model.embeddings.position_embedding",
    "patch": "vision_model.embeddings.patch_embedding",
    "block": "vision_model.encoder.layers",
    "ln1": "norm1",
    "ln2": "norm2",
    "ls1": "ls1",
    "ls2": "ls2",
    "attn_qkv": "attn.qkv",
    "attn_q_norm": "attn.q_norm",
    "attn_k_norm": "attn.k_norm",
    "attn_out": "attn.proj",
    "mlp.0": "mlp1.0",
    "mlp.1": "mlp1.1",
    "mlp.3": "mlp1.3",
}

HF_NAMES = {
    "class": "vision_tower.embeddings.cls_token",
    "position": "vision_tower.embeddings.position_embeddings",
    "patch": "vision_tower.embeddings.patch_embeddings.projection",
    "block": "vision_tower.encoder.layer",
    "ln1": "layernorm_before",
    "ln2": "layernorm_after",
    "ls1": "lambda_1",
    "ls2": "lambda_2",
    "attn_q": "attention.q_proj",
    "attn_k": "attention.k_proj",
    "attn_v": "attention.v_proj",
    "attn_q_norm": "attention.q_norm",
    "attn_k_norm": "attention.k_norm",
    "attn_out": "attention.projection_layer",
    "mlp.0": "multi_modal_projector.layer_norm",
    "mlp.1": "multi_modal_projector.linear_1",
    "mlp.3": "multi_modal_projector.linear_2",
}


def vision_tensors(
    names: dict[str, str], v: VisionConfig, p: ProjectorConfig, d_out: int
) -> Iterator[TensorPlan]:
    """Everything up to the tokens that the text model takes, of width ``d_out``.

    ``names`` is `CHAT_NAMES` or `HF_NAMES`.
    """
    yield from _embeddings(names, v)
    yield from _encoder(names, v)
    yield from _projector(names, p, v.width, d_out)


def _embeddings(names: dict[str, str], v: VisionConfig) -> Iterator[TensorPlan]:
    n_positions = 1 + (v.tile_px // v.patch_px) ** 2
    yield TensorPlan(
        name="v.class_embd",
        shape=(v.width,),
        sources=(names["class"],),
        source_shape=(1, 1, v.width),
        precise=True,
    )
    yield TensorPlan(
        name="v.position_embd.weight",
        shape=(n_positions, v.width),
        sources=(names["position"],),
        source_shape=(1, n_positions, v.width),
        precise=True,
    )
    yield plain_plan(
        "v.patch_embd.weight", names["patch"] + ".weight", (v.width, 3, v.patch_px, v.patch_px)
    )
    yield plain_plan("v.patch_embd.bias", names["patch"] + ".bias", (v.width,))


def _encoder(names: dict[str, str], v: VisionConfig) -> Iterator[TensorPlan]:
    w = v.width
    for i in range(v.n_layers):
        out, block = f"v.blk.{i}", f"{names['block']}.{i}"
        for norm in ("ln1", "ln2"):
            yield from norm_plans(
                f"{out}.{norm}", f"{block}.{names[norm]}", w, v.norm == "layer_norm"
            )
        for index, name in enumerate(("attn_q", "attn_k", "attn_v")):
            if "attn_qkv" in names:
                source, n_rows, taken = names["attn_qkv"], 3 * w, rows.third(index, w)
            else:
                source, n_rows, taken = names[name], w, None
            source = f"{block}.{source}"
            yield from linear_plans(
                f"{out}.{name}", source, w, w, bias=v.qkv_bias, n_source_rows=n_rows, taken=taken
            )
        if v.qk_norm == "full":
            for norm in ("attn_q_norm", "attn_k_norm"):
                yield from norm_plans(f"{out}.{norm}", f"{block}.{names[norm]}", w, bias=False)
        yield from linear_plans(f"{out}.attn_out", f"{block}.{names['attn_out']}", w, w, bias=True)
        yield from linear_plans(f"{out}.ffn_up", f"{block}.mlp.fc1", v.d_mlp, w, bias=True)
        yield from linear_plans(f"{out}.ffn_down", f"{block}.mlp.fc2", w, v.d_mlp, bias=True)
        for scale in ("ls1", "ls2"):
            yield plain_plan(f"{out}.{scale}.weight", f"{block}.{names[scale]}", (w,))


def _projector(
    names: dict[str, str], p: ProjectorConfig, width: int, d_out: int
) -> Iterator[TensorPlan]:
    d_in = width * p.scale_factor**2
    yield from norm_plans("mm.model.mlp.0", names["mlp.0"], d_in, bias=True)
    yield from linear_plans("mm.model.mlp.1", names["mlp.1"], d_out, d_in, bias=True)
    yield from linear_plans("mm.model.mlp.3", names["mlp.3"], d_out, d_out, bias=True)
