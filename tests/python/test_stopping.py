"""How soon the engine stops: it looks at a token between operators, wherever it is."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("crispvl._core")
from crispvl import Cancelled, CancelToken, CrispOCR, Model
from crispvl.hub import bundled
from own_kernels import kernels

ROOT = Path(__file__).resolve().parents[2]
RECEIPT = ROOT / "examples" / "receipt.png"

pytestmark = pytest.mark.skipif(
    not (RECEIPT.is_file() and bundled.path().is_file() and kernels),
    reason="this tree lacks the examples, the bundled model or the token that counts",
)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(bundled.path(), threads=1)


def tiles(model: Model, n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    px = model.config["vision"]["tile_px"]
    return np.full((n, px, px, 3), 255, np.uint8)


def test_encoding_looks_at_the_token_many_times_a_layer(model: Model) -> None:
    token = kernels.CountingToken()
    model.encode(tiles(model, 1), cancel=token)
    assert token.n_looks >= 4 * model.config["vision"]["n_layers"]


@pytest.mark.parametrize("n_tokens", [8, 300])
def test_prefill_and_decoding_look_at_the_token_many_times_a_layer(
    model: Model, n_tokens: int
) -> None:
    n_layers = model.config["decoder"]["n_layers"]
    session = model.core.new_session(n_tokens + 1)
    prompt, step = kernels.CountingToken(), kernels.CountingToken()
    session.prefill([5] * n_tokens, None, prompt)
    assert prompt.n_looks >= 4 * n_layers
    session.decode(5, step)
    assert step.n_looks >= 4 * n_layers


class CancelledAtLook:
    """Cancels a token once it has been asked a number of times.

    Another thread watches for it, so it may be asked a few times more.
    """

    def __init__(self, n_looks: int) -> None:
        self.token = kernels.CountingToken()
        self._done = threading.Event()
        self._n_looks = n_looks
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        return self.token

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while self.token.n_looks < self._n_looks and not self._done.is_set():
            pass
        self.token.cancel()


def test_cancelling_stops_within_encoding(model: Model) -> None:
    whole = kernels.CountingToken()
    model.encode(tiles(model, 40), cancel=whole)
    with CancelledAtLook(20) as token, pytest.raises(Cancelled):
        model.encode(tiles(model, 40), cancel=token)
    assert token.n_looks < whole.n_looks


def test_cancelling_stops_within_prefill_and_leaves_the_session_as_it_was(model: Model) -> None:
    ids = [int(i) for i in np.random.default_rng(0).integers(5, 200, 900)]
    session = model.core.new_session(len(ids) + 8)
    session.prefill(ids[:4], None, None)
    with CancelledAtLook(20) as token, pytest.raises(Cancelled):
        session.prefill(ids, None, token)
    assert session.n_past == 4
    session.prefill(ids[4:8], None, None)
    again = model.core.new_session(16)
    again.prefill(ids[:8], None, None)
    np.testing.assert_allclose(session.logits(), again.logits(), atol=1e-2)


def test_cancelling_stops_within_the_wait_for_another_graph(model: Model) -> None:
    one_graph, other = kernels.CountingToken(), kernels.CountingToken()
    waiting = CancelToken()
    model.encode(tiles(model, 4), cancel=one_graph)
    session = model.core.new_session(8)
    session.prefill([5, 5], None, None)
    busy = threading.Thread(target=model.encode, args=(tiles(model, 8),), kwargs={"cancel": other})
    busy.start()
    while other.n_looks < 2:  # it is at its first graph
        pass
    waiting.cancel()
    with pytest.raises(Cancelled):
        session.decode(5, waiting)
    n_looks = other.n_looks
    busy.join()
    assert n_looks < one_graph.n_looks


def test_a_time_limit_acts_within_encoding(model: Model) -> None:
    page = CrispOCR(model).recognize(RECEIPT, page_time_limit=1e-6).pages[0]
    assert page.finish_reason == "time_limit"
    assert page.text == ""
    assert page.timings.prefill_ms == 0
