"""The keys of the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from crispvl import __version__
from crispvl.convert import convert_checkpoint
from gguf import GGUFReader
from tiny import ROWS, Row, make_checkpoint
from tiny.rows import row, variant


def read_keys(path: Path) -> dict[str, Any]:
    """Every key and value, without the reader's own."""
    fields = GGUFReader(path).fields.items()
    return {name: f.contents() for name, f in fields if not name.startswith("GGUF.")}


def keys_of(tiny_row: Row, folder: Path, **options: Any) -> dict[str, Any]:
    """The keys of a row's file."""
    checkpoint = make_checkpoint(tiny_row, folder / "checkpoint")
    convert_checkpoint(checkpoint, folder / "model.gguf", **options)
    return read_keys(folder / "model.gguf")


EXPECTED = {
    "general.architecture": "qwen2",
    "general.type": "model",
    "general.name": "checkpoint",
    "general.file_type": 1,
    "general.quantization_version": 2,
    "crispvl.layout_version": 1,
    "crispvl.converter.version": __version__,
    "crispvl.source.repository": "checkpoint",
    "crispvl.source.revision": "",
    "crispvl.source.layout": "chat",
    "qwen2.vocab_size": 352,
    "qwen2.context_length": 512,
    "qwen2.embedding_length": 64,
    "qwen2.feed_forward_length": 96,
    "qwen2.block_count": 2,
    "qwen2.attention.head_count": 4,
    "qwen2.attention.head_count_kv": 2,
    "qwen2.attention.key_length": 16,
    "qwen2.attention.value_length": 16,
    "qwen2.attention.layer_norm_rms_epsilon": pytest.approx(1e-5),
    "qwen2.rope.dimension_count": 16,
    "qwen2.rope.freq_base": 10000.0,
    "crispvl.decoder.qkv_bias": True,
    "crispvl.decoder.attn_out_bias": False,
    "crispvl.decoder.mlp_bias": False,
    "crispvl.decoder.qk_norm": "none",
    "crispvl.decoder.tied_head": False,
    "crispvl.decoder.sliding_layers": [False, False],
    "crispvl.decoder.attention_sinks": False,
    "crispvl.decoder.mlp.gate": "silu",
    "crispvl.decoder.rope.layout": "half",
    "crispvl.decoder.rope.scaling.type": "none",
    "clip.has_vision_encoder": True,
    "clip.projector_type": "internvl",
    "clip.use_gelu": True,
    "clip.vision.image_size": 56,
    "clip.vision.patch_size": 14,
    "clip.vision.embedding_length": 64,
    "clip.vision.feed_forward_length": 96,
    "clip.vision.block_count": 2,
    "clip.vision.attention.head_count": 4,
    "clip.vision.attention.layer_norm_epsilon": pytest.approx(1e-6),
    "clip.vision.projection_dim": 64,
    "clip.vision.projector.scale_factor": 2,
    "clip.vision.preproc_min_tiles": 1,
    "clip.vision.preproc_max_tiles": 4,
    "clip.vision.image_mean": pytest.approx([0.485, 0.456, 0.406]),
    "clip.vision.image_std": pytest.approx([0.229, 0.224, 0.225]),
    "crispvl.vision.norm": "layer_norm",
    "crispvl.vision.qk_norm": "none",
    "crispvl.vision.qkv_bias": True,
    "crispvl.vision.activation": "gelu_erf",
    "crispvl.vision.feature_layer": -1,
    "crispvl.projector.activation": "gelu_erf",
    "crispvl.projector.norm_epsilon": pytest.approx(1e-5),
    "crispvl.projector.downsample_ratio": 0.5,
    "crispvl.projector.unshuffle_version": "v2",
    "crispvl.image.thumbnail": True,
    "crispvl.image.multi_scale": False,
    "crispvl.chat.template": "internvl2_5",
}


def test_every_fact_of_the_model_is_a_key(tmp_path: Path) -> None:
    keys = keys_of(row("base"), tmp_path)
    assert {name: keys.get(name) for name in EXPECTED} == EXPECTED
    others = {k for k in keys if k not in EXPECTED and not k.startswith("tokenizer.")}
    assert others == {
        "crispvl.chat.system_message",
        "crispvl.chat.stop_token_ids",
        "crispvl.image.start_token_id",
        "crispvl.image.end_token_id",
        "crispvl.image.context_token_id",
    }
    assert keys["crispvl.chat.system_message"].startswith("你是书生·万象")


