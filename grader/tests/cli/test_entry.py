"""The commands as they are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grader.tests.cli.programs import run


@pytest.mark.parametrize("command", [[Path(sys.executable).parent / "grader"], [sys.executable, "-m", "grader"]])
def test_the_commands_begin(command: list[str]) -> None:
    done = subprocess.run([*command, "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "03-multi-stage-builds" in done.stdout


def test_an_interruption_while_the_rest_is_imported_is_no_traceback() -> None:
    code = """
import builtins, sys
real = builtins.__import__
def interrupted(name, *rest, **more):
    if name == "click":
        raise KeyboardInterrupt
    return real(name, *rest, **more)
builtins.__import__ = interrupted
from grader.__main__ import grade
grade()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "Interrupted; nothing is left behind.\n"


@pytest.mark.parametrize(
    ("cause", "code", "words"),
    [("KeyboardInterrupt", 130, "Interrupted; nothing is left behind.\n"), ("ValueError", 3, "it is a bug")],
)
def test_an_interruption_that_breaks_a_lock_is_no_bug(cause: str, code: int, words: str) -> None:
    program = f"""
import grader.course.exercise
def broken(*_):
    try:
        raise {cause}
    finally:
        raise RuntimeError("release unlocked lock")
grader.course.exercise.find_course = broken
from grader.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program, "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


@pytest.mark.parametrize("arguments", [["list"], ["no-such-command"]])
def test_the_end_takes_nothing_apart_and_calls_whoever_asked_to_be_called(arguments: list[str]) -> None:
    code = """
import atexit, os, sys
class Kept:
    def __del__(self, write=os.write):
        write(1, b"taken apart\\n")
kept = Kept()
atexit.register(lambda: sys.stdout.write("\\ncalled\\n"))
from grader.__main__ import main
main()
"""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if arguments == ["list"] else 2)
    assert done.stdout.splitlines()[-1] == "called", done.stderr
    assert "taken apart" not in done.stdout
    # So it is without us: the test can fail.
    plain = [sys.executable, "-c", code.replace("from grader.__main__ import main\nmain()", "")]
    assert "taken apart" in subprocess.run(plain, capture_output=True, text=True, check=True).stdout


def test_a_fault_that_is_not_the_learners_is_called_so(tmp_path: Path) -> None:
    env = {"DOCKER_HOST": "unix:///nonexistent"}
    around = run("grader", "bases", "1", env=env)
    assert around.returncode == 3
    assert "This is not your fault" in around.stderr
    wrong = run("grader", "bases", "nothing", env=env)
    assert wrong.returncode == 2
    assert "fault" not in wrong.stderr
    (tmp_path / "Dockerfile").write_text("FROM python:3.11-slim\n")
    graded = run("grade", "3", "--plain", "--only", "builds", cwd=tmp_path, env=env)
    assert graded.returncode == 3
    lines = graded.stdout.splitlines()
    assert lines[0] == f"03-multi-stage-builds, Multi-stage builds, submission {tmp_path.name}."
    assert lines[1].startswith("This is not your fault")
    assert lines[-1] == "Not graded: this is not your fault, and it costs no points."
