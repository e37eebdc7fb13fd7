"""PNG files of 16 bits per channel; Pillow keeps only the upper bytes of them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from crispvl.inputs.sample_range import are_hot, eight_bits, white_level

_MARK = b"\x89PNG\r\n\x1a\n"
_DEPTH_AT = 24  # of the byte that tells the bits of a sample
_BRIGHT = 64  # upper bytes that only samples of more than 14 bits have

_RGB, _GREY_ALPHA, _RGBA = 2, 4, 6
"""Colour types, of the byte behind the depth."""

_LOWER_BYTES = {_RGB: "RGB;16L", _RGBA: "RGBA;16L"}
"""How Pillow unpacks the second of each sample's bytes, as if it were the upper one."""


def is_wide_png(data: bytes) -> bool:
    return data.startswith(_MARK) and data[_DEPTH_AT : _DEPTH_AT + 1] == b"\x10"


def use_range(image: Image.Image, data: bytes, where: str) -> None:
    """Scales a decoded picture whose colours are of 8 to 14 bits to 0…255, in place.

    Args:
        image: With the upper bytes.
        data: Of its file.
        where: What the image is called in error messages.
    """
    colour_type = data[_DEPTH_AT + 1]
    if colour_type not in (*_LOWER_BYTES, _GREY_ALPHA):
        return
    upper = np.asarray(image)[..., :3]
    if not are_hot(upper >= _BRIGHT):
        return
    samples = upper.astype(np.uint16) << 8 | _lower_bytes(data, colour_type)
    scaled = Image.fromarray(eight_bits(samples, white_level(samples, 16, where)))
    if image.mode == "RGBA":
        scaled.putalpha(image.getchannel("A"))
    image.paste(scaled)


def _lower_bytes(data: bytes, colour_type: int) -> Any:
    """Returns those of red, green and blue."""
    if colour_type == _GREY_ALPHA:  # 8-bit RGBA of the same bytes: upper, lower, and the alpha's
        header = data[12:_DEPTH_AT] + bytes([8, _RGBA]) + data[_DEPTH_AT + 2 : 29]
        data = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image)[..., 1:2]
    picture: Any = Image.open(io.BytesIO(data))
    codec, extents, offset, _ = picture.tile[0]
    picture.tile = [(codec, extents, offset, _LOWER_BYTES[colour_type])]
    return np.array(picture)[..., :3]
