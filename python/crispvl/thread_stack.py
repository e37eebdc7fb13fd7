"""Stacks of threads: what is asked of a caller's, and how large those of our own are."""

from __future__ import annotations

import threading

_OWN_BYTES = 4 << 20
_LOCK = threading.Lock()


def require_stack() -> None:
    """Asks for what decoders and PDFium need, which end the process where a stack ends.

    Raises:
        OutOfMemoryError: The stack of this thread is too small, or used up.
    """
    try:
        from crispvl._core import require_stack as require
    except ImportError:  # a picture can be decoded without the core
        return
    require()


def start_thread(thread: threading.Thread) -> None:
    """Starts a thread of ours with room enough, however small the program wants its own."""
    with _LOCK:
        programs = threading.stack_size(_OWN_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(programs)
