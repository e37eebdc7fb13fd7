"""Encoded pictures, decoded by Pillow; whatever it raises becomes an `ImageError`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from PIL import Image, UnidentifiedImageError

from crispvl.errors import ImageError
from crispvl.extras import install_line
from crispvl.inputs.damage import DAMAGED, damaged_from, is_damaged
from crispvl.inputs.page_files import pages_of
from crispvl.inputs.pixels import most_pixels, to_rgb
from crispvl.inputs.png_samples import is_wide_png, use_range
from crispvl.inputs.tiff import is_tiff
from crispvl.inputs.tiff_messages import TiffMessages
from crispvl.inputs.tiff_samples import TiffSamples, first_directory
from crispvl.thread_stack import require_stack

_NO_MEMORY = "out of memory"  # of an OSError, what a decoder of Pillow answers in C
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_SIDES = 256, 257  # of a TIFF, which has both


class Frames:
    """The pictures of an encoded image file, decoded one at a time.

    Pages of a TIFF, DCX or PNM, frames of a GIF or WebP; every other format counts as one picture.
    Smaller copies of a TIFF's pages and their transparency masks are no pictures of their own.

    Args:
        data: The file's bytes.
        where: What the image is called in error messages.

    Raises:
        ImageError: The data is empty, no image, or too large.
    """

    def __init__(self, data: bytes, where: str = "image") -> None:
        self._data = data
        self._where = where
        self._pages = pages_of(data, where)
        with decoding(data, where):
            image = None if self._pages else Image.open(io.BytesIO(data))
        self.n_frames: int = len(self._pages) or _n_frames(image)
        self._image: Image.Image | None = image

    def load(self, i_frame: int) -> Image.Image:
        """Returns a picture, counted from 0, as `crispvl.inputs.images.open_image` does.

        Raises:
            ImageError: It is damaged, or too large.
        """
        if self._pages:
            return _decode(self._pages[i_frame](), self._where)
        if self.n_frames == 1:
            return _decode(self._data, self._where)
        with decoding(self._data, self._where):
            if self._image is None:
                self._image = Image.open(io.BytesIO(self._data))
            try:
                self._image.seek(i_frame)
                _check_size(self._image.size)
                self._image.load()
            except BaseException:
                self._image = None  # a decoder that failed half way is of no more use
                raise
        picture = to_rgb(self._image, self._where)
        if picture is self._image:  # which goes on to the next
            picture = picture.copy()
        if self._damaged_from is not None and self._damaged_from <= i_frame:
            picture.info[DAMAGED] = True
        return picture

    @cached_property
    def _damaged_from(self) -> int | None:
        """The first damaged frame of a GIF or WebP; what breaks off is told with the last one."""
        i_frame = damaged_from(self._data)
        return None if i_frame is None else min(i_frame, self.n_frames - 1)


def decode(data: bytes, where: str = "image") -> Image.Image:
    """Returns the only or first picture of an image file, as `Frames.load` does."""
    pages = pages_of(data, where)
    return _decode(pages[0]() if pages else data, where)


def _decode(data: bytes, where: str) -> Image.Image:
    with decoding(data, where):
        with TiffMessages() as messages:
            image = _decoded(data, where)
        damaged = messages.tell_damage or is_damaged(data, image)
    picture = to_rgb(image, where)
    if damaged:
        picture.info[DAMAGED] = True
    return picture


def _decoded(data: bytes, where: str) -> Image.Image:
    if is_tiff(data):
        samples = TiffSamples(data, where)
        if samples.are_needed:
            _check_size(samples.size)
            return samples.picture()
    image = _open(data)
    try:
        image.load()
    except OSError:
        complete = _decode_without_end(data)
        if complete is None:
            raise
        return complete
    if is_wide_png(data):
        use_range(image, data, where)
    return image


@contextmanager
def decoding(data: bytes, where: str) -> Iterator[None]:
    """Turns whatever Pillow raises while it opens or decodes into an `ImageError`."""
    require_stack()
    if not data:
        raise ImageError(
            f"[{where}] expected an image; found 0 bytes; check that it was saved completely"
        )
    if data[4:8] == b"ftyp":
        _register_heif(data, where)
    try:
        yield
    except UnidentifiedImageError:
        raise ImageError(
            f"[{where}] expected an image or a PDF file; found {_describe(data)}; save it as "
            "PNG or JPEG"
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"[{where}] expected at most {most_pixels()} pixels; found more; scale the image down"
        ) from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever their parser stumbles over
        if str(error).startswith(_NO_MEMORY):
            raise MemoryError from error
        raise ImageError(
            f"[{where}] expected a complete image; found a damaged one ({error}); save it again"
        ) from error


def _open(data: bytes) -> Image.Image:
    image: Image.Image = Image.open(io.BytesIO(data))
    _check_size(image.size)
    return image


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > most_pixels():
        raise Image.DecompressionBombError(f"{width}×{height} px")


def _n_frames(image: Image.Image | None) -> int:
    if image is None or image.format not in ("GIF", "WEBP"):
        return 1
    return getattr(image, "n_frames", 1)


def _decode_without_end(data: bytes) -> Image.Image | None:
    """Returns the picture of a JPEG file that lacks its end marker and nothing else.

    A decoder that has all of the picture does not look at what comes after it, so the picture is
    the same whatever is put there.
    """
    if not data.startswith(b"\xff\xd8"):
        return None
    images = [_open(data + filling * 512 + b"\xff\xd9") for filling in (b"\x00\x00", b"\xff\x00")]
    for image in images:
        image.load()
    return images[0] if images[0].tobytes() == images[1].tobytes() else None


def is_heif(data: bytes) -> bool:
    return data[8:12] in _HEIF_BRANDS


def _register_heif(data: bytes, where: str) -> None:
    """Lets Pillow open HEIC photographs; other files of this container are its own matter."""
    if not is_heif(data):
        return
    try:
        import pi_heif
    except ImportError:
        raise ImageError(
            f"[{where}] expected an image; found HEIC, which needs the package pi-heif; run "
            f"{install_line('heic')}, or save it as JPEG"
        ) from None
    pi_heif.register_heif_opener()


def _describe(data: bytes) -> str:
    """Returns in words what Pillow could not identify."""
    if data.startswith(b"%PDF"):
        return "a PDF, whose pages CrispOCR reads, but which is not a single image"
    if is_tiff(data):
        return _describe_tiff(data)
    if data[4:8] == b"ftyp" and data[8:12] in _AVIF_BRANDS:
        return "an AVIF that is damaged, or that this Pillow cannot decode"
    return describe_bytes(data)


def describe_bytes(data: bytes) -> str:
    """Returns in words what is of no kind that is known."""
    if not data:
        return "0 bytes"
    return f"{len(data)} bytes of another kind, beginning with {data[:8]!r}"


def _describe_tiff(data: bytes) -> str:
    try:
        tags: Any = first_directory(data)
        if any(tags.get(side) is None for side in _SIDES):
            return "a damaged TIFF"
        bits, photometric = tags.get(258, (1,)), _PHOTOMETRICS.get(tags.get(262), "unknown colours")
        form = {2: "signed", 3: "floating-point"}.get(tags.get(339, (1,))[0], "unsigned")
        alpha = " with alpha" if 338 in tags else ""
    except Exception:  # as with the plugin, whatever its parser stumbles over
        return "a damaged TIFF"
    bits = "+".join(map(str, bits))
    return f"a TIFF of {photometric}{alpha}, {form} samples of {bits} bits, which is not supported"


_PHOTOMETRICS = {
    0: "grey", 1: "grey", 2: "RGB", 3: "palette colours", 5: "CMYK", 6: "YCbCr", 8: "CIELab",
    32803: "a camera's raw data", 34892: "linear raw data",
}  # fmt: skip
