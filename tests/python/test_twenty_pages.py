"""A book of twenty pages read by the bundled model, interrupted and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from . import pdf_files

pytest.importorskip("crispvl._core")
from crispvl import CrispOCR
from crispvl.cli import main
from crispvl.cli.records import RecordFile
from crispvl.hub import bundled

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
N_PAGES, BLANK, CORRUPT = 20, 7, 12  # pages counted from 1

pytestmark = pytest.mark.skipif(
    not (EXAMPLES.is_dir() and bundled.path().is_file()),
    reason="this tree lacks the examples or the bundled model",
)


@pytest.fixture
def scans() -> list[Image.Image]:
    return [Image.open(EXAMPLES / f"{name}.png").convert("L") for name in ("receipt", "code")]


@pytest.fixture
def book(tmp_path: Path, scans: list[Image.Image]) -> Path:
    pages: list[Image.Image | None] = [scans[i % 2] for i in range(N_PAGES)]
    pages[BLANK - 1] = Image.new("L", (300, 300), 255)
    pages[CORRUPT - 1] = None
    path = tmp_path / "book.pdf"
    path.write_bytes(pdf_files.pdf(pages))
    return path


def test_twenty_pages_are_read_in_order_with_nothing_lost_or_done_twice(
    book: Path, scans: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "book.jsonl"
    job = ["recognize", str(book), "--dpi", "72", "--format", "jsonl", "-o", str(out), "--resume"]
    job += ["--threads", "1"]
    written: list[int] = []
    append = RecordFile.append

    def append_until_interrupted(self: RecordFile, record: Any) -> None:
        append(self, record)
        written.append(record["number"])
        if len(written) == 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(RecordFile, "append", append_until_interrupted)
    assert main(job) == 130
    assert main(job) == 1  # a page is corrupt
    assert sorted(written) == list(range(1, N_PAGES + 1))

    records = {r["number"]: r for r in map(json.loads, out.read_text("utf-8").splitlines())}
    assert len(records) == N_PAGES
    texts = [CrispOCR(threads=1).recognize(scan).text for scan in scans]
    for number, record in records.items():
        expected = "" if number in (BLANK, CORRUPT) else texts[(number - 1) % 2]
        assert record["text"] == expected, number
    assert records[BLANK]["flags"] == ["blank"]
    assert records[CORRUPT]["error"]["type"] == "DocumentError"
    assert all(record["model"]["sha256"] for record in records.values())


def test_an_encrypted_book_is_a_failed_one_until_its_password_is_given(tmp_path: Path) -> None:
    book = tmp_path / "secret.pdf"
    book.write_bytes(pdf_files.pdf([Image.new("L", (300, 300), 255)] * 2, password="sesame"))
    job = ["recognize", str(book), "--format", "jsonl", "-o", str(tmp_path / "out.jsonl")]
    assert main(job) == 1
    assert main([*job, "--password", "sesame"]) == 0


def test_a_follow_up_question_encodes_no_image_again(
    scans: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []

    with CrispOCR(threads=1) as ocr:
        encode = ocr.model.encode

        def counted(tiles: Any, *arguments: Any, **named: Any) -> Any:
            encoded.append(len(tiles))
            return encode(tiles, *arguments, **named)

        monkeypatch.setattr(ocr.model, "encode", counted)
        image = {"type": "image", "image": scans[0]}
        turns: list[Any] = [
            {"role": "user", "content": [image, {"type": "text", "text": "OCR"}]},
        ]
        first = ocr.chat(turns, max_tokens=8)
        n_first = sum(encoded)
        turns += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "And?"}]
        ocr.chat(turns, max_tokens=8)
    assert n_first == first.n_tiles
    assert sum(encoded) == n_first
