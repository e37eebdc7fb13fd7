"""Published benchmarks: their layouts read, their rules followed, their runs continued."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from crispvl.cli import main
from crispvl.errors import DocumentError
from crispvl.evaluation.benchmarks import read_benchmark
from PIL import Image

from .conftest import FakeModel

pytest.importorskip("rapidfuzz")
from crispvl.evaluation.answer_scores import (
    CONTRACTIONS,
    anls,
    contains,
    contains_formula,
    normalize_answer,
    relaxed_accuracy,
    vqa_accuracy,
)

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("answer", "truths", "expected"),
    [
        ("The word is CENTRE.", ["centre"], 1), ("cen\ntre", ["Cen tre"], 1),
        ("center", ["centre"], 0), ("", ["x"], 0), ("b", ["a", "B"], 1),
    ],
)  # fmt: skip
def test_ocrbench_looks_for_the_answer_in_the_text(
    answer: str, truths: list[str], expected: float
) -> None:
    assert contains(answer, truths) == expected


def test_ocrbench_compares_formulas_without_spaces_and_with_case() -> None:
    assert contains_formula("\\frac { A } { b }\n", ["\\frac{A}{b}"]) == 1
    assert contains_formula("\\frac{a}{b}", ["\\frac{A}{b}"]) == 0


@pytest.mark.parametrize(
    ("answer", "truths", "expected"),
    [
        ("Total", ["total"], 1), ("tota", ["total"], 1 - 1 / 5), ("to", ["total"], 0),
        ("abcd", ["abxx"], 0.5), ("abc", ["axx", "abd"], 1 - 1 / 3), ("", [""], 1), ("", ["x"], 0),
        ("a  b", ["a b"], 1),  # the distance of what is left when spaces are made single
        ("a  bc", ["a bd"], 1 - 1 / 5),  # over the longer text as it is
    ],
)  # fmt: skip
def test_docvqa_scores_similarity_from_one_half_on(
    answer: str, truths: list[str], expected: float
) -> None:
    assert anls(answer, truths) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "truth", "expected"),
    [
        ("105", "100", 1), ("105.1", "100", 0), ("95", "100", 1), ("-95", "-100", 1),
        ("14%", "0.14", 1), ("14", "14%", 0), ("0", "0", 1), ("0.0", "0", 0), ("blue", "Blue", 1),
        ("bleu", "blue", 0), (" 7 ", "7", 1), ("1,000", "1000", 0), ("nan", "5", 0),
    ],
)  # fmt: skip
def test_chartqa_allows_numbers_five_percent(answer: str, truth: str, expected: float) -> None:
    assert relaxed_accuracy(answer, [truth]) == expected


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The two Dogs.", "2 dogs"), ("dont", "don't"), ("couldnt've", "couldn't've"),
        ("x-y", "x y"), ("x - y", "x y"), ("3,500", "3500"), ("Joe's", "joe 's"),
        ("yes!", "yes"), ("3.5", "3.5"), ("none", "0"), ("An\tx\ny", "x y"), ("what?", "what"),
    ],
)  # fmt: skip
def test_textvqa_compares_answers_in_evalais_form(text: str, normal: str) -> None:
    assert normalize_answer(text) == normal


def test_contractions_are_those_published() -> None:
    for wrong, right in [
        ("aint", "ain't"), ("couldn'tve", "couldn't've"), ("ow's'at", "'ow's'at"),
        ("'ows'at", "'ow's'at"), ("oclock", "o'clock"), ("twas", "'twas"), ("yall'll", "y'all'll"),
        ("y'alld've", "y'all'd've"), ("somebody'd", "somebodyd"), ("youve", "you've"),
    ]:  # fmt: skip
        assert CONTRACTIONS[wrong] == right
    # 120 are published; four of them have a capital, which no lower-case word meets, and two stand
    # for themselves.
    assert len(CONTRACTIONS) == 120 - 4 - 2
    assert "shed" not in CONTRACTIONS


def test_textvqa_counts_the_people_who_gave_the_same_answer() -> None:
    truths = ["stop"] * 2 + ["Stop!"] + ["go"] * 6 + ["halt"]
    # Three say stop: 7 people see 3 others of it, 3 people see 2.
    assert vqa_accuracy("the stop", truths) == pytest.approx((7 * 1 + 3 * 2 / 3) / 10)
    assert vqa_accuracy("go", truths) == 1
    assert vqa_accuracy("halt", truths) == pytest.approx(9 / 30)
    assert vqa_accuracy("walk", truths) == 0


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (60, 28), "white")
    picture.paste("black", (10, 8, 16, 20))
    picture.save(path)


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def ocrbench(root: Path) -> None:
    image(root / "IIIT5K" / "1.png")
    rows = [
        ("IIIT5K", "Regular Text Recognition", ["HELLO"]),
        ("WordArt", "Artistic Text Recognition", ["bye"]),
        ("docVQA", "Doc-oriented VQA", "hello"),
        ("HME100k", "Handwritten Mathematical Expression Recognition", ["H e l l o"]),
    ]
    write(
        root / "OCRBench.json",
        [
            {"dataset_name": name, "type": kind, "answers": answers, "id": i,
             "question": "what is written in the image?", "image_path": "IIIT5K/1.png"}
            for i, (name, kind, answers) in enumerate(rows)
        ],
    )  # fmt: skip


def docvqa(root: Path) -> None:
    image(root / "documents" / "a_1.png")
    rows = [["Hello"], ["Hella", "none"], ["nothing"]]
    write(
        root / "val_v1.0_withQT.json",
        {"dataset_name": "SP-DocVQA", "dataset_split": "val", "data": [
            {"questionId": 300 + i, "question": "what?", "image": "documents/a_1.png",
             "docId": 1, "answers": answers, "data_split": "val"}
            for i, answers in enumerate(rows)
        ]},
    )  # fmt: skip


def chartqa(root: Path) -> None:
    image(root / "test" / "png" / "1.png")
    for half, labels in [("human", ["Hello", "14"]), ("augmented", ["hello"])]:
        write(
            root / "test" / f"test_{half}.json",
            [{"imgname": "1.png", "query": "what?", "label": label} for label in labels],
        )


def textvqa(root: Path) -> None:
    image(root / "train_images" / "abc.jpg")
    rows = [["hello"] * 10, ["hello"] * 2 + ["x"] * 8]
    write(
        root / "TextVQA_0.5.1_val.json",
        {"dataset_type": "val", "dataset_name": "textvqa", "data": [
            {"question": "what?", "image_id": "abc", "question_id": 34602 + i, "answers": answers}
            for i, answers in enumerate(rows)
        ]},
    )  # fmt: skip


LAYOUTS: dict[str, tuple[Callable[[Path], None], float, dict[str, float]]] = {
    "ocrbench": (ocrbench, 3 / 4, {
        "Text Recognition": 1 / 2, "Doc-oriented VQA": 1,
        "Handwritten Mathematical Expression Recognition": 1,
    }),
    "docvqa": (docvqa, (1 + 4 / 5 + 0) / 3, {"validation": 0.6}),
    "chartqa": (chartqa, (1 / 2 + 1) / 2, {"human": 1 / 2, "augmented": 1}),
    "textvqa": (textvqa, (1 + (8 * 2 / 3 + 2 * 1 / 3) / 10) / 2, {"validation": 0.8}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_benchmark_is_scored_from_its_published_files(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture, name: str
) -> None:
    lay_out, expected, groups = LAYOUTS[name]
    lay_out(tmp_path / "set")
    plot = tmp_path / "plot.svg"
    arguments = ["eval", str(tmp_path / "set"), "--benchmark", name, "-m", str(page)]
    assert main([*arguments, "--json", "--plot", str(plot)]) == 0
    result = json.loads(capsys.readouterr().out)["models"][str(page)]
    assert result["score"] == pytest.approx(expected)
    assert result["groups"] == pytest.approx(groups)
    assert len(ElementTree.parse(plot).findall(".//{*}rect")) == len(groups) + 1
    asked = bytes(i for i in core.prompts[0] if i < 256)
    assert (b"single word or phrase" in asked) == (name != "ocrbench")

    assert main([*arguments, "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["100.00%", name]


def test_an_interrupted_benchmark_goes_on_with_nothing_asked_twice(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    docvqa(tmp_path / "set")
    out = tmp_path / "answers"
    job = ["eval", str(tmp_path / "set"), "--benchmark", "docvqa", "-m", str(page)]
    job += ["--streams", "1", "-o", str(out)]  # one at a time, so that it is known which are done
    answer = core.next_token

    def next_token(written: list[int], sampler: Any) -> int:
        if len(core.prompts) == 3:
            raise KeyboardInterrupt
        return answer(written, sampler)

    with monkeypatch.context() as patch:
        patch.setattr(core, "next_token", next_token)
        assert main([*job, "--resume"]) == 130
    file = out / "page.jsonl"
    assert len(file.read_text().splitlines()) == 2
    with file.open("a") as stream:  # as a process that is killed leaves it
        stream.write('{"source": "30')
    core.prompts.clear()
    assert main([*job, "--resume"]) == 0
    assert len(core.prompts) == 1
    keys = [json.loads(line)["source"] for line in file.read_text().splitlines()]
    assert keys == ["300", "301", "302"]
    assert "60.00%  docvqa" in capsys.readouterr().out
    assert main([*job, "--resume", "--max-tokens", "3"]) == 2  # other settings
    assert main([*job[:-2], "--resume"]) == 2  # nothing to go on with


def test_texts_are_read_on_after_an_interruption_too(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("a", "b"):
        image(tmp_path / "set" / f"{name}.png")
        (tmp_path / "set" / f"{name}.txt").write_text("Hello")
    out = tmp_path / "answers"
    job = ["eval", str(tmp_path / "set"), "-m", str(page), "-o", str(out), "--resume"]
    assert main([*job, "--limit", "1"]) == 0
    assert main([*job, "--against", str(tmp_path / "set" / "a.png")]) == 0
    assert len(core.prompts) == 1 + 1 + 2
    assert sorted(path.name for path in out.iterdir()) == ["a.jsonl", "page.jsonl"]


def test_an_image_that_is_missing_scores_nothing_and_is_told(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    textvqa(tmp_path)
    (tmp_path / "train_images" / "abc.jpg").unlink()
    arguments = ["eval", str(tmp_path), "--benchmark", "textvqa", "-m", str(page)]
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert "abc.jpg" in told.err
    assert told.out.splitlines()[-1].split() == ["0.00%", "textvqa"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DocumentError, match=r"expected .*; found none"):
        read_benchmark(name, tmp_path)
    LAYOUTS[name][0](tmp_path)
    for content in ('[{"x": 1}]', "[" * 100_000, '[{"x'):
        for file in tmp_path.rglob("*.json"):
            file.write_text(content)
        with pytest.raises(DocumentError, match=r"as published|expected JSON"):
            read_benchmark(name, tmp_path)


def test_questions_whose_answers_are_secret_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "val_v1.0.json", {"data": [{"questionId": 1, "question": "?", "image": "a"}]})
    with pytest.raises(DocumentError, match="expected questions with answers"):
        read_benchmark("docvqa", tmp_path)
