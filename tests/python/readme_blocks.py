"""What the README tells to run, and a hub on this machine for it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .fake_hub import FakeHub, serving

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
CHECKPOINT = ROOT / "models" / "nano" / "checkpoint"


def blocks(language: str) -> list[str]:
    """The README's blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)


def published_name() -> str:
    """The checkpoint that the README converts."""
    found = re.search(r"convert --model (\S+)", README.read_text("utf-8"))
    assert found is not None
    return found[1]


@contextmanager
def local_hub(home: Path) -> Iterator[dict[str, str]]:
    """A hub that has the bundled model's checkpoint under the published name.

    Yields:
        The environment in which programs ask it.
    """
    files = {path.name: path.read_bytes() for path in CHECKPOINT.iterdir() if path.is_file()}
    with serving(FakeHub(files, published_name())) as hub:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        yield kept | {
            "HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
