"""Published benchmarks in the layouts in which they are downloaded: questions, images, rules.

Where a benchmark publishes a way to add up its scores, it is that which is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crispvl.errors import DocumentError
from crispvl.evaluation import answer_scores
from crispvl.inputs.text_files import read_json

SHORT_ANSWER = "Answer the question using a single word or phrase."
"""What the evaluation of the InternVL models adds to a question (OpenGVLab/InternVL, eval/vqa)."""

FORMULA_DATASET = "HME100k"

Rule = Callable[[str, Sequence[str]], float]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about an image, and how an answer to it is scored."""

    key: str
    """Names the question in its benchmark."""
    image: Path
    prompt: str
    answers: tuple[str, ...]
    rule: Rule
    group: str

    def score(self, answer: str) -> float:
        """Returns the answer's score, from 0 to 1."""
        return self.rule(answer, self.answers)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """How a benchmark is read, and what its score is called."""

    measure: str
    layout: str
    """The files that are expected in its folder."""
    read: Callable[[Path], Iterator[Question]]
    suffix: str = SHORT_ANSWER
    """What is added to each question."""


def read_benchmark(name: str, folder: Path, suffix: str | None = None) -> list[Question]:
    """Returns the questions of a benchmark in the order of its files.

    Args:
        name: A key of `BENCHMARKS`.
        folder: A local copy in its published layout.
        suffix: What to add to each question; None means what the benchmark's entry says.

    Raises:
        DocumentError: The files are not there, or hold something else; or the answers are kept
            secret, as those of DocVQA's test questions are.
    """
    layout = BENCHMARKS[name].layout
    suffix = BENCHMARKS[name].suffix if suffix is None else suffix
    try:
        questions = [
            replace(question, prompt=f"{question.prompt} {suffix}".rstrip())
            for question in BENCHMARKS[name].read(folder)
        ]
    except DocumentError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DocumentError(
            f"[{folder}] expected {name} as published ({layout}); found something else "
            f"({type(error).__name__}: {error}); download it again"
        ) from error
    if not questions:
        raise DocumentError(
            f"[{folder}] expected questions with answers; found none; check the folder"
        )
    return questions


def group_means(questions: Sequence[Question], scores: Sequence[float]) -> dict[str, float]:
    """Returns the mean score of each group of questions, in the order in which they come."""
    groups: dict[str, list[float]] = {}
    for question, score in zip(questions, scores, strict=True):
        groups.setdefault(question.group, []).append(score)
    return {name: sum(values) / len(values) for name, values in groups.items()}


def total_score(name: str, questions: Sequence[Question], scores: Sequence[float]) -> float:
    """Returns a benchmark's score: the mean over its questions, of ChartQA over its two halves."""
    if name == "chartqa":
        means = group_means(questions, scores).values()
        return sum(means) / len(means)
    return sum(scores) / len(scores)


def _ocrbench(folder: Path) -> Iterator[Question]:
    file = _first(folder, "OCRBench.json", "OCRBench/OCRBench.json")
    roots = [folder, *(folder / name for name in ("data", "OCRBench_Images", "images"))]
    for i, entry in enumerate(read_json(file)):
        answers = entry["answers"]
        is_formula = entry["dataset_name"] == FORMULA_DATASET
        yield Question(
            key=str(i),
            image=_image(roots, entry["image_path"]),
            prompt=entry["question"],
            answers=tuple([answers] if isinstance(answers, str) else answers),
            rule=answer_scores.contains_formula if is_formula else answer_scores.contains,
            group=_OCRBENCH_PARTS.get(entry["type"], entry["type"]),
        )


_OCRBENCH_PARTS = {
    f"{kind} Recognition": "Text Recognition"
    for kind in (
        *("Regular Text", "Irregular Text", "Artistic Text", "Handwriting", "Digit String"),
        "Non-Semantic Text",
    )
}
"""OCRBench's ten types make five parts; text recognition is six of the types."""


def _docvqa(folder: Path) -> Iterator[Question]:
    names = ("val_v1.0_withQT.json", "val_v1.0.json")
    file = _first(folder, *names, *(f"spdocvqa_qas/{name}" for name in names))
    roots = [folder, folder / "spdocvqa_images", file.parent]
    for entry in read_json(file)["data"]:
        image = entry["image"]
        if "answers" in entry:
            yield Question(
                key=str(entry["questionId"]),
                image=_image(roots, image, Path(image).name),
                prompt=entry["question"],
                answers=tuple(entry["answers"]),
                rule=answer_scores.anls,
                group="validation",
            )


def _chartqa(folder: Path) -> Iterator[Question]:
    root = _first(folder, "test/test_human.json", "ChartQA Dataset/test/test_human.json").parent
    for half in ("human", "augmented"):
        for i, entry in enumerate(read_json(_first(root, f"test_{half}.json"))):
            yield Question(
                key=f"{half}/{i}",
                image=_image([root / "png"], entry["imgname"]),
                prompt=entry["query"],
                answers=(str(entry["label"]),),
                rule=answer_scores.relaxed_accuracy,
                group=half,
            )


def _textvqa(folder: Path) -> Iterator[Question]:
    file = _first(folder, "TextVQA_0.5.1_val.json")
    roots = [folder / name for name in ("train_images", "train_val_images/train_images")]
    for entry in read_json(file)["data"]:
        yield Question(
            key=str(entry["question_id"]),
            image=_image(roots, f"{entry['image_id']}.jpg"),
            prompt=entry["question"],
            answers=tuple(entry["answers"]),
            rule=answer_scores.vqa_accuracy,
            group="validation",
        )


BENCHMARKS: Mapping[str, Benchmark] = {
    "ocrbench": Benchmark(
        measure="answers found", layout="OCRBench.json and the images beside it", read=_ocrbench,
        suffix="",
    ),
    "docvqa": Benchmark(
        measure="ANLS", layout="val_v1.0_withQT.json or val_v1.0.json, documents/", read=_docvqa
    ),
    "chartqa": Benchmark(
        measure="relaxed accuracy", layout="test/test_human.json, test/test_augmented.json, "
        "test/png/", read=_chartqa,
    ),
    "textvqa": Benchmark(
        measure="VQA accuracy", layout="TextVQA_0.5.1_val.json, train_images/", read=_textvqa
    ),
}  # fmt: skip


def _first(folder: Path, *names: str) -> Path:
    """Returns the first of some files that is there."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DocumentError(
        f"[{folder}] expected {' or '.join(names)}; found none; give the folder into which the "
        "benchmark was unpacked"
    )


def _image(roots: Sequence[Path], *names: str) -> Path:
    """Returns an image's path; where it would be, if it is not there."""
    places = [root / name for root in roots for name in names]
    return next((place for place in places if place.is_file()), places[0])
