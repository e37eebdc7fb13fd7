"""What the bundled model's training supervises, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fonts")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers", minversion="5.0")


def test_the_last_source_is_that_of_the_last_drawn_character_before() -> None:
    from synth import NOWHERE
    from train import last_sources

    sources = torch.tensor([[NOWHERE, 3, NOWHERE, NOWHERE, 7, 7, NOWHERE]])
    assert last_sources(sources).tolist() == [[NOWHERE, NOWHERE, 3, 3, 3, 7, 7]]


def test_a_line_begins_with_its_first_drawn_character_and_lasts_until_the_next_one_is_begun() -> (
    None
):
    from synth import NOWHERE
    from train import line_starts

    ids = torch.tensor([[*b"ab\n# cd\n\ne"]])
    sources = torch.tensor([[0, 0, NOWHERE, NOWHERE, NOWHERE, 8, 9, NOWHERE, NOWHERE, 16]])
    assert line_starts(ids, sources).tolist() == [[NOWHERE, 0, 0, 0, 0, 0, 5, 5, 5, 5]]


def test_a_head_that_looks_where_it_should_loses_nothing() -> None:
    from synth import NOWHERE
    from train import pointer_loss

    sources, weight = torch.tensor([[1, NOWHERE, 2]]), torch.tensor([[1.0, 1.0, 5.0]])
    right = torch.eye(3)[[1, 0, 2]][None]
    assert abs(float(pointer_loss(right, sources, weight))) < 1e-3
    assert float(pointer_loss(right.flip(2), sources, weight)) > 1


@pytest.mark.parametrize("shape", [(2, 16, 16), (3, 16, 48), (2, 48, 16)])
def test_muon_steps_along_every_direction_alike(shape: tuple[int, int, int]) -> None:
    from optimizer import orthogonalized

    torch.manual_seed(0)
    lengths = torch.linalg.svdvals(orthogonalized(torch.randn(shape)).float())
    assert ((lengths > 0.5) & (lengths < 1.3)).all()


def test_the_dense_heads_come_back_from_beside_the_checkpoint(tmp_path: Path) -> None:
    from export import load_heads, write_heads
    from model import Nano

    torch.manual_seed(0)
    learnt, fresh = Nano(), Nano()
    write_heads(learnt, tmp_path / "checkpoint")
    load_heads(fresh, tmp_path / "checkpoint")
    assert (tmp_path / "heads.safetensors").is_file()
    for (_, one), (_, other) in zip(learnt.heads(), fresh.heads(), strict=True):
        assert torch.equal(one.weight.bfloat16(), other.weight.bfloat16())
