"""``crispvl plan``: what memory a model will take, from its header."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence

from crispvl.cli import DONE, SOME_FAILED
from crispvl.cli.arguments import add_options, read_options, readable
from crispvl.cli.output import write_json
from crispvl.hub import bundled
from crispvl.inputs.images import open_image
from crispvl.model_config import ModelConfig
from crispvl.options import LoadOptions, ReadOptions
from crispvl.options.sizes import parse_size
from crispvl.plan import DevicePlan, MemoryPlan, plan_model
from crispvl.plan.fleet import FleetPlan, Machine, plan_fleet
from crispvl.plan.system_memory import available_bytes
from crispvl.reading.layout_costs import LayoutCost, layout_costs

_ROWS = (
    ("weights", "weights"),
    ("packed copies", "packed"),
    ("KV cache", "kv_cache"),
    ("compute buffers", "compute"),
    ("program and pixels", "program"),
)


_NO_MATTER = ("threads", "tokenizer", "image_position_step", "mmap")
"""Options of loading that change no plan."""


_OF_A_JOB = ("hours", "cores", "memory", "gpus", "gpu_memory", "price")
"""Options that mean nothing without a rate."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="GGUF file; its header is enough (default: the bundled model)",
    )
    parser.add_argument("--mmproj", metavar="FILE", help="projector of a model in two files")
    parser.add_argument(
        "--pages",
        type=int,
        default=1,
        help="images in one prompt (default: 1); with --rate, pages to read in all",
    )
    parser.add_argument(
        "--page", metavar="IMAGE", help="tell what this page would cost in each --layout"
    )
    parser.add_argument("--tiles", type=int, help="most tiles per page, the thumbnail not counted")
    parser.add_argument(
        "--ctx", type=int, help="tokens of the KV cache (default: a prompt and an answer)"
    )
    parser.add_argument(
        "--streams", type=int, default=1, help="pages read at the same time (default: 1)"
    )
    fleet = parser.add_argument_group("many pages, from the measured rate of one worker")
    fleet.add_argument("--rate", type=float, metavar="PAGES_PER_S", help="of one worker")
    fleet.add_argument(
        "--hours", type=float, help="time for the whole job (default: that of one machine)"
    )
    fleet.add_argument("--cores", type=int, help="CPU cores of a machine (default: this one's)")
    fleet.add_argument(
        "--memory",
        type=readable(parse_size),
        help="memory of a machine (default: what is free on this one)",
    )
    fleet.add_argument(
        "--gpus",
        type=int,
        default=0,
        help="GPUs of a machine; if given, workers read on GPUs, not on cores",
    )
    fleet.add_argument("--gpu-memory", type=readable(parse_size), help="of each GPU")
    fleet.add_argument("--worker-cores", type=int, default=1, help="threads of a worker")
    fleet.add_argument("--price", type=float, metavar="PER_HOUR", help="of a machine")
    add_options(parser, LoadOptions, leave_out=_NO_MATTER)
    parser.add_argument("--json", action="store_true", help="machine-readable, in bytes")


def run(args: argparse.Namespace) -> int:
    if args.model is None:
        args.model = bundled.verified_path()
    if args.rate is not None:
        return _run_fleet(args)
    _refuse_job_without_rate(args)
    plan = plan_model(
        args.model,
        args.mmproj,
        n_pages=args.pages,
        max_tiles=args.tiles,
        n_ctx=args.ctx,
        streams=args.streams,
        options=read_options(args, LoadOptions),
    )
    costs = _layout_costs(args) if args.page is not None else []
    if args.json:
        devices = [{**dataclasses.asdict(d), "peak": d.peak, "fits": d.fits} for d in plan.devices]
        layouts = [dataclasses.asdict(cost) for cost in costs]
        report = {**dataclasses.asdict(plan), "devices": devices, "fits": plan.fits}
        if layouts:
            report["layouts"] = layouts
        write_json(sys.stdout, report, indent=2)
    else:
        sys.stdout.writelines(f"{line}\n" for line in (*_lines(plan), *_cost_lines(costs)))
    return DONE if plan.fits else SOME_FAILED


def _layout_costs(args: argparse.Namespace) -> list[LayoutCost]:
    from crispvl._core import load_to_measure

    core = load_to_measure(args.model, args.mmproj, "cpu", False, (), "auto")
    options = ReadOptions(max_tiles=args.tiles)
    page = open_image(args.page)
    return list(layout_costs(page, ModelConfig(core.config), core.metadata, options))


