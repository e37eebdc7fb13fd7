"""A cluster that cannot be started or reached is told in a line, with Ray's reason."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs crispvl[ray]")
import ray
from crispvl.batch.ray_cluster import connect
from crispvl.batch.ray_stages import Pool
from crispvl.cli import main
from crispvl.cli.signals import Terminated, ended_by_signals
from crispvl.errors import ClusterError

MakePdf = Callable[..., Path]


@pytest.fixture(autouse=True)
def unconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)


def failing(monkeypatch: pytest.MonkeyPatch, **errors: Exception) -> None:
    """Lets Ray fail with one error where it looks for a cluster, and another where it starts it."""

    def init(address: str) -> None:
        raise errors[address]

    monkeypatch.setattr(ray, "init", init)


@pytest.mark.parametrize(("asked", "reports"), [(None, "0"), ("1", "1")])
def test_rays_usage_is_reported_only_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, reports: str
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", asked or "")  # to be as before after the test
    if asked is None:
        monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
    monkeypatch.setattr(ray, "init", lambda address: None)
    connect([], 1)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == reports


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Failed to start GCS.\nLast 20 lines of its log:\n" + "x" * 10_000),
        OSError(28, "No space left on device"),
        ValueError("Attempting to start Ray with port 6379 that is in use"),
        Exception("The current node timed out during startup."),
        ray.exceptions.RaySystemError("System error: no redis"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_cluster_that_does_not_start_is_one_line_of_the_command(
    tmp_path: Path,
    pdf: MakePdf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    failing(monkeypatch, auto=ConnectionError("Could not find any running Ray"), local=error)
    out = tmp_path / "out"
    assert main(["batch", str(pdf("a.pdf", 1)), "--out", str(out), "--engine", "ray"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("crispvl: [ray] expected that Ray starts on this machine; found ")
    assert str(error).split("\n")[0].rstrip(".") in told
    assert ".;" not in told
    assert len(told) < 1000
    assert not out.exists()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A port of this machine that is bound; nothing listens on it until the test does."""
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"localhost:{bound.getsockname()[1]}")
        yield bound


@pytest.mark.parametrize("error", [ConnectionError("refused"), RuntimeError("Version mismatch")])
def test_a_named_cluster_that_does_not_answer_is_never_replaced(
    monkeypatch: pytest.MonkeyPatch, port: socket.socket, error: Exception
) -> None:
    port.listen()
    failing(monkeypatch, auto=error)
    with pytest.raises(ClusterError, match=rf"answers at localhost:\d+; found {error}"):
        connect([Pool("cpu", 1)], 1)


def test_an_address_that_nothing_listens_on_is_told_without_waiting_for_ray(
    monkeypatch: pytest.MonkeyPatch, port: socket.socket
) -> None:
    failing(monkeypatch, auto=AssertionError("Ray was asked, which waits for minutes"))
    with pytest.raises(ClusterError, match=r"answers at localhost:\d+; found .*refused"):
        connect([Pool("cpu", 1)], 1)


def expect_told(
    monkeypatch: pytest.MonkeyPatch, address: str, error: Exception, found: str
) -> None:
    """Connects to an address where Ray, if it is asked, fails with an error."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    failing(monkeypatch, auto=error)
    with pytest.raises(ClusterError, match=f"answers at {address}; found {found}"):
        connect([Pool("cpu", 1)], 1)


@pytest.mark.parametrize("address", ["localhost:70000", f"{'x' * 70}.invalid:1"])
def test_an_address_that_cannot_be_is_told_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    unasked = AssertionError("Ray was asked, which waits for minutes")
    expect_told(monkeypatch, address, unasked, "(?!Ray)")


@pytest.mark.parametrize("address", ["auto", "ray://127.0.0.1:1", "nonsense"])
def test_an_address_that_is_no_host_and_port_is_for_ray_to_judge(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    error = ValueError("Invalid address format")
    expect_told(monkeypatch, address, error, "Invalid address format")


def test_a_cluster_of_another_version_is_not_replaced_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, auto=RuntimeError("Version mismatch"))
    with pytest.raises(ClusterError, match="answers at its address; found Version mismatch"):
        connect([Pool("cpu", 1)], 1)


@pytest.fixture
def untouched_signals() -> Iterator[None]:
    """As in a process of its own, where no earlier test has let Ray put its handler there."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("untouched_signals")
def test_a_signal_ends_a_run_on_ray_as_it_ends_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ray, "init", lambda address: signal.signal(signal.SIGTERM, lambda number, _: None)
    )
    with ended_by_signals():
        connect([Pool("cpu", 1)], 1)
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)


def test_a_cluster_of_this_machine_alone_is_looked_at_for_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr(ray, "init", lambda address: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(ValueError, match="3 and 0; found 2 and 0"):
        connect([Pool("cpu", 1)], 3)
