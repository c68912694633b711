"""`grade` as a workflow's step runs it: several formats at once, GitHub's files, and a log that is its own.

None of these needs an engine: a folder without a Dockerfile is graded with nothing, and one whose engine does not
answer is not graded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from grader.cli import outputs
from grader.errors import UsageError
from grader.tests.cli.programs import RUBRIC, course, run
from grader.tests.reports.reporter import report
from grader.tests.reports.runner import commands, variables

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

ALL = ("terminal", "github-classroom", "markdown", "annotations")


@pytest.fixture
def workflow(tmp_path: Path) -> dict[str, str]:
    """The environment of a step; its files are there already, as GitHub makes them."""
    names = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")
    for name in names:
        (tmp_path / name).write_text("before=1", encoding="utf-8")
    return {name: str(tmp_path / name) for name in names} | {
        "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_WORKSPACE": str(tmp_path),
        # It must not matter which engine there is.
        "DOCKER_HOST": "unix:///nonexistent",
    }  # fmt: skip


@pytest.fixture
def exercises(tmp_path: Path) -> str:
    made, folder = course(tmp_path, RUBRIC, "FROM debian:bookworm-slim\n")
    (folder / "Dockerfile").unlink()
    return str(made)


def graded(
    exercises: str, tmp_path: Path, workflow: dict[str, str], *formats: str, more: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    asked = [argument for name in formats for argument in ("--format", name)]
    return run("grade", "1", "--course", exercises, *asked, *more, cwd=tmp_path / "learner", env=workflow)


def test_everything_at_once(exercises: str, tmp_path: Path, workflow: dict[str, str]) -> None:
    files = [f"{name}={tmp_path / name}" for name in ("json", "junit", "sarif", "csv", "gradescope", "classroom50")]
    done = graded(exercises, tmp_path, workflow, *ALL, *files)
    assert done.returncode == 1
    assert "Not passed: 0 of 10 points" in done.stdout
    found = variables((tmp_path / "GITHUB_OUTPUT").read_text(encoding="utf-8"))
    environment = variables((tmp_path / "GITHUB_ENV").read_text(encoding="utf-8"))
    assert found["before"] == environment["before"] == "1"
    said = report(found["runners"], environment)
    assert said.notice == said.console == (0, 10)
    assert "before=1\n## 01-tiny" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
    heard = commands(done.stdout)
    assert [command.name for command in heard] == ["error", "notice"]
    assert heard[0].properties["file"] == "learner/Dockerfile"
    assert json.loads((tmp_path / "json").read_text())["score"] == 0
    assert ET.parse(tmp_path / "junit").getroot().get("failures") == "1"
    assert "learner/Dockerfile" in (tmp_path / "sarif").read_text()


def test_a_submissions_name_is_no_command(exercises: str, tmp_path: Path, workflow: dict[str, str]) -> None:
    folder = tmp_path / "::notice title=Autograding report::x ##[error]y"
    folder.mkdir()
    done = graded(exercises, tmp_path, workflow, *ALL, more=("--submission", str(folder)))
    assert done.returncode == 1
    assert [command.name for command in commands(done.stdout)] == ["error", "notice"]
    assert commands(done.stdout)[0].properties["file"] == f"{folder.name}/Dockerfile"
    assert commands(done.stderr) == []
    missing = graded(exercises, tmp_path, workflow, more=("--submission", f"{tmp_path}/x\n::error::y"))
    assert missing.returncode == 2
    assert commands(missing.stderr + missing.stdout) == []


def test_the_log_is_closed_to_commands_from_the_first_line_to_the_verdict(
    exercises: str, tmp_path: Path, workflow: dict[str, str]
) -> None:
    lines = graded(exercises, tmp_path, workflow, "terminal", "annotations").stdout.splitlines()
    assert lines[0].startswith("::stop-commands::")
    token = lines[0].removeprefix("::stop-commands::")
    end = lines.index(f"::{token}::")
    assert 0 < lines.index("Not passed: 0 of 10 points; 10 are needed to pass.") < end
    assert lines[end + 1].startswith("::error ")
    again = graded(exercises, tmp_path, workflow, "terminal").stdout
    assert token not in again


def test_what_another_program_reads_has_no_token_in_it(
    exercises: str, tmp_path: Path, workflow: dict[str, str]
) -> None:
    done = graded(exercises, tmp_path, workflow, "json")
    assert json.loads(done.stdout)["score"] == 0
    assert done.stderr.startswith("::stop-commands::")


def test_outside_of_a_workflow_there_are_no_tokens(exercises: str, tmp_path: Path, workflow: dict[str, str]) -> None:
    done = graded(exercises, tmp_path, workflow | {"GITHUB_ACTIONS": ""}, "terminal")
    assert "::" not in done.stdout + done.stderr


def test_a_log_that_is_a_file_has_no_tokens(exercises: str, tmp_path: Path, workflow: dict[str, str]) -> None:
    graded(exercises, tmp_path, workflow, f"terminal={tmp_path / 'verdict.txt'}")
    assert "::" not in (tmp_path / "verdict.txt").read_text(encoding="utf-8")


def test_a_fault_of_ours_publishes_nothing_and_fails_whatever_is_asked(
    exercises: str, tmp_path: Path, workflow: dict[str, str]
) -> None:
    (tmp_path / "learner/Dockerfile").write_text("FROM debian:bookworm-slim\n")
    done = graded(exercises, tmp_path, workflow, *ALL, more=("--no-fail",))
    assert done.returncode == 3
    found = variables((tmp_path / "GITHUB_OUTPUT").read_text(encoding="utf-8"))
    said = report(found["runners"], variables((tmp_path / "GITHUB_ENV").read_text(encoding="utf-8")))
    assert (found["graded"], said.notice, said.failed) == ("false", None, True)


def test_no_fail_leaves_the_score_to_who_reads_it(exercises: str, tmp_path: Path, workflow: dict[str, str]) -> None:
    done = graded(exercises, tmp_path, workflow, "terminal", more=("--no-fail",))
    assert done.returncode == 0
    assert "Not passed" in done.stdout


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_bare")
@pytest.mark.parametrize(
    "formats",
    [
        ("json", "terminal"),
        ("markdown", "terminal"),
        ("json", "annotations"),
        ("csv", "github-classroom"),
        ("json=x", "csv=x"),
        ("json=x", "csv=./x"),
    ],
)
def test_what_cannot_be_told_in_one_place_is_refused(formats: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        outputs.asked_for(formats)


@pytest.mark.usefixtures("_bare")
def test_commands_come_after_the_verdict() -> None:
    asked = outputs.asked_for(("annotations", "github-classroom", "terminal", "json=x"))
    assert [output.format for output in asked] == ["terminal", "json", "annotations", "github-classroom"]
    assert outputs.asked_for(()) == [outputs.Output("terminal")]


@pytest.mark.usefixtures("_bare")
def test_a_file_that_is_named_comes_before_githubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    (named,) = outputs.asked_for(("markdown=x.md",))
    assert (named.file, named.appended) == (type(tmp_path)("x.md"), False)
    github, summary = outputs.asked_for(("github-classroom", "markdown"))
    assert (github.file, github.appended) == (tmp_path / "outputs", True)
    assert (summary.file, summary.appended) == (tmp_path / "summary", True)
