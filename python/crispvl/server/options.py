"""What a server may do and how much of it; declared once, for the command line and for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crispvl.inputs.text_files import read_text
from crispvl.options import MOST_SECONDS


def _option(default: Any, help_text: str, metavar: str = "") -> Any:
    return field(default=default, metadata={"help": help_text, "parse": None, "metavar": metavar})


_HOST = re.compile(r"[^\s\ud800-\udfff]+")

_KEY = re.compile(r"[!-~]+")
"""What every client can send in a header."""

_FORMS = {
    "allow_host": (re.compile(r"[^\s:/@*]+"), "example.org, without a port"),
    "allow_origin": (re.compile(r"https?://[^\s/@*]+"), "https://example.org or with :PORT"),
    "allow_media_domain": (re.compile(r"(\*\.)?[^\s:/@*]+"), "example.org or *.example.org"),
}
"""What else would never match, and nobody would be told why."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where a server listens, who may use it, and its bounds. A tuple holds any number of values.

    Raises:
        ValueError: A number is out of range, a folder does not exist, a key is empty.
    """

    host: str = _option("127.0.0.1", "address to listen on", "ADDRESS")
    port: int = _option(8000, "port to listen on; 0 takes a free one", "PORT")
    api_key: tuple[str, ...] = _option((), "a key that clients must send; may be repeated", "KEY")
    api_key_file: str | None = _option(None, "file with a key per line", "FILE")
    allow_host: tuple[str, ...] = _option(
        (), "name by which clients may call a server without a key; may be repeated", "NAME"
    )
    allow_origin: tuple[str, ...] = _option(
        (), "web origin whose pages may use the server (CORS); may be repeated", "ORIGIN"
    )
    allow_media_domain: tuple[str, ...] = _option(
        (), "host that images and documents may be fetched from; may be repeated", "HOST"
    )
    allow_media_path: tuple[str, ...] = _option(
        (), "folder below which file: addresses are read; may be repeated", "FOLDER"
    )
    max_body_mb: int = _option(64, "largest request, in MiB", "N")
    max_pixels: int = _option(50_000_000, "most pixels of an image or a rendered page", "N")
    max_pages: int = _option(200, "most pages and images of a request", "N")
    max_tokens: int = _option(4096, "most tokens of an answer if the request names no number", "N")
    max_waiting: int = _option(2048, "most requests waiting for their turn", "N")
    max_running: int | None = _option(
        None,
        "most answers written at the same time (default: as memory allows)",
        "N",
    )
    request_time_limit: float = _option(600.0, "longest time that a request may run", "SECONDS")
    queue_time_limit: float = _option(300.0, "longest time that a request may wait", "SECONDS")
    body_time_limit: float = _option(
        30.0, "longest time that a request may take to arrive", "SECONDS"
    )
    shutdown_time_limit: float = _option(
        30.0, "time that running requests have when the server shuts down", "SECONDS"
    )
    model_memory: str | None = _option(
        None, "most memory for all loaded models together, such as 20GiB", "SIZE"
    )
    model_idle_limit: float = _option(
        900.0,
        "time after which an unused model is unloaded; the first one stays loaded",
        "SECONDS",
    )

    def __post_init__(self) -> None:
        least = {
            "port": 0, "max_body_mb": 1, "max_pixels": 1, "max_pages": 1, "max_tokens": 1,
            "max_waiting": 0,
        }  # fmt: skip
        for name, limit in least.items():
            if getattr(self, name) < limit:
                raise _out_of_range(name, f"at least {limit}", getattr(self, name))
        if self.max_running is not None and self.max_running < 1:
            raise _out_of_range("max_running", "at least 1", self.max_running)
        for name in ("request", "queue", "body", "shutdown"):
            value = getattr(self, f"{name}_time_limit")
            if not 0 < value <= MOST_SECONDS:
                raise _out_of_range(
                    f"{name}_time_limit", f"over 0 and at most {MOST_SECONDS:.0f}", value
                )
        if not _HOST.fullmatch(self.host):
            raise _out_of_range("host", "an address such as 127.0.0.1", self.host)
        if self.port > 65535:
            raise _out_of_range("port", "at most 65535", self.port)
        for name, (form, like) in _FORMS.items():
            for value in getattr(self, name):
                if not form.fullmatch(value):
                    raise _out_of_range(name, f"like {like}", value)
        for folder in self.allow_media_path:
            if not Path(folder).is_dir():
                raise ValueError(
                    f"[serve] expected allow_media_path to be a folder; found {folder!r}; make "
                    "it, or name another"
                )

    def keys(self) -> tuple[str, ...]:
        """Returns all keys, those of the key file included; none means that anybody may come.

        Raises:
            DocumentError: The key file is no text.
            ValueError: It cannot be read or holds none, or a key is one that not every client can
                send.
        """
        keys = list(self.api_key)
        if self.api_key_file is not None:
            keys += _keys_in(self.api_key_file)
        if not all(_KEY.fullmatch(key) for key in keys):
            raise ValueError(
                "[serve] expected keys of ASCII letters, digits and signs; found an empty one, or "
                "one with spaces or other characters; choose another"
            )
        return tuple(keys)


def _keys_in(path: str) -> list[str]:
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except OSError as error:
        raise ValueError(
            f"[serve] expected api_key_file to be a text file; found {error.strerror}: {path}; "
            "name another"
        ) from error
    keys = [line for line in lines if line]
    if not keys:
        raise ValueError(f"[serve] expected a key per line in {path}; found none; write one")
    return keys


def _out_of_range(name: str, expected: str, found: object) -> ValueError:
    return ValueError(f"[serve] expected {name} to be {expected}; found {found!r}; change it")
