"""Importance matrices: what is collected, written and read, and what it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.convert import convert_checkpoint
from crispvl.errors import DocumentError, ModelFileError
from crispvl.evaluation.imatrix import collect_importance
from crispvl.quantize import quantize_file
from crispvl.quantize.importance import read_importance, write_importance
from crispvl.quantize.roles import Role, source_tensors
from crispvl.reading.ocr import CrispOCR
from foreign import ForeignModel
from foreign.checks import TILES, image_prompt
from PIL import Image
from reference import Reference
from reference.numbers import linear
from tiny import make_checkpoint
from tiny.rows import row


def test_every_matrix_of_encoder_and_decoder_is_watched(wide: Path, imatrix: Path) -> None:
    names = set(read_importance(imatrix).columns)
    for tensor in _core.GgufFile(str(wide)).tensors:
        is_matrix = len(tensor["shape"]) > 1 and tensor["name"].endswith(".weight")
        if is_matrix and not tensor["name"].startswith(("v.position_embd", "token_embd")):
            assert tensor["name"] in names


def test_sums_are_those_of_the_traced_activations(wide: Path) -> None:
    core = Model.load(wide, device="cpu", threads=1, exact=True).core
    collector = _core.ImportanceCollector(core)
    trace = core.trace(None, [3, 1, 4, 1, 5])
    sums, count = collector.sums["output.weight"]
    collector.close()
    # The head sees the last position's normalised state alone.
    np.testing.assert_allclose(sums, trace["llm_final_norm"][0, -1] ** 2, rtol=1e-4)
    assert count == 1
    assert collector.sums["blk.0.attn_q.weight"][1] == 5


# The matrices of a block by our names and the reference's.
_VISION = {"attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_out": "out", "ffn_up": "fc1",
           "ffn_down": "fc2"}  # fmt: skip
_TEXT = {"attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_output": "out", "ffn_gate": "gate",
         "ffn_up": "up", "ffn_down": "down"}  # fmt: skip


def reference_inputs(
    reference: Reference, prompt: list[int], monkeypatch: pytest.MonkeyPatch
) -> dict[str, np.ndarray]:
    """What meets each matrix, in float64 ``[n_rows, n_columns]``, by the reference's names."""
    weights = reference.checkpoint.weights
    names = {id(weights[name]): name.removesuffix(".weight") for name in weights}
    rows: dict[str, list[np.ndarray]] = {}

    def record(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        rows.setdefault(names[id(weight)], []).append(x)
        return linear(x, weight, bias)

    for module in ("vision_layer", "projector", "decoder_layer"):
        monkeypatch.setattr(f"reference.{module}.linear", record)
    reference.trace(TILES, prompt)
    return {name: np.concatenate(inputs) for name, inputs in rows.items()}


@pytest.mark.parametrize("name", ["base", "vision-6b", "internlm2", "qwen3-hf-tied"])
def test_sums_of_every_matrix_are_those_of_the_reference(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ForeignModel.load(make_checkpoint(row(name), tmp_path / "checkpoint"))
    convert_checkpoint(model.settings.files.folder, tmp_path / "a.gguf", "f32")
    core = Model.load(tmp_path / "a.gguf", device="cpu", threads=1, exact=True).core
    collector = _core.ImportanceCollector(core)
    core.trace(TILES, image_prompt(model))
    sums = collector.sums
    collector.close()
    inputs = reference_inputs(model.reference, image_prompt(model), monkeypatch)
    ours = {"mm.model.mlp.1": "projector.fc1", "mm.model.mlp.3": "projector.fc2"}
    for prefix, block, modules, n_layers in (
        ("v.blk", "vision", _VISION, model.settings.config.vision.n_layers),
        ("blk", "decoder", _TEXT, model.settings.config.decoder.n_layers),
    ):
        for i in range(n_layers):
            ours |= {f"{prefix}.{i}.{a}": f"{block}.{i}.{b}" for a, b in modules.items()}
    assert set(ours.values()) == set(inputs)
    for tensor, source in ours.items():
        found, n_rows = sums[f"{tensor}.weight"]
        want = (inputs[source] ** 2).sum(axis=0)
        assert n_rows == len(inputs[source]), tensor
        np.testing.assert_allclose(found, want, rtol=2e-3, atol=2e-3 * want.max(), err_msg=tensor)


@pytest.mark.parametrize("recipe", ["f16", "q8_0"])
def test_fast_kernels_are_not_watched_in_silence(
    recipe: str, wide: Path, page: Path, tmp_path: Path
) -> None:
    quantize_file(wide, tmp_path / "a.gguf", recipe)
    with pytest.raises(ValueError, match="exact=True"):
        collect_importance(CrispOCR(Model.load(tmp_path / "a.gguf", device="cpu")), [page])
    exact = CrispOCR(Model.load(tmp_path / "a.gguf", device="cpu", exact=True))
    watched = set(collect_importance(exact, [page], max_tokens=2))
    matrices = {
        tensor.name
        for tensor in source_tensors(_core.GgufFile(str(wide)).tensors)
        if tensor.role in (Role.VISION, Role.TEXT)
    }
    assert matrices <= watched


def test_a_closed_collector_sees_no_more(wide: Path) -> None:
    core = Model.load(wide, device="cpu", threads=1, exact=True).core
    collector = _core.ImportanceCollector(core)
    core.trace(None, [1, 2])
    collector.close()
    core.trace(None, [1, 2, 3])
    assert collector.sums["blk.0.attn_q.weight"][1] == 2


def test_watching_does_not_change_what_the_model_computes(wide: Path) -> None:
    core = Model.load(wide, device="cpu", threads=1, exact=True).core
    plain = core.trace(None, [1, 2, 3])["logits"]
    collector = _core.ImportanceCollector(core)
    np.testing.assert_array_equal(core.trace(None, [1, 2, 3])["logits"], plain)
    collector.close()


def test_text_counts_as_well_as_pages(wide: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the quick brown fox " * 50, "utf-8")
    ocr = CrispOCR(Model.load(wide, device="cpu", threads=1, exact=True))
    sums = collect_importance(ocr, texts=[tmp_path / "text.txt"])
    assert "blk.0.ffn_up.weight" in sums
    assert "v.blk.0.ffn_up.weight" not in sums
    with pytest.raises(ValueError, match="pages or text"):
        collect_importance(ocr)


def test_a_blank_page_is_read_as_any_other(wide: Path, tmp_path: Path) -> None:
    Image.new("RGB", (120, 80), "white").save(tmp_path / "white.png")
    ocr = CrispOCR(Model.load(wide, device="cpu", threads=1, exact=True))
    sums = collect_importance(ocr, [tmp_path / "white.png"], max_tokens=2)
    assert "v.blk.0.ffn_up.weight" in sums


def test_a_text_that_is_no_utf8_is_named_before_a_page_is_read(wide: Path, tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"Caf\xe9")
    ocr = CrispOCR(Model.load(wide, device="cpu", threads=1, exact=True))
    with pytest.raises(DocumentError, match=r"latin\.txt\] expected text in UTF-8"):
        collect_importance(ocr, [tmp_path / "nowhere.png"], [latin])


def test_inputs_without_a_token_are_refused(wide: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("", "utf-8")
    ocr = CrispOCR(Model.load(wide, device="cpu", threads=1, exact=True))
    with pytest.raises(ValueError, match="found no token"):
        collect_importance(ocr, texts=[tmp_path / "empty.txt"])


def test_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    sums = {"blk.0.attn_q.weight": (np.arange(1, 65, dtype=np.float32), 4)}
    write_importance(tmp_path / "i.gguf", sums, ["a.png", "\udce9.txt"])
    matrix = read_importance(tmp_path / "i.gguf")
    found = matrix.columns["blk.0.attn_q.weight"]
    np.testing.assert_allclose(found, np.arange(1, 65) / 32.5, rtol=1e-6)
    assert matrix.datasets == ["a.png", r"\udce9.txt"]  # a name that is no UTF-8 is written out


def test_silent_columns_still_count_a_little(tmp_path: Path) -> None:
    sums = {"a.weight": (np.array([0, 8], np.float32), 2), "b.weight": (np.zeros(4, "f4"), 2)}
    write_importance(tmp_path / "i.gguf", sums, ["x"])
    columns = read_importance(tmp_path / "i.gguf").columns
    assert 0 < columns["a.weight"][0] < 1e-3
    np.testing.assert_array_equal(columns["b.weight"], np.ones(4))


def test_an_importance_matrix_lowers_the_error_of_the_output(
    wide: Path, imatrix: Path, tmp_path: Path
) -> None:
    tiles = np.random.default_rng(3).integers(0, 256, (1, 56, 56, 3), np.uint8)

    def loss(path: Path) -> float:
        model = Model.load(path, device="cpu", threads=1)
        prompt = [*[model.config["image"]["context_token_id"]] * 4, *range(40, 60)]
        return float(((model.trace(tiles, prompt)["llm_layer_0"] - want) ** 2).sum())

    exact = Model.load(wide, device="cpu", threads=1)
    prompt = [*[exact.config["image"]["context_token_id"]] * 4, *range(40, 60)]
    want = exact.trace(tiles, prompt)["llm_layer_0"]
    quantize_file(wide, tmp_path / "plain.gguf", "iq3_s")
    quantize_file(wide, tmp_path / "weighted.gguf", "iq3_s", imatrix=imatrix)
    assert loss(tmp_path / "weighted.gguf") < loss(tmp_path / "plain.gguf")


def test_the_result_tells_the_matrix(wide: Path, imatrix: Path, tmp_path: Path) -> None:
    quantize_file(wide, tmp_path / "out.gguf", "iq2_xs", imatrix=imatrix)
    keys = _core.GgufFile(str(tmp_path / "out.gguf")).metadata
    assert keys["quantize.imatrix.file"] == imatrix.name
    assert keys["quantize.imatrix.entries_count"] > 50
    quantize_file(tmp_path / "out.gguf", tmp_path / "again.gguf", "q8_0")
    assert "quantize.imatrix.file" not in _core.GgufFile(str(tmp_path / "again.gguf")).metadata


def test_a_matrix_of_another_model_is_refused(
    narrow: Path, wide: Path, imatrix: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match="this model"):
        quantize_file(narrow, tmp_path / "out.gguf", "q4_k_m", imatrix=imatrix)
    with pytest.raises(ModelFileError, match="another kind"):
        quantize_file(wide, tmp_path / "out.gguf", "q4_k_m", imatrix=narrow)


def test_damaged_sums_are_refused(tmp_path: Path) -> None:
    write_importance(tmp_path / "i.gguf", {"a.weight": (np.array([np.nan], "f4"), 1)}, ["x"])
    with pytest.raises(ModelFileError, match="finite"):
        read_importance(tmp_path / "i.gguf")
