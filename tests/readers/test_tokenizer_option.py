"""A model file without a tokenizer, and the tokenizer given beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from crispvl import Model
from crispvl.cli import main
from crispvl.convert import convert_checkpoint
from crispvl.errors import ModelFileError
from foreign import ForeignModel, write_native, write_pair
from foreign.checks import assert_computes_the_reference

TinyModel = Callable[[str], ForeignModel]

TEXTS = ["the text of the page", " two  spaces", "Größe 12,50 €", "<img>the</img>"]


@pytest.mark.parametrize("row", ["base", "internlm2", "tokenizer-json"])
@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_tokenizer_given_beside_the_model_is_used(
    kind: str, row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    folder = model.settings.files.folder
    ours, _ = convert_checkpoint(folder, tmp_path / "ours.gguf", "f32", "pair").files
    path = write_native(model, tmp_path / "bare.gguf", without=["tokenizer"])
    found = Model.load(path, device="cpu", tokenizer=folder if kind == "folder" else ours)
    assert_computes_the_reference(found, model)
    want = Model.load(ours, vocab_only=True)
    assert [found.tokenize(t) for t in TEXTS] == [want.tokenize(t) for t in TEXTS]
    assert found.config["tokenizer"] == want.config["tokenizer"] or kind == "folder"
    stops = found.config["chat"]["stop_token_ids"]
    assert model.settings.vocabulary.require("<|im_end|>") in stops


def test_folder_needs_the_tokenizer_files_alone(tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model("base")
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"):
        (folder / name).write_bytes((model.settings.files.folder / name).read_bytes())
    path = write_native(model, tmp_path / "bare.gguf", without=["tokenizer"])
    assert_computes_the_reference(Model.load(path, device="cpu", tokenizer=folder), model)


def test_tokenizer_of_another_model_is_refused(tiny_model: TinyModel, tmp_path: Path) -> None:
    single = tmp_path / "ours.gguf"
    convert_checkpoint(tiny_model("base").settings.files.folder, single, "f32")
    other = tiny_model("internlm2").settings.files.folder
    with pytest.raises(ModelFileError, match="the tokenizer given has it elsewhere"):
        Model.load(single, tokenizer=other)


def test_file_without_a_vocabulary_is_no_tokenizer(tiny_model: TinyModel, tmp_path: Path) -> None:
    text, mmproj = write_pair(tiny_model("base"), tmp_path)
    with pytest.raises(ModelFileError, match="expected a GGUF file with a vocabulary"):
        Model.load(text, mmproj, tokenizer=mmproj)


def test_missing_tokenizer_is_a_missing_file(tiny_model: TinyModel, tmp_path: Path) -> None:
    path = write_native(tiny_model("base"), tmp_path / "bare.gguf", without=["tokenizer"])
    with pytest.raises(FileNotFoundError):
        Model.load(path, tokenizer=tmp_path / "nowhere")


def test_commands_take_the_option(
    tiny_model: TinyModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("base")
    path = write_native(model, tmp_path / "bare.gguf", without=["tokenizer"])
    assert main(["inspect", str(path)]) == 2
    assert "--tokenizer" in capsys.readouterr().err
    folder = str(model.settings.files.folder)
    assert main(["inspect", str(path), "--tokenizer", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["tokenizer"]["pre"] == "qwen2"


def test_a_model_with_its_own_vocabulary_is_loaded_without_the_converter() -> None:
    script = (
        "import sys; from crispvl import Model; from crispvl.hub import bundled; "
        "Model.load(bundled.path(), device='cpu'); print('gguf' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert run.stdout == "False\n", run.stderr
