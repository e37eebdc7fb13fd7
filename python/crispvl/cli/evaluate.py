"""``crispvl eval``: how well a model reads or answers where the truth is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from crispvl.cli import DONE, SOME_FAILED, complain
from crispvl.cli.answers import Task, answer_all
from crispvl.cli.arguments import add_model_arguments, add_options, output_path, readable
from crispvl.cli.manifest import Manifest, made_folder
from crispvl.cli.output import names_in_folder, open_output, write_json
from crispvl.cli.records import Record
from crispvl.errors import DocumentError
from crispvl.evaluation.benchmarks import (
    BENCHMARKS,
    SHORT_ANSWER,
    Question,
    group_means,
    read_benchmark,
    total_score,
)
from crispvl.evaluation.text_scores import bar_chart, find_pairs, score, total
from crispvl.extras import need
from crispvl.inputs.text_files import read_text
from crispvl.inputs.utf8 import check_encodable, encodable
from crispvl.options import ReadOptions
from crispvl.results.outputs import check_outputs

Answers = Mapping[str, Sequence[Record]]
"""Per model, a record for each task, in their order."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="images, each beside a .txt file with its text; or a benchmark's files",
    )
    layouts = "; ".join(f"{name}: {BENCHMARKS[name].layout}" for name in BENCHMARKS)
    parser.add_argument(
        "--benchmark",
        choices=sorted(BENCHMARKS),
        help=f"score answers by the rules of a published benchmark; DIR holds {layouts}",
    )
    add_model_arguments(parser)
    parser.add_argument("--against", metavar="MODEL", help="score another model beside it")
    parser.add_argument("--against-mmproj", metavar="FILE", help="projector of that model")
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        type=readable(check_encodable),
        help="what to ask, instead of the usual prompt; with --benchmark, what to add to each "
        f"question, instead of {SHORT_ANSWER!r} (OCRBench: nothing)",
    )
    parser.add_argument("--limit", metavar="N", type=int, help="only the first N images, questions")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=output_path,
        help="keep the answers there, in a file of JSON Lines per model",
    )
    parser.add_argument(
        "--resume", action="store_true", help="with -o: continue where an interrupted run stopped"
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="with --resume: read failed images again"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable, with the texts")
    parser.add_argument(
        "--plot", metavar="OUT.svg", type=output_path, help="draw the rates as bars"
    )
    add_options(parser, ReadOptions)


def run(args: argparse.Namespace) -> int:
    if args.resume and args.output is None:
        raise ValueError("[--resume] expected -o FOLDER beside it; found none; add it")
    if args.retry_failed and not args.resume:
        raise ValueError("[--retry-failed] expected --resume beside it; found none; add it")
    if args.against_mmproj is not None and args.against is None:
        raise ValueError("[--against-mmproj] expected --against beside it; found none; add it")
    if args.limit is not None and args.limit < 1:
        raise ValueError(f"[--limit] expected at least 1; found {args.limit}; raise it")
    if args.plot is not None:
        check_outputs([args.plot])
    if args.benchmark is None:
        need("rapidfuzz", "eval")  # before anything is read
        pairs = list(find_pairs(args.folder))[: args.limit]
        texts = _true_texts(pairs)
        n_failed, answers = len(pairs) - len(texts), _with_texts(args, texts)
    else:
        n_failed, answers = 0, _with_benchmark(args)
    failed = any(record["error"] for records in answers.values() for record in records)
    return SOME_FAILED if failed or n_failed else DONE


def _true_texts(pairs: Sequence[tuple[Path, Path]]) -> dict[Path, str]:
    """Returns the true text of each image; files of which it cannot be told are named.

    Raises:
        DocumentError: That is so with all of them.
    """
    texts: dict[Path, str] = {}
    for image, truth in pairs:
        try:
            texts[image] = read_text(truth)
        except (DocumentError, OSError) as error:
            if len(pairs) == 1:
                raise
            complain(str(error))
    if not texts:
        raise DocumentError(
            "[eval] expected a true text that can be read; found none among "
            f"{len(pairs)} files; save them as UTF-8"
        )
    return texts


def _with_texts(args: argparse.Namespace, texts: Mapping[Path, str]) -> Answers:
    """Reads images whose true text is known, and tells the error rates."""
    names = [encodable(image.relative_to(args.folder).as_posix()) for image in texts]
    tasks = [Task(name, image, args.prompt) for name, image in zip(names, texts, strict=True)]
    truths = list(texts.values())
    answers = _ask(args, tasks)
    scores = {
        label: [score(record["text"], truth) for record, truth in zip(found, truths, strict=True)]
        for label, found in answers.items()
    }
    if args.json:
        models = {
            label: {
                "total": total(scores[label]).to_dict(),
                "files": {
                    name: {**_essence(record), "score": one.to_dict()}
                    for name, record, one in zip(names, found, scores[label], strict=True)
                },
            }
            for label, found in answers.items()
        }
        write_json(sys.stdout, {"files": names, "models": models}, indent=2)
    else:
        for label, found_scores in scores.items():
            print(f"{label}\n{'CER':>8} {'WER':>8} {'NED':>8}")
            rows = [*zip(names, found_scores, strict=True), ("in total", total(found_scores))]
            for name, one in rows:
                print(f"{one.cer:8.2%} {one.wer:8.2%} {one.ned:8.2%}  {name}")
    _plot(
        args, names, {label: [one.cer for one in found] for label, found in scores.items()},
        "character error rate",
    )  # fmt: skip
    return answers


def _with_benchmark(args: argparse.Namespace) -> Answers:
    """Asks a benchmark's questions, and tells its score."""
    name = args.benchmark
    measure = BENCHMARKS[name].measure
    questions = read_benchmark(name, args.folder, suffix=args.prompt)[: args.limit]
    answers = _ask(args, [Task(q.key, q.image, q.prompt) for q in questions])
    results = {label: _result(name, questions, found) for label, found in answers.items()}
    if args.json:
        report = {"benchmark": name, "measure": measure, "models": results}
        write_json(sys.stdout, report, indent=2)
    else:
        for label, result in results.items():
            print(f"{label}\n{measure:>16}")
            for group, mean in result["groups"].items():
                n_questions = sum(q.group == group for q in questions)
                print(f"{mean:16.2%}  {group}, {n_questions} questions")
            print(f"{result['score']:16.2%}  {name}")
    groups = [*next(iter(results.values()))["groups"], name]
    series = {label: [*r["groups"].values(), r["score"]] for label, r in results.items()}
    _plot(args, groups, series, measure)
    return answers


def _result(name: str, questions: Sequence[Question], found: Sequence[Record]) -> dict[str, Any]:
    scores = [q.score(record["text"]) for q, record in zip(questions, found, strict=True)]
    return {
        "score": total_score(name, questions, scores),
        "groups": group_means(questions, scores),
        "answers": {
            q.key: {**_essence(record), "expected": list(q.answers), "score": one}
            for q, record, one in zip(questions, found, scores, strict=True)
        },
    }


def _essence(record: Record) -> dict[str, Any]:
    return {name: record[name] for name in ("text", "confidence", "error")}


def _ask(args: argparse.Namespace, tasks: Sequence[Task]) -> Answers:
    """Returns what each model read."""
    models = _models(args)
    paths: list[Path | None] = [None] * len(models)
    with ExitStack() as stack:
        if args.output is not None:
            stack.enter_context(Manifest(made_folder(args.output)))  # no other run writes there
            stems = [label.replace(":", "-") for label in models]
            kept = names_in_folder(args.output, stems, ".jsonl")
            check_outputs(kept, regular=True)
            paths = [*kept]
        return {
            label: answer_all(args, tasks, *files, path)
            for (label, files), path in zip(models.items(), paths, strict=True)
        }


def _models(args: argparse.Namespace) -> dict[str, tuple[str | None, str | None]]:
    """Returns each model's file and projector, by what it is called in the report."""
    models = [(args.model, args.mmproj)]
    if args.against is not None:
        models.append((args.against, args.against_mmproj))
    names = [encodable(model or "bundled") for model, _ in models]
    pairs = [
        f"{name} + {encodable(Path(mmproj).name)}" if mmproj else name
        for name, (_, mmproj) in zip(names, models, strict=True)
    ]
    numbered = [f"{name} ({i})" for i, name in enumerate(names, 1)]
    return dict(zip(_telling_apart(names, pairs, numbered), models, strict=True))


def _telling_apart(*choices: Sequence[str]) -> Sequence[str]:
    """Returns the first choice of names in which none occurs twice."""
    return next(names for names in choices if len(set(names)) == len(names))


def _plot(
    args: argparse.Namespace, names: list[str], series: Mapping[str, list[float]], measure: str
) -> None:
    if args.plot is not None:
        names_shown = _telling_apart([Path(label).name for label in series], [*series])
        named = dict(zip(names_shown, series.values(), strict=True))
        with open_output(args.plot) as stream:
            stream.write(bar_chart(names, named, measure))
