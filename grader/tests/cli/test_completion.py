"""Completion in real shells, as somebody types there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from grader.tests.cli.programs import PLAIN, ROOT, run
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

#: Each prints what its completion offers for the words after the first argument, one a line.
BASH = """
eval "$(grader completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"_$1_completion" "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
grader completion fish | source
complete --do-complete (string join ' ' -- $argv) | string split --fields 1 \\t
"""
# Only the completion itself, with the words that the line editor would give it.
ZSH = """
autoload -U compinit && compinit -u -D
eval "$(grader completion zsh)"
name=$1; words=("$@"); CURRENT=$#
_describe() { local -a found; found=("${(@P)3}"); print -l -- "${found[@]%%:*}" }
compadd() { print -l -- "${(@P)argv[-1]}" }
_${name}_completion
"""
SHELLS = {
    "bash": ["bash", "-c", BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", FISH],
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with `grader` and `grade`, to come first on PATH."""
    for name, entry in (("grader", "main"), ("grade", "grade")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}\nfrom grader.__main__ import {entry}\n{entry}()\n")
        program.chmod(0o755)
    return tmp_path / "bin"


def offered(shell: str, programs: Path, *words: str, cwd: Path = ROOT) -> list[str]:
    env = PLAIN | {"PATH": f"{programs}{os.pathsep}{PLAIN['PATH']}", "HOME": str(programs)}
    done = subprocess.run(
        [*SHELLS[shell], *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(os.name == "nt", reason="these shells are not there")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["grader", "li"], ["list"]),
        (["grader", "start", "03"], ["03-multi-stage-builds"]),
        (["grader", "hint", "03-multi-stage-builds", "no"], ["no-compiler"]),
        (["grader", "explain", "siz"], ["size"]),
        (["grade", "03-multi-stage-builds", "--only", "two"], ["two-stages"]),
        (["grade", "1"], ["10-clean-context"]),
        (["grade", "--format", "js"], ["json"]),
    ],
)
def test_it_completes(programs: Path, shell: str, words: list[str], expected: list[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    assert offered(shell, programs, *words) == expected


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_in_a_started_folder_its_checks_are_offered(programs: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "mine", {".grader": '{"exercise": "03-multi-stage-builds"}'})
    assert "small" in offered("bash", programs, "grader", "hint", "sm", cwd=tmp_path / "mine")
    assert offered("bash", programs, "grader", "explain", "no-", cwd=tmp_path / "mine") == ["no-compiler"]


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_what_cannot_be_completed_says_nothing(programs: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "exercises", {"course.yaml": "title: [\n", "01-x/rubric.yaml": "{"})
    assert offered("bash", programs, "grader", "start", "0", cwd=tmp_path) == []
    assert offered("bash", programs, "grade", "01-x", "--only", "", cwd=tmp_path) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_for_both_commands(shell: str) -> None:
    done = run("grader", "completion", shell)
    assert done.returncode == 0
    assert "_GRADER_COMPLETE" in done.stdout
    assert "_GRADE_COMPLETE" in done.stdout
