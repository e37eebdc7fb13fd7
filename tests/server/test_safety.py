"""Who may use a server, what it reads for them, and how much."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from crispvl.inputs import urls
from crispvl.server.errors import ApiError
from crispvl.server.media import Media

from .conftest import RunningServer, asking, data_address

CHAT = "/v1/chat/completions"
KEY = "a-key-of-this-test"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> object:
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"another-key\n{KEY}\n")
    running = RunningServer("--api-key-file", str(keys)).wait_until_ready()
    yield running
    running.stop()


PATHS = [
    ("GET", "/"), ("GET", "/static/page.css"), ("GET", "/v1/models"), ("POST", CHAT),
    ("POST", "/v1/completions"), ("POST", "/v1/ocr"), ("GET", "/v1/ocr/x"), ("GET", "/metrics"),
    ("GET", "/version"), ("GET", "/openapi.json"), ("GET", "/docs"), ("POST", "/tokenize"),
    ("POST", "/detokenize"), ("GET", "/nothing"), ("GET", "//health"),
    ("GET", "/health/../metrics"),
]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": f"Bearer {KEY[:-1]}"},
        {"authorization": "Bearer"},
        {"authorization": KEY},
        {"authorization": "Basic " + base64.b64encode(b"user:wrong").decode()},
        {"authorization": "Basic ====="},
    ],
)
def test_without_a_valid_key_everything_but_health_is_a_401(
    guarded: RunningServer, headers: dict[str, str]
) -> None:
    with httpx.Client(base_url=guarded.url, headers=headers, timeout=60) as client:
        for method, path in PATHS:
            response = client.request(method, path)
            assert response.status_code == 401, (method, path)
            assert "www-authenticate" in response.headers
        assert client.get("/health").status_code == 200
        assert client.get("/health/live").status_code == 200


def test_a_key_opens_the_door_as_a_token_or_as_a_password(guarded: RunningServer) -> None:
    for given in (f"Bearer {KEY}", "Basic " + base64.b64encode(f":{KEY}".encode()).decode()):
        with httpx.Client(base_url=guarded.url, headers={"authorization": given}) as client:
            assert client.get("/v1/models").status_code == 200
            assert client.get("/").status_code == 200
    browser = httpx.get(guarded.url, headers={"accept": "text/html"})
    assert browser.headers["www-authenticate"].startswith("Basic")


def test_pages_of_other_sites_are_refused(client: httpx.Client, receipt: bytes) -> None:
    body = asking(receipt, max_tokens=1)
    for origin in ("https://evil.example", "null", "http://localhost:1", "http://[", "http://x:y"):
        response = client.post(CHAT, json=body, headers={"origin": origin})
        assert response.status_code == 403
    own = str(client.base_url).rstrip("/")
    assert client.post(CHAT, json=body, headers={"origin": own}).status_code == 200
    assert "access-control-allow-origin" not in client.get("/v1/models").headers


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("https://localhost", "localhost:443", 200),
        ("http://localhost:80", "LOCALHOST", 200),
        ("http://localhost", "localhost:443", 403),
        ("http://localhost", "localhost:8000", 403),
        ("ftp://localhost", "localhost", 403),
    ],
)
def test_behind_a_proxy_the_usual_port_may_be_written_or_not(
    client: httpx.Client, origin: str, host: str, status: int
) -> None:
    response = client.get("/v1/models", headers={"origin": origin, "host": host})
    assert response.status_code == status


def test_an_allowed_site_may_send_the_headers_of_its_client(
    serve: Callable[..., RunningServer],
) -> None:
    server = serve("--allow-origin", "https://good.example", "--api-key", KEY)
    headers = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    for origin, status in (("https://good.example", 200), ("https://evil.example", 400)):
        asked = httpx.options(server.url + CHAT, headers={**headers, "origin": origin})
        assert asked.status_code == status
        assert ("access-control-allow-origin" in asked.headers) == (status == 200)


def test_a_server_without_a_key_answers_to_names_of_this_machine_only(
    client: httpx.Client,
) -> None:
    strange = ("evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80", ".")
    for host in (*strange, "localhost..", "evil.example."):
        assert client.get("/v1/models", headers={"host": host}).status_code in (400, 403)
    own = ("localhost", "localhost:8000", "127.0.0.1", "[::1]:8000")
    for host in (*own, "localhost.", "LOCALHOST.:8000"):  # with a dot: a whole name
        assert client.get("/v1/models", headers={"host": host}).status_code == 200


def test_a_server_that_others_reach_without_a_key_says_so(
    serve: Callable[..., RunningServer],
) -> None:
    for arguments, is_open in (((), True), (("--api-key", KEY), False)):
        lines = serve("--host", "0.0.0.0", *arguments).lines
        assert any("--api-key-file" in line for line in lines) == is_open


def test_files_are_read_below_allowed_folders_only(
    serve: Callable[..., RunningServer], tmp_path: Path, receipt: bytes
) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    allowed.mkdir()
    secret.mkdir()
    (allowed / "page.png").write_bytes(receipt)
    (secret / "page.png").write_bytes(receipt)
    (allowed / "link.png").symlink_to(secret / "page.png")
    (allowed / "folder").symlink_to(secret)
    (allowed / "inner.png").symlink_to(allowed / "page.png")
    os.mkfifo(allowed / "pipe.png")
    server = serve("--allow-media-path", str(allowed))
    with httpx.Client(base_url=server.url, timeout=60) as client:

        def status(address: str) -> int:
            part = {"type": "image_url", "image_url": {"url": address}}
            response = client.post(CHAT, json=asking(part, max_tokens=1))
            if response.status_code != 200:
                assert str(tmp_path) not in response.text
            return response.status_code

        assert status(f"file://{allowed}/page.png") == 200
        assert status(f"file://localhost{allowed}/inner.png") == 200
        for address in (
            f"file://{secret}/page.png",
            f"file://{allowed}/link.png",
            f"file://{allowed}/folder/page.png",
            f"file://{allowed}/../secret/page.png",
            f"file://{allowed}/%2e%2e/secret/page.png",
            f"file://{allowed}/pipe.png",
            f"file://{allowed}",
            f"file://{allowed}/none.png",
            f"file://evil.example{allowed}/page.png",
            f"file://{allowed}/page.png%00.png",
            f"{allowed}/page.png",
            "file:///proc/self/environ",
        ):
            assert status(address) == 400, address


@pytest.fixture
def media() -> Media:
    return Media(["good.example", "*.cdn.example", "127.0.0.1", "localhost"], [], 1 << 20)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Has each name resolve to the given addresses in turn, and notes what is connected to."""
    left = list(answers)
    connected: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[object]:
        address = left.pop(0) if len(left) > 1 else left[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(address: tuple[str, int], timeout: object = None) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    return connected


@pytest.mark.parametrize(
    "address",
    [
        "http://good.example/x.png",
        "https://evil.example/x.png",
        "https://good.example.evil.example/x.png",
        "https://good.example@evil.example/x.png",
        "https://user@good.example/x.png",
        "https://cdn.example/x.png",
        "https://evilcdn.example/x.png",
        "https://[::ffff:10.0.0.1]/x.png",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/x.png",
        "https://0x7f.1/x.png",
        "https:///x.png",
        "https://good.example\\@evil.example/x.png",
        "gopher://good.example/x",
        "HTTPS ://good.example/",
    ],
)
@pytest.mark.anyio
async def test_hosts_that_are_not_allowed_are_not_even_looked_up(
    media: Media, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(ApiError) as caught:
        await media.load(address, "image")
    assert caught.value.status == 400


@pytest.mark.anyio
async def test_where_no_folder_is_allowed_the_file_system_is_not_asked(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a path was followed")

    monkeypatch.setattr(Path, "resolve", refuse)
    with pytest.raises(ApiError, match="expected a file that this server reads"):
        await media.load("file:///etc/hostname", "image")


@pytest.mark.parametrize("address", ["file:///" + "../" * 100_000, "https://good.example/" * 1000])
@pytest.mark.anyio
async def test_an_endless_address_is_refused_before_it_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    media = Media(["good.example"], [str(tmp_path)], 1 << 20)
    monkeypatch.setattr("crispvl.server.media.urlsplit", None)
    with pytest.raises(ApiError, match="expected an address of at most 8192 characters"):
        await media.load(address, "image")


def test_a_port_beyond_all_bounds_is_no_document(media: Media) -> None:
    with pytest.raises(ApiError, match="none that could be fetched"):
        media._fetch(f"https://good.example:{'9' * 23}/x.png", "image")


@pytest.mark.parametrize("address", ["data:,%41%42", "data:;base64,QUI=", "QUI="])
@pytest.mark.anyio
async def test_data_in_an_address_is_unpacked_beside_the_other_requests(
    media: Media, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    threads = []

    def note(data: bytes, param: str) -> bytes:
        threads.append(threading.current_thread())
        return data

    monkeypatch.setattr("crispvl.server.media._some", note)
    assert await media.load(address, "image") == b"AB"
    assert threads != [threading.main_thread()]


@pytest.mark.parametrize(
    "resolved",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fe80::1",
        "fc00::1", "64:ff9b::7f00:1", "2002:7f00:1::1", "::",
    ],
)  # fmt: skip
@pytest.mark.anyio
async def test_an_allowed_name_that_leads_to_a_private_address_is_refused(
    media: Media, monkeypatch: pytest.MonkeyPatch, resolved: str
) -> None:
    connected = resolving(monkeypatch, resolved)
    with pytest.raises(ApiError) as caught:
        await media.load("https://good.example/x.png", "image")
    assert connected == []
    assert resolved not in str(caught.value)


@pytest.mark.anyio
async def test_the_address_that_was_checked_is_the_one_connected_to(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = resolving(monkeypatch, "93.184.216.34", "127.0.0.1")
    with pytest.raises(ApiError):
        await media.load("https://a.cdn.example/x.png", "image")
    assert connected == ["93.184.216.34"]


@pytest.mark.parametrize(
    "target",
    ["http://good.example/", "https://evil.example/", "file:///etc/passwd", "//evil.example"],
)
def test_redirects_are_checked_like_the_first_address(media: Media, target: str) -> None:
    """A redirect's target is given to the same check, before anything is connected to."""
    handler = urls._RedirectHandler(lambda address: media._check_domain(address, "image"))
    request = urls.urllib.request.Request("https://good.example/x.png")
    target = urls.urllib.parse.urljoin("https://good.example/x.png", target)
    with pytest.raises(ApiError):
        handler.redirect_request(request, io.BytesIO(), 302, "Found", {}, target)


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """Returns a grey PNG of any size; without data, of as few bytes as zeros compress to."""
    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    packed = data or b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def gif(width: int, height: int) -> bytes:
    """Returns a GIF without data that claims a size."""
    head = struct.pack("<6sHH3x", b"GIF89a", width, height)
    return head + struct.pack("<sHHHHx", b",", 0, 0, width, height) + b"\2\0;"


def tiff(width: int, height: int) -> bytes:
    """Returns the head of a one-bit TIFF that claims a size."""
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 1),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, 4),
    ]
    body = (
        struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
        + bytes(8)
    )
    return struct.pack("<2sHI", b"II", 42, 8) + body


def resident_mib(pid: int) -> float:
    """Returns the memory of a process and its children."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if int(fields["Pid"]) == pid or int(fields["PPid"]) == pid:
            total += int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
    return total


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")
@pytest.mark.parametrize(
    "make",
    [
        lambda: png(30_000, 30_000, b"\x78\x9c"),
        lambda: png(9_000, 9_000),
        lambda: png(0x7FFFFFFF, 0x7FFFFFFF, b"\x78\x9c"),
        lambda: b"P5 60000 60000 255\n" + bytes(100),
        lambda: gif(65535, 65535),
        lambda: tiff(100_000, 100_000),
        lambda: b"BM" + struct.pack("<I4xIIiiHH24x", 100, 54, 40, 40000, 40000, 1, 24),
    ],
    ids=["png head", "png zeros", "png huge", "pgm", "gif", "tiff", "bmp"],
)  # fmt: skip
def test_a_decompression_bomb_ends_as_a_400_in_little_memory(
    server: RunningServer, client: httpx.Client, make: Callable[[], bytes]
) -> None:
    body = asking(make(), max_tokens=1)
    before = resident_mib(server.process.pid)
    response = client.post(CHAT, json=body)
    assert response.status_code == 400, response.text
    assert resident_mib(server.process.pid) - before < 200


def test_a_body_that_is_too_large_is_a_413(serve: Callable[..., RunningServer]) -> None:
    server = serve("--max-body-mb", "1")
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for content in (bytes(3 << 20), (bytes(1 << 16) for _ in range(64))):
            headers = {"content-type": "application/json"}
            assert client.post(CHAT, content=content, headers=headers).status_code == 413
        assert client.get("/health").status_code == 200


def talk(url: str, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Sends bytes with pauses between, and returns what comes back until the end."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 60) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause_s)
        found = b""
        while block := connection.recv(1 << 16):
            found += block
        return found


def test_a_body_that_does_not_arrive_is_a_408(serve: Callable[..., RunningServer]) -> None:
    server = serve("--body-time-limit", "1")
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = talk(server.url, head.encode() + b"Content-Length: 1000\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"x-should-retry: false" in answer


def test_a_request_whose_head_is_endless_is_cut_off(server: RunningServer) -> None:
    with contextlib.suppress(ConnectionError):  # where bytes are left unread
        answer = talk(server.url, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (1 << 20))
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert httpx.get(f"{server.url}/health").status_code == 200


def test_who_goes_away_frees_the_place(serve: Callable[..., RunningServer], receipt: bytes) -> None:
    """One place, taken by a request that is left: the next one need not wait for its end."""
    server = serve("--max-running", "1", "--verbose")
    body = asking(receipt, max_tokens=3500, temperature=1.5, ignore_eos=True)
    with httpx.Client(base_url=server.url, timeout=120) as client:
        for stream in (True, False):
            _leave_soon(server.url, {**body, "stream": stream})
            reply = client.post(CHAT, json=asking(receipt, max_tokens=1))
            assert reply.status_code == 200
        for _ in range(100):
            if 'crispvl_requests_running{model="crispvl-nano"} 0.0' in client.get("/metrics").text:
                break
            time.sleep(0.1)
        text = client.get("/metrics").text
    assert 'crispvl_requests_running{model="crispvl-nano"} 0.0' in text
    assert "crispvl_requests_cancelled_total 2.0" in text


def _leave_soon(url: str, body: dict[str, object]) -> None:
    with httpx.Client(base_url=url, timeout=60 if body["stream"] else 2) as client:
        if body["stream"]:
            with client.stream("POST", CHAT, json=body) as response:
                next(response.iter_lines())
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(CHAT, json=body)


def test_more_requests_than_may_wait_are_told_when_to_come_back(
    serve: Callable[..., RunningServer], receipt: bytes
) -> None:
    server = serve("--max-running", "1", "--max-waiting", "0")
    long = {"layout": "page", "max_tokens": 3500, "temperature": 1.5, "ignore_eos": True}
    client = httpx.Client(base_url=server.url, timeout=120)
    body = asking(receipt, stream=True, **long)
    with client, client.stream("POST", CHAT, json=body) as first:
        lines = first.iter_lines()  # kept: an iterator that is dropped closes the connection
        next(lines)
        second = client.post(CHAT, json=asking(receipt, max_tokens=1))
        assert second.status_code == 429
        assert 1 <= int(second.headers["retry-after"]) <= 60
        assert second.json()["error"]["type"] == "rate_limit_error"


def test_a_server_that_is_told_to_end_finishes_what_it_has_begun(
    serve: Callable[..., RunningServer], receipt: bytes
) -> None:
    server = serve()
    client = httpx.Client(base_url=server.url, timeout=120)
    with client, client.stream("POST", CHAT, json=asking(receipt, stream=True)) as response:
        lines = response.iter_lines()
        next(lines)
        server.process.terminate()
        rest = list(lines)
    assert rest[-2] == "data: [DONE]"
    assert server.process.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
@pytest.mark.parametrize(
    ("options", "signals"),
    [
        (["--shutdown-time-limit", "1"], ["SIGTERM"]),
        (["--shutdown-time-limit", "1"], ["SIGHUP"]),
        ([], ["SIGINT", "SIGINT"]),
    ],
    ids=["told", "terminal closed", "told twice"],
)
def test_what_waits_when_the_server_ends_is_told_so(
    serve: Callable[..., RunningServer], options: list[str], signals: list[str]
) -> None:
    server = serve("--max-running", "1", *options)
    body = {"prompt": "a", "max_tokens": 3500, "temperature": 1.5, "ignore_eos": True}
    client = httpx.Client(base_url=server.url, timeout=60)
    with ThreadPoolExecutor() as pool, client:
        with client.stream("POST", "/v1/completions", json={**body, "stream": True}) as first:
            lines = first.iter_lines()
            next(lines)
            asks = [pool.submit(client.post, "/v1/completions", json=body) for _ in range(2)]
            while 'crispvl_requests_waiting{model="crispvl-nano"} 2.0' not in (
                client.get("/metrics").text
            ):
                time.sleep(0.1)
            for name in signals:
                server.process.send_signal(signal.Signals[name])
                time.sleep(0.2)
            assert any("shutting_down" in line for line in lines)
        for ask in asks:
            assert ask.result().status_code == 503
            assert ask.result().json()["error"]["code"] == "shutting_down"
    assert server.process.wait(60) == 0
    assert not any("Traceback" in line for line in server.lines)


def test_the_address_of_data_is_not_repeated_in_errors(client: httpx.Client) -> None:
    part = {"type": "image_url", "image_url": {"url": data_address(b"x" * 5000)}}
    response = client.post(CHAT, json=asking(part))
    assert response.status_code == 400
    assert len(response.text) < 1000
