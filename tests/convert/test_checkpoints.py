"""Checkpoints as they are on a disk: shards, PyTorch files, damage, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl.convert import convert_checkpoint
from crispvl.convert.safetensors import read_safetensors
from crispvl.errors import ModelFileError
from gguf import GGUFReader
from tiny import make_checkpoint
from tiny.checkpoint import write_safetensors
from tiny.rows import row


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(row("base"), tmp_path / "checkpoint")


def load(checkpoint: Path) -> dict[str, Any]:
    tensors = read_safetensors(checkpoint / "model.safetensors")
    return {name: np.array(tensor.load()) for name, tensor in tensors.items()}


def shard(checkpoint: Path) -> None:
    """Splits the weights into two files with an index."""
    arrays = load(checkpoint)
    names = list(arrays)
    weight_map = {}
    for i, part in enumerate((names[::2], names[1::2])):
        file = f"model-0000{i + 1}-of-00002.safetensors"
        write_safetensors(checkpoint / file, {n: arrays[n] for n in part}, "F32")
        weight_map.update(dict.fromkeys(part, file))
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}), "utf-8")
    (checkpoint / "model.safetensors").unlink()


def tensors_of(path: Path) -> dict[str, bytes]:
    return {t.name: t.data.tobytes() for t in GGUFReader(path).tensors}


def test_shards_give_the_same_tensors(checkpoint: Path, tmp_path: Path) -> None:
    convert_checkpoint(checkpoint, tmp_path / "one.gguf")
    shard(checkpoint)
    convert_checkpoint(checkpoint, tmp_path / "two.gguf")
    assert tensors_of(tmp_path / "one.gguf") == tensors_of(tmp_path / "two.gguf")


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_pytorch_file_gives_the_same_tensors(dtype: str, checkpoint: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    write_safetensors(checkpoint / "model.safetensors", load(checkpoint), dtype)
    convert_checkpoint(checkpoint, tmp_path / "one.gguf", "bf16")
    state = {}
    for name, array in load(checkpoint).items():
        tensor = torch.from_numpy(array)
        state[name] = tensor.view(torch.bfloat16) if dtype == "BF16" else tensor
    torch.save(state, checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    convert_checkpoint(checkpoint, tmp_path / "two.gguf", "bf16")
    assert tensors_of(tmp_path / "one.gguf") == tensors_of(tmp_path / "two.gguf")


def test_pytorch_file_that_holds_code_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    (checkpoint / "model.safetensors").unlink()
    torch.save({"mlp1.0.weight": Path("/")}, checkpoint / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match="expected a PyTorch file with tensors only"):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")


def test_head_equal_to_the_embedding_is_dropped_when_called_tied(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("tied"), tmp_path / "checkpoint")
    arrays = load(checkpoint)
    embedding = arrays["language_model.model.embed_tokens.weight"]
    for head, is_tied in ((embedding, True), (embedding + 1, False)):
        arrays["language_model.lm_head.weight"] = head
        write_safetensors(checkpoint / "model.safetensors", arrays, "F32")
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")
        assert ("output.weight" not in tensors_of(tmp_path / "model.gguf")) == is_tied


def test_added_token_without_a_row_in_the_embedding_is_reported(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("qwen2-hf"), tmp_path / "checkpoint")
    tokens = json.loads((checkpoint / "added_tokens.json").read_text("utf-8"))
    text = json.dumps({**tokens, "<video>": 352})  # as transformers' InternVLProcessor adds it
    (checkpoint / "added_tokens.json").write_text(text, "utf-8")
    report = convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert len(report.warnings) == 1
    assert "<video>" in report.warnings[0]


def test_buffers_that_can_be_computed_are_ignored(checkpoint: Path, tmp_path: Path) -> None:
    arrays = load(checkpoint)
    arrays["language_model.model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(8, np.float32)
    write_safetensors(checkpoint / "model.safetensors", arrays, "F32")
    assert convert_checkpoint(checkpoint, tmp_path / "model.gguf").n_tensors == 73


def test_buffers_of_whole_numbers_are_ignored_in_either_kind_of_file(
    checkpoint: Path, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    path = checkpoint / "model.safetensors"
    state = {name: torch.from_numpy(array) for name, array in load(checkpoint).items()}
    name = "vision_model.embeddings.position_ids"
    torch.save({**state, name: torch.arange(17)[None]}, checkpoint / "pytorch_model.bin")
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n_header])
    n_data = len(data) - 8 - n_header
    header[name] = {"dtype": "I64", "shape": [1, 17], "data_offsets": [n_data, n_data + 136]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + n_header :] + bytes(136))
    assert convert_checkpoint(checkpoint, tmp_path / "model.gguf").n_tensors == 73
    path.unlink()
    assert convert_checkpoint(checkpoint, tmp_path / "model.gguf").n_tensors == 73


def set_config(section: str, **values: Any) -> Callable[[Path], None]:
    def change(checkpoint: Path) -> None:
        path = checkpoint / "config.json"
        config = json.loads(path.read_text("utf-8"))
        part = config[section] if section else config
        for key, value in values.items():
            part[key] = value
            if value is None:
                del part[key]
        path.write_text(json.dumps(config), "utf-8")

    return change


def set_weights(**values: Any) -> Callable[[Path], None]:
    def change(checkpoint: Path) -> None:
        arrays = load(checkpoint)
        for name, value in values.items():
            key = name.replace("__", ".")
            arrays.pop(key, None)
            if value is not None:
                arrays[key] = value
        write_safetensors(checkpoint / "model.safetensors", arrays, "F32")

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda checkpoint: (checkpoint / name).unlink()


def write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda checkpoint: (checkpoint / name).write_bytes(data) and None


def truncate(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def lose_a_shard(checkpoint: Path) -> None:
    shard(checkpoint)
    (checkpoint / "model-00002-of-00002.safetensors").unlink()


def point_outside(checkpoint: Path) -> None:
    shard(checkpoint)
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(index.read_text("utf-8").replace("model-00002", "../model-00002"), "utf-8")


def rename_image_token(checkpoint: Path) -> None:
    for name in ("added_tokens.json", "tokenizer_config.json"):
        path = checkpoint / name
        path.write_text(path.read_text("utf-8").replace('"<img>"', '"<picture>"'), "utf-8")


def edit(name: str, **values: Any) -> Callable[[Path], None]:
    def change(checkpoint: Path) -> None:
        path = checkpoint / name
        data = json.loads(path.read_text("utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**data, **values}), "utf-8")

    return change


def set_rope(**values: Any) -> Callable[[Path], None]:
    return set_config("llm_config", rope_scaling={"type": "linear", **values})


def after(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(checkpoint: Path) -> None:
        for one in changes:
            one(checkpoint)

    return change


def leave_out(*names: str) -> Callable[[Path], None]:
    def change(checkpoint: Path) -> None:
        config = json.loads((checkpoint / "config.json").read_text("utf-8"))
        left = {name: value for name, value in config.items() if name not in names}
        (checkpoint / "config.json").write_text(json.dumps(left), "utf-8")

    return change


def index_with(shard_name: Any) -> Callable[[Path], None]:
    return edit("model.safetensors.index.json", weight_map={"a": shard_name})


NAN = float("nan")

REFUSED: list[tuple[str, Callable[[Path], None], str]] = [
    ("no config", remove("config.json"), "expected a checkpoint folder with config.json"),
    ("config no json", write("config.json", b"<html>"), "expected a JSON object"),
    ("another model", set_config("", llm_config=None), "expected an InternVL checkpoint"),
    ("unknown family", set_config("llm_config", model_type="mamba"),
     "one of qwen2, qwen3, qwen3_moe, gpt_oss, internlm2, internlm3, llama, mistral, phi3; found"),
    ("no width", set_config("llm_config", hidden_size=None), "'hidden_size' to be an integer"),
    ("no patch", set_config("vision_config", patch_size=0), "'patch_size' to be at least 1"),
    ("text as width", set_config("vision_config", hidden_size="64"), "found '64'"),
    ("no such layer", set_config("", select_layer=-4), "one of -2 to 2, and not 0; found -4"),
    ("old unshuffle", set_config("", ps_version="v1"), "'ps_version' to be 'v2'; found 'v1'"),
    ("no unshuffle", leave_out("ps_version"), "'ps_version' to be 'v2'; found 'v1'"),
    ("no format", leave_out("template"), "'template' to be text; found nothing"),
    ("tanh gelu", set_config("vision_config", hidden_act="gelu_pytorch_tanh"), "to be 'gelu'"),
    ("text activation", set_config("llm_config", hidden_act="gelu"), "to be 'silu'"),
    ("other tile size", set_config("", force_image_size=112), "'force_image_size' to be 56"),
    ("odd ratio", set_config("", downsample_ratio=0.4), "one divided by a whole number"),
    ("unknown rope", set_config("llm_config", rope_scaling={"type": "mrope", "factor": 2.0}),
     "'rope_type' to be 'default', 'linear', .*; found 'mrope'"),
    ("longrope", set_config("llm_config", rope_scaling={"type": "longrope", "factor": 2.0}),
     "'short_factor' to be 8 numbers, one for each pair of a head; found nothing"),
    ("layer types", set_config("llm_config", layer_types=["sliding_attention"] * 2),
     "'layer_types' to be 'full_attention' without a sliding window"),
    ("layer types no text", set_config("llm_config", use_sliding_window=True, sliding_window=7,
     layer_types=[{}, []]), "'layer_types' to be 2 of sliding_attention"),
    ("half a head turns", set_config("llm_config", partial_rotary_factor=0.5),
     "'partial_rotary_factor' to be 1.0"),
    ("rope by type of layer", set_config("llm_config", rope_scaling={
        "full_attention": {"rope_type": "linear", "factor": 2.0}}),
     "'full_attention' to be a value for all layers"),
    ("Phi-3's other rope", set_config("llm_config", rope_scaling={
        "type": "yarn", "short_factor": [1.0] * 8, "long_factor": [1.0] * 8}),
     "'rope_type' to be 'longrope' beside 'short_factor'; found 'yarn'"),
    ("longrope trained on one", set_config("llm_config", rope_scaling={
        "type": "su", "short_factor": [1.0] * 8, "long_factor": [1.0] * 8,
        "original_max_position_embeddings": 1}),
     "'original_max_position_embeddings' to be at least 2; found 1"),
    ("SigLIP", set_config("vision_config", model_type="siglip_vision_model"),
     "expected InternViT, .*; found SigLIP"),
    ("C-RADIO", set_config("vision_config", architectures=["RADIOModel"]), "found C-RADIO"),
    ("MoonViT", set_config("vision_config", model_type="moonvit"),
     r"found another encoder \(moonvit\); models with another encoder are not supported"),
    ("architecture no list", set_config("vision_config", architectures=5), r"encoder \(5\)"),
    ("model type a list", set_config("", model_type=["x"], llm_config=None), r"type \['x'\]"),
    ("no router's share", set_config("", flash_mode=True, flash_relative_threshold=2.0),
     "'flash_relative_threshold' to be from 0 to 1|'flash_absolute_threshold'"),
    ("quantised", set_config("llm_config", quantization_config={"quant_method": "gptq"}),
     "found weights quantised with 'gptq'"),
    ("unknown template", set_config("", template="vicuna_v9"), "found 'vicuna_v9'"),
    ("no image token", rename_image_token, "expected the token '<img>'; found none"),
    ("config no text", write("config.json", b"\xff\xfe{}"), "expected UTF-8 text"),
    ("config too deep", write("config.json", b"[" * 100000), "expected a JSON object"),
    ("key heads", set_config("llm_config", num_key_value_heads=3), "a divisor of the 4 heads"),
    ("odd heads", set_config("llm_config", head_dim=5), "'head_dim' to be an even width"),
    ("vision heads", set_config("vision_config", num_attention_heads=7),
     r"a divisor of the width; found that '.*/model\.gguf' has 7"),
    ("no epsilon", set_config("llm_config", rms_norm_eps=NAN), "'rms_norm_eps' to be a number"),
    ("huge epsilon", set_config("vision_config", layer_norm_eps=1e300), "to be a number"),
    ("no theta", set_config("llm_config", rope_theta=0), "freq_base' to be a positive number"),
    ("factor no number", set_rope(factor=NAN), "'factor' to be a number"),
    ("factor infinite", set_rope(factor=float("inf")), "'factor' to be a number"),
    ("factor below zero", set_rope(factor=-2), "a stretch to a usable length"),
    ("factor below one", set_rope(factor=0.5), "to be at least 1"),
    ("rope a list", set_config("llm_config", rope_scaling=[1]), "'rope_scaling' to be an object"),
    ("huge width", set_config("vision_config", hidden_size=10**30), "to be at most 16777216"),
    ("too many layers", set_config("llm_config", num_hidden_layers=2000), "to be at most 1024"),
    ("huge context", set_config("llm_config", max_position_embeddings=2**33), "to be at most"),
    ("end no id", set_config("llm_config", eos_token_id="x"), "expected a token id; found 'x'"),
    ("end a list of none", set_config("llm_config", eos_token_id=[None]), "expected a token id"),
    ("answer's end no id", edit("generation_config.json", eos_token_id="x"), "a token id"),
    ("more tiles at least than at most", set_config("", min_dynamic_patch=20), "at most 'max_"),
    ("a million tiles", set_config("", max_dynamic_patch=10**6), "between 1 and 1024"),
    ("negative added token", edit("added_tokens.json", x=-60), "expected a token id from 0"),
    ("added token no id", edit("added_tokens.json", x="a"), "expected a token id"),
    ("added token without text", edit("tokenizer_config.json", added_tokens_decoder={"1": {}}),
     "expected text; found None"),
    ("added tokens a list", edit("tokenizer_config.json", added_tokens_decoder=[1]),
     "added_tokens_decoder. expected an object"),
    ("special token no text", edit("tokenizer_config.json", additional_special_tokens=[1]),
     "additional_special_tokens. expected text; found 1"),
    ("template none", write("chat_template.jinja", b"{% for m in messages %}"), "a Jinja template"),
    ("template's filter", write("chat_template.jinja", b"{{ messages | nothing }}"), "'nothing'"),
    ("template no text", edit("tokenizer_config.json", chat_template=["a"]),
     "chat_template. expected an object; found 'a'"),
    ("template too deep", write("chat_template.json", b"[" * 100000), "expected a JSON object"),
    ("vocabulary of text", edit("vocab.json", zz="a"), r"vocab.json. expected a token id"),
    ("vocabulary of fractions", edit("vocab.json", zz=1.5), r"vocab.json. expected a token id"),
    ("merges no text", write("merges.txt", b"\xff\xfe a b\n"), r"merges.txt. expected UTF-8"),
    ("tokenizer.json a list", after(remove("vocab.json"), edit("tokenizer.json", model=[1])),
     "model. expected an object"),
    ("merge of numbers", after(remove("vocab.json"), edit("tokenizer.json", model={
        "type": "BPE", "vocab": {"a": 0}, "merges": [[1, 2]]})), "expected text"),
    ("index of numbers", index_with(1), "a JSON object with 'weight_map'"),
    ("no weights", remove("model.safetensors"), "expected model.safetensors, pytorch_model.bin"),
    ("truncated", truncate, "found bytes"),
    ("page for weights", write("model.safetensors", b"<html>nothing here</html>"), "a header"),
    ("empty weights", write("model.safetensors", b""), "found a length of 0 bytes"),
    ("no shard", lose_a_shard, "all but model-00002-of-00002.safetensors"),
    ("shard elsewhere", point_outside, "all but ../model-00002-of-00002.safetensors"),
    ("missing tensor", set_weights(mlp1__3__bias=None), r"missing 'mlp1\.3\.bias'"),
    ("one too many", set_weights(mlp1__9__bias=np.ones(3, np.float32)),
     r"unexpected 'mlp1\.9\.bias'"),
    ("other shape", set_weights(mlp1__3__bias=np.ones(3, np.float32)),
     r"'mlp1\.3\.bias' is \[3\] and should be \[64\]"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_cannot_be_converted_is_refused_with_words(
    change: Callable[[Path], None], message: str, checkpoint: Path, tmp_path: Path
) -> None:
    change(checkpoint)
    with pytest.raises(ModelFileError, match=message) as caught:
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert str(caught.value).startswith("[")
    assert not (tmp_path / "model.gguf").exists()


HF_REFUSED: list[tuple[str, Callable[[Path], None], str]] = [
    ("mean of text", edit("preprocessor_config.json", image_mean=["a"] * 3), "three numbers"),
    ("mean no number", edit("preprocessor_config.json", image_mean=[NAN] * 3), "three numbers"),
    ("deviation of zero", edit("preprocessor_config.json", image_std=[0, 0, 0]),
     "image_std' to be positive"),
    ("processor a list", after(remove("preprocessor_config.json"),
     edit("processor_config.json", image_processor=[1])), "expected an object"),
    ("not normalised", edit("preprocessor_config.json", do_normalize=False), "'do_normalize'"),
    ("not rescaled", edit("preprocessor_config.json", do_rescale=False), "'do_rescale'"),
    ("other scale", edit("preprocessor_config.json", rescale_factor=1.0), "to be 1/255"),
    ("other size", edit("preprocessor_config.json", size={"height": 28, "width": 28}), "'size'"),
    ("other epsilon of q and k", set_config("vision_config", use_qk_norm=True,
     layer_norm_eps=1e-3), "'layer_norm_eps' to be 1e-06; found 0.001"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"), [c[1:] for c in HF_REFUSED], ids=[c[0] for c in HF_REFUSED]
)
def test_what_cannot_be_converted_of_the_hf_layout_is_refused_with_words(
    change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    checkpoint = make_checkpoint(row("qwen2-hf"), tmp_path / "checkpoint")
    change(checkpoint)
    with pytest.raises(ModelFileError, match=message):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("kind", ["list", "nested", "number"])
def test_pytorch_file_without_tensors_by_name_is_refused(
    kind: str, checkpoint: Path, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    (checkpoint / "model.safetensors").unlink()
    held = {"list": [1], "nested": {"state_dict": {}}, "number": {"epoch": 3}}[kind]
    torch.save(held, checkpoint / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match="expected tensors by name"):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")


def test_sentencepiece_that_normalises_is_refused_before_any_weight_is_written(
    tmp_path: Path,
) -> None:
    checkpoint = make_checkpoint(row("internlm2"), tmp_path / "checkpoint")
    path = checkpoint / "tokenizer.model"
    # normalizer_spec with remove_extra_whitespaces, the library's default
    path.write_bytes(path.read_bytes() + b"\x1a\x02\x20\x01")
    written: list[str] = []
    with pytest.raises(ModelFileError, match="remove_extra_whitespaces"):
        convert_checkpoint(
            checkpoint, tmp_path / "model.gguf", progress=lambda name, *_: written.append(name)
        )
    assert written == []
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_a_number_that_nothing_looked_at_is_damage_too(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("internlm2"), tmp_path / "checkpoint")
    path = checkpoint / "tokenizer.model"
    # trainer_spec with an unk_id of 2**40, which no field of the file holds
    path.write_bytes(path.read_bytes() + b"\x12\x08\xc0\x02" + b"\x80" * 5 + b"\x20")
    with pytest.raises(ModelFileError, match="numbers that a GGUF file holds"):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "q8_0"])
@pytest.mark.parametrize("bad", [NAN, float("inf")])
def test_a_weight_that_is_not_finite_is_refused_by_name(
    bad: float, dtype: str, checkpoint: Path, tmp_path: Path
) -> None:
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    arrays = load(checkpoint)
    arrays[name][3, 5] = bad
    write_safetensors(checkpoint / "model.safetensors", arrays, "F32")
    with pytest.raises(ModelFileError, match=rf"^\[{name}\] expected numbers"):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf", dtype)


def lie(entry: dict[str, Any]) -> bytes:
    header = json.dumps({"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | entry})
    return len(header).to_bytes(8, "little") + header.encode() + bytes(8)


@pytest.mark.parametrize(
    "data",
    [
        (1 << 63).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        lie({"dtype": "I64"}),
        lie({"shape": [-2]}),
        lie({"shape": [1 << 40]}),
        lie({"data_offsets": [8, 16]}),
        lie({"data_offsets": [-8, 0]}),
        lie({"data_offsets": [8, 0]}),
        lie({"data_offsets": [0]}),
        lie({"shape": None}),
    ],
)
def test_header_that_lies_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"^\[model\.safetensors\] expected"):
        read_safetensors(tmp_path / "model.safetensors")


def test_file_for_a_folder_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="expected a checkpoint folder; found a file"):
        convert_checkpoint(checkpoint / "model.safetensors", tmp_path / "model.gguf")


def test_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a checkpoint folder or a hub name"):
        convert_checkpoint(tmp_path / "nothing", tmp_path / "model.gguf")


def test_missing_output_folder_is_not_found(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\[output\] expected the folder of"):
        convert_checkpoint(checkpoint, tmp_path / "no" / "model.gguf")


def test_a_model_beside_its_checkpoint_can_be_made_anew(checkpoint: Path) -> None:
    for dtype in ("f16", "q8_0"):
        assert convert_checkpoint(checkpoint, checkpoint / "model.gguf", dtype).n_bytes > 0
    with pytest.raises(ValueError, match="an input"):
        convert_checkpoint(checkpoint, checkpoint / "config.json")


def test_what_a_callers_progress_raises_is_no_damage(checkpoint: Path, tmp_path: Path) -> None:
    def progress(name: str, n_done: int, n_total: int) -> None:
        raise KeyError(name)

    with pytest.raises(KeyError):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf", progress=progress)
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize("options", [{"dtype": "q4"}, {"layout": "both"}, {"prompts": {"x": "y"}}])
def test_slip_of_the_caller_is_a_value_error(
    options: dict[str, Any], checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        convert_checkpoint(checkpoint, tmp_path / "model.gguf", **options)
    assert not isinstance(caught.value, ModelFileError)
