"""Videos as a few still pictures, taken as the model cards take them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from math import hypot, isclose
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crispvl.errors import DocumentError
from crispvl.extras import need
from crispvl.inputs.data_uri import decode_data_uri, is_data_uri
from crispvl.inputs.images import ImageLike, checked_path, source_name
from crispvl.inputs.pipes import is_stream
from crispvl.inputs.pixels import square_pixels
from crispvl.thread_stack import require_stack

DEFAULT_FRAMES = 8
"""As in the model cards' examples."""


def frame_indices(n_frames: int, n_segments: int) -> list[int]:
    """Returns the middle frame of each of equally long segments (``get_index`` of the model cards).

    Args:
        n_frames: Of the video.
        n_segments: How many frames are wanted.
    """
    last = n_frames - 1
    size = last / n_segments
    return [min(last, int(size / 2 + round(size * i))) for i in range(n_segments)]


def video_frames(video: Any, n_frames: int = DEFAULT_FRAMES) -> Sequence[ImageLike]:
    """Returns pictures of a video in their order.

    Args:
        video: A file, by its path or as a ``data:`` URI, or its pictures as a list of images,
            which is taken as it is.
        n_frames: How many pictures to take of a file; one per segment of equal length.

    Raises:
        FileNotFoundError: The file does not exist.
        DocumentError: It is no video, or a data URI is malformed.
        ImportError: The package av is not installed.
        TypeError: The video is neither a path nor a list.
        ValueError: ``n_frames`` is less than 1.
    """
    if isinstance(video, (list, tuple)):
        return list(video)
    if not isinstance(video, (str, os.PathLike)):
        raise TypeError(
            f"[video] expected a path or a list of images; found {type(video).__name__}; convert "
            "it to one of these"
        )
    if not isinstance(n_frames, int) or n_frames < 1:
        raise ValueError(f"[video] expected n_frames of 1 or more; found {n_frames!r}; raise it")
    require_stack()
    av = need("av", "video", "pass a list of images")
    where = source_name(video)
    return _read(av, _found(video, where), where, n_frames)


def _found(video: str | os.PathLike[str], where: str) -> Path | bytes:
    """Returns what is to be opened."""
    if isinstance(video, str) and is_data_uri(video):
        return decode_data_uri(video)
    path = checked_path(video)
    if is_stream(path):
        raise DocumentError(
            f"[{where}] expected a file that can be read twice; found a pipe or a device; save it "
            "as a file first"
        )
    if not path.is_file():
        raise FileNotFoundError(f"[{where}] expected a video; found nothing there; check the path")
    return path


def _read(av: Any, video: Path | bytes, where: str, n_frames: int) -> list[ImageLike]:
    try:
        # Twice through the file: many containers do not say how many frames they hold.
        n_all = sum(1 for _ in _frames(av, video))
        indices = frame_indices(n_all, n_frames) if n_all else []
        wanted = set(indices)
        chosen = {
            i: _shown(f, aspect) for i, (f, aspect) in enumerate(_frames(av, video)) if i in wanted
        }
    except (av.error.FFmpegError, IndexError) as error:
        raise DocumentError(
            f"[{where}] expected a video; found another file ({error}); check the path"
        ) from error
    if not wanted:
        raise DocumentError(f"[{where}] expected a video with pictures; found none; check the file")
    return [chosen[i] for i in indices]


def _frames(av: Any, video: Path | bytes) -> Iterable[tuple[Any, float]]:
    """Yields the frames of a video with their pixels' width over height.

    FFmpeg finds that in the file (``pasp``), else in how its display matrix stretches: not in both.
    """
    file = io.BytesIO(video) if isinstance(video, bytes) else str(video)
    with av.open(file) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            yield frame, float(stream.sample_aspect_ratio or 1)


def _shown(frame: Any, aspect: float) -> Image.Image:
    """Returns a frame as a player shows it: pixels made square, then turned or mirrored."""
    picture: Image.Image = frame.to_image()
    turn = None
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        # ISO/IEC 14496-12: x' = a x + c y, y' = b x + d y; each row is of three, in 16.16 bits.
        a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).astype(float)
        across = abs(b) + abs(c) > abs(a) + abs(d)  # nearer to a quarter turn than to none
        signs = (0, b, c, 0) if across else (a, 0, 0, d)
        turn = _TURNS.get(tuple(np.sign(signs).astype(int).tolist()))
        if turn is not None and isclose(aspect, hypot(a, c) / hypot(b, d), rel_tol=1e-6):
            aspect = hypot(a, b) / hypot(c, d)  # FFmpeg's, of the matrix, is that of the turned one
    if aspect > 0:
        picture = square_pixels(picture, 1, aspect)
    return picture if turn is None else picture.transpose(turn)


_TURNS = {
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,  # Pillow counts the other way round
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
}  # by the signs of a, b, c and d of a display matrix; of the rest, players heed only stretching
