"""A process that answers questions, started before the first of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crispvl.batch.worker_process import Answering, WorkerProcess
from crispvl.errors import ModelFileError, WorkerDiedError

TIMEOUT_S = 120.0


def own_number() -> Answering:
    return lambda _: [os.getpid()]


def unusable() -> Answering:
    raise ModelFileError("[test] expected a model; found none; name one")


def dying() -> Answering:
    os._exit(7)


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[WorkerProcess]:
    process = WorkerProcess(request.param, TIMEOUT_S)
    process.start()
    yield process
    process.close()


@pytest.mark.parametrize("process", [own_number], indirect=True)
def test_a_process_that_was_started_ahead_answers(process: WorkerProcess) -> None:
    started = process._process.pid
    process.start()
    assert list(process.ask(0)) == list(process.ask(1)) == [started]


@pytest.mark.parametrize("process", [unusable], indirect=True)
def test_what_fails_ahead_is_told_at_the_first_question(process: WorkerProcess) -> None:
    process._process.join(TIMEOUT_S)
    with pytest.raises(ModelFileError, match="expected a model"):
        list(process.ask(0))


@pytest.mark.parametrize("process", [dying], indirect=True)
def test_what_dies_ahead_costs_one_question(process: WorkerProcess) -> None:
    process._process.join(TIMEOUT_S)
    with pytest.raises(WorkerDiedError, match="exit code 7"):
        list(process.ask(0))
    assert process._process is None


@pytest.mark.parametrize("process", [own_number], indirect=True)
def test_a_process_that_died_when_it_was_ready_is_replaced(process: WorkerProcess) -> None:
    [before] = process.ask(0)
    process._process.kill()
    process._process.join(TIMEOUT_S)
    [after] = process.ask(1)
    assert after != before


UNGUARDED = """
import sys
sys.path.append(sys.argv[1])
print("imported")
from crispvl.batch.worker_process import WorkerProcess
from test_worker_process import own_number
process = WorkerProcess(own_number, 120.0)
print(len(list(process.ask(0))), __file__ == sys.argv[0])
process.close()
"""


def test_a_process_does_not_import_the_main_module_again(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, str(script), str(Path(__file__).parent)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert run.stdout.split() == ["imported", "1", "True"]


def test_what_hands_out_the_work_does_not_load_the_engine() -> None:
    heavy = "{'crispvl._core', 'crispvl.reading.ocr', 'gguf', 'jinja2'}"
    script = f"import sys, crispvl.batch.isolated; print(sorted({heavy} & sys.modules.keys()))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert run.stdout == "[]\n", run.stderr
