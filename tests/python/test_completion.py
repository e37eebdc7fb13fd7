"""Commands and options are completed by the shell; the name alone shows how to begin."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from crispvl.cli import COMMANDS, main
from crispvl.cli.completion import SHELLS

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def shtab() -> None:
    pytest.importorskip("shtab", reason="the extra completion is not installed")


@pytest.fixture
def script(capsys: Capture, tmp_path: Path) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "crispvl.bash"
    path.write_text(capsys.readouterr().out)
    return path


def completed(script: Path, words: list[str]) -> set[str]:
    """What bash offers for the last of the words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    program = f"""
        . {shlex.quote(str(script))}
        COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}
        $(complete -p crispvl | sed 's/.*-F \\([^ ]*\\).*/\\1/') crispvl {shlex.quote(words[-1])}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([bash, "-c", program], cwd=script.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_their_values(script: Path) -> None:
    assert completed(script, ["crispvl", "re"]) == {"recognize", "remove"}
    assert completed(script, ["crispvl", "recognize", "--resu"]) == {"--resume"}
    assert completed(script, ["crispvl", "recognize", "--layout", "l"]) == {"lines"}


def test_bash_completes_files_and_folders(script: Path) -> None:
    (script.parent / "scan.png").touch()
    (script.parent / "scans").mkdir()
    assert completed(script, ["crispvl", "recognize", "sca"]) == {"scan.png", "scans"}
    assert completed(script, ["crispvl", "eval", "sca"]) == {"scans"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shells_script_names_every_command(shell: str, capsys: Capture) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_its_shell_can_read(
    shell: str, capsys: Capture, tmp_path: Path
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    assert main(["completion", shell]) == 0
    path = tmp_path / "script"
    path.write_text(capsys.readouterr().out)
    done = subprocess.run([program, "-n", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
