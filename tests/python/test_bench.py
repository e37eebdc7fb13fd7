"""`crispvl bench` on the bundled model."""

from __future__ import annotations

import json

import pytest
from crispvl.cli import main
from crispvl.hub import bundled

pytestmark = pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")

SMALL = [
    "bench", "--tiles", "1,2", "--lengths", "8,64,100000", "--streams", "1,3",
    "--tokens", "2", "--runs", "1", "--threads", "1",
]  # fmt: skip


def test_json_holds_every_measurement_and_leaves_out_prompts_beyond_the_context(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*SMALL, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["encode_s_per_tile"]) == {"1", "2"}
    assert set(found["prefill_tokens_per_s"]) == {"8", "64"}
    assert set(found["decode_tokens_per_s"]) == {"1", "3"}
    assert found["threads"] == 1
    assert "ggml" in found["kernels"]
    timed = ("encode_s_per_tile", "prefill_tokens_per_s", "decode_tokens_per_s")
    numbers = [n for name in timed for n in found[name].values()]
    numbers += [found[name] for name in ("first_token_s", "load_s", "pages_per_minute")]
    assert all(number > 0 for number in numbers)


def test_table_names_what_was_measured_and_progress_goes_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(SMALL) == 0
    printed = capsys.readouterr()
    assert "pages per minute" in printed.out
    assert "encode 2 tiles" in printed.err


@pytest.mark.parametrize(
    ("flag", "words"),
    [("--tiles=0", "positive tiles"), ("--tiles=x", "--tiles: expected whole numbers with commas"),
     ("--tiles=1025", "at most 1024 tiles"), ("--lengths=8,-1", "positive lengths"),
     ("--streams=", "--streams: expected whole numbers"), ("--tokens=0", "positive tokens"),
     ("--tokens=99999999", "fewer tokens than the model's context"), ("--runs=0", "positive runs"),
     ("--runs=-1", "positive runs")],
)  # fmt: skip
def test_numbers_that_are_none_are_refused(
    flag: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--threads", "1", flag]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_profile_tells_each_phase_by_operation_the_longest_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "--profile", "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"encode", "prefill", "decode", "decode, 8 streams"}
    for operations in found.values():
        seconds = [times["seconds"] for times in operations.values()]
        assert seconds == sorted(seconds, reverse=True)
        assert all(times["calls"] > 0 for times in operations.values())
    # Of the KV cache, by our kernels or by ggml's.
    assert {"cache append", "SET_ROWS"} & set(found["decode"])


def test_profile_names_operations_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--profile", "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "encode" in printed
    assert "%" in printed
