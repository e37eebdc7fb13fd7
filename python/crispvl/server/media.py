"""The bytes that a request names: in itself, on hosts and in folders that the operator allows."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from anyio import to_thread

from crispvl.errors import DocumentError
from crispvl.inputs.data_uri import decode_base64, decode_data_uri, is_data_uri
from crispvl.inputs.urls import fetch
from crispvl.server.errors import ApiError

_LONGEST_ADDRESS = 8192
"""Characters of an address that does not hold the data itself, as HTTP servers take them."""


class Media:
    """Loads what an address names.

    Args:
        domains: Hosts that may be fetched from, by https only; ``*.example.org`` means those below
            it. None by default.
        folders: Below which files may be read. None by default.
        max_bytes: Of one file.
    """

    def __init__(self, domains: Sequence[str], folders: Sequence[str], max_bytes: int) -> None:
        self._domains = [domain.lower() for domain in domains]
        self._folders = [Path(folder).resolve() for folder in folders]
        self._max_bytes = max_bytes

    async def load(self, address: str, param: str) -> bytes:
        """Returns the bytes at an address, which may hold them itself (``data:``).

        Args:
            address: ``data:``, ``https:`` or ``file:``; without a scheme, base64.
            param: What the address is called in the request.

        Raises:
            ApiError: It is malformed, not allowed, or cannot be had.
        """
        if is_data_uri(address):
            return await to_thread.run_sync(_from_data_uri, address, param)
        scheme, colon, _ = address.partition(":")
        scheme = scheme.strip().lower() if colon and len(scheme) < 32 else ""
        if not scheme:
            return await to_thread.run_sync(_from_base64, address, param)
        # Following one takes time by its length, and cannot be ended.
        if len(address) > _LONGEST_ADDRESS:
            raise _refused(
                param,
                f"an address of at most {_LONGEST_ADDRESS} characters",
                "a longer one",
                "send the data itself",
            )
        if scheme == "https":
            self._check_domain(address, param)
            return await to_thread.run_sync(self._fetch, address, param)
        if scheme == "file":
            return await to_thread.run_sync(self._read, address, param)
        raise _refused(param, "an address with data:, https: or file:", "another", "send data:")

    def _check_domain(self, address: str, param: str) -> None:
        try:
            parts = urlsplit(address)
            host, user = (parts.hostname or "").lower().rstrip("."), parts.username
        except ValueError:
            raise _refused(param, "an address", "a malformed one", "correct it") from None
        if parts.scheme != "https" or user is not None or not self._is_allowed(host):
            raise _refused(
                param,
                "an address that this server fetches from",
                "another",
                "send the data itself",
            )

    def _is_allowed(self, host: str) -> bool:
        return any(
            host.endswith(domain[1:]) if domain.startswith("*.") else host == domain
            for domain in self._domains
        )

    def _fetch(self, address: str, param: str) -> bytes:
        try:
            return fetch(
                address,
                check=lambda target: self._check_domain(target, param),
                max_bytes=self._max_bytes,
            )
        except DocumentError:  # its text names addresses of this network
            raise _refused(
                param,
                "a document at the address",
                "none that could be fetched",
                "send the data itself",
            ) from None

    def _read(self, address: str, param: str) -> bytes:
        try:
            parts = urlsplit(address)
            if not self._folders:
                raise PermissionError
            path = Path(unquote(parts.path)).resolve(strict=True)  # follows links
            if parts.netloc not in ("", "localhost"):
                raise ValueError
            if not any(folder in path.parents for folder in self._folders):
                raise PermissionError
            return _read_regular(path, self._max_bytes)
        except (OSError, ValueError, RuntimeError):  # whether it exists is not disclosed either
            raise _refused(
                param, "a file that this server reads", "another", "send the data itself"
            ) from None


def _read_regular(path: Path, max_bytes: int) -> bytes:
    """Returns a file's bytes. What has become a link meanwhile, or is no file, is refused."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            raise PermissionError
        return file.read(max_bytes)


def _from_data_uri(uri: str, param: str) -> bytes:
    try:
        return _some(decode_data_uri(uri), param)
    except DocumentError:
        raise _refused(param, "data:…;base64,…", "something else", "encode it so") from None


def _from_base64(text: str, param: str) -> bytes:
    try:
        return _some(decode_base64(text.encode("ascii")), param)
    except ValueError:
        raise _refused(param, "base64", "something else", "encode it so") from None


def _some(data: bytes, param: str) -> bytes:
    if not data:
        raise _refused(param, "an image or a document", "nothing", "send one")
    return data


def _refused(param: str, expected: str, found: str, advice: str) -> ApiError:
    message = f"[{param}] expected {expected}; found {found}; {advice}"
    return ApiError(400, message, "invalid_media", param)
