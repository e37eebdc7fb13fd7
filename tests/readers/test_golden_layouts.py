"""The goldens, from their checkpoints through the layouts of other engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from crispvl import Model
from foreign import ForeignModel, write_native, write_pair
from goldens import GOLDENS, Golden, golden_folder

# CrispEmbed's layout knows neither InternViT-6B nor Qwen3's norms and heads.
IN_CRISPEMBED = ["chat-qwen2", "chat-internlm2", "hf-internlm3"]


def assert_is_published(found: Model, golden: Golden) -> None:
    trace = found.trace(golden.tiles, golden.prompt_ids("image"))
    text = found.trace(None, golden.prompt_ids("text"))
    golden.compare(trace, text["logits"]).assert_close(relative=2e-3, cosine=0.999999)
    for kind, tiles in (("image", golden.tiles), ("text", None)):
        want, n = golden.certain_ids(kind), len(golden.expected[kind]["greedy_ids"])
        answer = found.generate(golden.prompt_ids(kind), tiles, max_tokens=n, stop_at_eos=False)
        assert list(answer.ids)[: len(want)] == want
    bos = [found.config["tokenizer"]["bos_id"]] if found.config["tokenizer"]["add_bos"] else []
    for case in golden.expected["tokenizer_cases"]:
        assert [*bos, *found.tokenize(case["text"])] == case["ids"], case["text"]


# llama.cpp's llama architecture has no sliding window.
IN_PAIRS = [name for name in GOLDENS if name != "hf-mistral"]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", IN_PAIRS)
def test_pair_gives_the_published_values(
    name: str, fused: bool, shared_dir: Path, tmp_path: Path
) -> None:
    golden = Golden(golden_folder(shared_dir, name))
    text, mmproj = write_pair(ForeignModel.load(golden.folder), tmp_path, fused=fused)
    assert_is_published(Model.load(text, mmproj, device="cpu"), golden)


@pytest.mark.parametrize("name", IN_CRISPEMBED)
def test_crispembed_file_gives_the_published_values(
    name: str, shared_dir: Path, tmp_path: Path
) -> None:
    golden = Golden(golden_folder(shared_dir, name))
    path = write_native(ForeignModel.load(golden.folder), tmp_path / "a.gguf")
    assert_is_published(Model.load(path, device="cpu"), golden)
