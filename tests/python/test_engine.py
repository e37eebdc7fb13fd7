"""One engine, many callers: who shares a pass, who waits, and what touches nobody else."""

from __future__ import annotations

import _thread
import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.model import Model
from crispvl.engine.request import Request
from crispvl.engine.steps import Encoded
from crispvl.engine.token_stream import Token
from crispvl.errors import Cancelled, EngineBusyError, EngineClosedError, OutOfMemoryError
from crispvl.options import GenerateOptions
from crispvl.results.generation import Generation

from .conftest import SPECIAL_IDS, TILE_PX, TOKENS_PER_TILE, FakeCancelToken, FakeModel

PATIENCE_S = 20  # of a test whose expectation does not come true


class Watched(FakeModel):
    """Writes down its work, and stops at a gate where a test wants it to.

    A prompt is known by its first id. ``E`` and ``P`` stand for its slices, a list for a pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tiles_per_graph = 1
        self.answer = list(b"An answer")
        self.log: list[Any] = []
        self.gate: Callable[[str, Any], None] = lambda where, cancel: None

    def encode(self, tiles: Any, cancel: Any, progress: Any) -> Any:
        self.log.append(("E", int(tiles[0, 0, 0, 0])))
        self.gate("encode", cancel)
        return super().encode(tiles, cancel, progress)

    def new_session(self, n_ctx: int) -> Any:
        session = super().new_session(n_ctx)
        prefill = session.prefill

        def watched(ids: list[int], embeddings: Any, cancel: Any) -> None:
            self.log.append(("P", ids[0]))
            self.gate("prefill", cancel)
            prefill(ids, embeddings, cancel)

        session.prefill = watched  # type: ignore[method-assign]
        return session


@pytest.fixture
def core_model(core: FakeModel, monkeypatch: pytest.MonkeyPatch) -> Watched:
    import crispvl._core

    watched = Watched()
    decode: Callable[..., None] = crispvl._core.Session.decode_batch

    def decode_batch(sessions: list[Any], ids: Any, cancels: Any) -> None:
        watched.log.append([session.ids[0] for session in sessions])
        for cancel in cancels:
            watched.gate("decode", cancel)
        decode(sessions, ids, cancels)

    monkeypatch.setattr(crispvl._core.Session, "decode_batch", decode_batch)
    return watched


@pytest.fixture
def engine(core_model: Watched) -> Engine:
    return Engine(Model(core_model))  # type: ignore[arg-type]


def prompt(mark: int, n_tiles: int = 0, **fields: Any) -> Request:
    """A request whose prompt and tiles begin with a number that tells it from others."""
    ids = [mark, *[SPECIAL_IDS["<IMG_CONTEXT>"]] * (n_tiles * TOKENS_PER_TILE)]
    tiles = np.full((n_tiles, TILE_PX, TILE_PX, 3), mark, np.uint8)
    tiles[:, -1, -1, -1] = range(n_tiles)  # equal tiles would be encoded once
    options = GenerateOptions(speculate=False, **fields.pop("options", {}))
    return Request(prompt_ids=ids, images=(tiles,) if n_tiles else (), options=options, **fields)


def passes(core: Watched) -> list[list[int]]:
    return [entry for entry in core.log if isinstance(entry, list)]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


class StandStill:
    """Holds the model up at one kind of work until it is let go, or cancelled as the core is."""

    def __init__(self, core: Watched, where: str) -> None:
        self._where = where
        self.reached, self.open = threading.Event(), threading.Event()
        core.gate = self

    def __call__(self, where: str, cancel: Any) -> None:
        if where != self._where or self.open.is_set():
            return
        self.reached.set()
        while not self.open.wait(0.001):
            if cancel is not None and cancel.cancelled:
                raise Cancelled(f"[{where}] cancelled")


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_requests_of_many_threads_share_each_pass(engine: Engine, core_model: Watched) -> None:
    core_model.answer *= 4
    handles: list[Handle[Generation]] = []
    adding = [in_thread(lambda i=i: handles.append(engine.submit(prompt(i)))) for i in range(16)]
    for thread in adding:
        thread.join()
    texts: list[str] = []
    waiting = [in_thread(lambda h=h: texts.append(h.result().text)) for h in handles]
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert texts == ["An answer" * 4] * 16
    assert max(map(len, passes(core_model))) == 16
    assert len(passes(core_model)) < 16 + len(core_model.answer)


def test_nothing_is_computed_before_somebody_waits(engine: Engine, core_model: Watched) -> None:
    handle = engine.submit(prompt(1))
    assert core_model.log == []
    tokens = iter(handle)
    assert next(tokens).text == "A"
    n_done = len(core_model.log)
    time.sleep(0.05)
    assert len(core_model.log) == n_done
    assert "".join(token.text for token in tokens) == "n answer"


def test_a_crop_overtakes_a_long_page_that_was_begun(engine: Engine, core_model: Watched) -> None:
    gate = StandStill(core_model, "encode")
    page = engine.submit(prompt(1, n_tiles=12))
    reading = in_thread(page.result)
    assert gate.reached.wait(PATIENCE_S)
    crop = engine.submit(prompt(2, n_tiles=1))
    gate.open.set()
    assert crop.result().text == "An answer"
    reading.join(PATIENCE_S)
    slices = [entry for entry in core_model.log if isinstance(entry, tuple)]
    assert slices[:3] == [("E", 1), ("E", 2), ("P", 2)]


def test_short_requests_do_not_hold_a_long_one_up_for_ever(
    engine: Engine, core_model: Watched
) -> None:
    page = engine.submit(prompt(1, n_tiles=12))
    n_more = 100

    def another(event: Any) -> None:
        nonlocal n_more
        if isinstance(event, Handle) and n_more > 0:
            n_more -= 1
            engine.submit(prompt(2, n_tiles=1), another)

    for _ in range(8):
        engine.submit(prompt(2, n_tiles=1), another)
    page.result()
    before = core_model.log[: core_model.log.index(("P", 1))]
    assert 1 <= before.count(("P", 2)) <= 20
    assert engine.close()


def test_equals_are_first_come_first_served(core_model: Watched) -> None:
    engine = Engine(Model(core_model), n_places=1)  # type: ignore[arg-type]
    handles = [engine.submit(prompt(i, n_tiles=1)) for i in range(5)]
    engine.wait(handles, "all")
    assert [mark for kind, mark in filter(_is_slice, core_model.log) if kind == "P"] == [*range(5)]
    assert max(map(len, passes(core_model))) == 1


def _is_slice(entry: Any) -> bool:
    return isinstance(entry, tuple)


def test_a_request_is_cancelled_in_the_queue_without_ever_being_begun(core_model: Watched) -> None:
    engine = Engine(Model(core_model), n_places=1)  # type: ignore[arg-type]
    gate = StandStill(core_model, "decode")
    first, second = engine.submit(prompt(1)), engine.submit(prompt(2))
    reading = in_thread(first.result)
    assert gate.reached.wait(PATIENCE_S)
    second.cancel()
    with pytest.raises(Cancelled) as caught:
        second.result()  # while the first one is still at work
    assert caught.value.partial.text == ""
    gate.open.set()
    reading.join(PATIENCE_S)
    assert first.result().text == "An answer"
    assert core_model.prompts == [[1]]


@pytest.mark.parametrize("where", ["encode", "prefill", "decode"])
def test_cancelling_frees_the_place_and_touches_no_neighbour(
    engine: Engine, core_model: Watched, where: str
) -> None:
    gate = StandStill(core_model, where)
    cancelled = engine.submit(prompt(1, n_tiles=2))
    neighbour = engine.submit(prompt(2, n_tiles=2))
    texts: list[str] = []
    reading = in_thread(lambda: texts.append(neighbour.result().text))
    assert gate.reached.wait(PATIENCE_S)
    cancelled.cancel()
    with pytest.raises(Cancelled):
        cancelled.result()
    assert engine.counts.n_running + engine.counts.n_queued == 1
    gate.open.set()
    reading.join(PATIENCE_S)
    assert texts == ["An answer"]
    counts = engine.counts
    assert (counts.n_done, counts.n_cancelled, counts.n_failed) == (1, 1, 0)


def test_a_request_that_fails_leaves_its_neighbours_as_they_are(
    engine: Engine, core_model: Watched
) -> None:
    def fail(where: str, cancel: Any) -> None:
        if where == "prefill" and core_model.log[-1] == ("P", 2):
            raise OutOfMemoryError("[engine] no memory")

    core_model.gate = fail
    handles = [engine.submit(prompt(i)) for i in (1, 2, 3)]
    engine.wait(handles, "all")
    with pytest.raises(OutOfMemoryError):
        handles[1].result()
    assert [handles[i].result().text for i in (0, 2)] == ["An answer"] * 2
    assert engine.counts.n_failed == 1


def test_whatever_a_request_raises_is_raised_to_who_asked(
    engine: Engine, core_model: Watched
) -> None:
    class Ended(BaseException):
        pass

    def next_token(written: list[int], sampler: Any) -> int:
        if core_model.prompts[core_model.prompt_number - 1] == [2] and len(written) == 3:
            raise Ended
        return FakeModel.next_token(core_model, written, sampler)

    core_model.next_token = next_token  # type: ignore[method-assign]
    good, bad = engine.submit(prompt(1)), engine.submit(prompt(2))
    with pytest.raises(Ended):
        bad.result()
    assert good.result().text == "An answer"


def test_a_time_limit_ends_a_request_in_the_queue(core_model: Watched) -> None:
    engine = Engine(Model(core_model), n_places=1)  # type: ignore[arg-type]
    gate = StandStill(core_model, "decode")
    limit: Any = FakeCancelToken()
    first, late = engine.submit(prompt(1)), engine.submit(prompt(2, cancel=limit))
    reading = in_thread(first.result)
    assert gate.reached.wait(PATIENCE_S)
    limit.is_late = True
    found = late.result(PATIENCE_S)
    assert (found.finish_reason, found.text) == ("time_limit", "")
    gate.open.set()
    reading.join(PATIENCE_S)
    assert first.result().text == "An answer"


def test_a_time_limit_ends_an_answer_with_what_there_is(
    engine: Engine, core_model: Watched
) -> None:
    limit: Any = FakeCancelToken()

    def next_token(written: list[int], sampler: Any) -> int:
        limit.is_late = limit.is_late or len(written) == 2
        return FakeModel.next_token(core_model, written, sampler)

    core_model.next_token = next_token  # type: ignore[method-assign]
    handle = engine.submit(prompt(1, cancel=limit))
    assert [token.text for token in handle] == ["A", "n", " "]
    assert handle.result().finish_reason == "time_limit"
    assert handle.error is None
    assert engine.counts.n_cancelled == 1


def test_a_full_queue_refuses_or_has_the_caller_wait(core_model: Watched) -> None:
    engine = Engine(Model(core_model), n_places=1, max_queued=2)  # type: ignore[arg-type]
    handles = [engine.submit(prompt(i)) for i in range(2)]
    with pytest.raises(EngineBusyError, match=r"^\[engine\] expected fewer than 2 .*; .*; try"):
        engine.submit(prompt(2), block=False)
    handles += [engine.submit(prompt(i)) for i in range(2, 6)]  # the model works meanwhile
    assert [handle.result().text for handle in handles] == ["An answer"] * 6
    waiting = [engine.submit(prompt(i)) for i in range(2)]
    waiting[0].cancel()
    assert engine.submit(prompt(3), block=False).result().text == "An answer"


def test_a_handle_that_is_dropped_frees_its_place(core_model: Watched) -> None:
    engine = Engine(Model(core_model), n_places=1)  # type: ignore[arg-type]
    dropped = engine.submit(prompt(1))
    assert next(iter(dropped)).text == "A"
    assert engine.counts.n_running == 1
    del dropped
    gc.collect()
    until(lambda: engine.counts.n_running == 0)
    assert engine.submit(prompt(2)).result().text == "An answer"


def test_a_listener_is_told_everything_without_anybody_waiting(engine: Engine) -> None:
    told: list[Any] = []
    ended = threading.Event()

    def listen(event: Any) -> None:
        told.append(event)
        if isinstance(event, Handle):
            ended.set()

    engine.submit(prompt(1, n_tiles=2), listen)  # nobody keeps the handle
    assert ended.wait(PATIENCE_S)
    assert told[:2] == [Encoded(1, 2), Encoded(2, 2)]
    assert "".join(event.text for event in told if isinstance(event, Token)) == "An answer"
    assert told[-1].result().text == "An answer"
    until(lambda: not any(t.name.startswith("crispvl-engine") for t in threading.enumerate()))


def test_a_listener_that_raises_ends_its_own_request_alone(engine: Engine) -> None:
    def listen(event: Any) -> None:
        if isinstance(event, Token):
            raise RuntimeError("enough")

    ended = engine.submit(prompt(1), listen)
    neighbour = engine.submit(prompt(2))
    with pytest.raises(RuntimeError, match="enough"):
        ended.result()
    assert neighbour.result().text == "An answer"


def test_tasks_read_tokens_while_the_event_loop_runs_on(
    engine: Engine, core_model: Watched
) -> None:
    async def read(mark: int) -> str:
        return "".join([token.text async for token in engine.submit(prompt(mark))])

    async def read_all() -> list[str]:
        return await asyncio.gather(*map(read, range(4)))

    assert asyncio.run(read_all()) == ["An answer"] * 4
    assert max(map(len, passes(core_model))) > 1


def test_a_task_that_is_cancelled_cancels_its_request(engine: Engine, core_model: Watched) -> None:
    gate = StandStill(core_model, "encode")
    handle = engine.submit(prompt(1, n_tiles=1))

    async def cancelled() -> None:
        async def read() -> None:
            async for _ in handle:
                pass

        task = asyncio.create_task(read())
        while not gate.reached.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    with pytest.raises(Cancelled):
        handle.result(PATIENCE_S)


def test_an_interrupt_ends_the_caller_that_waits_and_no_other(
    engine: Engine, core_model: Watched
) -> None:
    gate = StandStill(core_model, "decode")
    texts: list[str] = []
    other = in_thread(lambda: texts.append(engine.submit(prompt(1)).result().text))
    assert gate.reached.wait(PATIENCE_S)
    threading.Timer(0.05, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt), engine.submit(prompt(2)) as handle:
        handle.result()
    gate.open.set()
    other.join(PATIENCE_S)
    assert texts == ["An answer"]
    with pytest.raises(Cancelled):
        handle.result()


def test_waiting_for_a_result_may_end_before_it(engine: Engine, core_model: Watched) -> None:
    gate = StandStill(core_model, "decode")
    handle = engine.submit(prompt(1))
    in_thread(handle.result)
    assert gate.reached.wait(PATIENCE_S)
    with pytest.raises(TimeoutError, match="found it decoding"):
        handle.result(timeout=0.02)
    gate.open.set()
    assert handle.result().text == "An answer"


def test_closing_finishes_what_was_asked_and_takes_no_more(
    engine: Engine, core_model: Watched
) -> None:
    handles = [engine.submit(prompt(i)) for i in range(20)]
    assert engine.close()
    assert [handle.result().text for handle in handles] == ["An answer"] * 20
    with pytest.raises(EngineClosedError):
        engine.submit(prompt(1))
    assert engine.close()


def test_closing_cancels_where_it_is_told_to_or_its_time_is_up(core_model: Watched) -> None:
    for close in ({"finish": False}, {"timeout": 0.02}):
        engine = Engine(Model(core_model), n_places=2)  # type: ignore[arg-type]
        gate = StandStill(core_model, "decode")
        handles = [engine.submit(prompt(i)) for i in range(3)]
        in_thread(lambda e=engine, h=handles: e.wait(h, "all"))
        assert gate.reached.wait(PATIENCE_S)
        assert not engine.close(**close)  # type: ignore[arg-type]
        assert all(isinstance(handle.error, Cancelled) for handle in handles)
        assert engine.counts.n_running == engine.counts.n_queued == 0


def test_sessions_of_all_answers_stay_within_their_memory(
    core_model: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 4 * core_model.kv_bytes * 3 * 30
    monkeypatch.setattr("crispvl.engine.kv_memory.available_bytes", lambda: free)
    engine = Engine(Model(core_model))  # type: ignore[arg-type]
    handles = [engine.submit(prompt(i, options={"max_tokens": 29})) for i in range(6)]
    engine.wait(handles, "all")
    assert max(map(len, passes(core_model))) == 3
    huge = engine.submit(prompt(7, options={"max_tokens": 300}))
    assert huge.result().text == "An answer"  # alone it may have more


def test_callers_of_a_model_share_an_engine(core_model: Watched) -> None:
    from crispvl import CrispOCR

    model = Model(core_model)  # type: ignore[arg-type]
    first, second = CrispOCR(model), CrispOCR(model, max_tiles=1)
    assert first.engine is second.engine
    assert CrispOCR(Model(core_model)).engine is not first.engine  # type: ignore[arg-type]
