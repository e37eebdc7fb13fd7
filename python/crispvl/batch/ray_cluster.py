"""The cluster that a batch runs on: how it is reached, and its errors in our words."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import ray

from crispvl.batch.ray_stages import Pool
from crispvl.errors import ClusterError, CrispVLError

_MOST_TOLD = 500
"""Characters of an error of Ray's, which may hold pages of its logs."""
_CONNECT_SECONDS = 10.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def connect(pools: Sequence[Pool], n_threads: int) -> None:
    """Connects to a cluster; where there is none, Ray starts one of this machine.

    Args:
        pools: Of readers that are to have room.
        n_threads: Of a reader.

    Raises:
        ClusterError: The cluster does not answer, or none can be started.
        ValueError: This machine alone has no room for a reader.
    """
    if ray.is_initialized():
        return
    _report_nothing()
    with _signals_kept():
        _connect(pools, n_threads)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Leaves the command's own way of ending on SIGTERM in its place; Ray puts another there."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(before) and signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)


def _report_nothing() -> None:
    """Leaves out Ray's report of its usage to its makers, unless a setting asks for it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def _connect(pools: Sequence[Pool], n_threads: int) -> None:
    named = os.environ.get("RAY_ADDRESS", "")
    _check_listens(named)
    if named != "local":
        try:
            ray.init(address="auto")
            return
        except Exception as error:  # Ray raises what its many parts stumble over
            if named or not isinstance(error, ConnectionError):
                raise _unanswering(named or "its address", error) from error
    try:
        ray.init(address="local")
    except Exception as error:
        raise _unusable(
            "that Ray starts on this machine",
            error,
            "correct this (Ray tells more in /tmp/ray/session_latest/logs), or leave out "
            "--engine ray",
        ) from error
    _check_room(pools, n_threads)


def _check_listens(address: str) -> None:
    """Refuses a host and port that nothing listens on, for which Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "://" in host or not port.isdecimal():
        return  # Ray tells at once what it makes of these
    host = host.strip("[]")
    try:
        if host in _LOOPBACK:
            host = ray.util.get_node_ip_address()  # which Ray puts in its place
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise _unanswering(address, error) from error


def _unanswering(address: str, error: Exception) -> ClusterError:
    return _unusable(
        f"a cluster that answers at {address}",
        error,
        "correct RAY_ADDRESS, or set it to local for a cluster of this machine alone",
    )


def _unusable(expected: str, error: Exception, do: str) -> ClusterError:
    told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return ClusterError(f"[ray] expected {expected}; found {told[:_MOST_TOLD]}; {do}")


def _check_room(pools: Sequence[Pool], n_threads: int) -> None:
    """Refuses to wait for machines that will not come."""
    resources: Callable[[], dict[str, float]] = ray.cluster_resources  # Ray gives it no types
    has = resources()
    n_cpus, n_gpus = has.get("CPU", 0.0), has.get("GPU", 0.0)
    for pool in pools:
        if n_threads > n_cpus or pool.n_gpus > n_gpus:
            raise ValueError(
                f"[ray] expected CPUs and GPUs for a worker, {n_threads} and {pool.n_gpus:g}; "
                f"found {n_cpus:g} and {n_gpus:g} on this machine; ask for less, or name a "
                "cluster in RAY_ADDRESS"
            )


@contextmanager
def own_errors() -> Iterator[None]:
    """Raises what Ray wraps in errors of its own."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise _ours(error) from error


def _ours(error: BaseException) -> Exception:
    cause: BaseException | None = error
    while cause is not None:
        is_rays = isinstance(cause, ray.exceptions.RayError)
        if isinstance(cause, (CrispVLError, OSError, ValueError)) and not is_rays:
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return ClusterError(
        f"[ray] expected a cluster that keeps its workers; found {error}; look at its dashboard "
        "and run the batch again, which reads only what is missing"
    )
