"""The numpy oracle against what the published model code computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from goldens import GOLDENS, Golden, golden_folder
from reference import Reference


@pytest.fixture(scope="module", params=GOLDENS)
def golden(request: pytest.FixtureRequest, shared_dir: Path) -> Golden:
    return Golden(golden_folder(shared_dir, request.param))


def test_every_stage_is_the_published_one(golden: Golden) -> None:
    reference = Reference(golden.folder)
    trace = reference.trace(golden.tiles, golden.prompt_ids("image"))
    text = reference.trace(None, golden.prompt_ids("text"))
    golden.compare(trace, text["logits"]).assert_close(relative=1e-5, cosine=1 - 1e-9)


def test_greedy_tokens_are_the_published_ones(golden: Golden) -> None:
    want = golden.certain_ids("text")
    assert Reference(golden.folder).greedy(None, golden.prompt_ids("text"), len(want)) == want
