"""``crispvl verify``: a file compared, stage by stage, with what the published code computes."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator

from crispvl.cli import DONE, SOME_FAILED
from crispvl.cli.arguments import output_path
from crispvl.cli.manifest import made_folder
from crispvl.cli.output import write_json
from crispvl.engine.model import Model
from crispvl.verify import Verdict, read_golden, verify_model, write_golden
from crispvl.verify.compare import AnswerRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="GGUF model")
    parser.add_argument("--mmproj", metavar="FILE", help="projector of a model in two files")
    reference = parser.add_mutually_exclusive_group(required=True)
    reference.add_argument(
        "--golden", metavar="DIR", help="folder with expected.npz and expected.json"
    )
    reference.add_argument(
        "--against", metavar="CHECKPOINT", help="folder in the -hf layout; transformers runs it now"
    )
    parser.add_argument(
        "--save-golden",
        metavar="DIR",
        type=output_path,
        help="with --against: keep there what transformers computed, for --golden",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda … (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one per usable core)")
    parser.add_argument(
        "--exact",
        action="store_true",
        help="compute in float32 throughout, whatever the file holds",
    )
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    if args.save_golden is not None and args.against is None:
        raise ValueError(
            "[--save-golden] expected --against beside it; found --golden; leave one of the two out"
        )
    kept = None if args.save_golden is None else made_folder(args.save_golden)
    model = Model.load(args.file, args.mmproj, args.device, args.threads, exact=args.exact)
    if args.golden is not None:
        expected = read_golden(args.golden)
    else:
        from crispvl.verify.live import compute_expected

        expected = compute_expected(model, args.against)
    if kept is not None:
        write_golden(expected, kept)
    verdict = verify_model(model, expected)
    if args.json:
        write_json(sys.stdout, {**dataclasses.asdict(verdict), "passed": verdict.passed}, indent=2)
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(verdict))
    return DONE if verdict.passed else SOME_FAILED


def lines(verdict: Verdict) -> Iterator[str]:
    """Yields what the command prints of a comparison."""
    yield f"against  {verdict.source}"
    yield f"limits   encoder {verdict.vision_type}, decoder {verdict.decoder_type}"
    if verdict.may_reroute:
        yield "         rounding moves tokens to other experts: the median row counts"
    yield ""
    yield f"{'stage':<20}{'cos min':>12}{'cos mean':>12}{'max diff':>12}{'norm ratio':>12}"
    for row in verdict.stages:
        mark = _mark(row.passed) if row.judged or not row.passed else "not judged"
        yield (
            f"{row.stage:<20}{row.cosine_min:>12.7f}{row.cosine_mean:>12.7f}"
            f"{row.max_difference:>12.3e}{row.norm_ratio:>12.6f}  {mark}"
        )
    yield ""
    for answer in verdict.answers:
        n_same = f"{answer.n_same} of {answer.n_tokens}"
        yield f"{answer.prompt} ids  {n_same} as expected  {_answer_mark(answer)}"
        yield f"{answer.prompt} text {answer.text!r}"
        if answer.text != answer.expected_text:
            yield f"{'':<{len(answer.prompt)}} want {answer.expected_text!r}"
    yield ""
    yield "passed" if verdict.passed else "FAILED"


def _answer_mark(answer: AnswerRow) -> str:
    if not answer.judged:
        return "not judged for this type"
    if answer.passed and answer.n_same < answer.n_tokens:
        return "ok: at the next, the published code nearly chose another too"
    return _mark(answer.passed)


def _mark(passed: bool) -> str:
    return "ok" if passed else "FAILED"
