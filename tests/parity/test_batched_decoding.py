"""Sessions that decode together get the logits they would get alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl import ContextOverflowError, Model, _core
from crispvl.convert import convert_checkpoint
from tiny import ROWS, make_checkpoint

PROMPTS = [[5, 9, 200], [17], [3, 1, 4, 1, 5, 9, 2, 6], [250] * 20]
STEPS = 6


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder: Path = tmp_path_factory.mktemp("tiny")
    checkpoint = make_checkpoint(request.param, folder / "checkpoint")
    convert_checkpoint(checkpoint, folder / "model.gguf", "f32")
    return Model.load(folder / "model.gguf", device="cpu")


def sessions_after_their_prompts(model: Model, n_ctx: int = 40) -> list[_core.Session]:
    sessions = [model.core.new_session(n_ctx) for _ in PROMPTS]
    for session, prompt in zip(sessions, PROMPTS, strict=True):
        session.prefill(prompt, None, None)
    return sessions


def test_batched_decoding_equals_decoding_alone(model: Model) -> None:
    together, alone = sessions_after_their_prompts(model), sessions_after_their_prompts(model)
    ids = np.random.default_rng(0).integers(0, 256, (STEPS, len(PROMPTS)))
    for step in ids:
        _core.Session.decode_batch(together, [[int(i)] for i in step])
        for session, token in zip(alone, step, strict=True):
            session.decode(int(token), None)
        for a, b in zip(together, alone, strict=True):
            assert a.n_past == b.n_past
            np.testing.assert_allclose(
                a.logits(), b.logits(), atol=2e-5 * np.abs(b.logits()).max(), rtol=0
            )


def test_more_sessions_than_one_graph_serves_are_split(model: Model) -> None:
    sessions = [model.core.new_session(4) for _ in range(19)]
    for i, session in enumerate(sessions):
        session.prefill([i], None, None)
    _core.Session.decode_batch(sessions, [[i] for i in range(50, 69)])
    lone = model.core.new_session(4)
    lone.prefill([18], None, None)
    lone.decode(68, None)
    np.testing.assert_allclose(
        sessions[18].logits(), lone.logits(), atol=2e-5 * np.abs(lone.logits()).max(), rtol=0
    )


def test_a_batch_that_cannot_run_changes_no_session(model: Model) -> None:
    sessions = sessions_after_their_prompts(model, n_ctx=20)
    before = [(session.n_past, session.logits()) for session in sessions]
    with pytest.raises(ContextOverflowError):  # the last session is full
        _core.Session.decode_batch(sessions, [[1], [2], [3], [4]])
    with pytest.raises(ValueError, match="once"):
        _core.Session.decode_batch([sessions[0], sessions[0]], [[1], [2]])
    with pytest.raises(ValueError, match="token ids"):
        _core.Session.decode_batch(sessions[:2], [[1], [10**6]])
    with pytest.raises(ValueError, match="ids for each session"):
        _core.Session.decode_batch(sessions[:2], [[1]])
    with pytest.raises(ValueError, match="a token for each session"):
        _core.Session.decode_batch(sessions[:2], [[1], []])
    for session, (n_past, logits) in zip(sessions, before, strict=True):
        assert session.n_past == n_past
        assert np.array_equal(session.logits(), logits)
