"""Examples for the help of each command, as a user would type them."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "recognize": (
        "crispvl recognize receipt.png",
        "crispvl recognize book.pdf --pages 1-3,7 -m model.gguf --format markdown -o book.md",
        "crispvl recognize scans -m text.gguf --mmproj mmproj.gguf --format jsonl -o all.jsonl"
        " --resume",
        "crispvl recognize scan.pdf --format pdf -o searchable.pdf",
        "crispvl recognize form.png -m internvl3-1b.gguf --prompt 'What is the total?'",
    ),
    "serve": (
        "crispvl serve",
        "crispvl serve -m internvl3-1b.gguf --host 0.0.0.0 --api-key-file keys.txt",
        "crispvl serve -m small=nano.gguf -m large=text.gguf,mmproj.gguf --model-memory 20GiB",
    ),
    "batch": (
        "crispvl batch scans --out table",
        "crispvl batch s3://scans/2026 --out s3://tables/2026 --engine ray --workers 32",
    ),
    "convert": (
        "crispvl convert --model OpenGVLab/InternVL3-1B --output internvl3-1b.gguf --dtype q8_0",
    ),
    "quantize": ("crispvl quantize internvl3-1b.gguf small.gguf q4_k_m",),
    "imatrix": ("crispvl imatrix internvl3-1b.gguf weights.imatrix.gguf pages/1.png pages/2.png",),
    "verify": ("crispvl verify internvl3-1b.gguf --against InternVL3-1B-hf",),
    "plan": ("crispvl plan internvl3-1b.gguf --pages 8",),
    "inspect": ("crispvl inspect internvl3-1b.gguf",),
    "bench": ("crispvl bench -m internvl3-1b.gguf --json",),
    "pull": (
        "crispvl pull OpenGVLab/InternVL3-1B-Instruct",
        "crispvl pull org/repo:q4_k_m",
    ),
    "list": ("crispvl list",),
    "remove": ("crispvl remove OpenGVLab/InternVL3-1B-Instruct",),
    "view": ("crispvl view receipt.png -o report.html --open",),
    "eval": (
        "crispvl eval truth -m internvl3-1b.gguf --against small.gguf --plot rates.svg",
        "crispvl eval DocVQA --benchmark docvqa -m internvl3-1b.gguf -o answers --resume",
    ),
    "doctor": ("crispvl doctor",),
    "completion": ("crispvl completion bash", "crispvl completion fish"),
}

BEGIN = """\
crispvl reads pages: receipts, scans, screenshots, photographs, PDF files.

  crispvl recognize scan.png                          the text of a page
  crispvl recognize scan.pdf --format pdf -o new.pdf  the scan, with text to search and copy
  crispvl serve                                       a web page, and an OpenAI-compatible API

crispvl --help lists all commands; crispvl doctor shows what this installation can use."""
"""What most people want, for those who type the name alone."""

EXIT_CODES = (
    "exit codes: 0 done, 1 some items failed, 2 wrong usage or unusable model, 130 interrupted"
)


def epilog(command: str) -> str:
    """Returns what comes below a command's options."""
    lines = [f"  {line}\n" for line in EXAMPLES.get(command, ())]
    return "".join(["examples:\n", *lines, "\n", EXIT_CODES] if lines else [EXIT_CODES])
