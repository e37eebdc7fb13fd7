"""Images of every kind that users have, as 8-bit RGB.

`open_image` decodes one picture, `Frames` those of a file with several; `check_readable` refuses
shapes in which no model can read anything. Decoding and refusing are apart because tiling is
defined for every size, reading is not.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from crispvl.errors import ImageError
from crispvl.inputs.utf8 import encodable

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

MAX_PIXELS = 178_956_970
"""Most pixels of an encoded image; Pillow refuses as a decompression bomb what is larger."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what turns a picture of an EXIF orientation upright

_TELL_ORIENTATION = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def open_image(source: ImageLike, where: str = "image") -> Image.Image:
    """Decodes an image and returns it upright, opaque, in 8-bit RGB.

    The EXIF orientation is applied, transparency is composited on white, 16-bit grey is scaled to
    8 bits, and of several frames the first is taken. What was passed in is left as it is.

    Args:
        source: Path, encoded bytes, binary file object, PIL image, or a uint8 array
            ``[height, width]`` or ``[height, width, channels]`` with 1 (grey), 3 (RGB) or 4 (RGBA)
            channels.
        where: What the image is called in error messages when it has no path.

    Returns:
        An image of mode ``RGB``.

    Raises:
        FileNotFoundError: The path does not exist.
        ImageError: The data is empty, damaged, no image, or too large.
        TypeError: The source, or the array's element type, is of a kind not listed above.
        ValueError: The array's shape is not one listed above.
    """
    if isinstance(source, Image.Image):
        return _to_rgb(source, where)
    if isinstance(source, np.ndarray):
        return _to_rgb(_from_array(source), where)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return _decode(_read_file(path), source_name(path))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source), where)
    if hasattr(source, "read"):
        data = source.read()
        if not isinstance(data, bytes):
            raise TypeError(
                f"[{where}] a file opened for bytes is expected; its read() returned "
                f"{type(data).__name__}; open it with mode 'rb'"
            )
        return _decode(data, getattr(source, "name", None) or where)
    raise TypeError(
        f"[{where}] a path, bytes, binary file, PIL image or uint8 array is expected; found "
        f"{type(source).__name__}; convert it to one of these"
    )


def check_readable(image: Image.Image, where: str = "image") -> None:
    """Raises `ImageError` where an image is too small or too thin for anything to be read in it."""
    short, long = sorted(image.size)
    if short < MIN_SIDE_PX or long > MAX_ASPECT * short:
        raise ImageError(
            f"[{where}] sides of at least {MIN_SIDE_PX} px and at most {MAX_ASPECT}:1 are "
            f"expected; found {image.width}×{image.height} px; "
            "crop or enlarge it so that letters show"
        )


class Frames:
    """The pictures of an encoded image file, decoded one at a time.

    Pages of a TIFF, frames of a GIF or WebP; every other format counts as one picture.

    Args:
        data: The file's bytes.
        where: What the image is called in error messages.

    Raises:
        ImageError: The data is empty, no image, or too large.
    """

    def __init__(self, data: bytes, where: str = "image") -> None:
        self._data = data
        self._where = where
        with _decoding(data, where):
            image = Image.open(io.BytesIO(data))
            n_frames = getattr(image, "n_frames", 1)
        self.n_frames: int = n_frames if image.format in ("TIFF", "GIF", "WEBP") else 1
        self._image: Image.Image | None = image

    def load(self, i_frame: int) -> Image.Image:
        """Returns a picture, counted from 0, as `open_image` does.

        Raises:
            ImageError: It is damaged, or too large.
        """
        if self.n_frames == 1:
            return _decode(self._data, self._where)
        with _decoding(self._data, self._where):
            if self._image is None:
                self._image = Image.open(io.BytesIO(self._data))
            try:
                self._image.seek(i_frame)
                _check_size(self._image)
                frame = self._image.copy()  # decodes; the file stays open for the next
            except BaseException:
                self._image = None  # a decoder that failed half way is of no more use
                raise
        return _to_rgb(frame, self._where)


