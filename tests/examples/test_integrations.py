"""crispvl within LangChain and docling."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crispvl import CrispOCR, DocumentError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="this tree lacks the examples")


@pytest.fixture(scope="module")
def ocr() -> Iterator[CrispOCR]:
    pytest.importorskip("crispvl._core")
    with CrispOCR() as ocr:
        yield ocr


@pytest.fixture
def loader() -> Any:
    pytest.importorskip("langchain_core", reason="the extra langchain is not installed")
    from crispvl.integrations.langchain import CrispVLLoader

    return CrispVLLoader


def test_langchain_gets_a_document_per_page(loader: Any, ocr: CrispOCR) -> None:
    (document,) = loader(EXAMPLES / "receipt.png", ocr).load()
    assert "CORNER CAFE" in document.page_content
    assert document.metadata["page"] == 1
    assert document.metadata["source"].endswith("receipt.png")
    assert document.metadata["confidence"] > 0.9


def test_langchain_gets_blocks_with_their_places(loader: Any, ocr: CrispOCR) -> None:
    blocks = loader([EXAMPLES / "receipt.png"], ocr, split="block").load()
    assert len(blocks) > 3
    assert blocks[0].page_content.startswith("CORNER CAFE\n")
    assert blocks[-1].page_content == "Thank you!"
    left, top, right, bottom = blocks[-1].metadata["box"]
    assert 80 < left < right < 220
    assert 280 < top < bottom < 316


def test_langchain_gets_documents_while_others_are_still_read(
    loader: Any, ocr: CrispOCR, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(EXAMPLES / "paragraph.png", tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no picture")
    documents = loader(tmp_path, ocr).lazy_load()
    assert [Path(next(documents).metadata["source"]).name for _ in range(2)] == ["a.png", "b.png"]
    with pytest.raises(ValueError, match=r"c\.png"):
        next(documents)


def test_langchain_is_told_of_an_empty_folder_and_of_a_wrong_split(
    loader: Any, ocr: CrispOCR, tmp_path: Path
) -> None:
    with pytest.raises(DocumentError, match="found none in this folder"):
        loader(tmp_path, ocr).load()
    with pytest.raises(ValueError, match="expected page or block; found 'word'"):
        loader(tmp_path, ocr, split="word")
