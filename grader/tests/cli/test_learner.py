"""The learner's loop by the real programs: start, grade, hint, list, reset, explain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from grader.tests.cli.programs import DEADLINE, PLAIN, ROOT, command, run
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from grader.engine.connect import Engine

RUBRIC = """\
format: 1
title: Two stages
submit: [Dockerfile]
pass: 15
bases: ["debian:bookworm-slim"]
hint_cost: 2
checks:
  - {id: builds, check: build, points: 5, hint_cost: 0}
  - id: stages
    check: dockerfile
    stages: {min: 2}
    points: 15
    hints: [A nudge., A push., The way itself.]
  - id: kept-quiet
    check: dockerfile
    instructions: {forbidden: [LABEL no-such-label]}
    points: 0
    show: nothing
"""
ONE = "FROM debian:bookworm-slim\n"
TWO = "FROM debian:bookworm-slim AS builder\nFROM debian:bookworm-slim\nCOPY --from=builder /etc/hostname /h\n"


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    return {"GRADER_STATE_DIR": str(tmp_path / "state"), "CI": ""}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    write_files(tmp_path / "exercises", {"course.yaml": "title: A tiny course\n"})
    for name, title in (("01-first", "First"), ("03-two-stages", "Two stages")):
        files = {
            "rubric.yaml": RUBRIC.replace("Two stages", title),
            "README.md": "# Do it\n",
            "starter/Dockerfile": ONE,
        }
        write_files(tmp_path / "exercises" / name, files)
    return tmp_path


def test_the_whole_loop(engine: Engine, course: Path, env: Mapping[str, str]) -> None:
    begun = run("grader", "start", "3", "mine", cwd=course, env=env)
    assert begun.returncode == 0, begun.stderr
    mine = course / "mine"
    assert "mine/README.md" in begun.stdout.replace("\\", "/")
    assert (mine / "README.md").read_text() == "# Do it\n"

    refused = run("grader", "hint", cwd=mine, env=env)
    assert refused.returncode == 2
    assert "has not been graded yet" in refused.stderr

    graded = run("grade", cwd=mine, env=env)
    assert graded.returncode == 1, graded.stderr
    assert "Not passed: 5 of 20 points" in graded.stdout
    listed = run("grader", "list", cwd=course, env=env)
    assert "next  03-two-stages  Two stages  5/20  5/20" in listed.stdout
    assert "0 of 2 done." in listed.stdout

    asked = run("grader", "hint", cwd=mine, env=env)
    assert asked.returncode == 2
    assert "takes 2 points off “stages”" in asked.stderr
    assert "--yes" in asked.stderr
    if os.name != "nt":
        declined = at_a_terminal(["hint"], "n\n", "Take it? [y/N]", cwd=mine, env=env)
        assert declined[1] == 130
        assert "You have had no hint yet" in run("grader", "hint", "--again", cwd=mine, env=env).stdout
    hints = [
        run("grader", "hint", *arguments, "--yes", cwd=mine, env=env)
        for arguments in ((), ("stages",), ("3", "stages"))
    ]
    assert [each.returncode for each in hints] == [0, 0, 0]
    assert "Your Dockerfile has 1 stage: line 1 starts from `debian:bookworm-slim`" in hints[0].stdout
    assert ["A push." in each.stdout for each in hints] == [False, True, False]
    assert "The way itself." in hints[2].stdout
    assert "that was the last on this check" in hints[2].stdout
    ended = run("grader", "hint", "--yes", cwd=mine, env=env)
    assert ended.returncode == 0
    assert "There are no more hints" in ended.stdout
    assert run("grader", "hint", "--again", cwd=mine, env=env).stdout.count("stages: ") == 3

    (mine / "Dockerfile").write_text(TWO)
    selected = run("grade", "--only", "builds", cwd=mine, env=env)
    assert selected.returncode == 0
    assert "5/20  5/20" in run("grader", "list", cwd=course, env=env).stdout, "a selection is no full grading"
    again = run("grade", "--format", "json", cwd=mine, env=env)
    result = json.loads(again.stdout)
    assert (result["hints_used"], result["score"], result["status"]) == ({"stages": 3}, 14, "failed")
    assert again.returncode == 1, "15 points are needed"
    in_ci = run("grade", "--format", "json", cwd=mine, env={**env, "CI": "true"})
    assert in_ci.returncode == 0
    assert (json.loads(in_ci.stdout)["hints_used"], json.loads(in_ci.stdout)["score"]) == ({}, 20)
    facts = json.loads(run("grader", "list", "--json", cwd=course, env=env).stdout)
    theirs = next(each for each in facts["exercises"] if each["id"] == "03-two-stages")
    assert (theirs["best"]["score"], theirs["last"]["score"], theirs["gradings"], theirs["hints_used"]) == (
        14,
        14,
        2,
        3,
    )

    (course / "exercises/03-two-stages").rename(course / "exercises/07-two-stages")
    assert "07-two-stages  Two stages  14/20  14/20" in run("grader", "list", cwd=course, env=env).stdout
    assert run("grade", "--only", "builds", cwd=mine, env=env).returncode == 0, "the marker holds as well"


def test_the_verdict_names_the_next_hint_as_long_as_there_is_one(
    engine: Engine, course: Path, env: Mapping[str, str]
) -> None:
    run("grader", "start", "3", "mine", cwd=course, env=env)
    mine = course / "mine"
    here = run("grade", "--only", "stages", cwd=mine, env=env)
    assert here.stdout.endswith("\nStuck? `grader hint` gives the next hint.\n"), here.stderr
    elsewhere = run("grade", "3", "--submission", "mine", "--only", "stages", cwd=course, env=env)
    assert elsewhere.stdout.endswith("\nStuck? `grader hint 03-two-stages` gives the next hint.\n")
    in_ci = run("grade", "--only", "stages", cwd=mine, env={**env, "CI": "true"})
    assert (in_ci.returncode, "Stuck?" in in_ci.stdout) == (1, False), "in CI no hint is known"
    while "that was the last" not in run("grader", "hint", "--yes", cwd=mine, env=env).stdout:
        assert len(run("grader", "hint", "--again", cwd=mine, env=env).stdout.splitlines()) < 10
    ended = run("grade", "--only", "stages", cwd=mine, env=env)
    assert (ended.returncode, "Stuck?" in ended.stdout) == (1, False), "no hint is left"


def test_a_fault_of_ours_is_not_taken_down_and_hints_are_kept(course: Path, env: Mapping[str, str]) -> None:
    run("grader", "start", "3", "mine", cwd=course, env=env)
    gone = run("grade", cwd=course / "mine", env={**env, "DOCKER_HOST": "unix:///nonexistent"})
    assert gone.returncode == 3
    assert not (course / "state").exists()


def test_progress_that_cannot_be_kept_changes_no_verdict(course: Path, env: Mapping[str, str]) -> None:
    (course / "state").write_text("a file where the folder should be")
    (course / "mine").mkdir()
    (course / "mine/Dockerfile").write_text("FROM nowhere.example/not-allowed\n")
    done = run("grade", "3", cwd=course / "mine", env=env)
    assert done.returncode == 1
    assert "Not passed" in done.stdout
    assert done.stderr.count("The record of your progress cannot be") == 1
    assert "Error" not in done.stderr


def test_a_damaged_record_is_told_and_the_list_is_there(course: Path, env: Mapping[str, str]) -> None:
    write_files(course / "state", {"progress-1.json": '{"courses": {"A ti'})
    done = run("grader", "list", cwd=course, env=env)
    assert done.returncode == 0
    assert "0 of 2 done." in done.stdout
    assert "it is kept as" in done.stderr
    assert run("grader", "list", cwd=course, env=env).stderr == ""


def test_a_broken_exercise_is_listed_as_such_and_never_next(course: Path, env: Mapping[str, str]) -> None:
    (course / "exercises/01-first/rubric.yaml").write_text("title: [\n")
    done = run("grader", "list", cwd=course, env=env)
    assert done.returncode == 0
    assert "broken  01-first" in done.stdout
    assert "Next: `grader start 03-two-stages`" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["start"], "Missing argument"),
        (["start", "9"], "There is no exercise"),
        (["start", "3", "full"], "not empty: notes.txt"),
        (["start", "3", "full/notes.txt"], "is a file"),
        (["start", "3", "exercises/03-two-stages/mine"], "folder of the course itself"),
        (["reset"], "no folder of an exercise that was started"),
        (["reset", "3"], "There is no Dockerfile here"),
        (["hint", "3"], "has not been graded yet"),
        (["hint"], "does not say which exercise"),
        (["explain", "stagse", "3"], "Did you mean stages?"),
        (["explain", "sise"], "Did you mean size?"),
        (["completion", "tcsh"], "bash"),
    ],
)
def test_wrong_usage(course: Path, env: Mapping[str, str], arguments: list[str], words: str) -> None:
    write_files(course / "full", {"notes.txt": "mine"})
    done = run("grader", *arguments, cwd=course, env=env)
    assert done.returncode == 2
    assert words in done.stderr


def test_reset_asks_nobody_who_is_not_there(course: Path, env: Mapping[str, str]) -> None:
    run("grader", "start", "3", "mine", cwd=course, env=env)
    (course / "mine/Dockerfile").write_text(TWO)
    refused = run("grader", "reset", cwd=course / "mine", env=env)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert (course / "mine/Dockerfile").read_text() == TWO
    wrong = run("grader", "reset", "1", "--yes", cwd=course / "mine", env=env)
    assert wrong.returncode == 2
    assert "is of 03-two-stages, not of 01-first" in wrong.stderr
    done = run("grader", "reset", "--yes", cwd=course / "mine", env=env)
    assert done.returncode == 0
    assert (course / "mine/Dockerfile").read_text() == ONE
    assert run("grader", "reset", cwd=course / "mine", env=env).stdout.startswith("Nothing to do")


@pytest.mark.skipif(os.name == "nt", reason="there are no such terminals")
@pytest.mark.parametrize(("typed", "code", "left"), [("n\n", 130, TWO), ("\n", 130, TWO), ("y\n", 0, ONE)])
def test_reset_asks_at_a_terminal(course: Path, env: Mapping[str, str], typed: str, code: int, left: str) -> None:
    run("grader", "start", "3", "mine", cwd=course, env=env)
    (course / "mine/Dockerfile").write_text(TWO)
    shown, ended = at_a_terminal(["reset"], typed, "Go on? [y/N]", cwd=course / "mine", env=env)
    assert "replaced:     Dockerfile" in shown
    assert ended == code
    assert (course / "mine/Dockerfile").read_text() == left


def at_a_terminal(
    arguments: list[str], typed: str, prompt: str, *, cwd: Path, env: Mapping[str, str]
) -> tuple[str, int]:
    """Runs `grader` with its own terminal, types once the prompt (if any) is there; what it showed, its exit code."""
    import pty  # noqa: PLC0415
    import select  # noqa: PLC0415

    main, side = pty.openpty()
    process = subprocess.Popen(
        command("grader", *arguments), cwd=cwd, env=PLAIN | dict(env), stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    shown, asked, deadline = "", not prompt, time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if select.select([main], [], [], 1.0)[0]:
            try:
                shown += os.read(main, 4096).decode()
            except OSError:
                break
        if prompt in shown and not asked:
            os.write(main, typed.encode())
            asked = True
    os.close(main)
    assert asked, f"it never asked: {shown}"
    return shown.replace("\r", ""), process.wait(DEADLINE)


@pytest.mark.skipif(os.name == "nt", reason="there are no such terminals")
def test_the_list_fits_on_a_terminal_and_is_whole_elsewhere(course: Path, env: Mapping[str, str]) -> None:
    title = "An exercise with a title that is longer than a line of a terminal has room for"
    (course / "exercises/01-first/rubric.yaml").write_text(f"title: {title}\n")
    shown, code = at_a_terminal(["list"], "", "", cwd=course, env={**env, "COLUMNS": "80"})
    assert code == 0
    assert "An exercise with a title" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert title in run("grader", "list", cwd=course, env=env).stdout


def test_a_folder_of_another_course_is_told_how_to_be_graded(
    course: Path, tmp_path: Path, env: Mapping[str, str]
) -> None:
    (tmp_path / "away").mkdir()
    begun = run("grader", "start", "3", "--course", "../exercises", cwd=tmp_path / "away", env=env)
    assert f"grade --course {(course / 'exercises').resolve()}" in begun.stdout
    listed = run("grader", "list", "--course", str(course), cwd=tmp_path / "away", env=env)
    assert f"grader start 01-first --course {course}" in listed.stdout


def test_what_a_learner_begins_with_fits_in_80_columns(tmp_path: Path, env: Mapping[str, str]) -> None:
    begun = run("grader", "start", "3", cwd=tmp_path, env=env)
    listed = run("grader", "list", cwd=tmp_path, env=env)
    assert (begun.returncode, listed.returncode) == (0, 0)
    assert [line for line in (begun.stdout + listed.stdout).splitlines() if len(line) > 80] == []


def test_explain_tells_no_more_than_the_rubric(course: Path, env: Mapping[str, str]) -> None:
    told = run("grader", "explain", "stages", "3", cwd=course, env=env).stdout
    assert "Expected: at least 2 stages" in told
    quiet = run("grader", "explain", "kept-quiet", "3", cwd=course, env=env).stdout
    assert "no-such-label" not in quiet
    assert "What it expects is not told" in quiet
    run("grader", "start", "3", "mine", cwd=course, env=env)
    assert run("grader", "explain", "stages", cwd=course / "mine", env=env).stdout == told


def test_it_works_from_a_wheel_alone(tmp_path: Path, env: Mapping[str, str]) -> None:
    made = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(made, check=True, capture_output=True)
    site = tmp_path / "site"
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(site)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from grader.cli import main; main(sys.argv[2:])"

    def installed(*arguments: str, cwd: Path = tmp_path) -> Any:
        return subprocess.run(
            [sys.executable, "-c", code, str(site), *arguments], cwd=cwd, env=PLAIN | dict(env), capture_output=True,
            text=True, check=False, encoding="utf-8",
        )  # fmt: skip

    assert installed("start", "3").returncode == 0
    mine = tmp_path / "03-multi-stage-builds"
    assert (mine / "README.md").is_file()
    (mine / "Dockerfile").write_text("FROM scratch\n")
    assert installed("reset", "--yes", cwd=mine).returncode == 0
    assert (mine / "Dockerfile").read_bytes() == (
        ROOT / "exercises/03-multi-stage-builds/starter/Dockerfile"
    ).read_bytes()
    assert "03-multi-stage-builds" in installed("list").stdout
    assert installed("explain", "small", cwd=mine).returncode == 0
