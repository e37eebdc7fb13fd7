"""The commands ``quantize`` and ``imatrix``."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
from crispvl.cli import main
from crispvl.options.sizes import parse_size


def test_quantize_prints_the_file_and_reports_stand_ins(
    narrow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.gguf"
    assert main(["quantize", str(narrow), str(out), "Q4_K_M"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert "q5_0 instead of q4_k" in printed.err
    assert "bits per weight" in printed.err


class Full(io.StringIO):
    """Standard error on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_summary_that_cannot_be_written_does_not_undo_the_work(
    narrow: Path, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, matrix = tmp_path / "out.gguf", tmp_path / "i.gguf"
    model = str(narrow)
    monkeypatch.setattr("sys.stderr", Full())
    assert main(["quantize", model, str(out), "Q4_K_M"]) == 0
    assert main(["imatrix", model, str(matrix), str(page), "--max-tokens", "1"]) == 0
    assert main(["quantize", model, str(out), "q99"]) == 2
    assert out.exists()
    assert matrix.exists()


def test_quantize_takes_overrides_and_sizes(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    size = f"{wide.stat().st_size // 3}"
    command = ["quantize", str(wide), str(out), "auto", "--size", size]
    assert main([*command, "--tensor", "output.weight=q8_0", "--threads", "1"]) == 0
    assert out.stat().st_size <= int(size)


def test_wrong_usage_is_exit_code_2(wide: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out.gguf")
    assert main(["quantize", str(wide), out, "q99"]) == 2
    assert main(["quantize", str(wide), out, "auto", "--size", "much"]) == 2
    assert main(["quantize", str(tmp_path / "absent.gguf"), out, "q8_0"]) == 2
    assert main(["quantize", str(wide), out, "q4_0", "--tensor", "v.blk.*=q4_0"]) == 2


def test_imatrix_feeds_quantize(wide: Path, page: Path, tmp_path: Path) -> None:
    matrix, out = str(tmp_path / "i.gguf"), str(tmp_path / "o.gguf")
    command = ["imatrix", str(wide), matrix, str(page), "--max-tokens", "2", "--device", "cpu"]
    assert main(command) == 0
    assert main(["quantize", str(wide), out, "iq2_xs", "--imatrix", matrix]) == 0
    assert main(["imatrix", str(wide), matrix, "--device", "cpu"]) == 2


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("1.2GB", 1_200_000_000), ("900MiB", 900 << 20), ("850000", 850_000), ("2 gib", 2 << 30)],
)
def test_sizes_are_read_as_written(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "1.2.3GB", "-1GB", "1XB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)
