"""Videos become labelled frames of one tile each, as in the model cards."""

from __future__ import annotations

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


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(DocumentError, match="a video is expected"):
        video_frames(path)
    with pytest.raises(FileNotFoundError):
        video_frames(tmp_path / "nowhere.mp4")
    with pytest.raises(ValueError, match="n_frames of 1 or more"):
        video_frames(path, 0)
    with pytest.raises(TypeError, match="a path or a list of images"):
        video_frames(b"bytes")
