"""Seeing and scoring what a model read."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from crispvl.cli import main
from crispvl.evaluation.text_scores import bar_chart, find_pairs, score, total
from crispvl.results.document import Document
from crispvl.results.generation import Generation, Timings
from crispvl.results.html_report import html_report
from crispvl.results.page import Page
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from . import pdf_files
from .conftest import FakeModel

Capture = pytest.CaptureFixture[str]


def read_page(text: str, **more: object) -> Page:
    generation = Generation(
        ids=[1, 2], logprobs=[math.log(0.9), math.log(0.2)], finish_reason="stop", text=text,
        timings=Timings(), n_prompt_tokens=1, pieces=[text[:4], text[4:]],
    )  # fmt: skip
    return Page(
        number=1, width_px=300, height_px=100, grid=(3, 2), n_tiles=7, generation=generation,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


class Parts(HTMLParser):
    """The elements of an HTML file, and what is between the tags of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.held: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.is_raw = tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self.found and self.is_raw and data.strip():
            self.held.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    @property
    def document(self) -> dict[str, Any]:
        held: dict[str, Any] = json.loads(self.held[1])
        return held


def test_a_report_holds_pictures_places_words_and_times() -> None:
    boxed = "<ref>a b</ref><box>[[0, 0, 500, 1000]]</box>"
    page = read_page("Sum: </script><script>12", boxed_text=boxed)
    document = Document(source="/home/me/a<b.png", pages=(page,), n_pages=1)
    parts = Parts(html_report(document, [Image.new("RGB", (300, 100))]))
    assert [script.get("type") for script in parts.of("script")] == ["application/json", None]
    (shown,) = parts.document["pages"]
    assert shown["text"] == "Sum: </script><script>12"
    assert shown["image"].startswith("data:image/jpeg;base64,")
    assert (shown["grid"], shown["width_px"], shown["height_px"]) == ([3, 2], 300, 100)
    (box,) = shown["boxes"]
    assert (box["left"], box["right"], box["bottom"]) == (0.0, 150.0, 100.0)
    assert [round(confidence, 2) for _, confidence in shown["words"]] == [0.9, 0.2]
    assert set(parts.document["files"]) == {"text", "markdown", "json", "hocr", "alto"}
    assert parts.document["files"]["text"].strip() == shown["text"]


def test_a_report_is_one_file_that_loads_nothing_and_runs_nothing_else() -> None:
    document = Document(source="/home/me/bills/a<b.png", pages=(read_page("Sum"),), n_pages=1)
    text = html_report(document, [Image.new("RGB", (300, 100))])
    assert "<title>a&lt;b.png</title>" in text
    parts = Parts(text)
    addresses = [
        element.get(name) or ""
        for tag in ("script", "link", "img")
        for element in parts.of(tag)
        for name in ("src", "href")
    ]
    assert not any(address.startswith(("http", "/", "static")) for address in addresses)
    (policy,) = (meta["content"] for meta in parts.of("meta") if "http-equiv" in meta)
    style, _, script = parts.held
    for kind, code in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in str(policy)


