"""``crispvl bench``: speed and memory of a model on this machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from crispvl.cli import tell
from crispvl.cli.arguments import add_model_arguments, read_options
from crispvl.engine.model import Model
from crispvl.evaluation.speed import Measurements, OperationTime, Plan, profile
from crispvl.evaluation.speed import run as measure
from crispvl.hub import bundled
from crispvl.options import LoadOptions

Times = dict[str, dict[str, OperationTime]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``bench``."""
    add_model_arguments(parser)
    defaults = Plan()
    for name, text in (
        ("tiles", "numbers of tiles encoded at once"),
        ("lengths", "prompt lengths in tokens"),
        ("streams", "numbers of sequences decoding together"),
    ):
        numbers: Sequence[int] = getattr(defaults, name)
        parser.add_argument(
            f"--{name}",
            type=_numbers,
            default=numbers,
            metavar="N,N,…",
            help=f"{text} (default: {','.join(map(str, numbers))})",
        )
    parser.add_argument(
        "--tokens",
        type=int,
        default=defaults.tokens,
        metavar="N",
        help=f"tokens each stream decodes (default: {defaults.tokens})",
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=defaults.runs,
        metavar="N",
        help=f"runs per measurement; the median counts (default: {defaults.runs})",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="tell where the time goes instead, in seconds per kind of operation",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Runs ``bench``."""
    if args.profile:
        times = profile(_loader(args)(), _report)
        print(_profile_json(times) if args.json else profile_table(times))
        return 0
    plan = Plan(
        tiles=args.tiles,
        lengths=args.lengths,
        streams=args.streams,
        tokens=args.tokens,
        runs=args.runs,
    )
    found = measure(_loader(args), plan, _report)
    print(json.dumps(found.to_dict(), indent=2) if args.json else table(found))
    return 0


def _report(name: str) -> None:
    tell(f"… {name}")


def _profile_json(times: Times) -> str:
    phases = {
        phase: {name: asdict(time) for name, time in operations.items()}
        for phase, operations in times.items()
    }
    return json.dumps(phases, indent=2)


def profile_table(times: Times) -> str:
    """Returns a profile as lines for a person, the operations above half a per cent."""
    lines = []
    for phase, operations in times.items():
        total = sum(time.seconds for time in operations.values())
        lines.append(f"{phase:<20} {total * 1000:10.1f} ms")
        for name, time in operations.items():
            share = time.seconds / total
            if share > 0.005:
                lines.append(
                    f"  {name:<18} {time.seconds * 1000:10.1f} ms {share:5.0%} {time.calls:6}"
                )
    return "\n".join(lines)


def table(found: Measurements) -> str:
    """Returns the measurements as lines for a person."""
    lines = [
        f"load                      {found.load_s:9.2f} s",
        *(
            f"encode, {n:>4} tiles        {s:9.3f} s per tile"
            for n, s in found.encode_s_per_tile.items()
        ),
        *(
            f"prefill, {n:>4} tokens      {s:9.1f} tokens/s"
            for n, s in found.prefill_tokens_per_s.items()
        ),
        *(
            f"decode, {n:>4} streams      {s:9.1f} tokens/s"
            for n, s in found.decode_tokens_per_s.items()
        ),
        f"first token of a page     {found.first_token_s:9.2f} s",
        f"pages per minute          {found.pages_per_minute:9.2f}",
    ]
    if found.peak_mib is not None:
        lines.append(f"peak memory               {found.peak_mib:9.0f} MiB")
    lines.append(f"kernels                   {', '.join(found.kernels)}")
    lines.append(f"device, threads           {found.device}, {found.threads}")
    return "\n".join(lines)


def _loader(args: argparse.Namespace) -> Callable[[], Model]:
    file = args.model or bundled.verified_path()
    options = read_options(args, LoadOptions)

    def load() -> Model:
        model = Model.load(file, args.mmproj, options=options)
        if args.model is None:
            bundled.announce()
        return model

    return load


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected whole numbers with commas between them; found {text!r}; write them like "
            "1,4,16"
        ) from None
