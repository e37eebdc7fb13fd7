"""``crispvl.json`` in a checkpoint: the prompts and strips that its model was trained for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import crispvl
import numpy as np
import pytest
from crispvl.convert import convert_checkpoint
from crispvl.errors import ModelFileError
from gguf import GGUFReader
from tiny import make_checkpoint
from tiny.rows import row

NANO = Path(__file__).resolve().parents[2] / "models" / "nano" / "checkpoint"
BUNDLED = Path(crispvl.__file__).parent / "data" / "nano.gguf"
STRIPS = {"n_rows": 2, "pitch_px": 28, "height_px": 20, "left_px": 4, "gap_px": 10}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(row("base"), tmp_path / "checkpoint")


def say(checkpoint: Path, content: Any) -> None:
    (checkpoint / "crispvl.json").write_text(json.dumps(content), "utf-8")


def keys_of(path: Path) -> dict[str, Any]:
    fields = GGUFReader(path).fields
    return {name: field.contents() for name, field in fields.items() if "." in name}


@pytest.mark.skipif(
    not (BUNDLED.is_file() and NANO.is_dir()), reason="this tree has no model or no checkpoint"
)
def test_the_bundled_model_is_what_convert_makes_of_its_checkpoint(tmp_path: Path) -> None:
    convert_checkpoint(NANO, tmp_path / "nano.gguf", "q8_0")
    version = "crispvl.converter.version"
    made, bundled = keys_of(tmp_path / "nano.gguf"), keys_of(BUNDLED)
    assert {**made, version: ""} == {**bundled, version: ""}
    for ours, theirs in zip(
        GGUFReader(tmp_path / "nano.gguf").tensors, GGUFReader(BUNDLED).tensors, strict=True
    ):
        assert ours.name == theirs.name
        assert np.array_equal(ours.data, theirs.data)


def test_a_checkpoint_says_how_its_model_reads(checkpoint: Path, tmp_path: Path) -> None:
    say(checkpoint, {"prompts": {"text": "OCR"}, "strips": STRIPS})
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    keys = keys_of(tmp_path / "model.gguf")
    assert keys["crispvl.prompt.text"] == "OCR"
    assert keys["crispvl.reading.layout"] == "lines"
    assert keys["crispvl.strips.rows"] == 2
    assert keys["crispvl.strips.gap_px"] == 10


def test_what_the_caller_tells_takes_precedence(checkpoint: Path, tmp_path: Path) -> None:
    say(checkpoint, {"prompts": {"text": "OCR", "markdown": "Markdown"}, "strips": STRIPS})
    told = {"prompts": {"text": "Read."}, "strips": {"n_rows": 1}}
    convert_checkpoint(checkpoint, tmp_path / "model.gguf", **told)
    keys = keys_of(tmp_path / "model.gguf")
    assert (keys["crispvl.prompt.text"], keys["crispvl.prompt.markdown"]) == ("Read.", "Markdown")
    assert keys["crispvl.strips.rows"] == 1
    assert "crispvl.strips.gap_px" not in keys


def test_a_checkpoint_without_strips_reads_pages(checkpoint: Path, tmp_path: Path) -> None:
    say(checkpoint, {"prompts": {"text": "OCR"}})
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert "crispvl.reading.layout" not in keys_of(tmp_path / "model.gguf")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([], "JSON object"),
        ({"prompt": {}}, "'prompt'"),
        ({"prompts": []}, "'prompts'"),
        ({"prompts": {"text": 1}}, "the prompt 'text'"),
        ({"prompts": {"poem": "Rhyme"}}, "'poem'"),
        ({"strips": 8}, "'strips'"),
        ({"strips": {"rows": 8}}, "'rows'"),
        ({"strips": {"n_rows": -1}}, "'n_rows'"),
        ({"strips": {"n_rows": True}}, "'n_rows'"),
        ({"strips": {"n_rows": 1 << 40}}, "'n_rows'"),
    ],
)
def test_a_file_with_anything_else_is_refused_by_its_name(
    content: Any, named: str, checkpoint: Path, tmp_path: Path
) -> None:
    say(checkpoint, content)
    with pytest.raises(ModelFileError, match=rf"^\[crispvl\.json\] expected .*{named}"):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


def test_strips_that_do_not_fit_the_tiles_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    say(checkpoint, {"strips": {**STRIPS, "n_rows": 100}})
    with pytest.raises(ModelFileError, match=r"strips that fit a tile .* found 100 of 20 px"):
        convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize("strips", [{"rows": 8}, {"n_rows": -1}])
def test_strips_that_no_caller_can_mean_are_a_value_error(
    strips: dict[str, int], checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=next(iter(strips))) as caught:
        convert_checkpoint(checkpoint, tmp_path / "model.gguf", strips=strips)
    assert not isinstance(caught.value, ModelFileError)
