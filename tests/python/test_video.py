"""Videos become labelled frames of one tile each, as in the model cards."""

from __future__ import annotations

import base64
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from crispvl import CrispOCR, DocumentError
from crispvl.inputs.video import frame_indices, video_frames
from crispvl.prompts.messages import flatten, parse_messages
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from .conftest import TOKENS_PER_TILE, FakeModel


def test_frames_are_the_middles_of_segments() -> None:
    assert frame_indices(81, 8) == [5, 15, 25, 35, 45, 55, 65, 75]
    assert frame_indices(1, 3) == [0, 0, 0]


@given(st.integers(1, 1000), st.integers(1, 64))
def test_frames_are_in_order_and_within_the_video(n_frames: int, n_segments: int) -> None:
    indices = frame_indices(n_frames, n_segments)
    assert len(indices) == n_segments
    assert indices == sorted(indices)
    assert 0 <= indices[0] <= indices[-1] < n_frames


def test_a_video_is_written_into_the_prompt_frame_by_frame(core: FakeModel, page: Path) -> None:
    frames = [Image.new("RGB", (200, 50), color) for color in ("red", "blue")]
    content = [
        {"type": "video", "video": frames},
        {"type": "image", "image": page},
        {"type": "text", "text": "What happens?"},
    ]
    messages = [{"role": "user", "content": content}]
    (turn,) = flatten(parse_messages(messages))
    assert turn[1] == "Frame1: <image>\nFrame2: <image>\n<image>\nWhat happens?"
    answer = CrispOCR(page).chat(messages)
    assert answer.n_tiles == 1 + 1 + 3
    text = core.detokenize(core.prompts[-1]).decode()
    context = "<IMG_CONTEXT>" * TOKENS_PER_TILE
    assert f"Frame1: <img>{context}</img>\nFrame2: <img>{context}</img>\n<img>" in text


def test_a_video_file_is_sampled(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for i in range(41):
            pixels = np.full((64, 64, 3), 6 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    greys = [np.asarray(frame)[32, 32, 0] / 6 for frame in video_frames(path, 4)]
    assert np.allclose(greys, frame_indices(41, 4), atol=1.5)


def quarters(path: Path, matrix: tuple[int, int, int, int] = (1, 0, 0, 1), aspect: int = 1) -> None:
    """Writes a video whose upper left quarter is white, shown through a matrix a, b, c, d.

    With an aspect of 0 it does not say what shape its pixels have.
    """
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect, 1)
        pixels = np.zeros((32, 64, 3), np.uint8)
        pixels[:16, :32] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    a, b, c, d = matrix
    whole = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *whole)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "size", "white"),
    [
        ((1, 0, 0, 1), (64, 32), "upper left"),
        ((0, 1, -1, 0), (32, 64), "upper right"),  # a quarter turn to the right
        ((-1, 0, 0, -1), (64, 32), "lower right"),
        ((0, -1, 1, 0), (32, 64), "lower left"),
        ((-1, 0, 0, 1), (64, 32), "upper right"),
        ((1, 0, 0, -1), (64, 32), "lower left"),
        ((0, 2, -2, 0), (32, 64), "upper right"),  # enlarged as well
        ((-3, 1, -1, -3), (64, 32), "lower right"),  # not quite a half turn
    ],
)
def test_frames_are_turned_as_a_player_turns_them(
    tmp_path: Path, matrix: tuple[int, int, int, int], size: tuple[int, int], white: str
) -> None:
    quarters(tmp_path / "clip.mp4", matrix)
    (frame,) = video_frames(tmp_path / "clip.mp4", 1)
    assert isinstance(frame, Image.Image)
    assert frame.size == size
    width, height = size
    places = {
        f"{row} {column}": frame.getpixel((x * width // 4, y * height // 4))[0]
        for row, y in (("upper", 1), ("lower", 3))
        for column, x in (("left", 1), ("right", 3))
    }
    assert max(places, key=lambda place: places[place]) == white


def test_pixels_of_a_video_are_made_square(tmp_path: Path) -> None:
    quarters(tmp_path / "clip.mp4", aspect=2)
    (frame,) = video_frames(tmp_path / "clip.mp4", 1)
    assert isinstance(frame, Image.Image)
    assert frame.size == (128, 32)


def test_pixels_are_made_square_before_a_frame_is_turned(tmp_path: Path) -> None:
    quarters(tmp_path / "clip.mp4", (0, 1, -1, 0), aspect=3)
    (frame,) = video_frames(tmp_path / "clip.mp4", 1)
    assert isinstance(frame, Image.Image)
    assert frame.size == (32, 192)


@pytest.mark.parametrize(("aspect", "size"), [(0, (128, 32)), (1, (64, 32)), (3, (192, 32))])
def test_a_matrix_that_stretches_counts_where_the_shape_of_pixels_is_not_told(
    tmp_path: Path, aspect: int, size: tuple[int, int]
) -> None:
    quarters(tmp_path / "clip.mp4", (2, 0, 0, 1), aspect)
    (frame,) = video_frames(tmp_path / "clip.mp4", 1)
    assert isinstance(frame, Image.Image)
    assert frame.size == size


@pytest.mark.parametrize(
    ("matrix", "aspect", "size"),
    [
        ((0, 1, -2, 0), 0, (64, 64)),  # the frame's height is doubled, and becomes the width
        ((0, -3, 1, 0), 0, (32, 192)),
        ((-2, 0, 0, -1), 0, (128, 32)),
        ((0, 1, -2, 0), 3, (32, 192)),  # the file tells the shape of its pixels
        ((0, 1, -2, 0), 1, (32, 64)),
    ],
)
def test_a_matrix_that_turns_and_stretches_does_both(
    tmp_path: Path, matrix: tuple[int, int, int, int], aspect: int, size: tuple[int, int]
) -> None:
    quarters(tmp_path / "clip.mp4", matrix, aspect)
    (frame,) = video_frames(tmp_path / "clip.mp4", 1)
    assert isinstance(frame, Image.Image)
    assert frame.size == size


def test_a_video_may_come_as_a_data_uri(tmp_path: Path) -> None:
    quarters(tmp_path / "clip.mp4")
    packed = base64.b64encode((tmp_path / "clip.mp4").read_bytes()).decode()
    (frame,) = video_frames(f"data:video/mp4;base64,{packed}", 1)
    assert isinstance(frame, Image.Image)
    assert frame.size == (64, 32)
    with pytest.raises(DocumentError, match=r"^\[data:video/mp4;base64,…\w+\] expected a video"):
        video_frames("data:video/mp4;base64,AAAA")
    with pytest.raises(FileNotFoundError, match="30000 characters"):
        video_frames("x" * 30000)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(DocumentError, match="expected a video"):
        video_frames(path)
    with pytest.raises(FileNotFoundError):
        video_frames(tmp_path / "nowhere.mp4")
    with pytest.raises(ValueError, match="n_frames of 1 or more"):
        video_frames(path, 0)
    with pytest.raises(TypeError, match="a path or a list of images"):
        video_frames(b"bytes")
