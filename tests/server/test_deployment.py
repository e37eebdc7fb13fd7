"""The examples of `packaging/server` fit the server and the repository that they are in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from crispvl.server.options import ServerOptions

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging" / "server"


@pytest.mark.parametrize("name", [".gitignore", ".dockerignore"])
def test_keys_become_no_part_of_the_repository_or_of_an_image(name: str) -> None:
    """The compose example has them lie beside it."""
    secret = re.search(r"^secrets:\n  keys:\n    file: (\S+)$", _text("compose.yaml"), re.MULTILINE)
    assert secret is not None
    ignored = (ROOT / name).read_text("utf-8").splitlines()
    assert f"packaging/server/{secret[1]}" in [line.lstrip("/") for line in ignored]


def test_the_proxy_has_the_bounds_of_the_server() -> None:
    options = ServerOptions()
    for bound in (
        f"client_max_body_size {options.max_body_mb}m;",
        f"client_body_timeout {options.body_time_limit:.0f}s;",
        f"proxy_read_timeout {options.request_time_limit:.0f}s;",
    ):
        assert bound in _text("nginx.conf")


def _text(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")
