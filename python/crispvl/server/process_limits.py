"""What a process that works on strangers' files denies itself."""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Iterator

from PIL import Image

FORMATS = frozenset(
    ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
)
"""Pillow's decoders that stay; the others are for formats that no scanner or camera writes."""

SPARE_BYTES = 256 << 20
"""Memory beyond the pixels: a document's bytes, PDFium's and Pillow's own."""

BYTES_PER_PIXEL = 34
"""What the most demanding picture takes with all its copies, a WebP with alpha; a plain PNG, 11."""


def bound(max_bytes: int, max_file_bytes: int = 0) -> None:
    """Bounds this process' memory beyond what it has now, and the files it writes."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        with open("/proc/self/statm") as file:
            in_use = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + max_bytes, in_use + max_bytes))
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def bounded_time(seconds: float) -> Iterator[None]:
    """Ends this process where something takes more time of the CPU; that is not to be caught.

    What others do on the machine does not count, unlike with a clock.
    """
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def met_its_time(returncode: int | None) -> bool:
    """Returns whether a process was ended by `bounded_time`."""
    return returncode == -getattr(signal, "SIGPROF", 0)


def allow_formats(max_pixels: int) -> None:
    """Leaves only the decoders of `FORMATS`, and images of at most ``max_pixels``."""
    warnings.simplefilter("ignore")
    Image.init()
    for name in set(Image.ID) - FORMATS:
        Image.ID.remove(name)
        Image.OPEN.pop(name, None)
    Image.MAX_IMAGE_PIXELS = max_pixels // 2  # Pillow refuses twice as many
