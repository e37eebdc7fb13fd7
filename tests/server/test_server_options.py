"""What a server is told at its start: what could never work is refused then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from crispvl.options import LoadOptions
from crispvl.server.app import create_app
from crispvl.server.options import ServerOptions
from crispvl.server.pool import parse_sources


@pytest.mark.parametrize("text", ["one\ntwo\n", "\ufeffone\r\n\r\n  two \r\n"])
def test_a_key_file_has_a_key_per_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(text, "utf-8")
    assert ServerOptions(api_key_file=str(file)).keys() == ("one", "two")


@pytest.mark.parametrize(
    "data", [b"# our keys\nabc\n", b"abc def\n", b"\xffabc", b"\n", "é".encode()]
)
def test_a_key_file_that_holds_something_else_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"^\[.*\] expected "):
        ServerOptions(api_key_file=str(file)).keys()


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match=r"^\[serve\] expected .*; found .*; name another"):
            ServerOptions(api_key_file=str(path)).keys()


@pytest.mark.parametrize("text", ["none.gguf", "b=./none", "b={here},none.gguf"])
def test_a_model_file_that_is_not_there_is_named_before_anything_is_served(text: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"^\[model\] expected a GGUF file; found that"):
        parse_sources(["org/model:q8_0", text.format(here=__file__)])


@pytest.mark.parametrize(
    "fields",
    [{"host": ""}, {"host": "\udcff"}, {"request_time_limit": 1e300}, {"body_time_limit": 0.0}],
)
def test_what_no_server_can_do_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^\[serve\] expected (host|.*_limit) to be "):
        ServerOptions(**fields)


def test_a_model_that_cannot_be_loaded_is_never_said_to_be_served(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_text("no model")
    command = [sys.executable, "-m", "crispvl", "serve", "--port", "0", "-m", "model.gguf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    loading, told = (line for line in done.stderr.splitlines() if line.startswith("crispvl: "))
    assert loading == "crispvl: loading model"
    assert told.startswith("crispvl: [model] expected a GGUF file; found that")


def test_memory_that_the_first_model_exceeds_is_refused() -> None:
    options = ServerOptions(model_memory="1KiB")
    with pytest.raises(ValueError, match=r"^\[serve\] expected model_memory of at least"):
        create_app(options, parse_sources([]), LoadOptions())


@pytest.mark.parametrize("key", ["", " ", "a b", " a", "ключ"])
def test_a_key_that_clients_cannot_send_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"^\[serve\] expected keys "):
        ServerOptions(api_key=(key,)).keys()


@pytest.mark.parametrize(
    "fields",
    [
        {"allow_origin": ("*",)},
        {"allow_origin": ("https://example.org/",)},
        {"allow_origin": ("example.org",)},
        {"allow_host": ("example.org:8000",)},
        {"allow_host": ("https://example.org",)},
        {"allow_media_domain": ("https://example.org/",)},
        {"allow_media_domain": ("*",)},
    ],
)
def test_a_name_that_would_never_match_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^\[serve\] expected allow_"):
        ServerOptions(**fields)


def test_names_of_sites_and_hosts_are_taken() -> None:
    ServerOptions(
        allow_origin=("https://example.org", "http://localhost:3000", "http://[::1]:80"),
        allow_host=("example.org",),
        allow_media_domain=("example.org", "*.example.org"),
    )


def test_a_model_that_is_none_ends_the_server(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"no model at all")
    command = [sys.executable, "-m", "crispvl", "serve", "--port", "0", "-m", "model.gguf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "[model] expected a GGUF file" in done.stderr
    assert "Traceback" not in done.stderr