def source_name(source: ImageLike, default: str = "image") -> str:
    """Returns the path an image comes from, or the default where it comes from memory.

    It can be written as UTF-8, whatever the path is; see `crispvl.inputs.utf8.encodable`.
    """
    if isinstance(source, (str, os.PathLike)):
        return encodable(os.fspath(source))
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return encodable(name) if isinstance(name, str) else default


def _read_file(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"[{path}] an image file is expected; found a folder; name its files")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"[{path}] an image file is expected; nothing is there; check the path"
        ) from None


def _decode(data: bytes, where: str) -> Image.Image:
    with _decoding(data, where):
        image = Image.open(io.BytesIO(data))
        _check_size(image)
        image.load()
    return _to_rgb(image, where)


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"{image.width}×{image.height} px")


@contextmanager
def _decoding(data: bytes, where: str) -> Iterator[None]:
    """Turns whatever Pillow raises while it opens or decodes into an `ImageError`."""
    if not data:
        raise ImageError(f"[{where}] an image is expected; found 0 bytes; was it saved completely?")
    if data[4:8] == b"ftyp":
        _register_heif(data, where)
    try:
        yield
    except UnidentifiedImageError:
        raise ImageError(
            f"[{where}] an image is expected; found {_describe(data)}; save it as PNG or JPEG"
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"[{where}] at most {MAX_PIXELS} pixels are expected; found more ({error}); scale the "
            "image down, or open it yourself and pass the PIL image"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever their parser stumbles over
        raise ImageError(
            f"[{where}] a complete image is expected; found a damaged one ({error}); save it again"
        ) from error


def _register_heif(data: bytes, where: str) -> None:
    """Lets Pillow open HEIC photographs; other files of this container are its own matter."""
    if data[8:12] not in _HEIF_BRANDS:
        return
    try:
        import pi_heif
    except ImportError:
        raise ImageError(
            f"[{where}] an image is expected; found HEIC, which needs the package pi-heif; run "
            "pip install 'crispvl[heic]', or save it as JPEG"
        ) from None
    pi_heif.register_heif_opener()


def _describe(data: bytes) -> str:
    if data.startswith(b"%PDF"):
        return "a PDF, whose pages CrispOCR reads but which is no single image"
    return f"{len(data)} bytes of another kind, beginning with {data[:8]!r}"


def _from_array(array: NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8:
        raise TypeError(
            f"[image] an array of uint8 is expected; found {array.dtype}; scale it to 0…255 and "
            "convert it with .astype('uint8')"
        )
    shape = array.shape
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise ValueError(
            "[image] an array [height, width] or [height, width, 1, 3 or 4] is expected; found "
            f"{list(shape)}; reorder its axes"
        )
    if 0 in shape:
        raise ImageError(f"[image] at least one pixel is expected; found {list(shape)}; check it")
    pixels = array[:, :, 0] if array.ndim == 3 and shape[2] == 1 else array
    return Image.fromarray(np.ascontiguousarray(pixels))


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    if 0 in image.size:
        raise ImageError(
            f"[{where}] at least one pixel is expected; found {image.width}×{image.height} px; "
            "check it"
        )
    try:
        upright = _turn_upright(image)
        upright.load()  # where Pillow opened a file, this decodes it
        if upright.mode == "RGB" and "transparency" not in upright.info:
            return upright
        if upright.mode.startswith(("I", "F")):
            return _scale_wide_grey(upright, where).convert("RGB")
        if upright.has_transparency_data:
            return _on_white(upright)
        return upright.convert("RGB")
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # where Pillow opened a file, its plugin may raise anything
        raise ImageError(
            f"[{where}] pixels that convert to RGB are expected; found mode {image.mode} "
            f"({error}); convert the image yourself"
        ) from error


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # an unreadable EXIF block says nothing about the pixels
        return image
    if turn is None:
        return image
    upright = image.transpose(turn)
    for name in _TELL_ORIENTATION:
        upright.info.pop(name, None)  # it may be opened again
    return upright


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer).convert("RGB")


def _scale_wide_grey(image: Image.Image, where: str) -> Image.Image:
    """Maps grey values of 16 bits to 8; Pillow's own conversion clips them at 255."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
        raise ImageError(
            f"[{where}] grey values of 8 or 16 bits are expected; found mode {image.mode} from "
            f"{values.min()} to {values.max()}; scale them to 0…255"
        )
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
