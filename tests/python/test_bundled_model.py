"""The main job: the bundled model reads the sample pictures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crispvl import CrispOCR, Model
from crispvl.cli import main
from crispvl.convert import convert_checkpoint
from crispvl.hub import bundled
from crispvl.plan import plan_model
from crispvl.quantize import quantize_file
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ["receipt", "code", "paragraph"]

pytestmark = pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")


def picture(name: str) -> Path:
    return ROOT / "examples" / f"{name}.png"


def edit_distance(found: str, truth: str) -> int:
    row = list(range(len(truth) + 1))
    for i, a in enumerate(found, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(truth, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


@pytest.fixture(scope="module")
def ocr() -> CrispOCR:
    return CrispOCR()


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_read_with_at_most_a_tenth_of_its_characters_wrong(
    ocr: CrispOCR, name: str
) -> None:
    truth = picture(name).with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")
    found = ocr.recognize(picture(name))
    assert found.finish_reason == "stop"
    assert edit_distance(found.text, truth) <= 0.1 * len(truth), found.text


def test_a_model_whose_path_is_no_utf8_is_used_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"m\xff.gguf")
    try:
        path.symlink_to(bundled.path())
    except OSError:
        pytest.skip("names are UTF-8 on this file system")
    model = Model.load(path, tokenizer=path, vocab_only=True)
    assert model.detokenize(model.tokenize("Hello")) == "Hello"
    assert plan_model(path).n_pages == 1
    quantize_file(path, tmp_path / os.fsdecode(b"\xfe.gguf"), "q8_0")
    assert (tmp_path / os.fsdecode(b"\xfe.gguf")).is_file()
    with pytest.raises(FileNotFoundError, match="\ufffd\\.gguf' does not exist"):
        Model.load(tmp_path / os.fsdecode(b"no\xff.gguf"))


def test_a_page_read_again_gives_the_same_probabilities_to_the_last_bit(ocr: CrispOCR) -> None:
    first, other, again = (ocr.recognize(picture(name)) for name in ("code", "receipt", "code"))
    at_once = ocr.recognize(picture("code"))
    assert other.text != first.text
    assert first.confidence == again.confidence == at_once.confidence


@pytest.mark.parametrize("name", SAMPLES)
def test_recognize_stream_and_command_line_give_the_same_text(
    ocr: CrispOCR, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ocr.recognize(picture(name)).text
    assert "".join(ocr.stream(picture(name))) == text
    assert main(["recognize", str(picture(name))]) == 0
    assert capsys.readouterr().out.rstrip("\n") == text


def test_formats_asked_for_together_are_what_each_is_alone(tmp_path: Path) -> None:
    pages = [Image.open(picture(name)).convert("RGB") for name in ("table", "paragraph")]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    suffixes = {"text": ".txt", "markdown": ".md", "csv": ".csv", "tsv": ".tsv"}
    command = ["recognize", str(tmp_path / "in.tif")]
    for form, suffix in suffixes.items():
        assert main([*command, "--format", form, "-o", str(tmp_path / f"alone{suffix}")]) == 0
    assert main([*command, "--format", ",".join(suffixes), "-o", str(tmp_path / "all")]) == 0
    for suffix in suffixes.values():
        together = (tmp_path / f"all{suffix}").read_text()
        assert together == (tmp_path / f"alone{suffix}").read_text(), suffix
    assert CrispOCR().recognize(picture("table")).to_csv().startswith("Station,Rain mm,Sun h,Wind")


@pytest.mark.parametrize("name", SAMPLES)
def test_float32_text_is_what_transformers_gives_for_the_same_checkpoint(
    name: str, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers", minversion="5.0")
    checkpoint = ROOT / "models" / "nano" / "checkpoint"
    convert_checkpoint(checkpoint, tmp_path / "f32.gguf", "f32", prompts={"text": "OCR"})
    ours = CrispOCR(tmp_path / "f32.gguf")
    model = ours.model
    from crispvl.tiling import tile_image
    from PIL import Image

    px: int = model.config["vision"]["tile_px"]
    with Image.open(picture(name)) as image:
        tiles = tile_image(image.convert("RGB"), px, model.config["image"]["max_tiles"])
    mark = model.config["image"]["context_token_id"]
    n_image = len(tiles) * model.config["projector"]["tokens_per_tile"]
    ids = [
        *model.tokenize("<|im_start|>user\n<img>"),
        *[mark] * n_image,
        *model.tokenize("</img>\nOCR<|im_end|>\n<|im_start|>assistant\n"),
    ]
    vision = model.config["vision"]
    pixels = (torch.tensor(tiles).float() / 255 - torch.tensor(vision["mean"])) / torch.tensor(
        vision["std"]
    )
    published = transformers.InternVLForConditionalGeneration.from_pretrained(
        checkpoint, dtype=torch.float32
    )
    with torch.no_grad():
        answer = published.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            pixel_values=pixels.permute(0, 3, 1, 2),
            max_new_tokens=300,
            do_sample=False,
        )[0]
    theirs = [int(i) for i in answer[len(ids) :]]
    assert ours.recognize(picture(name)).text == model.detokenize(
        [i for i in theirs if i not in model.vocabulary.control_ids]
    )


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_interrupt_stops_encoding_and_exits_with_130() -> None:
    """Hundreds of tiles would take seconds; the process answers the signal long before."""
    script = (
        "import numpy as np, signal, sys\n"
        # Background jobs of a shell inherit an ignored SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from crispvl import Model\n"
        "from crispvl.hub import bundled\n"
        "model = Model.load(bundled.path())\n"
        "px = model.config['vision']['tile_px']\n"
        "tiles = np.zeros((4000, px, px, 3), np.uint8)\n"
        "try:\n"
        "    print('started', flush=True)\n"
        "    model.encode(tiles)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


def test_a_sampler_penalises_the_tokens_that_it_is_told_of(ocr: CrispOCR) -> None:
    from crispvl import _core

    session = ocr.model.core.new_session(8)
    session.prefill(ocr.model.tokenize("OCR"), None, None)

    def sample(sampler: _core.Sampler) -> int:
        return session.sample(sampler)[0]

    writer, reader = (_core.Sampler(repetition_penalty=50.0) for _ in range(2))
    written = [sample(writer) for _ in range(4)]
    assert len(set(written)) == 4
    for n_kept in (3, 1, 0):
        reader.set_history(written[:n_kept])
        assert sample(reader) == written[n_kept]
    reader.set_history([-1, 1 << 30])  # tokens of another model have no score to lower
    assert sample(reader) == written[0]
