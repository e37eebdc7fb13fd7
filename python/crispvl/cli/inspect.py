"""``crispvl inspect``: what a model file holds, read from its header."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from crispvl.cli import DONE
from crispvl.cli.output import write_json
from crispvl.engine.model import Model
from crispvl.layout.strip_format import told_strips
from crispvl.options import ReadOptions
from crispvl.prompts.conversations import CONVERSATIONS
from crispvl.reading.layout_choice import chosen_layout

_MAX_CHARS = 60  # of a value in the report; --json has it whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="GGUF file")
    parser.add_argument("--mmproj", metavar="FILE", help="projector of a model in two files")
    parser.add_argument("--tokenizer", metavar="DIR_OR_GGUF", help="for a model without one")
    parser.add_argument("--json", action="store_true", help="machine-readable, tensor by tensor")


def run(args: argparse.Namespace) -> int:
    model = Model.load(
        args.file, args.mmproj, device="cpu", vocab_only=True, tokenizer=args.tokenizer
    )
    if args.json:
        write_json(sys.stdout, report(model), indent=2)
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(report(model)))
    return DONE


def report(model: Model) -> dict[str, Any]:
    """Returns all that is known of a file without reading its weights, as JSON's types."""
    tensors = model.core.tensors
    by_type: dict[str, dict[str, int]] = {}
    for tensor in tensors:
        row = by_type.setdefault(tensor["type"], {"tensors": 0, "parameters": 0, "bytes": 0})
        row["tensors"] += 1
        row["parameters"] += _product(tensor["shape"])
        row["bytes"] += tensor["n_bytes"]
    return {
        "architecture": model.metadata.get("general.architecture"),
        "config": dict(model.config),
        "reading": _reading(model.metadata),
        "tensor_types": by_type,
        "parameters": sum(row["parameters"] for row in by_type.values()),
        "bytes": sum(row["bytes"] for row in by_type.values()),
        "metadata": {key: _shortened(value) for key, value in sorted(model.metadata.items())},
        "tensors": [{**tensor, "shape": list(tensor["shape"])} for tensor in tensors],
    }


def lines(report: Mapping[str, Any]) -> Iterable[str]:
    """Yields the report as text for people."""
    yield f"architecture  {report['architecture']}"
    yield f"parameters    {report['parameters']:,}"
    yield f"size          {report['bytes'] / 2**20:,.1f} MiB"
    yield ""
    chat = _told_chat(report["config"]["chat"])
    sections = {**report["config"], "chat": chat, "reading": report["reading"]}
    for section, values in sections.items():
        if values is None:  # a part that this model lacks, such as a router of tiles
            continue
        yield section
        for key, value in values.items():
            yield f"  {key:<24}{_one_line(value)}"
    yield "tensors"
    for kind, row in report["tensor_types"].items():
        yield f"  {kind:<8}{row['tensors']:>6}  {row['bytes'] / 2**20:>12,.1f} MiB"


def _told_chat(chat: Mapping[str, Any]) -> Mapping[str, Any]:
    """Says which system message counts where the file leaves it to the format."""
    if chat["system_message"] is not None:
        return chat
    known = CONVERSATIONS.get(chat["template"])
    if known is None:
        return {**chat, "system_message": "the Jinja template's own, if any"}
    own = known.system_message
    return {**chat, "system_message": f"built in: {own}" if own else None}


def _reading(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The layout that the model was made for, and what its file says of strips of lines."""
    strips = {f"strips.{name}": value for name, value in told_strips(metadata).items()}
    return {"layout": chosen_layout(metadata, ReadOptions(), None), **strips}


def _product(shape: Iterable[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def _shortened(value: Any) -> Any:
    """Keeps vocabularies and the like out of the report."""
    if isinstance(value, list) and len(value) > 64:
        return {"length": len(value), "first": value[:4]}
    return value


def _one_line(value: Any) -> str:
    if value is None or value in ("", []):
        return "none"
    text = " ".join(str(value).split())
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"
