"""Writes seeds for the fuzz targets: headers of tiny models, small images, vocabularies.

Usage: ``python fuzz/make_corpus.py FOLDER``, with crispvl and its ``test`` extra installed.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from crispvl.convert.convert import convert_checkpoint
from foreign import ForeignModel, write_merged, write_native, write_pair
from tiny import ROWS, make_checkpoint


def header(path: Path) -> bytes:
    """Returns a file without its tensors' data."""
    return path.read_bytes()[: int(GGUFReader(path).data_offset)]


def write_models(folder: Path) -> None:
    """One header per row of tiny models, and per layout of another engine."""
    for name in ("gguf", "capi"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for row in ROWS:
        with tempfile.TemporaryDirectory() as temporary:
            checkpoint = make_checkpoint(row, Path(temporary) / row.name)
            out = Path(temporary) / "model.gguf"
            convert_checkpoint(checkpoint, out, "f32")
            for name in ("gguf", "capi"):
                (folder / name / f"{row.name}.gguf").write_bytes(header(out))


def write_foreign_models(folder: Path) -> None:
    """The layouts of other engines; a pair is one after the other."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary)
        model = ForeignModel.load(make_checkpoint(ROWS[0], path / "checkpoint"))
        native = header(write_native(model, path / "native.gguf"))
        merged = header(write_merged(model, path / "merged.gguf"))
        text, mmproj = (header(file) for file in write_pair(model, path))
    for name, data in {"native": native, "merged": merged, "pair": text + mmproj}.items():
        (folder / "gguf" / f"foreign-{name}.gguf").write_bytes(data)
    for name, data in {"native": native, "merged": merged}.items():
        (folder / "capi" / f"foreign-{name}.gguf").write_bytes(data)


def write_images(folder: Path) -> None:
    """Each kind, some with an orientation."""
    (folder / "image").mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (9, 13, 4), dtype=np.uint8)
    rgba = Image.fromarray(pixels)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = rgba.convert("RGB").quantize(9) if mode == "P" else rgba.convert(mode)
        kinds = ["PNG", "GIF"] if mode == "P" else ["PNG"]
        if mode in ("L", "RGB"):
            kinds += ["JPEG", "BMP", "PPM"]
        for kind in kinds:
            stream = io.BytesIO()
            image.save(stream, kind, **({"exif": exif} if kind in ("PNG", "JPEG") else {}))
            (folder / "image" / f"{mode}.{kind.lower()}").write_bytes(stream.getvalue())


def write_vocabularies(folder: Path) -> None:
    """The form that fuzz_tokenizer.cpp reads."""
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    pieces = ["3<s>", "3<|im_start|>", "3<|im_end|>", "4<box>", "1a", "1b", "1ab", "1Ġ", "1▁", "2?"]
    pieces += [f"6<0x{byte:02X}>" for byte in range(0, 256, 16)]
    lines = "\n".join([*pieces, "ma b", "", "ab <|im_start|>a<box>é \n"])
    for flags in range(8):
        (folder / "tokenizer" / f"{flags}").write_bytes(bytes([flags | 0x10]) + lines.encode())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    write_models(target)
    write_foreign_models(target)
    write_images(target)
    write_vocabularies(target)