def test_view_writes_a_report(core: FakeModel, page: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "report.html"
    assert main(["view", "-m", str(page), str(page), "-o", str(out)]) == 0
    (shown,) = Parts(out.read_text("utf-8")).document["pages"]
    assert shown["text"] == "Hello"
    book = tmp_path / "book.pdf"
    inked = Image.new("L", (60, 28), 255)
    inked.paste(0, (10, 8, 16, 20))
    book.write_bytes(pdf_files.pdf([inked, None, inked]))
    assert main(["view", "-m", str(page), str(book), "-o", str(out)]) == 1
    pages = Parts(out.read_text("utf-8")).document["pages"]
    assert [shown["number"] for shown in pages] == [1, 3]
    assert "page 2" in capsys.readouterr().err


pytest.importorskip("rapidfuzz")


def test_scores_are_edits_over_lengths() -> None:
    found = score("Tota1: 12\n", "Total:  12.5")
    assert found.cer == pytest.approx(3 / 11)
    assert found.wer == 1.0
    assert found.ned == pytest.approx(3 / 11)
    assert score("e\u0301", "é").cer == 0
    assert (score("", "").cer, score("x", "").cer) == (0, 1)
    both = total([found, score("abc", "abc")])
    assert both.cer == pytest.approx(3 / 14)
    assert total([]).cer == 0


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_normalised_distance_is_symmetric_and_at_most_one(a: str, b: str) -> None:
    assert score(a, b).ned == score(b, a).ned <= 1
    assert score(a, a).cer == 0


def test_eval_reads_a_folder_with_its_texts(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name, truth in [("a.png", "Hello"), ("b.png", "Hella")]:
        (folder / name).write_bytes(page.read_bytes())
        (folder / name).with_suffix(".txt").write_text(truth)
    (folder / "c.png").write_bytes(page.read_bytes())  # no truth: left out
    (folder / "d.png").write_bytes(b"broken")
    (folder / "d.gt.txt").write_text("x")
    assert [image.name for image, _ in find_pairs(folder)] == ["a.png", "b.png", "d.png"]

    plot = tmp_path / "plot.svg"
    arguments = ["eval", str(folder), "-m", str(page), "--plot", str(plot)]
    assert main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["0.00%", "0.00%", "0.00%", "a.png"]
    assert lines[3].split() == ["20.00%", "100.00%", "20.00%", "b.png"]
    assert lines[5].split()[0] == f"{2 / 11:.2%}"
    assert len(ElementTree.parse(plot).findall(".//{*}rect")) == 3

    assert main([*arguments, "--json", "--against", str(folder / "a.png")]) == 1
    report = json.loads(capsys.readouterr().out)
    assert len(report["models"]) == 2
    assert report["models"][str(page)]["files"]["b.png"]["score"]["cer"] == pytest.approx(0.2)
    assert main(["eval", str(tmp_path / "nowhere"), "-m", str(page)]) == 2


def test_a_byte_order_mark_is_no_error_and_a_file_that_is_no_utf8_is_named(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    truth = tmp_path / "page.txt"
    arguments = ["eval", str(tmp_path), "-m", str(page)]
    for text in (b"\xef\xbb\xbfHello\r\n", "Hello".encode("utf-16"), b"\xfe\xff\0H\0e\0l\0l\0o"):
        truth.write_bytes(text)
        assert main(arguments) == 0
        assert capsys.readouterr().out.split()[-3:] == ["0.00%", "in", "total"]
    truth.write_bytes(b"Caf\xe9")
    assert main(arguments) == 2
    assert f"[{truth}] expected text in UTF-8; found byte 0xe9 at 3" in capsys.readouterr().err
    assert not core.prompts[3:]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_another_encoding_is_not_scored(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture, encoding: str
) -> None:
    truth = tmp_path / "page.txt"
    truth.write_bytes("Hello".encode(encoding))
    assert main(["eval", str(tmp_path), "-m", str(page)]) == 2
    assert f"[{truth}] expected text in UTF-8; found NUL as character" in capsys.readouterr().err
    assert not core.prompts


def test_a_true_text_that_is_none_does_not_keep_the_others_from_being_scored(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    texts = {
        "crlf": b"Hello\r\n", "empty": b"", "latin": b"Caf\xe9", "mark": b"\xef\xbb\xbf",
        "big": b"\xfe\xff" + "Hello".encode("utf-16-be"), "odd": b"\xff\xfeH",
        "wide": b"\xff\xfe\0\0H",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / f"{name}.png").write_bytes(page.read_bytes())
        (tmp_path / f"{name}.txt").write_bytes(text)
    page.unlink()
    model = tmp_path / "mark.png"
    assert main(["eval", str(tmp_path), "-m", str(model), "--json"]) == 1
    printed = capsys.readouterr()
    files = json.loads(printed.out)["models"][str(model)]["files"]
    found = {name: one["score"]["cer"] for name, one in files.items()}
    assert found == {"big.png": 0, "crlf.png": 0, "empty.png": 1, "mark.png": 1}
    for name in ("latin", "odd", "wide"):
        assert f"[{tmp_path / name}.txt] expected text in UTF-8" in printed.err
    for name in ("big", "crlf", "empty", "mark"):
        (tmp_path / f"{name}.txt").write_bytes(b"\xff")
    n_before = len(core.prompts)
    assert main(["eval", str(tmp_path), "-m", str(model)]) == 2
    assert "found none among 7 files" in capsys.readouterr().err
    assert len(core.prompts) == n_before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_pipe_among_the_images_is_no_image(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "page.txt").write_text("Hello")
    os.mkfifo(tmp_path / "other.png")  # type: ignore[attr-defined, unused-ignore]
    (tmp_path / "other.txt").write_text("Hello")
    assert [image.name for image, _ in find_pairs(tmp_path)] == ["page.png"]


def test_eval_tells_models_apart_that_are_called_the_same(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder, plot = tmp_path / "set", tmp_path / "plot.svg"
    folder.mkdir()
    (folder / "a.png").write_bytes(page.read_bytes())
    (folder / "a.txt").write_text("Hello")
    other = folder / page.name  # the same name in another folder
    other.write_bytes(page.read_bytes())
    here = ["eval", str(folder), "-m", str(page), "--plot", str(plot), "--json"]

    def found(*flags: object) -> tuple[list[str], int]:
        assert main([*here, *map(str, flags)]) == 0
        n_bars = len(ElementTree.parse(plot).findall(".//{*}rect"))
        return [*json.loads(capsys.readouterr().out)["models"]], n_bars

    assert found("--against", other) == ([str(page), str(other)], 2)
    pair = ["--mmproj", other, "--against", page, "--against-mmproj", folder / "a.png"]
    assert found(*pair) == ([f"{page} + page.png", f"{page} + a.png"], 2)
    assert core.loaded_with[:2] == (str(page), str(folder / "a.png"))
    assert found("--against", page) == ([f"{page} (1)", f"{page} (2)"], 2)
    out = folder / "out"
    for _ in range(2):  # what was read is found again
        found(*pair, "-o", out, "--resume")
        assert len([*out.iterdir()]) == 2
    assert main([*here, "--against-mmproj", str(other)]) == 2
    assert "[--against-mmproj] expected --against" in capsys.readouterr().err


def test_the_plot_is_well_formed_whatever_the_files_are_called() -> None:
    chart = bar_chart(["a<b>&.png"], {"q8 & f16": [0.5], "other": [0.0]}, "rate")
    assert len(ElementTree.fromstring(chart).findall("{*}rect")) == 2
