"""A hub of the tests' own: the few addresses that huggingface_hub asks for one repository."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """Serves files of one repository and remembers what it was asked for.

    Attributes:
        name: Of the repository.
        requests: Method, path and range of each request.
        cut_once: Names of files whose next download breaks off in the middle.
        damaged: Names of files that arrive with other bytes than their hash says.
    """

    def __init__(self, files: dict[str, bytes], name: str = "org/repo") -> None:
        self.files = files
        self.name = name
        self.requests: list[tuple[str, str, str | None]] = []
        self.cut_once: set[str] = set()
        self.damaged: set[str] = set()
        self.endpoint = ""

    def downloads(self) -> list[tuple[str, str | None]]:
        """Returns the names that were fetched, each with the range that was asked for."""
        return [
            (path.rpartition("/")[2], part)
            for method, path, part in self.requests
            if method == "GET" and "/resolve/" in path
        ]


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    repository = re.escape(hub.name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, with_body: bool) -> None:
            hub.requests.append((self.command, self.path, self.headers.get("Range")))
            path = self.path.partition("?")[0]
            file = re.fullmatch(rf"/{repository}/resolve/[^/]+/(.+)", path)
            if file and file[1] in hub.files:
                self._send_file(file[1], with_body)
            elif path.startswith(f"/api/models/{hub.name}/tree/"):
                self._send_json([_entry(name, data) for name, data in sorted(hub.files.items())])
            elif re.fullmatch(rf"/api/models/{repository}(/revision/[^/]+)?", path):
                names = [{"rfilename": name} for name in sorted(hub.files)]
                self._send_json({"id": hub.name, "sha": COMMIT, "siblings": names})
            else:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _send_file(self, name: str, with_body: bool) -> None:
            data = hub.files[name]
            digest = hashlib.sha256(data).hexdigest()
            headers = {
                "X-Repo-Commit": COMMIT, "ETag": f'"{digest}"', "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(data)), "Accept-Ranges": "bytes",
            }  # fmt: skip
            if name in hub.damaged:
                data = bytes(reversed(data))
            status, start = 200, 0
            found = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
            if found:
                status, start = 206, int(found[1])
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            body = data[start:]
            sent = len(body)
            if with_body and name in hub.cut_once:
                hub.cut_once.discard(name)
                sent //= 2
            self._send(status, body[:sent] if with_body else b"", headers, len(body))
            if sent < len(body):
                self.close_connection = True

        def _send_json(self, value: Any) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _send(
            self, status: int, body: bytes, headers: dict[str, str], length: int | None = None
        ) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
