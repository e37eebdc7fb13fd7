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


def test_a_head_that_the_file_lacks_stays_as_it_is(tmp_path: Path) -> None:
    from export import heads_file, load_heads, write_heads
    from model import Nano
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    learnt, fresh = Nano(), Nano()
    write_heads(learnt, tmp_path / "checkpoint")
    file = heads_file(tmp_path / "checkpoint")
    save_file({k: v for k, v in load_file(file).items() if not k.startswith("tile")}, file)
    before = fresh.tile_head.weight.clone()
    load_heads(fresh, tmp_path / "checkpoint")
    assert torch.equal(fresh.tile_head.weight, before)
    assert torch.equal(fresh.slot_head.weight.bfloat16(), learnt.slot_head.weight.bfloat16())


def test_image_tokens_that_tell_their_tile_or_the_thumbnail_lose_nothing() -> None:
    from model import TOKENS_PER_TILE
    from tiling import MAX_TILES
    from train import tile_loss

    def logits(*tiles: int) -> torch.Tensor:
        each = torch.tensor(tiles).repeat_interleave(TOKENS_PER_TILE)
        return 20 * torch.nn.functional.one_hot(each, MAX_TILES + 1).float().repeat(2, 1, 1)

    assert float(tile_loss(logits(0))) < 1e-3
    assert float(tile_loss(logits(0, 1, MAX_TILES))) < 1e-3
    assert float(tile_loss(logits(0, 1, 2))) > 5
    assert float(tile_loss(logits(MAX_TILES))) > 5


@pytest.mark.parametrize("first", [0, 1, 5])
def test_causal_attention_in_two_parts_is_that_of_the_whole(first: int) -> None:
    from model import attend, attend_causally, future

    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 8, 4)
    whole, weights = attend(q, k, v, future(8, 8, q))
    parts, later_weights = attend_causally(q, k, v, first)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(later_weights, weights[:, :, first:])


def test_an_answer_read_at_once_has_the_logits_of_one_read_token_by_token() -> None:
    from model import Nano

    torch.manual_seed(0)
    model = Nano().eval()
    tokens, ids = torch.randn(1, 64, 256), torch.tensor([[72, 105, 10, 258]])
    with torch.inference_mode():
        at_once, _ = model.logits(tokens, "OCR", ids)
        x, cache, _ = model.decode(model.prompt(tokens, "OCR"))
        steps = [model.vlm.lm_head(x[:, -1])]
        for token in ids[0, :-1]:
            x, cache, _ = model.decode(model.vlm.get_input_embeddings()(token[None, None]), cache)
            steps.append(model.vlm.lm_head(x[:, -1]))
    torch.testing.assert_close(at_once[0], torch.cat(steps), atol=1e-4, rtol=1e-4)
