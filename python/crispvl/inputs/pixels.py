"""Pictures as Pillow decodes them, turned into the RGB that a person would see.

Upright, with square pixels, opaque, of 8 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from crispvl.errors import ImageError
from crispvl.inputs.sample_range import eight_bits, white_level
from crispvl.inputs.transparency import on_ground

MAX_PIXELS = 178_956_970
"""Most pixels of an encoded image, as Pillow has it; `most_pixels` heeds who has bound Pillow."""

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

MAX_PIXEL_ASPECT = 4.0
"""Greatest credible ratio of a pixel's sides; faxes have 2.1. Beyond, a tag is taken for wrong."""

_SQUARE_ENOUGH = 1.01  # resolutions are rounded when they are written

_TELL_ASPECT = (
    *("dpi", "resolution", "aspect", "jfif_density", "jfif_unit"),
    *("exif", "Raw profile type exif"),
)

_CENTIMETRE = 3  # EXIF's unit of resolution; the others are taken for inches

_WIDTH, _HEIGHT, _PHOTOMETRIC, _MAX_SAMPLE_VALUE = 256, 257, 262, 281  # TIFF tags
_WHITE_IS_ZERO = 0


def most_pixels() -> int:
    """Returns most pixels of an encoded image, in this process."""
    warned = Image.MAX_IMAGE_PIXELS  # Pillow refuses twice as many
    return MAX_PIXELS if warned is None else min(MAX_PIXELS, 2 * warned)


def to_rgb(image: Image.Image, where: str) -> Image.Image:
    """Returns a picture as RGB; the one that was passed in stays as it is.

    Raises:
        ImageError: It is empty, cannot be decoded, or its values have no known range.
    """
    if 0 in image.size:
        raise ImageError(
            f"[{where}] expected at least one pixel; found {image.width}×{image.height} px; check "
            "the file"
        )
    try:
        image.load()  # where Pillow opened a file, this decodes it
        return _turn_upright(square_pixels(_opaque(image, where), *_density(image)), image)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # where Pillow opened a file, its plugin may raise anything
        raise ImageError(
            f"[{where}] expected pixels that convert to RGB; found mode {image.mode} ({error}); "
            "convert the image yourself"
        ) from error


def _opaque(image: Image.Image, where: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _scale_wide_grey(image, where).convert("RGB")
    if image.has_transparency_data:
        return on_ground(image)
    return image.convert("RGB")


def _turn_upright(rgb: Image.Image, image: Image.Image) -> Image.Image:
    """Turns a picture as the EXIF block of the one it was made of says."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # an unreadable EXIF block says nothing about the pixels
        return rgb
    if turn is None:
        return rgb
    upright = rgb.transpose(turn)
    for name in _TELL_ORIENTATION:
        upright.info.pop(name, None)  # it may be opened again
    if "dpi" in upright.info and turn in _SWAP_SIDES:
        upright.info["dpi"] = upright.info["dpi"][::-1]
    return upright


_SWAP_SIDES = frozenset(_TURNS[orientation] for orientation in (5, 6, 7, 8))


def square_pixels(rgb: Image.Image, x: float, y: float) -> Image.Image:
    """Enlarges a picture along the axis in which it has fewer pixels per unit of length, x or y."""
    if not _SQUARE_ENOUGH < max(x / y, y / x) <= MAX_PIXEL_ASPECT:
        return rgb
    width, height = rgb.width * max(1, y / x), rgb.height * max(1, x / y)
    if width * height > MAX_PIXELS:  # rather lose detail in the other axis
        width, height = rgb.width * min(1, y / x), rgb.height * min(1, x / y)
    size = max(1, round(width)), max(1, round(height))
    squared = rgb.resize(size, Image.Resampling.BICUBIC)
    for name in _TELL_ASPECT:
        squared.info.pop(name, None)  # it may be opened again
    if "dpi" in rgb.info:
        squared.info["dpi"] = (max(x, y),) * 2
    return squared


def _density(image: Image.Image) -> tuple[float, float]:
    """Returns pixels per unit of length in x and y, in whatever unit; 1 and 1 if unknown."""
    info = dict(image.info)
    if image.format in ("JPEG", "MPO") and not info.get("jfif_unit"):
        info.pop("dpi", None)  # Pillow takes only EXIF's x, for both
    info["exif"] = _exif_density(image)
    if image.format == "GIF":
        info["aspect"] = _gif_density(image)
    names = ["dpi", "resolution", "aspect", "exif", "jfif_density"]
    if info.get("jfif_unit") == 0 and len(set(info.get("jfif_density", ()))) == 2:
        names.insert(0, names.pop())  # an aspect; EXIF's 72 by 72 is what cameras always write
    for name in names:
        try:
            x, y = (float(n) for n in info[name])
        except (ArithmeticError, KeyError, TypeError, ValueError):  # a fraction such as 0/0
            continue
        if 0 < x < np.inf and 0 < y < np.inf:
            return (y, x) if _is_turned(image) else (x, y)
    return 1.0, 1.0


def _gif_density(image: Image.Image) -> tuple[float, float] | None:
    """Returns what the screen's description tells, which Pillow passes over (GIF89a, 18)."""
    try:
        file: Any = image._fp  # type: ignore[attr-defined]
        at = file.tell()
        file.seek(_GIF_ASPECT)
        aspect = file.read(1)[0]
        file.seek(at)
    except Exception:  # a file of the caller's, which may be closed
        return None
    return (64, aspect + 15) if aspect else None


_GIF_ASPECT = 12  # the place of the byte; a pixel's width is 1/64 of it + 15 of its height


def _is_turned(image: Image.Image) -> bool:
    """Returns whether Pillow turned a TIFF by a quarter as it decoded it, but not its tags."""
    tags = getattr(image, "tag_v2", {})
    stored = tags.get(_WIDTH), tags.get(_HEIGHT)
    return stored != image.size and stored == image.size[::-1]


def _exif_density(image: Image.Image) -> tuple[float, float] | None:
    """Returns dots per inch."""
    try:
        exif = image.getexif()
        scale = 2.54 if exif.get(ExifTags.Base.ResolutionUnit) == _CENTIMETRE else 1.0
        x, y = (exif[tag] for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution))
        return scale * float(x), scale * float(y)
    except Exception:  # an unreadable EXIF block says nothing about the pixels
        return None


def _scale_wide_grey(image: Image.Image, where: str) -> Image.Image:
    """Maps grey values of more than 8 bits to 8; Pillow's own conversion clips them at 255."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    stated = tags.get(_MAX_SAMPLE_VALUE)
    if image.format == "PPM" and image.mode != "F":  # Pillow scales a stated range to 16 bits
        stated = 0xFFFF
    depth = _DEPTHS.get(image.mode, 16)
    grey = Image.fromarray(eight_bits(values, white_level(values, depth, where, stated)))
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow turns 8 bits, and no more
        grey = ImageOps.invert(grey)
    grey.info = {**image.info}
    return grey


_DEPTHS = {"I": 31, "F": 32}  # bits by mode; the others hold 16
