"""Images of every kind that users have, as 8-bit RGB.

`open_image` decodes one picture; `check_readable` refuses shapes in which no model can read
anything. Decoding and refusing are apart because tiling is defined for every size, reading is not.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.errors import ImageError
from crispvl.inputs.damage import DAMAGED
from crispvl.inputs.data_uri import data_uri_name, decode_data_uri, is_data_uri
from crispvl.inputs.decoding import decode
from crispvl.inputs.pipes import read_bounded
from crispvl.inputs.pixels import to_rgb
from crispvl.inputs.tiff_messages import TiffMessages
from crispvl.inputs.utf8 import encodable, path_name
from crispvl.thread_stack import require_stack

ImageLike: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Image.Image
    | NDArray[np.uint8]
)

MIN_SIDE_PX = 8
"""Shortest side of an image that is read; the smallest legible letters are about this high."""

MAX_ASPECT = 200
"""Greatest ratio of the sides: beyond it the widest grid squeezes letters beyond recognition."""


def open_image(source: ImageLike, where: str = "image") -> Image.Image:
    """Decodes an image and returns it upright, opaque, in 8-bit RGB.

    The EXIF orientation is applied, pixels are made square where the file says that they are not,
    transparency is composited on white or on what shows its letters, wide grey is scaled to 8 bits,
    and of several frames the first is taken. What was passed in is left as it is.

    Args:
        source: Path, ``data:`` URI, encoded bytes, binary file object, PIL image, or a uint8 array
            ``[height, width]`` or ``[height, width, channels]`` with 1 (grey), 3 (RGB) or 4 (RGBA)
            channels.
        where: What the image is called in error messages when it has no path.

    Returns:
        An image of mode ``RGB``.

    Raises:
        FileNotFoundError: The path does not exist.
        ImageError: The data is empty, damaged, no image, or too large.
        DocumentError: A data URI is malformed.
        TypeError: The source, or the array's element type, is of a kind not listed above.
        ValueError: The array's shape is not one listed above.
    """
    require_stack()
    if isinstance(source, Image.Image):
        return _from_pillow(source, where)
    if isinstance(source, np.ndarray):
        return to_rgb(_from_array(source), where)
    if isinstance(source, str) and is_data_uri(source):
        return decode(decode_data_uri(source), source_name(source))
    if isinstance(source, (str, os.PathLike)):
        path = checked_path(source)
        return decode(_read_file(path), source_name(path))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode(bytes(source), where)
    if hasattr(source, "read"):
        return decode(read_file(source, where), source_name(source, where))
    raise unknown_source(source, where)


def _from_pillow(image: Image.Image, where: str) -> Image.Image:
    with TiffMessages() as messages:  # it may be decoded only now
        picture = to_rgb(image, where)
    if messages.tell_damage:
        picture.info[DAMAGED] = True
    return picture


def check_readable(image: Image.Image, where: str = "image") -> None:
    """Raises `ImageError` where an image is too small or too thin for anything to be read in it."""
    short, long = sorted(image.size)
    if short < MIN_SIDE_PX or long > MAX_ASPECT * short:
        raise ImageError(
            f"[{where}] expected sides of at least {MIN_SIDE_PX} px and at most {MAX_ASPECT}:1; "
            f"found {image.width}×{image.height} px; crop or enlarge it so that letters show"
        )


def source_name(source: ImageLike, default: str = "image") -> str:
    """Returns the path an image comes from, or the default where it comes from memory.

    It can be written as UTF-8, whatever the path is; see `crispvl.inputs.utf8.path_name`.
    """
    if isinstance(source, str) and is_data_uri(source):
        return data_uri_name(source)
    if isinstance(source, (str, os.PathLike)):
        return path_name(source)
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return encodable(name) if isinstance(name, str) else default


def read_file(file: IO[bytes], where: str = "image") -> bytes:
    """Returns what a file object holds.

    Raises:
        TypeError: It was opened for text, or for writing only.
        ValueError: It is closed.
    """
    if getattr(file, "closed", False):
        raise ValueError(f"[{where}] expected an open file; found a closed one; open it again")
    try:
        data: object = file.read()
    except UnicodeDecodeError:  # it tried to read an image as text
        data = ""
    except io.UnsupportedOperation:
        raise TypeError(
            f"[{where}] expected a file opened for reading; found one for writing only; open it "
            "with mode 'rb'"
        ) from None
    if not isinstance(data, bytes):
        raise TypeError(
            f"[{where}] expected a file opened for bytes; found one whose read() gives "
            f"{type(data).__name__}; open it with mode 'rb'"
        )
    return data


def checked_path(source: str | os.PathLike[str]) -> Path:
    """Returns a path; raises FileNotFoundError for a text that no file can be called."""
    text = os.fspath(source)
    if not text:  # which a path takes for the current folder
        raise FileNotFoundError("[image] expected a path; found an empty one; name a file")
    try:
        os.stat(text)
    except (OSError, ValueError) as error:
        if not isinstance(error, ValueError) and error.errno != errno.ENAMETOOLONG:
            return Path(source)  # what opens it says the rest
        shown = encodable(text if len(text) <= 80 else text[:80] + "…")
        found = f"{len(text)} characters, too many for a file name"
        if isinstance(error, ValueError):
            found = "a character that no file name holds"
        raise FileNotFoundError(
            f"[{shown!r}] expected a path; found {found}; decode data yourself and pass its "
            "bytes, or pass a data: URI"
        ) from None
    return Path(source)


def unknown_source(source: object, where: str) -> TypeError:
    """Returns the error for what is none of `ImageLike`."""
    return TypeError(
        f"[{where}] expected a path, bytes, binary file, PIL image or uint8 array; found "
        f"{type(source).__name__}; convert it to one of these"
    )


def _read_file(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"[{path}] expected a file; found a folder; name its files")
    try:
        return read_path(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"[{path}] expected an image file; found nothing there; check the path"
        ) from None


def read_path(path: Path) -> bytes:
    """Returns what a file holds, or a pipe, within `read_bounded`'s bounds."""
    with path.open("rb") as file:
        is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return file.read() if is_file else read_bounded(file, source_name(path))


def _from_array(array: NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8:
        raise TypeError(
            f"[image] expected an array of uint8; found {array.dtype}; scale it to 0…255 and "
            "convert it with .astype('uint8')"
        )
    shape = array.shape
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise ValueError(
            "[image] expected an array [height, width] or [height, width, 1, 3 or 4]; found "
            f"{list(shape)}; reorder its axes"
        )
    if 0 in shape:
        raise ImageError(
            f"[image] expected at least one pixel; found {list(shape)}; check how the array was "
            "made"
        )
    pixels = array[:, :, 0] if array.ndim == 3 and shape[2] == 1 else array
    return Image.fromarray(np.ascontiguousarray(pixels))
