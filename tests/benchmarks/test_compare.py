"""compare.py: what it refuses, how it asks its sides, and the arithmetic of its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Capture = pytest.CaptureFixture[str]


def line(side: str, others: float = 0.0, **values: float) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return {"model": "m", "side": side, "others": others, "values": named}


def table(lines: list[dict[str, Any]]) -> list[str]:
    import report

    return report.tables(lines).splitlines()


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    for name in ("text.gguf", "mmproj.gguf"):
        (tmp_path / name).touch()
    return [str(tmp_path / "text.gguf"), str(tmp_path / "mmproj.gguf")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs", "0"], "--runs of at least 1"),
        (["--threads", "0"], "--threads of at least 1"),
        (["--checkpoint", "x"], "expected together"),
        (["--work", "encode,prefill"], "prefill-N"),
        (["--work", "decode-0"], "N over 0"),
        (["--work", "encode-2"], "found 'encode-2'"),
        (["--work", "sing"], "found 'sing'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    pair: list[str], arguments: list[str], message: str, capsys: Capture
) -> None:
    import compare

    with pytest.raises(SystemExit):
        compare.parse([*pair, *arguments])
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused(pair: list[str], capsys: Capture) -> None:
    import compare

    with pytest.raises(SystemExit):
        compare.parse([pair[0], "nowhere.gguf"])
    assert "there is no 'nowhere.gguf'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("side", "option"), [("llama.cpp", "--peer-python"), ("OpenVINO int8", "--openvino-python")]
)
def test_only_our_side_is_asked_for_several_pages(side: str, option: str, pair: list[str]) -> None:
    import compare

    args = compare.parse([*pair, "--work", "encode,page,pages-16", option, "peer"])
    assert compare.command("crispvl", args)[-1] == "encode,page,pages-16"
    theirs = compare.command(side, args)
    assert theirs[0] == "peer"
    assert theirs[-1] == "encode,page"


def test_a_side_without_an_encoder_gets_the_work_of_the_text_model(pair: list[str]) -> None:
    import compare

    args = compare.parse([*pair, "--work", "encode,prefill-512,decode-1,page", "--ik-python", "ik"])
    theirs = compare.command("ik_llama.cpp", args)
    assert theirs[0] == "ik"
    assert theirs[-1] == "prefill-512,decode-1"


def test_the_text_model_that_sides_of_openvino_share_is_measured_once() -> None:
    import compare
    import report
    import work

    kinds = work.read_work("encode,prefill-512,decode-1,page")
    asked = [set(compare.asked_of(side, kinds)) for side in report.OPENVINO]
    assert asked == [set(kinds), {"encode", "page"}, {"encode", "page"}]


def test_a_side_that_fails_ends_with_its_last_words(pair: list[str], tmp_path: Path) -> None:
    import compare

    peer = tmp_path / "peer"
    peer.write_text("#!/bin/sh\necho early words >&2; echo no such library >&2; exit 3\n")
    peer.chmod(0o755)
    args = compare.parse([*pair, "--peer-python", str(peer)])
    with pytest.raises(SystemExit, match="no such library"):
        compare.measure("llama.cpp", args)


def test_ratios_say_how_many_times_as_good_we_are() -> None:
    lines = [
        line("crispvl", encode=1.0, prefill_512=300.0, peak=100.0),
        line("llama.cpp", encode=2.5, prefill_512=100.0, peak=150.0),
    ]
    rows = table(lines)
    assert "| encode, one 448 px tile | 1.00 s | 2.50 s | 2.50 |" in rows
    assert "| prefill, 512 tokens | 300 tokens/s | 100 tokens/s | 3.00 |" in rows
    assert "| peak memory | 100 MiB | 150 MiB | 1.50 |" in rows


def test_the_median_of_the_runs_counts() -> None:
    lines = [line("crispvl", encode=s) for s in (1.0, 9.0, 2.0)]
    assert table(lines)[-1] == "| encode, one 448 px tile | 2.00 s |"


def test_a_peer_that_was_not_measured_leaves_a_dash() -> None:
    lines = [line("crispvl", encode=1.0, page=8.0), line("transformers", encode=3.0)]
    assert "| A4 page, 300 tokens | 8.00 s | — | — |" in table(lines)


def test_what_many_at_a_time_bring_is_told_below() -> None:
    lines = [line("crispvl", decode_1=50.0, decode_8=200.0, page=30.0, pages_16=3.0)]
    told = table(lines)
    assert "8 streams decode 4.00 times the tokens of one." in told
    assert any(text.startswith("16 pages with `recognize_many`: 1.50 times") for text in told)


def test_runs_that_others_disturbed_do_not_count(tmp_path: Path) -> None:
    import report

    log = tmp_path / "log.jsonl"
    lines = [line("crispvl", encode=1.0), line("crispvl", others=0.3, encode=9.0)]
    log.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    assert report.read_log(log) == lines[:1]


def test_the_plot_is_the_same_file_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    import report

    lines = [line("crispvl", encode=1.0, load=1.0), line("llama.cpp", encode=2.0)]
    for name in ("a.svg", "b.svg"):
        report.plot(lines, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"times as fast as llama.cpp" in (tmp_path / "a.svg").read_bytes()


def test_work_is_measured_in_its_unit() -> None:
    import work

    class Second:
        """Does everything in one second, and no pages together."""

        def __getattr__(self, _: str) -> Any:
            return lambda *_: 1.0

        def pages(self, n: int) -> float:
            raise NotImplementedError

    found = work.measure(Second(), work.read_work("encode,prefill-512,decode-8,page,pages-4"))
    assert found == {
        "encode": 1.0, "prefill-512": 512.0, "decode-8": 8.0 * work.DECODE_TOKENS, "page": 1.0,
    }  # fmt: skip
