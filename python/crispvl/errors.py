"""Errors that crispvl raises.

Every message reads ``[where] expected X; found Y; do Z``. A caller's
slip is a plain ``ValueError`` or ``TypeError``, a missing file a plain ``FileNotFoundError``; what
a file, an image, a device or the model itself can cause is one of the classes below. Each also
derives from the built-in class that fits, so code that knows nothing of crispvl can catch it.
"""

from __future__ import annotations

import traceback
from typing import Any


class CrispVLError(Exception):
    """Base of all errors that are not the caller's mistake."""


class ModelFileError(CrispVLError, ValueError):
    """A model file is damaged, incomplete, of an unknown kind, or does not fit its partner."""


class ImageError(CrispVLError, ValueError):
    """An image is empty, damaged, no image at all, or of a shape in which nothing can be read."""


class DocumentError(CrispVLError, ValueError):
    """A document is empty, damaged, of an unknown kind, or must not be fetched."""


class PasswordError(DocumentError):
    """A document is encrypted, and the password is missing or wrong."""


class DocumentChangedError(DocumentError):
    """A document changed while it was read; what it holds now can be read."""


class OutputError(CrispVLError, OSError):
    """What was read cannot be written: the disk is full, or the place must not be written to."""


class ExtractionError(CrispVLError, ValueError):
    """The model's answer is not what the schema asks for.

    Attributes:
        answer: What the model answered last.
    """

    def __init__(self, message: str, answer: str = "") -> None:
        super().__init__(message)
        self.answer = answer


class ContextOverflowError(CrispVLError, ValueError):
    """A prompt needs more tokens than the model's context holds."""


class DeviceError(CrispVLError, RuntimeError):
    """The device asked for does not exist, or failed."""


class OutOfMemoryError(CrispVLError, MemoryError):
    """Host or device memory ran out; the engine stays usable."""


class EngineBusyError(CrispVLError, RuntimeError):
    """As many requests wait as the engine's queue holds; try again later."""


class EngineClosedError(CrispVLError, RuntimeError):
    """The engine takes no more requests."""


class WorkerDiedError(CrispVLError, RuntimeError):
    """A process that read a page ended, or said nothing for too long."""


class ClusterError(CrispVLError, ConnectionError):
    """A Ray cluster cannot be started, does not answer, or failed."""


class Cancelled(CrispVLError):  # noqa: N818 (it is an event, not a fault)
    """A `CancelToken` stopped the work.

    Attributes:
        partial: What had been produced: a `Generation` from `Model.generate`, a `Document` from
            `CrispOCR.recognize`, an `Answer` from `CrispOCR.chat`, or None when nothing had been
            generated yet.
    """

    def __init__(self, *args: object, partial: Any = None) -> None:
        super().__init__(*args)
        self.partial = partial


class InternalError(CrispVLError, RuntimeError):
    """An invariant of crispvl's own code does not hold; please report it."""


def explained(error: Exception, where: str) -> Exception:
    """Returns Python's own MemoryError, which says nothing, as one that does; others as they are.

    Args:
        error: What ended the work on one item.
        where: The item's name.
    """
    if not isinstance(error, MemoryError) or isinstance(error, CrispVLError):
        return error
    named = OutOfMemoryError(
        f"[{where}] expected enough memory for this item; found too little{_reason(error)}; free "
        "memory, or scale the item down"
    )
    named.__cause__ = error
    return named


def kept(error: Exception) -> Exception:
    """Returns an error that a result keeps; what its frames hold, such as pictures, is let go."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
    return error


def _reason(error: Exception) -> str:
    return f" ({error})" if str(error) else ""
