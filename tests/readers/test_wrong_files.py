"""Files that do not make one model are refused with words; doubtful pairs give a warning."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from crispvl import Model
from crispvl.convert import convert_checkpoint
from crispvl.errors import ModelFileError
from foreign import ForeignModel, write_merged, write_pair
from gguf import GGUFReader

TinyModel = Callable[[str], ForeignModel]
Pair = tuple[Path, Path]


@pytest.fixture
def pair(tiny_model: TinyModel, tmp_path: Path) -> Pair:
    return write_pair(tiny_model("base"), tmp_path)


def copied_keys(path: Path, **texts: str) -> gguf.GGUFWriter:
    """A writer of a copy with other text keys; dots in a key are written as ``__``."""
    reader = GGUFReader(path)
    texts = {key.replace("__", "."): value for key, value in texts.items()}
    arch = reader.fields["general.architecture"].contents()
    out = path.with_name(f"changed-{path.name}")
    writer = gguf.GGUFWriter(out, texts.pop("general.architecture", arch))
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture" or name in texts:
            continue
        sub = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(name, field.contents(), field.types[0], sub)
    for key, value in texts.items():
        writer.add_string(key, value)
    return writer


def rewritten(path: Path, tensors: dict[str, np.ndarray] | None = None, **texts: str) -> Path:
    """A copy with other arrays and other text keys."""
    writer = copied_keys(path, **texts)
    for tensor in GGUFReader(path).tensors:
        writer.add_tensor(tensor.name, (tensors or {}).get(tensor.name, tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.with_name(f"changed-{path.name}")


def test_projector_given_as_model(pair: Pair) -> None:
    with pytest.raises(ModelFileError, match=r"mmproj.gguf' is a projector; give it as mmproj"):
        Model.load(pair[1])


def test_text_and_projector_exchanged(pair: Pair) -> None:
    with pytest.raises(ModelFileError, match=r"is a projector; exchange the two: .*text.gguf"):
        Model.load(pair[1], pair[0])


def test_projector_given_twice(pair: Pair) -> None:
    with pytest.raises(ModelFileError, match="is a projector; give it as mmproj"):
        Model.load(pair[1], pair[1])


def test_text_file_given_twice(pair: Pair) -> None:
    with pytest.raises(ModelFileError, match="is the text file again; give the mmproj file of"):
        Model.load(pair[0], pair[0])


def test_another_text_file_as_projector(pair: Pair, tiny_model: TinyModel, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, _ = write_pair(tiny_model("qwen3"), tmp_path / "other")
    with pytest.raises(ModelFileError, match=r"as mmproj; .* is a 'qwen3' model"):
        Model.load(pair[0], other)


def test_text_model_without_its_projector(pair: Pair) -> None:
    with pytest.raises(ModelFileError, match=r"holds a text model only; .*mmproj"):
        Model.load(pair[0])


@pytest.mark.parametrize("kind", ["ours", "crispembed"])
def test_projector_for_a_single_file(
    kind: str, pair: Pair, tiny_model: TinyModel, tmp_path: Path
) -> None:
    single = tmp_path / "single.gguf"
    if kind == "ours":
        convert_checkpoint(tiny_model("base").settings.files.folder, single, "f32")
    else:
        write_merged(tiny_model("base"), single)
    with pytest.raises(ModelFileError, match="holds its projector already; leave mmproj out"):
        Model.load(single, pair[1])


@pytest.mark.parametrize("kind", ["qwen2.5vl_merger", ""])
def test_projector_of_another_kind(kind: str, tiny_model: TinyModel, tmp_path: Path) -> None:
    text, mmproj = write_pair(tiny_model("base"), tmp_path, projector_type=kind)
    with pytest.raises(ModelFileError, match=rf"projector of an InternVL .*is of type '{kind}'"):
        Model.load(text, mmproj)


def test_projector_of_another_width_names_both_files(pair: Pair) -> None:
    out = {
        "mm.model.mlp.1.weight": np.zeros((32, 256), np.float32),
        "mm.model.mlp.3.weight": np.zeros((32, 32), np.float32),
    }
    mmproj = rewritten(pair[1], out, general__name="Other InternVL")
    with pytest.raises(
        ModelFileError,
        match=r"width 64 for 'Tiny InternVL' .*'Other InternVL' .*changed-mmproj.* width 32",
    ):
        Model.load(pair[0], mmproj)


def test_text_model_of_another_family(pair: Pair) -> None:
    text = rewritten(pair[0], general__architecture="gemma3")
    with pytest.raises(ModelFileError, match=r"qwen2, qwen3, .*llama.*is 'gemma3'"):
        Model.load(text, pair[1])


def test_text_model_that_is_no_internvl(tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model("base")
    tokens = [t.replace("<img>", "<tool>") for t in model.settings.vocabulary.tokens]
    vocabulary = replace(model.settings.vocabulary, tokens=tokens)
    plain = replace(model, settings=replace(model.settings, vocabulary=vocabulary))
    text, mmproj = write_pair(plain, tmp_path)
    with pytest.raises(ModelFileError, match=r"with the token '<img>'; .* does not have it"):
        Model.load(text, mmproj)


def test_position_table_in_a_short_type_is_refused(pair: Pair) -> None:
    short = {"v.position_embd.weight": np.zeros((17, 64), np.float16)}
    with pytest.raises(ModelFileError, match=r"expected 'v.position_embd.weight' in f32; .* f16"):
        Model.load(pair[0], rewritten(pair[1], short))


@pytest.mark.parametrize("name", ["token_embd.weight", "blk.0.attn_q.weight"])
@pytest.mark.parametrize(
    ("kind", "called"), [(np.int8, "i8"), (np.int32, "i32"), (np.float64, "f64")]
)
def test_a_weight_of_a_type_that_is_none_is_refused(
    name: str, kind: type[np.generic], called: str, pair: Pair
) -> None:
    shape = next(t.data.shape for t in GGUFReader(pair[0]).tensors if t.name == name)
    text = rewritten(pair[0], {name: np.zeros(shape, kind)})
    with pytest.raises(ModelFileError, match=rf"'{name}': expected .*; found {called}"):
        Model.load(text, pair[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_weights_that_are_no_numbers_end_in_an_error_and_not_in_a_text(
    bad: float, temperature: float, pair: Pair
) -> None:
    name = "blk.0.ffn_down.weight"
    weight = next(t.data.copy() for t in GGUFReader(pair[0]).tensors if t.name == name)
    weight.flat[5] = bad
    model = Model.load(rewritten(pair[0], {name: weight}), pair[1])
    with pytest.raises(ModelFileError, match="expected finite logits"):
        model.generate([1, 2, 3], max_tokens=2, temperature=temperature)
    session = model.core.new_session(4)
    session.prefill([1, 2, 3], None, None)
    with pytest.raises(ModelFileError, match="expected finite logits"):
        session.logits()  # what a constraint chooses from


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.gguf")
    program = "import sys; from crispvl import Model; Model.load(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model.gguf")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "it is not a regular file" in done.stderr


def test_pair_of_other_names_gives_a_warning(tiny_model: TinyModel, tmp_path: Path) -> None:
    text, mmproj = write_pair(tiny_model("base"), tmp_path, projector_name="Tiny InternVL 2")
    with pytest.warns(UserWarning, match="has the name 'Tiny InternVL' and .* 'Tiny InternVL 2'"):
        Model.load(text, mmproj)


def test_other_spelling_of_a_name_gives_no_warning(tiny_model: TinyModel, tmp_path: Path) -> None:
    text, mmproj = write_pair(tiny_model("base"), tmp_path, projector_name="tiny-internvl")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model.load(text, mmproj)


def test_our_pair_of_two_revisions_gives_a_warning(tiny_model: TinyModel, tmp_path: Path) -> None:
    folder = tiny_model("base").settings.files.folder
    text, mmproj = convert_checkpoint(folder, tmp_path / "a.gguf", "f32", "pair").files
    text = rewritten(text, crispvl__source__revision="1111")
    mmproj = rewritten(mmproj, crispvl__source__revision="2222")
    with pytest.warns(UserWarning, match="has the revision '1111' and the projector .*'2222'"):
        Model.load(text, mmproj)


def test_our_pair_of_two_checkpoints_gives_a_warning(tiny_model: TinyModel, tmp_path: Path) -> None:
    folder = tiny_model("base").settings.files.folder
    text, mmproj = convert_checkpoint(folder, tmp_path / "a.gguf", "f32", "pair").files
    mmproj = rewritten(mmproj, crispvl__source__repository="OpenGVLab/InternVL3-1B")
    with pytest.warns(UserWarning, match="repository 'checkpoint' .*'OpenGVLab/InternVL3-1B'"):
        Model.load(text, mmproj)


@pytest.mark.parametrize(
    ("i_file", "key"),
    [
        (0, "qwen2.block_count"),
        (1, "clip.vision.block_count"),
        (1, "clip.vision.preproc_min_tiles"),
        (1, "clip.vision.preproc_max_tiles"),
    ],
)
def test_a_count_beyond_any_model_takes_no_memory(pair: Pair, i_file: int, key: str) -> None:
    reader = GGUFReader(pair[i_file], "r+")
    reader.fields[key].parts[-1][0] = 1 << 24
    del reader
    with pytest.raises(ModelFileError, match=rf"'{key}' to be between 1 and 1024; .* 16777216;"):
        Model.load(*pair)


def test_tokens_that_only_the_embedding_counts_take_no_memory(pair: Pair) -> None:
    writer = copied_keys(pair[0])
    writer.add_tensor_info("token_embd.weight", (1 << 26, 64), np.dtype(np.float32), 0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with pytest.raises(ModelFileError, match=r"at most 1048576 rows .* has 67108864"):
        Model.load(pair[0].with_name("changed-text.gguf"), vocab_only=True)


def test_a_key_cannot_pass_for_a_lack_of_memory(pair: Pair) -> None:
    data = pair[0].read_bytes()
    key = b"tokenizer.ggml.tokens"
    at = data.index(key)
    named = b"encountered bad_alloc"
    assert len(named) == len(key)
    pair[0].write_bytes(data[:at] + named + b"\xff" * 4 + data[at + len(key) + 4 :])
    with pytest.raises(ModelFileError, match="expected a complete GGUF file"):
        Model.load(*pair)


def test_a_name_that_is_not_utf8_is_refused_in_words_that_are(pair: Pair) -> None:
    data = pair[0].read_bytes()
    key = b"general.architecture"
    start = data.index(key) + len(key) + 4 + 8  # the value's type and its length
    pair[0].write_bytes(data[:start] + b"\xff\xfe" + data[start + 2 :])
    with pytest.raises(ModelFileError, match="\N{REPLACEMENT CHARACTER}"):
        Model.load(pair[0])