SWITCHES: list[tuple[str, dict[str, Any]]] = [
    ("vision-6b", {
        "crispvl.vision.norm": "rms_norm",
        "crispvl.vision.qk_norm": "full",
        "crispvl.vision.qkv_bias": False,
    }),
    ("no-thumbnail", {"crispvl.image.thumbnail": False}),
    ("qwen3", {
        "general.architecture": "qwen3",
        "crispvl.decoder.qk_norm": "per_head",
        "crispvl.decoder.qkv_bias": False,
        "qwen3.attention.key_length": 32,
    }),
    ("qwen3-bias", {"crispvl.decoder.qkv_bias": True, "crispvl.decoder.attn_out_bias": True}),
    ("qwen3-hf-tied", {"crispvl.decoder.tied_head": True, "crispvl.source.layout": "hf"}),
    ("internlm2", {
        "general.architecture": "internlm2",
        "crispvl.decoder.qkv_bias": False,
        "crispvl.decoder.rope.layout": "interleaved",
    }),
    ("internlm3", {
        "general.architecture": "llama",
        "crispvl.decoder.rope.layout": "interleaved",
        "llama.attention.key_length": 24,
    }),
    ("internlm3-qkv-bias", {
        "crispvl.decoder.qkv_bias": True,
        "crispvl.decoder.attn_out_bias": False,
        "crispvl.decoder.mlp_bias": False,
    }),
    ("internlm3-bias", {
        "crispvl.decoder.qkv_bias": False,
        "crispvl.decoder.attn_out_bias": True,
        "crispvl.decoder.mlp_bias": True,
    }),
    ("llama-hf", {"general.architecture": "llama", "crispvl.chat.template": "internvl2_5"}),
    ("rope-linear", {
        "crispvl.decoder.rope.scaling.type": "linear",
        "crispvl.decoder.rope.scaling.factor": 4.0,
        "qwen2.rope.scaling.type": "linear",
        "qwen2.rope.scaling.factor": 4.0,
        "qwen2.context_length": 2048,
    }),
    ("rope-dynamic", {
        "crispvl.decoder.rope.scaling.type": "dynamic",
        "crispvl.decoder.rope.scaling.factor": 2.0,
        "crispvl.decoder.rope.scaling.original_context_length": 24,
        "qwen2.context_length": 48,
        "qwen2.rope.scaling.type": None,
    }),
    ("rope-yarn", {
        "crispvl.decoder.rope.scaling.type": "yarn",
        "crispvl.decoder.rope.scaling.factor": 4.0,
        "crispvl.decoder.rope.scaling.original_context_length": 64,
        "crispvl.decoder.rope.scaling.beta_fast": 32.0,
        "crispvl.decoder.rope.scaling.beta_slow": 1.0,
        "crispvl.decoder.rope.scaling.attn_factor": pytest.approx(1.138629),
        "qwen2.rope.scaling.original_context_length": 64,
        "qwen2.context_length": 512,
    }),
    ("rope-yarn-new-spelling", {
        "qwen2.rope.freq_base": 5000.0,
        "crispvl.decoder.rope.scaling.beta_fast": 16.0,
        "crispvl.decoder.rope.scaling.attn_factor": 1.25,
    }),
    ("rope-new-spelling", {"qwen2.rope.freq_base": 777.0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), SWITCHES, ids=[name for name, _ in SWITCHES])
def test_switch_is_written_as_the_checkpoint_says(
    name: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    keys = keys_of(row(name), tmp_path)
    assert {k: keys.get(k) for k in expected} == expected


@pytest.mark.parametrize(
    ("dtype", "file_type"), [("f32", 0), ("f16", 1), ("q8_0", 7), ("bf16", 32)]
)
def test_file_type_is_llama_cpps_number(dtype: str, file_type: int, tmp_path: Path) -> None:
    assert keys_of(row("base"), tmp_path, dtype=dtype)["general.file_type"] == file_type


def test_pair_splits_the_keys_of_the_single_file(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("internlm2"), tmp_path / "checkpoint")
    (single,) = convert_checkpoint(checkpoint, tmp_path / "single.gguf").files
    text, mmproj = convert_checkpoint(checkpoint, tmp_path / "pair.gguf", layout="pair").files
    assert mmproj.name == "mmproj-pair.gguf"
    text_keys, vision_keys = read_keys(text), read_keys(mmproj)
    assert vision_keys.pop("general.architecture") == "clip"
    assert vision_keys.pop("general.type") == "mmproj"
    assert {**vision_keys, **text_keys} == read_keys(single)
    assert not any(k.startswith("clip.") for k in text_keys)
    assert not any(k.startswith(("tokenizer.", "internlm2.")) for k in vision_keys)


def test_prompts_are_stored_under_their_names(tmp_path: Path) -> None:
    keys = keys_of(row("base"), tmp_path, prompts={"text": "OCR", "markdown": "Markdown"})
    assert keys["crispvl.prompt.text"] == "OCR"
    assert keys["crispvl.prompt.markdown"] == "Markdown"


def test_image_side_of_an_hf_checkpoint_comes_from_its_processor(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("qwen2-hf"), tmp_path / "checkpoint")
    want = {"clip.vision.image_mean": [0.5, 0.4, 0.3], "clip.vision.image_std": [0.2, 0.25, 0.3]}
    plain = checkpoint / "preprocessor_config.json"
    nested = json.dumps({"image_processor": json.loads(plain.read_text("utf-8"))})
    for replace in (False, True):
        if replace:
            plain.unlink()
            (checkpoint / "processor_config.json").write_text(nested, "utf-8")
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")
        keys = read_keys(tmp_path / "model.gguf")
        assert {k: keys[k] for k in want} == {k: pytest.approx(v) for k, v in want.items()}
        assert keys["clip.vision.preproc_max_tiles"] == 4


def test_processor_without_statistics_has_those_of_its_class(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("qwen2-hf"), tmp_path / "checkpoint")
    (checkpoint / "preprocessor_config.json").write_text('{"max_patches": 4}', "utf-8")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    keys = read_keys(tmp_path / "model.gguf")
    # OpenAI CLIP's, which transformers' GotOcr2ImageProcessor assumes
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    assert keys["clip.vision.image_mean"] == pytest.approx(mean)
    assert keys["clip.vision.image_std"] == pytest.approx(std)


def test_checkpoint_without_tiling_gets_one_tile(tmp_path: Path) -> None:
    keys = keys_of(variant(row("base"), extra={"dynamic_image_size": False}), tmp_path)
    assert keys["clip.vision.preproc_max_tiles"] == 1


def test_what_a_chat_config_leaves_out_is_as_its_class_says(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("base"), tmp_path / "checkpoint")
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    same = {"select_layer": -1, "downsample_ratio": 0.5, "pad2square": False}
    assert {name: config.get(name, same[name]) for name in same} == same
    for name in same:
        config.pop(name, None)
    (checkpoint / "config.json").write_text(json.dumps(config), "utf-8")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    keys = read_keys(tmp_path / "model.gguf")
    assert keys["crispvl.projector.downsample_ratio"] == 0.5

    for name in ("dynamic_image_size", "use_thumbnail", "min_dynamic_patch", "max_dynamic_patch"):
        config.pop(name, None)
    (checkpoint / "config.json").write_text(json.dumps(config), "utf-8")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert read_keys(tmp_path / "model.gguf")["clip.vision.preproc_max_tiles"] == 1
    config["dynamic_image_size"] = True
    (checkpoint / "config.json").write_text(json.dumps(config), "utf-8")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert read_keys(tmp_path / "model.gguf")["clip.vision.preproc_max_tiles"] == 6


def test_own_chat_template_is_stored_and_no_format_named(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("qwen2-hf"), tmp_path / "checkpoint")
    (checkpoint / "chat_template.jinja").write_text("{{ messages }}", "utf-8")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    keys = read_keys(tmp_path / "model.gguf")
    assert keys["tokenizer.chat_template"] == "{{ messages }}"
    assert keys["crispvl.chat.template"] == ""
    assert keys["crispvl.chat.system_message"] == ""


def test_named_format_wins_over_the_template_of_a_chat_checkpoint(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("base"), tmp_path / "checkpoint")
    settings = json.loads((checkpoint / "tokenizer_config.json").read_text("utf-8"))
    settings["chat_template"] = [{"name": "default", "template": "{{ x }}"}]
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    keys = read_keys(tmp_path / "model.gguf")
    assert keys["tokenizer.chat_template"] == "{{ x }}"
    assert keys["crispvl.chat.template"] == "internvl2_5"


def test_answers_end_at_every_token_a_config_names(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("internlm2"), tmp_path / "checkpoint")
    (checkpoint / "generation_config.json").write_text('{"eos_token_id": [2, 300]}', "utf-8")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    keys = read_keys(tmp_path / "model.gguf")
    im_end = keys["tokenizer.ggml.tokens"].index("<|im_end|>")
    assert keys["crispvl.chat.stop_token_ids"] == [2, 300, im_end]
    assert keys["tokenizer.ggml.eos_token_id"] == im_end


@pytest.mark.parametrize("own", [None, "", "Read the page."])
def test_system_message_of_the_config_comes_before_the_formats(
    own: str | None, tmp_path: Path
) -> None:
    keys = keys_of(variant(row("base"), extra={"system_message": own}), tmp_path)
    found = keys["crispvl.chat.system_message"]
    assert found.startswith("你是书生·万象") if own is None else found == own


def test_all_rows_say_what_they_are(tmp_path: Path) -> None:
    for tiny_row in ROWS:
        keys = keys_of(tiny_row, tmp_path / tiny_row.name)
        assert keys["crispvl.source.layout"] == tiny_row.layout.removesuffix("-prefixed")
        assert keys["crispvl.decoder.tied_head"] == tiny_row.tied_head
