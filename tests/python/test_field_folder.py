"""Inputs after reports from the field, all in one folder: one run, its code and its records."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl.cli import main
from crispvl.hub import bundled
from PIL import Image, ImageDraw, ImageFont

from . import pdf_files
from .tiff_files import Tiff, document

pytestmark = pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")

TEXT = "CORNER SHOP\n12 May 2026"
SIZE = (420, 150)


def page(paper: Any = 255, ink: Any = 0, mode: str = "L", scale: int = 1) -> Image.Image:
    image = Image.new(mode, (SIZE[0] * scale, SIZE[1] * scale), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(40 * scale)
    for i_line, line in enumerate(TEXT.split("\n")):
        draw.text((24 * scale, (20 + 64 * i_line) * scale), line, fill=ink, font=font)
    return image


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def samples(*planes: Any) -> Any:
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def white_on_nothing() -> Image.Image:
    return page((0, 0, 0, 0), (255, 255, 255, 255), "RGBA")


def hidden() -> Image.Image:
    image = page("white", "black", "RGBA")
    image.putalpha(0)
    return image


def fax(**options: Any) -> bytes:
    """Of 204 by 98 dpi."""
    squeezed = page(scale=2).resize((SIZE[0] * 2, SIZE[1])).convert("1")
    return saved(squeezed, "TIFF", compression="group3", dpi=(204, 98), **options)


def damaged_fax() -> bytes:
    data = fax()
    with Image.open(io.BytesIO(data)) as image:
        at, n_bytes = (image.tag_v2[tag][0] for tag in (273, 279))  # type: ignore[attr-defined]
    middle = at + n_bytes // 2
    return data[:middle] + bytes(30) + data[middle + 30 :]


GREY = page()
OPAQUE = Image.new("L", SIZE, 255)
PYRAMID = [(Tiff(), samples(GREY)), (Tiff(tags=((254, 1),)), samples(GREY.resize((210, 75))))]
MIXED = [(Tiff(extra=(2,)), samples(GREY, OPAQUE) * np.uint16(257)), (Tiff(), samples(GREY))]

READ: dict[str, Callable[[], bytes]] = {
    "magenta_on_green.png": lambda: saved(page((0, 160, 60), (255, 0, 255), "RGB")),
    "faint.png": lambda: saved(page(255, 235)),
    "dithered.png": lambda: saved(page(255, 215, scale=2).convert("1")),
    "white_on_nothing.png": lambda: saved(white_on_nothing()),
    "hidden.png": lambda: saved(hidden()),
    "ten_bits.tif": lambda: Tiff().encode(samples(GREY).astype(np.uint16) * 4),
    "planes.tif": lambda: Tiff(photometric=2, planar=True).encode(
        samples(GREY, GREY, GREY) * np.uint16(257)
    ),
    "cmyk_alpha.tif": lambda: Tiff(photometric=5, extra=(2,)).encode(
        samples(*[Image.new("L", SIZE)] * 3, GREY.point(lambda level: 255 - level), OPAQUE)
    ),
    "floats.tif": lambda: Tiff(order=">").encode((samples(GREY) / 255).astype(np.float32)),
    "pyramid.tif": lambda: document(PYRAMID),
    "fax.tif": fax,
    "no_end.jpg": lambda: saved(page(), "JPEG")[:-2],
    "tiny_page.pdf": lambda: pdf_files.one_page(page(scale=2), (42, 15)),
    "no_dash.pdf": lambda: pdf_files.one_page(page(scale=2), SIZE).replace(b"%PDF-", b"%PDF "),
    f"{'n' * 241}.png": lambda: saved(page()),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for name, make in READ.items():
        (folder / name).write_bytes(make())
    (folder / "damaged.tif").write_bytes(damaged_fax())
    (folder / "blank.png").write_bytes(saved(Image.new("L", SIZE, 250)))
    (folder / "picture.png").write_bytes(saved(Image.radial_gradient("L").resize((500, 500))))
    (folder / "two.tif").write_bytes(document(MIXED))
    (folder / "empty.png").touch()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing of the kind")
    (folder / "notes.txt").write_text("not a page")
    return folder


def records(folder: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    out = folder.parent / "out.jsonl"
    status = main(["recognize", str(folder), "--format", "jsonl", "-o", str(out), *options])
    return status, [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_a_folder_of_them_is_read_in_one_run(folder: Path) -> None:
    status, found = records(folder)
    assert status == 1  # two of them are no pages
    by_name: dict[str, list[dict[str, Any]]] = {}
    for record in found:
        by_name.setdefault(Path(record["source"]).name, []).append(record)
    assert set(by_name) == {path.name for path in folder.iterdir()} - {"notes.txt"}
    wrong = {}
    for name in READ:
        (record,) = by_name[name]
        lines = [line for line in (record["text"] or "").splitlines() if line]
        if "\n".join(lines) != TEXT or record["flags"] or record["error"]:
            wrong[name] = record["text"], record["flags"], record["error"]
    assert wrong == {}
    flags = {name: records[0]["flags"] for name, records in by_name.items() if name not in READ}
    assert flags["damaged.tif"] == ["damaged"]
    assert flags["blank.png"] == ["blank"]
    assert flags["picture.png"] == ["empty"]
    assert [record["number"] for record in by_name["two.tif"]] == [1, 2]
    assert all(record["text"] for record in by_name["two.tif"])
    for name in ("empty.png", "broken.pdf"):
        (record,) = by_name[name]
        assert "expected" in record["error"]["message"]


def test_a_second_run_with_resume_reads_what_failed_and_nothing_else(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in ("faint.png", "empty.png", "two.tif"):
            path.unlink()
    assert records(folder)[0] == 1
    shutil.copy(folder / "faint.png", folder / "empty.png")
    status, found = records(folder, "--resume", "--retry-failed")
    assert status == 0
    assert sorted((Path(r["source"]).name, r["number"]) for r in found) == [
        ("empty.png", 1), ("faint.png", 1), ("two.tif", 1), ("two.tif", 2),
    ]  # fmt: skip
