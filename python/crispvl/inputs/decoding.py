"""Encoded pictures, decoded by Pillow; whatever it raises becomes an `ImageError`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from crispvl.errors import ImageError
from crispvl.inputs.damage import DAMAGED, is_damaged
from crispvl.inputs.pixels import MAX_PIXELS, to_rgb

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255  # TIFF tags
_REDUCED, _MASK = 1, 4  # bits of the first
_OLD_REDUCED = 2  # value of the second


class Frames:
    """The pictures of an encoded image file, decoded one at a time.

    Pages of a TIFF, frames of a GIF or WebP; every other format counts as one picture. Smaller
    copies of a TIFF's pages and their transparency masks are no pictures of their own.

    Args:
        data: The file's bytes.
        where: What the image is called in error messages.

    Raises:
        ImageError: The data is empty, no image, or too large.
    """

    def __init__(self, data: bytes, where: str = "image") -> None:
        self._data = data
        self._where = where
        with decoding(data, where):
            image = Image.open(io.BytesIO(data))
            self._indices = _picture_indices(image)
        self.n_frames: int = len(self._indices)
        self._image: Image.Image | None = image

    def load(self, i_frame: int) -> Image.Image:
        """Returns a picture, counted from 0, as `crispvl.inputs.images.open_image` does.

        Raises:
            ImageError: It is damaged, or too large.
        """
        if self.n_frames == 1:
            return _decode(self._data, self._indices[0], self._where)
        with decoding(self._data, self._where):
            if self._image is None:
                self._image = Image.open(io.BytesIO(self._data))
            try:
                self._image.seek(self._indices[i_frame])
                _check_size(self._image)
                self._image.load()
            except BaseException:
                self._image = None  # a decoder that failed half way is of no more use
                raise
        picture = _upright(self._data, self._image, self._where)
        return picture.copy() if picture is self._image else picture  # it goes on to the next


def decode(data: bytes, where: str = "image") -> Image.Image:
    """Returns the only or first picture of an image file, as `Frames.load` does."""
    with decoding(data, where):
        image = Image.open(io.BytesIO(data))
        first = 0 if image.format != "TIFF" or _is_page(image) else _picture_indices(image)[0]
    return _decode(data, first, where)


def _decode(data: bytes, index: int, where: str) -> Image.Image:
    with decoding(data, where):
        image = _open(data, index)
        try:
            image.load()
        except OSError:
            complete = _decode_without_end(data)
            if complete is None:
                raise
            image = complete
    return _upright(data, image, where)


def _upright(data: bytes, image: Image.Image, where: str) -> Image.Image:
    """Returns a decoded picture as RGB, which says in its ``info`` whether the data is damaged."""
    damaged = is_damaged(data, image)
    picture = to_rgb(image, where)
    if damaged:
        picture.info[DAMAGED] = True
    return picture


@contextmanager
def decoding(data: bytes, where: str) -> Iterator[None]:
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
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever their parser stumbles over
        raise ImageError(
            f"[{where}] a complete image is expected; found a damaged one ({error}); save it again"
        ) from error


def _open(data: bytes, index: int = 0) -> Image.Image:
    image: Image.Image = Image.open(io.BytesIO(data))
    if index:
        image.seek(index)
    _check_size(image)
    return image


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"{image.width}×{image.height} px")


def _picture_indices(image: Image.Image) -> Sequence[int]:
    """Returns where in a file its pictures are, smaller copies and masks left out."""
    n_frames: int = getattr(image, "n_frames", 1)
    if image.format not in ("TIFF", "GIF", "WEBP"):
        return range(1)
    if image.format != "TIFF" or n_frames == 1:
        return range(n_frames)
    pages = []
    for index in range(n_frames):
        image.seek(index)
        if _is_page(image):
            pages.append(index)
    return pages or range(n_frames)


def _is_page(image: Image.Image) -> bool:
    tags = image.tag_v2  # type: ignore[attr-defined]
    kind, old_kind = tags.get(_NEW_SUBFILE_TYPE, 0), tags.get(_SUBFILE_TYPE, 0)
    return not (isinstance(kind, int) and kind & (_REDUCED | _MASK)) and old_kind != _OLD_REDUCED


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
    """Returns in words what Pillow could not identify."""
    if data.startswith(b"%PDF"):
        return "a PDF, whose pages CrispOCR reads but which is no single image"
    if data.startswith(_TIFF_MARKS):
        return _describe_tiff(data)
    return f"{len(data)} bytes of another kind, beginning with {data[:8]!r}"


def _describe_tiff(data: bytes) -> str:
    is_big = b"+" in data[2:4]
    tags: Any = ImageFileDirectory_v2(data[: 16 if is_big else 8])
    try:
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
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
