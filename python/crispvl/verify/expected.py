"""What a file is compared with: the stages, tokens and text that the published code computed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from crispvl.errors import ModelFileError
from crispvl.results.outputs import whole_files

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ExpectedPrompt:
    """One prompt and its greedy answer.

    ``margins`` are the differences of the two best log-probabilities at each token: where they are
    nearly equal, either token is right.
    """

    prompt_ids: Sequence[int]
    greedy_ids: Sequence[int]
    margins: Sequence[float]
    text: str


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A reference.

    Attributes:
        source: Where it comes from, for the report.
        tiles: uint8 ``[n_tiles, px, px, 3]``.
        stages: By name: ``vis_*`` of the first tile or of all, ``llm_*`` of the image prompt.
        logits: At the last position of each prompt, by the prompt's name.
        prompts: ``image``, and ``text`` where there is one.
    """

    source: str
    tiles: NDArray[np.uint8]
    stages: Mapping[str, Array]
    logits: Mapping[str, Array]
    prompts: Mapping[str, ExpectedPrompt]


def read_golden(folder: str | Path) -> Expected:
    """Reads ``expected.npz`` and ``expected.json``.

    Raises:
        FileNotFoundError: The folder lacks one.
        ModelFileError: They are damaged or incomplete.
    """
    folder = Path(folder)
    for name in ("expected.npz", "expected.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"[golden] expected a folder with expected.npz and expected.json; found no {name} "
                f"in '{folder}'; give the golden's folder"
            )
    try:
        with np.load(folder / "expected.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        data = json.loads((folder / "expected.json").read_text("utf-8"))
        return Expected(
            source=str(folder),
            tiles=arrays["tiles"],
            stages={k: v for k, v in arrays.items() if k.startswith(("vis_", "llm_"))},
            logits={k: arrays[f"logits_{k}"] for k in ("image", "text") if f"logits_{k}" in arrays},
            prompts={k: _prompt(data[k]) for k in ("image", "text") if k == "image" or k in data},
        )
    except (KeyError, ValueError, OSError, TypeError, RecursionError, BadZipFile) as error:
        raise ModelFileError(
            f"[golden] expected stages, prompts and answers; found {error!r} in '{folder}'; make "
            "the golden again"
        ) from error


def write_golden(expected: Expected, folder: Path) -> None:
    """Writes what `read_golden` reads, into a folder that is there."""
    logits = {f"logits_{name}": values for name, values in expected.logits.items()}
    named: dict[str, Any] = {"tiles": expected.tiles, **expected.stages, **logits}
    prompts = {
        name: {
            "prompt_ids": [*prompt.prompt_ids],
            "greedy_ids": [*prompt.greedy_ids],
            "top2_margin": [*prompt.margins],
            "greedy_text": prompt.text,
        }
        for name, prompt in expected.prompts.items()
    }
    with whole_files([folder / "expected.npz", folder / "expected.json"]) as [arrays, texts]:
        with arrays.open("xb") as file:
            np.savez_compressed(file, **named)
        texts.write_text(json.dumps(prompts, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _prompt(data: dict[str, Any]) -> ExpectedPrompt:
    return ExpectedPrompt(
        prompt_ids=list(data["prompt_ids"]),
        greedy_ids=list(data["greedy_ids"]),
        margins=list(data.get("top2_margin", [])),
        text=str(data.get("greedy_text", "")),
    )
