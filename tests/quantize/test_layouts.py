"""Files of other engines, and split files, quantise as ours do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.errors import ModelFileError
from crispvl.quantize import quantize_file
from foreign import ForeignModel, write_merged, write_native, write_pair
from foreign.checks import TILES, image_prompt


@pytest.fixture(scope="module")
def foreign(wide_checkpoint: Path) -> ForeignModel:
    return ForeignModel.load(wide_checkpoint)


def contents(path: Path) -> dict[str, tuple[str, bytes]]:
    file = _core.GgufFile(str(path))
    return {t["name"]: (t["type"], file.data(t["name"]).tobytes()) for t in file.tensors}


@pytest.fixture(scope="module")
def parts(foreign: ForeignModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The first part of a split text file, and its projector."""
    return write_pair(foreign, tmp_path_factory.mktemp("split"), max_tensors=30)


def test_any_part_of_a_split_file_stands_for_all(
    foreign: ForeignModel, parts: tuple[Path, Path], tmp_path: Path
) -> None:
    whole, _ = write_pair(foreign, tmp_path)
    quantize_file(whole, tmp_path / "want.gguf", "q4_k_m")
    all_parts = sorted(parts[0].parent.glob("text-*.gguf"))
    assert len(all_parts) > 2
    report = quantize_file(all_parts[1], tmp_path / "found.gguf", "q4_k_m")
    assert contents(tmp_path / "found.gguf") == contents(tmp_path / "want.gguf")
    keys = _core.GgufFile(str(tmp_path / "found.gguf")).metadata
    assert not [key for key in keys if key.startswith("split.")]
    joined = b"".join(part.read_bytes() for part in all_parts)
    assert keys["crispvl.quantize.parent_sha256"] == hashlib.sha256(joined).hexdigest()
    assert report.source_bytes == len(joined)
    model = Model.load(tmp_path / "found.gguf", parts[1], device="cpu", threads=1)
    assert model.generate(image_prompt(foreign), TILES, max_tokens=3).ids


def test_auto_counts_all_parts(parts: tuple[Path, Path], tmp_path: Path) -> None:
    size = sum(part.stat().st_size for part in parts[0].parent.glob("text-*.gguf")) // 4
    quantize_file(parts[0], tmp_path / "out.gguf", "auto", max_bytes=size)
    assert size * 0.8 < (tmp_path / "out.gguf").stat().st_size <= size


def test_a_missing_part_is_named(parts: tuple[Path, Path], tmp_path: Path) -> None:
    copyfile(parts[0], tmp_path / parts[0].name)
    with pytest.raises(FileNotFoundError, match=r"text-00002-of-.*is missing"):
        quantize_file(tmp_path / parts[0].name, tmp_path / "out.gguf", "q8_0")


def test_a_part_is_not_overwritten(parts: tuple[Path, Path]) -> None:
    last = max(parts[0].parent.glob("text-*.gguf"))
    with pytest.raises(ValueError, match=r"found .*, an input"):
        quantize_file(parts[0], last, "q8_0")


def test_parts_of_one_tensor_are_refused(parts: tuple[Path, Path], tmp_path: Path) -> None:
    first, *_, last = sorted(parts[0].parent.glob("text-*.gguf"))
    for part in parts[0].parent.glob("text-*.gguf"):
        copyfile(part, tmp_path / part.name)
    names = [set(contents(path)) for path in (first, last)]
    twin = min(n for n in names[0] if n.replace("blk.0", "blk.7") in names[1] - {n})
    changed = last.read_bytes().replace(twin.replace("blk.0", "blk.7").encode(), twin.encode())
    (tmp_path / last.name).write_bytes(changed)
    with pytest.raises(ModelFileError, match="each tensor once"):
        quantize_file(tmp_path / first.name, tmp_path / "out.gguf", "q8_0")


@pytest.mark.parametrize("write", [write_native, write_merged])
def test_a_crispembed_file_quantises_as_ours_does(
    write: Callable[[ForeignModel, Path], Path],
    foreign: ForeignModel,
    wide: Path,
    tmp_path: Path,
) -> None:
    overrides = ["blk.3.ffn_up.weight=q8_0", "v.blk.0.attn_qkv.weight=f16"]
    ours = ["blk.3.ffn_up.weight=q8_0", "v.blk.0.attn_[qkv].weight=f16"]
    source = write(foreign, tmp_path / "theirs.gguf")
    quantize_file(source, tmp_path / "found.gguf", "q4_k_m", overrides=overrides)
    quantize_file(wide, tmp_path / "want.gguf", "q4_k_m", overrides=ours)
    names = [{t["name"] for t in _core.GgufFile(str(tmp_path / f)).tensors}
             for f in ("theirs.gguf", "found.gguf")]  # fmt: skip
    assert names[0] == names[1]
    found, want = (
        Model.load(tmp_path / f"{name}.gguf", device="cpu", threads=1, exact=True)
        for name in ("found", "want")
    )
    types = [{t["name"]: t["type"] for t in m.core.tensors} for m in (found, want)]
    assert types[0] == types[1]
    prompt = image_prompt(foreign)
    traces = [m.trace(TILES, prompt) for m in (found, want)]
    for stage, values in traces[1].items():
        np.testing.assert_allclose(traces[0][stage], values, atol=1e-5 * np.abs(values).max())
    answers = [m.generate(prompt, TILES, max_tokens=6).ids for m in (found, want)]
    assert answers[0] == answers[1]


def test_an_importance_matrix_serves_every_layout(
    foreign: ForeignModel, wide: Path, imatrix: Path, tmp_path: Path
) -> None:
    theirs = write_merged(foreign, tmp_path / "theirs.gguf")
    force = {"overrides": ["v.blk.*=iq3_s"], "force": True, "imatrix": imatrix}
    quantize_file(theirs, tmp_path / "found.gguf", "iq2_xs", **force)
    quantize_file(wide, tmp_path / "want.gguf", "iq2_xs", **force)
    found = dict(contents(tmp_path / "found.gguf"))
    want = contents(tmp_path / "want.gguf")
    assert found["l.blk.2.ffn_down.weight"] == want["blk.2.ffn_down.weight"]
    stack = b"".join(want[f"v.blk.1.attn_{part}.weight"][1] for part in "qkv")
    assert found["v.blk.1.attn_qkv.weight"] == ("iq3_s", stack)
