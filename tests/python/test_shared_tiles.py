"""Tiles of the same pixels, as the white margins of pages: encoded once for all that show them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from crispvl.engine.embedding_cache import EmbeddingCache
from crispvl.engine.engine import Engine
from crispvl.engine.model import Model
from crispvl.engine.request import Request
from crispvl.engine.session_cache import SessionCache
from crispvl.engine.steps import Encoded
from crispvl.options import GenerateOptions

from .conftest import SPECIAL_IDS, TILE_PX, TOKENS_PER_TILE, WIDTH, FakeModel

WHITE = 255


class Marked(FakeModel):
    """Makes rows of a tile's first byte, and writes down which tiles it was given."""

    def __init__(self, tiles_per_graph: int = 1) -> None:
        super().__init__()
        self.tiles_per_graph = tiles_per_graph
        self.slices: list[list[int]] = []
        self.rows: list[list[int]] = []  # that prompts were given, per tile

    def encode(self, tiles: Any, cancel: Any, progress: Any) -> Any:
        marks = tiles[:, 0, 0, 0]
        self.slices.append(marks.tolist())
        shape = (len(tiles), TOKENS_PER_TILE, WIDTH)
        return np.broadcast_to(marks[:, None, None], shape).astype(np.float32)

    def new_session(self, n_ctx: int) -> Any:
        session = super().new_session(n_ctx)
        prefill = session.prefill

        def watched(ids: list[int], embeddings: Any, cancel: Any) -> None:
            self.rows.append(embeddings[::TOKENS_PER_TILE, 0].astype(int).tolist())
            prefill(ids, embeddings, cancel)

        session.prefill = watched  # type: ignore[method-assign]
        return session


@pytest.fixture
def model(core: FakeModel) -> Marked:
    return Marked()


def page(*marks: int, cache: SessionCache | None = None) -> Request:
    """A question about a page, its tiles of one grey each."""
    tiles = np.stack([np.full((TILE_PX, TILE_PX, 3), mark, np.uint8) for mark in marks])
    ids = [1, *[SPECIAL_IDS["<IMG_CONTEXT>"]] * (len(marks) * TOKENS_PER_TILE)]
    return Request(
        prompt_ids=ids,
        images=(tiles,),
        options=GenerateOptions(speculate=False),
        sessions=None if cache is None else cache.for_page(tiles),
    )


def engine_of(model: Marked) -> Engine:
    return Engine(Model(model))  # type: ignore[arg-type]


def test_a_page_with_white_tiles_has_one_of_them_encoded(model: Marked) -> None:
    events = list(engine_of(model).submit(page(1, WHITE, 2, WHITE, WHITE)).events())
    assert model.slices == [[1], [WHITE], [2]]
    assert model.rows == [[1, WHITE, 2, WHITE, WHITE]]
    done = [event.n_done for event in events if isinstance(event, Encoded)]
    assert done == [1, 4, 5]


def test_slices_are_filled_with_tiles_that_differ(core: FakeModel) -> None:
    model = Marked(tiles_per_graph=2)
    engine_of(model).submit(page(WHITE, WHITE, 1, WHITE, 2)).result()
    assert model.slices == [[WHITE, 1], [2]]
    assert model.rows == [[WHITE, WHITE, 1, WHITE, 2]]


def test_pages_that_are_read_together_share_their_white_tiles(model: Marked) -> None:
    cache, engine = SessionCache(), engine_of(model)
    pages = [page(WHITE, i, WHITE, cache=cache) for i in (1, 2, 3)]
    engine.wait([engine.submit(request) for request in pages], "all")
    assert sorted(mark for part in model.slices for mark in part) == [1, 2, 3, WHITE]
    assert sorted(model.rows) == [[WHITE, i, WHITE] for i in (1, 2, 3)]


def test_a_page_gets_the_white_tile_of_an_earlier_one(model: Marked) -> None:
    cache, engine = SessionCache(), engine_of(model)
    engine.submit(page(WHITE, 1, cache=cache)).result()
    engine.submit(page(2, WHITE, WHITE, cache=cache)).result()
    assert model.slices == [[WHITE], [1], [2]]
    assert model.rows[-1] == [2, WHITE, WHITE]
    assert (cache.counts.image_hits, cache.counts.image_misses) == (1, 3)


def test_without_room_in_the_cache_a_page_still_shares_its_own_tiles(model: Marked) -> None:
    cache, engine = SessionCache(max_bytes=0), engine_of(model)
    for _ in range(2):
        engine.submit(page(WHITE, 1, WHITE, cache=cache)).result()
    assert model.slices == [[WHITE], [1]] * 2


def test_a_cache_keeps_what_was_asked_for_last() -> None:
    array = np.zeros(4, np.float32)
    cache = EmbeddingCache(2 * array.nbytes)
    cache.keep({b"a": array, b"b": array})
    assert list(cache.find([b"a"])) == [b"a"]
    cache.keep({b"c": array})
    assert list(cache.find([b"a", b"b", b"c"])) == [b"a", b"c"]
    assert cache.n_bytes == cache.max_bytes
