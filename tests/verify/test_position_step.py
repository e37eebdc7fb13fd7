"""Fractional positions of image tokens (V2PE) against a float64 reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference.decoder_layer
from crispvl import ContextOverflowError, GenerateOptions, Model, _core
from crispvl.convert import convert_checkpoint
from crispvl.engine.prefill import SessionSource
from crispvl.engine.request import Request
from crispvl.engine.session_cache import SessionCache
from crispvl.engine.token_stream import TokenStream
from goldens import max_difference
from reference import Reference
from reference.rope import rotate
from tiny import make_checkpoint
from tiny.rows import row

TILES = np.random.default_rng(7).integers(0, 256, (2, 56, 56, 3), np.uint8)
TEXT = [int(i) for i in np.random.default_rng(8).integers(0, 256, 30)]
STEPS = (1.0, 0.5, 0.25, 1 / 16, 1 / 256)


def make_model(name: str, folder: Path) -> tuple[Reference, Path]:
    checkpoint = make_checkpoint(row(name), folder / "checkpoint")
    convert_checkpoint(checkpoint, folder / "model.gguf", "f32")
    return Reference(checkpoint), folder / "model.gguf"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reference, Path]:
    return make_model("base", tmp_path_factory.mktemp("v2pe"))


def load(path: Path, step: float = 0.0) -> _core.Model:
    return _core.Model.load(str(path), None, "cpu", 1, False, image_position_step=step)


def prompt(reference: Reference) -> list[int]:
    return [*TEXT[:5], *[reference.checkpoint.image_token_id] * 8, *TEXT[5:20]]


def fractional_positions(ids: list[int], image_id: int, step: float) -> np.ndarray:
    advances = [step if token == image_id else 1.0 for token in ids]
    advances[0] = 0.0
    return np.cumsum(advances)


SCALINGS = ("base", "rope-linear", "rope-yarn", "rope-yarn-new-spelling")


@pytest.fixture(scope="module", params=SCALINGS)
def scaled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Reference, Path]:
    return make_model(request.param, tmp_path_factory.mktemp("v2pe"))


@pytest.mark.parametrize("step", STEPS)
def test_stages_equal_a_reference_with_fractional_positions(
    scaled: tuple[Reference, Path], step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle, path = scaled
    ids = prompt(oracle)
    positions = fractional_positions(ids, oracle.checkpoint.image_token_id, step)
    monkeypatch.setattr(
        reference.decoder_layer,
        "rotate",
        lambda x, at, f, factor: rotate(x, positions[at.astype(int)], f, factor),
    )
    found = load(path, step).trace(TILES, ids)
    for name, want in oracle.trace(TILES, ids).items():
        assert max_difference(found[name], want) <= 2e-5, name


def test_a_smaller_step_changes_the_logits(model: tuple[Reference, Path]) -> None:
    oracle, path = model
    whole = load(path).trace(TILES, prompt(oracle))["logits"]
    half = load(path, 0.5).trace(TILES, prompt(oracle))["logits"]
    assert max_difference(half, whole) > 1e-3


def test_tokens_after_the_prompt_go_on_from_its_last_position(
    model: tuple[Reference, Path],
) -> None:
    oracle, path = model
    core, ids = load(path, 0.25), prompt(oracle)
    width = core.config["decoder"]["width"]
    embeddings = core.encode(TILES, None, None).reshape(-1, width)
    whole, pieces = core.new_session(64), core.new_session(64)
    whole.prefill([*ids, *TEXT[20:23]], embeddings, None)
    pieces.prefill(ids, embeddings, None)
    pieces.decode(TEXT[20], None)
    pieces.decode(9, None)  # taken back
    pieces.rewind(len(ids) + 1)
    _core.Session.decode_batch([pieces], [[TEXT[21]]])
    pieces.decode(TEXT[22], None)
    assert max_difference(pieces.logits(), whole.logits()) <= 2e-5


def test_text_alone_is_the_same_with_every_step(model: tuple[Reference, Path]) -> None:
    _, path = model
    want = load(path).trace(None, TEXT)["logits"]
    np.testing.assert_array_equal(load(path, 1 / 64).trace(None, TEXT)["logits"], want)


def test_small_steps_fit_more_image_tokens_than_the_trained_length(
    model: tuple[Reference, Path],
) -> None:
    oracle, path = model
    core = load(path, 1 / 256)
    length = core.config["decoder"]["context_length"]
    rows = np.zeros((length + 88, core.config["decoder"]["width"]), np.float32)
    core.new_session(length + 100).prefill(
        [1, *[oracle.checkpoint.image_token_id] * len(rows), 2], rows, None
    )
    with pytest.raises(ValueError, match="positions up to"):
        core.new_session(length + 100).prefill([1] * (length + 1), None, None)


def test_answers_go_on_to_the_last_position_however_many_tokens_stand_before(
    model: tuple[Reference, Path],
) -> None:
    oracle, path = model
    core = load(path, 1 / 256)
    length = core.config["decoder"]["context_length"]
    per_tile = core.config["projector"]["tokens_per_tile"]
    tiles = np.repeat(TILES, length // per_tile // 2 + 1, axis=0)
    long = [1, *[oracle.checkpoint.image_token_id] * (per_tile * len(tiles)), *TEXT[:3]]
    assert len(long) > length
    options = GenerateOptions(max_tokens=2 * length, stop_at_eos=False)
    cache = SessionCache()

    def answer(
        ids: list[int], images: list[np.ndarray], sessions: SessionSource | None
    ) -> list[int]:
        request = Request(prompt_ids=ids, images=images, options=options, sessions=sessions)
        stream = TokenStream(Model(core), request)
        return [token.id for token in stream if token.id is not None]

    alone = answer(long, [tiles], None)
    n_image_positions = -(-(per_tile * len(tiles)) // 256)
    assert len(alone) == length - 1 - n_image_positions - 3
    assert answer(long, [tiles], cache.for_chat([tiles])) == alone
    # The session that is kept has room for more tokens than there are positions for text.
    assert len(answer(TEXT[:5], [], cache.for_chat([]))) == length - 5


def test_a_prompt_with_more_positions_than_the_context_is_refused(
    model: tuple[Reference, Path],
) -> None:
    core = load(model[1], 1 / 256)
    length = core.config["decoder"]["context_length"]
    with pytest.raises(ContextOverflowError, match=f"found {length}, from {length} tokens, 0 of"):
        Model(core).generate([1] * length)


@pytest.mark.parametrize("step", [0.3, 2.0, -1.0, 1 / 512])
def test_other_steps_are_refused(model: tuple[Reference, Path], step: float) -> None:
    with pytest.raises(ValueError, match="position step"):
        load(model[1], step)


@pytest.mark.parametrize("layout", ["single", "pair"])
def test_a_converted_file_says_its_step(layout: str, tmp_path: Path) -> None:
    checkpoint, path = make_checkpoint(row("base"), tmp_path / "checkpoint"), tmp_path / "m.gguf"
    report = convert_checkpoint(checkpoint, path, "f32", layout, image_position_step=1 / 16)
    mmproj = str(report.files[1]) if layout == "pair" else None
    assert _core.GgufFile(str(path)).metadata["crispvl.image.position_step"] == 1 / 16
    core = _core.Model.load(str(path), mmproj, "cpu", 1, False)
    assert core.config["image"]["position_step"] == 1 / 16
    overridden = _core.Model.load(str(path), mmproj, "cpu", 1, False, image_position_step=1.0)
    assert overridden.config["image"]["position_step"] == 1


def test_a_file_with_another_step_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="position step"):
        convert_checkpoint(tmp_path, tmp_path / "m.gguf", image_position_step=0.3)
