"""Damaged data of which a decoder makes a picture is read, and flagged."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest
from crispvl import CrispOCR
from crispvl.cli import main
from crispvl.inputs.damage import DAMAGED
from crispvl.inputs.decoding import Frames
from PIL import Image, ImageDraw

from .conftest import FakeModel


def written(size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A page with many strokes."""
    page = Image.new("RGB", size, "white")
    draw, numbers = ImageDraw.Draw(page), random.Random(0)
    for y in range(20, size[1] - 20, 14):
        for x in range(20, size[0] - 30, 10):
            draw.line((x, y, x + numbers.randrange(9), y + numbers.randrange(9)), "black", 2)
    return page


def group_4(page: Image.Image, rows: int, photometric: int = 1) -> bytes:
    file = io.BytesIO()
    tags = {262: photometric, 278: rows}
    page.convert("1").save(file, "TIFF", compression="group4", tiffinfo=tags)
    return file.getvalue()


def without(data: bytes, at: int, n_bytes: int = 30) -> bytes:
    return data[:at] + bytes(n_bytes) + data[at + n_bytes :]


def is_flagged(data: bytes) -> bool:
    return DAMAGED in Frames(data).load(0).info


@pytest.mark.parametrize("rows", [300, 64])
@pytest.mark.parametrize("photometric", [0, 1])
def test_a_page_of_group_4_is_flagged_where_its_codes_are_damaged(
    rows: int, photometric: int
) -> None:
    data = group_4(written(), rows, photometric)
    assert not is_flagged(data)
    assert not is_flagged(group_4(Image.new("1", (401, 300), 1), rows, photometric))
    with Image.open(io.BytesIO(data)) as image:
        at = image.tag_v2[273][-1] + 20  # type: ignore[attr-defined]
    assert is_flagged(without(data, at))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_is_flagged_where_its_codes_are_damaged(progressive: bool, mode: str) -> None:
    pytest.importorskip("crispvl._core")
    for quality in (30, 95):
        file = io.BytesIO()
        page = written().convert(mode)
        page.save(file, "JPEG", quality=quality, progressive=progressive, optimize=progressive)
        data = file.getvalue()
        assert not is_flagged(data)
        at = len(data) // 2
        assert is_flagged(data[:at] + data[at + 40 :])
        assert is_flagged(data[:at] + b"\xff\xd0" + data[at + 2 :])
        assert not is_flagged(data[:-2])  # only the end marker is missing


def test_a_damaged_page_is_read_and_said_to_be_damaged(
    core: FakeModel, page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = tmp_path / "scan.tif"
    data = group_4(written(), 300)
    scan.write_bytes(without(data, data.index(b"\x26") + 300))
    document = CrispOCR(page).recognize(scan)
    assert document.text == "Hello"
    assert document.flags == document.pages[0].flags == ("damaged",)
    assert main(["recognize", "-m", str(page), str(scan), "--format", "jsonl"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["flags"] == ["damaged"]
    assert "page 1 is of damaged data" in told.err