def _cost_lines(costs: Sequence[LayoutCost]) -> Iterator[str]:
    if not costs:
        return
    yield ""
    yield "the page            prompts   tiles  image tokens  of the largest prompt"
    for cost in costs:
        counts = f"{cost.n_prompts:7} {cost.n_tiles:7} {cost.n_image_tokens:13} {cost.n_largest:22}"
        yield f"  {cost.layout:<18}{counts}"


def _refuse_job_without_rate(args: argparse.Namespace) -> None:
    given = [f"--{name.replace('_', '-')}" for name in _OF_A_JOB if getattr(args, name)]
    if given:
        raise ValueError(
            f"[plan] expected --rate together with {given[0]}; found none; give the pages per "
            "second of one worker, as `crispvl batch --workers 1` tells for a sample of your pages"
        )


def _run_fleet(args: argparse.Namespace) -> int:
    from crispvl._core import usable_cores

    options = dataclasses.replace(read_options(args, LoadOptions), device="cpu", max_memory=None)
    memory = plan_model(
        args.model,
        args.mmproj,
        max_tiles=args.tiles,
        n_ctx=args.ctx,
        streams=args.streams,
        options=options,
    )
    machine = Machine(
        n_cores=args.cores or usable_cores(),
        n_bytes=args.memory or available_bytes() or 0,
        n_gpus=args.gpus,
        gpu_bytes=args.gpu_memory or 0,
        price_per_hour=args.price,
    )
    plan = plan_fleet(
        memory,
        machine,
        n_pages=args.pages,
        pages_per_second=args.rate,
        cores_per_worker=args.worker_cores,
        hours=args.hours,
    )
    if args.json:
        write_json(sys.stdout, dataclasses.asdict(plan), indent=2)
    else:
        sys.stdout.writelines(f"{line}\n" for line in _fleet_lines(plan))
    return DONE


def _fleet_lines(plan: FleetPlan) -> Iterator[str]:
    yield f"pages               {plan.n_pages}"
    yield f"memory per worker   {_size(plan.worker_bytes).strip()}"
    if plan.gpu_layers:
        layers = ", ".join(map(str, plan.gpu_layers))
        yield f"GPUs per worker     {len(plan.gpu_layers)} (decoder layers on each: {layers})"
    yield f"workers per machine {plan.workers_per_machine}"
    yield f"machines            {plan.n_machines}"
    yield f"hours               {plan.hours:.2f}"
    if plan.cost is not None:
        yield f"cost                {plan.cost:.2f} ({plan.cost_per_1000_pages:.4f} per 1000 pages)"


def _lines(plan: MemoryPlan) -> Iterator[str]:
    yield f"pages               {plan.n_pages}"
    yield f"tiles               {plan.n_tiles}"
    yield f"image tokens        {plan.n_image_tokens}"
    yield f"prompt tokens       {plan.n_prompt}"
    yield f"context             {plan.n_ctx} of {plan.context_length} tokens"
    n_layers = plan.layers_that_fit[1]
    for device in plan.devices:
        yield ""
        yield from _device_lines(device, n_layers)
    if len(plan.devices) > 1 and not plan.shares and plan.layers_that_fit[0] < n_layers:
        yield ""
        yield (
            f"{plan.devices[0].name} has room for {plan.layers_that_fit[0]} of {n_layers} decoder "
            "layers; --max-memory splits them"
        )
    for sentence in plan.advice:
        yield f"to make it fit: {sentence}"


def _device_lines(device: DevicePlan, n_layers: int) -> Iterator[str]:
    yield device.name
    yield f"  {'decoder layers':<18}{device.layers:8} of {n_layers}"
    for title, field in _ROWS:
        if n_bytes := getattr(device, field):
            note = ""
            if field == "weights" and device.table:
                note = f"  ({_size(device.table)} of it a token table, read by rows only)"
            yield f"  {title:<18}{_size(n_bytes)}{note}"
    free = "" if device.free is None else f" of {_size(device.free).strip()} free"
    limit = "" if device.limit is None else f", at most {_size(device.limit).strip()}"
    fits = "" if device.fits else ": does not fit"
    yield f"  {'peak':<18}{_size(device.peak)}{free}{limit}{fits}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:10,.1f} MiB"
