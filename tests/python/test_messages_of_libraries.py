"""What other libraries warn of and log does not reach the command's terminal; what we tell does."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


def picture(form: str) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", (60, 40), "white")
    image.paste("black", (20, 10, 40, 30))
    image.save(buffer, form)
    return buffer.getvalue()


def tiff_with_a_tag_beyond_its_end() -> bytes:
    data = bytearray(picture("TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (n_tags,) = struct.unpack_from("<H", data, at)
    tags = data[at + 2 : at + 2 + 12 * n_tags]
    tags += struct.pack("<HHII", 33432, 2, 90, 1 << 28)  # copyright
    struct.pack_into("<I", data, 4, len(data))
    return bytes(data) + struct.pack("<H", n_tags + 1) + bytes(tags) + bytes(4)


def tiff_of_too_many_samples() -> bytes:
    data = bytearray(picture("TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (n_tags,) = struct.unpack_from("<H", data, at)
    for place in range(at + 2, at + 2 + 12 * n_tags, 12):
        if struct.unpack_from("<H", data, place) == (277,):
            struct.pack_into("<H", data, place + 8, 60000)
    return bytes(data)


def png_without_its_films_frames() -> bytes:
    data, chunk = picture("PNG"), b"acTL" + bytes(8)
    whole = struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + whole + data[33:]


def jpeg_with_a_short_exif() -> bytes:
    data, exif = picture("JPEG"), b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0"
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


ODD = [
    tiff_with_a_tag_beyond_its_end,
    tiff_of_too_many_samples,
    png_without_its_films_frames,
    jpeg_with_a_short_exif,
]
names = [make.__name__ for make in ODD]

READ = """
import sys
from crispvl.cli import main
from crispvl.inputs.images import open_image
main(["--version"])
try:
    open_image(sys.argv[1])
except ValueError:
    pass
"""


def told(path: Path, *options: str) -> str:
    """Returns what is told while a picture is opened after the command has begun."""
    command = [sys.executable, *options, "-c", READ, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("make", ODD, ids=names)
def test_what_pillow_tells_programmers_does_not_reach_the_terminal(
    make: Callable[[], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "odd"
    path.write_bytes(make())
    assert told(path) == ""


def test_whoever_asks_for_warnings_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(jpeg_with_a_short_exif())
    assert "Corrupt EXIF data" in told(path, "-W", "always")


def test_our_own_warnings_are_told_in_our_form() -> None:
    program = (
        "import logging; from crispvl.cli import main; main(['--version']); "
        "exec(\"import warnings; warnings.warn('a warning')\", {'__name__': 'crispvl.engine'}); "
        "logging.getLogger('crispvl').warning('a log'); "
        "logging.getLogger('crispvl').info('a detail')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "crispvl: a warning\na log\n"


TALKATIVE = """
import warnings
def make():
    def answer(item):
        warnings.warn("a warning of a library")
        yield item
    return answer
"""

ASKS_IT = """
from crispvl.batch.worker_process import WorkerProcess
from talkative import make
worker = WorkerProcess(make, 60)
print(*worker.ask("answered"))
worker.close()
"""


def test_processes_of_a_batch_tell_no_more_than_the_command(tmp_path: Path) -> None:
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    script = tmp_path / "asks_it.py"
    script.write_text(ASKS_IT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("answered\n", "")
